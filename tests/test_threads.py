"""Threads that cannot be started, end late, are none, or are there at a fork."""

import os
import platform
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import oracle
import pytest

import shoal
from shoal.kernels.launching import parallel
from shoal.kernels.launching.threads import Helpers, can_start

pytestmark = pytest.mark.kernels

rng = np.random.default_rng(5)
X, y = rng.random((600, 8)), rng.random(600)
# many nets, a net whose layers threads divide, one whose batch they divide
WORK = {
    "nets": lambda threads: shoal.sweep(
        X, y, {"seed": range(200)}, hidden=8, epochs=20, threads=threads
    )[7],
    "layers": lambda threads: shoal.fit(X, y, hidden=(128, 64), epochs=3, threads=threads),
    "blocks": lambda threads: shoal.fit(
        X, y, hidden=(64, 64), epochs=10, batch_size=None, record_every=5, threads=threads
    ),
}
works = pytest.mark.parametrize("work", WORK.values(), ids=WORK)


def cannot_start(self):
    raise RuntimeError("can't start new thread")


class Greenlet(threading.Thread):
    """As gevent's: it runs in the native thread that starts it."""

    def start(self):
        self.run()

    def join(self, timeout=None):
        pass


def test_helpers_that_cannot_be_started_are_not_waited_for(monkeypatch):
    ran = []
    assert can_start(3)
    monkeypatch.setattr(threading.Thread, "start", cannot_start)
    helpers = Helpers([lambda: ran.append(1)])
    helpers.join()
    assert (helpers.count, ran) == (0, [])
    assert can_start(0) and not can_start(1)


def test_helpers_raise_what_they_raised():
    def fail():
        raise MemoryError("none is left")

    helpers = Helpers([fail])
    with pytest.raises(MemoryError, match="none is left"):
        helpers.join()


@works
@pytest.mark.parametrize("kind", ["none", "greenlets"])
@pytest.mark.parametrize("layer", ["numba's", "Python's"])
def test_one_thread_does_the_work(monkeypatch, work, kind, layer):
    expected = work(1)
    oracle.assert_same_bits(work(2), expected)
    if layer == "Python's":
        monkeypatch.setattr(parallel, "layer", lambda: None)
        monkeypatch.setattr(parallel, "can_start", lambda count: False)
    if kind == "none":
        monkeypatch.setattr(threading.Thread, "start", cannot_start)
    else:
        monkeypatch.setattr(threading, "Thread", Greenlet)
    oracle.assert_same_bits(work(3), expected)


def run(program, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], env={**os.environ, **environment},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


START = """
import os, sys, threading, time
import numpy as np, shoal
X = np.random.default_rng(0).random((600, 8))
def work(threads=2):
    sweep = shoal.sweep(X, X[:, 0], {"seed": range(200)}, hidden=8, epochs=20, threads=threads)
    model = shoal.fit(X, X[:, 0], hidden=(128, 64), epochs=3, threads=threads)
    return sweep[7].weights + model.weights
def same(found, right):
    return all((a == b).all() for a, b in zip(found, right))
"""


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(
            "tbb",
            marks=pytest.mark.skipif(
                platform.machine() != "x86_64", reason="the extra test has tbb on x86-64 alone"
            ),
        ),
        "omp",
        "workqueue",
    ],
)
def test_no_layer_is_started_where_its_threads_cannot_be(layer):
    """GNU OpenMP would end the process."""
    done = run(
        START
        + """
expected = work(1)
def cannot_start(self):
    raise RuntimeError("can't start new thread")
start, threading.Thread.start = threading.Thread.start, cannot_start
from shoal.kernels.launching import parallel
print(same(work(), expected), parallel.layer())
threading.Thread.start = start
print(same(work(), expected), parallel.layer() is not None)
""",
        NUMBA_THREADING_LAYER=layer,
        LD_LIBRARY_PATH=f"{sys.prefix}/lib",  # where tbb's wheel puts its library
    )
    assert done.stdout == "True None\nTrue True\n", done.stderr


ENDS = {
    "a thread that outlives the main one": """
def late():
    threading.main_thread().join()
    time.sleep(0.2)
    print(len(work()))
threading.Thread(target=late).start()
""",
    "an exit handler": """
import atexit
atexit.register(lambda: print(len(work())))
""",
    "an exit handler, after a first training": """
import atexit
work()
atexit.register(lambda: print(len(work())))
""",
}


@pytest.mark.parametrize("end", ENDS)
def test_training_at_the_end_of_a_program(end):
    done = run(START + ENDS[end])
    assert (done.stdout, done.stderr, done.returncode) == ("5\n", "", 0)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("nets", [1, 50])
def test_ctrl_c_ends_a_program_that_trains_in_a_daemon_thread(nets):
    program = (
        START
        + f"""
def forever():
    grid = {{"seed": range({nets})}}
    shoal.sweep(X, X[:, 0], grid, hidden=(128, 64), epochs=1_000_000, threads=2)
work()
threading.Thread(target=forever, daemon=True).start()
time.sleep(0.5)
print("ready", flush=True)
time.sleep(600)
"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            begin = time.monotonic()
            _, errors = process.communicate(timeout=60)
            seconds = time.monotonic() - begin
        finally:
            process.kill()
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode in (-signal.SIGINT, 1)
    assert seconds < 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_another_thread_compiles(tmp_path):
    program = """
import os, signal, sys, threading, time
from shoal.kernels.code import compilation, objects

def function(k):
    space = {"cached": compilation.cached}
    exec("def f%d(a):\\n    return a + %d" % (k, k), space)
    return compilation.cached()(space["f%d" % k])

import numba
begun = threading.Event()
compilation.internals()
def compile_long():
    ours, lock_of_numba = objects.locks
    with ours, lock_of_numba:
        begun.set()
        time.sleep(0.5)
        function(1)(1.0)
thread = threading.Thread(target=compile_long)
thread.start()
begun.wait()
child = os.fork()
if not child:
    signal.alarm(60)
    os._exit(0 if function(2)(1.0) == 3.0 else 1)
thread.join()
assert function(3)(1.0) == 4.0
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = run(program, SHOAL_CACHE_DIR=str(tmp_path), PYTHONWARNINGS="ignore")
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_block_of_one_group_leaves_all_threads_to_the_others(monkeypatch):
    threads, run = [], parallel._run

    def note(count, arguments):
        threads.append(count)
        return run(count, arguments)

    monkeypatch.setattr(parallel, "_run", note)
    X = np.random.default_rng(0).random((200, 4))
    grid = [{"hidden": [8], "seed": range(200)}, {"hidden": [5], "seed": [0]}]
    shoal.sweep(X, X[:, 0], grid, epochs=30, threads=2, progress=False)
    assert max(threads) == 2
