"""Long sums: 16 interleaved partial sums, combined pairwise."""

from ..code.compilation import device_function
from ..lanes.access import load, store
from ..lanes.primitives import broadcast
from ..lanes.shapes import rows_per_vector
from ..layout import PARTIALS


@device_function
def partials_of(lane):
    """How many vectors the partial sums are."""
    return PARTIALS // rows_per_vector(lane)


@device_function
def add_partial(lane, sums, k, number):
    """Add to partial sum k. sums : (positions, L)."""
    store(lane, sums, k, load(lane, sums, k) + number)


@device_function
def combine(lane, sums, start):
    """Sum of the 16 partial sums from ``start``, combined pairwise; they are set to +0 again.

    sums : (positions, L).
    """
    width = PARTIALS // 2
    while width > 0:
        for k in range(start, start + width):
            store(lane, sums, k, load(lane, sums, k) + load(lane, sums, k + width))
        width //= 2
    total = load(lane, sums, start)
    zero = broadcast(lane, 0.0)
    for k in range(start, start + PARTIALS):
        store(lane, sums, k, zero)
    return total
