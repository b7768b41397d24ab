"""train() and fit(): one net."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .data import Target, check_finite, check_inputs
from .grid import Grid
from .memory import pack, unpack
from .model import History, Model
from .results import Sweep
from .settings import SETTINGS, TUTORIAL, check_together, resolve, show
from .sweeps import prepare

_GIVEN_BY_WEIGHTS: Final = {
    "hidden": "the shapes of the weights say it",
    "init": "the weights are given",
    "bias": "biases=[...] switches bias on",
    "dtype": "that of the weights is computed in",
    "validation": "train tells the losses of its rows alone; fit and sweep take validation",
}


def _one(settings: dict[str, Any]) -> Grid:
    """Grid of one net."""
    check_together(settings)
    return Grid((), {name: [settings[name]] for name in SETTINGS}, {}, 1)


def fit(
    X: ArrayLike,
    y: Any,
    *,
    progress: bool | None = None,
    threads: int | None = None,
    **settings: Any,
) -> Model:
    """Train one net, with practical defaults.

    The result has the bits of the same net in any sweep.

    Parameters
    ----------
    X : (n, I) array-like
        Rows of inputs. float32 is computed in float32, all else in float64 (or see ``dtype``).
    y : (n,) or (n, O) array-like
        Strings, bools and ints are class labels (two-dimensional zeros and ones: multi-label);
        floats are numbers.
    progress : bool, optional
        Show a progress bar; None: where standard error is a terminal, or in a notebook.
    threads : int, optional
        Threads; None: ``NUMBA_NUM_THREADS``, or all cores that the process may use.
    **settings
        The README has the table.

    Returns
    -------
    Model

    Raises
    ------
    ValueError, TypeError
        Before anything is compiled or trained: one sentence that says what would be right.

    Examples
    --------
    >>> import numpy as np, shoal
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = shoal.fit(X, X**2, hidden=(16,), activation="tanh", epochs=500, learning_rate=0.01)
    >>> bool(abs(model.predict(X) - X**2).mean() < 0.05)
    True
    """
    grid = _one(resolve(settings))
    run, validation = prepare(X, y, grid, None, progress, threads)
    run.initialise()
    run.train()
    run.evaluate(validation or run.rows)
    return Sweep(grid, run.target, run, validation)[0]


def _check_arrays(arrays: Any, name: str, dtype: Any = None) -> list[NDArray[Any]]:
    """Return writable float arrays, checked one by one."""
    if not isinstance(arrays, list | tuple):
        raise TypeError(f"{name} = {show(arrays)} must be a list of arrays, one a layer")
    if not arrays:
        raise ValueError(f"{name} = {show(arrays)} must have at least one array, one a layer")
    for k, array in enumerate(arrays):
        if not isinstance(array, np.ndarray) or np.ma.isMaskedArray(array):
            raise TypeError(
                f"{name}[{k}] = {show(array)} must be a numpy array, to be changed in place"
            )
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(f"{name}[{k}].dtype = {array.dtype} must be float32 or float64")
        dtype = dtype or array.dtype
        if array.dtype != dtype:
            raise TypeError(f"{name}[{k}].dtype = {array.dtype} must be {dtype}, as of weights[0]")
        if not array.flags.writeable:
            raise ValueError(
                f"{name}[{k}] is read-only, but must be writable, to be changed in place"
            )
        if any(array is other for other in arrays[:k]):
            raise ValueError(f"{name}[{k}] must be an array of its own, not one given before")
        check_finite(array, f"{name}[{k}]")
    return list(arrays)


def _check_weights(weights: Any, biases: Any) -> tuple[list[Any], list[Any] | None]:
    weights = _check_arrays(weights, "weights")
    for k, w in enumerate(weights):
        if w.ndim != 2 or 0 in w.shape:
            raise ValueError(
                f"weights[{k}].shape = {w.shape} must be (inputs, units), neither of them 0"
            )
        if k and len(w) != weights[k - 1].shape[1]:
            raise ValueError(
                f"weights[{k}].shape = {w.shape} must have {weights[k - 1].shape[1]} rows, as many "
                f"as weights[{k - 1}].shape = {weights[k - 1].shape} has columns"
            )
    if biases is None:
        return weights, None
    biases = _check_arrays(biases, "biases", weights[0].dtype)
    if len(biases) != len(weights):
        raise ValueError(
            f"biases has {len(biases)} arrays, but must have {len(weights)}, as weights"
        )
    for k, (b, w) in enumerate(zip(biases, weights, strict=True)):
        if b.shape not in ((w.shape[1],), (1, w.shape[1])):
            raise ValueError(
                f"biases[{k}].shape = {b.shape} must be ({w.shape[1]},), a bias for each unit of "
                f"weights[{k}].shape = {w.shape}"
            )
    return weights, biases


def train(
    X: ArrayLike,
    y: Any,
    weights: Sequence[NDArray[Any]],
    *,
    epochs: int,
    biases: Sequence[NDArray[Any]] | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> History:
    """Train the net that these weights make, in place: the tutorial's loop in one call.

    Settings default to `shoal.TUTORIAL`: sigmoid layers, full batch, gradients summed over the
    rows, learning rate 1. Each call starts a fresh optimizer state.

    Parameters
    ----------
    X : (n, I) array-like
        Rows of inputs.
    y : (n,) or (n, O) array-like of numbers
        Targets; ints and bools are taken as numbers.
    weights : list of (inputs, units) arrays
        Writable, float32 or float64 (all of one dtype, which is computed in), of any strides.
        They are changed in place, also when Ctrl-C ends the call: then they hold the last whole
        epoch.
    epochs : int
        Passes over the rows.
    biases : list of (units,) arrays, optional
        Switches bias on; changed in place too.
    progress : bool, optional
        Show a progress bar; None: where standard error is a terminal, or in a notebook.
    **settings
        The README has the table; hidden, init, bias and dtype are the weights' own.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        Before anything is changed: one sentence that says what would be right.

    Examples
    --------
    >>> import numpy as np, shoal
    >>> X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    >>> y = np.array([[0, 1, 1, 0]]).T
    >>> syn0 = 2 * np.random.random((3, 4)) - 1
    >>> syn1 = 2 * np.random.random((4, 1)) - 1
    >>> history = shoal.train(X, y, [syn0, syn1], epochs=60_000)
    >>> bool(history.loss[-1] < 0.01)
    True
    """
    weights, biases = _check_weights(weights, biases)
    dtype = weights[0].dtype
    resolved = resolve({**settings, "epochs": epochs}, defaults=TUTORIAL, refused=_GIVEN_BY_WEIGHTS)
    resolved |= {
        "hidden": tuple(w.shape[1] for w in weights[:-1]),
        "bias": biases is not None,
        "dtype": str(dtype),
    }
    rows = check_inputs(X, dtype=dtype)
    grid = _one(resolved)
    target = Target.numbers(y, len(rows))
    for k, axis, size, what in (
        (0, 0, rows.shape[1], "a row for each column of X"),
        (len(weights) - 1, 1, target.outputs, "a column for each output in y"),
    ):
        if weights[k].shape[axis] != size:
            raise ValueError(f"weights[{k}].shape = {weights[k].shape} must have {what}: {size}")
    run, _ = prepare(rows, y, grid, target, progress, None)
    trained = run.trained[0]
    trained.state.params[:] = pack(weights, biases, dtype)[:, np.newaxis]
    try:
        run.train()
    finally:
        new_weights, new_biases = unpack(trained.state.params[0, :, 0], trained.block.layers)
        for old, new in zip(weights, new_weights, strict=True):
            old[...] = new
        for old, new in zip(biases or [], new_biases, strict=True):
            old[...] = new
    return History(trained.block.recorded, np.array(trained.state.losses[0, :, 0]))
