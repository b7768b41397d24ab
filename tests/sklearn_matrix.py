"""Trainings of scikit-learn's nets: tasks, settings, and ways to call them."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets, neural_network
from sklearn.preprocessing import scale

LABELS = ("binary", "multiclass", "digits", "multilabel")
NUMBERS = ("regression", "multioutput", "poisson")
TASKS = (*LABELS, *NUMBERS)

_SGD = {"solver": "sgd", "learning_rate_init": 0.02}
_OF_NUMBERS = {"learning_rate_init": 0.002}  # of sgd: it does not diverge then
_COMMON = {"hidden_layer_sizes": (9, 7), "max_iter": 25, "learning_rate_init": 0.01}
_SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {},
    "adam, batches of 32": {"batch_size": 32},
    "adam, logistic, one number for hidden": {"activation": "logistic", "hidden_layer_sizes": 6},
    "adam, tanh, other betas": {
        "activation": "tanh", "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3, "batch_size": 50,
    },
    "adam, identity, large alpha, no shuffle": {
        "activation": "identity", "alpha": 1.0, "shuffle": False, "batch_size": 64,
    },
    "adam, one batch": {"batch_size": 10_000},
    "adam, no hidden layer": {"hidden_layer_sizes": (), "batch_size": 40},
    "adam, no penalty": {"alpha": 0.0, "batch_size": 40},
    "adam, tol ends it": {"tol": 0.05, "n_iter_no_change": 3, "max_iter": 200},
    "adam, early stopping": {
        "early_stopping": True, "n_iter_no_change": 4, "max_iter": 60, "validation_fraction": 0.2,
        "batch_size": 32,
    },
    "adam, nothing ends it": {"n_iter_no_change": np.inf},
    "sgd, nesterov": {**_SGD, "batch_size": 32},
    "sgd, momentum": {**_SGD, "nesterovs_momentum": False, "batch_size": 32},
    "sgd alone": {**_SGD, "momentum": 0.0, "nesterovs_momentum": False},
    "sgd, invscaling": {
        **_SGD, "learning_rate": "invscaling", "power_t": 0.3, "batch_size": 40,
        "learning_rate_init": 0.2,
    },
    "sgd, adaptive": {
        **_SGD, "learning_rate": "adaptive", "tol": 1e-3, "n_iter_no_change": 1, "max_iter": 150,
        "learning_rate_init": 0.05,
    },
    "sgd, adaptive, early stopping": {
        **_SGD, "learning_rate": "adaptive", "n_iter_no_change": 2, "early_stopping": True,
        "max_iter": 150,
    },
    "lbfgs": {"solver": "lbfgs", "max_iter": 10},
}  # fmt: skip
_B32 = {"batch_size": 32}
_WAYS: dict[str, tuple[str, dict[str, Any], bool, type]] = {
    # how it is called, settings, whether rows have weights, dtype
    "weights": ("fit", _B32, True, np.float64),
    "weights, early stopping": ("fit", {**_B32, "early_stopping": True}, True, np.float64),
    "weights, lbfgs": ("fit", {"solver": "lbfgs", "max_iter": 10}, True, np.float64),
    "parts": ("parts", _B32, False, np.float64),
    "parts, sgd, invscaling": (
        "parts", {**_B32, **_SGD, "learning_rate": "invscaling", **_OF_NUMBERS}, False, np.float64,
    ),
    "parts, weights": ("parts", _B32, True, np.float64),
    "whole, then parts": ("whole, then parts", _B32, False, np.float64),
    "warm start": ("thrice", {**_B32, "warm_start": True}, False, np.float64),
    "warm start, tol": (
        "thrice",
        {**_B32, "warm_start": True, "tol": 0.02, "max_iter": 60, "n_iter_no_change": 2},
        False, np.float64,
    ),
    "warm start, invscaling": (
        "thrice", {**_B32, **_SGD, "warm_start": True, "learning_rate": "invscaling"}, False,
        np.float64,
    ),
    "warm start, early stopping": (
        "thrice", {**_B32, "warm_start": True, "early_stopping": True}, False, np.float64,
    ),
    "float32": ("fit", _B32, False, np.float32),
    "float32, sgd": ("fit", {**_B32, **_SGD, **_OF_NUMBERS}, False, np.float32),
    "float32, weights": ("fit", _B32, True, np.float32),
    "float32, lbfgs": ("fit", {"solver": "lbfgs", "max_iter": 10}, False, np.float32),
}  # fmt: skip


class Case(NamedTuple):
    """One training (or several, one after the other) of one net."""

    task: str
    way: str
    settings: dict[str, Any]
    weighted: bool = False
    dtype: Any = np.float64
    name: str = ""

    @property
    def tolerance(self) -> float:
        """How far numbers may be from scikit-learn's, relative to the largest of an array."""
        if self.dtype == np.float32:
            return 1e-4
        return 1e-7 if self.settings.get("solver") == "lbfgs" else 1e-9


