"""Row orders of numpy's `RandomState`: its Mersenne Twister, and its way of shuffling.

Source: Matsumoto & Nishimura, ACM TOMACS 8 (1998) 3-30. `RandomState.shuffle` draws an index below
i + 1 as the low bits of a word, and takes the next word while that is too large.
"""

import numpy as np

from ..code.compilation import device_function

SIZE = 624  # words of its state
_MIDDLE = 397
_UPPER, _LOWER, _TWIST = 0x80000000, 0x7FFFFFFF, 0x9908B0DF


@device_function
def _twisted(state, k, following, middle):
    """The next word k of a state."""
    word = (np.int64(state[k]) & _UPPER) | (np.int64(state[following]) & _LOWER)
    return np.uint32(np.int64(state[middle]) ^ (word >> 1) ^ (_TWIST * (word & 1)))


@device_function
def _next_state(state):
    """Replace a state by the next one."""
    for k in range(SIZE - _MIDDLE):
        state[k] = _twisted(state, k, k + 1, k + _MIDDLE)
    for k in range(SIZE - _MIDDLE, SIZE - 1):
        state[k] = _twisted(state, k, k + 1, k + _MIDDLE - SIZE)
    state[SIZE - 1] = _twisted(state, SIZE - 1, 0, _MIDDLE - 1)


@device_function
def temper(state, words):
    """Random words of a state. state, words : (624,) uint32."""
    for k in range(SIZE):
        word = np.int64(state[k])
        word ^= word >> 11
        word ^= (word << 7) & 0x9D2C5680
        word ^= (word << 15) & 0xEFC60000
        words[k] = np.uint32(word ^ (word >> 18))


@device_function(inline="never")
def permute(order, state, position, words):
    """Shuffle ``order`` (n,) in place; the generator's next position.

    A word that is too large swaps a row with itself: without branches that cannot be predicted it
    takes 3 ns a row, with them 9.

    state : (624,) uint32, of which the words before ``position`` are used up. words : of `temper`.
    """
    i, mask = len(order) - 1, 1
    while mask < i:
        mask = 2 * mask + 1
    while i > 0:
        low = mask >> 1
        while i > low:
            if position == SIZE:
                _next_state(state)
                temper(state, words)
                position = 0
            stop = min(SIZE, position + i - low)  # at most one row a word
            for k in range(position, stop):
                drawn = np.int64(words[k]) & mask
                fits = drawn <= i
                j = drawn if fits else i
                order[i], order[j] = order[j], order[i]
                i -= int(fits)
            position = stop
        mask = low
    return position
