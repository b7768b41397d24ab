"""scikit-learn's tools around a net: the results of scikit-learn, and few sweeps."""

import subprocess
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
from sklearn import (
    calibration,
    datasets,
    ensemble,
    feature_selection,
    model_selection,
    multiclass,
    multioutput,
)
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import shoal.sklearn
from shoal.sklearn import fusion

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

_ORDER = np.random.RandomState(0).permutation(150)
X, y = (array[_ORDER] for array in datasets.load_iris(return_X_y=True))
GROUPS = np.random.RandomState(1).randint(0, 7, 150)
NET = MLPClassifier((4,), max_iter=8, random_state=0)
PIPELINE = Pipeline([("scale", StandardScaler()), ("net", NET)])
GRID = {"net__alpha": [1e-4, 1e-2], "net__hidden_layer_sizes": [(3,), (5, 4)]}


@pytest.fixture
def sweeps(monkeypatch):
    """How many nets each sweep trained."""
    counts = []
    stop = fusion.FusionBackend.stop_call

    def note(self):
        if self._owns and self.fusion is not None:
            counts.extend(self.fusion.sweeps)
        stop(self)

    monkeypatch.setattr(fusion.FusionBackend, "stop_call", note)
    return counts


def search(kind, estimator=PIPELINE, grid=GRID, fit=None, **more):
    def call():
        found = getattr(model_selection, kind)(clone(estimator), grid, **more)
        found.fit(X, y, **(fit or {}))
        columns = {k: v for k, v in found.cv_results_.items() if "time" not in k}
        best = getattr(found, "best_estimator_", None)
        net = best[-1] if isinstance(best, Pipeline) else best
        return columns, getattr(found, "best_params_", None), None if net is None else net.coefs_

    return call


def _raising():
    grid = {"hidden_layer_sizes": [(3,), (-1,)]}
    with pytest.raises(ValueError, match="hidden_layer_sizes must be > 0") as error:
        model_selection.GridSearchCV(NET, grid, error_score="raise").fit(X, y)
    return str(error.value)


def _cached(tmp_path_factory=None):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        pipeline = clone(PIPELINE).set_params(memory=folder)
        return (
            model_selection.GridSearchCV(pipeline, GRID, cv=3)
            .fit(X, y)
            .cv_results_["mean_test_score"]
        )


def _cross_validated():
    found = model_selection.cross_validate(
        PIPELINE, X, y, cv=5, return_train_score=True, return_estimator=True
    )
    nets = [pipeline[-1].coefs_ for pipeline in found.pop("estimator")]
    return nets, {name: values for name, values in found.items() if "time" not in name}


def of(estimator, how="predict_proba", targets=y):
    """Fit, then predict."""
    return lambda: getattr(clone(estimator).fit(X, targets), how)(X)


