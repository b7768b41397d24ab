"""Rows of data: their weights, and their split into training and validation rows."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.code.telling import warn
from ..reference import philox
from .arrays import as_array, as_floats, as_targets, check_all, check_numbers
from .checks import show
from .frames import is_frame
from .targets import Target

SPLIT = 3  # the random stream: the last counter word says what is drawn
_LARGEST_SUM = 1e300  # of weights; times a number of classes it is finite


def take(y: Any, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return those rows of a y.

    Examples
    --------
    >>> take(["cat", "dog", "cow"], np.array([0, 2]))
    array(['cat', 'cow'], dtype='<U3')
    """
    return as_array(y, "y", labels=True)[rows]


def check_sample_weight(sample_weight: Any, n: int) -> NDArray[np.float64]:
    """Return the weights of n rows as floats.

    Examples
    --------
    >>> check_sample_weight([1, 0, 2], 3)
    array([1., 0., 2.])
    >>> check_sample_weight([1, -1], 2)
    Traceback (most recent call last):
        ...
    ValueError: sample_weight[1] = -1 must be a finite number >= 0
    """
    name = "sample_weight"
    array = as_array(sample_weight, name)
    check_numbers(array, name)
    if is_frame(sample_weight) and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n,):
        raise ValueError(f"{name}.shape = {array.shape} must be ({n},), a weight a row of X")
    weights = as_floats(array, np.float64, name) + 0.0  # -0.0 becomes 0.0
    check_all(weights >= 0, array, name, "a finite number >= 0")
    _check_sum(weights, f"{name} = {show(sample_weight)}")
    return weights


def _check_sum(weights: NDArray[np.float64], description: str) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        total = weights.sum()
    if not weights.any():
        raise ValueError(f"{description} must leave a row with a weight > 0")
    if not total <= _LARGEST_SUM:
        raise ValueError(f"{description} must make weights that sum to at most {_LARGEST_SUM}")


def row_weights(
    target: Target,
    y: Any,
    class_weight: str | tuple[tuple[str | int, float], ...] | None,
    sample_weight: NDArray[np.float64] | None,
    *,
    name: str = "y",
) -> NDArray[np.float64] | None:
    """Return each row's weight, its sample weight times that of its class; None of neither.

    A class that `class_weight` does not name has 1. Those of "balanced" are those of scikit-learn:
    total / (classes * weight of the class), a class's weight being the sum of its sample weights.

    Parameters
    ----------
    target : Target
        What y means.
    y : array-like
        What `Target.of` was given, or other rows of the same meaning.
    class_weight
        The setting, in its normal form.
    sample_weight : array or None
        What `check_sample_weight` returned, for the rows of this y.
    name : str
        What errors call y.

    Returns
    -------
    array of shape (n,), or None

    Examples
    --------
    >>> y = ["cat", "dog", "cat", "cat"]
    >>> row_weights(Target.of(y, 4), y, (("dog", 3.0),), None)
    array([1., 3., 1., 1.])
    >>> row_weights(Target.of(y, 4), y, "balanced", np.array([1.0, 1.0, 0.0, 0.0]))
    array([1., 1., 0., 0.])
    """
    if class_weight is None:
        if sample_weight is not None:  # of these rows, which may be some of those checked
            _check_sum(sample_weight, f"sample_weight = {show(sample_weight)}")
        return sample_weight
    description = f"class_weight = {show(class_weight)}"
    with np.errstate(over="ignore", invalid="ignore"):  # said by _check_sum
        weights = _of_classes(target, y, class_weight, sample_weight, name)
        if sample_weight is not None:
            weights = weights * sample_weight
            description += f" times sample_weight = {show(sample_weight)}"
    _check_sum(weights, description)
    return weights


