"""What Shoal's nets take besides the parameters of scikit-learn's nets, and what that means."""

import copy
from dataclasses import dataclass, field
from numbers import Integral, Real
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted, validate_data

from ..inputs import settings as shoal_settings
from ..kernels.code.environment import default_threads
from ..planning.parameters import BatchNorm
from ..running.prediction import predict
from . import theirs
from .fits import Parameters

Floats = NDArray[Any]

# Shoal's names of what scikit-learn calls otherwise; other names are the same.
_NAMES: Final = {"logistic": "sigmoid"}
_OF_SCIKIT_LEARN: Final = {
    "activation": ("identity", "logistic", "tanh", "relu"),
    "solver": ("lbfgs", "sgd", "adam"),
    "learning_rate": ("constant", "invscaling", "adaptive"),
    "loss": ("log_loss", "squared_error", "poisson"),
}
_SCHEDULES: Final = ("step", "exponential", "cosine")  # which know the number of epochs
SOLVERS: Final = ("rmsprop", "adagrad", "adamw", "rprop")
_LOSSES: Final = ("absolute_error", "huber", "quantile")
_ACTIVATIONS: Final = (*shoal_settings.ACTIVATIONS, "logistic")

# Parameters with which a net trains, or predicts, as none of scikit-learn's does.
_CHANGING: Final = {
    "dropout": 0.0,
    "output_activation": "auto",
    "batch_norm": False,
    "weight_decay": 0.0,
    "clip_norm": None,
    "warmup_epochs": 0,
}
_OF_SCHEDULES: Final = {"step_size": 10, "gamma": 0.9, "min_learning_rate": 0.0}
DEFAULTS: Final = {**_CHANGING, **_OF_SCHEDULES, "rho": 0.9, "n_jobs": None}
DEFAULTS_OF_CLASSIFIER: Final = {**DEFAULTS, "class_weight": None}
DEFAULTS_OF_REGRESSOR: Final = {**DEFAULTS, "huber_delta": 1.0, "quantile": 0.5}


def constraints(cls: Any) -> dict[str, Any]:
    """What the parameters of a class may be, in the words of scikit-learn's checks."""
    interval, options = theirs.interval, theirs.options
    part = interval(Real, 0, 1, closed="left")
    inside = interval(Real, 0, 1, closed="neither")
    positive = interval(Real, 0, None, closed="neither")
    rate = interval(Real, 0, None, closed="left")
    known = cls._parameter_constraints
    found = {
        **known,
        "activation": [options(set(_ACTIVATIONS)), "array-like"],
        "solver": [options({*_OF_SCIKIT_LEARN["solver"], *SOLVERS})],
        "learning_rate": [options({*_OF_SCIKIT_LEARN["learning_rate"], *_SCHEDULES})],
        "early_stopping": [*known["early_stopping"], options({"loss"})],
        "dropout": [part, "array-like"],
        "batch_norm": ["boolean"],
        "weight_decay": [rate],
        "clip_norm": [positive, None],
        "warmup_epochs": [interval(Integral, 0, None, closed="left")],
        "step_size": [interval(Integral, 1, None, closed="left")],
        "gamma": [interval(Real, 0, 1, closed="right")],
        "min_learning_rate": [rate],
        "rho": [part],
        "n_jobs": [Integral, None],
    }
    if issubclass(cls, theirs.NETS[0]):
        outputs = {"auto", "logistic", "sigmoid", "softmax"}
        found["class_weight"] = [dict, list, options({"balanced"}), None]
    else:
        outputs = {"auto", "identity", "logistic", "sigmoid", "softmax", "exp"}
        found["loss"] = [options({"squared_error", "poisson", *_LOSSES})]
        found["huber_delta"] = [positive]
        found["quantile"] = [inside]
    return found | {"output_activation": [options(outputs)]}


