"""X and y at the door: checked, and turned into the arrays that nets compute with."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .checks import show

_LABEL_DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "str",
)  # fmt: skip
_MOST_CHARACTERS = 2**26  # of a saved model's labels, read into an array of equal widths


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
    """
    array = as_array(X, name)
    check_numbers(array, name)
    if array.ndim != 2:
        column = f": one column is {name}.reshape(-1, 1)" if array.ndim == 1 else ""
        raise ValueError(f"{name}.shape = {array.shape} must be 2-D, rows x columns{column}")
    if array.size == 0:
        raise ValueError(f"{name}.shape = {array.shape} must have at least one row and one column")
    if inputs is not None and array.shape[1] != inputs:
        raise ValueError(
            f"{name}.shape = {array.shape} must have a column for each input of the net: {inputs}"
        )
    if dtype is None:
        dtype = np.float32 if array.dtype.kind == "f" and array.itemsize == 4 else np.float64
    return as_floats(array, dtype, name)


@dataclass(frozen=True, eq=False)
class Target:
    """What y means, and the way from y to a net's targets and from its outputs back.

    Attributes
    ----------
    kind : str
        "labels" (one class a row), "multilabel" (a 0 or 1 a column) or "numbers".
    classes : array or None
        The sorted classes of labels; [0, 1] in y's dtype of multilabel; None of numbers.
    flat : bool
        Whether y was 1-D, as predictions then are.
    outputs : int or None
        The columns of multilabel and numbers; of labels None, `resolve` tells.
    """

    kind: str
    classes: NDArray[Any] | None
    flat: bool
    outputs: int | None

    @classmethod
    def of(cls, y: Any, n: int, *, name: str = "y") -> Self:
        """Return what y means by its dtype and shape, for an X of n rows.

        Strings, bools and ints are labels, or in two dimensions of zeros and ones multi-label;
        floats are numbers.

        Examples
        --------
        >>> Target.of(["cat", "dog", "cat"], 3).classes
        array(['cat', 'dog'], dtype='<U3')
        >>> Target.of([0.5, 1.5, 2.5], 3).kind
        'numbers'
        """
        array = as_targets(y, n, name)
        flat = array.ndim == 1
        if array.dtype.kind == "f":
            return cls("numbers", None, flat, 1 if flat else array.shape[1])
        if flat:
            classes = np.unique(array)
            if len(classes) == 1:
                raise ValueError(
                    f"{name} = {show(array)} must have at least two classes, not only "
                    f"{show(classes[0])} (give floats if these are numbers)"
                )
            return cls("labels", classes, True, None)
        right = f"{name}.shape = {array.shape} with dtype {array.dtype} must be"
        if array.dtype.kind == "U":
            raise ValueError(f"{right} 1-D to be labels: one column is {name}.ravel()")
        if not np.isin(array, (0, 1)).all():
            raise ValueError(
                f"{right} zeros and ones to be multi-label, 1-D to be labels, floats to be numbers"
            )
        return cls("multilabel", np.array([0, 1], array.dtype), False, array.shape[1])

    @classmethod
    def numbers(cls, y: Any, n: int, *, name: str = "y") -> Self:
        """Return the target that takes y as numbers whatever its dtype, for an X of n rows.

        Examples
        --------
        >>> Target.numbers([[0], [1]], 2).kind
        'numbers'
        """
        array = as_targets(y, n, name)
        check_numbers(array, name)
        return cls("numbers", None, array.ndim == 1, 1 if array.ndim == 1 else array.shape[1])

    def resolve(self, output: str, loss: str) -> tuple[str, str, int]:
        """Return output and loss without "auto", and how many outputs the net has.

        Examples
        --------
        >>> Target.of(["cat", "dog", "cat"], 3).resolve("auto", "auto")
        ('sigmoid', 'cross_entropy', 1)
        """
        if loss == "auto":
            loss = "squared_error" if self.kind == "numbers" else "cross_entropy"
        if loss in ("poisson", "quantile") and self.kind != "numbers":
            kind = "class labels" if self.kind == "labels" else "multi-label"
            raise ValueError(
                f"loss = {loss!r} needs a y of numbers, but y is {kind}: "
                "give floats, y.astype(float)"
            )
        several = self.classes is not None and len(self.classes) > 2
        if output == "auto":
            if loss == "poisson":
                output = "exp"
            elif self.kind == "numbers" and loss != "cross_entropy":
                output = "identity"
            else:
                output = "softmax" if several else "sigmoid"
        if loss == "cross_entropy" and output not in ("sigmoid", "softmax"):
            raise ValueError(
                f"output = {output!r} must be sigmoid or softmax where loss = 'cross_entropy'"
            )
        O = self.outputs
        if O is None:
            O = len(self.classes) if several or output == "softmax" else 1  # type: ignore[arg-type]
        if output == "softmax" and O == 1:
            raise ValueError(
                f"output = 'softmax' must have at least two outputs, but y has outputs = {O}: "
                "use sigmoid"
            )
        return output, loss, O

    def encode(
        self,
        y: Any,
        O: int,
        dtype: DTypeLike,
        loss: str,
        output: str,
        *,
        n: int | None = None,
        name: str = "y",
    ) -> NDArray[Any]:
        """Return the (n, O) targets of a net: zeros and ones, or numbers.

        Parameters
        ----------
        y : array-like
            What `of` was given, or other rows of the same meaning.
        O, loss, output
            What `resolve` returned.
        dtype : dtype
            float32 or float64.
        n : int, optional
            The rows of its X, for other rows than `of` was given.
        name : str
            What errors call y.

        Returns
        -------
        array of shape (n, O)

        Examples
        --------
        >>> y = ["cat", "dog", "cat"]
        >>> target = Target.of(y, 3)
        >>> output, loss, O = target.resolve("auto", "auto")
        >>> target.encode(y, O, "float32", loss, output)
        array([[0.],
               [1.],
               [0.]], dtype=float32)
        """
        array = as_targets(y, n, name)
        if self.kind == "labels":
            position = self.positions(array, name)
            if O == 1:
                return position.astype(dtype).reshape(-1, 1)
            encoded = np.zeros((len(position), O), dtype)
            encoded[np.arange(len(position)), position] = 1
            return encoded
        check_numbers(array, name)
        if array.size != len(array) * O:
            raise ValueError(
                f"{name}.shape = {array.shape} must have a column for each output of the net: {O}"
            )
        targets = as_floats(array.reshape(-1, O), dtype, name, shape=array.shape)
        if self.kind == "multilabel":
            check_all((targets == 0) | (targets == 1), array, name, "0 or 1")
        if loss == "cross_entropy":
            right = "from 0 to 1 where loss = 'cross_entropy'"
            check_all((targets >= 0) & (targets <= 1), array, name, right)
        if loss == "poisson":
            check_all(targets >= 0, array, name, ">= 0 where loss = 'poisson'")
        if output == "softmax" and (loss == "cross_entropy" or self.kind == "multilabel"):
            sums = targets.sum(axis=1, dtype=np.float64)
            wrong = np.flatnonzero(np.abs(sums - 1) > 1e-6)
            if len(wrong):
                raise ValueError(
                    f"{name}[{wrong[0]}].sum() = {sums[wrong[0]]} must be 1 where "
                    f"loss = {loss!r} and output = 'softmax'"
                )
        return targets

    def predict(self, outputs: NDArray[Any], output: str) -> NDArray[Any]:
        """Return what a net's (n, O) outputs say in the terms of y.

        Examples
        --------
        >>> import numpy as np
        >>> Target.of(["cat", "dog", "cat"], 3).predict(np.array([[0.2], [0.9]]), "sigmoid")
        array(['cat', 'dog'], dtype='<U3')
        """
        if self.classes is None:
            return outputs[:, 0] if self.flat else outputs
        if self.kind == "labels":
            if outputs.shape[1] == 1:
                return self.classes[(outputs[:, 0] > 0.5).astype(int)]
            return self.classes[outputs.argmax(axis=1)]
        if output == "softmax":
            chosen = outputs.argmax(axis=1)[:, np.newaxis] == np.arange(outputs.shape[1])
        else:
            chosen = outputs > 0.5
        return self.classes[chosen.astype(int)]

    def predict_proba(self, outputs: NDArray[Any], output: str) -> NDArray[Any]:
        """Return the probabilities of the classes, a column a class; of multi-label, of the ones.

        Examples
        --------
        >>> import numpy as np
        >>> Target.of([False, True], 2).predict_proba(np.array([[0.25], [1.0]]), "sigmoid")
        array([[0.75, 0.25],
               [0.  , 1.  ]])
        """
        if self.kind == "numbers":
            raise ValueError("predict_proba needs a y of class labels, but this net's y is numbers")
        if output not in ("sigmoid", "softmax"):
            raise ValueError(f"predict_proba needs output sigmoid or softmax, not {output}")
        if self.kind == "labels" and outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        return outputs

    def to_json(self) -> dict[str, Any]:
        """Return the target as plain JSON values.

        Examples
        --------
        >>> Target.of([3, 5], 2).to_json()
        {'kind': 'labels', 'classes': [3, 5], 'dtype': 'int64', 'flat': True, 'outputs': None}
        """
        known = self.classes is not None
        return {
            "kind": self.kind,
            "classes": self.classes.tolist() if known else None,  # type: ignore[union-attr]
            "dtype": _dtype_name(self.classes) if known else None,  # type: ignore[arg-type]
            "flat": self.flat,
            "outputs": self.outputs,
        }

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Return the target that `to_json` told, every value checked.

        Examples
        --------
        >>> Target.from_json(Target.of([0.5, 1.5], 2).to_json())
        Target(kind='numbers', classes=None, flat=True, outputs=1)
        """
        error = ValueError(f"target = {show(values)} must be what Target.to_json returns")
        if not isinstance(values, Mapping) or set(values) != {*cls.__annotations__, "dtype"}:
            raise error
        kind, flat, outputs = values["kind"], values["flat"], values["outputs"]
        good = type(flat) is bool and {
            "labels": flat and outputs is None,
            "multilabel": not flat and type(outputs) is int and outputs >= 1,
            "numbers": type(outputs) is int and outputs >= 1 and (outputs == 1 or not flat),
        }.get(kind if isinstance(kind, str) else "", False)
        if not good:
            raise error
        if kind == "numbers":
            if values["classes"] is not None or values["dtype"] is not None:
                raise error
            return cls(kind, None, flat, outputs)
        try:
            classes = _read_classes(values["classes"], values["dtype"])
        except (TypeError, OverflowError):
            raise error from None
        if classes is None or (kind == "multilabel" and classes.tolist() != [0, 1]):
            raise error
        return cls(kind, classes, flat, outputs)

    def positions(self, array: NDArray[Any], name: str) -> NDArray[np.intp]:
        """Return each label's position in the classes."""
        classes = self.classes
        assert classes is not None
        if array.ndim != 1:
            raise ValueError(f"{name}.shape = {array.shape} must be 1-D: these are labels")
        position = np.zeros(len(array), np.intp)
        known = np.zeros(len(array), bool)
        if (array.dtype.kind == "U") == (classes.dtype.kind == "U"):  # numpy would compare "1" to 1
            position = np.minimum(np.searchsorted(classes, array), len(classes) - 1)
            known = classes[position] == array
        if not known.all():
            unknown = np.unique(array[~known]).tolist()
            raise ValueError(
                f"{name} has labels = {show(unknown)} but must have only the known classes "
                f"{show(classes.tolist())}"
            )
        return position


