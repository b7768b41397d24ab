"""Runs a plan: memory, launches, threads, interruption.

Each piece of a plan is trained by one Python thread from its first epoch to its last, in launches
of 0.1 to 0.2 s; the kernels release the GIL. Between launches a thread looks whether it shall stop.
Where launches are cut, and by which thread, changes no bit.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .data import Target
from .grid import Grid
from .kernels import cpu, jit
from .kernels.block import (
    INTERRUPTED,
    RUNNING,
    STATUS,
    State,
    Task,
    Workspace,
)
from .kernels.losses import LARGEST, PARTIALS, RESIDUALS, SIDES
from .kernels.vectors import LaneGroup
from .memory import aligned, allocate, forward_workspace, training_workspace
from .plan import (
    Block,
    Piece,
    Plan,
    Structure,
    initial_factors,
    pieces,
    tile_rows,
)

Floats = NDArray[Any]

_LAUNCH: Final = 0.15  # seconds
_FIRST_LAUNCH: Final = 0.02
# One piece of shorter work runs in the calling thread, in one launch.
_AT_ONCE: Final = 0.05
# Starting threads takes 0.1 to 0.2 ms.
_WORTH_THREADS: Final = 0.002


class Rows(NamedTuple):
    """Checked rows: X (n, I) and the raw y, with the rows' number."""

    X: Floats
    y: Any
    name: str


@dataclass(eq=False)
class Trained:
    """One block after (or during) its training."""

    block: Block
    state: State
    seconds: float = 0.0
    loss: Floats | None = None
    scores: Floats | None = None


