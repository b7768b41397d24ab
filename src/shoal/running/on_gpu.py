"""Blocks are trained on a GPU: shards of them in its memory, slice by slice of 0.15 s.

A shard is groups of a block, with a workspace for each. Its arrays are copied there once, those
that say which nets are done come back after each slice, all others at the end. Between slices
Python does what it does between launches on the processor.
"""

import logging
import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..gpu.device import Device
from ..gpu.errors import FailedOnGpu, GpuError, OutOfMemory
from ..kernels import layout
from ..kernels.code.telling import tell
from ..kernels.lane_group import LaneGroup
from ..kernels.launching import kernels, parallel
from ..kernels.launching.entries import Slice
from ..kernels.launching.slices import NOT_TAKEN
from ..kernels.launching.threads_of_gpu import TILE, Code, Memory, Words
from ..kernels.launching.words import DONE
from ..kernels.layout import GIVEN_ORDERS, IN_PLACE, RUN, SHARED_ORDER
from ..planning.plan import Block, Piece, Plan
from .dataset import Dataset
from .progress import Monitor
from .scheduler import Active, Scheduler
from .state import Trained
from .workspaces import training_workspace

log = logging.getLogger("shoal")

_LAUNCH: Final = 0.15  # seconds
_PLENTY: Final = 1e18  # seconds: a piece is all groups of a block
_OF_FREE_MEMORY: Final = 0.85  # that shards may take
_MOST_ORDERS: Final = 16 * 2**20  # bytes of row orders that are handed over at a time
_ZERO: Final = ("work.sums", "work.partials", "work.words")  # at first; others are anything
_READ_ALONE: Final = ("dropout", "schedule", "seeds", "order_seeds")