_HALVED = {"alpha": [1e-4, 1e-2, 1, 10]}
_TWO = [("one", NET), ("other", clone(NET).set_params(alpha=1))]
# What is called, and what the sweeps are.
CALLS = {
    "grid": (search("GridSearchCV"), [20]),
    "grid, n_jobs": (search("GridSearchCV", n_jobs=2), [20]),
    "grid, two scores, of training too": (
        search(
            "GridSearchCV", scoring=["accuracy", "f1_macro"], refit="f1_macro",
            return_train_score=True,
        ),
        [20],
    ),
    "grid, groups": (
        search("GridSearchCV", cv=model_selection.GroupKFold(4), fit={"groups": GROUPS}), [16],
    ),
    "grid, weights": (
        search(
            "GridSearchCV", NET, {"alpha": [1e-4, 1]}, cv=3,
            fit={"sample_weight": np.random.RandomState(3).uniform(0.5, 2, 150)},
        ),
        [6],
    ),
    "grid, early stopping": (
        search(
            "GridSearchCV", clone(NET).set_params(early_stopping=True, max_iter=30),
            {"alpha": [1e-4, 1e-2, 1]}, cv=4,
        ),
        [12],
    ),
    "grid, other steps": (
        search(
            "GridSearchCV", grid={"scale": [StandardScaler(), "passthrough"], "net__alpha": [1, 2]},
        ),
        [20],
    ),
    "grid, no refit": (search("GridSearchCV", refit=False), [20]),
    "grid, some fail": (
        search(
            "GridSearchCV", NET, {"hidden_layer_sizes": [(3,), (-1,)]}, error_score=-5.0,
        ),
        [5],
    ),
    "grid, error": (_raising, [5]),
    "grid, cached steps": (_cached, [12]),
    "random": (search("RandomizedSearchCV", n_iter=3, random_state=0), [15]),
    "halving": (search("HalvingGridSearchCV", random_state=0, min_resources=60), [20]),
    "halving by epochs": (
        search(
            "HalvingGridSearchCV", clone(NET).set_params(max_iter=1), _HALVED, resource="max_iter",
            min_resources=2, max_resources=8, random_state=0,
        ),
        [20, 10],
    ),
    "nested": (
        lambda: model_selection.cross_val_score(
            model_selection.GridSearchCV(PIPELINE, GRID, cv=3), X, y, cv=4
        ),
        [48, 4],
    ),
    "cross_validate": (_cross_validated, [5]),
    "cross_val_predict": (
        lambda: model_selection.cross_val_predict(PIPELINE, X, y, method="predict_proba"), [5],
    ),
    "learning_curve": (
        lambda: model_selection.learning_curve(PIPELINE, X, y, cv=3, train_sizes=[30, 60, 90]), [9],
    ),
    "validation_curve": (
        lambda: model_selection.validation_curve(
            NET, X, y, param_name="alpha", param_range=[1e-4, 1.0], cv=3
        ),
        [6],
    ),
    "permutations": (
        lambda: model_selection.permutation_test_score(
            NET, X, y, n_permutations=15, cv=3, random_state=0
        ),
        [15, 15, 15],
    ),
    "bagging": (of(ensemble.BaggingClassifier(NET, 10, random_state=0)), [10]),
    "voting": (
        of(ensemble.VotingClassifier([*_TWO, ("third", LogisticRegression())], voting="soft")), [2],
    ),
    "stacking": (of(ensemble.StackingClassifier(_TWO)), [2, 10]),
    "one against all": (of(multiclass.OneVsRestClassifier(NET)), [3]),
    "one against one": (of(multiclass.OneVsOneClassifier(NET), "decision_function"), [3]),
    "several outputs": (
        of(multioutput.MultiOutputClassifier(NET), "predict", np.c_[y, y > 0]), [2],
    ),
    "calibration": (of(calibration.CalibratedClassifierCV(NET, cv=3)), [3]),
    "selection of features": (
        lambda: feature_selection.SequentialFeatureSelector(NET, n_features_to_select=2, cv=3)
        .fit(X, y).get_support(),
        [3] * 7,
    ),
}  # fmt: skip


