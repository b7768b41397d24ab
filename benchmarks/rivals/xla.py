"""What the JAX rivals share: a compiled training, its nets on one device or divided among cores.

XLA computes on one device mostly with one core. Nets have nothing to say to each other, so JAX is
told to make a device of each core, and ``shard_map`` gives each its part of the nets.
"""

import contextlib
import functools

import numpy as np

from ..machine import cores


@functools.cache
def load():
    """Import JAX, with as many devices as the process may use cores."""
    import jax

    # JAX that has computed before keeps the devices it has
    with contextlib.suppress(RuntimeError, AttributeError):
        jax.config.update("jax_num_cpu_devices", cores())
    return jax


def precision(dtype):
    """Return a context in which JAX computes in this dtype; others stay as they are."""
    jax = load()
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(dtype == "float64")
    from jax.experimental import enable_x64

    return enable_x64(dtype == "float64")


def placings(nets):
    """Return the numbers of devices that are worth a trial, by what they are called."""
    jax, found = load(), {"one device": 1}
    devices = len(jax.devices())
    if devices > 1 and nets % devices == 0 and hasattr(jax, "shard_map"):  # since JAX 0.6
        found[f"{devices} devices"] = devices
    return found


def runner(train, start, shared, devices, axis=0, one_thread=False):
    """Return a function that trains once: one compiled call, starting weights donated.

    Parameters
    ----------
    train : function of (start, *shared)
        Gives the final arrays of the nets that it is given.
    start, shared : lists of arrays
        What is shared is on the devices before the clock starts.
    devices : int
    axis : 0 or -1
        Of nets, in all arrays of start and result.
    one_thread : bool
        Whether matrix products keep to one thread.
    """
    jax = load()
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    mesh = Mesh(np.array(jax.devices()[:devices]), ("nets",))
    specs = [
        PartitionSpec("nets") if axis == 0 else PartitionSpec(*[None] * (a.ndim - 1), "nets")
        for a in start
    ]
    if devices > 1:
        everywhere = [PartitionSpec()] * len(shared)
        train = jax.shard_map(
            train, mesh=mesh, in_specs=(specs, *everywhere), out_specs=specs, check_vma=False
        )
    options = {"xla_cpu_multi_thread_eigen": False} if one_thread else {}
    dtype = str(start[0].dtype)
    places = [NamedSharding(mesh, spec if devices > 1 else PartitionSpec()) for spec in specs]
    with precision(dtype):
        compiled = jax.jit(train, donate_argnums=0, compiler_options=options)
        shared = [jax.device_put(a, NamedSharding(mesh, PartitionSpec())) for a in shared]

    def run():
        with precision(dtype):
            # a copy: donation uses it up
            donated = jax.device_put(start, places, may_alias=False)
            return jax.block_until_ready(compiled(donated, *shared))

    return run
