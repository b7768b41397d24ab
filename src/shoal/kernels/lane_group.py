"""The lanes that a kernel computes in, as Python sees them."""

import numpy as np


class LaneGroup:
    """CPU value of ``lane``: L nets side by side, or L rows of one. It carries a type, no data.

    Parameters
    ----------
    dtype : float32 or float64
    n : int
        Lanes L of the group.
    tile : (int, int)
        Register tiles' extent: units by rows (or by inputs).
    rows : int
        Rows side by side in a vector: 1 where lanes are nets, L where they are rows.
    """

    def __init__(self, dtype, n, tile=(1, 1), rows=1):
        self.dtype, self.n, self.tile, self.rows = np.dtype(dtype), n, tile, rows

    @property
    def key(self):
        """What tells groups of different types apart."""
        return self.dtype.char, self.n, self.tile, self.rows
