"""Machine code that is made for nets of one shape: the same bits, and when it is used."""

import os
import random
import subprocess
import sys
import weakref

import golden_bits
import numpy as np
import pytest
from test_lanes import choose

import shoal
from shoal.kernels.code import cache, machine_code, objects
from shoal.kernels.launching import specialised
from shoal.running.calls import TrainingCalls

pytestmark = [
    pytest.mark.kernels,
    pytest.mark.skipif(not machine_code.has_passes(), reason="llvmlite 0.44 has not the passes"),
]

X = np.random.default_rng(0).random((8, 3))
Y = X.sum(axis=1)
RECORDED = golden_bits.read()


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty cache for what is specialised, of which nothing is loaded; kernels are, already."""
    shoal.fit(X, Y, epochs=2, hidden=(3,))
    known = {name: path for name, path in files("*").items() if "-specialised-" not in name}
    monkeypatch.setenv("SHOAL_CACHE_DIR", str(tmp_path))
    assert cache.problem() is None
    for name, path in known.items():
        (cache.directory() / name).write_bytes(path.read_bytes())
    monkeypatch.setattr(specialised, "_loaded", type(specialised._loaded)())
    return cache.directory()


def files(pattern="*-specialised-*"):
    """Entries of the cache by name."""
    return {path.name: path for path in cache.directory().glob(pattern)}


def fit(**settings):
    return shoal.fit(X, Y, **{"hidden": (3,), "epochs": 5, "specialise": True, **settings})


@pytest.mark.parametrize("rows_in_lanes", [False, True], ids=["nets in lanes", "rows in lanes"])
@pytest.mark.parametrize("dtype", golden_bits.DTYPES)
def test_bits_are_the_recorded_ones(dtype, rows_in_lanes, monkeypatch, whole):
    choose(monkeypatch, rows_in_lanes)
    nets = RECORDED if whole else random.Random(f"{dtype} {rows_in_lanes}").sample(RECORDED, 4)
    assert golden_bits.digests(nets, dtype, 2, specialise=True) == [net[dtype] for net in nets]


def test_it_is_made_once_kept_and_loaded(empty):
    expected = fit(specialise=False).weights[0].tobytes()
    assert not files()
    assert fit().weights[0].tobytes() == expected
    assert fit(epochs=7, learning_rate=0.5).results["epochs"] == 7  # of the same shape
    (made,) = files().values()
    before = made.stat().st_mtime_ns
    specialised._loaded.clear()
    assert fit().weights[0].tobytes() == expected
    assert made.stat().st_mtime_ns == before
    fit(hidden=(4,))
    assert len(files()) == 2


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_entry_is_made_again(empty, damage, caplog):
    expected = fit().weights[0].tobytes()
    (path,) = files().values()
    content = path.read_bytes()
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes({"truncated": content[:-9], "flipped": flipped, "empty": b""}[damage])
    specialised._loaded.clear()
    assert fit().weights[0].tobytes() == expected
    assert "cannot be loaded and is compiled again" in caplog.text
    assert path.read_bytes() == content


def test_a_cache_that_cannot_be_written(empty, monkeypatch):
    monkeypatch.setattr(cache, "danger", lambda: "other users may write to it")
    expected = fit(specialise=False).weights[0].tobytes()
    assert fit().weights[0].tobytes() == expected
    assert not files()


def test_few_are_kept_and_loaded(empty, monkeypatch):
    monkeypatch.setattr(specialised, "_MOST", 2)
    monkeypatch.setattr(objects, "_MOST_KEPT", 3)
    expected = fit(hidden=(1,)).weights[0].tobytes()
    (function,) = specialised._loaded.values()
    freed = weakref.ref(function.owner)
    del function
    for hidden in range(2, 6):
        fit(hidden=(hidden,))
    assert len(specialised._loaded) == 2
    assert freed() is None
    assert len(files()) == 3
    assert fit(hidden=(1,)).weights[0].tobytes() == expected


def test_a_process_makes_no_more_than_so_many(empty, monkeypatch, caplog):
    monkeypatch.setattr(objects, "_MOST_MADE", len(objects._made) + 1)
    expected = fit(hidden=(4,), specialise=False).weights[0].tobytes()
    fit()
    assert fit(hidden=(4,)).weights[0].tobytes() == expected
    assert len(files()) == 1
    assert "is not made" in caplog.text


def test_it_is_used_where_that_is_worth_it(empty, monkeypatch):
    asked = []
    monkeypatch.setattr(objects.Specialised, "function", lambda made: asked.append(made))
    fit(specialise=None)
    fit(specialise=False)
    assert not asked
    saves = 3 * specialised._WORTH_MAKING  # of two layers
    monkeypatch.setattr("shoal.planning.plan.Block.seconds_saved", saves)
    fit(specialise=None)
    assert len(asked) == 1
    monkeypatch.setattr("shoal.planning.plan.Block.seconds_saved", saves / 4)
    fit(specialise=None)
    assert len(asked) == 1
    monkeypatch.setattr(objects.Specialised, "is_kept", lambda made: True)
    fit(specialise=None)
    assert len(asked) == 2


def test_where_it_cannot_be_made_kernels_are_used(empty, monkeypatch):
    monkeypatch.setattr(machine_code, "has_passes", lambda: False)  # as of llvmlite 0.44
    assert fit().weights[0].tobytes() == fit(specialise=False).weights[0].tobytes()
    assert not files()


@pytest.mark.parametrize("given", ["yes", 1, "auto"])
def test_bad_values(given):
    for call in (
        lambda: fit(specialise=given),
        lambda: shoal.sweep(X, Y, {"seed": [1]}, epochs=1, specialise=given),
        lambda: shoal.train(X, Y, [np.ones((3, 1))], epochs=1, specialise=given),
    ):
        with pytest.raises(TypeError, match="specialise = .* must be True, False or None"):
            call()


PROGRAM = """
import hashlib, numpy as np, shoal
X = np.random.default_rng(0).random((8, 3))
model = shoal.fit(X, X.sum(axis=1), hidden=(3,), epochs=5, specialise=True)
print(hashlib.sha256(model.weights[0].tobytes()).hexdigest(), model.results["loss"])
"""


def run(**environment):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **environment}, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def test_two_processes_make_it_at_once(empty):
    running = [run() for _ in range(2)]
    told = {process.communicate(timeout=300)[0] for process in running}
    assert len(told) == 1 and told.pop()
    assert len(files()) == 1


def test_plain_python_has_none():
    told = [run(NUMBA_DISABLE_JIT=off).communicate(timeout=300)[0].split() for off in "01"]
    assert float(told[0][1]) == pytest.approx(float(told[1][1]))


def test_all_threads_of_a_sweep_use_it(empty, monkeypatch):
    used = []
    call = TrainingCalls._call
    monkeypatch.setattr(
        TrainingCalls, "_call", lambda *a, **k: used.append(call(*a, **k)) or used[-1]
    )
    shoal.sweep(X, Y, {"seed": range(64)}, epochs=3, hidden=(3,), threads=2, specialise=True)
    assert used and all(each.function in specialised._loaded.values() for each in used)


def test_ctrl_c_while_it_is_made(empty, monkeypatch):
    def press(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(objects.specialising, "object_file", press)
    with pytest.warns(UserWarning, match="interrupted: the net holds its last whole epoch"):
        model = fit()
    assert model.results["epochs"] == 0
    assert model.status == "interrupted"
    assert not files()
