"""What y means, and the way from y to a net's targets and from its outputs back."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .arrays import as_floats, as_targets, check_all, check_numbers
from .checks import choice, show

_LABEL_DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32",
    "float64", "str",
)  # fmt: skip
_MOST_CHARACTERS = 2**26  # of a saved model's labels, read into an array of equal widths

check_task = choice(("auto", "classification", "regression"))
_LOSSES_OF_NUMBERS = ("absolute_error", "huber", "poisson", "quantile")
_MANY_CLASSES = 20  # that may well be numbers, where more than every other row has its own
_FEW_ROWS = 10  # of zeros and ones in floats, as in examples: nobody need be told


@dataclass(frozen=True, eq=False)
class Target:
    """What y means.

    Attributes
    ----------
    kind : str
        "labels" (one class a row), "multilabel" (a 0 or 1 a column) or "numbers".
    classes : array or None
        The sorted classes of labels; [0, 1] in y's dtype of multilabel; None of numbers.
    flat : bool
        Whether y was 1-D, as predictions then are; labels may also be one column.
    outputs : int or None
        The columns of multilabel and numbers; of labels None, `resolve` tells.
    """

    kind: str
    classes: NDArray[Any] | None
    flat: bool
    outputs: int | None

    @classmethod
    def of(cls, y: Any, n: int, task: str = "auto", *, name: str = "y") -> Self:
        """Return what y means, by its dtype and shape or by the task, for an X of n rows.

        Strings, bools and ints are labels, or in two dimensions of zeros and ones multi-label;
        floats are numbers.

        Examples
        --------
        >>> Target.of(["cat", "dog", "cat"], 3).classes
        array(['cat', 'dog'], dtype='<U3')
        >>> Target.of([0.5, 1.5, 2.5], 3).kind
        'numbers'
        >>> Target.of([1.0, 2.0, 2.0], 3, "classification").kind
        'labels'
        """
        if task == "regression":
            return cls.numbers(y, n, name=name, where=" where task = 'regression'")
        array = as_targets(y, n, name)
        flat, columns = array.ndim == 1, 1 if array.ndim == 1 else array.shape[1]
        if array.dtype.kind == "f":
            if task == "auto":
                return cls("numbers", None, flat, columns)
            array = array.astype(np.float32 if array.itemsize == 4 else np.float64)
            right = "a whole number or a string where task = 'classification'"
            check_all(array == np.floor(array), array, name, right)
        if not flat and array.dtype.kind != "U" and np.isin(array, (0, 1)).all():
            return cls("multilabel", np.array([0, 1], array.dtype), False, columns)
        if columns > 1:
            raise ValueError(
                f"{name}.shape = {array.shape} with dtype {array.dtype} must be zeros and ones to "
                "be multi-label, one column to be labels, floats (or task = 'regression') to be "
                "numbers"
            )
        classes = np.unique(array)
        if len(classes) == 1:
            raise ValueError(
                f"{name} = {show(array)} must have at least two classes, not only "
                f"{show(classes[0])} (give floats, or task='regression', if these are numbers)"
            )
        return cls("labels", classes, flat, None)

    @classmethod
    def numbers(cls, y: Any, n: int, *, name: str = "y", where: str = "") -> Self:
        """Return the target that takes y as numbers whatever its dtype, for an X of n rows.

        Examples
        --------
        >>> Target.numbers([[0], [1]], 2).kind
        'numbers'
        """
        array = as_targets(y, n, name)
        check_numbers(array, name, f"numbers (float, int or bool){where}")
        return cls("numbers", None, array.ndim == 1, 1 if array.ndim == 1 else array.shape[1])

    def doubt(self, y: Any, *, name: str = "y") -> str | None:
        """Return what may not be meant where y says by its dtype alone what it is; None of nothing.

        Examples
        --------
        >>> years = range(1950, 2000)
        >>> Target.of(years, 50).doubt(years)
        "y has 50 different integers in 50 rows and is taken as class labels: ..."
        """
        array = as_targets(y, None, name)
        if self.kind == "labels" and self.classes is not None:
            count, n = len(self.classes), len(array)
            if array.dtype.kind in "iu" and count > _MANY_CLASSES and 2 * count > n:
                return (
                    f"{name} has {count} different integers in {n} rows and is taken as class "
                    "labels: task='regression' takes it as numbers, task='classification' says "
                    "that labels are meant"
                )
        if self.kind == "numbers" and array.dtype.kind == "f" and self.outputs == 1:
            if len(array) >= _FEW_ROWS and np.isin(array, (0, 1)).all():
                return (
                    f"{name} of {array.dtype} has only zeros and ones and is taken as numbers: "
                    "task='classification' takes it as class labels, task='regression' says that "
                    "numbers are meant"
                )
        return None

    def resolve(self, output: str, loss: str) -> tuple[str, str, int]:
        """Return output and loss without "auto", and how many outputs the net has.

        Examples
        --------
        >>> Target.of(["cat", "dog", "cat"], 3).resolve("auto", "auto")
        ('sigmoid', 'cross_entropy', 1)
        """
        if loss == "auto":
            loss = "squared_error" if self.kind == "numbers" else "cross_entropy"
        if loss in _LOSSES_OF_NUMBERS and self.kind != "numbers":
            kind = "class labels" if self.kind == "labels" else "multi-label"
            raise ValueError(
                f"loss = {loss!r} needs a y of numbers, but y is {kind}: "
                "give floats, or task='regression'"
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
            several = outputs.shape[1] > 1
            chosen = outputs.argmax(axis=1) if several else (outputs[:, 0] > 0.5).astype(int)
            labels = self.classes[chosen]
            return labels if self.flat else labels[:, np.newaxis]
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
        """Return the target that `to_json` wrote, every value checked.

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
            "labels": outputs is None,
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
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise ValueError(
                f"{name}.shape = {array.shape} must be 1-D, or one column: these are labels"
            )
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


def _dtype_name(array: NDArray[Any]) -> str:
    return "str" if array.dtype.kind == "U" else array.dtype.name


def _read_classes(classes: Any, dtype: Any) -> NDArray[Any] | None:
    """Return the classes that JSON holds, None where they are not sorted labels of one kind."""
    kind = {"bool": bool, "str": str, "float32": float, "float64": float}.get(dtype, int)
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
