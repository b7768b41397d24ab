"""Kernels that come compiled: found for this processor, or for a level of x86-64 that it has."""

import os
import platform
import shutil
import struct
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
    assert len(list(cache.directory().glob("initialise-*.kernel"))) == 1
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
from shoal.running.row_orders import Generator, RowOrders
X = np.random.default_rng(0).random((300, 4))
for dtype in ("float32", "float64"):
    for epochs in (1, 400):
        shoal.sweep(X, X[:, 0], {"seed": range(100)}, epochs=epochs, dtype=dtype, threads=2).best(X)
    shoal.fit(X, X[:, 0], hidden=(200, 100), epochs=40, dtype=dtype, threads=2)
    shoal.fit(X[:4], X[:4, 0], epochs=2, dtype=dtype)
RowOrders([np.arange(9)], [Generator.of(np.random.RandomState(0))], 2, 1).prepare(0)
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


def undefined(code):
    """Symbols that an ELF object file leaves to whoever loads it."""
    (table,) = struct.unpack_from("<Q", code, 40)
    size, count = struct.unpack_from("<HH", code, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", code, table + k * size) for k in range(count)]
    (symbols,) = [section for section in sections if section[1] == 2]
    names, found = sections[symbols[6]][4], set()
    for at in range(symbols[4] + 24, symbols[4] + symbols[5], 24):
        name, _, _, section = struct.unpack_from("<IBBH", code, at)
        if section == 0:
            found.add(code[names + name :].partition(b"\0")[0].decode())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="object files are ELF's on Linux")
@pytest.mark.skipif(CHECKED, reason="checks call what raises")
def test_kernels_need_little_of_c():
    shoal.fit([[0.0], [1.0]], [0.0, 1.0], epochs=1)
    needed = set()
    for path in cache.directory().glob("*.kernel"):
        if not path.name.startswith("_run_in_parallel"):
            needed |= undefined(path.read_bytes()[32:])
    assert needed <= {"clock_gettime", "sched_yield", "memset", "memcpy", "memmove"}


AARCH64 = """
import platform, sys
platform.machine = lambda: "aarch64"
from llvmlite import binding as llvm
from shoal.kernels.code import environment, machine_code
from shoal.kernels.launching import kernels
from shoal.planning.cost_model import row_width

assert environment.register_bytes() == 16
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
lane = row_width("float32", 16).group("float32")
module = llvm.parse_bitcode(kernels.PREDICT.compile(lane, "shoal_predict"))
target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
machine = target.create_target_machine(features="+neon", opt=3, reloc="pic", codemodel="small")
module.triple, module.data_layout = machine.triple, str(machine.target_data)
sys.stdout.buffer.write(machine_code.object_file(module.as_bitcode(), machine))
"""


@pytest.mark.skipif(CHECKED, reason="checks call what raises")
def test_an_object_file_for_arm_is_made(tmp_path):
    """It is not run here: what can be seen is that it is one, and needs no more than the others."""
    environment = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "SHOAL_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", AARCH64], env={**os.environ, **environment}, capture_output=True,
        check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout[:4] == b"\x7fELF" and struct.unpack_from("<H", done.stdout, 18) == (183,)
    assert 10_000 < len(done.stdout) < 300_000
    assert undefined(done.stdout) <= {"clock_gettime", "sched_yield", "memset", "memcpy", "memmove"}


@pytest.mark.parametrize("arguments", [[], ["a", "b", "c"], ["a", "x86-64-v2"]])
def test_prebuild_says_how_it_is_called(arguments):
    done = subprocess.run(
        [sys.executable, "-m", "shoal.prebuild", *arguments], capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1 and "python -m shoal.prebuild DIRECTORY" in done.stderr
