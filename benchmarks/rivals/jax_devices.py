"""The training of ``jax_vmap``, its nets divided among a device for each core.

Who knows that XLA computes most of this with one core, and tells JAX to make devices of cores, gets
this; it is not what JAX does by itself.
"""

from ..work import Minibatch, Tutorial
from . import Unsuited, jax_vmap, xla

NAME = "JAX, a device a core"
missing, final = jax_vmap.missing, jax_vmap.final


def _devices(work):
    devices = max(xla.placings(work.nets).values())
    if devices == 1:
        raise Unsuited("nets cannot be divided among devices here")
    return devices


def tutorial(work):
    return jax_vmap.tutorial_on(work, _devices(work))


def minibatch(work):
    return jax_vmap.minibatch_on(work, _devices(work))


PREPARE = {Tutorial: tutorial, Minibatch: minibatch}
