"""Subclasses of scikit-learn's nets."""

import copy
from typing import Any, Self

from sklearn import neural_network

from .lbfgs import fit_lbfgs
from .stochastic import fit_stochastic


class _Net:
    """Mixed in before a net of scikit-learn's."""

    _fit_stochastic = fit_stochastic
    _fit_lbfgs = fit_lbfgs

    def to_sklearn(self) -> Any:
        """Return the same net as one of scikit-learn's own class, which needs no Shoal.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor
            With copies of all that this net has: parameters, arrays, optimizer.
        """
        return _changed(self, _original(type(self)))

    @classmethod
    def from_sklearn(cls, net: Any) -> Self:
        """Return a net of scikit-learn's as one of this class.

        Parameters
        ----------
        net : sklearn.neural_network.MLPClassifier or MLPRegressor
            Fitted or not.

        Returns
        -------
        MLPClassifier or MLPRegressor
            With copies of all that the net has: parameters, arrays, optimizer.

        Raises
        ------
        TypeError
            Where the net is of another class.
        """
        if type(net) is not _original(cls):
            raise TypeError(f"net = {net!r} must be a {cls.__name__} of scikit-learn's own class")
        changed: Self = _changed(net, cls)
        return changed


def _original(cls: type) -> Any:
    """scikit-learn's class that a class here stands for."""
    of_both = (neural_network.MLPClassifier, neural_network.MLPRegressor)
    return next(each for each in of_both if issubclass(cls, each))


def _changed(net: Any, cls: Any) -> Any:
    """A copy of a net, of another class."""
    changed = cls.__new__(cls)
    vars(changed).update(copy.deepcopy(vars(net)))
    return changed


class MLPClassifier(_Net, neural_network.MLPClassifier):
    """scikit-learn's `MLPClassifier`, trained by Shoal.

    Parameters, attributes and methods are scikit-learn's, and so are the numbers: the same
    ``random_state`` gives the same weights to 1e-9 (float64), the same loss curve and the same
    predictions.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from shoal.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((8,), learning_rate_init=0.01, tol=1e-3, random_state=0).fit(X, y)
    >>> net.score(X, y) > 0.9
    True
    >>> type(net.to_sklearn()).__module__.partition(".")[0]
    'sklearn'
    """


class MLPRegressor(_Net, neural_network.MLPRegressor):
    """scikit-learn's `MLPRegressor`, trained by Shoal.

    Parameters, attributes and methods are scikit-learn's, and so are the numbers: the same
    ``random_state`` gives the same weights to 1e-9 (float64), the same loss curve and the same
    predictions.

    Examples
    --------
    >>> import numpy as np
    >>> from shoal.sklearn import MLPRegressor
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> net = MLPRegressor(solver="lbfgs", tol=1e-3, random_state=0).fit(X, X.ravel() ** 2)
    >>> net.score(X, X.ravel() ** 2) > 0.99
    True
    """
