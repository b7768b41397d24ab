"""Nets that share a shape become blocks, blocks groups of lanes, and these pieces of work.

A plan says where each net of a sweep stands and what each launch does. It decides nothing about
bits: those depend on a net's settings, its seed and the data alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..inputs.grid import Grid
from ..inputs.targets import Target
from ..kernels import codes, layout
from ..kernels.arguments import Task
from ..kernels.layout import IN_PLACE, OWN_ORDER, SHARED_ORDER
from . import cost_model
from .architecture import (
    ACTIVATION_CODES,
    LOSS_CODES,
    SHOAL,
    STRUCTURAL,
    Architecture,
    Layers,
    Rules,
    every_of,
    positions,
)
from .cost_model import LaneWidth

_MOST_LOADED = 8 * 2**20  # bytes of rows that stay where they were loaded
_PANELS = 32  # inputs from which on panels of units are faster: with 16 inputs they were not


def records(epochs: int, every: int, first: int = 0) -> NDArray[np.int64]:
    """The recorded ones of the epochs from ``first``: every so many, and the last."""
    recorded = np.arange(-(-first // every) * every, epochs, every, dtype=np.int64)
    if epochs > first and (not len(recorded) or recorded[-1] != epochs - 1):
        recorded = np.append(recorded, epochs - 1)
    return recorded


@dataclass(frozen=True, eq=False)
class Block:
    """Groups of nets of one architecture whose rows are ordered in one way.

    Attributes
    ----------
    nets : (groups, L) array
        The net in each lane; lanes left over at the end repeat the last net.
    count : int
        Number of nets.
    ordering : int
        IN_PLACE, SHARED_ORDER (the nets of a group share each epoch's row order) or OWN_ORDER.
    epochs : (groups, L) array
        The epochs each net is to be trained for.
    first_epoch : int
        Where training starts: 0, unless it goes on.
    """

    architecture: Architecture
    layers: Layers
    task: Task
    width: LaneWidth
    ordering: int
    nets: NDArray[np.int64]
    count: int
    epochs: NDArray[np.int64]
    first_epoch: int
    dtype: Any
    chosen: cost_model.Choice
    on_gpu: bool = False

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.nets)

    @cached_property
    def last_epoch(self) -> int:
        """The most epochs of any net."""
        return int(self.epochs.max())

    @property
    def may_shrink(self) -> bool:
        """Whether nets may be done at different epochs."""
        return self.architecture.monitored or int(self.epochs.min()) < self.last_epoch

    @property
    def state_size(self) -> int:
        """Numbers of optimizer state that a net keeps."""
        optimizer = self.architecture.optimizer
        return (
            codes.STATE_PER_PARAMETER[optimizer] * self.task.parameters
            + codes.STATE_PER_NET[optimizer]
        )

    @property
    def records(self) -> int:
        """How many records: as many as the net of the most epochs has."""
        return -(-self.last_epoch // self.architecture.every) + 1 if self.last_epoch else 0

    @property
    def most_threads(self) -> int:
        """How many threads may share a net."""
        task = self.task
        if not cost_model.worth_a_team(self.architecture, self.width.rows_in_lanes, task.batch):
            return 1
        if task.longest_batch > layout.ACCUMULATION_BLOCK:
            return -(-task.longest_batch // layout.ACCUMULATION_BLOCK)
        return max(1, max(self.architecture.widths[1:]) // 4)

    @property
    def slots(self) -> int:
        """Slots for tiles of rows in lanes: one each, where every batch is of the same blocks
        and they are not too large, as they then stay where they were loaded."""
        task, L = self.task, self.width.rows
        if task.batch < task.rows or self.ordering != IN_PLACE or task.drops_inputs:
            return 1
        if task.panels:
            return 1
        blocks = -(-task.batch // task.tile)
        inputs, outputs = (-(-count // L) * L for count in (task.inputs, task.outputs))
        numbers = blocks * (2 * inputs + outputs + 1) * task.stride * L
        return blocks if numbers * self.dtype.itemsize <= _MOST_LOADED else 1

    @cached_property
    def seconds_of_epoch(self) -> float:
        """Rough time of one group and epoch; launches measure their own."""
        architecture, task, lanes = self.architecture, self.task, self.width.lanes
        full, last = divmod(task.rows, task.batch)

        def step(rows: int) -> float:
            rows_in_lanes, dtype = self.width.rows_in_lanes, self.dtype
            return cost_model.seconds_of_step(architecture, rows_in_lanes, rows, dtype, lanes)

        seconds = full * step(task.batch) + (step(last) if last else 0)
        if architecture.monitored or architecture.every == 1:
            seconds += step(task.validation_rows) / 3 if task.validation_rows else 0
        return lanes * seconds

    @property
    def seconds_saved(self) -> float:
        """Rough time that a training takes less where the nets' shape is known to the compiler."""
        steps = -(-self.task.rows // self.task.batch)
        of_step = cost_model.seconds_saved(self.architecture, self.seconds_of_epoch / steps)
        return self.groups * (self.last_epoch - self.first_epoch) * steps * of_step

    def describe(self, threads: int) -> str:
        """What was chosen for these nets, and why."""
        architecture, width, choice = self.architecture, self.width, self.chosen
        shape = "-".join(map(str, architecture.widths))
        nets = "1 net" if self.count == 1 else f"{self.count:,} nets"
        if width.rows_in_lanes:
            how = f"one by one, {width.rows} rows in the lanes"
            if self.task.panels:
                how += ", in the first layer units"
            if self.count == 1 and threads > 1 and self.most_threads > 1:
                how += f", shared by {min(threads, self.most_threads)} threads"
            other = "lanes are nets"
        else:
            groups = "1 group" if self.groups == 1 else f"{self.groups:,} groups"
            how = f"{groups} of {width.lanes} nets, one in each lane"
            other = "one by one"
        if self.on_gpu:
            return (
                f"{nets} {shape}, batches of {self.task.batch}: one a thread of the GPU, "
                f"{self.task.tile} rows at a time"
            )
        first, second = width.tile
        return (
            f"{nets} {shape}, batches of {self.task.batch}: {how}, tiles of {first} units x "
            f"{second}, {self.task.tile} rows at a time; estimated {choice.seconds * 1e6:,.3g} us "
            f"a step of all ({other}: {choice.other * 1e6:,.3g} us)"
        )


@dataclass(frozen=True, eq=False)
class Plan:
    """Where the nets of a sweep stand.

    Attributes
    ----------
    block_of, offset_of : (N,) arrays
        A net's block, and its offset in it: group * L + lane. Repacking changes offsets.
    """

    blocks: list[Block]
    block_of: NDArray[np.int32]
    offset_of: NDArray[np.int64]


class Piece(NamedTuple):
    """Work of one thread: groups of a block, from one epoch to another."""

    block: int
    first: int
    last: int
    epoch: int
    until: int


def order_seeds(grid: Grid) -> NDArray[np.uint64]:
    """Each net's seed of its row order: shuffle_seed, or seed where that is None."""
    seeds = grid.column("seed").astype(np.uint64)
    given = grid.candidates["shuffle_seed"]
    if len(given) == 1 and given[0] is None:
        return seeds
    values = np.array([0 if value is None else value for value in given], np.uint64)
    missing = np.array([value is None for value in given])
    index = grid.index.get("shuffle_seed", np.zeros(1, np.int32))
    return np.where(missing[index], seeds, values[index])


def _arrange(
    nets: NDArray[np.int64],
    orders: NDArray[np.uint64],
    epochs: NDArray[np.int64],
    shuffled: bool,
    lanes: int,
    on_gpu: bool,
) -> list[tuple[int, NDArray[np.int64]]]:
    """(ordering, nets) of the blocks of one architecture.

    Whole groups of nets that share a row order read each row once for all; what is left over reads
    its own rows. Nets of many epochs stand before those of few, so that groups end together.
    """
    if len(nets) == 1:
        return [(SHARED_ORDER if shuffled else IN_PLACE, nets)]
    if not shuffled:
        return [(IN_PLACE, nets[np.argsort(-epochs, kind="stable")])]
    by_order = np.lexsort((-epochs, orders))
    nets, orders, epochs = nets[by_order], orders[by_order], epochs[by_order]
    _, starts, counts = np.unique(orders, return_index=True, return_counts=True)
    if len(starts) == 1:
        return [(SHARED_ORDER, nets)]
    if on_gpu:  # threads of a group share nothing that one of them would have to make
        return [(OWN_ORDER, nets[np.argsort(-epochs, kind="stable")])]
    rank = np.arange(len(nets)) - np.repeat(starts, counts)
    whole = rank < np.repeat(counts // lanes * lanes, counts)
    arranged = [(SHARED_ORDER, nets[whole])] if whole.any() else []
    left, orders, epochs = nets[~whole], orders[~whole], epochs[~whole]
    if len(left):
        left = left[np.argsort(-epochs, kind="stable")]
        one_order = len(np.unique(orders)) == 1
        arranged.append((SHARED_ORDER if one_order else OWN_ORDER, left))
    return arranged


def _in_panels(architecture: Architecture, rows: int, width: LaneWidth, dtype: Any) -> bool:
    """Whether the weights of the first layer are packed in panels of units, as it then reads rows
    where the data has them: not of rows that stay where they were loaded."""
    inputs, units = architecture.widths[:2]
    stay = architecture.batch == rows and 2 * rows * inputs * dtype.itemsize <= _MOST_LOADED
    able = width.rows_in_lanes and units % width.rows == 0 and not architecture.clips_norm
    able = able and not architecture.rules.whole_losses  # which sum squares in their order
    return able and not architecture.drops_inputs and not stay and inputs >= _PANELS


def _task(
    architecture: Architecture, layers: Layers, score: int, rows: Sequence[int], weighted: bool,
    width: LaneWidth, dtype: Any, on_gpu: bool,
) -> Task:  # fmt: skip
    """Numbers for the kernels. rows : of the training, of the validation."""
    batch = architecture.longest_batch(rows[0])
    tile = batch
    if not architecture.batch_norm:  # which needs a whole batch at each layer
        tile, _ = cost_model.tile_of(architecture, width, batch, dtype)
        if on_gpu:
            tile = min(tile, cost_model.TILE_ON_GPU)
    least = tile if not width.rows_in_lanes else 0
    looked_at = layout.ACCUMULATION_BLOCK if width.rows_in_lanes else cost_model.SMALLEST_TILE
    looked_at = tile if on_gpu else looked_at
    validation_tile = min(
        rows[1],
        max(least, cost_model.tile_of(architecture, width, looked_at, dtype, trains=False)[0]),
    )
    full, last = divmod(rows[0] - (batch - architecture.batch), architecture.batch)
    batch_tiles = -(-batch // tile)
    training_tiles = full * batch_tiles + -(-last // tile)
    # where lanes are rows, batch norm runs along the parameters of a net, which are in one lane
    fused = batch <= min(tile, layout.ACCUMULATION_BLOCK) and not (
        architecture.clips_norm or (width.rows_in_lanes and architecture.batch_norm)
    )
    stride = cost_model.row_stride(-(-max(tile, validation_tile) // (width.rows or 1)))
    return Task(
        rows=rows[0],
        inputs=architecture.widths[0],
        outputs=architecture.widths[-1],
        parameters=layers.parameters,
        batch=architecture.batch,
        longest_batch=batch,
        tile=tile,
        stride=stride,
        record_every=architecture.every,
        validation_rows=rows[1],
        validation_tile=validation_tile,
        batch_tiles=batch_tiles,
        training_tiles=training_tiles,
        epoch_tiles=training_tiles + -(-rows[1] // max(1, validation_tile)),
        output=ACTIVATION_CODES[architecture.output],
        loss=LOSS_CODES[architecture.loss],
        optimizer=architecture.optimizer,
        score=score,
        counts=architecture.widths[-1] if score == codes.RESIDUALS else 1,
        mean=int(architecture.mean),
        fused=int(fused),
        weighted=int(weighted or architecture.class_weight is not None),
        penalised=int(architecture.penalised),
        decays=int(architecture.decays),
        clips_deltas=int(architecture.clips_deltas),
        clips_norm=int(architecture.clips_norm),
        batch_norm=int(architecture.batch_norm),
        drops=int(architecture.drops),
        drops_inputs=int(architecture.drops_inputs),
        scheduled=int(architecture.scheduled),
        panels=int(_in_panels(architecture, rows[0], width, dtype)),
        monitored=int(architecture.monitored),
        watched=architecture.rules.watched,
        ties_improve=int(architecture.rules.ties_improve),
        penalty_by_batch=int(architecture.rules.penalty_by_batch),
        epsilon_first=int(architecture.rules.epsilon_first),
        whole_losses=int(architecture.rules.whole_losses),
        loads_rows=0,  # of a block
    )


def score_code(target: Target, architecture: Architecture) -> int:
    """What the score of nets of this architecture counts."""
    if target.kind == "numbers":
        return codes.RESIDUALS
    largest = architecture.widths[-1] > 1 and (
        target.kind == "labels" or architecture.output == "softmax"
    )
    return codes.LARGEST if largest else codes.SIDES


class Machine(NamedTuple):
    """What trains nets.

    Attributes
    ----------
    register_bytes : int
        Of a vector register of the processor.
    threads : int
        Of the processor.
    on_gpu : bool
        Whether it is a GPU that does, with a thread for each net.
    """

    register_bytes: int
    threads: int
    on_gpu: bool = False


def make_plan(
    grid: Grid,
    orders: NDArray[np.uint64],
    target: Target,
    rows: tuple[int, int],
    inputs: int,
    dtype: Any,
    machine: Machine,
    weighted: bool = False,
    first_epoch: int = 0,
    rules: Rules = SHOAL,
) -> Plan:
    """Blocks of all nets of a grid.

    Parameters
    ----------
    orders : (N,) array
        Seeds of the row orders, or numbers of those that are given.
    rows : (int, int)
        To train on, and to validate on.
    machine : Machine
    weighted : bool
        Whether rows have sample weights.
    first_epoch : int
        Epochs that the nets are trained for already; theirs come on top.
    rules : Rules
    """
    register_bytes, threads, on_gpu = machine
    every = grid.candidates["record_every"][0]
    cases = {**STRUCTURAL, "epochs": lambda epochs: every_of(epochs, every)}
    first, group = (grid if len(grid) == 1 else grid.coarser(cases)).groups(cases)
    of_groups = [
        Architecture.of(grid.settings(int(i)), target, rows[0], inputs, rules) for i in first
    ]
    distinct = {architecture: k for k, architecture in enumerate(dict.fromkeys(of_groups))}
    architecture_of = np.array([distinct[each] for each in of_groups], np.int64)[group]
    epochs = grid.column("epochs") + first_epoch
    by_architecture = np.argsort(architecture_of, kind="stable")
    ends = np.cumsum(np.bincount(architecture_of, minlength=len(distinct)))
    plan = Plan([], np.zeros(len(grid), np.int32), np.zeros(len(grid), np.int64))
    for architecture, k in distinct.items():
        nets = by_architecture[ends[k - 1] if k else 0 : ends[k]]
        layers = positions(architecture)
        width = cost_model.lane_width(dtype, register_bytes)
        chosen = cost_model.choose(
            architecture, len(nets), rows[0], dtype, threads, width.lanes, len(distinct) == 1
        )
        if on_gpu:
            chosen = cost_model.Choice(False, chosen.seconds, chosen.other)
        elif chosen.rows_in_lanes:
            small = cost_model.is_small(architecture, rows[0], dtype, register_bytes)
            width = cost_model.row_width(dtype, register_bytes, small)
        score = score_code(target, architecture)
        task = _task(architecture, layers, score, rows, weighted, width, dtype, on_gpu)
        for ordering, members in _arrange(
            nets, orders[nets], epochs[nets], architecture.shuffle, width.lanes, on_gpu
        ):
            plan.block_of[members] = len(plan.blocks)
            plan.offset_of[members] = np.arange(len(members))
            padding = np.repeat(members[-1:], -len(members) % width.lanes)
            lanes = np.append(members, padding).reshape(-1, width.lanes)
            loads_rows = architecture.drops_inputs or ordering == OWN_ORDER
            if on_gpu and ordering != IN_PLACE:  # each thread to where it reads them fast
                loads_rows = True
            plan.blocks.append(
                Block(
                    architecture,
                    layers,
                    task._replace(loads_rows=int(loads_rows)),
                    width,
                    ordering,
                    lanes,
                    len(members),
                    epochs[lanes],
                    first_epoch,
                    dtype,
                    chosen,
                    on_gpu,
                )  # fmt: skip
            )
    return plan


def cut(
    number: int, block: Block, ends: NDArray[np.int64], epoch: int, until: int, seconds: float
) -> list[tuple[float, Piece]]:
    """Pieces of one block, each with its cost: about ``seconds`` long.

    ends : (groups,) int array
        The last epoch of each group that is to be trained; groups behind them are done.
    """
    cost, pieces, first = block.seconds_of_epoch, [], 0
    costs = cost * (np.minimum(ends, until) - epoch)
    while first < len(ends):
        count = max(1, int(seconds / max(costs[first], 1e-12)))
        last = min(first + count, len(ends))
        pieces.append((float(costs[first:last].sum()), Piece(number, first, last, epoch, until)))
        first = last
    return pieces
