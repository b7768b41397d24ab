"""One trained net: its outputs, its predictions, its file."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .inputs.arrays import check_inputs
from .inputs.checks import show
from .inputs.floating_point import without_floating_point_errors
from .inputs.frames import check_column_names
from .inputs.sample_weights import check_sample_weight
from .inputs.settings import SETTINGS, check_together, resolve
from .inputs.targets import Target
from .planning.parameters import BatchNorm
from .running.files import write_whole
from .running.scores import r_squared, variation

Floats = NDArray[Any]

_FORMAT: Final = "shoal.model"
# 1 had no batch norm and could not be trained on, 2 had no feature names, and epochs from 0
_VERSION: Final = 3

# Arrays of a file besides the weights
_HISTORY: Final = ("epoch", "loss", "val_loss", "score", "learning_rate")
_RESUME: Final = ("params", "moments", "best", "watch")

# What is reported of a trained net, in a sweep's table and with a model.
RESULTS: Final = ("loss", "score", "val_loss", "epochs", "status", "seconds")
STATUSES: Final = ("running", "finished", "stopped", "diverged", "interrupted")


class DivergenceWarning(UserWarning):
    """A net has left the finite numbers: its outputs say nothing."""


class Trace(NamedTuple):
    """One pass of all training rows through a net, forward and back, at the start of an epoch.

    Nothing is dropped out; batch norm is by the statistics of all the rows.

    Attributes
    ----------
    epoch : int
        Epochs that the net was trained for before.
    outputs : list of (n, units) arrays
        Of each hidden layer, then of the net.
    errors : list of (n, units) arrays
        Derivatives of the loss by the outputs of each layer. (The tutorial's errors have the other
        sign: it adds its steps.)
    deltas : list of (n, units) arrays
        Derivatives of the loss by each layer's weighted sums: errors times slopes.
    weights : list of (I, O) arrays
    biases : list of (O,) arrays, or None
    """

    epoch: int
    outputs: list[Floats]
    errors: list[Floats]
    deltas: list[Floats]
    weights: list[Floats]
    biases: list[Floats] | None


@dataclass(frozen=True, eq=False)
class History:
    """What was recorded of one training.

    Attributes
    ----------
    epoch : (records,) int array
        The recorded epochs, from 1: how many were done.
    loss : (records,) array
        Mean over the epoch's rows of the loss before each update, without penalties; NaN after a
        net stopped.
    val_loss : (records,) array
        Loss of the validation rows after the epoch; NaN without validation.
    score : (records,) array
        Accuracy or R squared of the validation rows after the epoch; without validation, of the
        training rows before each update, with dropout and the rows' weights as the loss has them.
    learning_rate : (records,) array
        That of the epoch.
    trace : tuple of Trace
        The passes that ``trace=`` asked for; a saved model does not have them.
    status : str
        What the training has come to: finished, stopped, diverged or interrupted.
    """

    epoch: NDArray[np.int64]
    loss: Floats
    val_loss: Floats
    score: Floats
    learning_rate: Floats
    trace: tuple[Trace, ...] = ()
    status: str = "finished"

    def __len__(self) -> int:
        return len(self.epoch)

    def __repr__(self) -> str:
        known = np.flatnonzero(~np.isnan(self.loss))
        if not len(known):
            return "History(no epochs)"
        return f"History({len(known)} records, last loss {self.loss[known[-1]]:.6g})"

    def until(self, epochs: int) -> "History":
        """Return the records of the first so many epochs."""
        first = self.epoch <= epochs
        return replace(self, **{name: getattr(self, name)[first] for name in _HISTORY})

    def __add__(self, more: "History") -> "History":
        """Return this history and what came after it."""
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(more, name)]) for name in _HISTORY
        }
        return replace(more, trace=self.trace + more.trace, **joined)


class Resume(NamedTuple):
    """What a net needs besides its settings to be trained on as if it had never stopped."""

    epochs: int  # that it was trained for
    params: Floats  # current ones, which may not be the best
    moments: Floats  # of the optimizer
    best: Floats  # where patience is set
    watch: NDArray[np.float64]


class Model:
    """One trained net.

    Attributes
    ----------
    weights : list of (I, O) arrays
        Of each layer, inputs by units: the last ones, or where ``patience`` is set the best.
    biases : list of (O,) arrays, or None
        None of a net without bias units.
    settings : dict
        The settings it was trained with, ``output`` and ``loss`` as they were resolved.
    batch_norm : list of BatchNorm, or None
        Of each hidden layer its scale, shift, and running mean and variance, (units,) each.
    history : History
    target : Target
        What the y of the training meant.
    resume : Resume, or None
        What ``fit(..., warm_start=model)`` goes on from.
    results : dict
        The net's row of a sweep's table: loss (the last recorded), score and val_loss (of
        `weights`), epochs, status and seconds.
    feature_names : tuple of str, or None
        The columns of the X of the training, where it was a frame that names them. Other frames
        must have the same in the same order; arrays are taken by position, with a warning.

    Examples
    --------
    >>> import numpy as np, shoal
    >>> X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    >>> model = shoal.fit(X, ["even", "odd", "odd", "even"], hidden=8, learning_rate=0.1, seed=1)
    >>> model.predict(X)
    array(['even', 'odd', 'odd', 'even'], dtype='<U4')
    >>> model(X).shape
    (4, 1)
    """

    def __init__(
        self,
        weights: Sequence[Floats],
        biases: Sequence[Floats] | None,
        settings: Mapping[str, Any],
        target: Target,
        history: History,
        results: Mapping[str, Any],
        batch_norm: Sequence[BatchNorm] | None = None,
        resume: Resume | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.weights = list(weights)
        self.biases = None if biases is None else list(biases)
        self.settings = dict(settings)
        self.history = history
        self.results = dict(results)
        self.batch_norm = None if batch_norm is None else list(batch_norm)
        self.target = target
        self.resume = resume
        self.feature_names = None if feature_names is None else tuple(feature_names)

    @property
    def status(self) -> str:
        """What the training has come to: finished, stopped, diverged or interrupted."""
        return self.results["status"]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type that the net computes in."""
        return self.weights[0].dtype

    @property
    def widths(self) -> tuple[int, ...]:
        """Inputs, units of the hidden layers, outputs."""
        return (len(self.weights[0]), *(w.shape[1] for w in self.weights))

    @property
    def classes(self) -> NDArray[Any] | None:
        """The class labels in the order of the outputs; None of a net that predicts numbers."""
        return self.target.classes

    @without_floating_point_errors
    def __call__(self, X: ArrayLike) -> Floats:
        """Return the outputs for rows X.

        Parameters
        ----------
        X : (n, I) array-like

        Returns
        -------
        (n, O) array
        """
        from .running.prediction import predict

        _check_layers(self.weights, self.biases, self.batch_norm)
        check_column_names(X, self.feature_names)
        rows = check_inputs(X, inputs=self.widths[0], dtype=self.dtype)
        return predict(
            rows,
            self.weights,
            self.biases,
            tuple(self.settings["activation"]),
            self.settings["output"],
            self.batch_norm,
        )

    @without_floating_point_errors
    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return labels, or numbers shaped like the y of the training.

        Parameters
        ----------
        X : (n, I) array-like
        """
        return self.target.predict(self(X), self.settings["output"])

    @without_floating_point_errors
    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return the probability of each class, in the order of `classes`.

        Parameters
        ----------
        X : (n, I) array-like

        Returns
        -------
        (n, classes) array
            Of a multi-label net the probability of a one in each column, (n, k).
        """
        return self.target.predict_proba(self(X), self.settings["output"])

    @without_floating_point_errors
    def score(self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy (multi-label: of whole rows), or R squared, the mean over outputs.

        Parameters
        ----------
        X : (n, I) array-like
        y : array-like
            Labels or numbers, as the y of the training.
        sample_weight : (n,) array-like, optional

        Examples
        --------
        >>> import numpy as np, shoal
        >>> model = shoal.fit(np.eye(2), ["no", "yes"], hidden=4, learning_rate=0.1)
        >>> model.score(np.eye(2), ["no", "no"])
        0.5
        """
        outputs, output = self(X), self.settings["output"]
        n = len(outputs)
        encoded = self.target.encode(
            y, outputs.shape[1], self.dtype, self.settings["loss"], output, n=n
        )
        weights = np.ones(n) if sample_weight is None else check_sample_weight(sample_weight, n)
        if self.target.kind == "numbers":
            errors = (outputs.astype(np.float64) - encoded) ** 2
            residuals = (weights[:, np.newaxis] * errors).sum(axis=0)
            about = variation(encoded, weights)
            return float(r_squared(residuals[np.newaxis, :, np.newaxis], about)[0, 0])
        hits = self.target.predict(outputs, output) == self.target.predict(encoded, output)
        return float(np.average(hits.reshape(n, -1).all(axis=1), weights=weights))

    def __repr__(self) -> str:
        shape = "-".join(map(str, self.widths))
        return f"Model({shape}, {self.dtype}, {self.status}, {self.history!r})"

    def save(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
        """Write the net to a file, whole or not at all. A link is followed.

        The file is in the safetensors format: arrays, and JSON; no pickle. `shoal.load` reads it.

        Examples
        --------
        >>> import numpy as np, shoal
        >>> model = shoal.fit(np.eye(3), [0.0, 1.0, 2.0], hidden=4, epochs=5)
        >>> model.save(getfixture("tmp_path") / "model.safetensors")
        >>> again = shoal.load(getfixture("tmp_path") / "model.safetensors")
        >>> bool((again(np.eye(3)) == model(np.eye(3))).all())
        True
        """
        from safetensors.numpy import save

        arrays = {f"weights.{k}": w for k, w in enumerate(self.weights)}
        arrays |= {f"biases.{k}": b for k, b in enumerate(self.biases or ())}
        for k, norm in enumerate(self.batch_norm or ()):
            arrays |= {f"batch_norm.{k}.{name}": a for name, a in norm._asdict().items()}
        arrays |= {f"history.{name}": getattr(self.history, name) for name in _HISTORY}
        if self.resume is not None:
            arrays |= {f"resume.{name}": getattr(self.resume, name) for name in _RESUME}
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        about = json.dumps(
            {
                "version": _VERSION,
                "results": self.results,
                "layers": len(self.weights),
                "bias": self.biases is not None,
                "batch_norm": self.batch_norm is not None,
                "resume": None if self.resume is None else self.resume.epochs,
                "settings": self.settings,
                "target": self.target.to_json(),
                "feature_names": self.feature_names,
            }
        )
        metadata = {"format": _FORMAT, "about": about, "sha256": _checksum(arrays, about)}
        write_whole(path, save(arrays, metadata))


def _check_layers(
    weights: Sequence[Floats],
    biases: Sequence[Floats] | None,
    norms: Sequence[BatchNorm] | None,
) -> None:
    """Refuse layers that do not chain: kernels trust the shapes."""
    inputs, dtype = len(weights[0]), weights[0].dtype
    for k, w in enumerate(weights):
        if w.ndim != 2 or len(w) != inputs or not w.size:
            raise ValueError(f"weights[{k}].shape = {w.shape} must be ({inputs}, units)")
        if w.dtype != dtype or dtype not in (np.float32, np.float64):
            raise ValueError(f"weights[{k}].dtype = {w.dtype} must be float32 or float64, as all")
        inputs = w.shape[1]
    right = [w.shape[1:] for w in weights]
    if biases is not None and (shapes := [b.shape for b in biases]) != right:
        raise ValueError(f"biases have shapes {shapes}, but must have {right}, as of the weights")
    for name, arrays in (
        ("biases", biases or ()),
        ("batch_norm", [array for norm in norms or () for array in norm]),
    ):
        for k, array in enumerate(arrays):
            if array.dtype != dtype:
                raise ValueError(
                    f"{name}[{k}].dtype = {array.dtype} must be {dtype}, as of weights"
                )
    if norms is None:
        return
    if [[a.shape for a in norm] for norm in norms] != [[shape] * 4 for shape in right[:-1]]:
        raise ValueError(f"batch_norm must have four arrays a hidden layer, of shapes {right[:-1]}")


def _check_resume(resume: Resume, dtype: np.dtype[Any]) -> None:
    """Refuse arrays of another type; `fit` holds their lengths against its own."""
    for name in _RESUME:
        array, right = getattr(resume, name), np.float64 if name == "watch" else dtype
        if array.ndim != 1 or array.dtype != right:
            raise ValueError(
                f"resume.{name} of {array.dtype} with shape {array.shape} must be of "
                f"{np.dtype(right)}, 1-D"
            )


def _checksum(arrays: Mapping[str, Floats], about: str) -> str:
    digest = hashlib.sha256(about.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def load(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> Model:
    """Read a net that `Model.save` wrote.

    Raises
    ------
    ValueError
        Where the file is no model of Shoal, is damaged, or was written by a later version.
    """
    from safetensors import SafetensorError, safe_open

    path = os.fsdecode(path)
    said = f"path = {path!r}"
    with open(path, "rb"):  # the system's own error where there is no such file
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ValueError(f"{said} is no model that Shoal saved")
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{said} is no safetensors file, or is damaged: {error}") from None
    except (AttributeError, TypeError) as error:  # a type that numpy does not have
        raise ValueError(f"{said} is no model that Shoal saved: {error}") from None
    about = metadata.get("about", "")
    if metadata.get("sha256") != _checksum(arrays, about):
        raise ValueError(f"{said} is damaged: its checksum does not match")
    try:
        values = json.loads(about)
        version = values["version"]
        if version <= _VERSION:
            return _build(values, arrays)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{said} is no model that Shoal saved: {error}") from None
    raise ValueError(f"{said} has version {version}, but this Shoal reads up to {_VERSION}")


def _build(values: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Model:
    """Model of a file's values, each checked: a file may come from anywhere."""
    weights = [arrays[f"weights.{k}"] for k in range(values["layers"])]
    biases = [arrays[f"biases.{k}"] for k in range(values["layers"])] if values["bias"] else None
    norms = None
    if values.get("batch_norm"):
        norms = [
            BatchNorm(*(arrays[f"batch_norm.{k}.{name}"] for name in BatchNorm._fields))
            for k in range(values["layers"] - 1)
        ]
    _check_layers(weights, biases, norms)
    given = {**values["settings"], "dtype": str(weights[0].dtype)}
    given["hidden"] = [w.shape[1] for w in weights[:-1]]
    settings = check_together(resolve(given))
    target = Target.from_json(values["target"])
    output, loss, outputs = target.resolve(settings["output"], settings["loss"])
    if (output, loss) != (settings["output"], settings["loss"]):
        raise ValueError(f"output = {output!r} and loss = {loss!r} must not be auto")
    if outputs != weights[-1].shape[1]:
        raise ValueError(f"weights[-1].shape = {weights[-1].shape} must have {outputs} columns")
    results = _read_results(values["results"])
    parts = [*weights, *(biases or ()), *(array for norm in norms or () for array in norm)]
    if results["status"] != "diverged" and not all(np.isfinite(part).all() for part in parts):
        raise ValueError(f"weights must be finite where status = {results['status']!r}")
    history = _read_history(values, arrays, results["status"])
    names = values.get("feature_names")
    if names is not None and not (
        isinstance(names, list)
        and len(names) == len(weights[0])
        and all(isinstance(name, str) for name in names)
    ):
        raise ValueError(f"feature_names = {show(names)} must be a name for each input, or None")
    resume = None
    if values.get("resume") is not None:
        epochs = SETTINGS["epochs"].check(values["resume"])
        resume = Resume(epochs, *(arrays[f"resume.{name}"] for name in _RESUME))
        _check_resume(resume, weights[0].dtype)
    return Model(weights, biases, settings, target, history, results, norms, resume, names)


def _read_results(values: Any) -> dict[str, Any]:
    results = {name: values[name] for name in RESULTS}
    if results["status"] not in STATUSES[1:]:
        raise ValueError(
            f"status = {show(results['status'])} must be one of {', '.join(STATUSES[1:])}"
        )
    SETTINGS["epochs"].check(results["epochs"])
    for name in ("loss", "score", "val_loss", "seconds"):
        if type(results[name]) not in (float, int):
            raise ValueError(f"{name} = {show(results[name])} must be a number")
    return results


def _read_history(values: Mapping[str, Any], arrays: Mapping[str, Floats], status: str) -> History:
    epoch, losses = arrays["history.epoch"], arrays["history.loss"]
    if epoch.dtype != np.int64 or epoch.ndim != 1:
        raise ValueError(f"history.epoch of {epoch.dtype} must be 1-D, of int64")
    none = np.full(losses.shape, np.nan)  # what version 1 did not record
    columns = {name: arrays.get(f"history.{name}", none) for name in _HISTORY}
    if values["version"] < 3:
        columns["epoch"] = epoch + 1
    for name, column in columns.items():
        if column.shape != epoch.shape or (name != "epoch" and column.dtype.kind != "f"):
            raise ValueError(
                f"history.{name} of {column.dtype} with shape {column.shape} must be of floats, "
                f"of shape {epoch.shape}"
            )
    return History(**columns, status=status)  # type: ignore[arg-type]
