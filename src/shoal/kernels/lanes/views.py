"""Matrices in arrays: where the numbers of a layer, or of a tile's rows, are.

The functions are inlined so that a stride of 1 reaches who loads by it as a constant.
"""

from typing import Any, NamedTuple

from ..code.compilation import device_function


class View(NamedTuple):
    """Element (k, j) of a matrix is element ``start + k * step + j * stride`` of an array.

    Of a tile's inputs and targets k is a unit and j a row.
    """

    array: Any  # (positions, L), or shared (positions,)
    start: int
    step: int
    stride: int


class Units(NamedTuple):
    """Unit u of a tile's row s is element ``start + u * step + s`` of an array: rows are adjacent.

    Likewise other lines of adjacent elements: a layer's weights are a line of inputs for each unit,
    numbers that are row by row a line of units for each row, weights of rows one line, of step 0.
    """

    array: Any  # (positions, L), or shared (positions,)
    start: int
    step: int


@device_function(inline="always")
def moved(view, k, j):
    """The part of a matrix that begins at element (k, j)."""
    return View(view.array, view.start + k * view.step + j * view.stride, view.step, view.stride)


@device_function(inline="always")
def transposed(view):
    """The matrix whose element (j, k) is element (k, j)."""
    return View(view.array, view.start, view.stride, view.step)


@device_function(inline="always")
def from_unit(units, u):
    """The units from unit u on."""
    return Units(units.array, units.start + u * units.step, units.step)


@device_function(inline="always")
def across(units):
    """The same as a matrix: k is a row and j a unit."""
    return View(units.array, units.start, 1, units.step)


@device_function(inline="always")
def from_row(units, s):
    """The units' rows from row s on, as a matrix: k is a unit and j a row."""
    return View(units.array, units.start + s, units.step, 1)