class Extended:
    """Mixed in before a net of scikit-learn's: what its parameters mean to the whole net."""

    def _initialize(self: Any, y: Any, layer_units: Any, dtype: Any) -> None:
        super()._initialize(y, layer_units, dtype)  # type: ignore[misc]
        if self.output_activation != "auto":
            name = self.output_activation
            self.out_activation_ = "logistic" if name == "sigmoid" else name
        vars(self).pop("batch_norms_", None)
        if self.batch_norm:
            one, zero = (np.ones, np.zeros)
            self.batch_norms_ = [
                BatchNorm(*(make(units, dtype) for make in (one, zero, zero, one)))
                for units in layer_units[1:-1]
            ]
        curve: list[float] | None = None
        if self.early_stopping or "_held_out" in vars(self):
            curve = []
        self.validation_loss_curve_ = curve
        if self.early_stopping == "loss":
            self.best_loss_ = np.inf

    def _init_coef(self: Any, fan_in: int, fan_out: int, dtype: Any) -> Any:
        names = [self.activation] if isinstance(self.activation, str) else list(self.activation)
        # scikit-learn's narrower weights of logistic units, also where they are called otherwise
        logistic = bool(names) and all(_NAMES.get(name, name) == "sigmoid" for name in names)
        like = SimpleNamespace(
            activation="logistic" if logistic else "relu", _random_state=self._random_state
        )
        return theirs.Base._init_coef(like, fan_in, fan_out, dtype)

    def _forward_pass_fast(self: Any, X: Any, check_input: bool = True) -> Any:
        if not _predicts_otherwise(self):
            return super()._forward_pass_fast(X, check_input=check_input)  # type: ignore[misc]
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return _outputs(self, X, len(self.coefs_))

    def activations(self: Any, X: Any) -> list[Floats]:
        """Return the values of all layers but the first for some rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        list of arrays of shape (n_samples, units)
            Of each hidden layer behind its activation, then of the outputs.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Where the net is not fitted.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return [_outputs(self, X, k) for k in range(1, len(self.coefs_) + 1)]


def is_extended(net: Any) -> bool:
    """Whether a net has the parameters of this module."""
    return isinstance(net, Extended)


def _is(value: Any, default: Any) -> bool:
    """Whether a parameter has its default value; arrays and lists have not."""
    return (value is None or np.isscalar(value)) and value == default


def beyond(net: Any) -> dict[str, Any]:
    """Parameters by which a net is none of scikit-learn's, with their values."""
    if not is_extended(net):
        return {}
    own = vars(net)
    found = {name: own[name] for name, value in _CHANGING.items() if not _is(own[name], value)}
    for name, known in _OF_SCIKIT_LEARN.items():
        value = own[name]
        if not isinstance(value, str) or value not in known:
            found[name] = value
    if isinstance(net.early_stopping, str):
        found["early_stopping"] = net.early_stopping
    if "_held_out" in own:
        found["X_val"] = "given"
    return found


def _predicts_otherwise(net: Any) -> bool:
    """Whether scikit-learn's own forward pass does not know the net's layers."""
    return "batch_norms_" in vars(net) or (
        not isinstance(net.activation, str) or net.activation not in _OF_SCIKIT_LEARN["activation"]
    )


def _outputs(net: Any, X: Any, layers: int) -> Floats:
    """Values of the last one of so many layers."""
    X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    dtype = np.result_type(X.dtype, net.coefs_[0].dtype)
    weights, biases = (
        [np.asarray(array, dtype) for array in arrays[:layers]]
        for arrays in (net.coefs_, net.intercepts_)
    )
    names, output = activations_of(net), name_of_output(net)
    norms = vars(net).get("batch_norms_")
    if layers < len(net.coefs_):  # a hidden one: its values go through outputs that change nothing
        units, output = len(net.intercepts_[layers - 1]), "identity"
        weights.append(np.eye(units, dtype=dtype))
        biases.append(np.zeros(units, dtype))
        norms = norms and norms[:layers]
    names = names[: len(weights) - 1]
    X = np.ascontiguousarray(X, dtype)
    return predict(X, weights, biases, names, output, norms, threads_of(net))


def activations_of(net: Any) -> tuple[str, ...]:
    """Shoal's name of the activation of each hidden layer."""
    layers, given = len(net.coefs_) - 1, net.activation
    names = [given] * layers if isinstance(given, str) else list(given)
    if len(names) != layers:
        raise ValueError(
            f"activation = {given!r} must be one name, or one for each of the {layers} hidden "
            "layers"
        )
    for name in names:
        if name not in _ACTIVATIONS:
            raise ValueError(
                f"activation = {given!r} must have names out of {', '.join(sorted(_ACTIVATIONS))}"
            )
    return tuple(_NAMES.get(name, name) for name in names)


