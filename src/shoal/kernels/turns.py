"""Numbers of one net change places: rows that stand one after the other, and rows in lanes."""

from .jit import body
from .lanes import fetch_square, flat, lane_extent, rows_of, store_tile


@body
def values_of(lane, count):
    """How many values hold so many numbers side by side."""
    return (count + rows_of(lane) - 1) // rows_of(lane)


@body
def rows_to_lanes(lane, source, count, target, stride, rows):
    """Turn rows of ``count`` numbers to stand in lanes.

    source : (rows * width, L), each row padded to whole values. target : (count, padded, * stride,
    L), unit-major.
    """
    L, numbers, extent = rows_of(lane), flat(source), lane_extent(lane)
    width = values_of(lane, count) * L
    for s in range(values_of(lane, rows)):
        for i in range(0, count, L):
            square = fetch_square(lane, numbers, s * L * width + i, width)
            store_tile(lane, target, i * stride + s, stride, 0, extent, (0,), square)


@body
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
