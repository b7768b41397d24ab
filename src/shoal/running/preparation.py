"""Data and settings become a run: all is checked before anything is compiled."""

import functools
import os
import sys
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..inputs.arrays import as_targets, check_inputs
from ..inputs.checks import show
from ..inputs.frames import check_column_names, column_names
from ..inputs.grid import Grid
from ..inputs.sample_weights import check_sample_weight, split_rows, take
from ..inputs.targets import Target, check_task
from ..kernels.code.environment import default_threads, most_threads, register_bytes
from ..kernels.code.telling import tell, warn
from ..kernels.launching.parallel import check_layer
from ..planning.plan import Machine, make_plan, order_seeds
from .dataset import Dataset, Rows
from .progress import monitor
from .run import Run


class Request(NamedTuple):
    """What a call asks for besides its nets, as the user gave it."""

    sample_weight: Any = None
    task: Any = "auto"
    progress: Any = None
    threads: Any = None
    verbose: Any = False
    specialise: Any = None
    backend: Any = "cpu"
    device: Any = None


class Known(NamedTuple):
    """What this training's data do not decide, as it was before."""

    target: Target
    feature_names: tuple[str, ...] | None = None
    epochs: int = 0  # that the net was trained for


def check_threads(threads: Any) -> int | None:
    """Return ``threads`` checked."""
    if threads is None:
        return None
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer):
        raise TypeError(f"threads = {show(threads)} must be an integer >= 1, or None (all cores)")
    if threads < 1:
        raise ValueError(f"threads = {threads} must be an integer >= 1, or None (all cores)")
    return int(threads)


def check_backend(backend: Any, device: Any) -> None:
    """Refuse what is no backend, and what names no GPU."""
    if backend not in ("cpu", "cuda"):
        right = "did you mean 'cuda'?" if backend in _OTHER_NAMES else "it must be 'cpu' or 'cuda'"
        kind = ValueError if isinstance(backend, str) else TypeError
        raise kind(f"backend = {show(backend)}: {right}")
    if device is None:
        return
    if isinstance(device, bool) or not isinstance(device, int | np.integer | str):
        raise TypeError(f"device = {show(device)} must be the number or the UUID of a GPU, or None")
    if backend == "cpu":
        raise ValueError(f"device = {show(device)} needs backend = 'cuda': it names a GPU")


_OTHER_NAMES: Final = ("gpu", "GPU", "CUDA", "Cuda", "nvidia")
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


