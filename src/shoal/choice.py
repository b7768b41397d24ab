"""Which engine trains nets of a structure, in lanes and tiles of what size: a rule fitted to
measurements. It decides nothing about bits."""

from typing import Any, NamedTuple

import numpy as np

from .kernels import layout
from .kernels.jit import jit_is_on
from .kernels.vectors import LaneGroup
from .structure import Structure

# Rows of a tile, so that values and deltas stay in the L2 cache.
_TILE_BYTES = 512 * 1024
SMALLEST_TILE, LARGEST_TILE = 64, layout.CHUNK
# Weights times rows of a tile, from which on threads that share it gain more than they wait.
WORTH_A_TEAM = 10_000


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


def tile_rows(batch: int, units: int, lane_bytes: int) -> int:
    """Rows of a tile."""
    tile = LARGEST_TILE
    while tile > SMALLEST_TILE and 2 * tile * units * lane_bytes > _TILE_BYTES:
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