def equal(one, other):
    """Whether two results are, numbers to 1e-9."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, np.ndarray):
        if one.dtype.kind == "f":
            return np.allclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True)
        return equal(one.tolist(), other.tolist())
    return type(one) is type(other) and (one == other or repr(one) == repr(other))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize("name", CALLS)
def test_results_are_those_of_scikit_learn(name, sweeps):
    call, right = CALLS[name]
    theirs = call()
    filters, threads = list(warnings.filters), threading.active_count()
    with shoal.sklearn.patched(), shoal.sklearn.fused():
        ours = call()
    assert equal(theirs, ours)
    assert sweeps == right
    assert warnings.filters == filters
    assert threading.active_count() == threads


def test_a_net_in_a_search_has_the_bits_of_one_alone():
    parameters = {
        "hidden_layer_sizes": [(5,), (4, 3)], "solver": ["adam", "sgd"], "random_state": [0, 3],
        "early_stopping": [False, True],
    }  # fmt: skip
    folds = list(model_selection.KFold(3).split(X))
    candidates = list(model_selection.ParameterGrid(parameters))
    np.random.RandomState(0).shuffle(candidates)
    nets = [clone(NET).set_params(max_iter=20, batch_size=16, **each) for each in candidates]

    def fitted(net, rows):
        return clone(net).fit(X[rows], y[rows])

    with shoal.sklearn.patched():
        with shoal.sklearn.fused():
            found = joblib.Parallel()(
                joblib.delayed(fitted)(net, rows) for net in nets for rows, _ in folds
            )
        alone = [fitted(net, rows) for net in nets for rows, _ in folds]
    for one, other in zip(found, alone, strict=True):
        for a, b in zip(
            one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True
        ):
            assert a.tobytes() == b.tobytes()
        assert one.loss_curve_ == other.loss_curve_


@pytest.mark.parametrize("name", ["GridSearchCV", "RandomizedSearchCV"])
def test_searches_fuse_by_themselves(name, sweeps):
    net = shoal.sklearn.MLPClassifier((4,), max_iter=8, random_state=0)
    ours = getattr(shoal.sklearn, name)(net, {"alpha": [1e-4, 1e-3, 1e-2] * 4}).fit(X, y)
    theirs = getattr(model_selection, name)(NET, {"alpha": [1e-4, 1e-3, 1e-2] * 4}).fit(X, y)
    assert sweeps
    if name == "GridSearchCV":
        assert equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    assert isinstance(ours, getattr(model_selection, name))


def test_searches_without_nets_are_untouched(sweeps):
    shoal.sklearn.GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1]}).fit(X, y)
    assert not sweeps


def test_another_backend_that_was_asked_for_wins(sweeps, monkeypatch):
    monkeypatch.setattr(shoal.sklearn.telling, "_said", set())
    net = shoal.sklearn.MLPClassifier((4,), max_iter=8, random_state=0)
    with joblib.parallel_config("threading"):
        with pytest.warns(shoal.sklearn.FallbackWarning, match="ThreadingBackend is asked for"):
            shoal.sklearn.cross_val_score(net, X, y)
        shoal.sklearn.cross_val_score(net, X, y)  # said once
    assert not sweeps


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_other_backends_have_the_same_results(backend):
    with shoal.sklearn.patched(searches=False):
        with joblib.parallel_config(backend, n_jobs=2):
            theirs = model_selection.cross_val_score(NET, X, y)
        with shoal.sklearn.fused():
            assert equal(theirs, model_selection.cross_val_score(NET, X, y))


def test_an_error_in_a_task_ends_the_others():
    def fit(k):
        if k == 3:
            raise OSError("no such row")
        return clone(NET).set_params(random_state=k).fit(X, y).n_iter_

    with shoal.sklearn.patched(), shoal.sklearn.fused():
        with pytest.raises(OSError, match="no such row"):
            joblib.Parallel()(joblib.delayed(fit)(k) for k in range(8))
        assert joblib.Parallel()(joblib.delayed(fit)(k) for k in range(3)) == [8, 8, 8]
    assert not [each for each in threading.enumerate() if each.name == "shoal strand"]


_SEARCH = """
import os, signal, sys, threading, warnings
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
import shoal.sklearn

X, y = load_digits(return_X_y=True)
net = MLPClassifier((64, 64), max_iter=100000, tol=0, n_iter_no_change=100000, random_state=0)
shoal.sklearn.patch()
net.set_params(max_iter=2).fit(X, y)
net.set_params(max_iter=100000)
filters = list(warnings.filters)
threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    GridSearchCV(net, {"alpha": np.logspace(-5, 0, 8)}, cv=2, **EXTRA).fit(X, y)
except KeyboardInterrupt:
    left = [t.name for t in threading.enumerate() if t.name == "shoal strand"]
    print("interrupted", left, warnings.filters == filters)
"""


@pytest.mark.parametrize("extra", ["{}", "{'scoring': lambda net, X, y: 0.0}"])
def test_ctrl_c_ends_a_search(extra):
    program = _SEARCH.replace("**EXTRA", f"**{extra}")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "interrupted [] True\n", done.stderr


def test_numpys_global_generator_gives_each_net_a_seed():
    def nets():
        np.random.seed(5)
        with shoal.sklearn.patched(), shoal.sklearn.fused():
            return joblib.Parallel()(
                joblib.delayed(clone(NET).set_params(random_state=None).fit)(X, y) for _ in range(3)
            )

    once, again = nets(), nets()
    assert equal([net.coefs_ for net in once], [net.coefs_ for net in again])
    assert not equal(once[0].coefs_, once[1].coefs_)
