"""Nets that share a shape become blocks, blocks groups of lanes, and these pieces of work.

A plan says where each net of a sweep stands and what each launch does. It decides nothing about
bits: those depend on a net's settings, its seed and the data alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .data import Target
from .grid import Grid
from .kernels import block as kernel_block
from .kernels import layers as codes
from .kernels import losses, optimizers, random
from .kernels.block import IN_PLACE, OWN_ORDER, SHARED_ORDER, Task
from .settings import check_together

ACTIVATION_CODES = {
    "identity": codes.IDENTITY,
    "sigmoid": codes.SIGMOID,
    "tanh": codes.TANH,
    "relu": codes.RELU,
    "leaky_relu": codes.LEAKY_RELU,
    "elu": codes.ELU,
    "selu": codes.SELU,
    "gelu": codes.GELU,
    "silu": codes.SILU,
    "softplus": codes.SOFTPLUS,
    "exp": codes.EXP,
    "softmax": codes.SOFTMAX,
}
LOSS_CODES = {"squared_error": losses.SQUARED_ERROR, "cross_entropy": losses.CROSS_ENTROPY}
RELU_LIKE = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus")

# What makes two nets of one block: all but the scalars and the seeds, which may differ by lane.
STRUCTURAL = (
    "hidden", "activation", "output", "loss", "bias", "init", "epochs", "batch_size", "shuffle",
    "reduction", "optimizer", "nesterov", "momentum",
)  # fmt: skip

# Rows of a tile, so that values and deltas stay in the L2 cache.
_TILE_BYTES = 512 * 1024
_SMALLEST_TILE, _LARGEST_TILE = 64, kernel_block.CHUNK


class Structure(NamedTuple):
    """What all nets of a block have in common."""

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    output: str
    loss: str
    bias: bool
    init: str
    epochs: int
    batch: int
    shuffle: bool
    mean: bool
    optimizer: int

    @classmethod
    def of(cls, settings: dict[str, Any], target: Target, rows: int, inputs: int) -> "Structure":
        """Structure of one net with these settings on data of this size."""
        settings = check_together(settings)
        output, loss, outputs = target.resolve(settings["output"], settings["loss"])
        batch = min(settings["batch_size"] or rows, rows)
        optimizer = optimizers.ADAM
        if settings["optimizer"] == "sgd":
            optimizer = optimizers.MOMENTUM if settings["momentum"] else optimizers.SGD
            if settings["nesterov"]:
                optimizer = optimizers.NESTEROV
        return cls(
            (inputs, *settings["hidden"], outputs),
            settings["activation"],
            output,
            loss,
            settings["bias"],
            settings["init"],
            settings["epochs"],
            batch,
            settings["shuffle"] and batch < rows,
            settings["reduction"] == "mean",
            optimizer,
        )


class LaneWidth(NamedTuple):
    """How many nets stand side by side, and the register tile that goes with it."""

    lanes: int
    tile: tuple[int, int]


def lane_width(dtype: Any, register_bytes: int) -> LaneWidth:
    """Lanes of a group: 64 bytes of nets, with tiles of 2 units x 4 rows, or x 2 without AVX-512.

    Eight sums in flight hide the latency of an fma; with registers of 32 bytes a group takes two,
    and 2 x 2 tiles are eight sums in 16 registers. Measured in ns a net and step, on one core:

    ============================  =====  ========  =======  =====
    float32                       3-4-1  64-32-10  30-16-3  4-8-3
    ============================  =====  ========  =======  =====
    AVX-512, 16 lanes, 2 x 4         15      3650      950    258
    AVX2, 16 lanes, 2 x 2            20      4280     1010    285
    AVX2, 8 lanes, 2 x 4             22      4030     1110    362
    AVX2, 32 lanes, 1 x 1            17      8020     1650    343
    ============================  =====  ========  =======  =====
    """
    return LaneWidth(64 // np.dtype(dtype).itemsize, (2, 4) if register_bytes == 64 else (2, 2))


def positions(structure: Structure) -> tuple[NDArray[np.int64], int]:
    """The table of layers that kernels read, (layers, COLUMNS), and the number of parameters."""
    rows, p, v = [], 0, 0
    names = (*structure.activations, structure.output)
    for inputs, units, name in zip(structure.widths[:-1], structure.widths[1:], names, strict=True):
        biases = p + inputs * units if structure.bias else -1
        rows.append((inputs, units, p, biases, ACTIVATION_CODES[name], v))
        p += inputs * units + (units if structure.bias else 0)
        v += units
    return np.array(rows, np.int64), p


def tile_rows(batch: int, units: int, lane_bytes: int) -> tuple[int, int]:
    """Rows of a tile, and the stride from unit to unit.

    The stride is odd for long tiles: a power of two would map all units to a few sets of the cache.
    """
    tile = _LARGEST_TILE
    while tile > _SMALLEST_TILE and 2 * tile * units * lane_bytes > _TILE_BYTES:
        tile //= 2
    tile = min(tile, batch)
    return tile, tile if tile < 16 else tile | 1


def records(epochs: int, record_every: int | None) -> tuple[int, NDArray[np.int64]]:
    """Epochs between records, and the recorded epochs: every so many, and the last."""
    every = record_every or max(1, -(-epochs // 100))
    recorded = np.arange(0, epochs, every, dtype=np.int64)
    if epochs and recorded[-1] != epochs - 1:
        recorded = np.append(recorded, epochs - 1)
    return every, recorded


def initial_factors(structure: Structure) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Kind of random number and factor of each layer's initial weights.

    Sources: Glorot & Bengio 2010, He et al. 2015, LeCun et al. 1998.
    """
    kinds, factors = [], []
    names = (*structure.activations, structure.output)
    for inputs, units, name in zip(structure.widths[:-1], structure.widths[1:], names, strict=True):
        init = structure.init
        if init == "auto":
            init = "he_uniform" if name in RELU_LIKE else "glorot_uniform"
        kinds.append(random.NORMAL if init.endswith("normal") else random.UNIFORM)
        square = {
            "uniform": 1.0,
            "glorot_uniform": 6.0 / (inputs + units),
            "glorot_normal": 2.0 / (inputs + units),
            "he_uniform": 6.0 / inputs,
            "he_normal": 2.0 / inputs,
            "lecun_normal": 1.0 / inputs,
        }[init]
        factors.append(np.sqrt(square))
    return np.array(kinds, np.int64), np.array(factors, np.float64)


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
    """

    structure: Structure
    layers: NDArray[np.int64]
    task: Task
    width: LaneWidth
    ordering: int
    nets: NDArray[np.int64]
    count: int
    recorded: NDArray[np.int64]

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.nets)

    @property
    def state_rows(self) -> int:
        """Numbers of optimizer state that a net keeps."""
        optimizer = self.structure.optimizer
        return (
            optimizers.MOMENTS[optimizer] * self.task.parameters + optimizers.NET_STATE[optimizer]
        )

    @property
    def tiles_of_epoch(self) -> int:
        """Tiles of one epoch."""
        full, last = divmod(self.task.rows, self.task.batch)
        return full * -(-self.task.batch // self.task.tile) + -(-last // self.task.tile)

    def seconds_of_epoch(self) -> float:
        """Rough time of one group and epoch; launches measure their own."""
        widths = self.structure.widths
        products = sum(i * o for i, o in zip(widths[:-1], widths[1:], strict=True))
        operations = self.task.rows * (3 * products + 30 * sum(widths[1:]))
        updates = -(-self.task.rows // self.task.batch) * 12 * self.task.parameters
        return (operations + updates + 500 * self.tiles_of_epoch) * 4e-10


@dataclass(frozen=True, eq=False)
class Plan:
    """Where the nets of a sweep stand.

    Attributes
    ----------
    block_of, place_of : (N,) arrays
        A net's block, and its place in it: group * L + lane.
    """

    blocks: list[Block]
    block_of: NDArray[np.int32]
    place_of: NDArray[np.int64]


class Piece(NamedTuple):
    """Work of one thread: groups of a block, from their first epoch to their last."""

    block: int
    first: int
    last: int


def order_seeds(grid: Grid) -> NDArray[np.uint64]:
    """Each net's seed of its row order: shuffle_seed, or seed where that is None."""
    seeds = grid.column("seed").astype(np.uint64)
    given = grid.candidates["shuffle_seed"]
    values = np.array([0 if value is None else value for value in given], np.uint64)
    missing = np.array([value is None for value in given])
    index = grid.index.get("shuffle_seed", np.zeros(1, np.int32))
    return np.where(missing[index], seeds, values[index])


