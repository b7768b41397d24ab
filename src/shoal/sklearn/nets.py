"""Subclasses of scikit-learn's nets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from sklearn import neural_network
from sklearn.utils.metaestimators import available_if

from . import extensions, theirs
from .callbacks import CallbackSupportMixin, Epochs
from .extensions import Extended, from_scikit_learn, to_scikit_learn
from .lbfgs import fit_lbfgs
from .stochastic import fit_stochastic


class _Net(Extended, CallbackSupportMixin):
    """Mixed in before a net of scikit-learn's."""

    _fit_stochastic = fit_stochastic
    _fit_lbfgs = fit_lbfgs

    def fit(
        self: Any,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train the net.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, zeros and ones of several labels, or numbers.
        sample_weight : array-like of shape (n_samples,), optional
        X_val, y_val, sample_weight_val : array-like, optional
            Rows that are scored after each epoch: ``validation_loss_curve_`` and
            ``validation_scores_``. With `early_stopping` they are what is watched, and all rows of
            `X` are trained on.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Where scikit-learn raises it, or where parameters of Shoal's do not go together.
        """
        with self._watching(X_val, y_val, sample_weight_val):
            return super().fit(X, y, sample_weight)

    def _fit(
        self: Any, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False
    ) -> Any:
        if incremental or not getattr(self, "_skl_callbacks", None):
            return super()._fit(X, y, sample_weight, incremental)
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._epochs = Epochs(self, X, y, metadata)
        try:
            super()._fit(X, y, sample_weight, incremental)
            self._epochs.finish()
        finally:
            del self._epochs
        return self

    @contextmanager
    def _watching(self: Any, X_val: Any, y_val: Any, weights: Any) -> Iterator[None]:
        """In the block, the net knows rows to be scored after each epoch, if they are given."""
        if (X_val is None) != (y_val is None) or (X_val is None and weights is not None):
            raise ValueError("X_val and y_val must be given together")
        if X_val is not None:
            self._held_out = X_val, y_val, weights
        try:
            yield
        finally:
            vars(self).pop("_held_out", None)

    def to_sklearn(self) -> Any:
        """Return the same net as one of scikit-learn's own class, which needs no Shoal.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor
            With copies of all that this net has: parameters, arrays, optimizer. Parameters that are
            Shoal's alone and matter in training only are left out, or scikit-learn's defaults.

        Raises
        ------
        ValueError
            Where scikit-learn knows no such layers: `batch_norm`, its own `activation`.
        """
        return to_scikit_learn(self, _original(type(self)))

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
        changed: Self = from_scikit_learn(net, cls)
        return changed


def _original(cls: type) -> Any:
    """scikit-learn's class that a class here stands for."""
    of_both = (neural_network.MLPClassifier, neural_network.MLPRegressor)
    return next(each for each in of_both if issubclass(cls, each))


class MLPClassifier(_Net, neural_network.MLPClassifier):
    """scikit-learn's `MLPClassifier`, trained by Shoal.

    Parameters, attributes and methods are scikit-learn's, and so are the numbers: the same
    ``random_state`` gives the same weights to 1e-9 (float64), the same loss curve and the same
    predictions. That is so unless one of the parameters below is set, which scikit-learn lacks.

    Parameters
    ----------
    hidden_layer_sizes, alpha, batch_size, learning_rate_init, power_t, max_iter, shuffle, \
random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, validation_fraction, beta_1, \
beta_2, epsilon, n_iter_no_change, max_fun
        As scikit-learn has them, with its defaults.
    activation : str or list of str, default="relu"
        Of the hidden layers: one, or one a layer. Besides scikit-learn's: ``"leaky_relu"``,
        ``"elu"``, ``"selu"``, ``"gelu"``, ``"silu"``, ``"softplus"``.
    solver : str, default="adam"
        Besides scikit-learn's: ``"adamw"``, ``"rmsprop"``, ``"adagrad"``, and ``"rprop"``, which
        takes all rows in one batch.
    learning_rate : str, default="constant"
        Besides scikit-learn's (of sgd, here also of adamw, rmsprop and adagrad), and of all solvers
        but lbfgs and rprop: ``"step"``, ``"exponential"``, ``"cosine"``.
    early_stopping : bool or "loss", default=False
        ``"loss"``: as True, but by the loss of the rows held out, not by their score.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in training, times `sample_weight`.
    dropout : float or list of float, default=0.0
        Probability that a unit is 0 for a row in training: of all hidden layers, or a list of one
        for the inputs and one a hidden layer.
    output_activation : str, default="auto"
        Of the outputs: ``"logistic"`` or ``"softmax"``; ``"auto"`` is scikit-learn's.
    batch_norm : bool, default=False
        Whether hidden layers are normalised by their batch, before the activation.
    weight_decay : float, default=0.0
        ``w *= 1 - rate * weight_decay`` at each step of sgd, adamw, rmsprop and adagrad.
    clip_norm : float or None, default=None
        The largest norm of a step's gradient.
    warmup_epochs : int, default=0
        First epochs, in which the learning rate rises.
    step_size : int, default=10
        Of ``learning_rate="step"``: epochs between drops.
    gamma : float, default=0.9
        Of ``"step"`` and ``"exponential"``: factor of a drop.
    min_learning_rate : float, default=0.0
        Of ``"cosine"``: where it ends.
    rho : float, default=0.9
        Of rmsprop: decay of the mean squared gradient.
    n_jobs : int or None, default=None
        Threads that train the net; None and -1: all. In a search its own ``n_jobs`` counts.

    Attributes
    ----------
    validation_loss_curve_ : list of float or None
        Mean loss, without penalty, of the rows held out after each epoch.
    batch_norms_ : list of BatchNorm
        With `batch_norm`: scale, shift, running mean and variance of each hidden layer.
    classes_, coefs_, intercepts_, loss_, loss_curve_, best_loss_, validation_scores_, \
best_validation_score_, n_iter_, t_, out_activation_, n_layers_, n_outputs_
        scikit-learn's.

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
    >>> net.set_params(dropout=0.1, class_weight="balanced", early_stopping="loss").fit(X, y)
    ... # doctest: +ELLIPSIS
    MLPClassifier(...)
    >>> len(net.validation_loss_curve_) == net.n_iter_
    True
    """

    _parameter_constraints = extensions.constraints(neural_network.MLPClassifier)

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: Any = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: Any = 0.001,
        power_t: Any = 0.5,
        max_iter: Any = 200,
        shuffle: Any = True,
        random_state: Any = None,
        tol: Any = 1e-4,
        verbose: Any = False,
        warm_start: Any = False,
        momentum: Any = 0.9,
        nesterovs_momentum: Any = True,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: Any = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: Any = 15000,
        class_weight: Any = None,
        dropout: Any = 0.0,
        output_activation: Any = "auto",
        batch_norm: Any = False,
        weight_decay: Any = 0.0,
        clip_norm: Any = None,
        warmup_epochs: Any = 0,
        step_size: Any = 10,
        gamma: Any = 0.9,
        min_learning_rate: Any = 0.0,
        rho: Any = 0.9,
        n_jobs: Any = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self.class_weight = class_weight
        self.dropout = dropout
        self.output_activation = output_activation
        self.batch_norm = batch_norm
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.warmup_epochs = warmup_epochs
        self.step_size = step_size
        self.gamma = gamma
        self.min_learning_rate = min_learning_rate
        self.rho = rho
        self.n_jobs = n_jobs

    @available_if(lambda net: net._check_solver())
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train the net for one epoch, on from where it is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        classes : array-like of shape (n_classes,), optional
            All of them, in the first call.
        X_val, y_val, sample_weight_val : array-like, optional
            Rows that are scored after the epoch: ``validation_loss_curve_`` and
            ``validation_scores_``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Where scikit-learn raises it, or for a parameter that needs to know all epochs.
        """
        with self._watching(X_val, y_val, sample_weight_val):
            return super().partial_fit(X, y, sample_weight, classes)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, or of each of several labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes)
            Of ``output_activation="logistic"`` and more than two classes: divided by their sum.
        """
        found = super().predict_proba(X)
        one_each = self._label_binarizer.y_type_ == "multiclass"
        if one_each and self.out_activation_ == "logistic":
            return found / found.sum(axis=1, keepdims=True)
        return found


class MLPRegressor(_Net, neural_network.MLPRegressor):
    """scikit-learn's `MLPRegressor`, trained by Shoal.

    Parameters, attributes and methods are scikit-learn's, and so are the numbers: the same
    ``random_state`` gives the same weights to 1e-9 (float64), the same loss curve and the same
    predictions. That is so unless one of the parameters below is set, which scikit-learn lacks.

    Parameters
    ----------
    hidden_layer_sizes, alpha, batch_size, learning_rate_init, power_t, max_iter, shuffle, \
random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, validation_fraction, beta_1, \
beta_2, epsilon, n_iter_no_change, max_fun
        As scikit-learn has them, with its defaults.
    activation : str or list of str, default="relu"
        Of the hidden layers: one, or one a layer. Besides scikit-learn's: ``"leaky_relu"``,
        ``"elu"``, ``"selu"``, ``"gelu"``, ``"silu"``, ``"softplus"``.
    solver : str, default="adam"
        Besides scikit-learn's: ``"adamw"``, ``"rmsprop"``, ``"adagrad"``, and ``"rprop"``, which
        takes all rows in one batch.
    learning_rate : str, default="constant"
        Besides scikit-learn's (of sgd, here also of adamw, rmsprop and adagrad), and of all solvers
        but lbfgs and rprop: ``"step"``, ``"exponential"``, ``"cosine"``.
    early_stopping : bool or "loss", default=False
        ``"loss"``: as True, but by the loss of the rows held out, not by their score.
    loss : str, default="squared_error"
        Besides scikit-learn's: ``"absolute_error"``, ``"huber"``, ``"quantile"``.
    huber_delta : float, default=1.0
        Of ``"huber"``: where it becomes linear.
    quantile : float, default=0.5
        Of ``"quantile"``: which.
    dropout : float or list of float, default=0.0
        Probability that a unit is 0 for a row in training: of all hidden layers, or a list of one
        for the inputs and one a hidden layer.
    output_activation : str, default="auto"
        Of the outputs: ``"identity"``, ``"exp"``, ``"logistic"`` or
        ``"softmax"``; ``"auto"`` is scikit-learn's.
    batch_norm : bool, default=False
        Whether hidden layers are normalised by their batch, before the activation.
    weight_decay : float, default=0.0
        ``w *= 1 - rate * weight_decay`` at each step of sgd, adamw, rmsprop and adagrad.
    clip_norm : float or None, default=None
        The largest norm of a step's gradient.
    warmup_epochs : int, default=0
        First epochs, in which the learning rate rises.
    step_size : int, default=10
        Of ``learning_rate="step"``: epochs between drops.
    gamma : float, default=0.9
        Of ``"step"`` and ``"exponential"``: factor of a drop.
    min_learning_rate : float, default=0.0
        Of ``"cosine"``: where it ends.
    rho : float, default=0.9
        Of rmsprop: decay of the mean squared gradient.
    n_jobs : int or None, default=None
        Threads that train the net; None and -1: all. In a search its own ``n_jobs`` counts.

    Attributes
    ----------
    validation_loss_curve_ : list of float or None
        Mean loss, without penalty, of the rows held out after each epoch.
    batch_norms_ : list of BatchNorm
        With `batch_norm`: scale, shift, running mean and variance of each hidden layer.
    coefs_, intercepts_, loss_, loss_curve_, best_loss_, validation_scores_, \
best_validation_score_, n_iter_, t_, out_activation_, n_layers_, n_outputs_
        scikit-learn's.

    Examples
    --------
    >>> import numpy as np
    >>> from shoal.sklearn import MLPRegressor
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> net = MLPRegressor(solver="lbfgs", tol=1e-3, random_state=0).fit(X, X.ravel() ** 2)
    >>> net.score(X, X.ravel() ** 2) > 0.99
    True
    """

    _parameter_constraints = extensions.constraints(neural_network.MLPRegressor)

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: Any = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: Any = 0.001,
        power_t: Any = 0.5,
        max_iter: Any = 200,
        shuffle: Any = True,
        random_state: Any = None,
        tol: Any = 1e-4,
        verbose: Any = False,
        warm_start: Any = False,
        momentum: Any = 0.9,
        nesterovs_momentum: Any = True,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: Any = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: Any = 15000,
        huber_delta: Any = 1.0,
        quantile: Any = 0.5,
        dropout: Any = 0.0,
        output_activation: Any = "auto",
        batch_norm: Any = False,
        weight_decay: Any = 0.0,
        clip_norm: Any = None,
        warmup_epochs: Any = 0,
        step_size: Any = 10,
        gamma: Any = 0.9,
        min_learning_rate: Any = 0.0,
        rho: Any = 0.9,
        n_jobs: Any = None,
    ) -> None:
        super().__init__(
            loss=loss,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self.huber_delta = huber_delta
        self.quantile = quantile
        self.dropout = dropout
        self.output_activation = output_activation
        self.batch_norm = batch_norm
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.warmup_epochs = warmup_epochs
        self.step_size = step_size
        self.gamma = gamma
        self.min_learning_rate = min_learning_rate
        self.rho = rho
        self.n_jobs = n_jobs

    @available_if(lambda net: net._check_solver())
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train the net for one epoch, on from where it is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        X_val, y_val, sample_weight_val : array-like, optional
            Rows that are scored after the epoch: ``validation_loss_curve_`` and
            ``validation_scores_``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Where scikit-learn raises it, or for a parameter that needs to know all epochs.
        """
        with self._watching(X_val, y_val, sample_weight_val):
            return super().partial_fit(X, y, sample_weight)


theirs.let_train_by(extensions.SOLVERS)
