"""What Shoal uses of numba that numba does not publish, and so may change in any release.

It makes kernels start faster, and some run faster: device functions are linked into their kernel
and optimised there, once; loops are not unrolled; files hold machine code alone. `problem` tests
what is assumed of numba. Where it finds something, `compilation` does with what numba publishes.
"""

import pickle

from llvmlite import binding as llvm
from numba import config, njit, types
from numba.core import (
    caching,
    ccallback,
    codegen,
    compiler,
    compiler_machinery,
    dispatcher,
    serialize,
    typing,
    untyped_passes,
)

from . import cache


class _DeviceLibrary(codegen.JITCodeLibrary):
    """Code of a device function: linked into its callers as it is.

    numba optimises each function together with all that it calls and makes machine code of it, at
    every level of the call tree again. A device function needs neither: its kernel does both once,
    for all.
    """

    def finalize(self):
        self._raise_if_finalized()
        _DEVICE_FUNCTIONS.update(function.name for function in _defined(self._final_module))
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


class _OutlinedLibrary(_DeviceLibrary):
    """Code of a device function that is not inlined."""

    def add_ir_module(self, ir_module):
        for function in ir_module.functions:
            if not function.is_declaration:
                function.attributes.add("noinline")
        super().add_ir_module(ir_module)


_DEVICE_FUNCTIONS: set[str] = set()  # names in LLVM

# The size up to which LLVM inlines a function, four times its own, so that activations are inlined:
# one net 4-8-3 takes 0.95 of the time.
_INLINING_THRESHOLD = 1000


def _defined(module):
    return [function for function in module.functions if not function.is_declaration]


class _KernelLibrary(codegen.JITCodeLibrary):
    """Code of a kernel and its device functions, which nobody else calls: so what one of them does
    not read of its arguments need not be handed over."""

    def _optimize_final_module(self):
        """numba's passes, but loops are not unrolled: a small net's loops run once or twice, and
        what LLVM computes before an unrolled one took longer than the loop. One net 3-4-1 takes
        0.65 of the time, a sweep of them 0.9, larger nets 0.95 to 1."""
        functions = [f for f in _defined(self._final_module) if f.name in _DEVICE_FUNCTIONS]
        for number, function in enumerate(functions):
            function.linkage = "internal"
            # the linker would take it for another one of its name, which is called in another way
            function.name = f"shoal_device_{number}"
        for level in (0, config.OPT):  # at first only what is said to be inlined is
            options = llvm.create_pipeline_tuning_options(level)
            options.loop_unrolling = False
            options.loop_vectorization = level > 0
            if level > 0:
                options.inlining_threshold = _INLINING_THRESHOLD
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


def _pipeline(name, library, keeps_object=False):
    """A compiler that puts code into a library of this class."""

    @compiler_machinery.register_pass(mutates_CFG=False, analysis_only=True)
    class UseLibrary(compiler_machinery.FunctionPass):
        _name = f"shoal_use_{name}"

        def __init__(self):
            compiler_machinery.FunctionPass.__init__(self)

        def run_pass(self, state):
            target = state["targetctx"]
            state["library"] = library(target.codegen(), state["func_id"].func_qualname)
            if keeps_object:
                state["library"].enable_object_caching()
            return False

    class Compiler(compiler.CompilerBase):
        def define_pipelines(self):
            passes = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
            passes.add_pass_after(UseLibrary, untyped_passes.IRProcessing)
            passes.finalize()
            return [passes]

    return Compiler


_DeviceCompiler = _pipeline("device_library", _DeviceLibrary)
_OutlinedCompiler = _pipeline("outlined_library", _OutlinedLibrary)
_KernelCompiler = _pipeline("kernel_library", _KernelLibrary, keeps_object=True)

# Device functions are called from kernels alone, and come to the disk inside them. None of these
# functions counts references.
_OPTIONS = {"_nrt": False}
_DEVICE_OPTIONS = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def device_function(function, inline, options):
    """Dispatcher of a device function. inline : "always", "never" or None.

    It is compiled for types alone: numba would do so again for each number that a caller writes
    down, and for the one that a loop's counter starts from.
    """
    made = njit(
        **options,
        **_DEVICE_OPTIONS,
        pipeline_class=_OutlinedCompiler if inline == "never" else _DeviceCompiler,
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

    def __init__(self, function, name, announce):
        super().__init__(function)
        self._entry_name, self._announce = name, announce

    def _path(self, signature, generator):
        key = f"{self._entry_name} {signature} {generator.magic_tuple()}"
        return cache.path_of(self._entry_name.split()[0], key)

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


def entry(function, name, signature, announce, options):
    """Compile or load a C function. name : a word, and what else tells it apart."""
    made = ccallback.CFunc(
        function, (signature.args, signature.return_type), locals={},
        options={"nopython": True, **options, **_OPTIONS}, pipeline_class=_KernelCompiler,
    )  # fmt: skip
    made._cache = _Cache(function, name, announce)
    made.compile()
    return made


def cached(function, announce, options):
    """Dispatcher of a function that Python calls, kept on the disk."""
    made = njit(**options, **_OPTIONS)(function)
    made._cache = _Cache(function, function.__name__, announce)
    return made


def _has(owner, *names):
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        raise AttributeError(f"{owner.__name__} has no {', '.join(missing)}")


# What is assumed, each with a test that raises where it does not hold.
ASSUMPTIONS = {
    "a library links others into one module, and optimises it once": lambda: _has(
        codegen.JITCodeLibrary,
        "_raise_if_finalized", "_finalize_dynamic_globals", "_get_module_for_linking",
        "_optimize_final_module", "add_ir_module", "get_pointer_to_function",
    ),
    "a library's machine code can be kept": lambda: _has(
        codegen.JITCodeLibrary, "enable_object_caching", "serialize_using_object_code"
    ),
    "the passes of a compiler can be told": lambda: (
        _has(compiler.DefaultPassBuilder, "define_nopython_pipeline"),
        _has(compiler_machinery.PassManager, "add_pass_after", "finalize"),
    ),
    "a dispatcher says which types it is called for": lambda: _has(
        dispatcher.Dispatcher, "get_call_template"
    ),
    "a C function compiles with a cache that can be changed": lambda: _has(
        ccallback.CFunc, "compile", "address", "enable_caching"
    ),
    "a cache takes a result apart and puts it together": lambda: _has(
        caching.CompileResultCacheImpl, "reduce", "rebuild", "check_cachable", "_locator_classes"
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
