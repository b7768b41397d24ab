"""train() and fit(): one net."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import reference
from .inputs.arrays import check_finite, check_inputs, is_masked_array
from .inputs.checks import is_sequence, show
from .inputs.floating_point import without_floating_point_errors
from .inputs.grid import Grid
from .inputs.settings import SETTINGS, TUTORIAL, check_together, resolve
from .inputs.signatures import Settings, TrainSettings, lists_settings
from .inputs.targets import Target
from .kernels.code.telling import warn_of_result
from .kernels.layout import (
    ADAPTED,
    BEST,
    EPOCHS,
    MONITOR_FIELDS,
    PATIENCE,
    STALE,
    STATUS,
    STOPPED,
    WAITED,
)
from .model import DivergenceWarning, History, Model, Resume, Trace
from .planning.parameters import pack, unpack
from .results import Sweep
from .running.preparation import Known, Request, prepare
from .running.run import Run

_GIVEN_BY_WEIGHTS: Final = {
    "hidden": "the shapes of the weights say it",
    "init": "the weights are given",
    "bias": "biases=[...] switches bias on",
    "dtype": "that of the weights is computed in",
    "batch_norm": "its statistics have no place among the weights; fit and sweep take it",
}


def _one(settings: dict[str, Any]) -> Grid:
    """Grid of one net."""
    check_together(settings)
    return Grid((), {name: [settings[name]] for name in SETTINGS}, {}, 1)


def _epochs(trace: Any, first: int, last: int) -> tuple[int, ...]:
    """Return ``trace`` as ascending numbers of epochs."""
    if trace is None:
        return ()
    listed = trace if is_sequence(trace) else (trace,)
    right = f"whole numbers of epochs from {first} (before the first) to {last} (after the last)"
    for epoch in listed:
        if isinstance(epoch, bool) or not isinstance(epoch, int | np.integer):
            raise TypeError(f"trace = {show(trace)} must be {right}")
        if not first <= epoch <= last:
            raise ValueError(f"trace = {show(trace)} must be {right}")
    return tuple(sorted({int(epoch) for epoch in listed}))


def _train(
    run: Run, settings: dict[str, Any], epochs: tuple[int, ...], traces: list[Trace]
) -> None:
    """Train a run's one net, and add to traces after each of these numbers of epochs."""
    trained = run.trained[0]
    block, state = trained.block, trained.state

    def look(epoch: int) -> None:
        if state.progress[0, EPOCHS, 0] != epoch:
            return  # it stopped before
        architecture, dataset = block.architecture, run.dataset
        targets = dataset.targets(architecture, dataset.rows)
        weights, biases, norms = unpack(state.params[0, :, 0], block.layers)
        of_reference = None if norms is None else [reference.BatchNorm(*norm) for norm in norms]
        seen = reference.look(
            dataset.rows.X,
            targets.reshape(len(dataset.rows.X), -1),
            weights,
            biases,
            architecture.activations,
            architecture.output,
            architecture.loss,
            row_weights=dataset.weights(architecture, dataset.rows),
            clip_delta=settings["clip_delta"],
            batch_norms=of_reference,
            huber_delta=settings["huber_delta"],
            quantile=settings["quantile"],
        )
        traces.append(Trace(epoch, seen.outputs, seen.errors, seen.deltas, weights, biases))

    if block.first_epoch in epochs:
        look(block.first_epoch)
    run.train([epoch for epoch in epochs if epoch > block.first_epoch], look)


def _warn_of_divergence(status: str, epochs: int, learning_rate: float) -> None:
    if status == "diverged":
        warn_of_result(
            f"the net diverged after {epochs} epochs: a learning_rate below {learning_rate}, or "
            "clip_norm, may help",
            DivergenceWarning,
        )


# What a net that is trained on keeps from its first training.
_LASTING: Final = (
    "hidden", "activation", "output", "loss", "bias", "init", "batch_norm", "optimizer", "dtype",
)  # fmt: skip


def _is_open(name: str, value: Any) -> bool:
    return name in _LASTING and (value is None or (isinstance(value, str) and value == "auto"))


def _check_model(model: Any) -> Resume:
    """Return what a training can go on from."""
    if not isinstance(model, Model):
        raise TypeError(f"warm_start = {show(model)} must be a Model, or None")
    if model.resume is None:
        raise ValueError("warm_start has no optimizer state, but must be a net of fit or sweep")
    return model.resume


