"""Numbers are copied, a vector of them at a time."""

from ..code.compilation import device_function
from .access import load_some, store_tile_across
from .shapes import lane_extent


@device_function
def copy(lane, source, p, target, q, count):
    """Copy ``count`` numbers. source, target : shared."""
    one, L = (0,), len(lane_extent(lane))
    for k in range(0, count, L):
        vector = load_some(lane, source, p + k, count - k)
        store_tile_across(lane, target, q + k, 0, 1, count - k, one, one, (vector,))
