"""Ctrl-C: within half a second, to the last whole epoch, bit for bit; and the progress bar."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from launches import set_seconds, stop_after

import shoal
from shoal.kernels.code import forked, objects
from shoal.kernels.launching import kernels, parallel
from shoal.planning import cost_model
from shoal.running.progress import Bar, monitor
from shoal.running.run import Run
from shoal.running.scheduler import Scheduler

pytestmark = [
    pytest.mark.kernels,
    pytest.mark.skipif(os.name != "posix", reason="signals of POSIX"),
]

# Work of hours; "ready" is printed half a second after it began.
PROGRAM = """
import json, os, signal, sys, threading, time, warnings
import numpy as np
import shoal

case = json.loads(sys.argv[1])
rng = np.random.default_rng(0)
X, y = rng.random((case["rows"], 4)), rng.random(case["rows"])
weights = [rng.random((4, 8)) - 0.5, rng.random((8, 1)) - 0.5]
started = [w.copy() for w in weights]
sgd = {"batch_size": 32, "learning_rate": 0.01}

grid = {"hidden": [(4,), (6, 3)], "seed": range(case["nets"])}

# compiled, or read from the disk, before the clock runs
shoal.train(X, y, [w.copy() for w in weights], epochs=1, specialise=True, **sgd)
shoal.sweep(X[:40], y[:40], {"seed": range(64)}, epochs=500)  # on several threads
if case["call"] == "fit":
    shoal.fit(X, y, epochs=1, specialise=True)
if case["call"] == "sweep":
    shoal.sweep(X, y, grid, epochs=1, specialise=True)

told = {}
threading.Timer(0.5, lambda: print("ready", flush=True)).start()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        if case["call"] == "train":
            shoal.train(X, y, weights, epochs=1_000_000, **sgd)
        if case["call"] == "fit":
            sweep = [shoal.fit(X, y, epochs=1_000_000)]
            results = {name: np.array([value]) for name, value in sweep[0].results.items()}
            told["end"] = time.time()
        if case["call"] == "sweep":
            sweep = shoal.sweep(X, y, grid, epochs=1_000_000)
            told["end"], results = time.time(), sweep.results
    except KeyboardInterrupt:
        told["end"], told["raised"] = time.time(), True


def end(*signal):  # fit would return what it has
    print("KeyboardInterrupt", file=sys.stderr, flush=True)
    os._exit(1)


signal.signal(signal.SIGINT, end)
if "raised" not in told:
    told["warnings"] = [str(w.message) for w in caught]
    told |= {name: results[name].tolist() for name in ("epochs", "status", "score")}
    for i in {0, max(case["nets"] - 1, 0), len(sweep) - 1}:
        model = sweep[i]
        again = shoal.fit(X, y, **model.settings | {"epochs": told["epochs"][i]})
        pairs = zip(model.weights + model.biases, again.weights + again.biases)
        told.setdefault("same", []).append(all(bool((a == b).all()) for a, b in pairs))
elif case["call"] == "train":  # sgd has no state: train on, epoch by epoch, until they are met
    for epochs in range(20_000):
        if all(bool((a == b).all()) for a, b in zip(started, weights)):
            told["epochs"] = epochs
            break
        shoal.train(X, y, started, epochs=1, **sgd)
