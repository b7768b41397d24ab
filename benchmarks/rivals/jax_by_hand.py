"""JAX for many very small nets, written for the processor: nets last, products summed one by one.

In place of small matrix products, which XLA calls for each net, sums are written out, so that XLA
fuses a step into loops over the nets. It pays where layers are a few units wide: of wider ones
``jax_vmap`` is faster. Nets on one device and divided among one for each core are tried, and the
fastest form is timed. Unrolled scans, tanh and exp in place of the sigmoid, each weight an array of
its own, and reductions or ``einsum`` in place of the sums were tried: none was faster.
"""

import functools

import numpy as np

from ..work import Minibatch, Tutorial
from . import Unsuited, fastest, jax_vmap, xla

NAME = "JAX, nets last"
missing = jax_vmap.missing


def _fastest(form, work):
    forms = {
        told: functools.partial(form, devices=n) for told, n in xla.placings(work.nets).items()
    }
    return fastest(forms, work)


def _nets_last(arrays):
    return [np.ascontiguousarray(np.moveaxis(array, 0, -1)) for array in arrays]


def tutorial(work):
    return _fastest(_tutorial, work)


def _tutorial(work, devices):
    jax = xla.load()
    X, y = work.data

    def step(weights, _):
        w0, w1 = weights[0], weights[1][:, 0]
        l1 = jax.nn.sigmoid(sum(X[:, i, None, None] * w0[i] for i in range(3)))
        l2 = jax.nn.sigmoid(sum(l1[:, j] * w1[j] for j in range(4)))
        delta2 = (y - l2) * l2 * (1 - l2)
        delta1 = delta2[:, None] * w1 * l1 * (1 - l1)
        # the tutorial's rows are zeros and ones
        to0 = jax.numpy.stack([sum(delta1[r] for r in range(4) if X[r, i]) for i in range(3)])
        to1 = sum(l1[r] * delta2[r] for r in range(4))
        return [w0 + to0, (w1 + to1)[:, None]], None

    def train(weights):
        return jax.lax.scan(step, weights, length=work.epochs)[0]

    return xla.runner(train, _nets_last(work.start), [], devices, axis=-1)


def minibatch(work):
    if work.optimizer != "sgd" or work.dropout or work.own_order:
        raise Unsuited("plain sgd in one row order is written out here, no more")
    return _fastest(_minibatch, work)


def _gradients(parameters, x, y):
    """Gradients of all nets: x is (B, I), y is (B, O), parameters have the nets last."""
    jax = xla.load()
    weights, biases = parameters[0::2], parameters[1::2]
    layers = [x[:, :, None]]
    for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
        z = sum(layers[-1][:, i, None] * w[i] for i in range(len(w))) + b
        layers.append(jax.nn.relu(z) if k < len(weights) - 1 else z)
    delta = (jax.nn.softmax(layers[-1], axis=1) - y[:, :, None]) / len(x)
    gradients = []
    for k in range(len(weights) - 1, -1, -1):
        of_weights = sum(layers[k][r][:, None] * delta[r] for r in range(len(x)))
        gradients = [of_weights, delta.sum(axis=0), *gradients]
        if k:
            units = range(weights[k].shape[1])
            delta = sum(delta[:, o, None] * weights[k][:, o] for o in units)
            delta = jax.numpy.where(layers[k] > 0, delta, 0)
    return gradients


def _minibatch(work, devices):
    jax = xla.load()

    def train(parameters, X, y, batches):
        def step(parameters, rows):
            pairs = zip(parameters, _gradients(parameters, X[rows], y[rows]), strict=True)
            return [p - work.learning_rate * g for p, g in pairs], None

        return jax.lax.scan(step, parameters, batches)[0]

    shared = [work.data[0], work.one_hot, work.batches]
    return xla.runner(train, _nets_last(work.start), shared, devices, axis=-1)


PREPARE = {Tutorial: tutorial, Minibatch: minibatch}


def final(result):
    return [np.moveaxis(np.asarray(array), -1, 0) for array in result]