def cases(seeds: int = 1) -> list[Case]:
    """All."""
    found = []
    for seed in range(seeds):
        for task in TASKS:
            for name, settings in _SETTINGS.items():
                settings = {**_COMMON, **settings, "random_state": seed}
                if task in NUMBERS and settings.get("solver") == "sgd":
                    settings |= _OF_NUMBERS
                found.append(Case(task, "fit", settings, name=name))
            for name, (way, settings, weighted, dtype) in _WAYS.items():
                settings = {**_COMMON, **settings, "random_state": seed}
                if task in NUMBERS and settings.get("solver") == "sgd":
                    settings |= _OF_NUMBERS
                found.append(Case(task, way, settings, weighted, dtype, name))
    return found


def data(task: str) -> tuple[Any, Any]:
    """X, scaled, and y."""
    load = {"multiclass": "iris", "multilabel": "iris", "digits": "digits"}.get(
        task, "breast_cancer" if task == "binary" else "diabetes"
    )
    X, y = getattr(datasets, f"load_{load}")(return_X_y=True)
    rng = np.random.RandomState(0)
    kept = rng.permutation(len(X))[: 400 if task == "digits" else 250]
    X, y = np.nan_to_num(scale(X[kept])), y[kept]
    if task == "multilabel":
        y = (X @ rng.randn(4, 3) + 0.3 * rng.randn(len(X), 3) > 0).astype(int)
    elif task == "regression":
        y = y / 50
    elif task == "multioutput":
        y = np.c_[y / 50, X @ rng.randn(10), np.tanh(X[:, 0])]
    elif task == "poisson":
        y = rng.poisson(np.exp(X[:, 0] * 0.3)).astype(float)
    return X, y


def train(module: Any, case: Case) -> Any:
    """The net of a module with scikit-learn's two classes, trained."""
    X, y = data(case.task)
    X = X.astype(case.dtype)
    weights = np.random.RandomState(5).uniform(0.2, 3, len(X)).astype(case.dtype)
    if case.task in LABELS:
        net = module.MLPClassifier(**case.settings)
        classes = {"classes": np.arange(y.shape[1]) if y.ndim > 1 else np.unique(y)}
    else:
        loss = "poisson" if case.task == "poisson" else "squared_error"
        net, classes = module.MLPRegressor(loss=loss, **case.settings), {}

    def part(rows: Any) -> dict[str, Any]:
        return {"sample_weight": weights[rows]} if case.weighted else {}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if case.way != "parts":
            for _ in range(3 if case.way == "thrice" else 1):
                net.fit(X, y, **part(slice(None)))
        if "parts" in case.way:
            for k in range(12):
                rows = np.arange(k * 37, k * 37 + 50) % len(X)
                net.partial_fit(X[rows], y[rows], **part(rows), **classes)
    return net


def differences(ours: Any, theirs: Any, case: Case) -> list[str]:
    """In what two trained nets differ more than they may."""
    found = []
    single = case.dtype == np.float32
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        a, b = getattr(ours, name), getattr(theirs, name)
        near = single and name in ("n_iter_", "t_") and a != b
        if a != b and not (near and abs(ours.n_iter_ - theirs.n_iter_) <= 1):
            found.append(f"{name}: {a}, not {b}")
    more = set(vars(ours)) ^ set(vars(theirs))
    if type(ours) is not type(theirs):  # of our classes, which have parameters of their own
        own = set(ours.get_params()) - set(theirs.get_params())
        more -= own | {"validation_loss_curve_"}
    if more:
        found.append(f"attributes: {more}")
    arrays = [*zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True)]
    for name in ("loss_curve_", "validation_scores_", "loss_", "best_loss_"):
        a, b = getattr(ours, name, None), getattr(theirs, name, None)
        if (a is None) != (b is None):
            found.append(f"{name}: {a}, not {b}")
        elif a is not None:
            arrays.append((np.atleast_1d(a), np.atleast_1d(b)))
    for a, b in arrays:
        if a.shape != b.shape and single:
            a, b = a[: len(b)], b[: len(a)]
        if a.shape != b.shape or (a.dtype != b.dtype and not single):
            found.append(f"an array is {a.shape} of {a.dtype}, not {b.shape} of {b.dtype}")
        elif not np.abs(a - b).max() <= case.tolerance * np.abs(b).max():
            found.append(f"an array of {a.shape} differs by {np.abs(a - b).max():.2g}")
    if not single:
        a, b = (net._random_state.randint(1 << 30) for net in (ours, theirs))
        if a != b:
            found.append("the generator is elsewhere")
    return found


def original() -> Any:
    """scikit-learn's own module."""
    return neural_network
