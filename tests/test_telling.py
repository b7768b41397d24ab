"""Nothing that only tells may end a training: standard error that is missing, closed or full."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import shoal
from shoal.kernels.code.telling import tell, warn, warn_of_result
from shoal.running.progress import Bar, monitor

pytestmark = pytest.mark.kernels

rng = np.random.default_rng(2)
X, y = rng.random((40, 3)), rng.random(40)


def closed():
    stream = open(os.devnull, "w")
    stream.close()
    return stream


def broken():
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w", buffering=1)


class Wrong:
    """What a program may put there to catch what is printed."""

    def write(self, text):
        raise RuntimeError("no")


STREAMS = {
    "none": lambda: None,
    "closed": closed,
    "a broken pipe": broken,
    "full": lambda: open("/dev/full", "w", buffering=1),
    "wrong": Wrong,
}


@pytest.fixture(params=STREAMS)
def nobody(request, monkeypatch):
    """Standard output and error that cannot be written to."""
    if request.param == "full" and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    stream = STREAMS[request.param]()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(Bar, "_said", False)
    yield stream
    monkeypatch.undo()
    for close in (getattr(stream, "close", None),):
        if close is not None:
            try:
                close()
            except OSError:  # what it could not write
                pass


@pytest.mark.parametrize("progress", [None, True])
def test_a_training_goes_on(nobody, progress):
    for _ in range(2):
        sweep = shoal.sweep(X, y, {"seed": range(40)}, epochs=20, progress=progress, verbose=True)
        assert set(sweep.results["status"]) == {"finished"}
        assert shoal.fit(X, y, epochs=5, progress=progress).status == "finished"
        assert len(shoal.train(X, y, [np.zeros((3, 1))], epochs=5, progress=progress)) == 5


@pytest.mark.parametrize("progress", [None, True])
def test_all_that_a_monitor_does(nobody, progress):
    bar = monitor(progress)
    bar.compiling()
    bar.begin(100, 10.0)
    for _ in range(5):
        bar.advance(20.0)
    bar.end()
    bar.advance(1.0)


def show(message, *about):
    """As Python does it, where pytest would keep the warning."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def test_warnings_and_lines(nobody, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show)
        warn("before")
        warn_of_result("after")
    tell("a line", sys.stderr)


def test_a_warning_before_a_training_is_an_error_where_the_user_says_so():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="before"):
            warn("before")
        warn_of_result("after")


PROGRAM = """
import os, sys
{before}
import numpy as np, shoal
X = np.random.default_rng(0).random((40, 3))
sweep = shoal.sweep(X, X[:, 0], {{"seed": range(50)}}, epochs=200)
model = shoal.fit(X, X[:, 0], epochs=5, learning_rate=1e300, optimizer="sgd")
open(sys.argv[1], "w").write(" ".join([*set(sweep.results["status"]), model.status]))
"""


@pytest.mark.parametrize(
    "before", ["os.close(2)", "os.close(1); os.close(2)", "sys.stderr = sys.stdout = None"]
)
def test_a_process_without_standard_error(tmp_path, before):
    """With a cache of nothing, so that it also says that it compiles."""
    told = tmp_path / "told"
    program = PROGRAM.format(before=before)
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}  # which takes no time to compile
    done = subprocess.run(
        [sys.executable, "-c", program.replace("epochs=200", "epochs=2"), str(told)],
        env=environment, stdin=subprocess.DEVNULL, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    assert told.read_text() == "finished diverged"