@functools.cache
def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _check_memory(grid: Grid, rows: int, inputs: int, target: Target, dtype: np.dtype[Any]) -> None:
    """Refuse nets and records that this machine's memory cannot hold, before any is asked for."""
    memory = _memory()

    def check(size: int, named: str, hint: str = "") -> None:
        if size * dtype.itemsize > memory:
            raise ValueError(
                f"{named} must be less: this sweep needs {size * dtype.itemsize / 1e9:.3g} GB, and "
                f"this machine's memory has {memory / 1e9:.3g} GB{hint}"
            )

    classes = 1 if target.classes is None else len(target.classes)
    outputs = target.outputs or (classes if classes > 2 else 1)
    hint = ": task='regression' takes integers as numbers"
    check(rows * outputs, f"y's classes = {classes}", hint if classes > 1 else "")
    lanes = 8  # at least; a net alone takes them all
    if every := grid.candidates["record_every"][0]:
        epochs = max(grid.candidates["epochs"])
        nets = max(len(grid), lanes)
        check(2 * nets * (epochs // every), f"epochs = {epochs} with record_every = {every}")
    index = grid.index.get("hidden")
    counts = [len(grid)] if index is None else np.bincount(index).tolist()
    for count, hidden in zip(counts, grid.candidates["hidden"], strict=True):
        parameters = sum(i * o for i, o in pairwise((inputs, *hidden, outputs)))
        # with their gradients and adam's two moments
        check(4 * max(count, lanes) * parameters, f"hidden = {show(hidden)}")
        if any(grid.candidates["batch_norm"]):
            largest = max(min(size or rows, rows) for size in grid.candidates["batch_size"])
            # a batch's values, deltas and normalised sums
            check(3 * lanes * largest * sum(hidden), f"batch_size = {largest} with batch_norm")


def _check_weights(
    weights: NDArray[np.float64] | None, dtype: np.dtype[Any], description: str
) -> None:
    """Refuse row weights whose sum, or its inverse, the dtype rounds to infinity."""
    if weights is not None:
        smallest = np.finfo(dtype).smallest_normal
        with np.errstate(over="ignore"):
            total = weights.astype(dtype).sum()
        if not np.isfinite(total) or (weights[weights > 0] < smallest).any():
            raise ValueError(
                f"{description} must make row weights that are 0 or at least {smallest:.3g}, with "
                f"a sum that dtype = {dtype} can hold"
            )


def _divide(
    X: NDArray[Any],
    y: NDArray[Any],
    weights: NDArray[np.float64] | None,
    target: Target,
    given: Any,
    feature_names: tuple[str, ...] | None,
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
    check_column_names(given[0], feature_names, "validation[0]")
    other = check_inputs(given[0], name="validation[0]", inputs=X.shape[1], dtype=X.dtype)
    labels = as_targets(given[1], len(other), "validation[1]")
    return Rows(X, y, weights, "y"), Rows(other, labels, None, "validation[1]")


def _target(y: NDArray[Any], request: Request, known: Known | None, grid: Grid) -> Target:
    """What y means."""
    task = check_task("task", request.task)
    if known is not None:
        is_regression = known.target.kind == "numbers"
        if task == ("classification" if is_regression else "regression"):
            right = "regression" if is_regression else "classification"
            raise ValueError(f"task = {task!r} must be {right!r} or auto, as that of warm_start")
        return known.target
    target = Target.of(y, len(y), task)
    if task == "auto" and (target.kind != "numbers" or "auto" in grid.candidates["loss"]):
        if doubt := target.doubt(y):
            warn(doubt)
    return target


def prepare(
    X: ArrayLike,
    y: Any,
    grid: Grid,
    request: Request,
    known: Known | None = None,
) -> Run:
    """Check the data and plan the nets of a grid. Nothing is compiled before all is checked."""
    inputs = check_inputs(X, dtype=grid.candidates["dtype"][0])
    feature_names = known.feature_names if known else None
    check_column_names(X, feature_names)
    feature_names = feature_names or column_names(X)
    n, dtype, sample_weight = len(inputs), inputs.dtype, request.sample_weight
    labels = as_targets(y, n, "y")
    target = _target(labels, request, known, grid)
    weights = None if sample_weight is None else check_sample_weight(sample_weight, n)
    check_layer()
    bar, threads = monitor(request.progress), check_threads(request.threads)
    if not isinstance(request.verbose, bool):
        raise TypeError(f"verbose = {show(request.verbose)} must be True or False")
    if not (request.specialise is None or isinstance(request.specialise, bool)):
        raise TypeError(f"specialise = {show(request.specialise)} must be True, False or None")
    check_backend(request.backend, request.device)
    on_gpu = request.backend == "cuda"
    _check_rounding(grid, dtype)
    rows, validation = _divide(
        inputs, labels, weights, target, grid.candidates["validation"][0], feature_names
    )
    _check_memory(grid, len(rows.X), inputs.shape[1], target, dtype)
    counts = (len(rows.X), 0 if validation is None else len(validation.X))
    orders = order_seeds(grid)
    machine = Machine(register_bytes(), threads or default_threads(), on_gpu)
    plan = make_plan(
        grid, orders, target, counts, inputs.shape[1], dtype, machine, weights is not None,
        known.epochs if known else 0,
    )  # fmt: skip
    if request.verbose:
        if threads and threads > most_threads():
            most = most_threads()
            tell(f"threads = {threads}: numba has {most}, which divide the nets", sys.stdout)
        for block in plan.blocks:
            tell(block.describe(threads or default_threads()), sys.stdout)
    dataset = Dataset(target, rows, validation, feature_names)
    gpu = None
    if on_gpu:  # the driver is not touched before
        from ..gpu.device import open_device

        gpu = open_device(request.device)
    run = Run(plan, grid, dataset, orders, threads, bar, request.specialise, gpu, request.verbose)
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