def name_of_output(net: Any) -> str:
    """Shoal's name of the activation of the output layer."""
    return _NAMES.get(net.out_activation_, net.out_activation_)


def threads_of(net: Any) -> int | None:
    """The threads that a net asks for; None: all."""
    count = net.n_jobs if is_extended(net) else None
    if count == 0:
        raise ValueError("n_jobs = 0 must be None (all threads), a number of them, or -1 (all)")
    return max(1, default_threads() + 1 + count) if count is not None and count < 0 else count


def settings_of(net: Any) -> dict[str, Any]:
    """The settings by which a net is none of scikit-learn's, but for its layers' and its loss."""
    found: dict[str, Any] = {}
    if not _is(net.dropout, 0.0):
        is_one = np.isscalar(net.dropout)
        found["dropout"] = float(net.dropout) if is_one else tuple(map(float, net.dropout))
        found["seed"] = _seed_of_dropout(net)
    if "batch_norms_" in vars(net):
        found["batch_norm"] = True
    if net.weight_decay:
        found["weight_decay"] = float(net.weight_decay)
    if net.clip_norm is not None:
        found["clip_norm"] = float(net.clip_norm)
    if net.warmup_epochs:
        found["warmup_epochs"] = int(net.warmup_epochs)
    is_their_solver = net.solver in ("adam", "rprop")  # which knows no schedule of scikit-learn's
    if net.learning_rate in _SCHEDULES or not is_their_solver:
        found["schedule"] = net.learning_rate
        found["power"] = float(net.power_t)
        found |= {name: getattr(net, name) for name in _OF_SCHEDULES}
    if net.solver in ("rmsprop", "adagrad", "adamw"):
        names = ("rho", "beta_1", "beta_2", "epsilon")
        found |= {name: float(getattr(net, name)) for name in names}
    return found


def _seed_of_dropout(net: Any) -> int:
    """Drawn behind all else, so that weights and row orders stay; another one in each call of
    partial_fit."""
    generator = copy.deepcopy(net._random_state)
    return (int(generator.randint(2**31)) << 32) + int(net.t_) % 2**32


@dataclass(eq=False)
class Optimizer:
    """What a solver keeps between calls of partial_fit, where scikit-learn has no class for it.

    Attributes
    ----------
    learning_rate : float
        Of the next epoch, of schedules that go on.
    moments : list of Parameters
    corrections : (float, float) or None
        Of adam.
    t : int
        Steps.
    """

    learning_rate: float
    moments: list[Parameters] = field(default_factory=list)
    corrections: tuple[float, float] | None = None
    t: int = 0


def needs_own_optimizer(net: Any) -> bool:
    """Whether scikit-learn has no class for what the net's solver keeps."""
    return is_extended(net) and (net.solver in SOLVERS or "batch_norms_" in vars(net))


def check(net: Any, rows: int, incremental: bool) -> None:
    """Refuse parameters that do not go together. rows : to train on, all of them."""
    solver, activations = net.solver, activations_of(net)

    def refuse(name: str, right: str) -> None:
        raise ValueError(f"{name} = {getattr(net, name)!r} must be {right}")

    if not np.isscalar(net.dropout):
        rates = np.asarray(net.dropout, float)
        if rates.shape != (len(activations) + 1,):
            refuse("dropout", f"one number, or {len(activations) + 1}: of the inputs, and of each "
                              "hidden layer")  # fmt: skip
        if not ((rates >= 0) & (rates < 1)).all():
            refuse("dropout", "of numbers >= 0 and < 1")
    if net.out_activation_ == "softmax" and net.n_outputs_ == 1:
        refuse("output_activation", "another one than 'softmax' where there is one output")
    if getattr(net, "loss", "") == "poisson" and net.out_activation_ != "exp":
        refuse("output_activation", "'exp' or 'auto' where loss = 'poisson'")
    if net.weight_decay and solver in ("adam", "rprop"):
        hint = ": use solver = 'adamw', or alpha" if solver == "adam" else ": use alpha"
        refuse("weight_decay", f"0 where solver = {solver!r}{hint}")
    if solver == "rprop":
        if net.batch_size != "auto" and net.batch_size < rows:
            refuse("batch_size", f"'auto' or at least the {rows} rows where solver = 'rprop'")
        if net.learning_rate in _SCHEDULES:
            refuse("learning_rate", "'constant' where solver = 'rprop'")
        if net.warmup_epochs:
            refuse("warmup_epochs", "0 where solver = 'rprop'")
    if net.batch_norm and net.batch_size == 1:
        refuse("batch_size", "at least 2 where batch_norm = True")
    if net.learning_rate == "cosine" and net.min_learning_rate > net.learning_rate_init:
        refuse("min_learning_rate", f"at most learning_rate_init = {net.learning_rate_init}")
    if solver == "lbfgs":
        known = ("activation", "loss", "output_activation")
        for name, value in beyond(net).items():
            if name not in known:
                raise ValueError(f"{name} = {value!r} needs a solver other than 'lbfgs'")
    if incremental:
        if net.learning_rate in _SCHEDULES:
            refuse("learning_rate", "'constant', 'invscaling' or 'adaptive' in partial_fit, which "
                                    "knows no number of epochs")  # fmt: skip
        if net.warmup_epochs:
            refuse("warmup_epochs", "0 in partial_fit, which knows no first epoch")


