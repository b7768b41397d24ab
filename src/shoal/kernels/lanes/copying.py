"""Numbers are copied, as many at once as there are lanes."""

from ..code.compilation import device_function
from .primitives import lane_extent, load_some, store_tile_across


@device_function
def copy(lane, source, p, target, q, count):
    """Copy ``count`` numbers. source, target : shared."""
    one, L = (0,), len(lane_extent(lane))
    for k in range(0, count, L):
        value = load_some(lane, source, p + k, count - k)
        store_tile_across(lane, target, q + k, 0, 1, count - k, one, one, (value,))
