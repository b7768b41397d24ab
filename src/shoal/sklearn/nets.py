"""Subclasses of scikit-learn's nets."""

from sklearn import neural_network

from .lbfgs import fit_lbfgs
from .stochastic import fit_stochastic


class MLPClassifier(neural_network.MLPClassifier):
    """scikit-learn's classifier, trained by Shoal."""

    _fit_stochastic = fit_stochastic
    _fit_lbfgs = fit_lbfgs


class MLPRegressor(neural_network.MLPRegressor):
    """scikit-learn's regressor, trained by Shoal."""

    _fit_stochastic = fit_stochastic
    _fit_lbfgs = fit_lbfgs
