"""JAX as it is written for many nets: jit(vmap(scan)), one compiled call a run, starting weights
donated. ``jax_devices`` divides the same among a device for each core.

Data is on the device before the clock starts; the run ends when it is done. Gradients by
``jax.grad`` and by hand are tried on a part of the work, and the faster form is timed; so is, for
one net, XLA with one thread. Unrolled scans, other forms of the sigmoid, and the first layer of all
nets as one matrix product were tried: none was faster. Dropout takes 16 bits a unit, two from each
word of threefry (without the partitioning that no device here needs), with a key for each step and
net made before the steps: one key for all nets, ``bernoulli``, the generators rbg and unsafe_rbg,
and masks of all steps at once were no faster.
"""

import importlib.util
import math
from functools import partial

import numpy as np

from ..work import Minibatch, Tutorial
from . import Unsuited, fastest, xla

NAME = "JAX"


def missing():
    return None if importlib.util.find_spec("jax") else "JAX is not installed"


def tutorial(work):
    return tutorial_on(work, 1)


def tutorial_on(work, devices):
    """Prepare the tutorial's nets, divided among so many devices."""
    jax = xla.load()
    X, y = work.data

    def step(weights, _):
        w0, w1 = weights
        l1 = jax.nn.sigmoid(X @ w0)
        l2 = jax.nn.sigmoid(l1 @ w1)
        delta2 = (y - l2) * l2 * (1 - l2)
        delta1 = delta2 @ w1.T * l1 * (1 - l1)
        return [w0 + X.T @ delta1, w1 + l1.T @ delta2], None

    def train(weights):
        return jax.lax.scan(step, weights, length=work.epochs)[0]

    return xla.runner(jax.vmap(train), work.start, [], devices)


def minibatch(work):
    return minibatch_on(work, 1)


def minibatch_on(work, devices):
    """Prepare the fastest form of minibatch training on so many devices."""
    if work.own_order:
        raise Unsuited("all nets share one row order here")
    threads = {"": False}
    if work.nets == 1:
        threads = {", all threads": False, ", one thread": True}
    forms = {
        told + how: partial(_minibatch, gradient=gradient, devices=devices, one_thread=one)
        for told, gradient in (("jax.grad", _by_grad), ("gradients by hand", _by_hand))
        for how, one in threads.items()
    }
    return fastest(forms, work)


def _forward(jax, parameters, x, masks):
    """Return the values of each layer of one net, the last before its softmax."""
    weights, biases = parameters[0::2], parameters[1::2]
    layers = [x]
    for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
        z = layers[-1] @ w + b
        if k < len(weights) - 1:
            z = jax.nn.relu(z)
            z = z * masks[k] if masks else z
        layers.append(z)
    return layers


def _by_grad(parameters, x, y, masks):
    jax = xla.load()

    def loss(parameters):
        outputs = _forward(jax, parameters, x, masks)[-1]
        return -(y * jax.nn.log_softmax(outputs)).sum(axis=-1).mean()

    return jax.grad(loss)(parameters)


def _by_hand(parameters, x, y, masks):
    jax = xla.load()
    layers = _forward(jax, parameters, x, masks)
    delta = (jax.nn.softmax(layers[-1]) - y) * np.dtype(y.dtype).type(1 / len(x))
    gradients = []
    for k in range(len(parameters) // 2 - 1, -1, -1):
        gradients = [layers[k].T @ delta, delta.sum(axis=0), *gradients]
        if k:
            delta = delta @ parameters[2 * k].T
            delta = delta * masks[k - 1] if masks else delta
            delta = jax.numpy.where(layers[k] > 0, delta, 0)
    return gradients


def _updates(work):
    """Return the optimizer: its state at the start, and its step t = 1, 2, ..."""
    jnp = xla.load().numpy
    rate = work.learning_rate

    def sgd(parameters, state, gradients, t):
        return [p - rate * g for p, g in zip(parameters, gradients, strict=True)], state

    def adam(parameters, state, gradients, t):
        m = [0.9 * a + 0.1 * g for a, g in zip(state[0], gradients, strict=True)]
        v = [0.999 * a + 0.001 * g * g for a, g in zip(state[1], gradients, strict=True)]
        size, correction = rate / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
        moves = [a / (jnp.sqrt(b) * correction + 1e-8) for a, b in zip(m, v, strict=True)]
        return [p - size * move for p, move in zip(parameters, moves, strict=True)], (m, v)

    def moments(parameters):
        return tuple([jnp.zeros_like(p) for p in parameters] for _ in range(2))

    return (moments, adam) if work.optimizer == "adam" else (lambda parameters: (), sgd)


def _masks(jax, key, work):
    """Return what dropout multiplies each hidden layer of one net by."""
    jnp = jax.numpy
    share = round(2**16 * work.dropout)
    scale = np.dtype(work.dtype).type(1 / (1 - work.dropout))
    masks = []
    for k, units in enumerate(work.widths[1:-1]):
        shape = (work.batch, units)
        words = -(-math.prod(shape) // 2)
        with jax.threefry_partitionable(False):
            drawn = jax.random.bits(jax.random.fold_in(key, k), (words,), "uint32")
        halves = jax.lax.bitcast_convert_type(drawn, jnp.uint16).ravel()[: math.prod(shape)]
        masks.append(jnp.where(halves.reshape(shape) >= share, scale, 0))
    return masks


def _minibatch(work, gradient, devices, one_thread=False):
    jax = xla.load()
    start, update = _updates(work)
    many, draw = work.nets > 1, partial(_masks, jax, work=work)
    if many:
        draw = jax.vmap(draw)
        gradient = jax.vmap(gradient, in_axes=(0, None, None, 0))

    def train(parameters, X, y, batches):
        keys = None
        if work.dropout:
            part = jax.lax.axis_index("nets") if devices > 1 else 0
            key = jax.random.fold_in(jax.random.key(0), part)
            keys = jax.random.split(key, (len(batches), *parameters[0].shape[: int(many)]))

        def step(carry, told):
            parameters, state, t = carry
            rows, key = told
            masks = draw(key) if work.dropout else []
            x, target = (X, y) if work.batch_size is None else (X[rows], y[rows])
            gradients = gradient(parameters, x, target, masks)
            return (*update(parameters, state, gradients, t), t + 1), None

        first = (parameters, start(parameters), jax.numpy.ones((), work.dtype))
        return jax.lax.scan(step, first, (batches, keys))[0][0]

    nets = work.start if many else [array[0] for array in work.start]
    shared = [work.data[0], work.one_hot, work.batches]
    return xla.runner(train, nets, shared, devices, one_thread=one_thread)


PREPARE = {Tutorial: tutorial, Minibatch: minibatch}


def final(result):
    arrays = [np.asarray(array) for array in result]
    of_one_net = arrays[0].ndim == 2
    return [array[np.newaxis] for array in arrays] if of_one_net else arrays
