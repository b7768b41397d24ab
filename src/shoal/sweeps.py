"""sweep(): many nets at once. (The module is not called sweep, as it would hide the function.)"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from .inputs.grid import expand
from .results import Sweep
from .running.preparation import prepare


def sweep(
    X: ArrayLike,
    y: Any,
    grid: Mapping[str, Sequence[Any]]
    | Sequence[Mapping[str, Sequence[Any]]]
    | Iterable[Mapping[str, Any]],
    *,
    sample_weight: ArrayLike | None = None,
    progress: bool | None = None,
    threads: int | None = None,
    verbose: bool = False,
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
    sample_weight : (n,) array-like, optional
        How much each row counts, >= 0.
    progress : bool, optional
        Show a progress bar; None: where standard error is a terminal, or in a notebook.
    threads : int, optional
        Threads; None: ``NUMBA_NUM_THREADS``, or all cores that the process may use.
    verbose : bool
        Print how the nets are put into blocks, whether lanes are nets or rows in each, and why.
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
    run = prepare(X, y, nets, None, progress, threads, sample_weight, verbose=verbose)
    run.initialise()
    try:
        run.train()
        run.evaluate()
    except KeyboardInterrupt as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # a second one, while threads ended
            raise
        run.interrupted = True
        warnings.warn(
            "the sweep was interrupted: nets that were not finished hold their last whole epoch",
            stacklevel=2,
        )
        run.evaluate()
    return Sweep(nets, run)
