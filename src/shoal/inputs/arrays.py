"""X, y and weights as arrays: what is no number, or no finite one, is refused with its place."""

import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .checks import show
from .frames import from_frame, from_objects, is_frame


def check_inputs(
    X: Any, *, name: str = "X", inputs: int | None = None, dtype: DTypeLike | None = None
) -> NDArray[Any]:
    """Return X as a C-contiguous 2-D array of floats, without a copy where none is needed.

    Parameters
    ----------
    X : array-like of shape (n, I)
        Numbers: floats, ints or bools.
    name : str
        What errors call it.
    inputs : int, optional
        The columns it must have.
    dtype : dtype, optional
        float32 or float64; by default float32 stays and all else becomes float64.

    Returns
    -------
    array of shape (n, I)

    Examples
    --------
    >>> check_inputs([[0, 1], [2, 3]])
    array([[0., 1.],
           [2., 3.]])
    >>> check_inputs([1.0, 2.0])
    Traceback (most recent call last):
        ...
    ValueError: X.shape = (2,) must be 2-D, rows x columns: one column is X.reshape(-1, 1)
    >>> check_inputs([1.0, 2.0], inputs=2)
    Traceback (most recent call last):
        ...
    ValueError: X.shape = (2,) must be 2-D, rows x columns: one row is X.reshape(1, -1)
    """
    array = as_array(X, name)
    check_numbers(array, name)
    if array.ndim != 2:
        hint = ""
        if array.ndim == 1:
            is_row = inputs is not None and inputs == len(array) != 1
            hint = f": one {'row' if is_row else 'column'} is {name}.reshape"
            hint += "(1, -1)" if is_row else "(-1, 1)"
        raise ValueError(f"{name}.shape = {array.shape} must be 2-D, rows x columns{hint}")
    if array.size == 0:
        raise ValueError(f"{name}.shape = {array.shape} must have at least one row and one column")
    if inputs is not None and array.shape[1] != inputs:
        raise ValueError(
            f"{name}.shape = {array.shape} must have a column for each input of the net: {inputs}"
        )
    if dtype is None:
        dtype = np.float32 if array.dtype.kind == "f" and array.itemsize == 4 else np.float64
    return as_floats(array, dtype, name)


def is_masked_array(values: Any) -> bool:
    """Whether values are an array of numpy.ma: nobody has one who has not imported it, which takes
    17 ms."""
    return "numpy.ma" in sys.modules and np.ma.isMaskedArray(values)


def as_array(values: Any, name: str, labels: bool = False) -> NDArray[Any]:
    """Return values as an array: of numbers where Python's objects are such, and of strings where
    they may be labels."""
    if hasattr(values, "toarray"):
        raise TypeError(f"{name} is a sparse matrix and must be an array: {name}.toarray()")
    if is_masked_array(values) and np.ma.is_masked(values):
        raise ValueError(f"{name} is a masked array and must have no masked values")
    if is_frame(values):
        return from_frame(values, name, labels)
    try:
        array = np.asarray(values)
        if array.dtype.kind == "U" and array.ndim and labels and not isinstance(values, np.ndarray):
            array = np.asarray(values, object)  # numpy makes "nan" of a missing label, "1" of a 1
    except ValueError:  # rows of different lengths
        raise ValueError(f"{name} = {show(values)} must be rectangular, rows x columns") from None
    if array.dtype.kind == "T":  # numpy's strings of any width
        array = array.astype(object)
    if array.dtype.kind == "O" and array.ndim:
        return from_objects(array, name, labels)
    return array


def as_targets(y: Any, n: int | None, name: str) -> NDArray[Any]:
    """Return y as an array of finite numbers or of strings, 1-D or 2-D, of n rows."""
    array = as_array(y, name, labels=True)
    if array.dtype.kind != "U":
        check_numbers(array, name, "numbers (float, int or bool) or strings")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name}.shape = {array.shape} must be (n,) or (n, outputs)")
    if n is not None and len(array) != n:
        raise ValueError(f"{name}.shape = {array.shape} must have as many rows as its X: {n}")
    if array.size == 0:
        raise ValueError(f"{name}.shape = {array.shape} must have at least one row and one column")
    if array.dtype.kind == "f":
        check_finite(array, name)
    return array


def check_finite(array: NDArray[Any], name: str) -> None:
    """Raise an error that names the first element that is NaN or infinity.

    Examples
    --------
    >>> check_finite(np.array([[1.0, np.nan]]), "X")
    Traceback (most recent call last):
        ...
    ValueError: X[0, 1] = nan must be a finite number
    """
    check_all(np.isfinite(array), array, name, "a finite number")


def as_floats(
    array: NDArray[Any], dtype: DTypeLike, name: str, shape: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """Return the array C-contiguous in `dtype`, all finite; `shape` is the one the user knows."""
    with np.errstate(over="ignore"):  # said below, with the place
        # writable: for read-only arrays numba would compile every kernel once more
        floats = np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"])
    user = array if shape is None else array.reshape(shape)
    check_all(np.isfinite(floats), user, name, f"a finite {floats.dtype}")
    return floats


def check_numbers(
    array: NDArray[Any], name: str, right: str = "numbers (float, int or bool)"
) -> None:
    """Raise an error unless the array holds numbers."""
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}.dtype = {array.dtype} must be {right}")


def check_all(good: NDArray[np.bool_], array: NDArray[Any], name: str, right: str) -> None:
    """Raise an error that names the first element that is not good."""
    if not good.all():
        place = tuple(map(int, np.unravel_index(np.flatnonzero(~good.ravel())[0], array.shape)))
        where = ", ".join(map(str, place))
        raise ValueError(f"{name}[{where}] = {show(array[place])} must be {right}")
