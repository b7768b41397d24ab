"""What only a new process can tell: the seconds of its first sweep, the memory of a large one."""

import json
import os
import subprocess
import sys
import tempfile
import time

from .asv_start import FIRST_SWEEP

LARGE_SWEEP = """
import json, resource, sys
import numpy as np
import shoal

def peak():
    try:  # of this program alone; ru_maxrss also counts what the process was before it
        with open("/proc/self/status") as status:
            return 1024 * next(int(line.split()[1]) for line in status if "VmHWM" in line)
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

imported = peak()
X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32)
y = np.array([[0], [1], [1], [0]], np.float32)
settings = {"hidden": 4, "epochs": EPOCHS, "record_every": EPOCHS, **shoal.TUTORIAL}
sweep = shoal.sweep(X, y, {"seed": range(NETS)}, **settings)
columns = sum(column.nbytes for column in sweep.results.values())
weights = NETS * sum(w.nbytes for w in sweep[0].weights)
# plain sgd keeps nothing but the weights
print(json.dumps({"imported": imported, "peak": peak(), "weights": weights, "columns": columns}))
"""


def _seconds(program, **variables):
    """Of a program with these environment variables, its modules compiled to byte code as those of
    an installed package are."""
    environment = os.environ | variables
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    return time.perf_counter() - start


def first_sweep(turns):
    """Return the seconds of an empty program and of a first sweep, kernels on disk, by turns."""
    _seconds(FIRST_SWEEP)  # so that they are there
    pairs = [(_seconds(""), _seconds(FIRST_SWEEP)) for _ in range(turns)]
    return {"Python alone": [a for a, _ in pairs], "Shoal": [b for _, b in pairs]}


def first_sweep_ever():
    """Return the seconds of a first sweep that compiles all that it needs."""
    with tempfile.TemporaryDirectory() as folder:
        return _seconds(FIRST_SWEEP, SHOAL_CACHE_DIR=folder)


def memory(nets, epochs):
    """Return the bytes of a sweep in a new process.

    Returns
    -------
    dict
        ``imported``: most of the process before the sweep; ``peak``: most of all; ``weights`` and
        ``columns``: those of all nets, and of the columns of results.
    """
    program = LARGE_SWEEP.replace("NETS", str(nets)).replace("EPOCHS", str(epochs))
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)
