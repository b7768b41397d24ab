"""What a sweep has come to: the table, the best nets, each net as a model."""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from .data import Target
from .engine import Rows, Run
from .grid import Grid
from .kernels.block import EPOCHS, STATUS
from .memory import unpack
from .model import RESULTS, History, Model
from .settings import SETTINGS, show

Floats = NDArray[Any]

STATUS_NAMES: Final = np.array(["running", "finished", "stopped", "diverged", "interrupted"])


class Sweep:
    """The nets of one sweep, in the order of the grid.

    `shoal.sweep` makes it. ``len(sweep)`` is the number of nets, ``sweep[i]`` net i as a `Model`.

    Attributes
    ----------
    results : dict of arrays
        A row a net: a column a varied setting, then loss, score, val_loss, epochs, status, seconds.
        Where loss or epochs is a varied setting, its column is loss_setting or epochs_setting.
    best : Model
        By score, then loss, then position.
    losses : (N, records) array
        Recorded losses; NaN after a net stopped.
    """

    def __init__(self, grid: Grid, target: Target, run: Run, validation: Rows | None) -> None:
        self._grid, self._target, self._run = grid, target, run
        self._validation = validation
        self._validated = validation is not None

    def __len__(self) -> int:
        return len(self._grid)

    @overload
    def __getitem__(self, i: int) -> Model: ...
    @overload
    def __getitem__(self, i: slice) -> list[Model]: ...
    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self._model(k) for k in range(len(self))[i]]
        try:
            return self._model(range(len(self))[i])
        except IndexError:
            raise IndexError(f"sweep[{i}] does not exist: there are {len(self)} nets") from None

    def __iter__(self) -> Iterator[Model]:
        return map(self._model, range(len(self)))

    @property
    def varied(self) -> tuple[str, ...]:
        """The settings that the grid names."""
        return self._grid.varied

    def column(self, setting: str) -> NDArray[Any]:
        """Return the values of one setting, varied or not, a row a net.

        Examples
        --------
        >>> import numpy as np, shoal
        >>> sweep = shoal.sweep(np.eye(2), [0.0, 1.0], {"hidden": [4, (2, 2)]}, epochs=5)
        >>> sweep.column("hidden")
        array([(4,), (2, 2)], dtype=object)
        """
        if setting not in SETTINGS:
            raise ValueError(f"setting = {setting!r} must be one of {', '.join(SETTINGS)}")
        return self._grid.column(setting)

    def _model(self, i: int) -> Model:
        trained = self._run.trained[self._run.plan.block_of[i]]
        block, structure = trained.block, trained.block.structure
        g, lane = divmod(int(self._run.plan.place_of[i]), block.width.lanes)
        weights, biases = unpack(trained.state.params[g, :, lane], block.layers)
        settings = self._grid.settings(i)
        del settings["validation"]  # data, not a setting of this net
        settings |= {
            "activation": structure.activations,
            "output": structure.output,
            "loss": structure.loss,
            "dtype": str(self._run.dtype),
        }
        return Model(
            weights,
            biases if structure.bias else None,
            settings,
            self._target,
            History(block.recorded.copy(), np.array(trained.state.losses[g, :, lane])),
            {name: self.results[name][i].item() for name in RESULTS},
        )

    def _gather(self, values: list[Floats], dtype: Any) -> Floats:
        """One number a net from each block's (groups, L) arrays."""
        gathered = np.empty(len(self), dtype)
        for k, value in enumerate(values):
            here = self._run.plan.block_of == k
            gathered[here] = value.ravel()[self._run.plan.place_of[here]]
        return gathered

    @property
    def losses(self) -> Floats:
        """Recorded losses, (N, records)."""
        trained = self._run.trained
        most = max(len(t.block.recorded) for t in trained)
        losses = np.full((len(self), most), np.nan, self._run.dtype)
        for k, t in enumerate(trained):
            here = np.flatnonzero(self._run.plan.block_of == k)
            g, lane = np.divmod(self._run.plan.place_of[here], t.block.width.lanes)
            losses[here, : len(t.block.recorded)] = t.state.losses[g, :, lane]
        return losses

    def _last_losses(self) -> Floats:
        last = []
        for t in self._run.trained:
            epochs, recorded = t.state.progress[:, EPOCHS], t.block.recorded
            record = np.searchsorted(recorded, epochs) - 1
            if not len(recorded):
                last.append(np.full(epochs.shape, np.nan))
                continue
            value = np.take_along_axis(t.state.losses, np.maximum(record, 0)[:, np.newaxis], axis=1)
            last.append(np.where(record >= 0, value[:, 0], np.nan))
        return self._gather(last, self._run.dtype)

    def _scores(self) -> Floats:
        rows = self._validation or self._run.rows
        scores = []
        for t in self._run.trained:
            if t.scores is None:
                scores.append(np.full((t.block.groups, t.block.width.lanes), np.nan))
            elif self._target.kind == "numbers":
                total = _variation(self._run.targets(t.block.structure, rows), len(rows.X))
                scores.append(_r2(t.scores.astype(np.float64), total))
            else:
                scores.append(t.scores[:, 0].astype(np.float64) / len(rows.X))
        return self._gather(scores, np.float64)

    @cached_property
    def results(self) -> dict[str, NDArray[Any]]:
        """The table of the sweep."""
        trained = self._run.trained
        table = {_column(name): self._grid.column(name) for name in self._grid.varied}
        table["loss"] = self._last_losses()
        table["score"] = self._scores()
        none = np.full(len(self), np.nan, self._run.dtype)
        known = self._validated and all(t.loss is not None for t in trained)
        table["val_loss"] = (
            self._gather([t.loss[:, 0] for t in trained], self._run.dtype)  # type: ignore[index]
            if known
            else none
        )
        table["epochs"] = self._gather([t.state.progress[:, EPOCHS] for t in trained], np.int64)
        table["status"] = STATUS_NAMES[
            self._gather([t.state.progress[:, STATUS] for t in trained], np.int64)
        ]
        nets = np.bincount(self._run.plan.block_of, minlength=len(trained))
        table["seconds"] = np.array([t.seconds for t in trained])[self._run.plan.block_of]
        table["seconds"] /= nets[self._run.plan.block_of]
        return table

    def order(self) -> NDArray[np.intp]:
        """Positions of the nets from the best to the worst: by score, then loss, then position."""
        score, loss = self.results["score"], self.results["loss"]
        worst_first = np.where(np.isnan(score), -np.inf, score)
        return np.lexsort((np.where(np.isnan(loss), np.inf, loss), -worst_first))

    @property
    def best(self) -> Model:
        """The best net: by score, then loss, then position."""
        return self[int(self.order()[0])]

    def top(self, k: int) -> list[Model]:
        """Return the k best nets, the best first; all where there are fewer.

        Examples
        --------
        >>> import numpy as np, shoal
        >>> sweep = shoal.sweep(np.eye(3), [0.0, 1.0, 2.0], {"seed": range(5)}, epochs=5)
        >>> [model.settings["seed"] in range(5) for model in sweep.top(2)]
        [True, True]
        """
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 0:
            raise ValueError(f"k = {show(k)} must be a whole number >= 0")
        return [self[int(i)] for i in self.order()[:k]]

    def __repr__(self) -> str:
        counts = dict(zip(*np.unique(self.results["status"], return_counts=True), strict=True))
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        i = int(self.order()[0])
        best = ", ".join(f"{name}={self.results[_column(name)][i]!s}" for name in self.varied)
        return (
            f"Sweep({len(self)} nets, {told}; best: {best}, "
            f"score {self.results['score'][i]:.4g}, loss {self.results['loss'][i]:.4g})"
        )


