"""What scikit-learn's nets ask for, and what they get.

What is random is drawn by who asks: initial parameters, the rows that are held out, and the
generator that goes on to order the rows of each epoch.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..running.row_orders import Generator

Floats = NDArray[Any]


class Rows(NamedTuple):
    """Rows of data: X (n, I) and y (n, O) of one dtype, weights (n,) of it or None."""

    X: Floats
    y: Floats
    weights: Floats | None


class Parameters(NamedTuple):
    """A list of arrays for the weights, (inputs, units) a layer, and one for the biases."""

    coefs: list[Floats]
    intercepts: list[Floats]


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
        That early stopping goes by.
    generator : Generator or None
        That orders rows; None: they stay as they are.
    start : Parameters
    moments : list of Parameters
        The optimizer's: velocities, or first and second moments.
    steps : int
        That the optimizer has taken.
    corrections : (float, float) or None
        Adam's moments of a gradient of one; None: by ``steps``.
    learning_rate : float
        Of the first epoch.
    seen : int
        Rows that the net has been trained on.
    best : float
        The lowest monitored loss, or the highest score, so far.
    waited : int
        Epochs in a row without an improvement of it.
    patience : float
        How many of them end the training, or let the adaptive rate fall.
    """

    kind: str
    settings: dict[str, Any]
    rows: Rows
    held_out: Rows | None
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
        Those of the highest score, where it is higher than before.
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


@dataclass(eq=False)
class Pool:
    """Rows of several trainings, one set behind the other."""

    sets: list[Rows] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    rows: int = 0
    _numbers: dict[Any, int] = field(default_factory=dict)
    _checksums: list[Any] = field(default_factory=list)

    def add(self, rows: Rows) -> int:
        """The first row of a set, which is added if it is not there."""
        key = tuple(map(id, rows))
        if key not in self._numbers:
            same = self._find(rows)
            if same is None:
                same = len(self.sets)
                self.sets.append(rows)
                self.starts.append(self.rows)
                self.rows += len(rows.X)
            self._numbers[key] = same
        return self.starts[self._numbers[key]]

    def _find(self, rows: Rows) -> int | None:
        """The number of a set of the same rows: folds of one data set are cut out anew for each
        training."""
        checksum = _checksum(rows)
        for number, other in enumerate(self.sets):
            if self._checksums[number] == checksum and _equal(rows, other):
                return number
        self._checksums.append(checksum)
        return None

    def stacked(self) -> Rows:
        """All rows."""
        if len(self.sets) == 1:
            return self.sets[0]
        weights = [rows.weights for rows in self.sets if rows.weights is not None]
        return Rows(
            np.concatenate([rows.X for rows in self.sets]),
            np.concatenate([rows.y for rows in self.sets]),
            np.concatenate(weights) if weights else None,
        )


def _checksum(rows: Rows) -> tuple[Any, ...]:
    return len(rows.X), *(None if a is None else crc32(a.tobytes()) for a in rows)


def _equal(one: Rows, other: Rows) -> bool:
    return all(
        a is b or (a is not None and b is not None and np.array_equal(a, b))
        for a, b in zip(one, other, strict=True)
    )
