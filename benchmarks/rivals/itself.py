"""Shoal, with the interface of its rivals. Only the last epoch is recorded."""

import numpy as np

from ..real import RealData
from ..work import Minibatch, Tutorial

NAME = "Shoal"


def missing():
    return None


def tutorial(work, threads=None):
    """One net goes through ``shoal.train``, several through ``shoal.sweep``."""
    import shoal

    X, y = work.data
    settings = {"epochs": work.epochs, "record_every": work.epochs, "momentum": work.momentum}
    if work.nets > 1:
        grid = {"seed": range(work.nets)}
        settings = {**shoal.TUTORIAL, **settings, "hidden": work.widths[1:-1]}
        return lambda: shoal.sweep(X, y, grid, threads=threads, **settings)
    start = [w[0] for w in work.start]

    def run():
        weights = [w.copy() for w in start]
        shoal.train(X, y, weights, **settings, specialise=work.specialise)
        return weights

    return run


def minibatch(work, threads=None):
    """One net goes through ``shoal.fit``, several through ``shoal.sweep``."""
    import shoal

    X, y = work.data
    if work.widths[-1] == 2:  # labels of two classes would have one sigmoid output
        y = np.eye(2, dtype=int)[y]
    settings = {
        "hidden": work.widths[1:-1],
        "activation": "relu",
        "output": "softmax",
        "loss": "cross_entropy",
        "init": "he_uniform",
        "optimizer": work.optimizer,
        "learning_rate": work.learning_rate,
        "dropout": work.dropout,
        "epochs": work.epochs,
        "record_every": work.epochs,
        "batch_size": work.batch_size,
        "shuffle_seed": None if work.own_order else 0,
        "threads": threads,
    }
    if work.nets == 1:
        return lambda: shoal.fit(X, y, **settings)
    return lambda: shoal.sweep(X, y, {"seed": range(work.nets)}, **settings)


def real_data(work):
    import shoal

    X, y = work.data
    settings = {
        "hidden": work.hidden,
        "init": "glorot_uniform",
        "learning_rate": work.learning_rate,
        "epochs": work.epochs,
        "record_every": work.epochs,
        "batch_size": work.batch_size,
    }
    return lambda: shoal.fit(X, y, **settings)


PREPARE = {Tutorial: tutorial, Minibatch: minibatch, RealData: real_data}


def final(result):
    import shoal

    if isinstance(result, list):  # of shoal.train
        return [w[np.newaxis] for w in result]
    nets = [result] if isinstance(result, shoal.Model) else list(result)
    layers = range(len(nets[0].weights))
    arrays = []
    for k in layers:
        arrays.append(np.stack([net.weights[k] for net in nets]))
        if nets[0].biases is not None:
            arrays.append(np.stack([net.biases[k] for net in nets]))
    return arrays
