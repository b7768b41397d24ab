"""Nets that share a shape become blocks, blocks groups of lanes, and these pieces of work.

A plan says where each net of a sweep stands and what each launch does. It decides nothing about
bits: those depend on a net's settings, its seed and the data alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .data import Target
from .grid import Grid
from .kernels import layers as codes
from .kernels import layout, losses, optimizers, random, schedules
from .kernels.jit import jit_is_on
from .kernels.layout import IN_PLACE, OWN_ORDER, SHARED_ORDER, Task
from .kernels.vectors import LaneGroup
from .settings import check_rows, check_together, dropout_rates

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
LOSS_CODES = {
    "squared_error": losses.SQUARED_ERROR,
    "absolute_error": losses.ABSOLUTE_ERROR,
    "huber": losses.HUBER,
    "quantile": losses.QUANTILE,
    "cross_entropy": losses.CROSS_ENTROPY,
    "poisson": losses.POISSON,
}
OPTIMIZER_CODES = {
    "sgd": optimizers.SGD,
    "rmsprop": optimizers.RMSPROP,
    "adagrad": optimizers.ADAGRAD,
    "adam": optimizers.ADAM,
    "adamw": optimizers.ADAM,
    "rprop": optimizers.RPROP,
}
SCHEDULE_CODES = {
    "constant": schedules.CONSTANT,
    "step": schedules.STEP,
    "exponential": schedules.EXPONENTIAL,
    "cosine": schedules.COSINE,
    "invscaling": schedules.INVSCALING,
    "adaptive": schedules.ADAPTIVE,
}
RELU_LIKE = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus")


def every_of(epochs: int, record_every: int | None) -> int:
    """Epochs between records."""
    return record_every or max(1, -(-epochs // 100))


def _given(value: Any) -> bool:
    return value is not None


def _itself(value: Any) -> Any:
    return value


def _drops(dropout: float | tuple[float, ...]) -> tuple[bool, bool]:
    """Whether inputs, and whether hidden units, are dropped."""
    if isinstance(dropout, tuple):
        return dropout[0] > 0, any(rate > 0 for rate in dropout[1:])
    return False, dropout > 0


# What makes two nets of one block: all but the scalars and the seeds, which may differ by lane. Of
# scalars that a net may do without, whether it does: 0 * w is another operation than none.
_STRUCTURAL: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(
        ("hidden", "activation", "output", "loss", "bias", "init", "batch_size", "shuffle",
         "reduction", "optimizer", "nesterov", "batch_norm", "class_weight"),
        _itself,
    ),
    "dropout": _drops,
    "momentum": bool,
    "l1": bool,
    "l2": bool,
    "weight_decay": bool,
    "clip_delta": _given,
    "clip_norm": _given,
    "patience": _given,
    "schedule": lambda value: (value == "adaptive", value == "constant"),
    "warmup_epochs": bool,
}  # fmt: skip

# Rows of a tile, so that values and deltas stay in the L2 cache.
_TILE_BYTES = 512 * 1024
_SMALLEST_TILE, _LARGEST_TILE = 64, layout.CHUNK
# Weights times rows of a tile, from which on threads that share it gain more than they wait.
_WORTH_A_TEAM = 10_000


class Structure(NamedTuple):
    """What all nets of a block have in common."""

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    output: str
    loss: str
    bias: bool
    init: str
    every: int  # epochs between records
    batch: int
    shuffle: bool
    mean: bool
    optimizer: int
    batch_norm: bool = False
    class_weight: Any = None
    penalised: bool = False
    decays: bool = False
    clips_deltas: bool = False
    clips_norm: bool = False
    drops: bool = False
    drops_inputs: bool = False
    scheduled: bool = False
    adaptive: bool = False
    keeps_best: bool = False

    @property
    def watched(self) -> bool:
        """Whether the losses of its epochs have consequences."""
        return self.adaptive or self.keeps_best

    @classmethod
    def of(cls, settings: dict[str, Any], target: Target, rows: int, inputs: int) -> "Structure":
        """Structure of one net with these settings on data of this size."""
        settings = check_together(settings)
        check_rows(settings, rows)
        output, loss, outputs = target.resolve(settings["output"], settings["loss"])
        batch = min(settings["batch_size"] or rows, rows)
        optimizer = OPTIMIZER_CODES[settings["optimizer"]]
        if settings["momentum"]:
            optimizer = optimizers.NESTEROV if settings["nesterov"] else optimizers.MOMENTUM
        drops_inputs, drops = _drops(dropout_rates(settings))
        return cls(
            widths=(inputs, *settings["hidden"], outputs),
            activations=settings["activation"],
            output=output,
            loss=loss,
            bias=settings["bias"],
            init=settings["init"],
            every=every_of(settings["epochs"], settings["record_every"]),
            batch=batch,
            shuffle=settings["shuffle"] and batch < rows,
            mean=settings["reduction"] == "mean",
            optimizer=optimizer,
            batch_norm=settings["batch_norm"] and len(settings["hidden"]) > 0,
            class_weight=settings["class_weight"],
            penalised=settings["l1"] > 0 or settings["l2"] > 0,
            decays=settings["weight_decay"] > 0,
            clips_deltas=settings["clip_delta"] is not None,
            clips_norm=settings["clip_norm"] is not None,
            drops=drops,
            drops_inputs=drops_inputs,
            scheduled=settings["schedule"] != "constant" or settings["warmup_epochs"] > 0,
            adaptive=settings["schedule"] == "adaptive",
            keeps_best=settings["patience"] is not None,
        )


class LaneWidth(NamedTuple):
    """What stands side by side, and the register tile that goes with it."""

    lanes: int  # nets of a group
    tile: tuple[int, int]
    rows: int = 0  # rows of one net, in the dense engine; 0: lanes are nets

    @property
    def dense(self) -> bool:
        """Whether lanes are rows of one net."""
        return self.rows > 0

    def group(self, dtype: Any) -> LaneGroup:
        """The lanes as kernels take them."""
        return LaneGroup(dtype, self.rows or self.lanes, self.tile, self.rows or 1)


def lane_width(dtype: Any, register_bytes: int) -> LaneWidth:
    """Lanes of a group: 128 bytes of nets with tiles of 4 units x 2 rows; without AVX-512 half of
    both, as there are half as many registers.

    Eight sums in flight hide the latency of an fma, sixteen registers of sums feed on each element
    that is loaded twice. Measured on one core with AVX-512, float32, in ns a net and step (3-4-1)
    and GFLOP/s of a sweep, 117 being the most that the core's arithmetic can do:

    ====================  =====  ========  =======  =====
    float32               3-4-1  64-32-10  30-16-2  4-8-3
    ====================  =====  ========  =======  =====
    32 lanes, 4 x 2        14.6      69.0     56.5   23.2
    32 lanes, 2 x 4        17.5      68.9     59.0   24.3
    32 lanes, 2 x 2        15.8      68.5     57.9   22.7
    32 lanes, 3 x 2        16.0      65.8     53.3   25.1
    16 lanes, 2 x 4        22.0      65.0     53.8   22.7
    16 lanes, 4 x 4        17.8      64.9     56.2   22.7
    64 lanes, 1 x 1        17.4      51.6     42.6   20.4
    ====================  =====  ========  =======  =====
    """
    if register_bytes == 64:
        return LaneWidth(128 // np.dtype(dtype).itemsize, (4, 2))
    return LaneWidth(64 // np.dtype(dtype).itemsize, (2, 2))


def row_width(dtype: Any, register_bytes: int) -> LaneWidth:
    """Lanes of the dense engine: 64 bytes of rows."""
    tile = (4, 2) if register_bytes == 64 else (2, 2)
    return LaneWidth(1, tile, 64 // np.dtype(dtype).itemsize if jit_is_on() else 1)


def is_dense(structure: Structure, nets: int, rows: int, dtype: Any) -> bool:
    """Whether nets of this structure are trained one by one."""
    return nets == 1


class Layers(NamedTuple):
    """Where a net's parameters stand."""

    table: NDArray[np.int64]  # (layers, COLUMNS), which kernels read
    parameters: int  # P, that are trained
    statistics: int  # running ones of batch norm, behind them

    @property
    def size(self) -> int:
        """Numbers of a net."""
        return self.parameters + self.statistics


