"""Runs a plan: memory, launches, threads, interruption.

Each piece of a plan is trained by one Python thread from its first epoch to its last, in launches
of 0.1 to 0.2 s; the kernels release the GIL. Between launches a thread looks whether it shall stop.
Where launches are cut, and by which thread, changes no bit.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .choice import LaneWidth, tile_of
from .data import Target
from .grid import Grid
from .interrupts import noting
from .kernels import cpu, jit, layout
from .kernels.layout import INTERRUPTED, RUNNING, STATUS, Data, State, Task, Workspace
from .kernels.team import STOPPED
from .memory import aligned, allocate, panels
from .plan import Block, Piece, Plan, cut
from .repacking import repack
from .rows import row_weights
from .scores import variation
from .structure import Structure, initial_factors
from .teams import leading
from .workspaces import counts_of, evaluation_workspace, team_workspaces, training_workspace

Floats = NDArray[Any]

_LAUNCH: Final = 0.15  # seconds
_FIRST_LAUNCH: Final = 0.02
# One piece of shorter work runs in the calling thread, in one launch.
_AT_ONCE: Final = 0.05
# Starting threads takes 0.1 to 0.2 ms.
_WORTH_THREADS: Final = 0.002
# Where nets may be done at different epochs, the time until those that are left are repacked.
_PHASE: Final = 0.25

# Weights whose drawing is worth starting threads: about a millisecond's.
_MANY_WEIGHTS: Final = 100_000

# kernels that are compiled, or loaded
_COMPILED: set[tuple[np.dtype[Any], LaneWidth, bool]] = set()


class Rows(NamedTuple):
    """Checked rows: X (n, I), the raw y, and sample weights (n,) where there are any."""

    X: Floats
    y: Any
    weights: NDArray[np.float64] | None
    name: str


@dataclass(eq=False)
class Trained:
    """One block after (or during) its training."""

    block: Block
    state: State
    seconds: float = 0.0
    loss: Floats | None = None  # (groups, 1, L)
    counts: Floats | None = None  # (groups, counts + 1, L), of the score; the last is the weight
    left: int = 0  # pieces of the phase that threads are not done with
    awaited: int = 0  # pieces of the phase that the main thread has not seen the end of
    done: float = 0.0  # estimated seconds of what is trained
    estimate: float = 0.0  # of all of it

    @property
    def params(self) -> Floats:
        """Parameters as they are told: the best ones, where they are kept and there are any."""
        state = self.state
        if not self.block.structure.keeps_best:
            return state.params
        known = state.watch[:, [layout.BEST]] < np.inf
        return np.where(known, state.best, state.params)

    def ends(self) -> NDArray[np.int64]:
        """The last epoch of the nets that still run, of each group: 0 where none does."""
        progress = self.state.progress
        running = progress[:, STATUS] == RUNNING
        return np.where(running, progress[:, layout.LIMIT], 0).max(axis=1)


class Monitor:
    """What a run says while it runs; this one is silent."""

    def begin(self, nets: int, seconds: float) -> None:
        """A run of so many nets begins, which is estimated to take so long."""

    def advance(self, nets: float) -> None:
        """So much more is done, in nets: an epoch counts by the time that it takes."""

    def compiling(self) -> None:
        """Kernels are about to be compiled."""

    def end(self) -> None:
        """The run is over."""


@contextmanager
def _told(monitor: Monitor) -> Iterator[None]:
    jit.before_compiling.append(monitor.compiling)
    try:
        yield
    finally:
        jit.before_compiling.remove(monitor.compiling)


class Run:
    """One training of all nets of a plan on one data set.

    Parameters
    ----------
    plan, grid, target
        What is trained.
    rows : Rows
        Training rows.
    validation : Rows or None
    orders : (N,) array
        Seeds of the row orders.
    threads : int or None
        None: as many as `jit.default_threads` says.
    """

    def __init__(
        self,
        plan: Plan,
        grid: Grid,
        target: Target,
        rows: Rows,
        validation: Rows | None,
        orders: NDArray[np.uint64],
        threads: int | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self.plan, self.target, self.rows, self.validation = plan, target, rows, validation
        self.dtype = rows.X.dtype
        self.threads = threads or jit.default_threads()
        self.monitor = monitor or Monitor()
        self.interrupted = False
        # by what of a structure they depend on
        self._encoded: dict[tuple[Any, ...], Floats] = {}
        self._weights: dict[tuple[Any, ...], NDArray[np.float64] | None] = {}
        self._data: dict[tuple[Any, ...], Data] = {}
        self.trained = [
            Trained(block, allocate(block, grid, orders, self.dtype)) for block in plan.blocks
        ]
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._looks: tuple[int, ...] = ()
        self._look: Callable[[int], None] = _nothing

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: all but what belongs to threads and to this process."""
        own = ("_stop", "_lock", "monitor", "_look")
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._stop, self._lock = threading.Event(), threading.Lock()
        self.monitor, self._look = Monitor(), _nothing

    def targets(self, structure: Structure, rows: Rows) -> Floats:
        """The flat (n * O,) targets of these rows for nets of this structure."""
        key = (rows.name, structure.widths[-1], structure.loss, structure.output)
        if key not in self._encoded:
            encoded = self.target.encode(
                rows.y, structure.widths[-1], self.dtype, structure.loss, structure.output,
                n=len(rows.X), name=rows.name,
            )  # fmt: skip
            self._encoded[key] = np.ascontiguousarray(encoded).ravel()
        return self._encoded[key]

    def weights(self, structure: Structure, rows: Rows) -> NDArray[np.float64] | None:
        """The (n,) weights of these rows in the loss: class weights are of training rows alone."""
        of_classes = structure.class_weight if rows is self.rows else None
        key = (rows.name, of_classes)
        if key not in self._weights:
            self._weights[key] = row_weights(
                self.target, rows.y, of_classes, rows.weights, name=rows.name
            )
        return self._weights[key]

    def variation(self, structure: Structure, rows: Rows, weights: Any) -> NDArray[np.float64]:
        """Weighted sum of squares about the mean of each output, (O,)."""
        if self.target.kind != "numbers":
            return np.zeros(structure.widths[-1])
        targets = self.targets(structure, rows).reshape(len(rows.X), -1)
        return variation(targets, weights)

    def data(self, structure: Structure) -> Data:
        """The rows as kernels take them."""
        key = (structure.widths[-1], structure.loss, structure.output, structure.class_weight)
        if key not in self._data:
            rows, other = self.rows, self.validation
            weights = self.weights(structure, rows)
            nothing = np.zeros(0, self.dtype)
            scored, by = (rows, weights) if other is None else (other, other.weights)
            self._data[key] = Data(
                rows.X.ravel(),
                self.targets(structure, rows),
                nothing if weights is None else weights.astype(self.dtype),
                nothing if other is None else other.X.ravel(),
                nothing if other is None else self.targets(structure, other),
                nothing if by is None or other is None else by.astype(self.dtype),
                int(other is not None and by is not None),
                _rounded(self.variation(structure, scored, by), self.dtype),
            )
        return self._data[key]

    def initialise(self) -> None:
        """Draw the initial weights."""
        for trained in self.trained:
            groups, size = trained.block.groups, trained.state.params.size
            parts = min(self.threads, groups) if size > _MANY_WEIGHTS else 1
            edges = [groups * k // parts for k in range(parts + 1)]
            if parts > 1:
                with _told(self.monitor):
                    self._draw(trained, 0, 0)  # compiles
                with noting(_nothing), ThreadPoolExecutor(parts) as pool:
                    list(pool.map(partial(self._draw, trained), edges[:-1], edges[1:]))
            else:
                with _told(self.monitor):
                    self._draw(trained, 0, groups)
            if trained.block.structure.keeps_best:
                trained.state.best[...] = trained.state.params

    @staticmethod
    def _draw(trained: Trained, first: int, last: int) -> None:
        block, state = trained.block, trained.state
        kinds, factors = initial_factors(block.structure)
        table, seeds = block.layers.table, state.seeds
        cpu.initialise(state.params, table, seeds, kinds, factors, first, last)

    def train(self, looks: Sequence[int] = (), look: Callable[[int], None] | None = None) -> None:
        """Train all nets; on Ctrl-C stop within a launch and mark what is not finished.

        Parameters
        ----------
        looks : ascending ints
            Numbers of epochs after which ``look`` is called with that number.
        """
        self._looks, self._look = tuple(looks), look or _nothing
        try:
            self._compile()
            self._train_blocks()
        finally:
            for trained in self.trained:
                status = trained.state.progress[:, STATUS]
                status[status == RUNNING] = INTERRUPTED

    def _compile(self) -> None:
        """Launch nothing, where that compiles: in this thread, and with a word before."""
        for trained in self.trained:
            followed = self._team(trained.block) > 1
            kernel = (self.dtype, trained.block.width, followed)
            if kernel in _COMPILED:
                continue
            work = training_workspace(trained.block, self.dtype)
            with _told(self.monitor):
                self._launch(trained, work, 0, 0, 0, 0)
                if followed:
                    work.own.team[STOPPED] = 1  # so that nobody is waited for
                    self._follow(trained, work, 0, 0)
            _COMPILED.add(kernel)

    def _train_blocks(self) -> None:
        nets = sum(block.count for block in self.plan.blocks)
        for trained in self.trained:
            trained.estimate = self._remaining(trained, trained.block.first_epoch)
            trained.done = 0.0
        total = sum(trained.estimate for trained in self.trained)
        self._share, self._told = nets / max(total, 1e-12), 0.0
        target = min(max(total / (8 * self.threads), 0.003), _LAUNCH)
        work = [
            item
            for number, trained in enumerate(self.trained)
            for item in self._phase(number, trained.block.first_epoch, target)
        ]
        work.sort(key=lambda item: -item[0])
        self.monitor.begin(nets, total / self.threads)
        try:
            pieces = [piece for _, piece in work]
            self._run(pieces, self._train_piece, total < _AT_ONCE, self._then)
        finally:
            self.monitor.end()

    @staticmethod
    def _remaining(trained: Trained, epoch: int) -> float:
        """Estimated seconds of a block from an epoch on."""
        if epoch >= trained.block.last_epoch:
            return 0.0
        epochs = np.maximum(trained.ends() - epoch, 0).sum()
        return float(epochs) * trained.block.seconds_of_epoch

    def _phase(self, number: int, epoch: int, target: float) -> list[tuple[float, Piece]]:
        """Pieces of a block from an epoch on: to the last, or until it is to be repacked."""
        trained = self.trained[number]
        block, ends = trained.block, trained.ends()
        running = np.flatnonzero(ends > epoch)
        if not len(running):
            return []
        ends = ends[: running[-1] + 1]
        until, cost = int(ends.max()), block.seconds_of_epoch * len(running)
        if block.may_shrink:
            if trained.seconds > 0 and trained.done > 0:  # what it took so far
                cost *= trained.seconds / trained.done
            phase = max(1, int(_PHASE * self.threads / cost))
            until = until if epoch + 2 * phase > until else epoch + phase
        until = min([until, *(look for look in self._looks if look > epoch)])
        pieces = cut(number, block, ends, epoch, until, target)
        trained.left = trained.awaited = len(pieces)
        return pieces

    def _then(self, piece: Piece) -> list[Piece]:
        """After a piece: the next ones of its block, once all of this phase are done."""
        trained = self.trained[piece.block]
        trained.awaited -= 1
        if trained.awaited or self._stop.is_set():
            return []
        if piece.until in self._looks:
            self._look(piece.until)
        if piece.until >= trained.block.last_epoch:
            return []
        return [piece for _, piece in self._phase(piece.block, piece.until, _LAUNCH)]

    def _end_phase(self, piece: Piece) -> None:
        """After a piece, in its thread, as Ctrl-C must not strike while nets are moved."""
        trained = self.trained[piece.block]
        with self._lock:
            trained.left -= 1
            last = trained.left == 0 and not self._stop.is_set()
        if last:
            with self._lock:
                trained.done = trained.estimate - self._remaining(trained, piece.until)
            if trained.block.may_shrink and not trained.block.width.dense:
                repack(self.plan, piece.block, trained.state)

    def _run(
        self,
        work: list[Piece],
        call: Callable[[Piece], None],
        short: bool,
        then: Callable[[Piece], list[Piece]],
    ) -> None:
        """Call for each piece: here where it is one of short work, else in threads.

        Threads even where one is enough, as the bar advances meanwhile.
        """
        self._stop.clear()
        try:
            with noting(self._stop.set):
                if short and len(work) <= 1:
                    while work and not self._stop.is_set():
                        piece = work.pop()
                        call(piece)
                        work += then(piece)
                else:
                    self._run_in_threads(work, call, then)
        except KeyboardInterrupt:
            self.interrupted = True
            raise
        self._report()

    def _run_in_threads(
        self, work: list[Piece], call: Callable[[Piece], None], then: Callable[[Piece], list[Piece]]
    ) -> None:
        with ThreadPoolExecutor(min(self.threads, max(1, len(work)))) as pool:
            pending: dict[Future[None], Piece] = {}
            try:
                for piece in work:
                    if self._stop.is_set():
                        break
                    pending[pool.submit(call, piece)] = piece
                while pending and not self._stop.is_set():
                    done, _ = wait(pending, 0.1, FIRST_COMPLETED)
                    self._report()
                    for future in done:
                        future.result()
                        for piece in then(pending.pop(future)):
                            pending[pool.submit(call, piece)] = piece
            finally:
                self._stop.set()
                for future in pending:
                    future.cancel()

    def _report(self) -> None:
        with self._lock:
            done = sum(trained.done for trained in self.trained) * self._share
        if done > self._told:
            self.monitor.advance(done - self._told)
            self._told = done

    def _launch(
        self, trained: Trained, work: Workspace, first: int, last: int, start: int, stop: int
    ) -> None:
        block, data = trained.block, self.data(trained.block.structure)
        self._call(block, block.task, data, trained.state, work, first, last, start, stop, False)

    def _team(self, block: Block) -> int:
        """Threads that share the block's one net, where there is no other."""
        alone = len(self.trained) == 1 and block.groups == 1
        return min(self.threads, block.most_threads) if alone else 1

    def _follow(self, trained: Trained, work: Workspace, group: int, part: int) -> None:
        block, data = trained.block, self.data(trained.block.structure)
        lane, table = block.width.group(self.dtype), block.layers.table
        cpu.follow(lane, block.task, table, block.ordering, data, trained.state, work, group, part)

    def _call(self, block: Block, task: Task, data: Data, state: State, *rest: Any) -> None:
        launch = cpu.train_dense if block.width.dense else cpu.train
        lane, table = block.width.group(self.dtype), block.layers.table
        launch(lane, task, table, block.ordering, data, state, *rest)

    def _train_piece(self, piece: Piece) -> None:
        trained = self.trained[piece.block]
        with panels(trained.block, trained.state, piece.first, piece.last):
            self._launch_through(trained, piece)
        self._end_phase(piece)

    def _launch_through(self, trained: Trained, piece: Piece) -> None:
        block, state = trained.block, trained.state
        works = team_workspaces(block, self.dtype, self._team(block))
        work = works[0]
        per_epoch, groups = block.tiles_of_epoch, piece.last - piece.first
        limits = state.progress[piece.first : piece.last, layout.LIMIT]
        position, end = per_epoch * piece.epoch, per_epoch * min(piece.until, int(limits.max()))
        rate = per_epoch / (block.seconds_of_epoch * groups)  # tiles a second, of all groups
        length = end if (end - position) / rate < _AT_ONCE else rate * _FIRST_LAUNCH
        with leading(self._follow, trained, works, piece.first) as rest:
            while position < end and not self._stop.is_set():
                begin = time.perf_counter()
                stop = self._next_stop(position, int(length), per_epoch, end, groups)
                self._launch(trained, work, piece.first, piece.last, position, stop)
                rest()
                seconds = max(time.perf_counter() - begin, 1e-6)
                length = min(_LAUNCH * (stop - position) / seconds, 8 * length)
                with self._lock:
                    trained.seconds += seconds
                    trained.done += (stop - position) / rate
                position = stop
                if not state.alive[piece.first : piece.last].any():
                    break
        if position % per_epoch:  # stopped inside an epoch: back to the last whole one
            size = block.layers.size
            state.params[piece.first] = work.kept[:size]
            state.moments[piece.first] = work.kept[size:]
            running = state.progress[piece.first, STATUS] == RUNNING
            record = -(-(position // per_epoch) // block.structure.every)
            for records in (state.losses, state.learning_rates):  # told before validation
                records[piece.first, record:, running] = np.nan

    @staticmethod
    def _next_stop(position: int, length: int, per_epoch: int, end: int, groups: int) -> int:
        """Whole epochs; where one is longer than a launch and there is one group, a part of it."""
        if length >= per_epoch or groups > 1:
            return min(end, (position // per_epoch + max(1, length // per_epoch)) * per_epoch)
        return min(position + max(1, length), (position // per_epoch + 1) * per_epoch)

    def evaluate(self) -> None:
        """Loss and score of all nets: on the validation rows, or on the training rows."""
        rows, blocks = self.validation or self.rows, self.plan.blocks
        seconds = sum(
            block.seconds_of_epoch * block.groups * len(rows.X) / block.task.rows
            for block in blocks
        )
        for trained in self.trained:
            trained.loss, trained.counts = None, None
        if self.interrupted and seconds > 2 * _LAUNCH:  # who pressed Ctrl-C is waiting
            return
        for trained in self.trained:
            groups, L = trained.block.groups, trained.block.width.lanes
            trained.loss = aligned((groups, 1, L), self.dtype)
            trained.counts = aligned((groups, counts_of(trained.block.task) + 1, L), self.dtype)
        nets = [self._evaluated(trained, rows) for trained in self.trained]

        def call(piece: Piece) -> None:
            block, (task, data, state) = blocks[piece.block], nets[piece.block]
            work = evaluation_workspace(block, task, self.dtype)
            self._call(block, task, data, state, work, piece.first, piece.last, 0, 0, True)

        parts = 1 if seconds < _WORTH_THREADS else 4 * self.threads
        work = [
            Piece(k, first, min(first + step, block.groups), 0, 0)
            for k, block in enumerate(blocks)
            for step in [max(1, block.groups // parts)]
            for first in range(0, block.groups, step)
        ]
        if parts == 1:
            for piece in work:
                call(piece)
        else:
            self._share = 0.0  # the bar is closed
            self._run(work, call, seconds < _AT_ONCE, _no_more)

    def _evaluated(self, trained: Trained, rows: Rows) -> tuple[Task, Data, State]:
        """What the launcher of an evaluation is told of a block."""
        block, state, n = trained.block, trained.state, len(rows.X)
        tile, stride = tile_of(block.structure, block.width, n, self.dtype, trains=False)
        weighted = int(rows.weights is not None)
        task = block.task._replace(
            rows=n, batch=n, tile=tile, stride=stride, weighted=weighted, panels=0
        )
        nothing = np.zeros(0, self.dtype)
        weights = nothing if rows.weights is None else rows.weights.astype(self.dtype)
        targets = self.targets(block.structure, rows)
        data = Data(rows.X.ravel(), targets, weights, nothing, nothing, nothing, 0, nothing)
        told = {"params": trained.params, "losses": trained.loss, "scores": trained.counts}
        return task, data, state._replace(**told)


def _rounded(values: NDArray[np.float64], dtype: Any) -> Floats:
    """Values in the dtype: infinite where it has no such numbers."""
    with np.errstate(over="ignore"):
        return values.astype(dtype)


def _nothing(epoch: int = 0) -> None:
    """Called where nobody looks."""


def _no_more(piece: Piece) -> list[Piece]:
    return []
