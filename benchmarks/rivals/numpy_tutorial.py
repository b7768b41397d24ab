"""The tutorial's loop in numpy: one net after the other."""

import numpy as np

from ..work import Tutorial

NAME = "numpy"


def missing():
    return None


def tutorial(work):
    X, y = work.data

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def run():
        syn0, syn1 = (w.copy() for w in work.start)
        for w0, w1 in zip(syn0, syn1, strict=True):
            for _ in range(work.epochs):
                l1 = sigmoid(X @ w0)
                l2 = sigmoid(l1 @ w1)
                delta2 = (y - l2) * l2 * (1 - l2)
                delta1 = delta2 @ w1.T * l1 * (1 - l1)
                w1 += l1.T @ delta2
                w0 += X.T @ delta1
        return [syn0, syn1]

    return run


PREPARE = {Tutorial: tutorial}


def final(result):
    return result
