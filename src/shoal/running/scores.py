"""Scores from what kernels count: accuracy, and R squared."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]


def _exact_sum(values: Floats) -> float:
    """Sum rounded once, so that no machine differs; infinity where it overflows."""
    try:
        return math.fsum(values)
    except OverflowError:
        return math.inf


def variation(targets: Floats, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Sum of squares about the mean of each column, weighted; infinity where it overflows.

    Examples
    --------
    >>> variation(np.array([[1.0], [3.0]]))
    array([2.])
    >>> variation(np.array([[1.0], [3.0], [3.0]]), np.array([2.0, 1.0, 1.0]))
    array([4.])
    """
    columns = targets.astype(np.float64).T
    by = np.ones(len(targets)) if weights is None else weights
    total = _exact_sum(by)
    with np.errstate(over="ignore", invalid="ignore"):
        means = [_exact_sum(by * column) / total for column in columns]
        squares = [by * (column - mean) ** 2 for column, mean in zip(columns, means, strict=True)]
    return np.array([_exact_sum(column) for column in squares])


def r_squared(residuals: Floats, total: NDArray[np.float64]) -> Floats:
    """R squared, the mean over the outputs; a constant output counts 1 if met exactly, else 0.

    NaN where y is so large that its squares overflow. residuals : (groups, O, L), sums of squares.
    total : (O,), what `variation` returned.

    Examples
    --------
    >>> r_squared(np.array([[[0.5, 2.0]]]), np.array([2.0]))
    array([[0.75, 0.  ]])
    """
    mean = np.zeros_like(residuals[:, 0])
    with np.errstate(over="ignore", invalid="ignore"):
        for o, about in enumerate(total):
            left = residuals[:, o]
            if about == 0:
                mean += left == 0
            else:
                mean += 1 - left / about if about < np.inf else np.nan
    return mean / len(total)
