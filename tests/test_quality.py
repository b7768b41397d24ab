"""The comparison of test scores with scikit-learn is a fair one (benchmarks/quality.py)."""

import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import shoal

pytest.importorskip("sklearn")


@pytest.fixture
def quality(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    return import_module("benchmarks.quality")


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_both_learn_iris(quality, optimizer):
    iris = quality.PROBLEMS["iris"]
    result = quality.compare(iris, optimizer, seeds=2)
    for scores in (result.ours, result.theirs):
        assert scores.shape == (2, quality.FOLDS)
        assert ((scores > 0) & (scores <= 1)).all()
        assert scores.mean() > 0.9
    row = quality.cells(iris, optimizer, result)
    assert row[0] == "iris" and row[7] in ("yes", "no")
    assert float(row[5]) == pytest.approx(result.difference, abs=1e-4)


def test_the_folds_are_standardised_by_their_training_rows(quality):
    for X, y, X_test, y_test in quality.PROBLEMS["diabetes"].folds():
        assert len(X) + len(X_test) == len(y) + len(y_test) == 442
        for array in (X, y):
            np.testing.assert_allclose(array.mean(axis=0), 0, atol=1e-12)
            np.testing.assert_allclose(array.std(axis=0), 1)


def test_the_verdict(quality):
    zero, seeds = np.zeros((4, 2)), np.array([[1.0], [1], [1], [5]]) * np.ones(2)
    better, worse = (quality.Result(*pair, 0, 0) for pair in ((seeds, zero), (zero, seeds)))
    assert (worse.difference, worse.standard_error) == (-2, 1)
    assert better.good and worse.good  # -2 is two standard errors
    assert not quality.Result(zero, seeds + 0.01, 0, 0).good
    assert quality.Result(zero, zero, 0, 0).good


def test_an_epoch_has_as_much_l2(quality):
    iris = quality.PROBLEMS["iris"]
    for rows, batches in ((64, (32, 32)), (65, (32, 32, 1)), (20, (20,))):
        settings = quality.settings_of(iris, "sgd", rows)
        theirs = sum(quality.rival(iris, "sgd", rows, seed=0).alpha / size for size in batches)
        assert settings["l2"] * len(batches) == pytest.approx(theirs)
        assert settings["batch_size"] == batches[0]


@pytest.mark.parametrize(
    "data, optimizer, error",
    [
        ("iris", "sgd", 1e-9),
        ("diabetes", "sgd", 1e-9),
        # scikit-learn adds epsilon before adam's bias correction
        ("iris", "adam", 1e-4),
        ("diabetes", "adam", 1e-4),
    ],
)
def test_the_settings_have_the_same_effect(quality, data, optimizer, error):
    """From the same weights, through the same batches, both come to the same net."""
    problem = replace(quality.PROBLEMS[data], epochs=20)
    X, y, *_ = next(problem.folds())
    X, y = X[: 3 * quality.BATCH], y[: 3 * quality.BATCH]  # whole batches: the same L2 in all

    def fitted(**changed):
        net = quality.rival(problem, optimizer, len(X), seed=0).set_params(shuffle=False, **changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            return net.fit(X, y)

    start, end = fitted(max_iter=1, learning_rate_init=1e-300), fitted()
    targets = y[:, np.newaxis] if problem.numbers else np.eye(3)[y]
    weights, biases = start.coefs_, start.intercepts_
    settings = quality.settings_of(problem, optimizer, len(X))
    assert settings["hidden"] == tuple(w.shape[1] for w in weights[:-1])
    of_weights = {name: settings.pop(name) for name in ("hidden", "init")}
    limits = [np.sqrt(6 / sum(w.shape)) for w in weights]
    assert of_weights["init"] == "glorot_uniform"
    assert all(0.9 * a < np.abs(w).max() <= a for a, w in zip(limits, weights, strict=True))
    shoal.train(
        X, targets, weights, biases=biases, reduction="mean",
        output="identity" if problem.numbers else "softmax",
        loss="squared_error" if problem.numbers else "cross_entropy", **settings,
    )  # fmt: skip
    for got, right in zip((*weights, *biases), (*end.coefs_, *end.intercepts_), strict=True):
        assert np.abs(got - right).max() <= error * np.abs(right).max()
