"""sweep(): many nets at once. (The module is not called sweep, as it would hide the function.)"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Unpack

from numpy.typing import ArrayLike

from .inputs.floating_point import without_floating_point_errors
from .inputs.grid import expand
from .inputs.signatures import Settings, lists_settings
from .results import Sweep
from .running.preparation import Request, prepare


@lists_settings()
@without_floating_point_errors
def sweep(
    X: ArrayLike,
    y: Any,
    grid: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    *,
    task: Literal["auto", "classification", "regression"] = "auto",
    sample_weight: ArrayLike | None = None,
    progress: bool | None = None,
    threads: int | None = None,
    specialise: bool | None = None,
    backend: Literal["cpu", "cuda"] = "cpu",
    device: int | str | None = None,
    verbose: bool = False,
    **settings: Unpack[Settings],
) -> Sweep:
    """Train a net for each combination of settings, all at once.

    Each net has the bits that it would have alone: whatever its neighbours, their order, the number
    of threads or the machine. Settings outside the grid are those of all nets.

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
    task : str
        "auto": y's dtype says what it is, as above; "classification": labels, also where they are
        whole floats; "regression": numbers, also where they are integers.
    sample_weight : (n,) array-like, optional
        How much each row counts, >= 0.
    progress : bool, optional
        Show a progress bar; None: where standard error is a terminal, or in a notebook.
    threads : int, optional
        Threads; None: ``NUMBA_NUM_THREADS``, or all cores that the process may use.
    specialise : bool, optional
        Train with machine code that is made for nets of this shape, with the same bits: making it
        takes about a second, once on a machine, and nets as small as the tutorial's are then
        trained in half of the time. None: where that is worth it.
    backend : str
        "cpu", or "cuda": a thread of an NVIDIA GPU trains each net, to the same bits. It needs
        ``pip install "shoal[cuda13]"`` (or cuda12), and is meant for thousands of small nets.
    device : int or str, optional
        With "cuda" which GPU: its number among those that ``CUDA_VISIBLE_DEVICES`` leaves, or its
        UUID; None: the first.
    verbose : bool
        Print how the nets are put into blocks, whether lanes are nets or rows in each, and why.
    **settings

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
    request = Request(sample_weight, task, progress, threads, verbose, specialise, backend, device)
    run = prepare(X, y, nets, request)
    run.initialise()
    run.train_and_evaluate(
        run.train,
        "the sweep was interrupted: nets that were not finished hold their last whole epoch",
    )
    return Sweep(nets, run)
