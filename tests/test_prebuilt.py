"""Kernels that come compiled: found for this processor, or for a level of x86-64 that it has."""

import os
import platform
import shutil
import subprocess
import sys

import numpy as np
import pytest

import shoal
from shoal import prebuild
from shoal.kernels.code import cache, machine_code, objects
from shoal.kernels.code.environment import CHECKED
from shoal.kernels.lane_group import LaneGroup
from shoal.kernels.launching import kernels, parallel

pytestmark = pytest.mark.kernels

LANE = LaneGroup(np.float64, 1)
on_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="levels are those of x86-64")


def drawn(kernel):
    """The bits that a kernel of initial weights draws, and how often something was compiled."""
    params, layers = np.zeros((1, 18, 4)), np.array([[4, 3, 0, 12, 0, 0, -1, -1]])
    arguments = kernels.Initialisation(
        kernels.Slice(0, 0), layers, params, np.arange(4, dtype=np.uint64)[np.newaxis],
        np.array([1]), np.array([0.5]),
    )  # fmt: skip
    compiled = []
    announce = lambda: compiled.append(1)  # noqa: E731
    objects.before_compiling.append(announce)
    try:
        parallel.launch([kernel.bind(LANE, [arguments])], [(0, 0, 1, 0, 0)])
    finally:
        objects.before_compiling.remove(announce)
    return params.tobytes(), len(compiled)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with what is compiled here, and an empty cache; a kernel that is not loaded yet."""
    expected, _ = drawn(kernels.INITIALISE)
    known = cache.directory()
    monkeypatch.setattr(cache, "_PREBUILT", tmp_path / "prebuilt")
    monkeypatch.setenv("SHOAL_CACHE_DIR", str(tmp_path / "cache"))
    shutil.copytree(known, cache.prebuilt())
    return kernels.Kernel("initialise", kernels.Initialisation), expected


def test_what_came_compiled_is_loaded(package):
    kernel, expected = package
    assert drawn(kernel) == (expected, 0)
    assert not list(cache.directory().glob("*.kernel"))
    assert "came with Shoal" in shoal.info()["prebuilt"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "other sources", "absent"])
def test_what_is_damaged_is_compiled(package, damage, monkeypatch, caplog):
    kernel, expected = package
    for path in cache.prebuilt().glob("initialise-*"):
        content = path.read_bytes()
        if damage == "absent":
            path.unlink()
        elif damage != "other sources":
            flipped = content[:-1] + bytes([content[-1] ^ 1])
            path.write_bytes({"truncated": content[:-9], "flipped": flipped, "empty": b""}[damage])
    if damage == "other sources":
        cache.prebuilt().rename(cache.prebuilt().with_name("another"))
    assert drawn(kernel) == (expected, 1)
    assert len(list(cache.directory().glob("initialise-*"))) == 1
    if damage in ("truncated", "flipped", "empty"):
        assert list(cache.prebuilt().glob("initialise-*"))  # it is not ours to delete
        assert "cannot be loaded and is compiled again" in caplog.text


@on_x86_64
@pytest.mark.parametrize("level", machine_code.LEVELS)
def test_a_level_of_the_processor_is_used_and_gives_the_same_bits(package, tmp_path, level):
    levels = [name.split()[0] for name in machine_code.levels()]
    kernel, expected = package
    program = (
        "from shoal.kernels.launching import kernels\n"
        "from shoal.kernels.lane_group import LaneGroup\n"
        "kernels.INITIALISE.entry(LaneGroup('float64', 1))"
    )
    environment = {
        "NUMBA_CPU_NAME": level,
        "NUMBA_CPU_FEATURES": machine_code.LEVELS[level],
        "SHOAL_CACHE_DIR": str(tmp_path / "of level"),
    }
    subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, check=True, timeout=120
    )
    (made,) = (tmp_path / "of level").rglob("initialise-*.kernel")
    for path in cache.prebuilt().glob("initialise-*"):
        path.unlink()
    shutil.copy(made, cache.prebuilt())
    assert drawn(kernel) == (expected, 0 if level in levels else 1)


TRAININGS = """
import numpy as np, shoal
from shoal import prebuild
from shoal.kernels.launching.kernels import KERNELS
X = np.random.default_rng(0).random((300, 4))
for dtype in ("float32", "float64"):
    for epochs in (1, 400):
        shoal.sweep(X, X[:, 0], {"seed": range(100)}, epochs=epochs, dtype=dtype, threads=2).best(X)
    shoal.fit(X, X[:, 0], hidden=(200, 100), epochs=2, dtype=dtype, threads=2)
listed = {(kernel.name, lane.key) for kernel, lane in prebuild.entries()}
used = {(kernel.name, key) for kernel in KERNELS for key in kernel._entries}
print(sorted(used - listed), sorted(listed - used))
"""


def test_the_kernels_of_trainings_are_the_prebuilt_ones():
    done = subprocess.run(
        [sys.executable, "-c", TRAININGS], capture_output=True, text=True, check=True, timeout=500
    )
    assert done.stdout == "[] []\n"


def test_prebuild_fills_a_directory(tmp_path, whole):
    if CHECKED or not whole:
        pytest.skip("compiling all kernels takes a minute: with --whole")
    done = subprocess.run(
        [sys.executable, "-m", "shoal.prebuild", str(tmp_path)], capture_output=True, text=True,
        check=True, timeout=600,
    )  # fmt: skip
    count = len(list(prebuild.entries()))
    assert f"{count} kernels" in done.stdout
    names = {path.name.partition("-")[0] for path in tmp_path.rglob("*.kernel")}
    assert names == {kernel.name for kernel in kernels.KERNELS}


@pytest.mark.parametrize("arguments", [[], ["a", "b", "c"], ["a", "x86-64-v2"]])
def test_prebuild_says_how_it_is_called(arguments):
    done = subprocess.run(
        [sys.executable, "-m", "shoal.prebuild", *arguments], capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1 and "python -m shoal.prebuild DIRECTORY" in done.stderr
