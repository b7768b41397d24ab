"""What the lanes are for nets of an architecture, and how large lanes and tiles: a rule fitted to
measurements. It decides nothing about bits."""

import functools
import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..kernels import layout
from ..kernels.code.environment import jit_is_on
from ..kernels.lane_group import LaneGroup
from .architecture import Architecture

# Rows of a tile, so that values and deltas stay in the L2 cache.
_TILE_BYTES = 512 * 1024
SMALLEST_TILE, LARGEST_TILE = 64, layout.ACCUMULATION_BLOCK
# Weights times rows, from which on threads that share a net gain more than they wait: of a step of
# one accumulation block, whose units they divide, and of a block, where they divide those. On two
# cores, in units: 30-100-2 with 80 rows 0.95 times as fast, 128-64-10 with 32 rows 1.28, 64-64-10
# with 64 rows 1.23, 100-50-10 with 64 rows 1.18; in blocks: 8-32-1 1.45, 20-64-64-2 1.55.
WORTH_A_TEAM, BLOCK_WORTH_A_TEAM = 280_000, 60_000
# Rows of a tile of a net that a thread of a GPU trains, so that few numbers are on its stack.
TILE_ON_GPU = 4
_SIDE_BY_SIDE = 1.1  # time of a thread beside others, in that of one alone


class LaneWidth(NamedTuple):
    """What stands side by side, and the register tile that goes with it."""

    lanes: int  # nets of a group
    tile: tuple[int, int]
    rows: int = 0  # rows of one net, where rows are in lanes; 0: lanes are nets

    @property
    def rows_in_lanes(self) -> bool:
        """Whether lanes are rows of one net."""
        return self.rows > 0

    def group(self, dtype: Any) -> LaneGroup:
        """The lanes as kernels take them."""
        return LaneGroup(dtype, self.rows or self.lanes, self.tile, self.rows or 1)