class Shard:
    """Groups of a block in a GPU's memory.

    Parameters
    ----------
    device : Device
    trained : Trained
    first, last : int
        The groups.
    arguments : TrainingOnGpu
    shared : mapping
        Arrays of all shards, such as "data.training.X", which are there already.
    threads : int
        Of the processor, that make row orders.
    """

    def __init__(
        self,
        device: Device,
        trained: Trained,
        first: int,
        last: int,
        arguments: Any,
        shared: Mapping[str, Memory],
        threads: int,
    ) -> None:
        self.device, self.trained, self.first, self.last = device, trained, first, last
        self.threads = threads
        block = trained.block
        self.orders = given_orders(block)
        self.arguments = arguments
        shapes = workspace_shapes(block, last - first)
        arrays = dict(shared)
        for name, array in trained.state._asdict().items():
            arrays[f"nets.{name}"] = device.to_device(array[first:last])
        for path, (shape, dtype) in shapes.items():
            if path in _ZERO:
                arrays[path] = device.to_device(np.zeros(shape, dtype))
            else:
                arrays[path] = device.empty(shape, dtype)
        self.words = Words(self.arguments, arrays)
        self.function = device.prepare(Code.of(block.dtype, self.words))
        self.stream = device.new_stream()

    def launch(self, tile: int, stop: int) -> None:
        """Queue a slice."""
        if self.orders:
            self._hand_over_orders(tile, stop)
        self.words.set_slice(0, self.last - self.first, tile, stop)
        arguments = self.arguments._replace(slice=Slice(0, self.last - self.first, tile, stop))
        self.device.launch(self.function, self.words, arguments, self.stream)

    def _hand_over_orders(self, tile: int, stop: int) -> None:
        """The row orders of a slice's epochs: one for all nets of the block."""
        block, per_epoch = self.trained.block, self.trained.block.task.epoch_tiles
        orders = np.zeros((self.orders, block.task.rows), np.int32)
        works = [
            kernels.Orders(
                Slice(0, 0), self.trained.state.order_seeds[0, :1], orders,
                np.zeros(4 * RUN, np.uint32),
            )
            for _ in range(self.threads)
        ]  # fmt: skip
        call = kernels.ROW_ORDERS.bind(LaneGroup(np.float64, 1), works)
        epochs = range(tile // per_epoch, -(-stop // per_epoch))
        threads = self.threads if len(epochs) * block.task.rows > 100_000 else 1
        parallel.launch_all([call], [(0, e, e + 1, 0, 0) for e in epochs], threads)
        self.words.replace("work.order", self.device.to_device(orders[np.newaxis]))

    def finish(self) -> None:
        """Wait for the slice; then the host knows which nets run."""
        self.device.synchronize(self.stream)
        self._fetch("alive")

    def _fetch(self, name: str) -> None:
        array = getattr(self.trained.state, name)[self.first : self.last]
        if array.size:
            self.device.to_host(self.words.arrays[f"nets.{name}"], array)

    def fetch_all(self) -> None:
        """Copy back all that training writes."""
        for name in self.trained.state._fields:
            if name not in _READ_ALONE:
                self._fetch(name)

    def snapshot(self) -> NDArray[Any]:
        """Parameters and optimizer state at the last whole epoch, (groups, numbers, L)."""
        memory = self.words.arrays["work.snapshot"]
        array = np.empty(memory.shape, self.trained.block.dtype)
        self.device.to_host(memory, array)
        return array


def given_orders(block: Block) -> int:
    """How many row orders are handed over at a time; 0 where each net has its own, or none."""
    if block.ordering != SHARED_ORDER:
        return 0
    return max(1, min(1024, _MOST_ORDERS // (4 * block.task.rows)))


def arguments_on_gpu(block: Block, data: Any, state: Any) -> Any:
    """The numbers of a launch; of its arrays those that stand anywhere."""
    ordering = block.ordering
    if ordering != IN_PLACE:  # a thread shares its order with nobody, or has those that are given
        ordering = GIVEN_ORDERS if given_orders(block) else SHARED_ORDER
    work = training_workspace(_with_tile(block), block.dtype)
    return kernels.TrainingOnGpu(
        Slice(0, 0), block.task, ordering, 0, block.layers.table, data, state, work
    )


def _with_tile(block: Block) -> Block:
    return replace(block, width=block.width._replace(tile=TILE))


def workspace_shapes(block: Block, groups: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """(shape, dtype) of the arrays of so many groups' workspaces, by their paths."""
    work = training_workspace(_with_tile(block), block.dtype)
    L, n = block.width.lanes, block.task.rows
    arrays = {f"work.{name}": array for name, array in work._asdict().items() if name != "own"}
    arrays |= {f"work.own.{name}": array for name, array in work.own._asdict().items()}
    shapes = {
        path: ((groups, *([0] * array.ndim if ".own." in path else array.shape)), array.dtype)
        for path, array in arrays.items()
    }
    own = groups * L if block.ordering != IN_PLACE and not given_orders(block) else 1
    shapes["work.order"] = (own, given_orders(block) or 1, n), np.dtype(np.int32)
    shapes["work.words"] = (own, 4 * RUN), np.dtype(np.uint32)
    if block.ordering == IN_PLACE:
        shapes["work.order"] = (1, 1, 0), np.dtype(np.int32)
    return shapes


def bytes_of(trained: Trained, groups: int) -> int:
    """Of a shard of so many groups."""
    shapes = workspace_shapes(trained.block, groups).values()
    scratch = sum(math.prod(shape) * dtype.itemsize for shape, dtype in shapes)
    return scratch + sum(array[:1].nbytes for array in trained.state) * groups


class GpuCalls:
    """What is in the GPU's memory.

    Parameters
    ----------
    device : Device
    trained : sequence of Trained
    dataset : Dataset
    threads : int
        Of the processor.
    """

    def __init__(
        self, device: Device, trained: Sequence[Trained], dataset: Dataset, threads: int
    ) -> None:
        self.device, self.trained, self.dataset, self.threads = device, trained, dataset, threads
        self.shards: dict[Piece, Shard] = {}
        self.has_run = False
        self._copied: dict[int, tuple[Any, Memory]] = {}

    def _copy(self, array: NDArray[Any]) -> Memory:
        """Where an array is, which is copied once."""
        if id(array) not in self._copied:
            self._copied[id(array)] = array, self.device.to_device(array)
        return self._copied[id(array)][1]

    def _shared(self, block: Block, data: Any) -> dict[str, Memory]:
        arrays = {
            "layers": block.layers.table,
            "data.variation": data.variation,
            "data.orders": data.orders,
        }
        for name in ("training", "validation"):
            for field, array in getattr(data, name)._asdict().items():
                arrays[f"data.{name}.{field}"] = array
        return {path: self._copy(array) for path, array in arrays.items()}

    def begin(self, piece: Piece) -> None:
        """Copy a piece to the GPU, if it is not there; OutOfMemory where it does not fit."""
        if piece in self.shards:
            return
        trained, groups = self.trained[piece.block], piece.last - piece.first
        data = self.dataset.training_data(trained.block.architecture)
        shared = self._shared(trained.block, data)
        needed, free = bytes_of(trained, groups), self.device.free_memory()
        if needed > _OF_FREE_MEMORY * free:
            raise OutOfMemory(
                f"a GPU with {free / 1e9:.3g} GB of free memory ({self.device.name}) is too small: "
                f"{groups * trained.block.width.lanes} nets of this shape take {needed / 1e9:.3g}"
            )
        self.shards[piece] = Shard(
            self.device, trained, piece.first, piece.last,
            arguments_on_gpu(trained.block, data, trained.state), shared, self.threads,
        )  # fmt: skip

    def run(self, slices: Sequence[tuple[Piece, int, int]]) -> NDArray[np.int64]:
        """Run slices of pieces side by side, and wait for them: as `parallel.launch` does."""
        outcome = np.full((len(slices), 2), NOT_TAKEN, np.int64)
        begin = time.perf_counter_ns()
        for piece, tile, stop in slices:
            self.shards[piece].launch(tile, stop)
        for k, (piece, _, _) in enumerate(slices):
            self.shards[piece].finish()
            outcome[k] = DONE, time.perf_counter_ns() - begin
            self.has_run = True
        return outcome

    def end(self, piece: Piece) -> Shard:
        """Copy a piece back; its memory is free once nobody has what is returned."""
        shard = self.shards.pop(piece)
        shard.fetch_all()
        return shard

    def following(self) -> AbstractContextManager[None]:
        """Nobody follows."""
        return nullcontext()

    def release(self, number: int) -> None:
        """Of a block that is done nothing is kept."""


class GpuScheduler(Scheduler):
    """One training of all blocks on a GPU."""

    def __init__(
        self,
        plan: Plan,
        trained: Sequence[Trained],
        calls: GpuCalls,
        monitor: Monitor,
        checkpoints: Sequence[int],
        checkpoint: Any,
        verbose: bool = False,
    ) -> None:
        super().__init__(plan, trained, calls, 1, monitor, checkpoints, checkpoint)  # type: ignore[arg-type]
        self.on_gpu, self.verbose = calls, verbose

    def run(self) -> None:
        """Train all nets. Where a GPU fails after the first slice, FailedOnGpu: what was finished
        is on the host."""
        try:
            super().run()
        except GpuError as error:
            if self.on_gpu.has_run:
                raise FailedOnGpu(str(error)) from error
            raise

    def _phase(self, number: int, epoch: int, target: float) -> list[tuple[float, Piece]]:
        return super()._phase(number, epoch, _PLENTY)

    def _stop_of(self, active: Active, seconds: float) -> int:
        stop, block = super()._stop_of(active, seconds), active.trained.block
        if orders := given_orders(block):
            per_epoch = block.task.epoch_tiles
            stop = min(stop, (active.tile // per_epoch + orders) * per_epoch)
        return stop

    def _launch(self) -> None:
        there: list[Active] = []
        waiting: list[Active] = []
        candidates = self._active
        while candidates:
            active, *candidates = candidates
            try:
                with self.monitor.reporting_compilation():
                    self.on_gpu.begin(active.piece)
                there.append(active)
            except OutOfMemory:
                if there or self.on_gpu.shards:
                    waiting.append(active)
                elif active.groups > 1:
                    candidates = [*self._halves(active), *candidates]
                else:
                    raise
        self._active = [*there, *waiting]
        stops = [self._stop_of(active, _LAUNCH) for active in there]
        slices = [
            (active.piece, active.tile, stop) for active, stop in zip(there, stops, strict=True)
        ]
        self._advance(stops, self.on_gpu.run(slices))
        self._report()

    def _halves(self, active: Active) -> list[Active]:
        """A piece that is too large for the memory as two."""
        piece = active.piece
        middle = (piece.first + piece.last) // 2
        parts = piece._replace(last=middle), piece._replace(first=middle)
        self._pieces_left[piece.block] += 1
        text = f"{self.on_gpu.device.name}: memory for {active.groups} groups is not free, halving"
        log.info(text)
        if self.verbose:
            tell(text, sys.stdout)
        return [replace(active, piece=part) for part in parts]

    def _end(self, active: Active) -> list[Active]:
        self.on_gpu.end(active.piece)
        return super()._end(active)

    def _interrupt(self, active: Active) -> None:
        if active.piece not in self.on_gpu.shards:
            return
        try:
            shard = self.on_gpu.end(active.piece)
            block, state = active.trained.block, active.trained.state
            per_epoch, here = block.task.epoch_tiles, slice(active.piece.first, active.piece.last)
            if active.tile % per_epoch:
                snapshot, size = shard.snapshot(), block.layers.size
                alive = state.alive[here] == 1
                for array, part in (
                    (state.params, snapshot[:, :size]),
                    (state.optimizer_state, snapshot[:, size:]),
                ):
                    array[here] = np.where(alive, part, array[here])
                record = -(-(active.tile // per_epoch) // block.architecture.every)
                running = state.progress[here, layout.STATUS] == layout.RUNNING
                for records in (state.losses, state.learning_rates):
                    later = records[here, record:]
                    later[...] = np.where(running[:, np.newaxis], np.nan, later)
        except GpuError as error:  # what the host had stays: it is of a whole epoch
            log.warning("%s", error)