def _column(setting: str) -> str:
    """Name of a varied setting's column: that of a result keeps its own."""
    return f"{setting}_setting" if setting in RESULTS else setting


def _exact_sum(values: Floats) -> float:
    """Sum rounded once, so that no machine differs; infinity where it overflows."""
    try:
        return math.fsum(values)
    except OverflowError:
        return math.inf


def _variation(flat: Floats, n: int) -> Floats:
    """Sum of squares about the mean, (O,)."""
    columns = flat.reshape(n, -1).astype(np.float64).T
    means = [_exact_sum(column) / n for column in columns]
    with np.errstate(over="ignore"):
        squares = [(column - mean) ** 2 for column, mean in zip(columns, means, strict=True)]
    return np.array([_exact_sum(column) for column in squares])


def _r2(residuals: Floats, total: Floats) -> Floats:
    """R squared, the mean over the outputs; a constant output counts 1 if met exactly, else 0.

    NaN where y is so large that its squares overflow.
    """
    mean = np.zeros_like(residuals[:, 0])
    with np.errstate(over="ignore", invalid="ignore"):
        for o, variation in enumerate(total):
            left = residuals[:, o]
            if variation == 0:
                mean += left == 0
            else:
                mean += 1 - left / variation if variation < np.inf else np.nan
    return mean / len(total)
