"""Kernels for nets of one shape: what of their words is known, and those that are loaded."""

import functools
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from ..code import objects
from ..code.environment import jit_is_on
from ..code.specialising import TABLE, Known
from ..lane_group import LaneGroup
from .entries import Kernel
from .words import Field

# Estimated seconds that a training must save: where its machine code is loaded, where it is in the
# cache, and for each layer where it must be made first, which takes 0.3 to 0.8.
_WORTH_USING, _WORTH_LOADING, _WORTH_MAKING = 1e-4, 0.01, 1.5
# Loaded at a time, beside those that are in use: one takes 50 to 200 kB.
_MOST = 64

_KNOWN, _UNKNOWN, _WHERE_ZERO = "known", "unknown", "known where it is 0"
# As many as epochs are recorded. Trainings of one shape differ in that, in where slices begin and
# end, in how many groups there are, and in addresses.
_RECORDS = ("losses", "scores", "val_losses", "learning_rates")

_loaded: OrderedDict[Any, objects.Function] = OrderedDict()


def kinds(field: Field, grouped: tuple[str, ...], inside: bool = False) -> Iterator[str]:
    """Of each word behind the version whether it is known.

    grouped : tuples whose arrays have a leading axis, of groups. inside : whether this is in one.
    """
    for part in field.fields:
        if part.name == "slice":
            yield from [_UNKNOWN] * part.words
        elif part.kind == "tuple":
            yield from kinds(part, grouped, inside or part.name in grouped)
        elif part.kind == "int":
            yield _UNKNOWN if part.name == "record_every" else _KNOWN
        else:
            extents = [_KNOWN] * part.ndim
            if inside:
                extents[0] = _UNKNOWN  # groups
                if part.name == "order":
                    extents[1] = _UNKNOWN  # epochs
                if part.name in _RECORDS:
                    extents[1] = _WHERE_ZERO
            yield TABLE if part.name == "layers" else _UNKNOWN
            yield from extents


@functools.cache
def _kinds_of(kernel: Kernel) -> list[str]:
    return [_KNOWN, *kinds(kernel.field, ("nets",))]


def known_of(kernel: Kernel, arguments: Any) -> Known:
    """What is known of the words of a kernel that trains. arguments : Training."""
    table = tuple(arguments.layers.ravel().tolist())
    return known_words(kernel.packer.words(arguments), _kinds_of(kernel), table)


def known_words(block: Sequence[int], kinds: Sequence[str], table: tuple[int, ...]) -> Known:
    """What is known of a block of words. kinds : of each. table : what `layers` holds."""
    words: list[Any] = list(block)
    for k, kind in enumerate(kinds):
        if kind == _UNKNOWN or (kind == _WHERE_ZERO and words[k]):
            words[k] = None
        elif kind == TABLE:
            words[k] = TABLE
    return Known(tuple(words), table)


def least_worth() -> float:
    """Seconds that a training must save, for `function_of` to be asked at all."""
    return _WORTH_USING if _loaded else _WORTH_LOADING


def function_of(
    kernel: Kernel, lane: LaneGroup, arguments: Any, saved: float
) -> objects.Function | None:
    """Specialised machine code for such arguments where that is worth it, else None.

    saved : seconds of training that it is estimated to save.
    """
    if not jit_is_on():
        return None
    known = known_of(kernel, arguments)
    makes = saved >= _WORTH_MAKING * len(arguments.layers)
    with objects.COMPILING:
        key = (kernel.name, lane.key, known)
        if key not in _loaded:
            if saved < _WORTH_LOADING:
                return None
            made = kernel.specialised(lane, known)
            function = made.function() if makes or made.is_kept() else None
            if function is None:
                return None
            _loaded[key] = function
        _loaded.move_to_end(key)
        if len(_loaded) > _MOST:
            _loaded.popitem(last=False)
        return _loaded[key]
