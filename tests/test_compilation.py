"""How kernels are compiled and kept: files, their directory, a machine without one, and what is
assumed of numba."""

import compileall
import importlib
import os
import pickle
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import shoal
from shoal.kernels.code import cache as files
from shoal.kernels.code import compilation, numba_internals, objects
from shoal.kernels.code import sources as sources_of_kernels
from shoal.kernels.code.environment import CHECKED
from shoal.kernels.code.machine_code import has_passes
from shoal.kernels.lane_group import LaneGroup
from shoal.kernels.launching import kernels


def run(cache, arguments=((np.float64, 2.0),)):
    """Compile or find a small function with this cache directory: how often it was compiled."""

    @compilation.cached()
    def add(array, number):
        array[0] += number

    compiled = []
    announce = lambda: compiled.append(1)  # noqa: E731
    objects.before_compiling.append(announce)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHOAL_CACHE_DIR", str(cache))
            for dtype, number in arguments:
                array = np.ones(1, dtype)
                add(array, number)
                assert array[0] == 3
    finally:
        objects.before_compiling.remove(announce)
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


def test_others_may_read_and_not_write_what_is_kept(filled, tmp_path):
    before = os.umask(0)
    try:
        assert run(tmp_path) == 1
    finally:
        os.umask(before)
    (entry,) = entries(tmp_path)
    folders = (entry.parent, entry.parent.parent)
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o755}
    assert stat.S_IMODE(entry.stat().st_mode) == 0o644
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
from shoal.kernels.code import compilation, objects

@compilation.cached()
def add(a, b):
    return a + b

objects.before_compiling.append(lambda: print("compiling"))
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


@pytest.mark.parametrize("home", ["", "somewhere", "~", "/"])
def test_without_a_home_the_cache_is_in_the_temporary_directory(tmp_path, monkeypatch, home):
    for name in ("SHOAL_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    work.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert files.problem() is None
    assert files.is_temporary() and temporary in files.directory().parents
    assert list(work.iterdir()) == []
    assert "in the temporary directory, as there is no home" in shoal.info()["cache state"]
    # who owns a folder on the way there may put another in its place
    for place in (files.directory().parent, files.directory().parents[1]):
        place.chmod(0o777)
        assert files.danger() == files.problem() == "other users may write to it"
        assert files.path_of("some", "thing") is None
        place.chmod(0o755)
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
        assert files.danger() == "other users may write to it"  # as links say of themselves
        place.unlink()
        (tmp_path / "elsewhere").rename(place)
    assert files.danger() is None


@pytest.mark.parametrize("user", [None, 12345])
def test_a_filled_cache_that_cannot_be_written_is_read(cache, monkeypatch, user):
    (entry,) = entries(cache)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and access(path, mode))
    if user is not None and os.getuid() == 0:  # the entries are root's
        monkeypatch.setattr(os, "getuid", lambda: user)
    with monkeypatch.context() as patch:
        patch.setenv("SHOAL_CACHE_DIR", str(cache))
        assert (files.danger(), files.problem()) == (None, "it cannot be written")
        said = shoal.info()["cache state"]
        assert said.startswith("1 kernels, ")
        assert said.endswith("read, but not written, as it cannot be written")
    assert run(cache) == 0
    assert run(cache, ((np.float64, 2.0), (np.float32, 2.0))) == 1  # compiled, and not kept
    assert entries(cache) == [entry]


KERNELS = Path(compilation.__file__).parents[1]
WAYS = ("files", "archive", "byte code", "archive of byte code")


def hash_of(folder, way, sources):
    """Hash of a package of these sources: {path: bytes}."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, source in sources.items():
        (folder / "kernels" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "kernels" / name).write_bytes(source)
    if "byte code" in way:
        compileall.compile_dir(folder, quiet=2, legacy=True)
        for path in folder.rglob("*.py"):
            path.unlink()
    path = [str(folder)]
    if "archive" in way:
        name = folder.with_name(f"archive{len(list(folder.parent.iterdir()))}")  # a new one, as
        path = [shutil.make_archive(str(name), "zip", folder)]  # zipimport keeps what it has read
    importlib.invalidate_caches()
    return sources_of_kernels.hash_of(path, "kernels")


@pytest.mark.parametrize("way", WAYS)
def test_every_edit_of_a_kernel_names_another_directory(tmp_path, way):
    sources = {path.relative_to(KERNELS): path.read_bytes() for path in KERNELS.rglob("*.py")}
    first = hash_of(tmp_path / "a", way, sources)
    assert first is not None and first == hash_of(tmp_path / "a", way, sources)
    chosen = list(sources)[:: 1 if way == "files" else 16]
    changed = [{**sources, name: sources[name] + b"\n_more = {1, 'a'}\n"} for name in chosen]
    changed.append({**sources, Path("lanes/new.py"): b""})
    hashes = [hash_of(tmp_path / "a", way, edited) for edited in changed]
    assert None not in hashes and len({first, *hashes}) == 1 + len(hashes)


def test_byte_code_has_one_hash_whatever_the_seed_of_hashes(tmp_path):
    program = (
        "from shoal.kernels.code.sources import _digest\n"
        "code = compile('def f(x=(1, 2.0)): return x in {\"a\", \"b\", 3, None}', '', 'exec')\n"
        "print(_digest(code))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(said) == 1


def test_sources_that_nobody_can_read_share_no_name(monkeypatch, tmp_path):
    assert sources_of_kernels.hash_of([str(tmp_path)], "kernels") is None
    monkeypatch.setattr(files, "source_hash", lambda: None)
    monkeypatch.setenv("SHOAL_CACHE_DIR", str(tmp_path))
    assert files.problem().startswith("the sources of its kernels cannot be read")
    assert files.path_of("some", "thing") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("assumption", numba_internals.ASSUMPTIONS)
def test_what_is_assumed_of_numba_holds(assumption):
    numba_internals.ASSUMPTIONS[assumption]()


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="calls are direct there alone"
)
def test_code_and_constants_of_a_kernel_lie_side_by_side():
    """Else what calls and addresses reach, 2 GiB, might not do, which ends the process."""
    entry = kernels.INITIALISE.entry(LaneGroup(np.float64, 1)).address
    mappings = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    bounds = [[int(end, 16) for end in mapping[0].split("-")] for mapping in mappings]
    (k,) = (k for k, (start, stop) in enumerate(bounds) if start <= entry < stop)
    assert mappings[k][1] == "r-xp"
    assert bounds[k + 1][0] == bounds[k][1]
    assert mappings[k + 1][1] == "r--p" and len(mappings[k + 1]) == 5  # of no file


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
    from shoal.kernels.lane_group import LaneGroup
    from shoal.kernels.launching import functions, kernels, parallel
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
from shoal.kernels.lane_group import LaneGroup
from shoal.kernels.launching import kernels, parallel
"""