def weights_of_rows(net: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
    """Sample weights, times those of the classes, if a net has any. y : as a net is trained on."""
    class_weight = getattr(net, "class_weight", None) if is_extended(net) else None
    if class_weight is None:
        return sample_weight
    if incremental and isinstance(class_weight, str):
        raise ValueError(
            f"class_weight = {class_weight!r} must be a dict in partial_fit, which does not know "
            "how many rows a class has"
        )
    labels = y.astype(int)
    if net._label_binarizer.y_type_ != "multilabel-indicator":
        labels = net.classes_[labels.argmax(axis=1) if y.shape[1] > 1 else labels[:, 0]]
    of_classes = compute_sample_weight(class_weight, labels)
    return of_classes if sample_weight is None else sample_weight * of_classes


def held_out_by_user(net: Any, X: Any) -> tuple[Any, Any, Any] | None:
    """Rows, targets and weights to watch that `fit` was given, checked; None where it was not."""
    if "_held_out" not in vars(net):
        return None
    X_val, y_val, weights = net._held_out
    X_val = validate_data(net, X_val, accept_sparse=["csr", "csc"], dtype=X.dtype, reset=False)
    y_val = check_array(y_val, ensure_2d=False, dtype=None, input_name="y_val")
    check_consistent_length(X_val, y_val, weights)
    if not isinstance(net, theirs.NETS[0]):
        y_val = y_val.astype(X.dtype).reshape(len(y_val), -1)
        if y_val.shape[1] != net.n_outputs_:
            raise ValueError(
                f"y_val with {y_val.shape[1]} columns must have {net.n_outputs_}, as y has"
            )
    else:
        if net._label_binarizer.y_type_ != "multilabel-indicator":
            y_val = column_or_1d(y_val)
            unknown = np.setdiff1d(y_val, net.classes_)
            if len(unknown):
                raise ValueError(f"y_val has {unknown.tolist()[0]!r}, which is no class of y")
        y_val = net._label_binarizer.transform(y_val).astype(bool)
    if weights is not None:
        weights = theirs.check_sample_weight(weights, X_val)
    return X_val, y_val, weights


def to_scikit_learn(net: Any, cls: Any) -> Any:
    """A copy of a net, of a class of scikit-learn's."""
    if _predicts_otherwise(net):
        name = "batch_norm" if "batch_norms_" in vars(net) else "activation"
        raise ValueError(f"{name} = {getattr(net, name)!r} is unknown to scikit-learn")
    changed = cls()
    attributes = copy.deepcopy(vars(net))
    for name in (*DEFAULTS_OF_CLASSIFIER, *DEFAULTS_OF_REGRESSOR, "validation_loss_curve_"):
        attributes.pop(name, None)
    for name, known in _OF_SCIKIT_LEARN.items():
        if name in attributes and attributes[name] not in known:
            attributes[name] = getattr(changed, name)
    attributes["early_stopping"] = bool(net.early_stopping)
    if isinstance(attributes.get("_optimizer"), Optimizer):
        del attributes["_optimizer"]
    vars(changed).update(attributes)
    return changed


def from_scikit_learn(net: Any, cls: Any) -> Any:
    """A copy of a net of scikit-learn's, of another class."""
    changed = cls()
    vars(changed).update(copy.deepcopy(vars(net)))
    if "coefs_" in vars(net):
        changed.validation_loss_curve_ = None
    return changed
