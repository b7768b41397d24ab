"""What scikit-learn's nets ask for, and what they get.

What is random is drawn by who asks: initial parameters, the rows that are held out, and the
generator that goes on to order the rows of each epoch.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..planning.parameters import BatchNorm
from ..running.row_orders import Generator

Floats = NDArray[Any]


class Rows(NamedTuple):
    """Rows of data: X (n, I) and y (n, O) of one dtype, weights (n,) of it or None."""

    X: Floats
    y: Floats
    weights: Floats | None


class Parameters(NamedTuple):
    """A list of arrays for the weights, (inputs, units) a layer, one for the biases, and with batch
    norm what that has in each hidden layer."""

    coefs: list[Floats]
    intercepts: list[Floats]
    norms: list[BatchNorm] | None = None


@dataclass(eq=False)
class Fit:
    """One training.

    Attributes
    ----------
    kind : str
        What the targets are, "labels", "multilabel" or "numbers".
    settings : dict
        Shoal's, by name; of the others the defaults are taken.
    rows : Rows
        To train on.
    held_out : Rows or None
        That are scored after each epoch.
    watched : str
        What patience goes by: "loss", or of the rows held out "validation score" or
        "validation loss".
    generator : Generator or None
        That orders rows; None: they stay as they are.
    start : Parameters
    moments : list of Parameters
        The optimizer's, such as velocities, or first and second moments; [] before its first step.
    steps : int
        That the optimizer has taken.
    corrections : (float, float) or None
        Adam's moments of a gradient of one; None: by ``steps``.
    learning_rate : float
        Of the first epoch.
    seen : int
        Rows that the net has been trained on.
    best : float
        The lowest loss, or the highest score, that was watched so far.
    waited : int
        Epochs in a row without an improvement of it.
    patience : float
        How many of them end the training, or let the adaptive rate fall.
    """

    kind: str
    settings: dict[str, Any]
    rows: Rows
    held_out: Rows | None
    watched: str
    generator: Generator | None
    start: Parameters
    moments: list[Parameters]
    steps: int
    seen: int
    best: float
    waited: int
    patience: float
    learning_rate: float
    corrections: tuple[float, float] | None = None

    @property
    def shuffles(self) -> bool:
        """Whether the order of rows matters: not in batches of all."""
        n = len(self.rows.X)
        return self.generator is not None and self.settings["batch_size"] < n

    @property
    def adapts(self) -> bool:
        """Whether the learning rate falls where nothing improves."""
        return bool(self.settings.get("schedule") == "adaptive")

    @property
    def sign(self) -> int:
        """-1 where more is better of what is watched."""
        return -1 if self.watched == "validation score" else 1

    @property
    def stops_early(self) -> bool:
        """Whether rows that are held out are watched, and the best parameters kept."""
        return self.watched != "loss"

    @property
    def counts_epochs(self) -> bool:
        """Whether an epoch's number has a say in it, so that it cannot be trained in parts."""
        schedule = self.settings.get("schedule", "constant")
        by_number = schedule not in ("constant", "adaptive", "invscaling")
        return by_number or bool(self.settings.keys() & {"dropout", "warmup_epochs"})


@dataclass(eq=False)
class Fitted:
    """What a training has come to.

    Attributes
    ----------
    epochs : int
    losses : (epochs,) array
    scores, validation_losses : (epochs,) array or None
        Of the rows that were held out.
    best_parameters : Parameters or None
        Those of the best score or loss, where it is better than before.
    learning_rate : float
        Of an adaptive schedule, that would come next.
    stopped, diverged, interrupted : bool
    """

    parameters: Parameters
    moments: list[Parameters]
    steps: int
    epochs: int
    losses: Floats
    scores: Floats | None
    validation_losses: Floats | None
    best: float
    best_parameters: Parameters | None
    waited: int
    learning_rate: float
    corrections: tuple[float, float] | None
    generator: Generator | None
    stopped: bool
    diverged: bool
    interrupted: bool


class Distinct:
    """Sets of rows, of equal ones the first: folds of one data set are cut out anew for each
    training."""

    def __init__(self) -> None:
        self._by_arrays: dict[Any, tuple[Rows, Rows]] = {}
        self._by_checksum: dict[Any, list[Rows]] = {}

    def of(self, rows: Rows) -> Rows:
        """The set that is kept for these rows."""
        key = tuple(map(id, rows))
        if key not in self._by_arrays:  # with the rows themselves, so that no id is used again
            self._by_arrays[key] = rows, self._find(rows)
        return self._by_arrays[key][1]

    def _find(self, rows: Rows) -> Rows:
        # contiguous and writable, as kernels are handed arrays; most are
        X, y, weights = (None if a is None else np.require(a, None, ["C", "W"]) for a in rows)
        assert X is not None and y is not None
        contiguous = Rows(X, y, weights)
        checksum = tuple(None if a is None else (a.shape, crc32(a.data)) for a in contiguous)
        known = self._by_checksum.setdefault(checksum, [])
        for other in known:
            if all(map(_equal, contiguous, other)):
                return other
        known.append(contiguous)
        return contiguous


def _equal(one: Floats | None, other: Floats | None) -> bool:
    return one is None or (other is not None and np.array_equal(one, other))


def stacked(sets: list[Rows]) -> Rows:
    """Sets of rows, one behind the other."""
    if len(sets) == 1:
        return sets[0]
    weights = [rows.weights for rows in sets if rows.weights is not None]
    return Rows(
        np.concatenate([rows.X for rows in sets]),
        np.concatenate([rows.y for rows in sets]),
        np.concatenate(weights) if weights else None,
    )
