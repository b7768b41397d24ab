"""`shoal.sklearn`'s nets are those of scikit-learn: the same numbers for the same random_state."""

import random
import warnings

import numpy as np
import pytest
import sklearn_matrix as matrix
from test_lanes import choose

import shoal.sklearn
from shoal.sklearn import stochastic

CASES = matrix.cases()
SAMPLED = 14


@pytest.mark.parametrize("rows_in_lanes", [False, True], ids=["nets in lanes", "rows in lanes"])
def test_nets_are_those_of_scikit_learn(rows_in_lanes, whole, monkeypatch):
    choose(monkeypatch, rows_in_lanes)
    monkeypatch.setattr(stochastic, "_WORTH_IT", 0)  # calls of partial_fit of a few steps too
    cases = CASES if whole else random.Random(rows_in_lanes).sample(CASES, SAMPLED)
    found = {
        (case.task, case.name): different
        for case in cases
        if (
            different := matrix.differences(
                matrix.train(shoal.sklearn, case), matrix.train(matrix.original(), case), case
            )
        )
    }
    assert not found


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "diabetes"])
def test_predictions_with_the_defaults_are_those_of_scikit_learn(name, whole):
    from sklearn import datasets, neural_network
    from sklearn.preprocessing import scale

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    X = scale(X)
    kind = "MLPRegressor" if name == "diabetes" else "MLPClassifier"
    for seed in range(5 if whole else 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = getattr(shoal.sklearn, kind)(random_state=seed).fit(X, y)
            theirs = getattr(neural_network, kind)(random_state=seed).fit(X, y)
        assert ours.n_iter_ == theirs.n_iter_
        if name == "diabetes":
            np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
        else:
            assert (ours.predict(X) == theirs.predict(X)).all()
