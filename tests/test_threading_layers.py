"""numba's threading layers under hostile programs: right bits, no abort, no hang.

Each program is a process of its own, with a time limit. It prints the digest of a sweep that two
threads train, as often as it trains it.
"""

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import shoal
from shoal.kernels.launching import parallel

pytestmark = pytest.mark.kernels

TBB = Path(sys.prefix) / "lib"  # where its wheel puts the library
LAYERS = [
    pytest.param(
        "tbb",
        marks=pytest.mark.skipif(
            platform.machine() != "x86_64", reason="the extra test has tbb on x86-64 alone"
        ),
    ),
    pytest.param("omp"),
    pytest.param("workqueue"),
]

START = """
import hashlib, os, signal, sys, threading, time, warnings
import numpy as np
import numba
import shoal

X = np.linspace(-1, 1, 200).reshape(50, 4)
y = np.sin(X[:, 0] * 3)

def digest(sweep):
    parts = [a.tobytes() for model in sweep for a in (*model.weights, model.history.loss)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]

def train(threads=2, nets=150):
    grid = {"seed": range(nets), "hidden": [3, (4, 2)]}
    return digest(shoal.sweep(X, y, grid, epochs=60, threads=threads, progress=False))

@numba.njit(parallel=True)
def total(n):
    s = 0
    for i in numba.prange(n):
        s += i % 7
    return s

def say(text):
    print(text, flush=True)
"""

PROGRAMS = {
    "alone": """
say(train(1))
say(train())
assert numba.threading_layer() == os.environ["NUMBA_THREADING_LAYER"], numba.threading_layer()
assert shoal.info()["threading layer"].startswith(numba.threading_layer())
assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
numba.set_num_threads(1)
say(train(None))
say(train(2))
assert numba.get_num_threads() == 1
""",
    "forked after training": """
say(train())
child = os.fork()
if child == 0:
    say(train())
    grandchild = os.fork()
    if grandchild == 0:
        say(train())
        os._exit(0)
    os._exit(os.waitpid(grandchild, 0)[1])
assert os.waitpid(child, 0)[1] == 0
say(train())
""",
    "forked before training": """
child = os.fork()
if child == 0:
    say(train())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
say(train())
""",
    "forked after a loop of the user's own": """
total(1000)
child = os.fork()
if child == 0:
    say(train())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
say(train())
""",
    "a pool that forks": """
import multiprocessing
say(train())
with multiprocessing.get_context("fork").Pool(2) as pool:
    for text in pool.map(train, [2, 2, 2]):
        say(text)
say(train())
""",
    "threads of Python": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    for text in pool.map(train, [2] * 8):
        say(text)
say(train())
""",
    "joblib": """
import joblib
say(train())
for backend in ("threading", "loky"):
    for text in joblib.Parallel(2, backend=backend)(joblib.delayed(train)(2) for _ in range(3)):
        say(text)
say(train())
""",
    "a loop of the user's own before and after": """
assert total(1000) == sum(i % 7 for i in range(1000))
say(train())
assert total(1000) == sum(i % 7 for i in range(1000))
say(train())
""",
    "a loop of the user's own beside": """
total(10)
going = threading.Event()
def loop():
    while not going.is_set():
        assert total(100_000) == 299_997
beside = threading.Thread(target=loop)
beside.start()
try:
    for _ in range(5):
        say(train())
finally:
    going.set()
    beside.join()
""",
    "Ctrl-C": """
train(nets=2)
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    begin = time.perf_counter()
    sweep = shoal.sweep(X, y, {"seed": range(300)}, epochs=2_000_000, threads=2, progress=False)
assert time.perf_counter() - begin < 10
assert set(sweep.results["status"]) == {"interrupted"}
say(train())
say(train())
""",
    "Ctrl-C in threads of Python": """
from concurrent.futures import ThreadPoolExecutor
train(nets=2)
threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
with ThreadPoolExecutor(3) as pool:
    futures = [pool.submit(train) for _ in range(6)]
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass
    for future in futures:
        say(future.result())
""",
}
# Processes that start anew import the program, which so must be a file.
MAIN = """
if __name__ == "__main__":
    import multiprocessing
    for method in ("spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            for text in pool.map(train, [2, 2, 2]):
                say(text)
    say(train())
"""
COUNTS = {
    "alone": 4,
    "forked after training": 4,
    "forked before training": 2,
    "forked after a loop of the user's own": 2,
    "a pool that forks": 5,
    "threads of Python": 9,
    "joblib": 8,
    "a loop of the user's own before and after": 2,
    "a loop of the user's own beside": 5,
    "Ctrl-C": 2,
    "Ctrl-C in threads of Python": 6,
}


@pytest.fixture(scope="module")
def expected():
    """The digest of the sweep of one thread."""
    X = np.linspace(-1, 1, 200).reshape(50, 4)
    grid = {"seed": range(150), "hidden": [3, (4, 2)]}
    sweep = shoal.sweep(X, np.sin(X[:, 0] * 3), grid, epochs=60, threads=1, progress=False)
    parts = [a.tobytes() for model in sweep for a in (*model.weights, model.history.loss)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def run(layer, *command):
    """What a program prints, line by line."""
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    environment["LD_LIBRARY_PATH"] = f"{TBB}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", *command],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# numba ends a process whose threads enter the workqueue layer together
APART = {("a loop of the user's own beside", "workqueue")}


@pytest.mark.parametrize(
    "program, layer",
    [
        pytest.param(program, *layer.values, marks=layer.marks)
        for program in PROGRAMS
        for layer in LAYERS
        if (program, *layer.values) not in APART
    ],
)
def test_hostile_programs(program, layer, expected):
    assert run(layer, "-c", START + PROGRAMS[program]) == [expected] * COUNTS[program]


@pytest.mark.parametrize("layer", LAYERS)
def test_processes_that_start_anew(layer, expected, tmp_path):
    (tmp_path / "program.py").write_text(START + MAIN)
    assert run(layer, str(tmp_path / "program.py")) == [expected] * 7


def test_an_unknown_layer_is_one_sentence(monkeypatch):
    monkeypatch.setattr(numba.config, "THREADING_LAYER", "threads")
    with pytest.raises(ValueError) as raised:
        shoal.fit([[0.0], [1.0]], [0.0, 1.0], epochs=1)
    assert str(raised.value) == (
        "NUMBA_THREADING_LAYER = threads must be one of default, safe, forksafe, threadsafe, tbb, "
        "omp, workqueue"
    )


def test_a_layer_that_cannot_be_loaded_is_one_sentence(monkeypatch):
    def fail():
        raise ValueError("No threading layer could be loaded.\nHINT:\n")

    monkeypatch.setattr(numba, "get_num_threads", fail)
    with pytest.raises(
        ValueError, match="^NUMBA_THREADING_LAYER = .* must be a layer that"
    ) as said:
        parallel.choose_layer()
    assert "\n" not in str(said.value)


def test_more_threads_than_numba_has(capsys):
    grid = {"seed": range(3)}
    shoal.sweep([[0.0], [1.0]], [0.0, 1.0], grid, epochs=1, threads=1000, verbose=True)
    most = numba.config.NUMBA_NUM_THREADS
    assert capsys.readouterr().out.startswith(f"threads = 1000: numba has {most}, which divide")