def lane_width(dtype: Any, register_bytes: int) -> LaneWidth:
    """Lanes of a group: 128 bytes of nets, without AVX-512 half of it, as there are half as many
    registers; with tiles of 2 units x 2 rows, which fill the pipeline of the fma.

    Larger tiles load less, but leave more over: measured on one core with AVX-512, float32, the
    least of four runs by turns, in ns a net and step (3-4-1 with 4 rows, the rest with 32; sigmoid,
    tanh in 2-16-16-1, else relu):

    ====================  =====  =========  ========  =======  =====
    float32               3-4-1  2-16-16-1  64-32-10  30-16-2  4-8-3
    ====================  =====  =========  ========  =======  =====
    32 lanes, 2 x 2        14.7       1162      4360      750    157
    32 lanes, 3 x 2        14.7       1090      4340      804    146
    32 lanes, 4 x 2        14.6       1057      4360      816    176
    32 lanes, 4 x 4        15.6       1178      4980      936    196
    ====================  =====  =========  ========  =======  =====

    Before, with 16 lanes, tiles of 2 x 4 and 4 x 4 took 18 to 22 ns for 3-4-1, and 64 lanes with
    1 x 1 a third longer for 64-32-10.
    """
    return LaneWidth((128 if register_bytes == 64 else 64) // np.dtype(dtype).itemsize, (2, 2))


def row_width(dtype: Any, register_bytes: int, small: bool = False) -> LaneWidth:
    """Lanes of rows of one net: 64 bytes, with tiles of 4 units x 2 vectors of rows.

    Of ``small`` nets they are 32 bytes: half of the registers of AVX-512.

    The least of four runs by turns, in us a step on one core with AVX-512 (3-4-1 with 4 rows in
    float64, 4-32-16-4 with 10,000 rows, 784-128-10 with 64, the rest with 32; adam but for 3-4-1,
    64-32-10 and 784-128-10):

    =====  =====  =====  =======  ========  ==========  =========
    tile   3-4-1  4-8-3  30-16-2  64-32-10  784-128-10  4-32-16-4
    =====  =====  =====  =======  ========  ==========  =========
    4 x 2   0.23   0.81     1.46      3.96         298        548
    4 x 1   0.22   0.79     1.47      4.02         294        530
    8 x 1   0.34   0.85     1.43      3.96         288        641
    2 x 2   0.28   0.78     1.49      4.20         331        660
    4 x 4   0.27   0.79     1.45      4.05         294        552
    =====  =====  =====  =======  ========  ==========  =========

    4 x 1 is as fast where one fma of 64 bytes begins in a cycle; it would leave a second one idle.
    """
    tile, lane_bytes = (4, 2) if register_bytes == 64 else (2, 2), 32 if small else 64
    return LaneWidth(1, tile, lane_bytes // np.dtype(dtype).itemsize if jit_is_on() else 1)


def is_small(architecture: Architecture, rows: int, dtype: Any, register_bytes: int) -> bool:
    """Whether half of a register is enough for the rows of a batch, and the net is so small that
    this pays: one core with AVX-512 takes 0.7 of the time for 3-4-1 on 4 rows (0.85 in float32),
    0.9 for 4-8-3 and 30-16-2, and 1.03 for 64-32-10. With fewer registers it took half more."""
    weights = sum(i * o for i, o in pairwise(architecture.widths))
    fits = architecture.longest_batch(rows) * np.dtype(dtype).itemsize <= 32
    return register_bytes == 64 and fits and weights <= 1000


@functools.lru_cache(4096)  # a fit asks four times, and the next one the same
def seconds_of_step(
    architecture: Architecture,
    rows_in_lanes: bool,
    rows: int,
    dtype: Any,
    lanes: int,
    still: bool = False,
) -> float:
    """About how long one core takes for a step of one net on ``rows`` rows, its lanes being full.

    Sums over layers of what takes time, times numbers fitted to 16 shapes from 3-4-1 to
    256-256-256-10 on AVX-512: nine in ten estimates were within 20% (adam is not told from sgd).
    Since then numbers were changed by hand, by up to a third, as the kernels were.
    Shapes are compared by it, on other processors too, and pieces of work are cut.

    still : bool
        Whether every step is on the same rows, which are then loaded to where they are
        computed only once.
    """
    widths, size = architecture.widths, np.dtype(dtype).itemsize / 4
    layers = list(pairwise(widths))
    products = sum(i * o for i, o in layers)
    above = sum(i * o for i, o in layers[1:])  # deltas are passed back through these
    units = sum(widths[1:])
    parameters = products + units
    if not rows_in_lanes:
        operations = (2 * products + above) * rows
        of_unit = 280e-12 if size == 1 else 450e-12  # activations have more terms in float64
        seconds = 190e-9 / lanes + size * (
            20e-12 * operations + of_unit * units * rows + 110e-12 * parameters
        )
        group = 4 * size * lanes * parameters  # bytes
        return seconds + (size * 1.5e-9 * parameters if group > 1e6 else 0)
    L = 16 / size
    full = math.ceil(rows / L) * L  # rows are lanes
    gradient = sum(
        min(o * math.ceil(i / L), (i + 4) * math.ceil(o / L)) * L * rows for i, o in layers
    )
    operations = (products + above) * full + gradient
    seconds = (140e-9 if still else 320e-9) * len(layers) + size * (
        20e-12 * operations + 590e-12 * units * full + 130e-12 * parameters
    )
    if architecture.batch_norm:  # one lane's code
        seconds += 10e-9 * sum(widths[1:-1]) * rows
    return seconds + (2e-9 * parameters if architecture.clips_norm else 0)


def seconds_saved(architecture: Architecture, step: float) -> float:
    """About how much less a step of a group takes where the compiler knows the shape.

    Measured in ns, on one core with AVX-512: 80 (one net 3-4-1), 140 (a group of 3-4-1), 300 (one
    net 4-8-3, one 64-32-10), 2,000 (a group of 4-8-3), 9,000 (a group of 64-32-10).

    step : seconds of a step.
    """
    return 40e-9 * (len(architecture.widths) - 1) + 0.03 * step


def worth_a_team(architecture: Architecture, rows_in_lanes: bool, rows: int) -> bool:
    """Whether threads that share one net gain more than they wait for each other."""
    if not rows_in_lanes or architecture.batch_norm:
        return False
    products = sum(i * o for i, o in pairwise(architecture.widths))
    if rows > layout.ACCUMULATION_BLOCK:
        return products * layout.ACCUMULATION_BLOCK >= BLOCK_WORTH_A_TEAM
    return products * rows >= WORTH_A_TEAM


class Choice(NamedTuple):
    """What the lanes are for nets of an architecture, and why."""

    rows_in_lanes: bool
    seconds: float  # estimate of a step of all nets
    other: float  # the same, of the other choice


def _turns(pieces: int, threads: int) -> float:
    """How long threads take for so many pieces of work, in the time of one alone: two were 1.7 to
    1.9 times as fast as one."""
    slowed = _SIDE_BY_SIDE if min(pieces, threads) > 1 else 1
    return slowed * math.ceil(pieces / threads)


def choose(
    architecture: Architecture,
    nets: int,
    rows: int,
    dtype: Any,
    threads: int,
    lanes: int,
    alone: bool,
) -> Choice:
    """What is estimated to be faster: nets in lanes, or rows in lanes.

    A group of lanes takes as long for one net as for all, and one thread trains it; one by one,
    nets fill the threads evenly. Where other architectures fill the threads besides (not
    ``alone``), what counts is the sum of all threads' time.
    """
    batch = architecture.batch
    groups = math.ceil(nets / lanes)
    of_group = lanes * seconds_of_step(architecture, False, batch, dtype, lanes)
    still = batch == rows and batch <= layout.ACCUMULATION_BLOCK
    of_net = seconds_of_step(architecture, True, batch, dtype, lanes, still)
    turns = (_turns(groups, threads), _turns(nets, threads)) if alone else (groups, nets)
    if nets == 1 and alone and worth_a_team(architecture, True, batch):
        of_net /= min(threads, 1.6)
    lanes_are_nets, lanes_are_rows = turns[0] * of_group, turns[1] * of_net
    if prefers_rows_in_lanes(lanes_are_nets, lanes_are_rows):
        return Choice(True, lanes_are_rows, lanes_are_nets)
    return Choice(False, lanes_are_nets, lanes_are_rows)


def prefers_rows_in_lanes(lanes_are_nets: float, lanes_are_rows: float) -> bool:
    """Whether nets are trained one by one, given the estimates."""
    return lanes_are_rows < lanes_are_nets


def tile_rows(batch: int, units: int, lane_bytes: int) -> int:
    """Rows of a tile."""
    tile = LARGEST_TILE
    while tile > SMALLEST_TILE and 2 * tile * units * lane_bytes > _TILE_BYTES:
        tile //= 2
    return min(tile, batch)


def tile_of(
    architecture: Architecture, width: LaneWidth, rows: int, dtype: Any, trains: bool = True
) -> tuple[int, int]:
    """Rows of a tile of so many rows, and the stride from unit to unit."""
    lane_bytes = width.lanes * np.dtype(dtype).itemsize
    tile = min(rows, layout.ACCUMULATION_BLOCK)
    if not width.rows_in_lanes:
        tile = tile_rows(rows, sum(architecture.widths[1:]), lane_bytes)
    elif not trains:  # in training a tile is an accumulation block
        tile = tile_rows(rows, sum(architecture.widths), lane_bytes)
    return tile, row_stride(-(-tile // (width.rows or 1)))


def row_stride(tile: int) -> int:
    """Stride from unit to unit: odd for long tiles, as a power of two would map all units to a few
    sets of the cache."""
    return tile if tile < 16 else tile | 1
