"""Numbers of one net change places: rows that follow each other, and rows in lanes."""

from ..code.compilation import device_function
from ..lanes.access import load_square, store_tile
from ..lanes.shapes import flat, lane_extent, rows_per_vector


@device_function
def vectors_of(lane, count):
    """How many vectors hold so many numbers side by side."""
    return (count + rows_per_vector(lane) - 1) // rows_per_vector(lane)


@device_function
def rows_to_lanes(lane, source, p, step, count, target, stride, start, stop):
    """Transpose rows of ``count`` numbers, the first from p on and ``step`` apart, into lanes, as
    vectors ``start`` to ``stop`` of the tile.

    source : shared; shorter rows than L are padded to it. target : (count, padded, * stride, L),
    unit-major.
    """
    L, extent = rows_per_vector(lane), lane_extent(lane)
    for s in range(start, stop):
        for i in range(0, count, L):
            u = max(0, min(i, count - L))  # the last square overlaps the one before
            square = load_square(lane, source, p + u, step)
            store_tile(lane, target, u * stride + s, stride, 0, extent, (0,), square)
        p += L * step


@device_function
def lanes_to_rows(lane, units, count, target, q, rows):
    """Transpose ``count`` units to be row by row.

    units : Units of (positions, L). target : rows from vector q on, as above.
    """
    L, numbers, extent = rows_per_vector(lane), flat(units.array), lane_extent(lane)
    width, step = vectors_of(lane, count), units.step
    for s in range(vectors_of(lane, rows)):
        for u in range(width):
            p = units.start + u * L * step + s
            square = load_square(lane, numbers, p * L, step * L)
            store_tile(lane, target, q + s * L * width + u, width, 0, extent, (0,), square)
