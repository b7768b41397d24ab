"""scikit-learn's MLPClassifier with the same settings, on rows of the dtype that it is faster with.

float32 and float64 are tried on a part of the work. It never stops early: ``tol=0``, and
``n_iter_no_change`` is more than the epochs.
"""

import functools
import importlib.util
import warnings

import numpy as np

from ..real import RealData
from . import fastest

NAME = "scikit-learn"


def missing():
    return None if importlib.util.find_spec("sklearn") else "scikit-learn is not installed"


def real_data(work):
    forms = {dtype: functools.partial(_fit, dtype=dtype) for dtype in ("float32", "float64")}
    return fastest(forms, work)


def _fit(work, dtype):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    X, y = work.data[0].astype(dtype), work.data[1]
    settings = {
        "hidden_layer_sizes": work.hidden,
        "activation": "relu",
        "solver": "adam",
        "alpha": 0,
        "batch_size": work.batch_size,
        "learning_rate_init": work.learning_rate,
        "max_iter": work.epochs,
        "shuffle": True,
        "tol": 0,
        "n_iter_no_change": work.epochs + 1,
        "random_state": 0,
    }

    def run():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            net = MLPClassifier(**settings).fit(X, y)
        if net.n_iter_ != work.epochs:
            raise RuntimeError(f"scikit-learn stopped after {net.n_iter_} epochs")
        return net

    return run


PREPARE = {RealData: real_data}


def final(net):
    pairs = zip(net.coefs_, net.intercepts_, strict=True)
    return [array[np.newaxis] for pair in pairs for array in pair]
