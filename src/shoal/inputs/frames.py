"""Data frames, and arrays of Python objects, as arrays of numbers or strings.

pandas, polars and others like them are known by what they have, and never imported.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.code.telling import warn
from .checks import plain, show


def is_frame(values: Any) -> bool:
    """Whether values are a table with named columns."""
    return hasattr(values, "columns") and len(getattr(values, "shape", ())) == 2


def column_names(X: Any, name: str = "X") -> tuple[str, ...] | None:
    """The names of a frame's columns; None of what has none, or none that are strings.

    Examples
    --------
    >>> import pandas
    >>> column_names(pandas.DataFrame({"age": [1, 2], "size": [3.0, 4.0]}))
    ('age', 'size')
    >>> column_names([[1.0, 2.0]]) is None
    True
    """
    if not is_frame(X):
        return None
    names = list(X.columns)
    texts = [isinstance(label, str) for label in names]
    if not any(texts):
        return None
    if not all(texts):
        wrong = texts.index(False)
        raise TypeError(
            f"{name}.columns[{wrong}] = {show(names[wrong])} must be a string, as others are (or "
            "all must be numbers, which name nothing)"
        )
    if len(set(names)) < len(names):
        twice = next(label for label in names if names.count(label) > 1)
        raise ValueError(f"{name}.columns has {show(twice)} twice, but must name each column once")
    return tuple(map(str, names))


def check_column_names(X: Any, known: Sequence[str] | None, name: str = "X") -> None:
    """Refuse a frame whose columns are not those that a net was trained on, in their order.

    What has no names is taken by position, with a warning.

    Parameters
    ----------
    X : array-like
    known : sequence of str, or None
        Names in the training; where they are None nothing is checked.
    name : str
        What errors call X.

    Examples
    --------
    >>> import pandas
    >>> check_column_names(pandas.DataFrame({"size": [3.0], "age": [1.0]}), ("age", "size"))
    Traceback (most recent call last):
        ...
    ValueError: X.columns[0] = 'size' must be 'age', as in the training
    """
    if known is None:
        return
    names = column_names(X, name)
    if names is None:
        warn(
            f"{name} has no column names, but the net was trained on a frame that has: columns "
            "are taken by position"
        )
        return
    for k, right in enumerate(known):
        if k == len(names):
            raise ValueError(
                f"{name} has {k} columns, but must have {show(right)} next, as in the training"
            )
        if names[k] != right:
            raise ValueError(
                f"{name}.columns[{k}] = {show(names[k])} must be {show(right)}, as in the training"
            )
    if len(names) > len(known):
        raise ValueError(
            f"{name}.columns[{len(known)}] = {show(names[len(known)])} was not there in the "
            f"training, but {name} must have its {len(known)} columns alone"
        )


def from_frame(frame: Any, name: str, labels: bool = False) -> NDArray[Any]:
    """Return a frame as an array; where its columns are of several kinds, column by column.

    Examples
    --------
    >>> import pandas
    >>> from_frame(pandas.DataFrame({"member": [True, False], "age": [30, 41]}), "X")
    array([[ 1, 30],
           [ 0, 41]])
    """
    whole = np.asarray(frame)
    if whole.dtype.kind in "biuf" or not whole.size:
        return whole
    by_position = getattr(frame, "iloc", None)
    columns = []
    for k, label in enumerate(frame.columns):
        called = f"{name}[{show(label)}]"
        column = np.asarray(frame[label] if by_position is None else by_position[:, k])
        if column.dtype.kind in "OT":
            column = from_objects(column, called, labels)
        if column.dtype.kind not in ("biufU" if labels else "biuf"):
            right = "numbers (float, int or bool)" + (" or strings" if labels else "")
            raise TypeError(f"{called}.dtype = {column.dtype} must be {right}")
        columns.append(column)
    texts = [column.dtype.kind == "U" for column in columns]
    if any(texts) and not all(texts):
        raise TypeError(f"{name} has columns of numbers and of strings, but must have one kind")
    return np.column_stack(columns)


def from_objects(array: NDArray[Any], name: str, labels: bool = False) -> NDArray[Any]:
    """Return an array of Python's numbers, or where they may be labels of strings, in its dtype.

    Examples
    --------
    >>> from_objects(np.array([1, 2.5, None], object), "y")
    Traceback (most recent call last):
        ...
    ValueError: y[2] is missing
    """
    values = [plain(value) for value in array.ravel().tolist()]
    texts = labels and any(isinstance(value, str) for value in values)
    for k, value in enumerate(values):
        if isinstance(value, str) if texts else _is_number(value):
            continue
        place = ", ".join(map(str, map(int, np.unravel_index(k, array.shape))))
        if _is_missing(value):
            raise ValueError(f"{name}[{place}] is missing")
        right = "a number or a string" if labels else "a number"
        if isinstance(value, int):
            right = "a float, or an integer of 64 bits"
        if texts:
            right = "a string, as other labels are"
        raise TypeError(f"{name}[{place}] = {show(value)} must be {right}")
    if texts:
        return np.array(values, str).reshape(array.shape)
    simple = [value if isinstance(value, int | float) else float(value) for value in values]
    numbers = np.array(simple)
    if numbers.dtype.kind == "O":  # no one integer type holds all
        numbers = np.array(simple, np.float64)
    return numbers.reshape(array.shape)


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    return isinstance(value, Real | Decimal)


def _is_missing(value: Any) -> bool:
    """Whether a value stands for one that is not known: None, NaN, pandas' NA and NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | Decimal) and math.isnan(value)
