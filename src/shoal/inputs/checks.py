"""What checks of single values are made of: a rule takes what the user wrote, and returns its one
normal form or raises one sentence that names it, echoes it and says what is right."""

import math
import numbers
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

import numpy as np

MOST: Final = 2**31 - 1  # the largest size or count; kernels count in 32 bits


def show(value: object) -> str:
    """Return `value` as an error message echoes it: on one line, and short.

    Examples
    --------
    >>> import numpy as np
    >>> show(np.float64(-1.0)), show([1] * 1000)
    ('-1.0', '[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ...')
    """
    try:
        text = " ".join(repr(plain(value)).split())
    except ValueError:  # an int of more digits than Python prints
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 80 else text[:76] + " ..."


def plain(value: Any) -> Any:
    """Return a numpy scalar or 0-d array as the Python value, anything else as it is."""
    single = isinstance(value, np.generic | np.ndarray) and value.ndim == 0
    return value.item() if single and value.dtype.kind in "biufU" else value


def refuse(name: str, value: object, right: str, error: type[Exception]) -> NoReturn:
    """Raise the sentence that every wrong value gets."""
    raise error(f"{name} = {show(value)} must be {right}")


Rule = Callable[[str, Any], Any]


def as_integer(value: Any) -> int | None:
    """Return `value` as an int, None where it is no integer (a bool is none)."""
    value = plain(value)
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def integer(low: int, high: int = MOST) -> Rule:
    """Return the rule of integers from `low` to `high`."""
    upper = "2**64 - 1" if high == 2**64 - 1 else str(high)
    right = f"an integer from {low} to {upper}"

    def rule(name: str, value: Any) -> int:
        count = as_integer(value)
        if count is None:
            refuse(name, value, right, TypeError)
        if not low <= count <= high:
            refuse(name, value, right, ValueError)
        return count

    return rule


def number(right: str, good: Callable[[float], bool]) -> Rule:
    """Return the rule of real numbers that are `good`; `right` says which."""

    def rule(name: str, value: Any) -> float:
        real = plain(value)
        if isinstance(real, bool) or not isinstance(real, numbers.Real):
            refuse(name, value, right, TypeError)
        try:
            real = float(real) + 0.0  # -0.0 becomes 0.0
        except OverflowError:
            real = math.inf
        if not good(real):
            refuse(name, value, right, ValueError)
        return real

    return rule


def flag(name: str, value: Any) -> bool:
    """Return True or False; nothing else is one."""
    switch = plain(value)
    if not isinstance(switch, bool):
        refuse(name, value, "True or False", TypeError)
    return switch


def choice(names: tuple[str, ...]) -> Rule:
    """Return the rule of a choice among `names`."""
    right = f"one of {', '.join(names)}"

    def rule(name: str, value: Any) -> str:
        chosen = plain(value)
        if not isinstance(chosen, str):
            refuse(name, value, right, TypeError)
        if chosen not in names:
            refuse(name, value, right, ValueError)
        return str(chosen)

    return rule


def none_or(rule: Rule, meaning: str) -> Rule:
    """Return the rule that takes None as well; `meaning` says what it stands for."""

    def optional(name: str, value: Any) -> Any:
        if value is None:
            return None
        try:
            return rule(name, value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{error}, or None ({meaning})") from None

    return optional


def is_sequence(value: object) -> bool:
    """Tell whether `value` may stand for a list: a sequence but a string, a 1-d array or Series.

    Examples
    --------
    >>> is_sequence(range(3)), is_sequence(np.arange(3)), is_sequence("relu")
    (True, True, False)
    """
    if isinstance(value, Sequence):
        return not isinstance(value, str | bytes | bytearray)
    shape = getattr(value, "shape", None)
    return isinstance(shape, tuple) and len(shape) == 1


def one_or_list(one: Rule, each: Rule | None = None) -> Rule:
    """Return the rule of one value, or of a list whose elements follow the rule `each`."""
    each = each or one

    def rule(name: str, value: Any) -> Any:
        if is_sequence(value):
            return tuple(each(f"{name}[{i}]", item) for i, item in enumerate(value))
        return one(name, value)

    return rule


def hidden(name: str, value: Any) -> tuple[int, ...]:
    """Return the units of each hidden layer; one integer is one layer."""
    right = f"the units of each hidden layer: integers from 1 to {MOST}, as in (16, 8)"
    units = tuple(as_integer(item) for item in (value if is_sequence(value) else (value,)))
    if any(unit is None for unit in units):
        refuse(name, value, right, TypeError)
    if not all(1 <= unit <= MOST for unit in units if unit is not None):
        refuse(name, value, right, ValueError)
    return units  # type: ignore[return-value]


def dtype(name: str, value: Any) -> str | None:
    """Return "float32", "float64" or None."""
    spelling = value.name if isinstance(value, np.dtype) else value
    if spelling is None:
        return None
    if spelling is np.float32 or (isinstance(spelling, str) and spelling == "float32"):
        return "float32"
    if spelling is np.float64 or (isinstance(spelling, str) and spelling == "float64"):
        return "float64"
    error = ValueError if isinstance(value, str | type | np.dtype) else TypeError
    refuse(name, value, "float32, float64 or None (that of X)", error)


_VALIDATION = "a fraction of the rows, > 0 and < 1, a pair (X, y), or None"
_fraction = number(_VALIDATION, lambda x: 0 < x < 1)


def validation(name: str, value: Any) -> float | tuple[Any, Any] | None:
    """Return a fraction, a pair (X, y) or None."""
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        return _fraction(name, value)
    if len(value) != 2:
        refuse(name, value, _VALIDATION, ValueError)
    return tuple(value)


rate = number("a finite number >= 0", lambda x: 0 <= x < math.inf)


def class_weight(name: str, value: Any) -> str | tuple[tuple[str | int, float], ...] | None:
    """Return None, "balanced", or (label, weight) pairs, sorted by the label's type and the label.

    Examples
    --------
    >>> class_weight("class_weight", {"dog": 2, "cat": 0.5})
    (('cat', 0.5), ('dog', 2.0))
    """
    right = "'balanced', None, or a dict from label (a str, int or bool) to weight"
    given = plain(value)
    if given is None or isinstance(given, str):
        if given not in (None, "balanced"):
            refuse(name, value, right, ValueError)
        return "balanced" if given else None
    pairs = list(value.items()) if isinstance(value, Mapping) else value  # pairs come from JSON
    if not isinstance(pairs, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
    ):
        refuse(name, value, right, TypeError)
    weights: dict[str | int, float] = {}
    for label, weight in pairs:
        label = plain(label)
        if not isinstance(label, bool):
            label = str(label) if isinstance(label, str) else as_integer(label)
        if label is None:
            refuse(name, value, right, TypeError)
        if label in weights:
            refuse(name, value, f"a weight a label, but {show(label)} has two", ValueError)
        weights[label] = rate(f"{name}[{show(label)}]", weight)
    return tuple(sorted(weights.items(), key=lambda pair: (type(pair[0]).__name__, pair[0])))
