"""scikit-learn's searches and cross-validation, whose nets are trained as one sweep."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ParamSpec, TypeVar

from sklearn import model_selection
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

from . import telling, theirs
from .fusion import FusionBackend, fused
from .stochastic import fit_stochastic

P = ParamSpec("P")
R = TypeVar("R")


def has_net(estimator: Any) -> bool:
    """Whether an estimator is, or holds, a net that Shoal trains and that is not fitted."""
    if not hasattr(estimator, "get_params") or isinstance(estimator, type):
        return False
    return any(
        isinstance(each, theirs.Base)
        and type(each)._fit_stochastic is fit_stochastic
        and not hasattr(each, "coefs_")
        for each in (estimator, *estimator.get_params(deep=True).values())
    )


def fusing(estimator: Any) -> AbstractContextManager[None]:
    """`fused` where it makes sense for an estimator, and no other backend was asked for."""
    backend = theirs.joblib_backend()
    if isinstance(backend, FusionBackend) or not has_net(estimator):
        return nullcontext()
    if backend is not None and not getattr(backend, "nesting_level", 0):
        name = type(backend).__name__
        telling.fall_back(
            estimator, "backend", f"joblib's {name} is asked for", "is not fused with others"
        )
        return nullcontext()
    return fused()


class _Fusing:
    """Mixed in before a search of scikit-learn's."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit all candidates, as one sweep, and choose: scikit-learn's ``fit``."""
        with fusing(self.estimator):  # type: ignore[attr-defined]
            return super().fit(X, y, **params)  # type: ignore[misc]


class GridSearchCV(_Fusing, model_selection.GridSearchCV):
    """scikit-learn's `GridSearchCV`, which trains its nets as one sweep.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from shoal.sklearn import GridSearchCV, MLPClassifier
    >>> net = MLPClassifier(learning_rate_init=0.01, tol=1e-3, random_state=0)
    >>> search = GridSearchCV(net, {"hidden_layer_sizes": [(8,), (16,)]})
    >>> len(search.fit(*load_iris(return_X_y=True)).cv_results_["params"])
    2
    """


class RandomizedSearchCV(_Fusing, model_selection.RandomizedSearchCV):
    """scikit-learn's `RandomizedSearchCV`, which trains its nets as one sweep."""


class HalvingGridSearchCV(_Fusing, model_selection.HalvingGridSearchCV):
    """scikit-learn's `HalvingGridSearchCV`, which trains its nets as one sweep an iteration."""


class HalvingRandomSearchCV(_Fusing, model_selection.HalvingRandomSearchCV):
    """scikit-learn's `HalvingRandomSearchCV`, which trains its nets as one sweep an iteration."""


def _fusing(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, whose nets are trained as one sweep."""

    @functools.wraps(function)
    def fuse(*args: P.args, **kwargs: P.kwargs) -> R:
        with fusing(args[0] if args else kwargs.get("estimator")):
            return function(*args, **kwargs)

    fuse.__doc__ = f"scikit-learn's ``{function.__name__}``, whose nets are trained as one sweep."
    return fuse


cross_val_predict = _fusing(model_selection.cross_val_predict)
cross_val_score = _fusing(model_selection.cross_val_score)
cross_validate = _fusing(model_selection.cross_validate)
