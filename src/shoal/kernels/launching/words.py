"""What a kernel is handed: one block of 64-bit words.

The arguments of a kernel are one named tuple of numbers, arrays and other named tuples, whose
fields `arguments` describes. Its block holds, in the order of the fields,

* of a number one word,
* of an array its address, then the extent of each axis (arrays are C-contiguous),
* of a named tuple the words of its fields,

behind word 0, the version of this layout. So whoever can write integers can call a kernel, from
any language: ``i32 kernel(int64 *words)`` returns 0, or one of the numbers below.

``python -m shoal.kernels.launching`` lists the words of each kernel.
"""

import ctypes
from operator import attrgetter
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np

VERSION = 5  # of the layout; a kernel refuses the words of another one

# what a kernel returns
DONE, OUT_OF_BOUNDS, OTHER_VERSION = range(3)

_empty = (ctypes.c_char * 0).from_buffer


class Field(NamedTuple):
    """One field of a kernel's arguments, with those inside it.

    Attributes
    ----------
    kind : str
        "int", "tuple", or of an array the type of its elements ("float": that of the nets).
    ndim : int
        Axes of an array.
    fields : tuple of Field
        Of a tuple.
    cls : type or None
        Of a tuple its named tuple class.
    """

    name: str
    kind: str
    ndim: int = 0
    fields: "tuple[Field, ...]" = ()
    cls: Any = None

    @property
    def words(self) -> int:
        """How many words the field takes."""
        if self.kind == "tuple":
            return sum(field.words for field in self.fields)
        return 1 if self.kind == "int" else 1 + self.ndim


def field_of(name: str, annotation: Any, inner: dict[str, Any], axes: int = 0) -> Field:
    """The field of this name and annotation.

    inner : what the fields that are annotated as Any are. axes : more axes than annotated.
    """
    if annotation is int:
        return Field(name, "int")
    if annotation is Any:
        annotation = inner[name]
    marks = get_args(annotation)
    if marks and marks[0] is Any:
        return Field(name, marks[1], marks[2] + axes)
    if marks:  # Annotated[a tuple, how many more axes]
        annotation, axes = marks
    hints = get_type_hints(annotation, include_extras=True)
    fields = (field_of(key, hint, inner, axes) for key, hint in hints.items())
    return Field(name, "tuple", 0, tuple(fields), annotation)


def _paths(field: Field, prefix: str = "") -> list[str]:
    """Dotted names of the numbers and arrays inside a field."""
    if field.kind != "tuple":
        return [prefix + field.name]
    return [path for part in field.fields for path in _paths(part, f"{prefix}{field.name}.")]


class Packer:
    """Makes blocks of words of a kernel's arguments.

    Parameters
    ----------
    field : Field
        The kernel's arguments.
    """

    def __init__(self, field: Field) -> None:
        self.size = 1 + field.words
        # one call for all: going through the tuples took a tenth of a fit of iris
        self._numbers_and_arrays = attrgetter(*(path.partition(".")[2] for path in _paths(field)))

    def words(self, arguments: Any) -> list[int]:
        """The block, which refers to the arrays: they must live as long as it is used.

        An array that is read-only or not C-contiguous raises a TypeError.
        """
        words = [VERSION]
        for each in self._numbers_and_arrays(arguments):
            if type(each) is np.ndarray:
                # of an empty array no address is asked for: a third of a fit's are
                address = ctypes.addressof(_empty(each)) if each.size else 0  # type: ignore[arg-type]
                words.append(address)
                words.extend(each.shape)
            else:
                words.append(each)
        if len(words) != self.size:
            raise TypeError(f"a kernel's block must have {self.size} words, not {len(words)}")
        return words


def check(field: Field, values: Any, dtype: Any) -> None:
    """Raise a TypeError where an argument is not what its annotation says."""
    for part, value in zip(field.fields, values, strict=True):
        if part.kind == "tuple":
            check(part, value, dtype)
        elif part.kind != "int":
            right = np.dtype(dtype if part.kind == "float" else part.kind)
            if value.dtype != right or value.ndim != part.ndim:
                raise TypeError(
                    f"{field.name}.{part.name} is an array of {value.dtype} with {value.ndim} axes,"
                    f" but must be of {right} with {part.ndim}"
                )


def listing(field: Field, prefix: str = "") -> list[str]:
    """What each word of a field is, in order."""
    name = f"{prefix}{field.name}"
    if field.kind == "tuple":
        return [line for part in field.fields for line in listing(part, f"{name}.")]
    if field.kind == "int":
        return [name]
    return [f"{name}: address of {field.kind}", *(f"{name}: extent {k}" for k in range(field.ndim))]
