"""One trained net: its outputs, its predictions, its file."""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .data import Target, check_inputs
from .settings import check_together, resolve

Floats = NDArray[Any]

_FORMAT: Final = "shoal.model"
_VERSION: Final = 1

# What is told of a trained net, in a sweep's table and with a model.
RESULTS: Final = ("loss", "score", "val_loss", "epochs", "status", "seconds")


@dataclass(frozen=True, eq=False)
class History:
    """Losses of one training.

    Attributes
    ----------
    epoch : (records,) int array
        The recorded epochs, counted from 0.
    loss : (records,) array
        Mean over the epoch's rows of the loss before each update; NaN after a net diverged.
    """

    epoch: NDArray[np.int64]
    loss: Floats

    def __len__(self) -> int:
        return len(self.epoch)

    def __repr__(self) -> str:
        if not len(self):
            return "History(no epochs)"
        return f"History({len(self)} records, last loss {self.loss[-1]:.6g})"


class Model:
    """One trained net.

    Attributes
    ----------
    weights : list of (I, O) arrays
        Of each layer, inputs by units.
    biases : list of (O,) arrays, or None
        None of a net without bias units.
    settings : dict
        The settings it was trained with, ``output`` and ``loss`` as they were resolved.
    history : History
    results : dict
        The net's row of a sweep's table: loss (the last recorded), score and val_loss (of its last
        weights), epochs, status and seconds.

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
    ) -> None:
        self.weights = list(weights)
        self.biases = None if biases is None else list(biases)
        self.settings = dict(settings)
        self.history = history
        self.results = dict(results)
        self._target = target

    @property
    def status(self) -> str:
        """What the training has come to: finished, diverged or interrupted."""
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
        return self._target.classes

    def __call__(self, X: ArrayLike) -> Floats:
        """Return the outputs for rows X.

        Parameters
        ----------
        X : (n, I) array-like

        Returns
        -------
        (n, O) array
        """
        from .prediction import predict

        _check_layers(self.weights, self.biases)
        rows = check_inputs(X, inputs=self.widths[0], dtype=self.dtype)
        activations = tuple(self.settings["activation"])
        return predict(rows, self.weights, self.biases, activations, self.settings["output"])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return labels, or numbers shaped like the y of the training.

        Parameters
        ----------
        X : (n, I) array-like
        """
        return self._target.predict(self(X), self.settings["output"])

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
        return self._target.predict_proba(self(X), self.settings["output"])

    def __repr__(self) -> str:
        shape = "-".join(map(str, self.widths))
        return f"Model({shape}, {self.dtype}, {self.status}, {self.history!r})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the net to a file, whole or not at all.

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

        arrays = {f"weights.{k}": np.ascontiguousarray(w) for k, w in enumerate(self.weights)}
        for k, b in enumerate(self.biases or ()):
            arrays[f"biases.{k}"] = np.ascontiguousarray(b)
        arrays["history.epoch"] = np.ascontiguousarray(self.history.epoch)
        arrays["history.loss"] = np.ascontiguousarray(self.history.loss)
        about = json.dumps(
            {
                "version": _VERSION,
                "results": self.results,
                "layers": len(self.weights),
                "bias": self.biases is not None,
                "settings": self.settings,
                "target": self._target.to_json(),
            }
        )
        metadata = {"format": _FORMAT, "about": about, "sha256": _checksum(arrays, about)}
        path = Path(path)
        if path.is_dir():
            raise IsADirectoryError(f"path = {str(path)!r} is a directory, but must be a file")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"path = {str(path)!r} must be in a directory that exists")
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(save(arrays, metadata))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _check_layers(weights: Sequence[Floats], biases: Sequence[Floats] | None) -> None:
    """Refuse layers that do not chain: kernels trust the shapes."""
    inputs, dtype = len(weights[0]), weights[0].dtype
    for k, w in enumerate(weights):
        if w.ndim != 2 or len(w) != inputs or not w.size:
            raise ValueError(f"weights[{k}].shape = {w.shape} must be ({inputs}, units)")
        if w.dtype != dtype or dtype not in (np.float32, np.float64):
            raise ValueError(f"weights[{k}].dtype = {w.dtype} must be float32 or float64, as all")
        inputs = w.shape[1]
    if biases is None:
        return
    shapes, right = [b.shape for b in biases], [w.shape[1:] for w in weights]
    if shapes != right:
        raise ValueError(f"biases have shapes {shapes}, but must have {right}, as of the weights")


def _checksum(arrays: Mapping[str, Floats], about: str) -> str:
    digest = hashlib.sha256(about.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def load(path: str | os.PathLike[str]) -> Model:
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
    _check_layers(weights, biases)
    given = {**values["settings"], "dtype": str(weights[0].dtype)}
    given["hidden"] = [w.shape[1] for w in weights[:-1]]
    settings = check_together(resolve(given))
    del settings["validation"]
    target = Target.from_json(values["target"])
    output, loss, outputs = target.resolve(settings["output"], settings["loss"])
    if (output, loss) != (settings["output"], settings["loss"]):
        raise ValueError(f"output = {output!r} and loss = {loss!r} must not be auto")
    if outputs != weights[-1].shape[1]:
        raise ValueError(f"weights[-1].shape = {weights[-1].shape} must have {outputs} columns")
    epoch, losses = arrays["history.epoch"], arrays["history.loss"]
    if epoch.shape != losses.shape or epoch.ndim != 1:
        raise ValueError(f"history.epoch.shape = {epoch.shape} must be that of history.loss")
    results = {name: values["results"][name] for name in RESULTS}
    return Model(weights, biases, settings, target, History(epoch, losses), results)