print(json.dumps(told))
"""


def interrupt(call, rows, nets=0, times=1):
    """What the program tells, and the seconds that it took to stop; None where it died."""
    case = json.dumps({"call": call, "rows": rows, "nets": nets})
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, case],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            begin = time.time()
            for _ in range(times):
                process.send_signal(signal.SIGINT)
                time.sleep(0.005)
            out, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    if not out:
        assert "KeyboardInterrupt" in errors
        return None, None
    told = json.loads(out)
    return told, told["end"] - begin


@pytest.mark.parametrize(
    ("rows", "nets"),
    [
        (2_000, 2),  # short epochs
        (100_000, 1),  # launches end inside an epoch
        (100_000, 1_000),  # most nets are not begun
        (50, 20_000),  # many short nets
    ],
)
def test_ctrl_c_returns_the_partial_sweep(rows, nets):
    told, seconds = interrupt("sweep", rows, nets)
    assert seconds < 2  # 0.05 to 0.2 s on an idle machine
    assert told["warnings"] == [
        "the sweep was interrupted: nets that were not finished hold their last whole epoch"
    ]
    assert set(told["status"]) == {"interrupted"}
    assert max(told["epochs"]) > 0
    assert all(told["same"])


@pytest.mark.parametrize("rows", [2_000, 100_000])
def test_ctrl_c_returns_the_net_of_a_fit(rows):
    told, seconds = interrupt("fit", rows)
    assert seconds < 2
    assert told["warnings"] == ["the training was interrupted: the net holds its last whole epoch"]
    assert (told["status"], told["same"]) == (["interrupted"], [True])
    assert told["epochs"][0] > 0


def test_a_second_ctrl_c_raises():
    """Those that come within one launch, of 0.15 s, count as one."""
    told, _ = interrupt("sweep", 2_000, 2, times=100)
    assert told is None or told["raised"]


@pytest.mark.parametrize("rows", [5_000, 100_000])
def test_ctrl_c_leaves_train_with_the_last_whole_epoch(rows):
    told, seconds = interrupt("train", rows)
    assert told["raised"]
    assert seconds < 2
    assert told["epochs"] > 0


X, y = np.random.default_rng(0).random((30, 3)), np.random.default_rng(1).random(30)


@pytest.mark.parametrize("moment", ["train", "evaluate"])
def test_ctrl_c_at_any_moment_returns_a_sweep(monkeypatch, moment):
    """Also while kernels are compiled, and when all nets are trained and are being scored."""
    owner, name = {"train": (Scheduler, "_launch"), "evaluate": (Run, "evaluate")}[moment]
    original, calls = getattr(owner, name), []

    def strike(self, *arguments):
        if not calls:
            calls.append(1)
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(owner, name, strike)
    with pytest.warns(UserWarning, match="the sweep was interrupted") as caught:
        sweep = shoal.sweep(X, y, {"seed": range(3)}, epochs=5)
    assert caught[0].filename == __file__
    done = moment == "evaluate"
    assert sweep.results["status"].tolist() == ["finished" if done else "interrupted"] * 3
    assert sweep.results["epochs"].tolist() == [5 if done else 0] * 3
    assert np.isfinite(sweep.results["score"]).all()


def test_a_fit_is_kept_where_warnings_are_errors(monkeypatch, caplog):
    def strike(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Scheduler, "_launch", strike)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = shoal.fit(X, y, epochs=5)
        sweep = shoal.sweep(X, y, {"seed": range(3)}, epochs=5)
    assert model.status == model.history.status == "interrupted"
    assert set(sweep.results["status"]) == {"interrupted"}
    assert [record.message for record in caplog.records] == [
        "the training was interrupted: the net holds its last whole epoch",
        "the sweep was interrupted: nets that were not finished hold their last whole epoch",
    ]


def test_a_second_ctrl_c_while_threads_end_is_raised(monkeypatch):
    def strike(self):
        try:
            raise KeyboardInterrupt
        finally:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "train", strike)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KeyboardInterrupt):
            shoal.sweep(X, y, {"seed": range(3)}, epochs=5)


def test_an_error_in_a_thread_is_not_lost(monkeypatch):
    def fail(*arguments):
        raise MemoryError("none is left")

    entry = kernels.TAKE_SLICES.entry(parallel._LANE)
    monkeypatch.setattr(entry, "call", fail)
    monkeypatch.setattr(forked, "is_child", True)  # so that there are Python's threads
    for nets in (40, 40_000):
        with pytest.raises(MemoryError, match="none is left"):
            shoal.sweep(X, y, {"seed": range(nets)}, epochs=50, hidden=2)


# ---------------------------------------------------------------------------------- the progress


def test_nothing_is_said_where_nobody_looks_on(capfd):
    shoal.fit(X, y, epochs=2)
    capfd.readouterr()
    for progress in (None, False):
        shoal.sweep(X, y, {"seed": range(3)}, epochs=2, progress=progress)
        shoal.fit(X, y, epochs=2, progress=progress)
        shoal.train(X, y, [np.ones((3, 1))], epochs=2, progress=progress)
        assert capfd.readouterr() == ("", "")


def test_the_bar_is_shown_when_asked_for(capfd):
    shoal.sweep(X, y, {"seed": range(3)}, epochs=50, progress=True)
    out, errors = capfd.readouterr()
    assert out == ""
    assert "training: 100%" in errors


class Recorder(Bar):
    """Adds up what it is told."""

    def begin(self, total, seconds):
        self.total, self.done, self.ended = total, 0, False

    def advance(self, part):
        assert not self.ended
        self.done += part

    def end(self):
        self.ended = True


@pytest.mark.parametrize("nets", [1, 3, 5_000])
def test_the_bar_ends_full(monkeypatch, nets):
    recorder = Recorder(False)
    monkeypatch.setattr("shoal.running.preparation.monitor", lambda progress: recorder)
    grid = {"seed": range(nets), "learning_rate": [1e-3, 1e30], "optimizer": ["sgd"]}
    sweep = shoal.sweep(X, y, grid, epochs=30, hidden=4)
    assert set(sweep.results["status"]) == {"finished", "diverged"}
    assert recorder.ended
    assert recorder.done == pytest.approx(recorder.total)


@pytest.mark.parametrize("progress", [None, True])
def test_compiling_is_announced_once(monkeypatch, capfd, progress):
    monkeypatch.setattr(Bar, "_said", False)
    for _ in range(2):
        bar = monitor(progress)
        bar.compiling()
        bar.compiling()
    assert capfd.readouterr().err.count("shoal: compiling its kernels") == 1
    monitor(False).compiling()
    assert capfd.readouterr() == ("", "")
    assert objects.before_compiling == []


@pytest.mark.parametrize("progress", [None, True])
def test_a_notebook_without_widgets(progress):
    """tqdm looks for a notebook when it is imported, so in a process of its own."""
    program = f"""
