"""Every setting of a net: its default, the tutorial's value, its check, its meaning.

A check takes what the user wrote and returns the one form that the rest of Shoal works with:
tuples, Python ints, floats and strings. Nothing behind the door checks a setting again.
"""

import math
import numbers
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np

ACTIVATIONS: Final = (
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "identity",
)  # fmt: skip
OUTPUTS: Final = ("auto", "identity", "sigmoid", "softmax", "exp")
LOSSES: Final = ("auto", "squared_error", "cross_entropy")
INITS: Final = (
    "auto", "uniform", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal",
)  # fmt: skip
REDUCTIONS: Final = ("mean", "sum")
OPTIMIZERS: Final = ("sgd", "adam")

UNSET: Final = object()  # in the tutorial's column: the tutorial has no such thing
MOST: Final = 2**31 - 1  # the largest size or count; kernels count in 32 bits

# What other libraries call a setting; their users get the name that is right here.
_ELSEWHERE: Final = {
    "alpha": "learning_rate",
    "eta": "learning_rate",
    "lr": "learning_rate",
    "hidden_layer_sizes": "hidden",
    "max_iter": "epochs",
    "random_state": "seed",
    "solver": "optimizer",
}


def show(value: object) -> str:
    """Return `value` as an error message echoes it: on one line, and short.

    Examples
    --------
    >>> import numpy as np
    >>> show(np.float64(-1.0)), show([1] * 1000)
    ('-1.0', '[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ...')
    """
    try:
        text = " ".join(repr(_plain(value)).split())
    except ValueError:  # an int of more digits than Python prints
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 80 else text[:76] + " ..."


def _plain(value: Any) -> Any:
    """Return a numpy scalar or 0-d array as the Python value, anything else as it is."""
    single = isinstance(value, np.generic | np.ndarray) and value.ndim == 0
    return value.item() if single and value.dtype.kind in "biufU" else value


def _refuse(name: str, value: object, right: str, error: type[Exception]) -> NoReturn:
    raise error(f"{name} = {show(value)} must be {right}")


Rule = Callable[[str, Any], Any]


def _as_integer(value: Any) -> int | None:
    """Return `value` as an int, None where it is no integer (a bool is none)."""
    value = _plain(value)
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _integer(low: int, high: int = MOST) -> Rule:
    upper = "2**64 - 1" if high == 2**64 - 1 else str(high)
    right = f"an integer from {low} to {upper}"

    def rule(name: str, value: Any) -> int:
        number = _as_integer(value)
        if number is None:
            _refuse(name, value, right, TypeError)
        if not low <= number <= high:
            _refuse(name, value, right, ValueError)
        return number

    return rule


def _number(right: str, good: Callable[[float], bool]) -> Rule:
    def rule(name: str, value: Any) -> float:
        number = _plain(value)
        if isinstance(number, bool) or not isinstance(number, numbers.Real):
            _refuse(name, value, right, TypeError)
        try:
            number = float(number) + 0.0  # -0.0 becomes 0.0
        except OverflowError:
            number = math.inf
        if not good(number):
            _refuse(name, value, right, ValueError)
        return number

    return rule


def _flag(name: str, value: Any) -> bool:
    flag = _plain(value)
    if not isinstance(flag, bool):
        _refuse(name, value, "True or False", TypeError)
    return flag


def _choice(names: tuple[str, ...]) -> Rule:
    right = f"one of {', '.join(names)}"

    def rule(name: str, value: Any) -> str:
        choice = _plain(value)
        if not isinstance(choice, str):
            _refuse(name, value, right, TypeError)
        if choice not in names:
            _refuse(name, value, right, ValueError)
        return str(choice)

    return rule


