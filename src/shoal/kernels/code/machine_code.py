"""From what numba hands to LLVM to machine code, by llvmlite alone.

A kernel is one module of LLVM's code, with all device functions in it, as it is before anything is
optimised, and the name of its function. Here it becomes the C function ``i32 shoal_<name>(i64
*words)``, which needs neither numba nor Python, then an object file for a processor, and is loaded.
"""

import functools
import platform
import re
import sys

from llvmlite import binding as llvm

from .environment import cpu_features, cpu_name

# The size up to which LLVM inlines a function, four times its own, so that activations are inlined:
# one net 4-8-3 takes 0.95 of the time.
_INLINING_THRESHOLD = 1000

# The attribute of functions whose loops are over layers, as LLVM has none for that: it says nothing
# of functions that are inlined in any case, or never.
OVER_LAYERS = "inlinehint"
_LABEL = r'("[^"]*"|[-\w.$]+)'
_FIRST_MARK = 900_000  # a number above those of other metadata

_DIRECT = sys.platform == "linux" and platform.machine() == "x86_64"

# Levels of x86-64 (https://gitlab.com/x86-psABIs/x86-64-ABI) that have an fma, with their features.
# With AVX-512 LLVM else takes half of a register, as its frequency fell in the first processors.
_V3 = "+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe"
LEVELS = {
    "x86-64-v4": f"{_V3},+avx512bw,+avx512cd,+avx512dq,+avx512f,+avx512vl,-prefer-256-bit",
    "x86-64-v3": _V3,
}


def processor():
    """What machine code of this process is for."""
    return f"{cpu_name()} {cpu_features()} {llvm.get_process_triple()}"


def llvm_version():
    """The major version of LLVM."""
    return llvm.llvm_version_info[0]


def bitcode_of(version):
    """What bitcode is for, that this version of LLVM has written."""
    return f"bitcode of LLVM {version}, {llvm.get_process_triple()}"


def levels():
    """The levels that the processor has, as `processor` would call them."""
    triple, has = llvm.get_process_triple(), set(cpu_features().split(","))
    return [
        f"{level} {features} {triple}"
        for level, features in LEVELS.items()
        if has.issuperset(feature for feature in features.split(",") if feature[0] == "+")
    ]


def target_machine():
    """What makes code for the processor; whoever loads code with it owns it.

    On Linux the code is independent of where it stands, so that functions call each other directly,
    which is predicted better: steps of one net 8-8-1 on 8 rows take 0.7 of the time.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    reloc, model = ("pic", "small") if _DIRECT else ("static", "jitdefault")
    return target.create_target_machine(
        cpu=cpu_name(), features=cpu_features(), opt=3, reloc=reloc, codemodel=model, jit=True
    )


def _defined(module):
    return [function for function in module.functions if not function.is_declaration]


def _entry(name, function):
    """What calls a function as numba has it: it returns a status, and its result by address.

    The variable makes room for the addresses of C's functions, which LLVM's loader has forgotten.
    """
    callee = f'@"{function.name}"'
    result, exception, words = (str(argument.type) for argument in function.arguments)
    pointer = exception[:-1] if exception.endswith("*") else exception  # types are older LLVM's
    return f"""
