"""Every setting of a net: its default, the tutorial's value, its check, its meaning.

A check takes what the user wrote and returns the one form that the rest of Shoal works with:
tuples, Python ints, floats and strings. Nothing behind the door checks a setting again. What no
single value can tell, conflicts, `check_together` and `check_rows` find.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn

from . import checks
from .checks import show

ACTIVATIONS: Final = (
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "identity",
)  # fmt: skip
OUTPUTS: Final = ("auto", "identity", "sigmoid", "softmax", "exp")
LOSSES: Final = (
    "auto", "squared_error", "absolute_error", "huber", "poisson", "quantile", "cross_entropy",
)  # fmt: skip
INITS: Final = (
    "auto", "uniform", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal",
)  # fmt: skip
REDUCTIONS: Final = ("mean", "sum")
OPTIMIZERS: Final = ("sgd", "rmsprop", "adagrad", "adam", "adamw", "rprop")
SCHEDULES: Final = ("constant", "step", "exponential", "cosine", "invscaling", "adaptive")

UNSET: Final = object()  # in the tutorial's column: the tutorial has no such thing

# What other libraries call a setting; their users get the name that is right here.
_ELSEWHERE: Final = {
    "alpha": "learning_rate",
    "batch_normalization": "batch_norm",
    "batchnorm": "batch_norm",
    "betas": "beta_1",
    "clipnorm": "clip_norm",
    "criterion": "loss",
    "dropout_rate": "dropout",
    "early_stopping": "patience",
    "early_stopping_rounds": "patience",
    "eps": "epsilon",
    "eta": "learning_rate",
    "eta_min": "min_learning_rate",
    "hidden_layer_sizes": "hidden",
    "learning_rate_init": "learning_rate",
    "lr": "learning_rate",
    "lr_schedule": "schedule",
    "lr_scheduler": "schedule",
    "max_grad_norm": "clip_norm",
    "max_iter": "epochs",
    "max_norm": "clip_norm",
    "min_delta": "tolerance",
    "min_lr": "min_learning_rate",
    "n_iter_no_change": "patience",
    "n_jobs": "the argument threads of fit and sweep",
    "nesterovs_momentum": "nesterov",
    "power_t": "power",
    "quantile_alpha": "quantile",
    "random_state": "seed",
    "sample_weight": "the argument sample_weight of fit and sweep",
    "sample_weights": "the argument sample_weight of fit and sweep",
    "scheduler": "schedule",
    "solver": "optimizer",
    "task": "the argument task of fit and sweep",
    "tol": "tolerance",
    "trace": "the argument trace of fit and train",
    "validation_data": "validation",
    "validation_fraction": "validation",
    "validation_split": "validation",
    "verbose": "the argument progress, or verbose of sweep",
    "warm_start": "the argument warm_start of fit",
}


class Setting(NamedTuple):
    """One setting; `check` is its door."""

    name: str
    default: Any
    tutorial: Any
    rule: checks.Rule
    meaning: str

    def check(self, value: Any) -> Any:
        """Return `value` in its one normal form, or raise a TypeError or ValueError.

        Examples
        --------
        >>> SETTINGS["hidden"].check(8)
        (8,)
        >>> SETTINGS["learning_rate"].check(-1)
        Traceback (most recent call last):
            ...
        ValueError: learning_rate = -1 must be a finite number >= 0
        """
        return self.rule(self.name, value)


# fmt: off
_seed = checks.integer(0, 2**64 - 1)
_part = checks.number("a number >= 0 and < 1", lambda x: 0 <= x < 1)
_factor = checks.number("a number > 0 and <= 1", lambda x: 0 < x <= 1)
_inside = checks.number("a number > 0 and < 1", lambda x: 0 < x < 1)
_positive = checks.number("a finite number > 0", lambda x: 0 < x < math.inf)
_rates = checks.number(
    "a number >= 0 and < 1, or a list of such: for the inputs, then each hidden layer",
    lambda x: 0 <= x < 1,
)

_TABLE: Final = (
    Setting("hidden", (32,), UNSET, checks.hidden,
            "units of each hidden layer; () is the tutorial's two-layer net"),
    Setting("activation", "relu", "sigmoid", checks.one_or_list(checks.choice(ACTIVATIONS)),
            f"of hidden layers, one name or one a layer: {' '.join(ACTIVATIONS)}; "
            "leaky_relu has slope 0.01, elu alpha 1, gelu is the one with erf"),
    Setting("output", "auto", "sigmoid", checks.choice(OUTPUTS),
            f"activation of the output layer: {' '.join(OUTPUTS[1:])}; auto: exp for poisson, "
            "sigmoid or softmax for labels and cross_entropy, else identity"),
    Setting("loss", "auto", "squared_error", checks.choice(LOSSES),
            "summed over a row's outputs, with `e = output - y`: squared_error `e**2 / 2`, "
            "absolute_error `abs(e)`, huber, poisson (half the deviance; `y >= 0`), quantile, "
            "cross_entropy; auto: cross_entropy for labels, squared_error for numbers"),
    Setting("huber_delta", 1.0, UNSET, _positive,
            "of huber: `e**2 / 2` where `abs(e) <= huber_delta`, "
            "else `huber_delta * (abs(e) - huber_delta / 2)`"),
    Setting("quantile", 0.5, UNSET, _inside,
            "of the loss quantile (pinball): `max(quantile * u, (quantile - 1) * u)`, "
            "with `u = y - output`"),
    Setting("bias", True, False, checks.flag, "bias units, initially 0"),
    Setting("init", "auto", "uniform", checks.choice(INITS),
            f"initial weights: {' '.join(INITS[1:])}; uniform is the tutorial's `U(-1, 1)`; "
            "auto: he_uniform for relu-like layers, glorot_uniform else"),
    Setting("seed", 0, UNSET, _seed,
            "of initial weights, of dropout, and of row order where shuffle_seed is None"),
    Setting("shuffle_seed", None, UNSET, checks.none_or(_seed, "that of seed"),
            "of row order; nets with equal shuffle_seed share their row order"),
    Setting("epochs", 100, UNSET, checks.integer(0), "passes over the rows"),
    Setting("batch_size", 32, None, checks.none_or(checks.integer(1), "full batch"),
            "rows of a step; None: all"),
    Setting("shuffle", True, False, checks.flag,
            "a new row order every epoch; full batch never shuffles"),
    Setting("reduction", "mean", "sum", checks.choice(REDUCTIONS),
            "of a batch's gradients over its rows: mean (by the sum of row weights) or sum"),
    Setting("optimizer", "adam", "sgd", checks.choice(OPTIMIZERS),
            f"{' '.join(OPTIMIZERS)}; adamw is adam with weight_decay, "
            "rprop (iRPROP-) takes full batch only"),
    Setting("learning_rate", 1e-3, 1.0, checks.rate,
            "size of a step (of rprop: of its first step); the tutorial's alpha"),
    Setting("schedule", "constant", UNSET, checks.choice(SCHEDULES),
            "of the learning rate, at epoch t from the end of the warm-up: constant; "
            "step: `rate * gamma**(t // step_size)`; exponential: `rate * gamma**t`; "
            "cosine: half a wave down to min_learning_rate over the epochs; "
            "invscaling: `rate / (1 + t * rows)**power`; "
            "adaptive: divided by 5 after 2 epochs in a row without improvement"),
    Setting("warmup_epochs", 0, UNSET, checks.integer(0),
            "first epochs, in which the learning rate rises: "
            "`rate * (e + 1) / (warmup_epochs + 1)`"),
    Setting("step_size", 10, UNSET, checks.integer(1), "of schedule step: epochs between drops"),
    Setting("gamma", 0.9, UNSET, _factor, "of schedules step and exponential: factor of a drop"),
    Setting("min_learning_rate", 0.0, UNSET, checks.rate, "of schedule cosine: where it ends"),
    Setting("power", 0.5, UNSET, checks.rate, "of schedule invscaling: its exponent"),
    Setting("momentum", 0.0, 0.0, _part, "of sgd: how much of the last step is kept"),
    Setting("nesterov", False, UNSET, checks.flag, "sgd looks ahead along its momentum"),
    Setting("rho", 0.9, UNSET, _part, "rmsprop's decay of the mean squared gradient"),
    Setting("beta_1", 0.9, UNSET, _part, "adam's and adamw's decay of the mean gradient"),
    Setting("beta_2", 0.999, UNSET, _part, "adam's and adamw's decay of the mean squared gradient"),
    Setting("epsilon", 1e-8, UNSET, _positive,
            "added to the denominator of rmsprop, adagrad, adam and adamw"),
    Setting("l1", 0.0, UNSET, checks.rate,
            "penalty `l1 * sum(abs(w))` on weights, not biases: "
            "adds `l1 * sign(w)` to the gradient"),
    Setting("l2", 0.0, UNSET, checks.rate,
            "penalty `l2 / 2 * sum(w**2)` on weights, not biases: adds `l2 * w` to the gradient"),
    Setting("weight_decay", 0.0, UNSET, checks.rate,
            "decoupled from the gradient, on weights, not biases: "
            "`w *= 1 - rate * weight_decay` at each step (not with adam, rprop)"),
    Setting("dropout", 0.0, UNSET, checks.one_or_list(_rates, _part),
            "probability that a unit is 0 for a row in training, the others divided by "
            "`1 - dropout`; one for all hidden layers, or a list: input, then each hidden layer"),
    Setting("batch_norm", False, UNSET, checks.flag,
            "of hidden layers, before the activation: "
            "`scale * (z - mean) / sqrt(variance + 1e-5) + shift`; "
            "prediction uses running statistics (0.1 of each batch, 0.9 of before); "
            "a single row left over joins the batch before"),
    Setting("clip_delta", None, UNSET, checks.none_or(_positive, "no clipping"),
            "each element of each layer's delta of a row is clipped to "
            "`[-clip_delta, clip_delta]`; the tutorial's delta trimming"),
    Setting("clip_norm", None, UNSET, checks.none_or(_positive, "no clipping"),
            "the gradient of all parameters together is scaled to this norm where it is larger"),
    Setting("validation", None, UNSET, checks.validation,
            "rows that are scored but not trained on: a fraction (stratified by label) or (X, y)"),
    Setting("patience", None, UNSET, checks.none_or(checks.integer(1), "never stops early"),
            "epochs in a row without improvement after which a net stops; the weights with the "
            "lowest monitored loss (validation loss, without validation training loss) are kept"),
    Setting("tolerance", 1e-4, UNSET, checks.rate,
            "an improvement is a monitored loss below the `lowest - tolerance`"),
    Setting("class_weight", None, UNSET, checks.class_weight,
            "weight of a label's rows in training: a dict from label to weight (1 where it has "
            "none), or balanced: `rows / (classes * rows of the class)`, counted by sample_weight"),
    Setting("record_every", None, UNSET, checks.none_or(checks.integer(1), "about 100 records"),
            "epochs between recorded losses; None: about 100 records"),
    Setting("dtype", None, UNSET, checks.dtype, "float32 or float64; None: that of X"),
)
# fmt: on
SETTINGS: Final = MappingProxyType({setting.name: setting for setting in _TABLE})
TUTORIAL: Final[Mapping[str, Any]] = MappingProxyType(
    {name: s.tutorial for name, s in SETTINGS.items() if s.tutorial is not UNSET}
)


def find(name: object, value: object) -> Setting:
    """Return the setting called `name`; `value` is what the user gave it, for the message.

    Examples
    --------
    >>> find("lerning_rate", 0.1)
    Traceback (most recent call last):
        ...
    TypeError: lerning_rate = 0.1 is no setting: did you mean learning_rate?
    """
    if isinstance(name, str) and name in SETTINGS:
        return SETTINGS[name]
    from difflib import get_close_matches  # on the way to an error only

    wrong = name.lower() if isinstance(name, str) else ""
    near = [_ELSEWHERE[wrong]] if wrong in _ELSEWHERE else get_close_matches(wrong, SETTINGS, 1)
    hint = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(SETTINGS)}"
    called = name if isinstance(name, str) and name.isprintable() else show(name)
    raise TypeError(f"{called} = {show(value)} is no setting: {hint}")


def resolve(
    given: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] | None = None,
    refused: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return every setting, checked: `given`, else `defaults`, else its own default.

    Parameters
    ----------
    given : mapping
        What the user wrote.
    defaults : mapping, optional
        What comes before the settings' own defaults, such as `TUTORIAL`.
    refused : mapping, optional
        Settings that the caller does not take, each with the reason.

    Returns
    -------
    dict
        A value for each name in `SETTINGS`.

    Examples
    --------
    >>> resolve({"epochs": 10}, defaults=TUTORIAL)["learning_rate"]
    1.0
    """
    for name in refused or ():
        if name in given:
            raise TypeError(f"{name} = {show(given[name])} is refused: {refused[name]}")  # type: ignore[index]
    settings = {name: setting.default for name, setting in SETTINGS.items()}
    for name, value in {**(defaults or {}), **given}.items():
        settings[name] = find(name, value).check(value)
    return settings


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def check_together(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return one net's checked settings with one activation a hidden layer, free of conflicts.

    Examples
    --------
    >>> check_together(resolve({"hidden": (8, 4)}))["activation"]
    ('relu', 'relu')
    >>> check_together(resolve({"hidden": 8, "activation": ["relu", "tanh"]}))
    Traceback (most recent call last):
        ...
    ValueError: activation = ('relu', 'tanh') has 2 names and hidden = (8,) has 1 layer: ...
    """
    hidden, activation = settings["hidden"], settings["activation"]
    if isinstance(activation, str):
        activation = (activation,) * len(hidden)
    if len(activation) != len(hidden):
        names, layers = _count(len(activation), "name"), _count(len(hidden), "layer")
        raise ValueError(
            f"activation = {show(activation)} has {names} and hidden = {show(hidden)} has "
            f"{layers}: give one name, or one a hidden layer"
        )
    dropout_rates(settings)
    _check_optimizer(settings)
    if settings["loss"] == "poisson" and settings["output"] not in ("auto", "exp"):
        _conflict(settings, "output", "exp or auto", "loss")
    if (
        settings["schedule"] == "cosine"
        and settings["min_learning_rate"] > settings["learning_rate"]
    ):
        least = f"at most learning_rate = {settings['learning_rate']}"
        _conflict(settings, "min_learning_rate", least, "schedule")
    return {**settings, "activation": activation}


def _conflict(
    settings: Mapping[str, Any], name: str, right: str, other: str, hint: str = ""
) -> NoReturn:
    raise ValueError(
        f"{name} = {show(settings[name])} must be {right} where "
        f"{other} = {show(settings[other])}{hint}"
    )


def _check_optimizer(settings: Mapping[str, Any]) -> None:
    optimizer = settings["optimizer"]
    for name in ("momentum", "nesterov"):
        if settings[name] and optimizer != "sgd":
            raise ValueError(
                f"{name} = {settings[name]} needs optimizer = 'sgd', but optimizer = {optimizer!r}"
            )
    if settings["nesterov"] and not settings["momentum"]:
        raise ValueError(
            f"nesterov = True needs momentum > 0, but momentum = {settings['momentum']}"
        )
    if settings["weight_decay"] and optimizer in ("adam", "rprop"):
        hint = {"adam": "adamw (decoupled) or l2 (in the gradient)", "rprop": "l2"}[optimizer]
        _conflict(settings, "weight_decay", "0", "optimizer", f": use {hint}")
    if optimizer == "rprop":  # its steps have sizes of their own
        if settings["schedule"] != "constant":
            _conflict(settings, "schedule", "'constant'", "optimizer")
        if settings["warmup_epochs"]:
            _conflict(settings, "warmup_epochs", "0", "optimizer")


def dropout_rates(settings: Mapping[str, Any]) -> tuple[float, ...]:
    """Return one net's dropout rates: of the inputs, then of each hidden layer.

    Examples
    --------
    >>> dropout_rates(resolve({"hidden": (8, 4), "dropout": 0.5}))
    (0.0, 0.5, 0.5)
    >>> dropout_rates(resolve({"hidden": 8, "dropout": [0.1, 0.5]}))
    (0.1, 0.5)
    """
    hidden, dropout = settings["hidden"], settings["dropout"]
    if not isinstance(dropout, tuple):
        return (0.0, *(dropout,) * len(hidden))
    if len(dropout) != 1 + len(hidden):
        rates, layers = _count(len(dropout), "rate"), _count(len(hidden), "layer")
        raise ValueError(
            f"dropout = {show(dropout)} has {rates} and hidden = {show(hidden)} has {layers}: "
            "give one number, or a list of one for the inputs and one a hidden layer"
        )
    return dropout


def check_rows(settings: Mapping[str, Any], rows: int) -> None:
    """Refuse one net's checked settings where they do not go with the number of training rows.

    Examples
    --------
    >>> check_rows(resolve({"optimizer": "rprop"}), 150)
    Traceback (most recent call last):
        ...
    ValueError: batch_size = 32 must be None (full batch), or at least the 150 rows, where ...
    """
    batch_size = settings["batch_size"]
    batch = min(batch_size or rows, rows)
    if settings["optimizer"] == "rprop" and batch < rows:
        right = f"None (full batch), or at least the {rows} rows,"
        _conflict(settings, "batch_size", right, "optimizer")
    if settings["batch_norm"] and settings["hidden"] and batch == 1:
        one = "X has 1 row" if rows == 1 else f"batch_size = {batch_size}"
        raise ValueError(f"batch_norm = True needs at least two rows in each batch, but {one}")
