"""Tasks of searches and cross-validation that need no thread: what `_fit_and_score` does, in steps.

The steps before a net are fitted once for a fold and their settings, initial weights are drawn once
for a seed and a shape, and nets are scored by their arrays. What is not known here goes the way of
all other tasks: then scikit-learn's own function runs, and its errors are those of scikit-learn.
"""

import time
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from ..running.row_orders import Generator
from . import extensions, stochastic, theirs
from .fits import Fit, Fitted, Rows

_KNOWN: Final = {
    "scorer", "train", "test", "verbose", "parameters", "fit_params", "score_params",
    "return_train_score", "return_parameters", "return_n_test_samples", "return_times",
    "return_estimator", "split_progress", "candidate_progress", "error_score", "caller",
    "callback_ctx",
}  # fmt: skip


class Unknown(Exception):
    """A task that is to be run by scikit-learn's function."""


class Work(NamedTuple):
    """A call of `_fit_and_score`."""

    estimator: Any
    X: Any
    y: Any
    more: dict[str, Any]


class _Fold(NamedTuple):
    """The rows of a fold behind the steps before the net."""

    net: Any  # checked, with its classes, but not trained
    rows: Rows
    X_train: Any
    y_train: Any
    X_test: Any
    y_test: Any
    test: Any  # X_test as the net's arithmetic takes it


class _Start(NamedTuple):
    """A net with initial weights."""

    attributes: dict[str, Any]
    generator: Generator


def work_of(function: Any) -> Work | None:
    """What a batch of joblib's is, where it is one call that is known here."""
    items: Any = getattr(function, "items", ())
    if len(items) != 1:
        return None
    wrapped, args, kwargs = items[0]
    if getattr(wrapped, "function", None) is not theirs.FIT_AND_SCORE or len(args) != 3:
        return None
    is_plain = (
        kwargs.keys() <= _KNOWN
        and not kwargs["fit_params"]
        and not kwargs["score_params"]
        and kwargs["verbose"] <= 1
        and not kwargs.get("return_estimator")
        and not getattr(kwargs.get("caller"), "_skl_callbacks", None)
        and args[2] is not None
        and theirs.scores_by_predictions(kwargs["scorer"])
    )
    estimator = args[0]
    net = estimator.steps[-1][1] if type(estimator) is Pipeline and estimator.steps else estimator
    if not is_plain or not _is_plain_net(net):
        return None
    if net is not estimator and (estimator.memory is not None or len(estimator.steps) < 2):
        return None
    return Work(estimator, args[1], args[2], kwargs)


def _is_plain_net(net: Any) -> bool:
    """Whether a net trains as scikit-learn's own classes do."""
    cls: Any = type(net)
    # a class of a user's own may have another fit
    is_ours = cls in theirs.NETS or cls.__module__ == "shoal.sklearn.nets"
    return (
        is_ours
        and cls._fit_stochastic is stochastic.fit_stochastic
        and theirs.overridden(net, extensions.Extended) is None
        and not getattr(net, "class_weight", None)
        and not getattr(net, "_skl_callbacks", None)
        and not net.warm_start
        and not hasattr(net, "coefs_")
    )


