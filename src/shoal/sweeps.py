"""sweep(): many nets at once. (The module is not called sweep, as it would hide the function.)"""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .data import Target, check_inputs
from .engine import Rows, Run
from .grid import Grid, expand
from .kernels.jit import register_bytes
from .plan import make_plan, order_seeds
from .progress import monitor
from .results import Sweep
from .settings import show


def check_threads(threads: Any) -> int | None:
    """Return ``threads`` checked."""
    if threads is None:
        return None
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer):
        raise TypeError(f"threads = {show(threads)} must be an integer >= 1, or None (all cores)")
    if threads < 1:
        raise ValueError(f"threads = {threads} must be an integer >= 1, or None (all cores)")
    return int(threads)


def _check_rounding(grid: Grid, dtype: np.dtype[Any]) -> None:
    """Refuse numbers that leave their range when they are rounded to the dtype."""
    for name, wrong in (("momentum", 1), ("beta_1", 1), ("beta_2", 1), ("epsilon", 0)):
        for value in grid.candidates[name]:
            if dtype.type(value) == wrong:
                side = "<" if wrong else ">"
                raise ValueError(
                    f"{name} = {value} must be {side} {wrong}, but dtype = {dtype} rounds it to "
                    f"{wrong}"
                )


def _check_memory(grid: Grid, inputs: int, outputs: int, dtype: np.dtype[Any]) -> None:
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
        check(nets * (epochs // every), f"epochs = {epochs} with record_every = {every}")
    index = np.broadcast_to(grid.index.get("hidden", np.int32(0)), len(grid))
    counts = np.bincount(index).tolist()
    for count, hidden in zip(counts, grid.candidates["hidden"], strict=True):
        parameters = sum(i * o for i, o in pairwise((inputs, *hidden, outputs)))
        # with their gradients and adam's two moments
        check(4 * max(count, lanes) * parameters, f"hidden = {show(hidden)}")


def prepare(
    X: ArrayLike, y: Any, grid: Grid, target: Target | None, progress: bool | None, threads: Any
) -> tuple[Run, Rows | None]:
    """Check the data and plan the nets of a grid. Nothing is compiled before all is checked."""
    rows = check_inputs(X, dtype=grid.candidates["dtype"][0])
    n, inputs = rows.shape
    target = target or Target.of(y, n)
    told, threads = monitor(progress), check_threads(threads)
    classes = 1 if target.classes is None else len(target.classes)
    _check_rounding(grid, rows.dtype)
    _check_memory(grid, inputs, target.outputs or classes, rows.dtype)
    plan = make_plan(grid, target, n, inputs, rows.dtype, register_bytes())
    run = Run(plan, grid, target, Rows(rows, y, "y"), order_seeds(grid), threads, told)
    validation = None
    if (given := grid.candidates["validation"][0]) is not None:
        other = check_inputs(given[0], name="validation[0]", inputs=inputs, dtype=rows.dtype)
        validation = Rows(other, given[1], "validation[1]")
    for block in plan.blocks:
        for part in (run.rows, validation):
            if part is not None:
                run.targets(block.structure, part)
    return run, validation


def sweep(
    X: ArrayLike,
    y: Any,
    grid: Mapping[str, Sequence[Any]]
    | Sequence[Mapping[str, Sequence[Any]]]
    | Iterable[Mapping[str, Any]],
    *,
    progress: bool | None = None,
    threads: int | None = None,
    **settings: Any,
) -> Sweep:
    """Train a net for each combination of settings, all at once.

    Each net has the bits that it would have alone: whatever its neighbours, their order, the number
    of threads or the machine.

    Parameters
    ----------
    X : (n, I) array-like
        Rows of inputs. float32 is computed in float32, all else in float64 (or see ``dtype``).
    y : (n,) or (n, O) array-like
        Strings, bools and ints are class labels (two-dimensional zeros and ones: multi-label);
        floats are numbers.
    grid : dict of lists, list of such dicts, or iterable of dicts
        A dict stands for all combinations of its candidates, the last key varying fastest. An
        iterable of settings dicts has one net each (random search).
    progress : bool, optional
        Show a progress bar; None: where standard error is a terminal, or in a notebook.
    threads : int, optional
        Threads; None: ``NUMBA_NUM_THREADS``, or all cores that the process may use.
    **settings
        Settings that all nets share; the README has the table.

    Returns
    -------
    Sweep
        Also after Ctrl-C, with a warning: nets that were not finished hold their last whole epoch
        and are marked interrupted.

    Raises
    ------
    ValueError, TypeError
        Before anything is compiled or trained: one sentence that says what would be right.

    Examples
    --------
    >>> import numpy as np, shoal
    >>> X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    >>> grid = {"hidden": [4, 8], "learning_rate": [0.01, 0.1], "seed": range(3)}
    >>> sweep = shoal.sweep(X, [False, True, True, False], grid, epochs=200)
    >>> len(sweep), list(sweep.results)[:4]
    (12, ['hidden', 'learning_rate', 'seed', 'loss'])
    >>> sweep.best.predict(X)
    array([False,  True,  True, False])
    """
    nets = expand(grid, settings)
    run, validation = prepare(X, y, nets, None, progress, threads)
    run.initialise()
    scored = validation or run.rows
    try:
        run.train()
        run.evaluate(scored)
    except KeyboardInterrupt as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # a second one, while threads ended
            raise
        run.interrupted = True
        warnings.warn(
            "the sweep was interrupted: nets that were not finished hold their last whole epoch",
            stacklevel=2,
        )
        run.evaluate(scored)
    return Sweep(nets, run.target, run, validation)