def is_masked_array(values: Any) -> bool:
    """Whether values are an array of numpy.ma: nobody has one who has not imported it, which takes
    17 ms."""
    return "numpy.ma" in sys.modules and np.ma.isMaskedArray(values)


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Return values as an array, whatever is in it."""
    if hasattr(values, "toarray"):
        raise TypeError(f"{name} is a sparse matrix and must be an array: {name}.toarray()")
    if is_masked_array(values) and np.ma.is_masked(values):
        raise ValueError(f"{name} is a masked array and must have no masked values")
    try:
        return np.asarray(values)
    except ValueError:  # rows of different lengths
        raise ValueError(f"{name} = {show(values)} must be rectangular, rows x columns") from None


def as_targets(y: Any, n: int | None, name: str) -> NDArray[Any]:
    """Return y as an array of finite numbers or of strings, 1-D or 2-D, of n rows."""
    array = as_array(y, name)
    if array.dtype.kind == "T":  # numpy's strings of any width
        array = array.astype(object)
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array.flat):
        array = array.astype(str)
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


def _dtype_name(array: NDArray[Any]) -> str:
    return "str" if array.dtype.kind == "U" else array.dtype.name


def _read_classes(classes: Any, dtype: Any) -> NDArray[Any] | None:
    """Return the classes that JSON holds, None where they are not sorted labels of one kind."""
    kind = {"bool": bool, "str": str}.get(dtype, int)
    if (
        dtype not in _LABEL_DTYPES
        or not isinstance(classes, list)
        or len(classes) < 2
        or any(type(label) is not kind for label in classes)
        or any(a >= b for a, b in pairwise(classes))
    ):
        return None
    if kind is str and len(classes) * max(map(len, classes)) > _MOST_CHARACTERS:
        return None
    return np.array(classes, dtype)