class FastPath:
    """The tasks of one call of joblib's, which share what they can."""

    def __init__(self) -> None:
        self._folds: dict[Any, _Fold] = {}
        self._starts: dict[Any, _Start] = {}
        self._good: set[Any] = set()
        self._kept: list[Any] = []  # whose addresses are keys

    def prepare(self, work: Work) -> tuple[Any, Fit, _Fold]:
        """The net of a task, the training that it asks for, and its fold; or `Unknown`."""
        try:
            return self._prepare(work)
        except Unknown:
            raise
        except Exception as error:  # scikit-learn's function will come to it too
            raise Unknown from error

    def _prepare(self, work: Work) -> tuple[Any, Fit, _Fold]:
        estimator, given = work.estimator, work.more["parameters"] or {}
        of_net, before = given, {}
        if isinstance(estimator, Pipeline):
            prefix = estimator.steps[-1][0] + "__"
            of_net = {k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}
            before = {k: v for k, v in given.items() if not k.startswith(prefix)}
        fold = self._fold(work, before)
        net = object.__new__(type(fold.net))
        vars(net).update(vars(fold.net))
        for name, value in of_net.items():
            setattr(net, name, value)
        self._check(type(net), of_net)
        if extensions.beyond(net) or getattr(net, "class_weight", None):
            raise Unknown
        if net.solver == "lbfgs" or net.warm_start or net.early_stopping or net.verbose:
            raise Unknown
        if not isinstance(net.random_state, int | np.integer):
            raise Unknown
        start = self._start(net, fold)
        vars(net).update(start.attributes)
        for name in ("coefs_", "intercepts_"):
            setattr(net, name, [array.copy() for array in start.attributes[name]])
        net.loss_curve_ = []
        net._optimizer = stochastic.new_optimizer(net)
        return net, stochastic.prepare(net, fold.rows, None, generator=start.generator), fold

    def _fold(self, work: Work, before: dict[str, Any]) -> _Fold:
        train, test = work.more["train"], work.more["test"]
        key = (id(work.X), id(work.y), id(train), id(test), repr(sorted(before.items())))
        if key not in self._folds:
            self._kept.append((work.X, work.y, train, test))
            estimator = clone(work.estimator)
            if before:
                estimator.set_params(**clone(before, safe=False))
            net = estimator
            X_train, y_train = theirs.safe_split(estimator, work.X, work.y, train)
            X_test, y_test = theirs.safe_split(estimator, work.X, work.y, test, train)
            if isinstance(estimator, Pipeline):
                net, steps = estimator.steps[-1][1], estimator[:-1]
                if type(net) is not type(work.estimator.steps[-1][1]):
                    raise Unknown
                _check_deterministic(steps)
                X_train, X_test = steps.fit_transform(X_train, y_train), steps.transform(X_test)
            rows = _checked(net, X_train, y_train)
            checked = validate_data(net, X_test, accept_sparse=["csr", "csc"], reset=False)
            self._folds[key] = _Fold(net, rows, X_train, y_train, X_test, y_test, checked)
        return self._folds[key]

    def _check(self, cls: Any, parameters: dict[str, Any]) -> None:
        """Refuse parameters that a net would refuse; it takes a tenth of a millisecond."""
        for name, value in parameters.items():
            key = cls, name, repr(value)
            if key not in self._good:
                theirs.check_parameter(cls, name, value)
                self._good.add(key)

    def _start(self, net: Any, fold: _Fold) -> _Start:
        """Initial weights, drawn as scikit-learn draws them."""
        hidden = net.hidden_layer_sizes
        hidden = list(hidden) if hasattr(hidden, "__iter__") else [hidden]
        if any(units <= 0 for units in hidden):
            raise Unknown
        X, y, _ = fold.rows
        units = [X.shape[1], *hidden, y.shape[1]]
        key = (
            id(fold.net), int(net.random_state), tuple(units), net.activation == "logistic",
            net.solver,
        )  # fmt: skip
        if key not in self._starts:
            other = object.__new__(type(net))
            vars(other).update(vars(net))
            other._random_state = check_random_state(int(net.random_state))
            before = dict(vars(other))
            other._initialize(y, units, X.dtype)
            set_there = {
                name: value
                for name, value in vars(other).items()
                if name not in before or value is not before[name]
            }
            set_there |= {"_random_state": other._random_state}
            self._starts[key] = _Start(set_there, Generator.of(other._random_state))
        return self._starts[key]


def _check_deterministic(steps: Pipeline) -> None:
    """Refuse steps that draw: each task would draw anew."""
    for name, value in steps.get_params(deep=True).items():
        if name.endswith("random_state") and not isinstance(value, int | np.integer):
            raise Unknown


def _checked(net: Any, X: Any, y: Any) -> Rows:
    """Rows as scikit-learn's own checks leave them for a net, which then knows its classes."""
    found: list[Rows] = []

    def note(X: Any, y: Any, sample_weight: Any, *others: Any) -> None:
        reason = stochastic.reason_against(net, X, sample_weight)
        if reason is not None:
            raise Unknown
        found.append(stochastic.rows_of(X, y, sample_weight))

    random_state = net.random_state
    net._fit_stochastic, net.random_state = note, 0
    try:
        net.fit(X, y)
    finally:
        del net._fit_stochastic
        net.random_state = random_state
    if not found:
        raise Unknown
    for name in ("coefs_", "intercepts_", "_best_coefs", "_best_intercepts"):
        vars(net).pop(name, None)
    return found[0]


def result_of(
    work: Work, net: Any, fold: _Fold, fit: Fit, fitted: Fitted, seconds: float
) -> dict[str, Any]:
    """What `_fit_and_score` returns."""
    more, begin = work.more, time.perf_counter()
    stochastic.finish(net, fit, replace(fitted, generator=None))
    result: dict[str, Any] = {"fit_error": None}
    result["test_scores"] = _scores(work, net, fold.test, fold.X_test, fold.y_test)
    if more.get("return_train_score"):
        result["train_scores"] = _scores(work, net, fold.rows.X, fold.X_train, fold.y_train)
    if more.get("return_n_test_samples"):
        result["n_test_samples"] = len(fold.test)
    if more.get("return_times"):
        result["fit_time"], result["score_time"] = seconds, time.perf_counter() - begin
    if more.get("return_parameters"):
        result["parameters"] = more["parameters"]
    return result


def _scores(work: Work, net: Any, checked: Any, X: Any, y: Any) -> Any:
    scorer = work.more["scorer"]
    if theirs.is_own_score(scorer, net) and np.asarray(y).ndim == 1:
        outputs = net._forward_pass_fast(checked, check_input=False)
        if not isinstance(net, theirs.NETS[0]):
            return r2_score(y, outputs)
        several = outputs.shape[1] > 1
        found = outputs.argmax(axis=1) if several else (outputs[:, 0] > 0.5).astype(int)
        return float(np.mean(net.classes_[found] == np.asarray(y)))
    return theirs.score(net, X, y, scorer, {}, work.more["error_score"])
