"""asv: what a new process waits for."""

FIRST_SWEEP = """
import numpy as np
import shoal
X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32)
y = np.array([[0], [1], [1], [0]], np.float32)
shoal.sweep(X, y, {"seed": range(64)}, hidden=4, epochs=1, **shoal.TUTORIAL)
"""
EMPTY_CACHE = """
import os, tempfile
folder = tempfile.TemporaryDirectory()
os.environ["SHOAL_CACHE_DIR"] = folder.name
"""


def timeraw_import():
    return "import shoal"


class FirstCall:
    """The first sweep of a process, with compiled code on disk."""

    repeat = 5

    def setup(self):
        exec(FIRST_SWEEP, {})

    def timeraw_first_sweep(self):
        return FIRST_SWEEP


class FirstCallEver:
    """The first sweep of all, with nothing on disk: it compiles. One sample says enough."""

    rounds = repeat = min_run_count = 1
    warmup_time = 0

    def timeraw_first_sweep(self):
        return FIRST_SWEEP, EMPTY_CACHE
