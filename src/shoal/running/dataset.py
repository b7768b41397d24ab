"""The rows of a training, as kernels take them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..inputs.sample_weights import row_weights
from ..inputs.targets import Target
from ..kernels.arguments import Data, Samples
from ..planning.architecture import Architecture
from .scores import variation

Floats = NDArray[Any]

_NO_ORDERS = (0, np.zeros((0, 0), np.int32))


class Rows(NamedTuple):
    """Checked rows: X (n, I), the raw y, and sample weights (n,) where there are any."""

    X: Floats
    y: Any
    weights: NDArray[np.float64] | None
    name: str


class Dataset:
    """Training and validation rows, with the targets and weights that an architecture asks for.

    Parameters
    ----------
    target : Target
        What y means.
    rows : Rows
        To train on.
    validation : Rows or None
    feature_names : tuple of str, or None
        Of X's columns, where it is a frame.
    """

    def __init__(
        self,
        target: Target,
        rows: Rows,
        validation: Rows | None,
        feature_names: tuple[str, ...] | None = None,
    ) -> None:
        self.target, self.rows, self.validation = target, rows, validation
        self.feature_names = feature_names
        # by what of an architecture they depend on
        self._targets: dict[tuple[Any, ...], Floats] = {}
        self._weights: dict[tuple[Any, ...], NDArray[np.float64] | None] = {}
        self._data: dict[tuple[Any, ...], Data] = {}

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type that nets compute in."""
        return self.rows.X.dtype

    @property
    def scored(self) -> Rows:
        """The rows that final losses and scores are of."""
        return self.validation or self.rows

    def targets(self, architecture: Architecture, rows: Rows) -> Floats:
        """The flat (n * O,) targets of these rows for nets of this architecture."""
        key = (rows.name, architecture.widths[-1], architecture.loss, architecture.output)
        if key not in self._targets:
            encoded = self.target.encode(
                rows.y, architecture.widths[-1], self.dtype, architecture.loss,
                architecture.output, n=len(rows.X), name=rows.name,
            )  # fmt: skip
            self._targets[key] = np.ascontiguousarray(encoded).ravel()
        return self._targets[key]

    def weights(self, architecture: Architecture, rows: Rows) -> NDArray[np.float64] | None:
        """The (n,) weights of these rows in the loss: class weights are of training rows alone."""
        of_classes = architecture.class_weight if rows is self.rows else None
        key = (rows.name, of_classes)
        if key not in self._weights:
            self._weights[key] = row_weights(
                self.target, rows.y, of_classes, rows.weights, name=rows.name
            )
        return self._weights[key]

    def variation(self, architecture: Architecture, weights: Any) -> NDArray[np.float64]:
        """Weighted sum of squares about the mean of each output of the scored rows, (O,)."""
        if self.target.kind != "numbers":
            return np.zeros(architecture.widths[-1])
        targets = self.targets(architecture, self.scored)
        return variation(targets.reshape(len(self.scored.X), -1), weights)

    def training_data(self, architecture: Architecture) -> Data:
        """What nets of this architecture are trained on, and monitored by."""
        key = (
            architecture.widths[-1], architecture.loss, architecture.output,
            architecture.class_weight,
        )  # fmt: skip
        if key not in self._data:
            rows, other, none = self.rows, self.validation, np.zeros(0, self.dtype)
            weights = self.weights(architecture, rows)
            by = weights if other is None else other.weights
            validation = Samples(none, none, none)
            if other is not None:
                validation = self._samples(architecture, other, by)
            self._data[key] = Data(
                self._samples(architecture, rows, weights),
                validation,
                int(other is not None and by is not None),
                _rounded(self.variation(architecture, by), self.dtype),
                *_NO_ORDERS,
            )
        return self._data[key]

    def scored_data(self, architecture: Architecture) -> Data:
        """The rows that nets of this architecture are scored on after training."""
        rows, none = self.scored, np.zeros(0, self.dtype)
        samples = self._samples(architecture, rows, rows.weights)
        return Data(samples, Samples(none, none, none), 0, none, *_NO_ORDERS)

    def _samples(self, architecture: Architecture, rows: Rows, weights: Any) -> Samples:
        """These rows as kernels take them."""
        of_rows = np.zeros(0, self.dtype) if weights is None else weights.astype(self.dtype)
        return Samples(rows.X.ravel(), self.targets(architecture, rows), of_rows)


def _rounded(values: NDArray[np.float64], dtype: Any) -> Floats:
    """Values in the dtype: infinite where it has no such numbers."""
    with np.errstate(over="ignore"):
        return values.astype(dtype)
