"""A kernel with some of its words as constants: machine code for nets of one shape.

What stays the same from launch to launch (the task, the table of layers, extents) is written into
the entry. LLVM carries it to where it is read, drops what is never taken, and unrolls loops whose
bounds it then knows. The order of arithmetic, and so each bit, stays what it was.

A function is inlined into the entry before what it calls is inlined into that, and is cleared of
what its arguments rule out before it is copied on: the other way round, which is LLVM's own, most
of the time goes into code that is dropped later. One net 3-4-1: 0.5 s instead of 1.5.
"""

import re
from typing import NamedTuple

from llvmlite import binding as llvm

from .machine_code import run_passes, target_machine, without_marks

_NAME = r'@"?([\w.$]+)"?'
_CALL = re.compile(rf"\bcall [^@\n]*{_NAME}\(")
_NOINLINE = re.compile(r"\bnoinline\b")
_TIDY = ("sroa", "instruction_combine", "simplify_cfg")
_UNROLL = ("loop_rotate", "loop_simplify", "lcssa", "loop_unroll")
_WHOLE = ("ipsccp", "global_dead_code_eliminate")


class Known(NamedTuple):
    """What is known of a block of words.

    Attributes
    ----------
    words : tuple
        Of each word the number that it always is, None where it is not known, or TABLE.
    table : tuple of int
        What is at the address that is TABLE.
    """

    words: tuple[int | str | None, ...]
    table: tuple[int, ...]


TABLE = "table"


def _entry(name, general, known):
    """What calls the general entry with a block in which most words are constants."""
    lines = []
    for k, word in enumerate(known.words):
        lines.append(f"  %to{k} = getelementptr i64, ptr %block, i64 {k}")
        if word is None:
            lines.append(f"  %from{k} = getelementptr i64, ptr %words, i64 {k}")
            lines.append(f"  %word{k} = load i64, ptr %from{k}")
            word = f"%word{k}"
        elif word == TABLE:
            word = "ptrtoint (ptr @table to i64)"
        lines.append(f"  store i64 {word}, ptr %to{k}")
    numbers = ", ".join(f"i64 {number}" for number in known.table)
    stores = "\n".join(lines)
    return f"""
@table = internal constant [{len(known.table)} x i64] [{numbers}]
declare i32 @{general}(ptr)
define i32 @{name}(ptr %words) {{
  %block = alloca i64, i64 {len(known.words)}
{stores}
  %status = call i32 @{general}(ptr %block)
  ret i32 %status
}}
"""


def _inline_into(module, machine, name):
    """Inline all that a function calls, but for what is said not to be."""
    outlined = {f.name for f in module.functions if b"noinline" in set(f.attributes)}
    while True:
        functions = {
            f.name: f for f in module.functions if not f.is_declaration and f.name not in outlined
        }
        called = functions.keys() & set(_CALL.findall(str(functions[name])))
        if not called:
            return
        for each in called:
            functions[each].add_function_attribute("alwaysinline")
        run_passes(("always_inliner",), module, machine)
        run_passes((*_TIDY, "sccp", *_UNROLL, *_TIDY), module, machine, functions[name])
        run_passes(_WHOLE, module, machine)


def specialise(module, context, machine, general, name, inlines_all=False):
    """Optimise a module with a general entry and one of a name that calls it with constants.

    inlines_all : also what is said not to be: arrays on the stack become registers only then.
    """
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name not in (name, f"{general}_room"):
            each.linkage = "internal"
    if inlines_all:
        module = llvm.parse_assembly(_NOINLINE.sub("nounwind", str(module)), context)
    _inline_into(module, machine, name)
    module = without_marks(module, context)
    options = llvm.create_pipeline_tuning_options(2)
    options.loop_unrolling = options.loop_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def object_file(bitcode, general, name, known):
    """Object file of a kernel for launches of which most words are known.

    Parameters
    ----------
    bitcode : bytes
        Of `bundle`.
    general : str
        The kernel's entry there.
    name : str
        That of the new entry, which takes the same block.
    known : Known
    """
    # one of its own, as what is in LLVM's global context stays
    context, machine = llvm.create_context(), target_machine()
    module = llvm.parse_bitcode(bitcode, context)
    module.link_in(llvm.parse_assembly(_entry(name, general, known), context))
    return machine.emit_object(specialise(module, context, machine, general, name))
