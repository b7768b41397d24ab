"""The only place with jit options and the rules of the disk cache.

Compiled launchers are kept in a private directory, named by the versions of numba and Python, the
mode, and a hash of the sources of this package: numba's own cache would not see an edit in a file
that a launcher calls, and breaks on a truncated entry. An entry that cannot be read is deleted and
compiled again; where nothing can be written, kernels are compiled in each process.
"""

import contextlib
import functools
import gc
import hashlib
import os
import pickle
import platform
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import binding as llvm
from numba import config, njit, types
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.untyped_passes import IRProcessing

from .emission import CHECKED
from .vectors import LaneGroup

# error_model="numpy": a scalar division must not raise. No fast-math: the order of arithmetic is
# a promise. Launchers release the GIL, so that Python threads share the cores.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "boundscheck": CHECKED, "_nrt": False}


class _BodyLibrary(JITCodeLibrary):
    """Code of a body: linked into its callers as it stands.

    numba optimises each function together with all that it calls and makes machine code of it, at
    every level of the call tree again. A body needs neither: its launcher does both once, for all.
    """

    def finalize(self):
        self._raise_if_finalized()
        _BODIES.update(function.name for function in _defined(self._final_module))
        for library in dict.fromkeys(self._linking_libraries):
            if hasattr(library, "_reload_init"):  # in newer versions of numba
                self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        return 0  # none: Python never calls a body

    @property
    def codegen(self):
        return _NoMachineCode()


_BODIES: set[str] = set()  # names of their functions

# The size up to which LLVM inlines a body, four times its own, so that activations are inlined: one
# net 4-8-3 takes 0.95 of the time.
_WORTH_INLINING = 1000


def _defined(module):
    return [function for function in module.functions if not function.is_declaration]


class _LauncherLibrary(JITCodeLibrary):
    """Code of a launcher and its bodies, which nobody else calls: so what a body does not read of
    its arguments need not be handed over."""

    def _optimize_final_module(self):
        """numba's passes, but loops are not unrolled: a small net's loops run once or twice, and
        what LLVM computes before an unrolled one took longer than the loop. One net 3-4-1 takes
        0.65 of the time, a sweep of them 0.9, larger nets 0.95 to 1."""
        bodies = [f for f in _defined(self._final_module) if f.name in _BODIES]
        for number, function in enumerate(bodies):
            function.linkage = "internal"
            # the linker would take it for a body of the old name, which is called in another way
            function.name = f"shoal_body_{number}"
        for level in (0, config.OPT):  # at first only what is said to be inlined is
            options = llvm.create_pipeline_tuning_options(level)
            options.loop_unrolling = False
            options.loop_vectorization = level > 0
            if level > 0:
                options.inlining_threshold = _WORTH_INLINING
            builder = llvm.create_pass_builder(self._codegen._tm, options)
            builder.getModulePassManager().run(self._final_module, builder)

    def serialize_using_object_code(self):
        """The machine code, and what numba looks up in it: only the names that it defines. The
        whole of it, which others could link, took a tenth of the time of a process's first sweep
        to read."""
        name, kind, (machine_code, bitcode) = super().serialize_using_object_code()
        whole = llvm.parse_bitcode(bitcode)
        functions = (f'define void @"{f.name}"() {{ ret void }}' for f in _defined(whole))
        others = (v.name for v in whole.global_variables if not v.is_declaration)
        variables = (f'@"{name}" = global i8 0' for name in others)
        names = llvm.parse_assembly("\n".join((*functions, *variables)))
        return name, kind, (machine_code, names.as_bitcode())


class _NoMachineCode:
    """Stands for the code generator where numba would write into machine code that is not made."""

    def set_env(self, name, env):
        """Nothing to set."""


@register_pass(mutates_CFG=False, analysis_only=True)
class _UseBodyLibrary(FunctionPass):
    _name = "use_body_library"
    code_library: type[JITCodeLibrary] = _BodyLibrary

    def __init__(self):
        FunctionPass.__init__(self)

    def run_pass(self, state):
        kind, target = self.code_library, state["targetctx"]
        state["library"] = kind(target.codegen(), state["func_id"].func_qualname)
        return False


class _OutlinedLibrary(_BodyLibrary):
    """Code of a body that is not inlined."""

    def add_ir_module(self, ir_module):
        for function in ir_module.functions:
            if not function.is_declaration:
                function.attributes.add("noinline")
        super().add_ir_module(ir_module)


@register_pass(mutates_CFG=False, analysis_only=True)
class _UseOutlinedLibrary(_UseBodyLibrary):
    _name = "use_outlined_library"
    code_library = _OutlinedLibrary


@register_pass(mutates_CFG=False, analysis_only=True)
class _UseLauncherLibrary(_UseBodyLibrary):
    _name = "use_launcher_library"
    code_library = _LauncherLibrary

    def run_pass(self, state):
        super().run_pass(state)
        state["library"].enable_object_caching()
        return False


class _BodyCompiler(CompilerBase):
    libraries: type[FunctionPass] = _UseBodyLibrary

    def define_pipelines(self):
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.add_pass_after(self.libraries, IRProcessing)
        pipeline.finalize()
        return [pipeline]


class _OutlinedCompiler(_BodyCompiler):
    libraries = _UseOutlinedLibrary


class _LauncherCompiler(_BodyCompiler):
    libraries = _UseLauncherLibrary


# Bodies are called from launchers alone, and come to the disk inside them.
_BODY_OPTIONS: dict[str, Any] = _OPTIONS | {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _BodyCompiler,
    "forceinline": False,  # said, as numba lets what an inlined body calls inherit it
}