def _continued(model: Model, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return every setting of a training that goes on with ``model``."""
    # what is left open is the model's
    given = {name: value for name, value in settings.items() if not _is_open(name, value)}
    resolved = resolve(given, defaults=model.settings)
    activation = resolved["activation"]
    if isinstance(activation, str):
        activation = (activation,) * len(model.settings["hidden"])
    for name in _LASTING:
        now, before = resolved[name], model.settings[name]
        if name in given and (activation if name == "activation" else now) != before:
            raise ValueError(
                f"{name} = {show(settings[name])} must be that of warm_start, {show(before)}"
            )
    if bool(resolved["momentum"]) != bool(model.settings["momentum"]):  # a velocity, or none
        right = "> 0" if model.settings["momentum"] else "0"
        raise ValueError(
            f"momentum = {resolved['momentum']} must be {right} where that of warm_start is "
            f"{model.settings['momentum']}"
        )
    return resolved


def _resume(run: Run, model: Model, resume: Resume, same_rate: bool) -> None:
    """Set a run's one net to where another training ended.

    Weights that were changed since then are where it goes on from.
    """
    block, state = run.trained[0].block, run.trained[0].state
    for name, there, here in (
        ("params", resume.params, state.params),
        ("moments", resume.moments, state.optimizer_state),
    ):
        if there.shape != here.shape[1:2]:
            raise ValueError(
                f"warm_start has {name} of shape {there.shape}, but must have {here.shape[1:2]}"
            )
    params = resume.params
    packed = pack(model.weights, model.biases, model.batch_norm, block.layers, params.dtype)
    if not any(np.array_equal(packed, of_training) for of_training in (params, resume.best)):
        params = packed
    state.params[0] = params[:, np.newaxis]
    state.optimizer_state[0] = resume.moments[:, np.newaxis]
    if state.best.shape[1]:
        known = len(resume.best) == state.best.shape[1]
        state.best[0] = (resume.best if known else resume.params)[:, np.newaxis]
    if len(resume.watch) not in (0, MONITOR_FIELDS):
        raise ValueError(
            f"warm_start has watch of shape {resume.watch.shape}, but must have ({MONITOR_FIELDS},)"
        )
    if not state.monitor.shape[1]:
        return
    if len(resume.watch):
        validated = not np.isnan(model.results["val_loss"])
        if validated == (
            run.dataset.validation is not None
        ):  # the monitored loss is of the same kind
            for row in (BEST, WAITED, STALE):
                state.monitor[0, row] = resume.watch[row]
        if same_rate:
            state.monitor[0, ADAPTED] = resume.watch[ADAPTED]
    if state.monitor[0, WAITED, 0] >= state.monitor[0, PATIENCE, 0]:
        state.progress[0, STATUS] = STOPPED
        state.alive[0] = 0


@lists_settings()
@without_floating_point_errors
def fit(
    X: ArrayLike,
    y: Any,
    *,
    task: Literal["auto", "classification", "regression"] = "auto",
    sample_weight: ArrayLike | None = None,
    warm_start: Model | None = None,
    trace: int | Sequence[int] | None = None,
    progress: bool | None = None,
    threads: int | None = None,
    specialise: bool | None = None,
    backend: Literal["cpu", "cuda"] = "cpu",
    device: int | str | None = None,
    **settings: Unpack[Settings],
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
    task : str
        "auto": y's dtype says what it is, as above; "classification": labels, also where they are
        whole floats; "regression": numbers, also where they are integers.
    sample_weight : (n,) array-like, optional
        How much each row counts, >= 0.
    warm_start : Model, optional
        A net that is trained on, for ``epochs`` more: with its settings where none are given, its
        weights, epoch counter, optimizer, schedule and patience. 50 epochs and 50 more give the
        bits of 100 (but a cosine schedule ends where the epochs of each training end).
    trace : int or list of int, optional
        Numbers of epochs after which all rows are passed through the net, forward and back, for
        ``model.history.trace``: 0 is before the first.
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
    **settings

    Returns
    -------
    Model
        Also after Ctrl-C, with a warning: the net holds its last whole epoch. A net that diverged
        comes with a `DivergenceWarning`.

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
    >>> model = shoal.fit(X, X**2, warm_start=model, epochs=100, trace=600)
    >>> model.results["epochs"], model.history.trace[0].outputs[0].shape
    (600, (50, 16))
    """
    known, resume, done = None, None, 0
    if warm_start is None:
        resolved = resolve(settings)
    else:
        resume = _check_model(warm_start)
        resolved = _continued(warm_start, settings)
        done = resume.epochs
        known = Known(warm_start.target, warm_start.feature_names, done)
    last = done + resolved["epochs"]
    SETTINGS["epochs"].check(last)
    traced = _epochs(trace, done, last)
    grid = _one(resolved)
    run = prepare(
        X, y, grid,
        Request(
            sample_weight, task, progress, threads, specialise=specialise, backend=backend,
            device=device,
        ),
        known,
    )  # fmt: skip
    if warm_start is None or resume is None:
        run.initialise()
    else:
        widths = run.plan.blocks[0].architecture.widths
        if widths != warm_start.widths:
            raise ValueError(
                f"X and y make a net of widths = {widths}, but warm_start has {warm_start.widths}"
            )
        same_rate = resolved["learning_rate"] == warm_start.settings["learning_rate"]
        _resume(run, warm_start, resume, same_rate)
    traces: list[Trace] = []
    run.train_and_evaluate(
        lambda: _train(run, resolved, traced, traces),
        "the training was interrupted: the net holds its last whole epoch",
    )
    model = Sweep(grid, run)[0]
    model.history = replace(model.history, trace=tuple(traces))
    if warm_start is not None:
        model.history = warm_start.history.until(done) + model.history
        losses = model.history.until(model.results["epochs"]).loss
        if len(losses):
            model.results["loss"] = losses[-1].item()
    _warn_of_divergence(model.status, model.results["epochs"], resolved["learning_rate"])
    return model


def _check_arrays(arrays: Any, name: str, dtype: Any = None) -> list[NDArray[Any]]:
    """Return writable float arrays, checked one by one."""
    if not isinstance(arrays, list | tuple):
        raise TypeError(f"{name} = {show(arrays)} must be a list of arrays, one a layer")
    if not arrays:
        raise ValueError(f"{name} = {show(arrays)} must have at least one array, one a layer")
    for k, array in enumerate(arrays):
        if not isinstance(array, np.ndarray) or is_masked_array(array):
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
        check_finite(array, f"{name}[{k}]")
    return list(arrays)


def _overlaps_itself(array: NDArray[Any]) -> bool:
    """Whether two elements share memory."""
    axes = sorted(
        (abs(step), size) for step, size in zip(array.strides, array.shape, strict=True) if size > 1
    )
    end, apart = array.itemsize, True
    for step, size in axes:
        apart = apart and step >= end
        end += step * (size - 1)
    if apart:
        return False
    offsets = np.zeros(1, np.int64)
    for step, size in axes:
        offsets = np.add.outer(offsets, step * np.arange(size)).ravel()
    return bool((np.diff(np.sort(offsets)) < array.itemsize).any())


def _check_memory(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse arrays that share memory: what is written last would win."""
    named = list(arrays.items())
    for k, (name, array) in enumerate(named):
        if _overlaps_itself(array):
            raise ValueError(f"{name} has elements that share memory, but each must have its own")
        for other, before in named[:k]:
            if np.shares_memory(array, before):
                raise ValueError(
                    f"{name} shares memory with {other}, but must have memory of its own"
                )


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
        _check_memory({f"weights[{k}]": w for k, w in enumerate(weights)})
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
    named = {f"weights[{k}]": w for k, w in enumerate(weights)}
    _check_memory(named | {f"biases[{k}]": b for k, b in enumerate(biases)})
    return weights, biases


@lists_settings(TrainSettings, TUTORIAL)
@without_floating_point_errors
def train(
    X: ArrayLike,
    y: Any,
    weights: Sequence[NDArray[Any]],
    *,
    epochs: int,
    biases: Sequence[NDArray[Any]] | None = None,
    trace: int | Sequence[int] | None = None,
    progress: bool | None = None,
    specialise: bool | None = None,
    backend: Literal["cpu", "cuda"] = "cpu",
    device: int | str | None = None,
    **settings: Unpack[TrainSettings],
) -> History:
    """Train the net that these weights make, in place: the tutorial's loop in one call.

    Settings default to `shoal.TUTORIAL`: sigmoid layers, full batch, gradients summed over the
    rows, learning rate 1. Each call starts a fresh optimizer state. Where ``patience`` is set, the
    arrays end with the best weights. ``hidden``, ``init``, ``bias`` and ``dtype`` are the weights'
    own, and ``batch_norm`` is refused.

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
    trace : int or list of int, optional
        Numbers of epochs after which all rows are passed through the net, forward and back, for
        ``history.trace``: 0 is before the first.
    progress : bool, optional
        Show a progress bar; None: where standard error is a terminal, or in a notebook.
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
    **settings

    Returns
    -------
    History
        With a `DivergenceWarning` where the net diverged.

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
    traced = _epochs(trace, 0, resolved["epochs"])
    request = Request(progress=progress, specialise=specialise, backend=backend, device=device)
    run = prepare(X, y, grid, request, Known(target))
    trained = run.trained[0]
    state, layers = trained.state, trained.block.layers
    state.params[:] = pack(weights, biases, None, layers, dtype)[:, np.newaxis]
    if len(state.best[0]):
        state.best[...] = state.params
    traces: list[Trace] = []
    try:
        _train(run, resolved, traced, traces)
    finally:
        new_weights, new_biases, _ = unpack(trained.params[0, :, 0], layers)
        for old, new in zip(weights, new_weights, strict=True):
            old[...] = new
        for old, new in zip(biases or [], new_biases or [], strict=True):
            old[...] = new
    history = replace(Sweep(grid, run).history(0), trace=tuple(traces))
    epochs = int(state.progress[0, EPOCHS, 0])
    _warn_of_divergence(history.status, epochs, resolved["learning_rate"])
    return history