@{name}_room = global i64 0
declare i32 {callee}({result}, {exception}, {words})
define i32 @{name}({words} %words) {{
  %result = alloca i32
  %exception = alloca {pointer}
  store {pointer} null, {exception} %exception
  %status = call i32 {callee}({result} %result, {exception} %exception, {words} %words)
  %value = load i32, {result} %result
  %good = icmp eq i32 %status, 0
  %returned = select i1 %good, i32 %value, i32 1
  ret i32 %returned
}}
"""


# What `specialising` needs of llvmlite, and 0.44 has not.
PASSES = (
    "always_inliner", "global_dead_code_eliminate", "instruction_combine",
    "ipsccp", "lcssa", "loop_rotate", "loop_simplify", "loop_unroll", "sccp", "simplify_cfg",
    "sroa", "strip_symbols",
)  # fmt: skip


@functools.cache
def has_passes():
    """Whether this llvmlite has all `PASSES`."""
    passes = llvm.create_new_module_pass_manager()
    return all(hasattr(passes, f"add_{name}_pass") for name in PASSES)


def run_passes(names, module, machine, function=None):
    """Run passes over a module, or over one function of it."""
    make = (
        llvm.create_new_function_pass_manager if function else llvm.create_new_module_pass_manager
    )
    passes = make()
    for name in names:
        getattr(passes, f"add_{name}_pass")()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(2))
    passes.run(function or module, builder)


def _with_marks(module):
    """The module with the loops of functions that are OVER_LAYERS marked to be unrolled where it is
    known how often they run."""
    text = str(module)
    groups = re.findall(r"attributes (#\d+) = \{(.*)\}", text)
    over_layers = {group for group, what in groups if OVER_LAYERS in what.split()}
    lines, labels, inside, count = [], set(), False, 0
    for line in text.split("\n"):
        if line.startswith("define"):
            labels, inside = set(), not over_layers.isdisjoint(line.split())
        elif label := re.match(f"{_LABEL}:", line):
            labels.add(label.group(1))
        elif inside and line.startswith("  br "):
            if not labels.isdisjoint(re.findall(f"label %{_LABEL}", line)):  # it goes back
                line = f"{line}, !llvm.loop !{_FIRST_MARK + count}"
                count += 1
        lines.append(line)
    for mark in range(_FIRST_MARK, _FIRST_MARK + count):
        lines.append(f"!{mark} = distinct !{{!{mark}, !{_FIRST_MARK - 1}}}")
    lines.append(f'!{_FIRST_MARK - 1} = !{{!"llvm.loop.unroll.full"}}')
    return llvm.parse_assembly("\n".join(lines))


def without_marks(module, context=None):
    """The module without marks on loops: of those that cannot be unrolled LLVM would warn."""
    return llvm.parse_assembly(re.sub(r", !llvm\.loop !\d+", "", str(module)), context)


def bundle(bitcode, function, name):
    """Bitcode of a module whose only visible function is the entry.

    Parameters
    ----------
    bitcode : bytes
        The module as numba has linked it.
    function : str
        Its function, of a block of words.
    name : str
        That of the entry.
    """
    module = llvm.parse_bitcode(bitcode)
    module.link_in(llvm.parse_assembly(_entry(name, module.get_function(function))))
    kept = (name, f"{name}_room")
    for each in (*_defined(module), *module.global_variables):
        if not each.is_declaration and each.name not in kept:
            each.linkage = "internal"
    if has_passes():  # a third of the size: names of values too
        module = _with_marks(module)
        run_passes(("sroa", "instruction_combine", "simplify_cfg"), module, target_machine())
        names = [(each, each.name) for each in (*module.functions, *module.global_variables)]
        run_passes(("strip_symbols",), module, target_machine())
        for each, its_name in names:
            each.name = its_name
    for number, each in enumerate(f for f in _defined(module) if f.name != name):
        each.name = f"function_{number}"
    for number, each in enumerate(module.global_variables):
        if not each.is_declaration and each.name not in kept:
            each.name = f"variable_{number}"
    return module.as_bitcode()


def _propagate_constants(module, machine):
    """Constants in tuples, such as a stride of 1, reach the functions that they are handed to.

    LLVM looks for them before it takes tuples apart. Steps of one net take 0.85 (4-16-3) to 0.98
    (64-32-10) of the time. llvmlite 0.44 has no such passes.
    """
    if has_passes():
        run_passes(("sroa", "instruction_combine", "simplify_cfg", "ipsccp"), module, machine)


def object_file(bitcode, machine=None):
    """Machine code of a bundled module, as an object file: for this processor, or another machine.

    LLVM's usual passes, but loops are not unrolled: a small net's loops run once or twice, and what
    LLVM computes before an unrolled one took longer than the loop. One net 3-4-1 takes 0.65 of the
    time, a sweep of them 0.9, larger nets 0.95 to 1.
    """
    module, machine = without_marks(llvm.parse_bitcode(bitcode)), machine or target_machine()
    for level in (0, 3):  # at first only what is said to be inlined is
        options = llvm.create_pipeline_tuning_options(level)
        options.loop_unrolling = False
        options.loop_vectorization = level > 0
        if level > 0:
            options.inlining_threshold = _INLINING_THRESHOLD
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
        if level == 0:
            _propagate_constants(module, machine)
    return machine.emit_object(module)


def load(code, name):
    """Address of a function in an object file, and what it is freed with."""
    stub = llvm.parse_assembly(f"define i32 @{name}() {{ ret i32 0 }}")
    stub.triple = llvm.get_process_triple()
    # llvmlite's memory manager puts code and constants side by side, as direct calls and
    # addresses need
    engine = llvm.create_mcjit_compiler(stub, target_machine(), use_lmm=_DIRECT or None)
    engine.set_object_cache(getbuffer_func=lambda module: code)
    engine.finalize_object()
    address = engine.get_function_address(name)
    if not address:
        raise ValueError(f"the object file has no {name}")
    return address, engine