def _compiled_body(function, **options):
    """Compile for types alone: numba would do so again for each number that a caller writes down,
    and for the one that a loop's counter starts from."""
    dispatcher = njit(**{**_BODY_OPTIONS, **options})(function)
    if jit_is_on():
        call_template = dispatcher.get_call_template

        def of_types(args, kws):
            plain = {name: types.unliteral(typ) for name, typ in kws.items()}
            return call_template(tuple(map(types.unliteral, args)), plain)

        dispatcher.get_call_template = of_types
    return dispatcher


def body(function):
    """Compile a part of a kernel."""
    return _compiled_body(function)


def outlined_body(function):
    """Compile a part that is not on the way of every net: one copy, whoever calls it."""
    return _compiled_body(function, pipeline_class=_OutlinedCompiler)


def inlined_body(function):
    """Compile a part between the epoch's loop and a layer's: an array is eight machine words as an
    argument, and passing dozens of arrays down takes as long as training a tiny net on them."""
    return _compiled_body(function, forceinline=True)


def _source_hash():
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cache_directory():
    """Directory of the compiled kernels, whether or not it exists.

    ``SHOAL_CACHE_DIR``, or ``NUMBA_CACHE_DIR``, or the user's cache directory is its parent.
    """
    parent = os.environ.get("SHOAL_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    if not parent:
        parent = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    mode = "checked" if CHECKED else "fast"
    return Path(parent) / "shoal" / f"{_source_hash()}-{python}-numba{numba.__version__}-{mode}"


def cache_problem():
    """Why the cache directory, made if need be, cannot be used; None where it can.

    Entries are unpickled, so the directory must belong to this user and be closed to others.
    """
    directory = cache_directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        return f"it cannot be made: {error.strerror}"
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return "it belongs to another user"
    if stat.S_IMODE(status.st_mode) & 0o022:
        return "other users may write to it"
    return None if os.access(directory, os.W_OK | os.X_OK) else "it cannot be written"


# Called before a kernel is compiled, which takes seconds: the layers above may tell the user.
before_compiling: list[Callable[[], None]] = []


def _announce():
    for call in before_compiling:
        call()


class _Locator(_CacheLocator):
    """Satisfies numba's machinery; `_KernelCache` keeps its own files."""

    @classmethod
    def from_function(cls, py_func, py_file):
        return cls()

    def get_cache_path(self):
        return str(cache_directory())

    def get_source_stamp(self):
        return ""

    def get_disambiguator(self):
        return ""


class _Impl(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # type: ignore[list-item]


class _KernelCache(FunctionCache):
    _impl_class = _Impl
    _DIGEST = hashlib.sha256().digest_size

    def _path(self, sig, codegen):
        if cache_problem() is not None:
            return None
        key = hashlib.sha256(repr(self._index_key(sig, codegen)).encode()).hexdigest()[:32]
        return cache_directory() / f"{self._py_func.__name__}-{key}.kernel"

    def load_overload(self, sig, target_context):
        # numba refreshes the context here: 0.25 s that code which is only loaded does not need
        path = self._path(sig, target_context.codegen())
        if path is None or not path.exists():
            _announce()
            return None
        try:
            content = path.read_bytes()
            digest, payload = content[: self._DIGEST], content[self._DIGEST :]
            if hashlib.sha256(payload).digest() != digest:
                raise ValueError("the entry is damaged")
            return self._impl.rebuild(target_context, pickle.loads(payload))
        except Exception:  # whatever is wrong with an entry, compiling again mends it
            with contextlib.suppress(OSError):
                path.unlink()
            _announce()
            return None

    def save_overload(self, sig, data):
        path = self._path(sig, data.codegen)
        if path is None or not self._impl.check_cachable(data):
            return
        payload = numba.core.serialize.dumps(self._impl.reduce(data))
        temporary = None
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                temporary = file.name
                file.write(hashlib.sha256(payload).digest() + payload)
            os.replace(temporary, path)
        except OSError:  # a full disk must not stop a training
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)


@contextlib.contextmanager
def _without_collector():
    """Compiling makes millions of objects that stay: looking for garbage takes a tenth of it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _compile_without_collector(dispatcher):
    compile_kernel = dispatcher._compiler.compile

    def compile_for(args, return_type):
        with _without_collector():
            return compile_kernel(args, return_type)

    dispatcher._compiler.compile = compile_for


def launcher(function):
    """Compile an entry point: releases the GIL, kept on disk.

    In plain Python a lane is an integer, and the launcher runs once for each lane of its group;
    rows are not put into lanes.
    """
    if jit_is_on():
        dispatcher = njit(nogil=True, pipeline_class=_LauncherCompiler, **_OPTIONS)(function)
        dispatcher._cache = _KernelCache(function)
        _compile_without_collector(dispatcher)
        return dispatcher

    @functools.wraps(function)
    def plain(lane, *arguments):
        lanes = range(lane.n) if isinstance(lane, LaneGroup) else (lane,)
        with np.errstate(all="ignore"):
            for q in lanes:
                function(q, *arguments)

    return plain


@functools.cache
def register_bytes():
    """Bytes of a vector register of the processor that numba compiles for."""
    features = config.CPU_FEATURES
    if features is None:
        by_name = config.CPU_NAME not in (None, "", "host")
        features = "" if by_name else llvm.get_host_cpu_features().flatten()
    if "+avx512f" in features.split(","):
        return 64
    return 32 if "+avx2" in features.split(",") or platform.machine() in _X86 else 16


_X86 = ("x86_64", "AMD64")


def default_threads():
    """``NUMBA_NUM_THREADS``, or the cores that this process may use."""
    return config.NUMBA_NUM_THREADS


def jit_is_on():
    """Whether kernels are compiled (``NUMBA_DISABLE_JIT`` is not set)."""
    return not config.DISABLE_JIT
