"""What is private in scikit-learn, and what is assumed of it."""

import inspect
import warnings
from typing import Any, Final

import joblib.parallel
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics._scorer import _BaseScorer, _MultimetricScorer, _PassthroughScorer
from sklearn.model_selection._validation import _fit_and_score, _score
from sklearn.neural_network import _multilayer_perceptron as module
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel
from sklearn.utils.validation import _check_sample_weight, check_random_state

from .telling import FallbackWarning

Base: Any = module.BaseMultilayerPerceptron
NETS: Final = (module.MLPClassifier, module.MLPRegressor)
FIT_AND_SCORE: Final = _fit_and_score
score: Final = _score
safe_split: Final = _safe_split
check_sample_weight: Final = _check_sample_weight
interval: Final = Interval
options: Final = StrOptions

# The methods that are replaced, with their parameters; the last one for each training.
_PARAMETERS: Final = {
    "_fit_stochastic": (
        "self", "X", "y", "sample_weight", "activations", "deltas", "coef_grads",
        "intercept_grads", "layer_units", "incremental",
    ),
    "_fit_lbfgs": (
        "self", "X", "y", "sample_weight", "activations", "deltas", "coef_grads",
        "intercept_grads", "layer_units",
    ),
    "_loss_grad_lbfgs": (
        "self", "packed_coef_inter", "X", "y", "sample_weight", "activations", "deltas",
        "coef_grads", "intercept_grads",
    ),
}  # fmt: skip
FIT_STOCHASTIC: Final = Base._fit_stochastic
FIT_LBFGS: Final = Base._fit_lbfgs
PARALLEL_CALL: Final = Parallel.__call__
LOSS_GRAD_LBFGS: Final = Base._loss_grad_lbfgs

# What the replaced methods call: a class with another one of these trains by it.
_CALLED: Final = (
    "_backprop", "_forward_pass", "_forward_pass_fast", "_compute_loss_grad", "_loss_grad_lbfgs",
    "_update_no_improvement_count", "_score", "_score_with_function", "_predict", "_unpack",
)  # fmt: skip
_OF_OPTIMIZERS: Final = {
    SGDOptimizer: (
        "self", "params", "learning_rate_init", "lr_schedule", "momentum", "nesterov", "power_t",
    ),
    AdamOptimizer: ("self", "params", "learning_rate_init", "beta_1", "beta_2", "epsilon"),
}  # fmt: skip


def _names(function: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def unknown() -> str | None:
    """What of this scikit-learn is not as it is assumed to be; None where all is."""
    for method in (FIT_STOCHASTIC, FIT_LBFGS, LOSS_GRAD_LBFGS):
        name = method.__name__
        if _names(method) != _PARAMETERS[name]:
            return f"{name} of its nets has the parameters {_names(method)}"
    for optimizer, parameters in _OF_OPTIMIZERS.items():
        if _names(optimizer.__init__) != parameters:
            return f"{optimizer.__name__} has the parameters {_names(optimizer.__init__)}"
    return None


def warn_of_unknown(problem: str) -> None:
    """Say that scikit-learn goes on to train its nets."""
    warnings.warn(
        f"scikit-learn trains its nets: this version is not known to Shoal, as {problem}",
        FallbackWarning,
        stacklevel=3,
    )


def let_train_by(solvers: Any) -> None:
    """Let nets with these solvers too be trained by `_fit_stochastic`. scikit-learn's own classes
    go on to refuse them."""
    known = module._STOCHASTIC_SOLVERS
    known += [each for each in solvers if each not in known]


def joblib_backend() -> Any:
    """The backend that was asked for; None where joblib's default is used."""
    config = getattr(getattr(joblib.parallel, "_backend", None), "config", {})
    backend = config.get("backend")
    return backend if isinstance(backend, joblib.parallel.ParallelBackendBase) else None


def overridden(net: Any, ours: Any) -> str | None:
    """A method of a net that has a say in the training, and is neither scikit-learn's nor that of
    our class; None of none."""
    theirs = next((cls for cls in NETS if isinstance(net, cls)), Base)
    for name in _CALLED:
        known = getattr(theirs, name, None), getattr(ours, name, None)
        if getattr(type(net), name, None) not in known:
            return name
    return None


def new_optimizer(net: Any, parameters: Any) -> Any:
    """The optimizer that a net begins a training with."""
    if net.solver == "sgd":
        return SGDOptimizer(
            parameters, net.learning_rate_init, net.learning_rate, net.momentum,
            net.nesterovs_momentum, net.power_t,
        )  # fmt: skip
    return AdamOptimizer(parameters, net.learning_rate_init, net.beta_1, net.beta_2, net.epsilon)


def scores_by_predictions(scorer: Any) -> bool:
    """Whether a scorer asks an estimator for nothing but predictions."""
    if isinstance(scorer, _MultimetricScorer):
        return all(map(scores_by_predictions, scorer._scorers.values()))
    return isinstance(scorer, _BaseScorer | _PassthroughScorer)


def is_own_score(scorer: Any, net: Any) -> bool:
    """Whether a scorer takes scikit-learn's accuracy or R squared of a net."""
    own = (ClassifierMixin.score, RegressorMixin.score)
    return isinstance(scorer, _PassthroughScorer) and type(net).score in own


def check_parameter(cls: Any, name: str, value: Any) -> None:
    """Raise what a net of this class would raise for a parameter."""
    constraints = cls._parameter_constraints
    validate_parameter_constraints(
        {name: constraints[name]}, {name: value}, caller_name=cls.__name__
    )


def is_global(random_state: Any) -> bool:
    """Whether a RandomState is the one of numpy's functions, such as `numpy.random.seed`."""
    return bool(random_state is check_random_state(None))
