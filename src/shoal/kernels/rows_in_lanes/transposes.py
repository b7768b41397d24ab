"""Numbers of one net change places: rows that stand one after the other, and rows in lanes."""

from ..code.compilation import device_function
from ..lanes.primitives import fetch_square, flat, lane_extent, rows_of, store_tile


@device_function
def values_of(lane, count):
    """How many values hold so many numbers side by side."""
    return (count + rows_of(lane) - 1) // rows_of(lane)


@device_function
def rows_to_lanes(lane, source, p, step, count, target, stride, first, last):
    """Turn rows of ``count`` numbers, the first from p on and ``step`` apart, to stand in lanes, as
    values ``first`` to ``last`` of the tile.

    source : shared; shorter rows than L are padded to it. target : (count, padded, * stride, L),
    unit-major.
    """
    L, extent = rows_of(lane), lane_extent(lane)
    for s in range(first, last):
        for i in range(0, count, L):
            u = max(0, min(i, count - L))  # the last square overlaps the one before
            square = fetch_square(lane, source, p + u, step)
            store_tile(lane, target, u * stride + s, stride, 0, extent, (0,), square)
        p += L * step


@device_function
def lanes_to_rows(lane, source, p, stride, count, target, q, rows):
    """Turn ``count`` units, from value p on, to stand row by row.

    source : (positions, L), unit-major. target : rows from value q on, like above.
    """
    L, numbers, extent = rows_of(lane), flat(source), lane_extent(lane)
    width = values_of(lane, count)
    for s in range(values_of(lane, rows)):
        for u in range(width):
            square = fetch_square(lane, numbers, (p + u * L * stride + s) * L, stride * L)
            store_tile(lane, target, q + s * L * width + u, width, 0, extent, (0,), square)
