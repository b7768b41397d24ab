"""asv: what a new process waits for."""

FIRST_SWEEP = """
import numpy as np
import shoal
X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32)
y = np.array([[0], [1], [1], [0]], np.float32)
shoal.sweep(X, y, {"seed": range(64)}, hidden=4, epochs=1, **shoal.TUTORIAL)
"""


def timeraw_import():
    return "import shoal"


class FirstCall:
    """The first sweep of a process, with compiled code on disk."""

    def setup(self):
        exec(FIRST_SWEEP, {})

    def timeraw_first_sweep(self):
        return FIRST_SWEEP
