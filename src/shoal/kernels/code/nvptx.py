"""Kernels for NVIDIA's GPUs: LLVM's back end for PTX, from the same bitcode as the processor's.

Each float operation is written with its rounding (``add.rn``, ``fma.rn``), so that what makes
machine code of PTX has nothing to contract. Nothing here needs a GPU, or a compiler of NVIDIA's.
"""

import functools
import re

from llvmlite import binding as llvm

from . import specialising
from .machine_code import has_passes, run_passes, target_machine, without_marks

_TRIPLE = "nvptx64-nvidia-cuda"
_OF_A_TARGET = re.compile(r"^(target triple|target datalayout|source_filename) = .*$", re.M)
_OF_A_PROCESSOR = re.compile(
    r'"(target-cpu|target-features|tune-cpu|no-trapping-math|probe-stack|frame-pointer)"'
    r'(="[^"]*")?'
)
# The oldest version of PTX that knows each compute capability: a driver refuses newer versions than
# its own. https://docs.nvidia.com/cuda/parallel-thread-execution/#release-notes
_VERSIONS = {(7, 5): 63, (8, 0): 70, (8, 6): 71, (8, 7): 74, (8, 9): 78, (9, 0): 78, (10, 0): 86}


@functools.cache
def machine_for(capability):
    """What writes PTX for a compute capability, such as (9, 0); for newer ones than are listed that
    of the newest, which runs there too."""
    known = max((each for each in _VERSIONS if each <= capability), default=min(_VERSIONS))
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(_TRIPLE)
    major, minor = known
    features = f"+ptx{_VERSIONS[known]}"
    return target.create_target_machine(cpu=f"sm_{major}{minor}", features=features, opt=3)


def _module(bitcode, entry, machine, context):
    """A kernel's module with the entry of threads, for a machine."""
    text = str(llvm.parse_bitcode(bitcode, context))
    text = _OF_A_PROCESSOR.sub("", _OF_A_TARGET.sub("", text))
    head = f'target triple = "{machine.triple}"\ntarget datalayout = "{machine.target_data}"\n'
    module = llvm.parse_assembly(head + text, context)
    module.link_in(llvm.parse_assembly(head + entry, context))
    return module


def _general(module, context, machine, name):
    """Optimised as it is: sizes and choices are read at run time, functions may be shared."""
    module = without_marks(module, context)
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name != name:
            each.linkage = "internal"
    for level in (0, 3):
        options = llvm.create_pipeline_tuning_options(level)
        options.loop_unrolling = options.loop_vectorization = False
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
        if level == 0 and has_passes():
            run_passes(("sroa", "instruction_combine", "simplify_cfg", "ipsccp"), module, machine)
    return module


def _optimised(bitcode, general, entry, name, specialised, machine):
    context = llvm.create_context()  # what is in LLVM's global one stays
    module = _module(bitcode, entry, machine, context)
    if specialised:
        return specialising.specialise(module, context, machine, general, name, inlines_all=True)
    return _general(module, context, machine, name)


def ptx(bitcode, general, entry, name, specialised, capability):
    """PTX with a device function ``name``, as text.

    Parameters
    ----------
    bitcode : bytes
        Of `machine_code.bundle`.
    general : str
        The kernel's entry there.
    entry : str
        That of threads, of `thread_entry.text_of`, which calls it.
    name : str
        Of the latter.
    specialised : bool
        Whether the entry's words are known, and so all is to be inlined into it.
    capability : (int, int)
        Compute capability.
    """
    machine = machine_for(capability)
    module = _optimised(bitcode, general, entry, name, specialised, machine)
    return machine.emit_assembly(module)


def object_file(bitcode, general, entry, name, specialised):
    """The code of a thread for this processor, as an object file: what a GPU computes, without
    one."""
    machine = target_machine()
    return machine.emit_object(_optimised(bitcode, general, entry, name, specialised, machine))
