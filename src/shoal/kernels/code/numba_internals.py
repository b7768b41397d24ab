"""What Shoal uses of numba that numba does not publish, and so may change in any release.

It makes kernels start faster, and some run faster: device functions are linked into their kernel,
which is optimised once, by `machine_code`. `problem` tests what is assumed of numba. Where it finds
something, `compilation` does with what numba publishes.
"""

import functools
import pickle
import sys

import numba
from numba import njit, types
from numba.core import (
    caching,
    codegen,
    compiler,
    compiler_machinery,
    dispatcher,
    serialize,
    typing,
    untyped_passes,
)
from numba.core.compiler_lock import global_compiler_lock

from . import cache
from .machine_code import OVER_LAYERS


class _DeviceLibrary(codegen.JITCodeLibrary):
    """Code of a device function: linked into its callers as it is.

    numba optimises each function together with all that it calls and makes machine code of it, at
    every level of the call tree again. A device function needs neither: its kernel does both once,
    for all.
    """

    def finalize(self):
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            if hasattr(library, "_reload_init"):  # in newer versions of numba
                self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        return 0  # none: Python never calls a device function

    @property
    def codegen(self):
        return _NoMachineCode()


class _NoMachineCode:
    """In place of the code generator where numba would write into machine code that is not made."""

    def set_env(self, name, env):
        """Nothing to set."""


@functools.cache
def _library(attributes):
    """Like `_DeviceLibrary`, with functions that have these attributes."""

    class Library(_DeviceLibrary):
        def add_ir_module(self, ir_module):
            for function in ir_module.functions:
                if not function.is_declaration:
                    for attribute in attributes:
                        function.attributes.add(attribute)
            super().add_ir_module(ir_module)

    return Library


@functools.cache
def _compiler(attributes):
    """A compiler of device functions with these attributes."""
    name = "_".join(attributes)

    @compiler_machinery.register_pass(mutates_CFG=False, analysis_only=True)
    class UseLibrary(compiler_machinery.FunctionPass):
        _name = f"shoal_use_{name}"

        def __init__(self):
            compiler_machinery.FunctionPass.__init__(self)

        def run_pass(self, state):
            maker = state["targetctx"].codegen()
            state["library"] = _library(attributes)(maker, state["func_id"].func_qualname)
            return False

    class Compiler(compiler.CompilerBase):
        def define_pipelines(self):
            passes = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
            passes.add_pass_after(UseLibrary, untyped_passes.IRProcessing)
            passes.finalize()
            return [passes]

    return Compiler


# Python calls no device function. None of these functions counts references.
_OPTIONS = {"_nrt": False}
_DEVICE_OPTIONS = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def device_function(function, inline, options, over_layers=False):
    """Dispatcher of a device function. inline : "always", "never" or None.

    It is compiled for types alone: numba would do so again for each number that a caller writes
    down, and for the one that a loop's counter starts from.
    """
    attributes = ("noinline",) * (inline == "never") + (OVER_LAYERS,) * over_layers
    made = njit(
        **options,
        **_DEVICE_OPTIONS,
        pipeline_class=_compiler(attributes),
        # said in any case, as numba lets what an inlined function calls inherit it
        forceinline=inline == "always",
    )(function)
    call_template = made.get_call_template

    def of_types(args, kws):
        plain = {name: types.unliteral(typ) for name, typ in kws.items()}
        return call_template(tuple(map(types.unliteral, args)), plain)

    made.get_call_template = of_types
    return made


class _Locator(caching._CacheLocator):
    """Satisfies numba's machinery; `_Cache` keeps its own files."""

    @classmethod
    def from_function(cls, py_func, py_file):
        return cls()

    def get_cache_path(self):
        return str(cache.directory())

    def get_source_stamp(self):
        return ""

    def get_disambiguator(self):
        return ""


class _Results(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]  # type: ignore[list-item]


class _Cache(caching.FunctionCache):
    """Keeps compiled code in our files, by name and signature. announce() : before compiling."""

    _impl_class = _Results

    def __init__(self, function, announce):
        super().__init__(function)
        self._entry_name, self._announce = function.__name__, announce

    def _path(self, signature, generator):
        versions = f"numba {numba.__version__}, Python {sys.version_info[:2]}"
        key = f"{self._entry_name} {signature} {generator.magic_tuple()} {versions}"
        return cache.path_of(self._entry_name, key)

    def load_overload(self, sig, target_context):
        # numba refreshes the context here: 0.25 s that code which is only loaded does not need
        loaded = cache.load(
            self._path(sig, target_context.codegen()),
            lambda payload: self._impl.rebuild(target_context, pickle.loads(payload)),
        )
        if loaded is None:
            self._announce()
        return loaded

    def save_overload(self, sig, data):
        path = self._path(sig, data.codegen)
        if path is not None and self._impl.check_cachable(data):
            cache.save(path, serialize.dumps(self._impl.reduce(data)))


def module_of(function, signature, options):
    """LLVM's bitcode of a function and all that it calls, not optimised, and its name there."""
    made = device_function(function, None, options)
    made.compile(signature)
    (result,) = made.overloads.values()
    return result.library._get_module_for_linking().as_bitcode(), result.fndesc.llvm_func_name


def cached(function, announce, options):
    """Dispatcher of a function that Python calls, kept on the disk."""
    made = njit(**options, **_OPTIONS)(function)
    made._cache = _Cache(function, announce)
    return made


def _has(owner, *names):
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        raise AttributeError(f"{owner.__name__} has no {', '.join(missing)}")


# What is assumed, each with a test that raises where it does not hold.
ASSUMPTIONS = {
    "a library links others into one module": lambda: _has(
        codegen.JITCodeLibrary,
        "_raise_if_finalized", "_finalize_dynamic_globals", "_get_module_for_linking",
        "add_ir_module", "get_pointer_to_function",
    ),
    "the passes of a compiler can be chosen": lambda: (
        _has(compiler.DefaultPassBuilder, "define_nopython_pipeline"),
        _has(compiler_machinery.PassManager, "add_pass_after", "finalize"),
    ),
    "a dispatcher says which types it is called for": lambda: _has(
        dispatcher.Dispatcher, "get_call_template"
    ),
    "a cache takes a result apart and puts it together": lambda: _has(
        caching.CompileResultCacheImpl, "reduce", "rebuild", "check_cachable", "_locator_classes"
    ),
    "one lock is held while something is compiled": lambda: _has(
        type(global_compiler_lock), "acquire", "release"
    ),
    "a signature has arguments and a result": lambda: _has(
        typing.templates.Signature, "args", "return_type"
    ),
}  # fmt: skip


def problem():
    """What does not hold of the assumptions, in words; None where all do."""
    for assumption, test in ASSUMPTIONS.items():
        try:
            test()
        except Exception as error:
            return f"that {assumption}: {error}"
    return None
