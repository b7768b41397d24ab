"""Trains the blocks of a plan in launches of 0.1 to 0.2 s.

In a launch, threads take slices of the pieces of work from a shared counter. Between launches
Python looks whether Ctrl-C was pressed, moves the progress bar, and moves nets together where
others are done. Where slices are cut, and which thread takes them, changes no bit.
"""

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ..kernels import layout
from ..kernels.launching import parallel
from ..kernels.launching.entries import Call
from ..kernels.launching.slices import NOT_TAKEN, STOPPED
from ..planning.plan import Piece, Plan, cut
from .calls import TrainingCalls
from .interrupts import noting
from .progress import Monitor
from .repacking import repack
from .state import Trained

_LAUNCH: Final = 0.15  # seconds
# Slices are listed for so long, as estimated: an estimate that is too high by half must not leave
# a thread without one.
_LISTED: Final = 3 * _LAUNCH
# Slices of each thread in a launch, where there is so much work: threads end together.
_SLICES: Final = 8
# The first slice of a block, whose time is only estimated; and by how much slices may grow.
_FIRST_SLICE: Final = 0.02
_GROWTH: Final = 8
# A tile of rows on a GPU, at most, until it is measured.
_TILE_ON_GPU: Final = 0.001
# A piece of shorter work is not cut into slices.
_SHORT: Final = 0.05
# Work that is worth starting threads.
_WORTH_THREADS: Final = 0.0005
# Where nets may be done at different epochs, the time until those that are left are repacked.
_PHASE: Final = 0.25


@dataclass(eq=False)
class Active:
    """A piece on its way.

    Attributes
    ----------
    tile, last_tile : int
        Where it is, and where it ends; tiles are numbered through a training.
    call : Call or None
        While it is inside an epoch, the one whose workspace holds what the epoch has come to.
    """

    piece: Piece
    trained: Trained
    tile: int
    last_tile: int
    call: Call | None = None

    @property
    def groups(self) -> int:
        return self.piece.last - self.piece.first

    @property
    def is_done(self) -> bool:
        """Whether its last epoch is over, or all of its nets are done."""
        alive = self.trained.state.alive[self.piece.first : self.piece.last]
        return self.tile >= self.last_tile or not alive.any()


class _Pace:
    """How fast a block is trained: estimated, then measured."""

    def __init__(self, trained: Trained) -> None:
        block = trained.block
        self.tile_seconds = block.seconds_of_epoch / block.task.epoch_tiles  # of one group
        if block.on_gpu:  # whose first slice is a short one
            self.tile_seconds = max(self.tile_seconds, _TILE_ON_GPU / block.groups)
        self.longest = _FIRST_SLICE  # slice that it is trusted for

    def measure(self, slices: list[tuple[int, float]]) -> None:
        """Slices of so many tiles, times their groups, took so long each."""
        tiles, seconds = zip(*slices, strict=True)
        self.tile_seconds = max(sum(seconds), 1e-6) / sum(tiles)
        self.longest = min(_LAUNCH, max(_FIRST_SLICE, _GROWTH * max(seconds)))


