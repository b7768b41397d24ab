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

from . import choice
from .choice import LaneWidth
from .data import Target
from .grid import Grid
from .kernels import layout, losses, optimizers
from .kernels.layout import IN_PLACE, OWN_ORDER, SHARED_ORDER, Task
from .structure import (
    ACTIVATION_CODES,
    LOSS_CODES,
    STRUCTURAL,
    Layers,
    Structure,
    every_of,
    positions,
)

_MOST_STANDING = 8 * 2**20  # bytes of rows that stay where they were brought
_PANELS = 32  # inputs from which on panels of units are faster: with 16 inputs they were not


def records(epochs: int, every: int, first: int = 0) -> NDArray[np.int64]:
    """The recorded ones of the epochs from ``first``: every so many, and the last."""
    recorded = np.arange(-(-first // every) * every, epochs, every, dtype=np.int64)
    if epochs > first and (not len(recorded) or recorded[-1] != epochs - 1):
        recorded = np.append(recorded, epochs - 1)
    return recorded


@dataclass(frozen=True, eq=False)
class Block:
    """Groups of nets of one structure whose rows are ordered in one way.

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

    structure: Structure
    layers: Layers
    task: Task
    width: LaneWidth
    ordering: int
    nets: NDArray[np.int64]
    count: int
    epochs: NDArray[np.int64]
    first_epoch: int
    dtype: Any
    chosen: choice.Choice

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
        return self.structure.keeps_best or int(self.epochs.min()) < self.last_epoch

    @property
    def state_rows(self) -> int:
        """Numbers of optimizer state that a net keeps."""
        optimizer = self.structure.optimizer
        return (
            optimizers.MOMENTS[optimizer] * self.task.parameters + optimizers.NET_STATE[optimizer]
        )

    @property
    def records(self) -> int:
        """Places for records: as many as the net of the most epochs has."""
        return -(-self.last_epoch // self.structure.every) + 1 if self.last_epoch else 0

    @property
    def most_threads(self) -> int:
        """How many threads may share a net."""
        task = self.task
        if not choice.worth_a_team(self.structure, self.width.dense, task.batch):
            return 1
        if task.batch > layout.CHUNK:
            return -(-task.batch // layout.CHUNK)
        return max(1, max(self.structure.widths[1:]) // 4)

    @property
    def places(self) -> int:
        """Places for tiles of the dense engine: one each, where every batch is of the same chunks
        and they are not too large, as they then stay where they were brought."""
        task, L = self.task, self.width.rows
        if task.batch < task.rows or self.ordering != IN_PLACE or task.drops_inputs:
            return 1
        if task.panels:
            return 1
        chunks = -(-task.batch // task.tile)
        inputs, outputs = (-(-count // L) * L for count in (task.inputs, task.outputs))
        numbers = chunks * (2 * inputs + outputs + 1) * task.stride * L
        return chunks if numbers * self.dtype.itemsize <= _MOST_STANDING else 1

    @property
    def tiles_of_epoch(self) -> int:
        """Tiles of one epoch, those of the validation rows included."""
        task = self.task
        full, last = divmod(task.rows, task.batch)
        tiles = full * -(-task.batch // task.tile) + -(-last // task.tile)
        return tiles + -(-task.validation_rows // max(1, task.validation_tile))

    @cached_property
    def seconds_of_epoch(self) -> float:
        """Rough time of one group and epoch; launches measure their own."""
        structure, task, lanes = self.structure, self.task, self.width.lanes
        full, last = divmod(task.rows, task.batch)

        def step(rows: int) -> float:
            dense, dtype = self.width.dense, self.dtype
            return choice.seconds_of_step(structure, dense, rows, dtype, lanes)

        seconds = full * step(task.batch) + (step(last) if last else 0)
        if structure.watched or structure.every == 1:
            seconds += step(task.validation_rows) / 3 if task.validation_rows else 0
        return lanes * seconds

    def describe(self, threads: int) -> str:
        """What was chosen for these nets, and why."""
        structure, width, told = self.structure, self.width, self.chosen
        shape = "-".join(map(str, structure.widths))
        nets = "1 net" if self.count == 1 else f"{self.count:,} nets"
        if width.dense:
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
        first, second = width.tile
        return (
            f"{nets} {shape}, batches of {self.task.batch}: {how}, tiles of {first} units x "
            f"{second}, {self.task.tile} rows at a time; estimated {told.seconds * 1e6:,.3g} us a "
            f"step of all ({other}: {told.other * 1e6:,.3g} us)"
        )


@dataclass(frozen=True, eq=False)
class Plan:
    """Where the nets of a sweep stand.

    Attributes
    ----------
    block_of, place_of : (N,) arrays
        A net's block, and its place in it: group * L + lane. Places change when nets are repacked.
    """

    blocks: list[Block]
    block_of: NDArray[np.int32]
    place_of: NDArray[np.int64]


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
) -> list[tuple[int, NDArray[np.int64]]]:
    """(ordering, nets) of the blocks of one structure.

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
    rank = np.arange(len(nets)) - np.repeat(starts, counts)
    whole = rank < np.repeat(counts // lanes * lanes, counts)
    arranged = [(SHARED_ORDER, nets[whole])] if whole.any() else []
    left, orders, epochs = nets[~whole], orders[~whole], epochs[~whole]
    if len(left):
        left = left[np.argsort(-epochs, kind="stable")]
        one_order = len(np.unique(orders)) == 1
        arranged.append((SHARED_ORDER if one_order else OWN_ORDER, left))
    return arranged


def _in_panels(structure: Structure, rows: int, width: LaneWidth, dtype: Any) -> bool:
    """Whether the weights of the first layer stand in panels of units, as it then reads rows where
    the data has them: not of rows that stay where they were brought."""
    inputs, units = structure.widths[:2]
    stay = structure.batch == rows and 2 * rows * inputs * dtype.itemsize <= _MOST_STANDING
    able = width.dense and units % width.rows == 0 and not structure.clips_norm
    return able and not structure.drops_inputs and not stay and inputs >= _PANELS


def _task(
    structure: Structure, layers: Layers, score: int, rows: Sequence[int], weighted: bool,
    width: LaneWidth, dtype: Any,
) -> Task:  # fmt: skip
    """Numbers for the kernels. rows : of the training, of the validation."""
    tile = structure.batch
    if not structure.batch_norm:  # which needs a whole batch at each layer
        tile, _ = choice.tile_of(structure, width, structure.batch, dtype)
    least = tile if not width.dense else 0
    looked_at = layout.CHUNK if width.dense else choice.SMALLEST_TILE
    validation_tile = min(
        rows[1], max(least, choice.tile_of(structure, width, looked_at, dtype, trains=False)[0])
    )
    stride = choice.row_stride(-(-max(tile, validation_tile) // (width.rows or 1)))
    return Task(
        rows=rows[0],
        inputs=structure.widths[0],
        outputs=structure.widths[-1],
        parameters=layers.parameters,
        batch=structure.batch,
        tile=tile,
        stride=stride,
        record_every=structure.every,
        validation_rows=rows[1],
        validation_tile=validation_tile,
        output=ACTIVATION_CODES[structure.output],
        loss=LOSS_CODES[structure.loss],
        optimizer=structure.optimizer,
        score=score,
        mean=int(structure.mean),
        weighted=int(weighted or structure.class_weight is not None),
        penalised=int(structure.penalised),
        decays=int(structure.decays),
        clips_deltas=int(structure.clips_deltas),
        clips_norm=int(structure.clips_norm),
        batch_norm=int(structure.batch_norm),
        drops=int(structure.drops),
        drops_inputs=int(structure.drops_inputs),
        scheduled=int(structure.scheduled),
        panels=int(_in_panels(structure, rows[0], width, dtype)),
        watched=int(structure.watched),
    )


def score_code(target: Target, structure: Structure) -> int:
    """What the score of nets of this structure counts."""
    if target.kind == "numbers":
        return losses.RESIDUALS
    largest = structure.widths[-1] > 1 and (
        target.kind == "labels" or structure.output == "softmax"
    )
    return losses.LARGEST if largest else losses.SIDES


def make_plan(
    grid: Grid,
    orders: NDArray[np.uint64],
    target: Target,
    rows: tuple[int, int],
    inputs: int,
    dtype: Any,
    register_bytes: int,
    threads: int,
    weighted: bool = False,
    first_epoch: int = 0,
) -> Plan:
    """Blocks of all nets of a grid.

    Parameters
    ----------
    orders : (N,) array
        Seeds of the row orders.
    rows : (int, int)
        To train on, and to validate on.
    threads : int
        That will train them.
    weighted : bool
        Whether rows have sample weights.
    first_epoch : int
        Epochs that the nets are trained for already; theirs come on top.
    """
    every = grid.candidates["record_every"][0]
    cases = {**STRUCTURAL, "epochs": lambda epochs: every_of(epochs, every)}
    first, group = (grid if len(grid) == 1 else grid.coarser(cases)).groups(cases)
    structures = [Structure.of(grid.settings(int(i)), target, rows[0], inputs) for i in first]
    distinct = {structure: k for k, structure in enumerate(dict.fromkeys(structures))}
    structure_of = np.array([distinct[structure] for structure in structures], np.int64)[group]
    epochs = grid.column("epochs") + first_epoch
    by_structure = np.argsort(structure_of, kind="stable")
    ends = np.cumsum(np.bincount(structure_of, minlength=len(distinct)))
    plan = Plan([], np.zeros(len(grid), np.int32), np.zeros(len(grid), np.int64))
    for structure, k in distinct.items():
        nets = by_structure[ends[k - 1] if k else 0 : ends[k]]
        layers = positions(structure)
        width = choice.lane_width(dtype, register_bytes)
        chosen = choice.choose(
            structure, len(nets), rows[0], dtype, threads, width.lanes, len(distinct) == 1
        )
        if chosen.dense:
            width = choice.row_width(dtype, register_bytes)
        score = score_code(target, structure)
        task = _task(structure, layers, score, rows, weighted, width, dtype)
        for ordering, members in _arrange(
            nets, orders[nets], epochs[nets], structure.shuffle, width.lanes
        ):
            plan.block_of[members] = len(plan.blocks)
            plan.place_of[members] = np.arange(len(members))
            padding = np.repeat(members[-1:], -len(members) % width.lanes)
            lanes = np.append(members, padding).reshape(-1, width.lanes)
            plan.blocks.append(
                Block(
                    structure,
                    layers,
                    task,
                    width,
                    ordering,
                    lanes,
                    len(members),
                    epochs[lanes],
                    first_epoch,
                    dtype,
                    chosen,
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