class Monitor:
    """What a run says while it runs; this one is silent."""

    def begin(self, nets: int) -> None:
        """A run of so many nets begins."""

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
    threads : int or None
        None: as many as `jit.default_threads` says.
    """

    def __init__(
        self,
        plan: Plan,
        grid: Grid,
        target: Target,
        rows: Rows,
        orders: NDArray[np.uint64],
        threads: int | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self.plan, self.target, self.rows = plan, target, rows
        self.dtype = rows.X.dtype
        self.threads = threads or jit.default_threads()
        self.monitor = monitor or Monitor()
        self.interrupted = False
        self._encoded: dict[tuple[Any, ...], Floats] = {}
        self._seeds = np.broadcast_to(grid.column("seed"), len(grid)).astype(np.uint64)
        self.trained = [
            Trained(block, allocate(block, grid, orders, self.dtype)) for block in plan.blocks
        ]
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._done = 0.0

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

    def initialise(self) -> None:
        """Draw the initial weights."""
        with _told(self.monitor):
            for trained in self.trained:
                block = trained.block
                kinds, factors = initial_factors(block.structure)
                cpu.initialise(
                    trained.state.params, block.layers, self._seeds[block.nets], kinds, factors,
                    0, block.groups,
                )  # fmt: skip

    def train(self) -> None:
        """Train all nets; on Ctrl-C stop within a launch and mark what is not finished."""
        try:
            with _told(self.monitor):
                for trained in self.trained:  # compiles
                    self._launch(trained, training_workspace(trained.block, self.dtype), 0, 0, 0, 0)
            self._train_blocks()
        finally:
            for trained in self.trained:
                status = trained.state.progress[:, STATUS]
                status[status == RUNNING] = INTERRUPTED

    def _train_blocks(self) -> None:
        blocks = self.plan.blocks
        work = [p for p in pieces(blocks, self.threads) if blocks[p.block].structure.epochs]
        self._cost = self._estimate(work)
        self._nets = sum(block.count for block in blocks)
        self.monitor.begin(self._nets)
        try:
            self._run(work, self._train_piece, self._cost)
        finally:
            self.monitor.end()

    def _estimate(self, work: list[Piece]) -> float:
        return sum(
            (piece.last - piece.first)
            * self.plan.blocks[piece.block].structure.epochs
            * self.plan.blocks[piece.block].seconds_of_epoch()
            for piece in work
        )

    def _run(self, work: list[Piece], call: Callable[[Piece], None], estimate: float) -> None:
        """Call for each piece: here where it is short work, else in threads.

        Threads even where one is enough: Ctrl-C reaches the main thread alone, which here only
        waits, so that it cannot strike between a launch and the note that it is done.
        """
        self._stop.clear()
        if estimate < _AT_ONCE and len(work) == 1:
            call(work[0])
            self._report()
            return
        with ThreadPoolExecutor(min(self.threads, max(1, len(work)))) as pool:
            pending = {pool.submit(call, piece) for piece in work}
            try:
                while pending:
                    done, pending = wait(pending, 0.1, FIRST_COMPLETED)
                    self._report()
                    for future in done:
                        future.result()
            except KeyboardInterrupt:
                self.interrupted = True
                raise
            finally:
                self._stop.set()
                for future in pending:
                    future.cancel()
        self._report()

    def _report(self) -> None:
        with self._lock:
            done, self._done = self._done, 0.0
        if done:
            self.monitor.advance(done / self._cost * self._nets)

    def _launch(
        self, trained: Trained, work: Workspace, first: int, last: int, start: int, stop: int
    ) -> None:
        block = trained.block
        cpu.train(
            LaneGroup(self.dtype, block.width.lanes, block.width.tile),
            block.task,
            block.layers,
            block.ordering,
            self.rows.X.ravel(),
            self.targets(block.structure, self.rows),
            trained.state,
            work,
            first,
            last,
            start,
            stop,
        )

    def _train_piece(self, piece: Piece) -> None:
        trained = self.trained[piece.block]
        block, state = trained.block, trained.state
        work = training_workspace(block, self.dtype)
        per_epoch, groups = block.tiles_of_epoch, piece.last - piece.first
        end = per_epoch * block.structure.epochs
        position = 0
        rate = per_epoch / (block.seconds_of_epoch() * groups)  # tiles a second, of all groups
        length = end if end / rate < _AT_ONCE else rate * _FIRST_LAUNCH
        while position < end and not self._stop.is_set():
            begin = time.perf_counter()
            stop = self._next_stop(position, int(length), per_epoch, end, groups)
            self._launch(trained, work, piece.first, piece.last, position, stop)
            seconds = max(time.perf_counter() - begin, 1e-6)
            length = min(_LAUNCH * (stop - position) / seconds, 8 * length)
            with self._lock:
                trained.seconds += seconds
                self._done += (stop - position) / rate
            position = stop
            if not state.alive[piece.first : piece.last].any():
                break
        if position % per_epoch:  # stopped inside an epoch: back to the last whole one
            state.params[piece.first] = work.kept[: block.task.parameters]
        with self._lock:
            self._done += (end - position) / rate if not self._stop.is_set() else 0.0

    @staticmethod
    def _next_stop(position: int, length: int, per_epoch: int, end: int, groups: int) -> int:
        """Whole epochs; where one is longer than a launch and there is one group, a part of it."""
        if length >= per_epoch or groups > 1:
            return min(end, (position // per_epoch + max(1, length // per_epoch)) * per_epoch)
        return min(position + max(1, length), (position // per_epoch + 1) * per_epoch)

    def evaluate(self, rows: Rows) -> None:
        """Loss and score of all nets on these rows, into ``trained.loss`` and ``.scores``."""
        n = len(rows.X)
        tasks = []
        with _told(self.monitor):
            for trained in self.trained:
                block = trained.block
                structure, L = block.structure, block.width.lanes
                tile, stride = tile_rows(n, sum(structure.widths[1:]), L * self.dtype.itemsize)
                task = block.task._replace(rows=n, batch=n, tile=tile, stride=stride)
                counts = structure.widths[-1] if self.target.kind == "numbers" else 1
                trained.loss = aligned((block.groups, 1, L), self.dtype)
                trained.scores = aligned((block.groups, counts, L), self.dtype)
                tasks.append(task)
                self._evaluate_groups(trained, task, rows, 0, 0)

        def call(piece: Piece) -> None:
            self._evaluate_groups(
                self.trained[piece.block], tasks[piece.block], rows, piece.first, piece.last
            )

        whole = [Piece(k, 0, block.groups) for k, block in enumerate(self.plan.blocks)]
        seconds = sum(
            block.seconds_of_epoch() * block.groups * n / block.task.rows
            for block in self.plan.blocks
        )
        if seconds < _WORTH_THREADS:
            for piece in whole:
                call(piece)
            return
        if self.interrupted and seconds > 2 * _LAUNCH:  # who pressed Ctrl-C is waiting
            for trained in self.trained:
                trained.loss, trained.scores = None, None
            return
        parts = 4 * self.threads
        work = [
            Piece(p.block, first, min(first + step, p.last))
            for p in whole
            for step in [max(1, p.last // parts)]
            for first in range(0, p.last, step)
        ]
        self._run(work, call, seconds)

    def _evaluate_groups(
        self, trained: Trained, task: Task, rows: Rows, first: int, last: int
    ) -> None:
        block = trained.block
        L, structure = block.width.lanes, block.structure
        units, stride = sum(structure.widths[1:]), task.stride
        score = RESIDUALS
        if self.target.kind != "numbers":
            largest = structure.widths[-1] > 1 and (
                self.target.kind == "labels" or structure.output == "softmax"
            )
            score = LARGEST if largest else SIDES
        work = forward_workspace(units * stride, L, self.dtype)
        sums = aligned((PARTIALS * (trained.scores.shape[1] + 1), L), self.dtype)  # type: ignore[union-attr]
        cpu.evaluate(
            LaneGroup(self.dtype, L, block.width.tile), task, block.layers, score,
            rows.X.ravel(), self.targets(structure, rows), trained.state.params,
            work, sums, trained.loss, trained.scores, first, last,
        )  # fmt: skip