class Scheduler:
    """One training of all blocks.

    Parameters
    ----------
    plan : Plan
    trained : sequence of Trained
        The blocks, in the plan's order.
    calls : TrainingCalls
        What is launched.
    threads : int
    monitor : Monitor
    checkpoints : ascending ints
        Numbers of epochs after which ``checkpoint`` is called with that number.
    """

    def __init__(
        self,
        plan: Plan,
        trained: Sequence[Trained],
        calls: TrainingCalls,
        threads: int,
        monitor: Monitor,
        checkpoints: Sequence[int],
        checkpoint: Callable[[int], None],
    ) -> None:
        self.plan, self.trained, self.calls = plan, trained, calls
        self.threads, self.monitor = threads, monitor
        self.checkpoints, self.checkpoint = checkpoints, checkpoint
        self._control = parallel.new_control()
        self._paces = [_Pace(each) for each in trained]
        self._estimates = [_remaining(each, each.block.first_epoch) for each in trained]
        self._done = [0.0] * len(trained)  # of these
        self._pieces_left = [0] * len(trained)  # of a block's phase
        self._reported = 0.0
        self._active: list[Active] = []

    def run(self) -> None:
        """Train all nets; on Ctrl-C stop after the launch and raise KeyboardInterrupt."""
        total = sum(self._estimates)
        target = min(max(total / (_SLICES * self.threads), 0.003), _LAUNCH / _SLICES)
        pieces = [
            item
            for number, each in enumerate(self.trained)
            for item in self._phase(number, each.block.first_epoch, target)
        ]
        pieces.sort(key=lambda item: -item[0])
        self._active = [self._begun(piece) for _, piece in pieces]
        self.monitor.begin(self._nets, total / self.threads)
        try:
            with noting(self._stop), self.calls.following():
                try:
                    while self._active and not self._control[STOPPED]:
                        self._launch()
                finally:
                    for active in self._active:
                        self._interrupt(active)
        finally:
            self.monitor.end()

    def _stop(self) -> None:
        self._control[STOPPED] = 1

    @property
    def _nets(self) -> int:
        return sum(block.count for block in self.plan.blocks)

    def _phase(self, number: int, epoch: int, target: float) -> list[tuple[float, Piece]]:
        """Pieces of a block from an epoch on, each with its cost: to the last epoch, or until the
        block is to be repacked."""
        trained = self.trained[number]
        if epoch >= trained.block.last_epoch:
            return []
        block, ends = trained.block, trained.ends()
        running = np.flatnonzero(ends > epoch)
        if not len(running):
            return []
        ends = ends[: running[-1] + 1]
        until, cost = int(ends.max()), block.seconds_of_epoch * len(running)
        if block.may_shrink:
            if trained.seconds > 0 and self._done[number] > 0:  # what it took so far
                cost *= trained.seconds / self._done[number]
            phase = max(1, int(_PHASE * self.threads / cost))
            until = until if epoch + 2 * phase > until else epoch + phase
        until = min([until, *self.checkpoints[bisect.bisect(self.checkpoints, epoch) :][:1]])
        if trained.orders is not None:
            until = min(until, trained.orders.prepare(epoch))
        pieces = cut(number, block, ends, epoch, until, target)
        self._pieces_left[number] = len(pieces)
        return pieces

    def _begun(self, piece: Piece) -> Active:
        trained = self.trained[piece.block]
        block = trained.block
        limits = trained.state.progress[piece.first : piece.last, layout.LIMIT]
        if block.task.panels:
            trained.transpose_panels(piece.first, piece.last, to_panels=True)
        per_epoch = block.task.epoch_tiles
        last = min(piece.until, int(limits.max()))
        return Active(piece, trained, per_epoch * piece.epoch, per_epoch * last)

    def _launch(self) -> None:
        """One launch, and what follows from it."""
        share = _LAUNCH * self.threads / len(self._active)
        seconds, budget = min(max(share, _LAUNCH / _SLICES), _LAUNCH), 0.0
        calls: dict[int, tuple[int, Call]] = {}
        slices, stops = [], []
        for active in self._active:
            stop = self._stop_of(active, seconds)
            call = self._call_of(active, stop)
            number, _ = calls.setdefault(id(call), (len(calls), call))
            piece = active.piece
            slices.append((number, piece.first, piece.last, active.tile, stop))
            stops.append(stop)
            cost = (stop - active.tile) * active.groups
            budget += cost * self._paces[piece.block].tile_seconds
            if budget > _LISTED * self.threads:
                break
        threads = self.threads if budget > _WORTH_THREADS else 1
        outcome = parallel.launch(
            [call for _, call in calls.values()], slices, threads, _LAUNCH, self._control
        )
        self.calls.after_launch()
        self._advance(stops, outcome)
        self._report()

    def _stop_of(self, active: Active, seconds: float) -> int:
        """Where a slice of so long ends: with an epoch, but where one is longer than that and there
        is one group (or a GPU), inside it. One that begins inside an epoch ends with it at last, as
        a net that diverges is rolled back to where its epoch began."""
        pace, per_epoch = self._paces[active.piece.block], active.trained.block.task.epoch_tiles
        left, groups = active.last_tile - active.tile, active.groups
        epoch, inside = divmod(active.tile, per_epoch)
        end_of_epoch = (epoch + 1) * per_epoch
        is_short = _SHORT if active.trained.seconds == 0 else seconds
        if left * groups * pace.tile_seconds < is_short:
            return end_of_epoch if inside else active.last_tile
        length = int(min(seconds, pace.longest) / (groups * pace.tile_seconds))
        may_cut = groups == 1 or active.trained.block.on_gpu
        if may_cut and (inside or length < per_epoch):
            return min(active.tile + max(1, length), end_of_epoch)
        return min(active.last_tile, (epoch + max(1, length // per_epoch)) * per_epoch)

    def _call_of(self, active: Active, stop: int) -> Call:
        number, per_epoch = active.piece.block, active.trained.block.task.epoch_tiles
        if active.call is None and (stop % per_epoch or active.tile % per_epoch):
            active.call = self.calls.take_private(number)
        return active.call or self.calls.shared(number)

    def _advance(self, stops: list[int], outcome: Any) -> None:
        """Note what was done, and begin what comes next."""
        chosen, waiting = self._active[: len(stops)], self._active[len(stops) :]
        inside, untaken, ran = [], [], []
        measured: dict[int, list[tuple[int, float]]] = {}
        rows = zip(chosen, stops, outcome.tolist(), strict=True)
        for active, stop, (status, nanoseconds) in rows:
            if status == NOT_TAKEN:
                untaken.append(active)
                continue
            number, block = active.piece.block, active.trained.block
            tiles, seconds = (stop - active.tile) * active.groups, nanoseconds / 1e9
            measured.setdefault(number, []).append((tiles, seconds))
            active.trained.seconds += seconds
            self._done[number] += tiles / block.task.epoch_tiles * block.seconds_of_epoch
            active.tile = stop
            if stop % block.task.epoch_tiles:
                inside.append(active)  # the next to go on, as it keeps a workspace
                continue
            if active.call is not None:
                self.calls.give_back(number, active.call)
                active.call = None
            if active.is_done:
                ran += self._end(active)
            else:
                ran.append(active)
        for number, slices in measured.items():
            self._paces[number].measure(slices)
        self._active = [*inside, *untaken, *waiting, *ran]

    def _end(self, active: Active) -> list[Active]:
        """After a piece: the next ones of its block, once all of this phase are done."""
        piece, trained = active.piece, active.trained
        number, block = piece.block, trained.block
        if block.task.panels:
            trained.transpose_panels(piece.first, piece.last, to_panels=False)
        self._pieces_left[number] -= 1
        if self._pieces_left[number]:
            return []
        self._done[number] = self._estimates[number] - _remaining(trained, piece.until)
        if block.may_shrink and not block.width.rows_in_lanes:
            repack(self.plan, number, trained.state)
        if piece.until in self.checkpoints:
            self.checkpoint(piece.until)
        pieces = self._phase(number, piece.until, _LAUNCH / _SLICES)
        if not pieces:
            self.calls.release(number)
        return [self._begun(piece) for _, piece in pieces]

    def _interrupt(self, active: Active) -> None:
        """Leave a piece at its last whole epoch, and its parameters in their usual order."""
        trained, first, per_epoch = (
            active.trained,
            active.piece.first,
            active.trained.block.task.epoch_tiles,
        )
        state, block = trained.state, trained.block
        if active.tile % per_epoch and active.call is not None:
            snapshot, size = active.call.arguments[0].work.snapshot, block.layers.size
            state.params[first] = snapshot[:size]
            state.optimizer_state[first] = snapshot[size:]
            running = state.progress[first, layout.STATUS] == layout.RUNNING
            record = -(-(active.tile // per_epoch) // block.architecture.every)
            for records in (state.losses, state.learning_rates):  # written before validation
                records[first, record:, running] = np.nan
        if block.task.panels:
            trained.transpose_panels(first, active.piece.last, to_panels=False)

    def _report(self) -> None:
        done = sum(self._done) * self._nets / max(sum(self._estimates), 1e-12)
        if done > self._reported:
            self.monitor.advance(done - self._reported)
            self._reported = done


def _remaining(trained: Trained, epoch: int) -> float:
    """Estimated seconds of a block from an epoch on."""
    if epoch >= trained.block.last_epoch:
        return 0.0
    epochs = np.maximum(trained.ends() - epoch, 0).sum()
    return float(epochs) * trained.block.seconds_of_epoch
