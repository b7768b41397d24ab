"""A user's np.seterr(all="raise") changes nothing: values that vanish or overflow are ordinary."""

import warnings

import numpy as np
import pytest

import shoal
from shoal import plots, reference

pytestmark = pytest.mark.kernels

rng = np.random.default_rng(1)
X = rng.normal(size=(40, 3))
TINY = np.geomspace(1e-290, 1, 40)
# values that vanish when they are squared, and such that overflow
Y = {
    "float32": (X.astype(np.float32) * np.float32(1e-25)).sum(axis=1),
    "float64": X.sum(axis=1) * 1e-170,
    "large": X.sum(axis=1) * 1e170,
    "labels": rng.integers(0, 3, 40),
}


def fit(y="labels", **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = X.astype(np.float32) if y == "float32" else X
        return shoal.fit(rows, Y[y], **{"hidden": 4, "epochs": 5, **more})


def sweep(**more):
    grid = {"learning_rate": [1e-300, 0.01, 1e300], "optimizer": ["sgd", "adam"]}
    return shoal.sweep(X, Y["labels"], grid, hidden=4, epochs=8, **more)


CALLS = {
    **{f"fit {y}": (lambda y=y: fit(y).weights) for y in Y},
    **{
        f"fit {name}": (lambda more=more: fit(**more).weights)
        for name, more in {
            "validated": {"validation": 0.3, "patience": 2},
            "with weights": {
                "sample_weight": np.geomspace(1e-290, 1, 40),
                "class_weight": {0: 0.5},
            },
            "diverging": {"learning_rate": 1e300, "optimizer": "sgd", "clip_norm": 1e-300},
            "dropout, batch norm": {"dropout": 0.3, "batch_norm": True, "l1": 1e-300},
            "a schedule": {"schedule": "exponential", "gamma": 1e-200, "epochs": 20},
            "float32": {"dtype": "float32", "epsilon": 1e-45, "l2": 1e-45, "learning_rate": 1e-45},
            "traced": {"trace": [0, 5]},
        }.items()
    },
    "warm start": lambda: shoal.fit(X, Y["labels"], warm_start=fit(), epochs=3).weights,
    "train": lambda: shoal.train(1e-170 * X, Y["labels"], [np.full((3, 1), 1e-170)], epochs=3).loss,
    "train far out": lambda: (
        shoal.train(
            X * 1e150, Y["labels"], [np.full((3, 1), 1e150)], epochs=3, learning_rate=1e-160
        ).loss
    ),
    "sweep": lambda: sweep().results["loss"],
    "sweep's scores": lambda: sweep(validation=0.2).scores,
    "best": lambda: sweep().best.weights,
    "repr": lambda: [repr(sweep(progress=False)) != ""],
    "outputs": lambda: fit()(X * 1e150),
    "predict": lambda: fit("large").predict(X * 1e-300),
    "predict_proba": lambda: fit().predict_proba(X * 1e3),
    "score": lambda: [fit("large").score(X, Y["large"])],
    "weighted score": lambda: [fit("float64").score(X, Y["float64"], TINY)],
    "plots": lambda: [plots.plot_losses(sweep(), by="optimizer") is not None],
    "plot of scores": lambda: [plots.plot_scores(sweep(), "learning_rate") is not None],
    "reference": lambda: (
        reference.train(
            X * 1e-170, Y["large"][:, np.newaxis], [np.ones((3, 1))], epochs=3, output="sigmoid"
        ).losses
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nothing_raises_and_nothing_changes(call):
    expected = call()
    before = np.geterr()
    with np.errstate(all="raise"):
        found = call()
        assert set(np.geterr().values()) == {"raise"}
    assert np.geterr() == before
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