def _arrange(
    nets: NDArray[np.int64], orders: NDArray[np.uint64], shuffled: bool, lanes: int
) -> list[tuple[int, NDArray[np.int64]]]:
    """(ordering, nets) of the blocks of one structure.

    Whole groups of nets that share a row order read each row once for all; what is left over reads
    its own rows.
    """
    if not shuffled:
        return [(IN_PLACE, nets)]
    by_order = np.argsort(orders, kind="stable")
    nets, orders = nets[by_order], orders[by_order]
    _, starts, counts = np.unique(orders, return_index=True, return_counts=True)
    if len(starts) == 1:
        return [(SHARED_ORDER, nets)]
    rank = np.arange(len(nets)) - np.repeat(starts, counts)
    whole = rank < np.repeat(counts // lanes * lanes, counts)
    left = nets[~whole]
    arranged = [(SHARED_ORDER, nets[whole])] if whole.any() else []
    if len(left):
        one_order = len(np.unique(orders[~whole])) == 1
        arranged.append((SHARED_ORDER if one_order else OWN_ORDER, left))
    return arranged


def make_plan(
    grid: Grid, target: Target, rows: int, inputs: int, dtype: Any, register_bytes: int
) -> Plan:
    """Blocks of all nets of a grid on n rows of I inputs."""
    width = lane_width(dtype, register_bytes)
    lane_bytes = width.lanes * np.dtype(dtype).itemsize
    every = grid.candidates["record_every"][0]
    first, group = grid.groups(STRUCTURAL)
    structures = [Structure.of(grid.settings(int(i)), target, rows, inputs) for i in first]
    distinct = {structure: k for k, structure in enumerate(dict.fromkeys(structures))}
    structure_of = np.array([distinct[structure] for structure in structures], np.int64)[group]
    orders = order_seeds(grid)
    orders = np.broadcast_to(orders, len(grid))
    by_structure = np.argsort(structure_of, kind="stable")
    ends = np.cumsum(np.bincount(structure_of, minlength=len(distinct)))
    plan = Plan([], np.zeros(len(grid), np.int32), np.zeros(len(grid), np.int64))
    for structure, k in distinct.items():
        nets = by_structure[ends[k - 1] if k else 0 : ends[k]]
        layers, parameters = positions(structure)
        tile, stride = tile_rows(structure.batch, sum(structure.widths[1:]), lane_bytes)
        record_every, recorded = records(structure.epochs, every)
        task = Task(
            rows, inputs, structure.widths[-1], parameters, structure.batch, tile, stride,
            structure.epochs, record_every, int(structure.mean),
            ACTIVATION_CODES[structure.output], LOSS_CODES[structure.loss], structure.optimizer,
        )  # fmt: skip
        for ordering, members in _arrange(nets, orders[nets], structure.shuffle, width.lanes):
            plan.block_of[members] = len(plan.blocks)
            plan.place_of[members] = np.arange(len(members))
            padding = np.repeat(members[-1:], -len(members) % width.lanes)
            lanes = np.append(members, padding).reshape(-1, width.lanes)
            plan.blocks.append(
                Block(structure, layers, task, width, ordering, lanes, len(members), recorded)
            )
    return plan


def pieces(blocks: Sequence[Block], threads: int) -> list[Piece]:
    """Work in pieces, the largest first: worth a launch each, and enough of them to balance."""
    costs = [block.seconds_of_epoch() * max(1, block.structure.epochs) for block in blocks]
    total = sum(cost * block.groups for cost, block in zip(costs, blocks, strict=True))
    target = min(max(total / (8 * threads), 0.003), 0.15)
    cut = []
    for number, (cost, block) in enumerate(zip(costs, blocks, strict=True)):
        count = max(1, int(target / cost))
        cut += [
            (
                cost * min(count, block.groups - first),
                Piece(number, first, min(first + count, block.groups)),
            )
            for first in range(0, block.groups, count)
        ]
    cut.sort(key=lambda item: -item[0])
    return [piece for _, piece in cut]
