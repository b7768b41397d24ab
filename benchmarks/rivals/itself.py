"""Shoal, with the interface of its rivals."""

import numpy as np

from ..work import Minibatch, Tutorial

NAME = "Shoal"


def missing():
    return None


def tutorial(work):
    """One net goes through ``shoal.train``, several through ``shoal.sweep``."""
    import shoal

    X, y = work.data
    if work.nets > 1:
        grid = {"seed": range(work.nets)}
        return lambda: shoal.sweep(X, y, grid, hidden=4, epochs=work.epochs, **shoal.TUTORIAL)
    start = [w[0] for w in work.start]

    def run():
        weights = [w.copy() for w in start]
        shoal.train(X, y, weights, epochs=work.epochs)
        return weights

    return run


def minibatch(work):
    import shoal

    X, labels = work.data
    settings = {
        "hidden": work.widths[1:-1],
        "activation": "relu",
        "output": "softmax",
        "loss": "cross_entropy",
        "init": "he_uniform",
        "optimizer": "sgd",
        "learning_rate": work.learning_rate,
        "epochs": work.epochs,
        "batch_size": work.batch_size,
        "shuffle_seed": 0,
    }
    return lambda: shoal.sweep(X, labels, {"seed": range(work.nets)}, **settings)


PREPARE = {Tutorial: tutorial, Minibatch: minibatch}


def final(result):
    if isinstance(result, list):  # of shoal.train
        return [w[np.newaxis] for w in result]
    nets = [result[i] for i in range(len(result))]
    layers = range(len(nets[0].weights))
    arrays = []
    for k in layers:
        arrays.append(np.stack([net.weights[k] for net in nets]))
        if nets[0].biases is not None:
            arrays.append(np.stack([net.biases[k] for net in nets]))
    return arrays