@pytest.mark.parametrize("how", BREAKS)
def test_another_numba_is_warned_of_once_and_gives_the_same_bits(how, whole, tmp_path):
    program = DRAWING + TRAINING if whole else DRAWING
    printed = [
        subprocess.run(
            [sys.executable, "-c", start + program],
            env={**os.environ, "SHOAL_CACHE_DIR": str(tmp_path)},
            capture_output=True, text=True, timeout=900, check=True,
        ).stdout
        for start in (BROKEN.format(break_it=BREAKS[how]), IMPORTS)
    ]  # fmt: skip
    assert printed[0] == printed[1] != ""


def test_directory_says_what_it_holds():
    assert files.directory().name == f"{files.source_hash()}-{'checked' if CHECKED else 'fast'}"


# A small kernel, and its cache.
DRAW = """
import sys
import numpy as np
from shoal.kernels.code import objects
from shoal.kernels.lane_group import LaneGroup
from shoal.kernels.launching import kernels, parallel
compiled = []
objects.before_compiling.append(lambda: compiled.append(1))
params, layers = np.zeros((1, 18, 4)), np.array([[4, 3, 0, 12, 0, 0, -1, -1]])
arguments = kernels.Initialisation(
    kernels.Slice(0, 0), layers, params, np.arange(4, dtype=np.uint64)[np.newaxis],
    np.array([1]), np.array([0.5]),
)
call = kernels.INITIALISE.bind(LaneGroup(np.float64, 1), [arguments])
parallel.launch([call], [(0, 0, 1, 0, 0)] * 2)
print(len(compiled), "numba" in sys.modules, params.tobytes().hex())
"""


def draw(cache, **more):
    environment = {**os.environ, "SHOAL_CACHE_DIR": str(cache), **more}
    done = subprocess.run(
        [sys.executable, "-c", DRAW], env=environment, capture_output=True, text=True,
        timeout=120, check=True,
    )  # fmt: skip
    compiled, numba, bits = done.stdout.split()
    return int(compiled), numba == "True", bits


def test_a_kernel_that_is_kept_needs_no_numba(tmp_path):
    compiled, numba, bits = draw(tmp_path)
    assert (compiled, numba) == (2, True)  # itself, and what takes slices
    assert draw(tmp_path) == (0, False, bits)
    for entry in entries(tmp_path):
        assert b"numba" not in entry.read_bytes() and b"Py" not in entry.read_bytes()
    # a processor with less has code of its own
    other = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"}
    if platform.machine() == "x86_64":
        assert draw(tmp_path, **other) == (2, not has_passes(), bits)  # of the same bitcode
        assert draw(tmp_path, **other) == (0, False, bits)
        assert len(entries(tmp_path)) == 4


@pytest.mark.parametrize("damage", ["truncated", "another kernel", "no object file"])
def test_a_kept_kernel_that_is_damaged_is_compiled_again(tmp_path, damage):
    _, _, bits = draw(tmp_path)
    first, second = entries(tmp_path)
    content = first.read_bytes()
    if damage == "truncated":
        first.write_bytes(content[:-1])
    elif damage == "another kernel":  # its checksum is right
        first.write_bytes(second.read_bytes())
    else:
        first.write_bytes(b"")
    assert draw(tmp_path) == (1, not has_passes(), bits)  # of its bitcode
    assert draw(tmp_path) == (0, False, bits)


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


def test_a_fit_whose_kernels_are_kept_imports_no_numba():
    program = """
import sys
import numpy as np, shoal
X = np.random.default_rng(0).random((40, 3))
model = shoal.fit(X, X[:, 0], epochs=5, threads=1)
model.predict(X), model.score(X, X[:, 0])
shoal.train(X, X[:, 0], [np.ones((3, 1))], epochs=5)
print("numba" in sys.modules)
"""
    for _ in range(2):  # the first may have to compile
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240
        )
    assert done.stdout == "False\n"
