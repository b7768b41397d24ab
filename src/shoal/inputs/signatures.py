"""The settings as keywords: their types, and signatures and docstrings that list them all."""

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    ParamSpec,
    TypeAlias,
    TypedDict,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import numpy as np
from numpy.typing import ArrayLike

from .settings import SETTINGS

P = ParamSpec("P")
R = TypeVar("R")

Integer: TypeAlias = int | np.integer[Any]
Number: TypeAlias = float | np.floating[Any] | np.integer[Any]
Activation: TypeAlias = Literal[
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "identity"
]
Precision: TypeAlias = (
    Literal["float32", "float64"] | type[np.float32] | type[np.float64] | np.dtype[Any]
)


class TrainSettings(TypedDict, total=False):
    """Settings that `train` takes besides ``epochs``; `inputs.settings.SETTINGS` explains them."""

    activation: Activation | Sequence[Activation]
    output: Literal["auto", "identity", "sigmoid", "softmax", "exp"]
    loss: Literal[
        "auto", "squared_error", "absolute_error", "huber", "poisson", "quantile", "cross_entropy"
    ]
    huber_delta: Number
    quantile: Number
    seed: Integer
    shuffle_seed: Integer | None
    batch_size: Integer | None
    shuffle: bool
    reduction: Literal["mean", "sum"]
    optimizer: Literal["sgd", "rmsprop", "adagrad", "adam", "adamw", "rprop"]
    learning_rate: Number
    schedule: Literal["constant", "step", "exponential", "cosine", "invscaling", "adaptive"]
    warmup_epochs: Integer
    step_size: Integer
    gamma: Number
    min_learning_rate: Number
    power: Number
    momentum: Number
    nesterov: bool
    rho: Number
    beta_1: Number
    beta_2: Number
    epsilon: Number
    l1: Number
    l2: Number
    weight_decay: Number
    dropout: Number | Sequence[Number]
    clip_delta: Number | None
    clip_norm: Number | None
    validation: Number | tuple[ArrayLike, Any] | None
    patience: Integer | None
    tolerance: Number
    class_weight: Literal["balanced"] | Mapping[Any, Number] | None
    record_every: Integer | None


class Settings(TrainSettings, total=False):
    """All settings, as `fit` and `sweep` take them."""

    hidden: Integer | Sequence[Integer]
    bias: bool
    init: Literal[
        "auto", "uniform", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
        "lecun_normal",
    ]  # fmt: skip
    epochs: Integer
    batch_norm: bool
    dtype: Precision | None


_SIMPLE: dict[Any, str] = {
    bool: "bool", int: "int", float: "float", NoneType: "None", Literal: "str", tuple: "(X, y)",
    Mapping: "dict", np.dtype: "dtype", type: "dtype",
}  # fmt: skip


def _type_names(hint: Any) -> list[str]:
    """The types of a hint as a docstring names them."""
    origin = get_origin(hint) or hint
    if origin in (Union, UnionType):
        return list(dict.fromkeys(name for part in get_args(hint) for name in _type_names(part)))
    if origin is Sequence:
        return [f"list of {' or '.join(_type_names(get_args(hint)[0]))}"]
    if origin in (np.integer, np.floating):  # beside Python's own
        return []
    return [_SIMPLE[origin]]


def _entries(names: Iterable[str], defaults: Mapping[str, Any]) -> str:
    """These settings as entries of a numpydoc section, each with its default and meaning."""
    lines = []
    for name in names:
        default = defaults.get(name, SETTINGS[name].default)
        types = " or ".join(_type_names(Settings.__annotations__[name]))
        lines.append(f"{name} : {types}, default {default!r}")
        lines += textwrap.wrap(
            SETTINGS[name].meaning, 92, initial_indent="    ", subsequent_indent="    ",
            break_on_hyphens=False,
        )  # fmt: skip
    return "\n".join(lines)


def lists_settings(
    typed: type = Settings, defaults: Mapping[str, Any] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator of a function with ``**settings``: its signature names each setting with its
    default, and its docstring explains them, where it says ``**settings``.

    The function gets what was given alone, not the defaults.

    Parameters
    ----------
    typed : TypedDict class
        The settings that the function takes.
    defaults : mapping, optional
        What comes before the settings' own defaults.
    """
    names = [name for name in SETTINGS if name in typed.__annotations__]
    before = defaults or {}

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        *own, _ = signature.parameters.values()
        settings = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=before.get(name, SETTINGS[name].default),
            )
            for name in names
        ]
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*own, *settings]
        )
        if function.__doc__:  # none with python -OO
            entries = _entries(names, before)
            function.__doc__ = inspect.cleandoc(function.__doc__).replace("**settings", entries)
        return function

    return decorate
