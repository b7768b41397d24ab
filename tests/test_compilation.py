"""How kernels are compiled and kept: files, their directory, a machine without one, and what is
assumed of numba."""

import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shoal.kernels.code import cache as files
from shoal.kernels.code import compilation, environment, numba_internals

pytestmark = pytest.mark.skipif(not environment.jit_is_on(), reason="nothing is compiled")


def run(cache, arguments=((np.float64, 2.0),)):
    """Compile or find a small function with this cache directory: how often it was compiled."""

    @compilation.cached()
    def add(array, number):
        array[0] += number

    compiled = []
    announce = lambda: compiled.append(1)  # noqa: E731
    compilation.before_compiling.append(announce)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHOAL_CACHE_DIR", str(cache))
            for dtype, number in arguments:
                array = np.ones(1, dtype)
                add(array, number)
                assert array[0] == 3
    finally:
        compilation.before_compiling.remove(announce)
    return len(compiled)


def entries(cache):
    return sorted(cache.rglob("*.kernel"))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Name and content of the function's entry."""
    cache = tmp_path_factory.mktemp("cache")
    assert run(cache) == 1
    (entry,) = entries(cache)
    return entry.relative_to(cache), entry.read_bytes()


@pytest.fixture
def cache(tmp_path, filled):
    name, content = filled
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o700)
    path.write_bytes(content)
    return tmp_path


def test_an_entry_is_found(cache, filled):
    assert run(cache) == 0
    (entry,) = entries(cache)
    assert entry.read_bytes() == filled[1]


def test_each_signature_has_an_entry(cache):
    both = ((np.float64, 2.0), (np.int64, 2))
    assert run(cache, both) == 1
    assert run(cache, both) == 0
    assert len(entries(cache)) == 2


