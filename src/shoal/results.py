"""What a sweep has come to: the table, the best nets, each net as a model."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from .inputs.checks import show
from .inputs.grid import Grid
from .inputs.settings import SETTINGS
from .kernels.layout import EPOCHS, LIMIT, RATE, STATUS
from .model import RESULTS, STATUSES, History, Model, Resume
from .planning.parameters import unpack
from .planning.plan import records
from .running.run import Run
from .running.state import Trained

Floats = NDArray[Any]

STATUS_NAMES: Final = np.array(STATUSES)


class Sweep:
    """The nets of one sweep, in the order of the grid.

    `shoal.sweep` makes it. ``len(sweep)`` is the number of nets, ``sweep[i]`` net i as a `Model`.

    Attributes
    ----------
    results : dict of arrays
        A row a net: a column a varied setting, then loss, score, val_loss, epochs, status, seconds.
        Where loss or epochs is a varied setting, its column is loss_setting or epochs_setting.
        Scores are of the validation rows, or where there are none of the training rows.
    best : Model
        By score, of equal ones by val_loss, loss and position; nets that diverged come last.
    losses, val_losses, scores : (N, records) arrays
        Recorded; NaN after a net stopped.
    """

    def __init__(self, grid: Grid, run: Run) -> None:
        self._grid, self._run = grid, run

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
        except TypeError:
            raise TypeError(
                f"sweep[{show(i)}] must be a net's number or a slice: of a mask take "
                "[sweep[i] for i in numpy.flatnonzero(mask)]"
            ) from None

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

    def _locate(self, i: int) -> tuple[Trained, int, int]:
        """Block, group and lane of net i."""
        trained = self._run.trained[self._run.plan.block_of[i]]
        return trained, *divmod(int(self._run.plan.offset_of[i]), trained.block.width.lanes)

    def history(self, i: int) -> History:
        """Return the records of net i."""
        trained, g, lane = self._locate(i)
        state, architecture = trained.state, trained.block.architecture
        limit = int(state.progress[g, LIMIT, lane])
        epochs = records(limit, architecture.every, trained.block.first_epoch)
        rows = -(-epochs // architecture.every)

        def reported(records: Floats) -> Floats:
            return records[g, rows, lane]

        losses = reported(state.losses)
        if architecture.scheduled:
            rates = reported(state.learning_rates)
        else:
            run = epochs < state.progress[g, EPOCHS, lane]
            rates = np.where(run, state.rates[g, RATE, lane], np.nan).astype(losses.dtype)
        none = np.full_like(losses, np.nan)
        val_losses = reported(state.val_losses) if state.val_losses.shape[1] else none
        return History(
            epochs + 1, losses, val_losses, reported(state.scores), rates,
            status=STATUSES[state.progress[g, STATUS, lane]],
        )  # fmt: skip

    def _model(self, i: int) -> Model:
        trained, g, lane = self._locate(i)
        block, architecture, state = trained.block, trained.block.architecture, trained.state
        params = (state.best if trained.has_best(g, lane) else state.params)[g, :, lane]
        weights, biases, norms = unpack(params, block.layers)
        settings = self._grid.settings(i)
        if not isinstance(settings["validation"], float):
            settings["validation"] = None  # data, not a setting of this net
        settings |= {
            "activation": architecture.activations,
            "output": architecture.output,
            "loss": architecture.loss,
            "dtype": str(self._run.dataset.dtype),
        }
        resume = Resume(
            int(state.progress[g, EPOCHS, lane]),
            state.params[g, :, lane].copy(),
            state.optimizer_state[g, :, lane].copy(),
            state.best[g, :, lane].copy(),
            state.monitor[g, :, lane].copy(),
        )
        return Model(
            weights,
            biases,
            settings,
            self._run.dataset.target,
            self.history(i),
            {name: self.results[name][i].item() for name in RESULTS},
            norms,
            resume,
            self._run.dataset.feature_names,
        )

    def _gather(self, values: list[Floats], dtype: Any) -> Floats:
        """One number a net from each block's (groups, L) arrays."""
        gathered = np.empty(len(self), dtype)
        for k, value in enumerate(values):
            here = self._run.plan.block_of == k
            gathered[here] = value.ravel()[self._run.plan.offset_of[here]]
        return gathered

    @property
    def losses(self) -> Floats:
        """Recorded losses, (N, records)."""
        return self._recorded("losses")

    @property
    def val_losses(self) -> Floats:
        """Recorded losses of the validation rows, (N, records); NaN without any."""
        return self._recorded("val_losses")

    @property
    def scores(self) -> Floats:
        """Recorded scores, (N, records): of the validation rows, or without any of the training
        rows."""
        return self._recorded("scores")

    def _recorded(self, name: str) -> Floats:
        """What was recorded of all nets, (N, records)."""
        trained = self._run.trained
        recorded = [records(t.block.last_epoch, t.block.architecture.every) for t in trained]
        values = np.full((len(self), max(map(len, recorded))), np.nan, self._run.dataset.dtype)
        for k, t in enumerate(trained):
            here = np.flatnonzero(self._run.plan.block_of == k)
            g, lane = np.divmod(self._run.plan.offset_of[here], t.block.width.lanes)
            of_block = getattr(t.state, name)
            count = min(len(recorded[k]), of_block.shape[1])  # none without validation rows
            values[here, :count] = of_block[g, :count, lane]
        return values

    def _last_losses(self) -> Floats:
        last = []
        for t in self._run.trained:
            epochs, limits = t.state.progress[:, EPOCHS], t.state.progress[:, LIMIT]
            every, first = t.block.architecture.every, t.block.first_epoch
            # a net's last epoch is recorded, of one that ended before the last regular one is
            record = np.where(epochs == limits, -(-(epochs - 1) // every), (epochs - 1) // every)
            if not t.block.records:
                last.append(np.full(epochs.shape, np.nan))
                continue
            value = np.take_along_axis(t.state.losses, np.maximum(record, 0)[:, np.newaxis], axis=1)
            last.append(np.where(epochs > first, value[:, 0], np.nan))
        return self._gather(last, self._run.dataset.dtype)

    def _scores(self) -> Floats:
        trained = self._run.trained
        none = (np.full((t.block.groups, t.block.width.lanes), np.nan) for t in trained)
        scores = [n if t.scores is None else t.scores for t, n in zip(trained, none, strict=True)]
        return self._gather(scores, np.float64)

    @cached_property
    def results(self) -> dict[str, NDArray[Any]]:
        """The table of the sweep."""
        trained, dataset = self._run.trained, self._run.dataset
        table = {_column(name): self._grid.column(name) for name in self._grid.varied}
        table["loss"] = self._last_losses()
        table["score"] = self._scores()
        none = np.full(len(self), np.nan, dataset.dtype)
        known = dataset.validation is not None and all(t.loss is not None for t in trained)
        table["val_loss"] = (
            self._gather([t.loss[:, 0] for t in trained], dataset.dtype)  # type: ignore[index]
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
        """Positions of the nets from the best to the worst: by score, of equal ones by val_loss,
        loss and position; those that diverged come last."""
        results = self.results
        keys = (results["loss"], results["val_loss"], -results["score"])
        known = [np.where(np.isnan(key), np.inf, key) for key in keys]
        return np.lexsort((*known, results["status"] == "diverged"))

    @property
    def best(self) -> Model:
        """The best net, the first of `order`."""
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
        statuses = ", ".join(f"{count} {status}" for status, count in counts.items())
        i = int(self.order()[0])
        scored = "score" if self._run.dataset.validation else "score of training rows"
        best = ", ".join(f"{name}={self.results[_column(name)][i]!s}" for name in self.varied)
        return (
            f"Sweep({len(self)} nets, {statuses}; best: {best}, "
            f"{scored} {self.results['score'][i]:.4g}, loss {self.results['loss'][i]:.4g})"
        )


def _column(setting: str) -> str:
    """Name of a varied setting's column: that of a result keeps its own."""
    return f"{setting}_setting" if setting in RESULTS else setting
