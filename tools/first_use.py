"""Measure how long it takes from the first use of a kernel until it runs, by where its machine code
comes from, and draw docs/first_use.svg.

python tools/first_use.py
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

FILE = Path(__file__).parents[1] / "docs" / "first_use.svg"
PROGRAM = """
import time, numpy as np, shoal
from shoal.kernels.code import objects
from shoal.kernels.launching import kernels
from shoal.planning import cost_model
from shoal.kernels.code.environment import register_bytes

lane = cost_model.row_width("float64", register_bytes(), small=True).group("float64")
begin = time.perf_counter()
kernels.TRAIN_ROWS_IN_LANES.entry(lane)
print(time.perf_counter() - begin)

function = objects.Specialised.function
def timed(made):
    begin = time.perf_counter()
    result = function(made)
    print(time.perf_counter() - begin)
    return result
objects.Specialised.function = timed
X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1.0]])
shoal.train(X, X[:, :1], [np.zeros((3, 4)), np.zeros((4, 1))], epochs=1, specialise=True)
"""
TURNS = 5


def measure(cache):
    """Seconds of the kernel, and of the one that is specialised."""
    environment = {**os.environ, "SHOAL_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True, text=True
    )
    return map(float, done.stdout.split())


def forget(cache, pattern):
    """Delete files of the cache."""
    for path in Path(cache).rglob(pattern):
        path.unlink()


def main():
    """Measure and draw."""
    ways = {
        "general: by numba": "*",
        "general: from bitcode": "train_rows_in_lanes-[!s]*.kernel",
        "general: from its object file": "",
        "for the tutorial's net: from bitcode": "train_rows_in_lanes-s*.kernel",
        "for the tutorial's net: from its object file": "",
    }
    times = {}
    with tempfile.TemporaryDirectory() as cache:
        for number, (way, pattern) in enumerate(ways.items()):
            taken = []
            for _ in range(1 if pattern == "*" else TURNS):
                if pattern:
                    forget(cache, pattern)
                general, specialised = measure(cache)
                taken.append(general if number < 3 else specialised)
            times[way] = sorted(taken)[len(taken) // 2]
            print(f"{way}: {times[way]:.4f} s")
    matplotlib.rcParams.update({"svg.hashsalt": "shoal", "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
    axes.barh(range(len(times)), list(times.values()), color="#1f77b4")
    for place, seconds in enumerate(times.values()):
        axes.text(1.1 * seconds, place, f"{seconds:.2g} s", va="center", fontsize=9)
    axes.set_yticks(range(len(times)), list(times), fontsize=9)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(right=4 * max(times.values()))
    axes.set_xlabel("seconds until the kernel runs")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(FILE, metadata={"Date": None})


if __name__ == "__main__":
    main()