def _of_classes(
    target: Target,
    y: Any,
    class_weight: str | tuple[tuple[str | int, float], ...],
    sample_weight: NDArray[np.float64] | None,
    name: str,
) -> NDArray[np.float64]:
    """Return the weight of each row's class."""
    if target.kind != "labels" or target.classes is None:
        kind = "numbers" if target.kind == "numbers" else "multi-label"
        raise ValueError(
            f"class_weight = {show(class_weight)} needs a {name} of class labels, but "
            f"{name} is {kind}"
        )
    position = target.positions(as_targets(y, None, name), name)
    classes = target.classes.tolist()
    if isinstance(class_weight, str):
        totals = np.bincount(position, sample_weight, len(classes)).astype(np.float64)
        absent = np.flatnonzero(totals == 0)
        if len(absent):
            without = "row" if sample_weight is None else "row with a sample weight > 0"
            raise ValueError(
                f"class_weight = {show(class_weight)} needs each class in {name}, but class "
                f"{show(classes[absent[0]])} has no {without}"
            )
        # fsum rounds once, so that no machine differs
        return (math.fsum(totals) / (len(classes) * totals))[position]
    named: dict[Any, float] = dict(class_weight)
    unknown = sorted(set(named) - set(classes), key=str)
    if unknown:
        raise ValueError(
            f"class_weight has labels = {show(unknown)} but must have only the known classes "
            f"{show(classes)}"
        )
    return np.array([named.get(label, 1.0) for label in classes])[position]


def split_rows(
    target: Target, y: Any, fraction: float, n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to train on and the rows to validate on, both ascending.

    round(fraction * n) rows are drawn by Philox from a stream of their own, the same for equal y.
    Of labels, each class gives fraction * its rows, rounded so that the largest remainders go up
    (of equal ones the first class's), but keeps at least one row on each side; the only row of a
    class is trained on.

    Parameters
    ----------
    target : Target
        What y means.
    y : array-like
        What `Target.of` was given.
    fraction : float
        The setting `validation`.
    n : int
        The rows of y.

    Returns
    -------
    training, validation : arrays

    Examples
    --------
    >>> y = ["cat"] * 6 + ["dog"] * 3
    >>> training, validation = split_rows(Target.of(y, 9), y, 1 / 3, 9)
    >>> take(y, validation).tolist()
    ['cat', 'cat', 'dog']
    """
    count = round(fraction * n)
    if count in (0, n):
        side = "validation" if count == 0 else "training"
        raise ValueError(
            f"validation = {fraction} must leave a {side} row, but X has only "
            f"{n} row{'' if n == 1 else 's'}"
        )
    index = np.arange(n)
    words = philox((np.arange((n + 3) // 4), 0, 0, SPLIT), 0).T.ravel()[:n]
    if target.kind != "labels" or target.classes is None:
        group, counts = np.zeros(n, np.intp), np.array([count])
    else:
        group = target.positions(as_targets(y, n, "y"), "y")
        counts = _stratified(np.bincount(group), fraction, count)
        _warn_of_single_rows(target.classes, np.bincount(group), fraction)
    order = np.lexsort((words, group))  # by class, in it as drawn, then by row
    first = np.searchsorted(group[order], np.arange(len(counts)))
    chosen = np.zeros(n, bool)
    chosen[order] = index - first[group[order]] < counts[group[order]]
    return np.flatnonzero(~chosen).astype(np.int64), np.flatnonzero(chosen).astype(np.int64)


def _stratified(sizes: NDArray[np.intp], fraction: float, count: int) -> NDArray[np.intp]:
    """Return how many of the `count` validation rows each class gives."""
    n = int(sizes.sum())
    least, most = (sizes > 1).astype(np.intp), np.maximum(sizes - 1, 0)
    needed: dict[str, int] = {
        "validation": int(least.sum()),
        "training": int(np.count_nonzero(sizes)),
    }
    for side, rows in (("validation", count), ("training", n - count)):
        if rows < needed[side]:
            several = " that have two" if needed["validation"] < needed["training"] else ""
            raise ValueError(
                f"validation = {fraction} must leave a {side} row of each of the {needed[side]} "
                f"classes of y{several if side == 'validation' else ''}, but leaves "
                f"{side} rows = {rows} of {n}"
            )
    ideal = fraction * sizes
    counts = np.clip(np.floor(ideal).astype(np.intp), least, most)
    while (missing := count - int(counts.sum())) != 0:
        step = 1 if missing > 0 else -1
        free = counts < most if step > 0 else counts > least
        counts[np.argmax(np.where(free, step * (ideal - counts), -np.inf))] += step
    return counts


def _warn_of_single_rows(classes: Any, sizes: NDArray[np.intp], fraction: float) -> None:
    single = np.flatnonzero(sizes == 1)
    if len(single):
        some = show(classes[single[:5]].tolist()) + (" and others" if len(single) > 5 else "")
        which = "class" if len(single) == 1 else "classes"
        warn(f"validation = {fraction} has no row of {which} {some}, whose only row is trained on")
