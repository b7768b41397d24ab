"""Long sums: 16 interleaved partial sums, combined pairwise."""

from ..code.compilation import device_function
from ..lanes.primitives import load, rows_of, splat, store
from ..layout import PARTIALS as PARTIALS


@device_function
def partials_of(lane):
    """How many values the partial sums are."""
    return PARTIALS // rows_of(lane)


@device_function
def add_partial(lane, sums, k, value):
    """Add to partial sum k. sums : (positions, L)."""
    store(lane, sums, k, load(lane, sums, k) + value)


@device_function
def combine(lane, sums, first):
    """Sum of the 16 partial sums from ``first``, combined pairwise; they are set to +0 again.

    sums : (positions, L).
    """
    width = PARTIALS // 2
    while width > 0:
        for k in range(first, first + width):
            store(lane, sums, k, load(lane, sums, k) + load(lane, sums, k + width))
        width //= 2
    total = load(lane, sums, first)
    zero = splat(lane, 0.0)
    for k in range(first, first + PARTIALS):
        store(lane, sums, k, zero)
    return total
