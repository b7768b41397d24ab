"""Numbers are copied, a vector of them at a time."""

from ..code.compilation import device_function
from .access import load_some, store_some, width_of


@device_function
def copy(lane, source, p, target, q, count):
    """Copy ``count`` numbers. source, target : shared."""
    for k in range(0, count, width_of(lane, target)):
        left = count - k
        store_some(lane, target, q + k, left, load_some(lane, source, p + k, left))