def positions(structure: Structure) -> Layers:
    """Lay out the parameters of nets of this structure."""
    rows, p, v, r = [], 0, 0, 0
    names = (*structure.activations, structure.output)
    for k, (inputs, units) in enumerate(pairwise(structure.widths)):
        start, biases, scales = p, -1, -1
        p += inputs * units
        if structure.bias:
            biases, p = p, p + units
        normalised = structure.batch_norm and k < len(structure.activations)
        if normalised:
            scales, p = p, p + 2 * units
        statistics, r = (r, r + 2 * units) if normalised else (-1, r)
        code = ACTIVATION_CODES[names[k]]
        rows.append([inputs, units, start, biases, code, v, scales, statistics])
        v += units
    for row in rows:
        if row[layout.STATISTICS] >= 0:
            row[layout.STATISTICS] += p
    return Layers(np.array(rows, np.int64), p, r)


def tile_rows(batch: int, units: int, lane_bytes: int) -> int:
    """Rows of a tile."""
    tile = _LARGEST_TILE
    while tile > _SMALLEST_TILE and 2 * tile * units * lane_bytes > _TILE_BYTES:
        tile //= 2
    return min(tile, batch)


def tile_of(structure: Structure, width: LaneWidth, rows: int, dtype: Any) -> tuple[int, int]:
    """Rows of a tile of so many rows, and the stride from unit to unit."""
    lane_bytes = width.lanes * np.dtype(dtype).itemsize
    tile = min(rows, layout.CHUNK)
    if not width.dense:
        tile = tile_rows(rows, sum(structure.widths[1:]), lane_bytes)
    return tile, row_stride(-(-tile // (width.rows or 1)))


def row_stride(tile: int) -> int:
    """Stride from unit to unit: odd for long tiles, as a power of two would map all units to a few
    sets of the cache."""
    return tile if tile < 16 else tile | 1


def records(epochs: int, every: int, first: int = 0) -> NDArray[np.int64]:
    """The recorded ones of the epochs from ``first``: every so many, and the last."""
    recorded = np.arange(-(-first // every) * every, epochs, every, dtype=np.int64)
    if epochs > first and (not len(recorded) or recorded[-1] != epochs - 1):
        recorded = np.append(recorded, epochs - 1)
    return recorded


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

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.nets)

    @property
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
        if not self.width.dense or self.structure.batch_norm:
            return 1
        products = sum(i * o for i, o in pairwise(self.structure.widths))
        if products * min(task.tile, task.batch) < _WORTH_A_TEAM:
            return 1
        return max(1, -(-task.tile // self.width.rows))

    @property
    def tiles_of_epoch(self) -> int:
        """Tiles of one epoch, those of the validation rows included."""
        task = self.task
        full, last = divmod(task.rows, task.batch)
        tiles = full * -(-task.batch // task.tile) + -(-last // task.tile)
        return tiles + -(-task.validation_rows // max(1, task.validation_tile))

    def seconds_of_epoch(self) -> float:
        """Rough time of one group and epoch; launches measure their own."""
        widths, task = self.structure.widths, self.task
        products = sum(i * o for i, o in pairwise(widths))
        operations = task.rows * (3 * products + 30 * sum(widths[1:]))
        if self.structure.watched or self.structure.every == 1:
            operations += task.validation_rows * (products + 30 * sum(widths[1:]))
        updates = -(-task.rows // task.batch) * 12 * task.parameters
        return (operations + updates + 500 * self.tiles_of_epoch) * 4e-10


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


def _task(
    structure: Structure, layers: Layers, score: int, rows: Sequence[int], weighted: bool,
    width: LaneWidth, dtype: Any,
) -> Task:  # fmt: skip
    """Numbers for the kernels. rows : of the training, of the validation."""
    tile = structure.batch
    if not structure.batch_norm:  # which needs a whole batch at each layer
        tile, _ = tile_of(structure, width, structure.batch, dtype)
    least = tile if not width.dense else 0
    looked_at = layout.CHUNK if width.dense else _SMALLEST_TILE
    validation_tile = min(rows[1], max(least, tile_of(structure, width, looked_at, dtype)[0]))
    stride = row_stride(-(-max(tile, validation_tile) // (width.rows or 1)))
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
    target: Target,
    rows: tuple[int, int],
    inputs: int,
    dtype: Any,
    register_bytes: int,
    weighted: bool = False,
    first_epoch: int = 0,
) -> Plan:
    """Blocks of all nets of a grid.

    Parameters
    ----------
    rows : (int, int)
        To train on, and to validate on.
    weighted : bool
        Whether rows have sample weights.
    first_epoch : int
        Epochs that the nets are trained for already; theirs come on top.
    """
    every = grid.candidates["record_every"][0]
    cases = {**_STRUCTURAL, "epochs": lambda epochs: every_of(epochs, every)}
    first, group = grid.coarser(cases).groups(cases)
    structures = [Structure.of(grid.settings(int(i)), target, rows[0], inputs) for i in first]
    distinct = {structure: k for k, structure in enumerate(dict.fromkeys(structures))}
    structure_of = np.array([distinct[structure] for structure in structures], np.int64)[group]
    orders = np.broadcast_to(order_seeds(grid), len(grid))
    epochs = grid.column("epochs") + first_epoch
    by_structure = np.argsort(structure_of, kind="stable")
    ends = np.cumsum(np.bincount(structure_of, minlength=len(distinct)))
    plan = Plan([], np.zeros(len(grid), np.int32), np.zeros(len(grid), np.int64))
    for structure, k in distinct.items():
        nets = by_structure[ends[k - 1] if k else 0 : ends[k]]
        layers = positions(structure)
        width = lane_width(dtype, register_bytes)
        if is_dense(structure, len(nets), rows[0], dtype):
            width = row_width(dtype, register_bytes)
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
    cost, pieces, first = block.seconds_of_epoch(), [], 0
    costs = cost * (np.minimum(ends, until) - epoch)
    while first < len(ends):
        count = max(1, int(seconds / max(costs[first], 1e-12)))
        last = min(first + count, len(ends))
        pieces.append((float(costs[first:last].sum()), Piece(number, first, last, epoch, until)))
        first = last
    return pieces
