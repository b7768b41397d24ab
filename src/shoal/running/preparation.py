"""Data and settings become a run: all is checked before anything is compiled."""

import os
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..inputs.checks import show
from ..inputs.grid import Grid
from ..inputs.sample_weights import check_sample_weight, split_rows, take
from ..inputs.targets import Target, as_targets, check_inputs
from ..kernels.code.environment import default_threads, most_threads, register_bytes
from ..kernels.launching.parallel import check_layer
from ..planning.plan import make_plan, order_seeds
from .dataset import Dataset, Rows
from .progress import monitor
from .run import Run


def check_threads(threads: Any) -> int | None:
    """Return ``threads`` checked."""
    if threads is None:
        return None
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer):
        raise TypeError(f"threads = {show(threads)} must be an integer >= 1, or None (all cores)")
    if threads < 1:
        raise ValueError(f"threads = {threads} must be an integer >= 1, or None (all cores)")
    return int(threads)


# Settings that a float32 may round out of their range, with the end that they must not reach.
_ENDS: Final = (
    ("momentum", 1), ("rho", 1), ("beta_1", 1), ("beta_2", 1), ("dropout", 1), ("quantile", 1),
    ("epsilon", 0), ("huber_delta", 0), ("quantile", 0), ("clip_delta", 0), ("clip_norm", 0),
)  # fmt: skip


def _check_rounding(grid: Grid, dtype: np.dtype[Any]) -> None:
    """Refuse numbers that leave their range when they are rounded to the dtype."""
    numbers = (
        (name, wrong, value, number)
        for name, wrong in _ENDS
        for value in grid.candidates[name]
        for number in (value if isinstance(value, tuple) else (value,))
        if number is not None
    )
    with np.errstate(over="ignore"):  # an infinite limit clips nothing
        for name, wrong, value, number in numbers:
            if dtype.type(number) == wrong:
                side = "<" if wrong else ">"
                raise ValueError(
                    f"{name} = {show(value)} must be {side} {wrong}, but dtype = {dtype} "
                    f"rounds it to {wrong}"
                )


def _check_memory(grid: Grid, rows: int, inputs: int, outputs: int, dtype: np.dtype[Any]) -> None:
    """Refuse nets and records that this machine's memory cannot hold, before any is asked for."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def check(size: int, named: str) -> None:
        if size * dtype.itemsize > memory:
            raise ValueError(
                f"{named} must be less: this sweep needs {size * dtype.itemsize / 1e9:.3g} GB, and "
                f"this machine's memory has {memory / 1e9:.3g} GB"
            )

    lanes = 8  # at least; a net alone takes them all
    if every := grid.candidates["record_every"][0]:
        epochs = max(grid.candidates["epochs"])
        nets = max(len(grid), lanes)
        check(2 * nets * (epochs // every), f"epochs = {epochs} with record_every = {every}")
    index = np.broadcast_to(grid.index.get("hidden", np.int32(0)), len(grid))
    counts = np.bincount(index).tolist()
    for count, hidden in zip(counts, grid.candidates["hidden"], strict=True):
        parameters = sum(i * o for i, o in pairwise((inputs, *hidden, outputs)))
        # with their gradients and adam's two moments
        check(4 * max(count, lanes) * parameters, f"hidden = {show(hidden)}")
        if any(grid.candidates["batch_norm"]):
            largest = max(min(size or rows, rows) for size in grid.candidates["batch_size"])
            # a batch's values, deltas and normalised sums
            check(3 * lanes * largest * sum(hidden), f"batch_size = {largest} with batch_norm")


def _check_weights(weights: NDArray[np.float64] | None, dtype: np.dtype[Any], told: str) -> None:
    """Refuse row weights whose sum, or its inverse, the dtype rounds to infinity."""
    if weights is not None:
        smallest = np.finfo(dtype).smallest_normal
        with np.errstate(over="ignore"):
            total = weights.astype(dtype).sum()
        if not np.isfinite(total) or (weights[weights > 0] < smallest).any():
            raise ValueError(
                f"{told} must make row weights that are 0 or at least {smallest:.3g}, with a sum "
                f"that dtype = {dtype} can hold"
            )


def _divide(
    X: NDArray[Any], y: Any, weights: NDArray[np.float64] | None, target: Target, given: Any
) -> tuple[Rows, Rows | None]:
    """Training rows, and validation rows where there are any."""
    if given is None:
        return Rows(X, y, weights, "y"), None
    if isinstance(given, float):
        training, validation = (
            Rows(X[rows], take(y, rows), None if weights is None else weights[rows], name)
            for rows, name in zip(
                split_rows(target, y, given, len(X)), ("y", "y of the validation rows"), strict=True
            )
        )
        return training, validation
    other = check_inputs(given[0], name="validation[0]", inputs=X.shape[1], dtype=X.dtype)
    return Rows(X, y, weights, "y"), Rows(other, given[1], None, "validation[1]")


def prepare(
    X: ArrayLike,
    y: Any,
    grid: Grid,
    target: Target | None,
    progress: bool | None,
    threads: Any,
    sample_weight: Any = None,
    first_epoch: int = 0,
    verbose: Any = False,
) -> Run:
    """Check the data and plan the nets of a grid. Nothing is compiled before all is checked."""
    inputs = check_inputs(X, dtype=grid.candidates["dtype"][0])
    n, dtype = len(inputs), inputs.dtype
    target = target or Target.of(y, n)
    weights = None if sample_weight is None else check_sample_weight(sample_weight, n)
    check_layer()
    told, threads = monitor(progress), check_threads(threads)
    if not isinstance(verbose, bool):
        raise TypeError(f"verbose = {show(verbose)} must be True or False")
    as_targets(y, n, "y")
    _check_rounding(grid, dtype)
    rows, validation = _divide(inputs, y, weights, target, grid.candidates["validation"][0])
    classes = 1 if target.classes is None else len(target.classes)
    _check_memory(grid, len(rows.X), inputs.shape[1], target.outputs or classes, dtype)
    counts = (len(rows.X), 0 if validation is None else len(validation.X))
    orders = order_seeds(grid)
    plan = make_plan(
        grid, orders, target, counts, inputs.shape[1], dtype, register_bytes(),
        threads or default_threads(), weights is not None, first_epoch,
    )  # fmt: skip
    if verbose:
        if threads and threads > most_threads():
            print(f"threads = {threads}: numba has {most_threads()}, which divide the nets")
        for block in plan.blocks:
            print(block.describe(threads or default_threads()))
    dataset = Dataset(target, rows, validation)
    run = Run(plan, grid, dataset, orders, threads, told)
    for block in plan.blocks:
        architecture = block.architecture
        for part in (rows, validation):
            if part is not None:
                dataset.targets(architecture, part)
                weighed = dataset.weights(architecture, part)
                by_class = "" if architecture.class_weight is None else "class_weight and "
                _check_weights(weighed, dtype, f"{by_class}sample_weight of {part.name}")
        dataset.training_data(architecture)
    return run
