"""Trainings that scikit-learn's nets ask for, any number of them as one sweep."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..inputs.grid import Grid
from ..inputs.settings import SETTINGS
from ..inputs.targets import Target
from ..kernels import codes
from ..kernels.arguments import Data, Samples
from ..kernels.code.environment import default_threads, register_bytes
from ..kernels.layout import (
    ADAPTED,
    BEST,
    DIVERGED,
    EPOCHS,
    FIRST,
    FLOOR,
    INTERRUPTED,
    RUNNING,
    SEEN,
    STALE,
    STATUS,
    STOPPED,
    WAIT,
    WAITED,
)
from ..planning.architecture import Rules
from ..planning.parameters import pack, unpack
from ..planning.plan import Block, Machine, Plan, make_plan
from ..running import progress
from ..running.calls import TrainingCalls
from ..running.row_orders import Generator, RowOrders
from ..running.scheduler import Scheduler
from ..running.scores import variation
from ..running.state import Trained, allocate
from .fits import Distinct, Fit, Fitted, Parameters, Rows, stacked

Floats = NDArray[Any]

_WATCHED: Final = {
    "loss": codes.TRAINING_LOSS,
    "validation loss": codes.VALIDATION_LOSS,
    "validation score": codes.VALIDATION_SCORE,
}
LOWEST_RATE: Final = 1e-6  # at which the adaptive rate ends the training
# Epochs of all trainings together, of which records are kept at a time: 32 bytes each.
_MOST_RECORDS: Final = 8_000_000
_DEFAULTS: Final = {name: setting.default for name, setting in SETTINGS.items()}


def _grid(fits: Sequence[Fit]) -> Grid:
    """The settings of some trainings as columns."""
    candidates: dict[str, Sequence[Any]] = {}
    index: dict[str, NDArray[np.int32]] = {}
    for name, default in _DEFAULTS.items():
        positions: dict[Any, int] = {}
        of_fits = [
            positions.setdefault(fit.settings.get(name, default), len(positions)) for fit in fits
        ]
        candidates[name] = list(positions)
        if len(positions) > 1:
            index[name] = np.array(of_fits, np.int32)
    return Grid(tuple(index), candidates, index, len(fits))


def _part_of(fit: Fit) -> tuple[Any, ...]:
    """What trainings have in common that are planned together."""
    X, y, weights = fit.rows
    held_out = None if fit.held_out is None else id(fit.held_out)
    return (
        X.dtype, X.shape, y.shape[1], fit.kind, weights is None, fit.shuffles, held_out,
        fit.watched, *(fit.settings[name] for name in ("output", "loss", "optimizer")),
    )  # fmt: skip


def _target(fit: Fit) -> Target:
    outputs = fit.rows.y.shape[1]
    if fit.kind == "numbers":
        return Target("numbers", None, outputs == 1, outputs)
    if fit.kind == "multilabel":
        return Target("multilabel", np.array([0, 1]), False, outputs)
    return Target("labels", np.arange(max(2, outputs)), True, None)


Look: TypeAlias = Callable[["Training"], bool]


class Monitor(progress.Monitor):
    """What is told while nets are trained."""

    training: "Training | None" = None


class Training:
    """One sweep.

    Parameters
    ----------
    fits : sequence of Fit
    threads : int, optional
    monitor : Monitor, optional
    look : callable, optional
        Called with the training after each epoch; where it returns true, that was the last one.
    """

    def __init__(
        self,
        fits: Sequence[Fit],
        threads: int | None = None,
        monitor: Monitor | None = None,
        look: Look | None = None,
    ) -> None:
        distinct = Distinct()
        self.fits = [
            replace(
                fit,
                rows=distinct.of(fit.rows),
                held_out=None if fit.held_out is None else distinct.of(fit.held_out),
            )
            for fit in fits
        ]
        self.threads = threads or default_threads()
        self.monitor = monitor or Monitor()
        self.monitor.training = self
        self._look = look
        self.plan = Plan([], np.zeros(len(fits), np.int32), np.zeros(len(fits), np.int64))
        self.trained: list[Trained] = []
        self.data: list[Data] = []
        parts: dict[Any, list[int]] = {}
        for i, fit in enumerate(self.fits):
            parts.setdefault(_part_of(fit), []).append(i)
        for members in parts.values():
            self._add(members)

    def _add(self, members: list[int]) -> None:
        """Plan the trainings of a part."""
        fits = [self.fits[i] for i in members]
        first, n = fits[0], len(fits[0].rows.X)
        sets = {id(fit.rows): fit.rows for fit in fits}
        position = {key: k * n for k, key in enumerate(sets)}
        starts = [position[id(fit.rows)] for fit in fits]
        rules = Rules(
            ties_improve=True,
            penalty_by_batch=True,
            epsilon_first=first.settings["optimizer"] == "adam",
            whole_losses=True,
            watched=_WATCHED[first.watched],
            keeps_best=first.stops_early,
            given_orders=first.shuffles or len(sets) > 1,
        )
        dtype = first.rows.X.dtype
        numbers: dict[Any, int] = {}
        orders = [
            numbers.setdefault(
                (start, fit.generator.words.tobytes(), fit.generator.position)
                if fit.shuffles and fit.generator is not None
                else start,
                len(numbers),
            )
            for start, fit in zip(starts, fits, strict=True)
        ]
        weighted = first.rows.weights is not None
        rows = (n, 0 if first.held_out is None else len(first.held_out.X))
        grid, of_net = _grid(fits), np.array(orders, np.uint64)
        plan = make_plan(
            grid, of_net, _target(first), rows, first.rows.X.shape[1], dtype,
            Machine(register_bytes(), self.threads), weighted, rules=rules,
        )  # fmt: skip
        at = np.array(members)
        self.plan.block_of[at] = plan.block_of + len(self.plan.blocks)
        self.plan.offset_of[at] = plan.offset_of
        rows_of_all = stacked(list(sets.values()))
        for block in plan.blocks:
            state = allocate(block, grid, of_net, dtype)
            trained = Trained(block, state)
            self._begin(trained, fits)
            if rules.given_orders:
                used, local = np.unique(state.order_seeds, return_inverse=True)
                state.order_seeds[...] = local.reshape(state.order_seeds.shape)
                trained.orders = self._orders(used, orders, fits, starts, block.last_epoch)
            self.plan.blocks.append(block)
            self.trained.append(trained)
            self.data.append(_data(rows_of_all, first, trained))

    def _orders(
        self,
        used: NDArray[np.uint64],
        orders: list[int],
        fits: list[Fit],
        starts: list[int],
        epochs: int,
    ) -> RowOrders:
        """The row orders of a block. used : their numbers."""
        whose = [orders.index(int(number)) for number in used]
        n = len(fits[0].rows.X)
        generators = [fits[i].generator for i in whose if fits[i].shuffles]
        rows = [np.arange(starts[i], starts[i] + n, dtype=np.int32) for i in whose]
        return RowOrders(rows, [g for g in generators if g is not None], epochs, self.threads)

    def _begin(self, trained: Trained, fits: list[Fit]) -> None:
        """Set the nets of a block to where they begin."""
        block, state = trained.block, trained.state
        P = block.task.parameters
        for g, q in np.ndindex(block.nets.shape):
            fit = fits[block.nets[g, q]]
            state.params[g, :, q] = self.packed(fit.start, block)
            for k, moment in enumerate(fit.moments):
                state.optimizer_state[g, k * P : (k + 1) * P, q] = self.packed(moment, block)[:P]
            if block.architecture.optimizer == codes.ADAM:
                betas = (fit.settings[beta] for beta in ("beta_1", "beta_2"))
                of_one = fit.corrections or tuple(1 - beta**fit.steps for beta in betas)
                state.optimizer_state[g, 2 * P :, q] = of_one
            state.monitor[g, BEST, q] = fit.sign * fit.best
            state.monitor[g, WAITED, q] = state.monitor[g, STALE, q] = fit.waited
            state.monitor[g, ADAPTED, q] = state.schedule[g, FIRST, q] = fit.learning_rate
            state.schedule[g, SEEN, q] = fit.seen
            state.schedule[g, WAIT, q] = fit.patience if fit.adapts else math.inf
            state.schedule[g, FLOOR, q] = LOWEST_RATE

    @staticmethod
    def packed(parameters: Parameters, block: Block, dtype: Any = None) -> Floats:
        """Parameters in the kernels' order, of the block's dtype or of another one."""
        return pack(*parameters, block.layers, dtype or block.dtype)

    def calls(self, seconds: float | None = None) -> TrainingCalls:
        """What is launched. seconds : that it is launched for, if it is not a training."""
        calls = TrainingCalls(self.trained, self.data, self.threads, seconds=seconds)
        calls.compile()
        return calls

    def run(self) -> list[Fitted]:
        """Train; what has become of each."""
        last = max(block.last_epoch for block in self.plan.blocks)
        scheduler = Scheduler(
            self.plan, self.trained, self.calls(), self.threads, self.monitor,
            range(1, last + 1) if self._look else (), self._checkpoint,
        )  # fmt: skip
        try:
            scheduler.run()
        except KeyboardInterrupt:
            pass
        for trained in self.trained:
            status = trained.state.progress[:, STATUS]
            status[status == RUNNING] = INTERRUPTED
        return [self._fitted(i) for i in range(len(self.fits))]

    def _checkpoint(self, epoch: int) -> None:
        """After each epoch of a training that is looked at."""
        assert self._look is not None
        if self._look(self):
            for trained in self.trained:
                status = trained.state.progress[:, STATUS]
                status[status == RUNNING] = STOPPED
                trained.state.alive[...] = 0

    def is_running(self, i: int) -> bool:
        """Whether a training goes on after the epoch that it is at."""
        trained, g, q = self._place(i)
        status, epochs, limit = trained.state.progress[g, :, q].tolist()
        return status == RUNNING and epochs < limit

    def parameters(self, i: int) -> Parameters:
        """Those of a training up to now."""
        trained, g, q = self._place(i)
        return _unpacked(trained.state.params[g, :, q], trained.block)

    def records(self, i: int) -> tuple[list[float], list[float]]:
        """Losses and scores of a training up to now."""
        trained, g, q = self._place(i)
        epochs = int(trained.state.progress[g, EPOCHS, q])
        losses, scores = trained.state.losses, trained.state.scores
        return losses[g, :epochs, q].tolist(), scores[g, :epochs, q].tolist()

    def _place(self, i: int) -> tuple[Trained, int, int]:
        """Where a training is: its block, group and lane."""
        trained = self.trained[self.plan.block_of[i]]
        return trained, *divmod(int(self.plan.offset_of[i]), trained.block.width.lanes)

    def _fitted(self, i: int) -> Fitted:
        fit, (trained, g, q) = self.fits[i], self._place(i)
        block, state = trained.block, trained.state
        P, task, optimizer = block.task.parameters, block.task, block.architecture.optimizer
        # a single row that is left may belong to the batch before
        steps = -(-(task.rows - (task.longest_batch - task.batch)) // task.batch)
        epochs, status = int(state.progress[g, EPOCHS, q]), state.progress[g, STATUS, q]
        monitor = state.monitor[g, :, q]
        best, best_parameters = fit.sign * float(monitor[BEST]), None
        if fit.stops_early and float(monitor[BEST]) < fit.sign * fit.best:
            best_parameters = _unpacked(state.best[g, :, q], block)
        held_out = fit.held_out is not None
        moments = codes.STATE_PER_PARAMETER[optimizer]
        generator = fit.generator
        if trained.orders is not None and fit.shuffles:
            generator = trained.orders.after(int(state.order_seeds[g, q]), epochs)
        elif generator is not None:
            generator = _after(generator, block.task.rows, epochs)
        corrections = None
        if optimizer == codes.ADAM:
            first, second = state.optimizer_state[g, 2 * P :, q].tolist()
            corrections = first, second
        return Fitted(
            parameters=_unpacked(state.params[g, :, q], block),
            moments=[
                _unpacked(state.optimizer_state[g, k * P : (k + 1) * P, q], block)
                for k in range(moments)
            ],
            steps=fit.steps + epochs * steps,
            epochs=epochs,
            losses=np.array(state.losses[g, :epochs, q]),
            scores=np.array(state.scores[g, :epochs, q]) if held_out else None,
            validation_losses=np.array(state.val_losses[g, :epochs, q]) if held_out else None,
            best=best,
            best_parameters=best_parameters,
            waited=int(monitor[STALE if fit.adapts else WAITED]),
            learning_rate=float(monitor[ADAPTED]),
            corrections=corrections,
            generator=generator,
            stopped=bool(status == STOPPED),
            diverged=bool(status == DIVERGED),
            interrupted=bool(status == INTERRUPTED),
        )


def _unpacked(numbers: Floats, block: Block) -> Parameters:
    """Parameters of a net, or what an optimizer keeps for each of them."""
    layers = block.layers
    if len(numbers) < layers.size:  # an optimizer keeps nothing for statistics
        numbers = np.append(numbers, np.zeros(layers.size - len(numbers), numbers.dtype))
    weights, biases, norms = unpack(numbers, layers)
    assert biases is not None
    return Parameters(weights, biases, norms)


def _after(generator: Generator, rows: int, epochs: int) -> Generator:
    """Where a generator is once it has ordered rows so often, which did not matter."""
    orders = RowOrders([np.arange(rows, dtype=np.int32)], [generator], epochs, 1)
    epoch = 0
    while epoch < epochs:
        epoch = orders.prepare(epoch)
    return orders.after(0, epochs)


def _data(rows: Rows, fit: Fit, trained: Trained) -> Data:
    """What the nets of a block are trained on, and watched by."""
    dtype, none = rows.X.dtype, np.zeros(0, rows.X.dtype)
    validation, weighted = Samples(none, none, none), 0
    varies = np.zeros(rows.y.shape[1])
    if fit.held_out is not None:
        validation = _samples(fit.held_out)
        weighted = int(fit.held_out.weights is not None)
        if fit.kind == "numbers":
            varies = variation(fit.held_out.y, fit.held_out.weights)
    epochs, orders = 0, np.zeros((0, 0), np.int32)
    if trained.orders is not None:
        epochs, orders = trained.orders.epochs, trained.orders.orders
    with np.errstate(over="ignore"):
        return Data(_samples(rows), validation, weighted, varies.astype(dtype), epochs, orders)


def _samples(rows: Rows) -> Samples:
    X, y = np.ascontiguousarray(rows.X), np.ascontiguousarray(rows.y)
    weights = np.zeros(0, X.dtype) if rows.weights is None else rows.weights
    return Samples(X.ravel(), y.ravel(), np.ascontiguousarray(weights))


def train(
    fits: Sequence[Fit],
    threads: int | None = None,
    monitor: Monitor | None = None,
    look: Look | None = None,
) -> list[Fitted]:
    """Train all; each comes to the bits that it comes to alone. The parameters of `Training`.

    Ctrl-C ends all trainings at their last whole epoch, said by ``interrupted``.
    """
    most = max(1, _MOST_RECORDS // len(fits))
    are_short = max(fit.settings["epochs"] for fit in fits) <= most
    if are_short or any(fit.counts_epochs for fit in fits):
        return Training(fits, threads, monitor, look).run()
    done: list[Fitted | None] = [None] * len(fits)
    left = list(range(len(fits)))
    while left:
        round_ = [_rest(fits[i], done[i], most) for i in left]
        for i, fitted in zip(left, Training(round_, threads, monitor, look).run(), strict=True):
            done[i] = _joined(done[i], fitted)
        left = [i for i in left if _goes_on(fits[i], done[i])]
    return [fitted for fitted in done if fitted is not None]


def _rest(fit: Fit, before: Fitted | None, most: int) -> Fit:
    """What is left of a training, but at most so many epochs."""
    epochs = fit.settings["epochs"] - (before.epochs if before else 0)
    settings = {**fit.settings, "epochs": min(most, epochs)}
    if before is None:
        return replace(fit, settings=settings)
    seen = fit.seen + before.epochs * len(fit.rows.X)
    rate = before.learning_rate
    if settings.get("schedule") == "invscaling":
        rate = settings["learning_rate"] / (seen + 1) ** settings["power"]
    return replace(
        fit, settings=settings, generator=before.generator, start=before.parameters,
        moments=before.moments, steps=before.steps, corrections=before.corrections, seen=seen,
        best=before.best, waited=before.waited, learning_rate=rate,
    )  # fmt: skip


def _joined(before: Fitted | None, after: Fitted) -> Fitted:
    if before is None:
        return after

    def of_both(name: str) -> Any:
        parts = getattr(before, name), getattr(after, name)
        return None if parts[0] is None else np.concatenate(parts)

    return replace(
        after, epochs=before.epochs + after.epochs,
        best_parameters=after.best_parameters or before.best_parameters,
        **{name: of_both(name) for name in ("losses", "scores", "validation_losses")},
    )  # fmt: skip


def _goes_on(fit: Fit, done: Fitted | None) -> bool:
    assert done is not None
    ended = done.stopped or done.diverged or done.interrupted
    return not ended and done.epochs < fit.settings["epochs"]