def test_directory_is_private(filled, tmp_path):
    before = os.umask(0)
    try:
        assert run(tmp_path) == 1
    finally:
        os.umask(before)
    (entry,) = entries(tmp_path)
    assert stat.S_IMODE(entry.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert os.listdir(entry.parent) == [entry.name]  # no temporary file is left


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


DAMAGE = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "digest alone": lambda content: content[:32],
    "truncated": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "flipped digest": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "flipped payload": lambda content: content[:-9] + bytes([content[-9] ^ 64]) + content[-8:],
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_compiled_again(cache, filled, damage, caplog):
    (entry,) = entries(cache)
    entry.write_bytes(DAMAGE[damage](filled[1]))
    assert run(cache) == 1
    (record,) = caplog.records
    assert record.name == "shoal" and "cannot be loaded and is compiled again" in record.message
    assert entries(cache) == [entry]
    assert run(cache) == 0


def test_an_entry_that_was_not_checked_is_not_unpickled(cache, tmp_path):
    (entry,) = entries(cache)
    trap = tmp_path / "trap"
    entry.write_bytes(bytes(32) + pickle.dumps(Trap(trap)))
    assert run(cache) == 1
    assert not trap.exists()


@pytest.mark.parametrize("payload", [b"", b"junk", pickle.dumps(3), pickle.dumps((1, 2))])
def test_a_checked_entry_of_something_else_is_compiled_again(cache, payload):
    import hashlib

    (entry,) = entries(cache)
    entry.write_bytes(hashlib.sha256(payload).digest() + payload)
    assert run(cache) == 1
    assert run(cache) == 0


def test_an_entry_that_is_a_directory_is_no_entry(cache):
    (entry,) = entries(cache)
    entry.unlink()
    entry.mkdir()
    assert run(cache) == 1


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_directory_that_others_may_write_to_is_not_used(cache, mode):
    (entry,) = entries(cache)
    entry.parent.chmod(mode)
    assert run(cache) == 1
    assert run(cache) == 1


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives away")
def test_a_directory_of_another_user_is_not_used(cache):
    (entry,) = entries(cache)
    os.chown(entry.parent, 12345, 12345)
    assert run(cache) == 1
    assert run(cache) == 1


@pytest.mark.parametrize("kind", ["a file", "in a file", "of the system"])
def test_without_a_place_to_write_kernels_are_compiled_each_time(tmp_path, kind):
    path = {"a file": tmp_path / "f", "in a file": tmp_path / "f/g", "of the system": "/proc"}[kind]
    (tmp_path / "f").write_text("mine")
    assert run(path) == 1
    assert run(path) == 1
    assert (tmp_path / "f").read_text() == "mine"


PROGRAM = """
from shoal.kernels.code import compilation

@compilation.cached()
def add(a, b):
    return a + b

compilation.before_compiling.append(lambda: print("compiling"))
print(add(1, 2))
"""


@pytest.mark.parametrize("home", ["/proc/1", "{tmp_path}/new", None])
def test_any_home_in_another_process(tmp_path, home):
    """The first process compiles; the second does too only where nothing can be kept."""
    names = ("SHOAL_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    if home is None:
        environment["SHOAL_CACHE_DIR"] = str(tmp_path)
    else:
        environment["HOME"] = home.format(tmp_path=tmp_path)
    for expected in ("compiling\n3\n", "compiling\n3\n" if home == "/proc/1" else "3\n"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PROGRAM],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (done.stdout, done.stderr, done.returncode) == (expected, "", 0)


@pytest.mark.parametrize("name", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"])
def test_where_the_cache_is(tmp_path, monkeypatch, name):
    for other in ("SHOAL_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, str(tmp_path))
    parent = tmp_path / ".cache" if name == "HOME" else tmp_path
    assert files.directory().parent == parent / "shoal"
    monkeypatch.setenv("SHOAL_CACHE_DIR", str(tmp_path / "other"))
    assert files.directory().parent == tmp_path / "other" / "shoal"


def test_every_edit_of_a_kernel_names_another_directory(tmp_path):
    folder = Path(compilation.__file__).parents[1]
    sources = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.py")}
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(source)
    assert files.source_hash(tmp_path) == files.source_hash()
    hashes = [files.source_hash(tmp_path)]
    for name, source in sources.items():
        for changed in {source + b"\n", source[:-1]} - {source}:
            (tmp_path / name).write_bytes(changed)
            hashes.append(files.source_hash(tmp_path))
        (tmp_path / name).write_bytes(source)
    (tmp_path / "lanes/new.py").write_bytes(b"")
    hashes.append(files.source_hash(tmp_path))
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("assumption", numba_internals.ASSUMPTIONS)
def test_what_is_assumed_of_numba_holds(assumption):
    numba_internals.ASSUMPTIONS[assumption]()


# Each breaks an assumption as a new release of numba might.
BREAKS = {
    "no method": "del compiler_machinery.PassManager.add_pass_after",
    "no name": "del caching._CacheLocator",
}
BROKEN = """
import sys, warnings
from numba.core import caching, compiler_machinery
{break_it}
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from shoal.kernels.code import compilation
    from shoal.kernels.lanes.vectors import LaneGroup
    from shoal.kernels.launching import kernels, parallel
assert compilation.internals() is None
(warning,) = caught
assert "differs from what Shoal assumes" in str(warning.message)
"""
# what runs without numba's insides, and with them: all of a training takes minutes to compile
DRAWING = """
params, layers = np.zeros((1, 18, 4)), np.array([[4, 3, 0, 12, 0, 0, -1, -1]])
arguments = kernels.Initialisation(
    kernels.Slice(0, 0), layers, params, np.arange(4, dtype=np.uint64)[np.newaxis],
    np.array([1]), np.array([0.5]),
)
call = kernels.INITIALISE.bind(LaneGroup(np.float64, 1), [arguments] * 2)
parallel.launch([call], [(0, 0, 1, 0, 0)])
parallel.launch([call], [(0, 0, 1, 0, 0)] * 2, 2)
print(params.tobytes().hex())
"""
TRAINING = """
import shoal
X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
weights = [np.full((2, 3), 0.5), np.full((3, 1), 0.25)]
shoal.train(X, [0, 1, 1, 0], weights, epochs=5)
print(b"".join(w.tobytes() for w in weights).hex())
"""
IMPORTS = """
import numpy as np
from shoal.kernels.lanes.vectors import LaneGroup
from shoal.kernels.launching import kernels, parallel
"""


@pytest.mark.parametrize("how", BREAKS)
def test_another_numba_is_warned_of_once_and_gives_the_same_bits(how, whole):
    program = DRAWING + TRAINING if whole else DRAWING
    printed = [
        subprocess.run(
            [sys.executable, "-c", start + program],
            capture_output=True, text=True, timeout=900, check=True,
        ).stdout
        for start in (BROKEN.format(break_it=BREAKS[how]), IMPORTS)
    ]  # fmt: skip
    assert printed[0] == printed[1] != ""


def test_directory_says_what_it_holds():
    import numba

    name = files.directory().name
    assert name.startswith(files.source_hash())
    assert f"numba{numba.__version__}" in name
    assert f"py{sys.version_info.major}{sys.version_info.minor}" in name


def test_importing_shoal_is_quick():
    program = (
        "import sys, time; begin = time.perf_counter(); import shoal; "
        "seconds = time.perf_counter() - begin; dir(shoal); "
        "print(seconds, *[name for name in ('numba', 'numpy', 'tqdm') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    seconds, *imported = done.stdout.split()
    assert float(seconds) < 1  # 0.01 s on an idle machine
    assert imported == []


def test_typed_for_those_who_use_it(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(
        """\
from pathlib import Path

import numpy as np
import shoal

X = np.zeros((4, 3))
weights = [np.zeros((3, 1))]
history: shoal.History = shoal.train(X, [0, 1, 1, 0], weights, epochs=3, learning_rate=0.1)
model: shoal.Model = shoal.fit(X.tolist(), ["a", "b", "a", "b"], hidden=(8,), threads=2)
outputs = model(X) + model.predict_proba(X)
model.save(Path("model"))
model = shoal.load("model")
grid = {"hidden": [(8,), (16, 16)], "seed": range(100)}
sweep: shoal.Sweep = shoal.sweep(X, np.zeros(4), grid, epochs=3)
sweep = shoal.sweep(X, np.zeros(4), [{"seed": [1]}, {"seed": [2]}])
sweep = shoal.sweep(X, np.zeros(4), ({"seed": seed} for seed in range(3)))
best: shoal.Model = sweep.best
top: list[shoal.Model] = sweep.top(3) + sweep[1:]
one: shoal.Model = sweep[0]
for net in sweep:
    print(net.history.loss[-1], sweep.results["score"].max(), shoal.TUTORIAL["loss"], len(sweep))
shoal.fit(X, X, progress="yes")  # E: an error
shoal.train(X, X, weights)  # E: an error
sweep.top("3")  # E: an error
"""
    )
    wrong = [n for n, line in enumerate(program.read_text().splitlines(), 1) if "# E" in line]
    source = Path(compilation.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(program)],
        env={**os.environ, "MYPYPATH": ""} | {"PYTHONPATH": str(source)},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    errors = [
        line for line in done.stdout.splitlines() if "program.py:" in line and "error" in line
    ]
    assert [int(line.split(":")[1]) for line in errors] == wrong, done.stdout
