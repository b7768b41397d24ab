"""Ctrl-C as it comes from the keyboard: noted, and raised where no thread waits."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from shoal.running.interrupts import noting

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def press():
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_is_noted_and_raised_behind_the_block():
    said, before = [], signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as raised, noting(lambda: said.append("noted")):
        press()
        said.append("went on")
    assert said == ["noted", "went on"]
    assert raised.value.__context__ is None
    assert signal.getsignal(signal.SIGINT) is before


def test_the_first_ctrl_c_is_the_context_of_the_second():
    with pytest.raises(KeyboardInterrupt) as raised, noting(lambda: None):
        press()
        press()
    assert isinstance(raised.value.__context__, KeyboardInterrupt)


def test_a_block_that_does_not_end_is_left(monkeypatch):
    monkeypatch.setattr("shoal.running.interrupts._PATIENCE", 0)
    said = []
    with pytest.raises(KeyboardInterrupt), noting(lambda: None):
        press()
        time.sleep(0.01)
        press()
        said.append("went on")
    assert said == []


def test_an_error_of_the_block_is_not_hidden_and_the_handler_restored():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), noting(lambda: None):
        press()
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_python_does_not_handle_stays_as_it_is(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with noting(lambda: None):
            assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_handle_no_signals():
    before, seen = signal.getsignal(signal.SIGINT), []

    def look():
        with noting(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]


STORM = """
import collections, os, signal, threading, time, warnings
import numpy as np, shoal
from shoal.planning import cost_model

warnings.simplefilter("ignore")
cost_model.prefers_rows_in_lanes = cost_model.worth_a_team = lambda *given: True
random = np.random.default_rng(0)
X, y = random.random((1500, 20)).astype("f4"), random.random((1500, 2))
shared = dict(threads=3, progress=False)

def train(epochs, batch_size):
    if random.integers(2):
        shoal.sweep(X, y, {"seed": range(40)}, hidden=8, epochs=epochs, batch_size=64, **shared)
    else:
        shoal.fit(X, y, hidden=(32, 16), epochs=epochs, batch_size=batch_size, **shared)

def strike(after):
    time.sleep(after)
    os.kill(os.getpid(), signal.SIGINT)

for batch_size in (64, 64, 700, 700):
    train(2, batch_size)
print("begin", flush=True)
told = collections.Counter()
for _ in range(400):
    epochs, batch_size = int(random.choice([2, 5, 50])), int(random.choice([64, 700, 1500]))
    thread = threading.Thread(target=strike, args=(random.uniform(0, 0.01),))
    try:
        thread.start()
        train(epochs, batch_size)
        told["ended"] += 1
        thread.join()
    except KeyboardInterrupt:
        told["struck"] += 1
        while thread.is_alive():  # it strikes once
            time.sleep(0.001)
print(told["struck"] > 50, flush=True)
"""


def test_no_ctrl_c_leaves_threads_waiting():
    """In the middle of Python's own code for threads an exception would leave its locks held."""
    done = subprocess.run(
        [sys.executable, "-c", STORM], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "begin\nTrue\n", done.stderr