def _none_or(rule: Rule, meaning: str) -> Rule:
    def optional(name: str, value: Any) -> Any:
        if value is None:
            return None
        try:
            return rule(name, value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{error}, or None ({meaning})") from None

    return optional


def is_sequence(value: object) -> bool:
    """Tell whether `value` is a list, tuple, range or 1-d array, which all may stand for a list.

    Examples
    --------
    >>> is_sequence(range(3)), is_sequence("relu")
    (True, False)
    """
    return isinstance(value, list | tuple | range) or (
        isinstance(value, np.ndarray) and value.ndim == 1
    )


def _hidden(name: str, value: Any) -> tuple[int, ...]:
    right = f"the units of each hidden layer: integers from 1 to {MOST}, as in (16, 8)"
    units = tuple(_as_integer(item) for item in (value if is_sequence(value) else (value,)))
    if any(unit is None for unit in units):
        _refuse(name, value, right, TypeError)
    if not all(1 <= unit <= MOST for unit in units if unit is not None):
        _refuse(name, value, right, ValueError)
    return units  # type: ignore[return-value]


_one_activation = _choice(ACTIVATIONS)


def _activation(name: str, value: Any) -> str | tuple[str, ...]:
    if is_sequence(value):
        return tuple(_one_activation(f"{name}[{i}]", item) for i, item in enumerate(value))
    return _one_activation(name, value)


def _dtype(name: str, value: Any) -> str | None:
    spelling = value.name if isinstance(value, np.dtype) else value
    if spelling is None:
        return None
    if spelling is np.float32 or (isinstance(spelling, str) and spelling == "float32"):
        return "float32"
    if spelling is np.float64 or (isinstance(spelling, str) and spelling == "float64"):
        return "float64"
    error = ValueError if isinstance(value, str | type | np.dtype) else TypeError
    _refuse(name, value, "float32, float64 or None (that of X)", error)


def _validation(name: str, value: Any) -> tuple[Any, Any] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        _refuse(name, value, "a pair (X, y) or None", TypeError)
    if len(value) != 2:
        _refuse(name, value, "a pair (X, y) or None", ValueError)
    return tuple(value)


class Setting(NamedTuple):
    """One setting; `check` is its door."""

    name: str
    default: Any
    tutorial: Any
    rule: Rule
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


_seed = _integer(0, 2**64 - 1)
_part = _number("a number >= 0 and < 1", lambda x: 0 <= x < 1)
_rate = _number("a finite number >= 0", lambda x: 0 <= x < math.inf)
_positive = _number("a finite number > 0", lambda x: 0 < x < math.inf)

# fmt: off
_TABLE: Final = (
    Setting("hidden", (32,), UNSET, _hidden,
            "units of each hidden layer; () is the tutorial's two-layer net"),
    Setting("activation", "relu", "sigmoid", _activation,
            f"of hidden layers, one name or one a layer: {' '.join(ACTIVATIONS)}"),
    Setting("output", "auto", "sigmoid", _choice(OUTPUTS),
            f"activation of the output layer: {' '.join(OUTPUTS[1:])}; auto: by the loss and y"),
    Setting("loss", "auto", "squared_error", _choice(LOSSES),
            "squared_error (half the square) or cross_entropy, summed over a row's outputs; "
            "auto: cross_entropy for labels, squared_error for numbers"),
    Setting("bias", True, False, _flag, "bias units, initially 0"),
    Setting("init", "auto", "uniform", _choice(INITS),
            f"initial weights: {' '.join(INITS[1:])}; uniform is the tutorial's U(-1, 1); "
            "auto: he_uniform for relu-like layers, glorot_uniform else"),
    Setting("seed", 0, UNSET, _seed,
            "of initial weights, and of row order where shuffle_seed is None"),
    Setting("shuffle_seed", None, UNSET, _none_or(_seed, "that of seed"),
            "of row order; nets with equal shuffle_seed share their row order"),
    Setting("epochs", 100, UNSET, _integer(0), "passes over the rows"),
    Setting("batch_size", 32, None, _none_or(_integer(1), "full batch"),
            "rows of a step; None: all"),
    Setting("shuffle", True, False, _flag,
            "a new row order every epoch; full batch never shuffles"),
    Setting("reduction", "mean", "sum", _choice(REDUCTIONS),
            "of a batch's gradients over its rows: mean or sum"),
    Setting("optimizer", "adam", "sgd", _choice(OPTIMIZERS), "sgd or adam"),
    Setting("learning_rate", 1e-3, 1.0, _rate, "size of a step; the tutorial's alpha"),
    Setting("momentum", 0.0, 0.0, _part, "of sgd: how much of the last step is kept"),
    Setting("nesterov", False, UNSET, _flag, "sgd looks ahead along its momentum"),
    Setting("beta_1", 0.9, UNSET, _part, "adam's decay of the mean gradient"),
    Setting("beta_2", 0.999, UNSET, _part, "adam's decay of the mean squared gradient"),
    Setting("epsilon", 1e-8, UNSET, _positive, "in adam's denominator"),
    Setting("validation", None, UNSET, _validation,
            "(X, y) that is scored but not trained on"),
    Setting("record_every", None, UNSET, _none_or(_integer(1), "about 100 records"),
            "epochs between recorded losses; None: about 100 records"),
    Setting("dtype", None, UNSET, _dtype, "float32 or float64; None: that of X"),
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

    wrong = str(name).lower()
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
    for name in ("momentum", "nesterov"):
        if settings[name] and settings["optimizer"] != "sgd":
            raise ValueError(
                f"{name} = {settings[name]} needs optimizer = 'sgd', but "
                f"optimizer = {settings['optimizer']!r}"
            )
    if settings["nesterov"] and not settings["momentum"]:
        raise ValueError(
            f"nesterov = True needs momentum > 0, but momentum = {settings['momentum']}"
        )
    return {**settings, "activation": activation}
