"""Philox4x32-10 (Salmon et al., SC 2011): random numbers by position, not by history.

The key is a net's seed, the counter names what is drawn: never a thread, a lane or a shard.
Counter words: (block, layer, epoch, stream).
"""

import numpy as np

from .elementary import circle, log
from .jit import body
from .lanes import lane_range, square_root

INITIAL_WEIGHTS, ROW_ORDER = range(2)  # streams

# codes of initial weights: U(-1, 1) times a factor, or standard normal times a factor
UNIFORM, NORMAL = range(2)

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_FIVE, _SIX = np.uint64(5), np.uint64(6)


@body
def philox(c0, c1, c2, c3, seed):
    """Four random 32-bit words, as uint64, of a counter of four 32-bit words and a 64-bit key."""
    c0, c1, c2, c3 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    k0, k1 = seed & _LOW, seed >> _HALF
    for _ in range(10):
        p0, p1 = c0 * _MULTIPLIER_0, c2 * _MULTIPLIER_1
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


@body
def shuffle(order, seed, epoch):
    """Fill ``order`` (n,) int32 with the row order of an epoch: Fisher-Yates from the identity.

    The index below i + 1 is the high half of word * (i + 1): its bias is under n / 2**32.
    """
    n = len(order)
    for i in range(n):
        order[i] = i
    words = (np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0))
    for i in range(n - 1, 0, -1):
        if i % 4 == 3 or i == n - 1:
            words = philox(i // 4, 0, epoch, ROW_ORDER, seed)
        j = np.int64((words[i % 4] * np.uint64(i + 1)) >> _HALF)
        order[i], order[j] = order[j], order[i]


@body
def shuffle_group(lane, orders, seeds, epoch, lanes_of):
    """Row orders of a group: one for all where ``orders`` is (1, n), one a net where it is (L, n).

    seeds : (L,) uint64. lanes_of : any array (positions, L).
    """
    if len(orders) == 1:
        shuffle(orders[0], seeds[0], epoch)
    else:
        for q in lane_range(lane, lanes_of):
            shuffle(orders[q], seeds[q], epoch)


@body
def initial_weights(params, q, start, inputs, units, layer, seed, code, factor):
    """Fill the weights of one layer of net q. params : (P, L), unit-major from ``start``.

    Weight (i, u) is draw number i * units + u, whatever the layout; drawn in float64, so that both
    dtypes start alike. Box & Muller 1958 for normals.
    """
    for pair in range((inputs * units + 1) // 2):
        r0, r1, r2, r3 = philox(pair, layer, 0, INITIAL_WEIGHTS, seed)
        even = np.float64((r0 >> _FIVE) * np.uint64(67108864) + (r1 >> _SIX)) / 9007199254740992.0
        odd = np.float64((r2 >> _FIVE) * np.uint64(67108864) + (r3 >> _SIX)) / 9007199254740992.0
        if code == NORMAL:
            radius = square_root(-2.0 * log(1.0 - even))
            cosine, sine = circle(odd)
            even, odd = radius * cosine, radius * sine
        else:
            even, odd = 2.0 * even - 1.0, 2.0 * odd - 1.0
        p = 2 * pair
        params[start + p % units * inputs + p // units, q] = even * factor
        if p + 1 < inputs * units:
            p += 1
            params[start + p % units * inputs + p // units, q] = odd * factor
