"""One trained net: its outputs, its predictions, its file."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .data import Target, check_inputs

Floats = NDArray[Any]

_FORMAT: Final = "shoal.model"
_VERSION: Final = 1


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
    status : str
        finished, diverged or interrupted.

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
        status: str = "finished",
    ) -> None:
        self.weights = list(weights)
        self.biases = None if biases is None else list(biases)
        self.settings = dict(settings)
        self.history = history
        self.status = status
        self._target = target

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
        from .engine import predict

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
                "status": self.status,
                "layers": len(self.weights),
                "bias": self.biases is not None,
                "settings": self.settings,
                "target": self._target.to_json(),
            }
        )
        metadata = {"format": _FORMAT, "about": about, "sha256": _checksum(arrays, about)}
        path = Path(path)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            try:
                file.write(save(arrays, metadata))
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise


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

    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(
            f"path = {str(path)!r} is no safetensors file, or is damaged: {error}"
        ) from None
    if metadata.get("format") != _FORMAT:
        raise ValueError(f"path = {str(path)!r} is no model that Shoal saved")
    about = metadata.get("about", "")
    if metadata.get("sha256") != _checksum(arrays, about):
        raise ValueError(f"path = {str(path)!r} is damaged: its checksum does not match")
    values = json.loads(about)
    if values["version"] > _VERSION:
        raise ValueError(
            f"path = {str(path)!r} has version {values['version']}, but this Shoal reads up to "
            f"{_VERSION}"
        )
    settings = values["settings"]
    for name in ("hidden", "activation"):
        settings[name] = tuple(settings[name])
    return Model(
        [arrays[f"weights.{k}"] for k in range(values["layers"])],
        [arrays[f"biases.{k}"] for k in range(values["layers"])] if values["bias"] else None,
        settings,
        Target.from_json(values["target"]),
        History(arrays["history.epoch"], arrays["history.loss"]),
        values["status"],
    )