import sys, types
ipython = types.ModuleType("IPython")
ipython.get_ipython = lambda: None
sys.modules["IPython"] = ipython
sys.modules["ipykernel.zmqshell"] = types.ModuleType("zmqshell")
import numpy as np, shoal
model = shoal.fit(np.eye(3), [0.0, 1.0, 2.0], epochs=3, hidden=2, progress={progress})
print(model.status)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "finished\n"


@pytest.mark.parametrize("more", [{}, {"batch_norm": True, "schedule": "step", "dropout": 0.1}])
@pytest.mark.parametrize(
    "rows_in_lanes, inside, hidden",
    [
        *((False, inside, 3) for inside in (1, 3, 5, 6)),
        *((True, inside, 3) for inside in (1, 3, 5)),
        *((True, inside, 16) for inside in (1, 5)),  # in panels
    ],
)
def test_a_stop_inside_an_epoch_goes_back_to_the_last_whole_one(
    monkeypatch, rows_in_lanes, inside, hidden, more
):
    """Launches of one tile each; the stop comes inside the second epoch, of 5 batches and 2 tiles
    of validation rows, or one where lanes are rows."""
    monkeypatch.setattr(cost_model, "prefers_rows_in_lanes", lambda *estimates: rows_in_lanes)
    monkeypatch.setattr("shoal.planning.plan._PANELS", 1)
    X, y = np.linspace(-1, 1, 40).reshape(20, 2), np.linspace(0, 1, 20)
    other = np.linspace(-1, 1, 140).reshape(70, 2), np.linspace(0, 1, 70)
    settings = {"hidden": hidden, "batch_size": 4, "progress": False, "record_every": 1}
    settings |= {"validation": other, **more}
    expected = shoal.fit(X, y, epochs=1, **settings)
    batches = 6 if rows_in_lanes else 7
    set_seconds(monkeypatch, 0)
    stop_after(monkeypatch, lambda tile: tile == batches + inside)
    sweep = shoal.sweep(X, y, {"seed": [0]}, epochs=5, **settings)
    model = sweep[0]
    assert (model.status, sweep.results["epochs"][0]) == ("interrupted", 1)
    for ours, right in zip(model.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(ours, right)
    for ours, right in zip(model.resume, expected.resume, strict=True):
        np.testing.assert_array_equal(ours, right)
    for name in ("loss", "val_loss", "score", "learning_rate"):
        column = getattr(model.history, name)
        np.testing.assert_array_equal(column[:1], getattr(expected.history, name))
        assert np.isnan(column[1:]).all()
