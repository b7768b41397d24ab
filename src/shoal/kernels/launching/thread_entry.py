"""What a thread of a GPU enters: from the block of words of a launch it makes that of its own net.

A launch has one block, of `kernels.TrainingOnGpu`. A thread has lane q of group g to itself. It
sees each array from its own element on, as one lane of many: element p is L behind element p - 1.
So the device functions of a group of one lane are those of a thread, and nothing in them knows of
threads. The block that it calls them with stands on its stack.

Where the nets' shape is known, so do arrays: LLVM then keeps numbers in registers.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..code.specialising import TABLE
from . import kernels
from .words import VERSION, Field, field_of

FIELD = field_of("train_net", kernels.TrainingOnGpu, {"own": kernels.SharedRows})
_INNER = kernels.TRAIN_NET.field
_SLICE = ("start", "stop", "start_tile", "stop_tile")
_SIZES = {"float64": 8, "int64": 8, "uint64": 8, "int32": 4, "uint32": 4}

# How an array is divided among threads: by thread, each has a row, where there are several.
_SHARED, _BY_LANE, _BY_THREAD = range(3)


class Local(NamedTuple):
    """An array of a thread that is on its stack.

    Attributes
    ----------
    path : str
        Of the array in the arguments, such as "nets.params".
    numbers : int
        Its elements.
    keeps : bool
        Whether what is in it goes from launch to launch.
    """

    path: str
    numbers: int
    keeps: bool


class Array(NamedTuple):
    """An array in both blocks. word : its first one in the launch's."""

    path: str
    kind: str
    word: int
    outer: int  # axes
    inner: int
    divided: int


def _walk(outer: Field, inner: Field, prefix: str = "", word: int = 1) -> Iterator[tuple[str, Any]]:
    """(path, word) of each number and (path, Array) of each array of a block, in order."""
    for large, small in zip(outer.fields, inner.fields, strict=True):
        path = f"{prefix}{large.name}"
        if large.kind == "tuple":
            yield from _walk(large, small, f"{path}.", word)
        elif large.kind == "int":
            yield path, word
        else:
            by_thread = path in ("work.order", "work.words")
            divided = _BY_THREAD if by_thread else _SHARED
            if not by_thread and path.startswith(("nets.", "work.")):
                divided = _BY_LANE
            yield path, Array(path, large.kind, word, large.ndim, small.ndim, divided)
        word += large.words


LAYOUT = tuple(_walk(FIELD, _INNER))


def of_thread(arguments: Any, thread: int) -> Any:
    """The arguments of a thread, as views of those of the launch: what the entry does, in Python.

    arguments : TrainingOnGpu.
    """
    first, _, *tiles = arguments.slice
    lanes = arguments.nets.params.shape[2]
    g, q = first + thread // lanes, thread % lanes

    def view(value: Any, path: str, axes: int) -> Any:
        if isinstance(value, tuple):
            names = type(value)._fields  # type: ignore[attr-defined]
            parts = (view(v, f"{path}.{n}", axes) for v, n in zip(value, names, strict=True))
            return type(value)(*parts)
        if path in ("work.order", "work.words"):
            return value[min(thread, len(value) - 1)]
        if value.size == 0:
            return value if axes else value[0] if len(value) else value.reshape(value.shape[1:])
        own = value[g : g + 1, ..., q : q + 1] if axes else value[g, ..., q : q + 1]
        return own

    return kernels.Training(
        kernels.Slice(0, 1, *tiles), *arguments[1:6],  # type: ignore[call-arg]
        view(arguments.nets, "nets", 1), view(arguments.work, "work", 0),
    )  # fmt: skip


class _Text:
    """Lines of a function in LLVM's assembly."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def value(self, operation: str) -> str:
        """A new value: the result of an operation."""
        self.count += 1
        self.lines.append(f"  %v{self.count} = {operation}")
        return f"%v{self.count}"

    def do(self, operation: str) -> None:
        """An operation without a result."""
        self.lines.append(f"  {operation}")


def _product(text: _Text, factors: Sequence[Any]) -> Any:
    """Product of numbers, and of values."""
    number = 1
    values = []
    for factor in factors:
        if isinstance(factor, int):
            number *= factor
        else:
            values.append(factor)
    result: Any = number
    for value in values:
        result = value if result == 1 else text.value(f"mul i64 {result}, {value}")
    return result


def text_of(
    general: str, name: str, dtype: Any, known: Any = None, local: Sequence[Local] = ()
) -> str:
    """The entry of threads in LLVM's assembly: ``i32 name(i32 *result, i64 words, i64 thread)``.

    It returns 0, as numba's own functions do, and writes what the kernel returned.

    Parameters
    ----------
    general : str
        The kernel's entry, of a block of `kernels.Training`.
    dtype : dtype
        Of the nets.
    known : specialising.Known, optional
        Of the words of the launch's block.
    local : sequence of Local
        Arrays on the stack, where all their extents are known.
    """
    text, element = _Text(), "float" if dtype.itemsize == 4 else "double"
    locals_of = {each.path: each for each in local}
    lanes_word = next(each for path, each in LAYOUT if path == "nets.params").word + 3
    start_word = next(each for path, each in LAYOUT if path == "slice.start")

    def word(k: int) -> Any:
        number = known.words[k] if known is not None else None
        if isinstance(number, int):
            return number
        place = text.value(f"getelementptr i64, ptr addrspace(1) %words, i64 {k}")
        return text.value(f"load i64, ptr addrspace(1) {place}, !invariant.load !{{}}")

    text.do("%words = inttoptr i64 %address to ptr addrspace(1)")
    lanes = word(lanes_word)
    group = text.value(f"sdiv i64 %thread, {lanes}")
    group = text.value(f"add i64 {group}, {word(start_word)}")
    lane = text.value(f"srem i64 %thread, {lanes}")

    def elsewhere(array: Array, extents: list[Any]) -> Any:
        """Address of the thread's own part of an array."""
        base = word(array.word)
        if array.divided == _SHARED:
            return base
        if array.divided == _BY_LANE:
            of_group = _product(text, extents[1:])
            offset = text.value(f"mul i64 {group}, {of_group}")
            offset = text.value(f"add i64 {offset}, {lane}")
        else:
            last = text.value(f"sub i64 {extents[0]}, 1")
            fewer = text.value(f"icmp slt i64 %thread, {last}")
            row = text.value(f"select i1 {fewer}, i64 %thread, i64 {last}")
            offset = text.value(f"mul i64 {row}, {_product(text, extents[1:])}")
        size = dtype.itemsize if array.kind == "float" else _SIZES[array.kind]
        offset = text.value(f"mul i64 {offset}, {size}")
        return text.value(f"add i64 {base}, {offset}")

    def generic(address: Any) -> str:
        """A pointer in global memory, as device functions take it."""
        place = text.value(f"inttoptr i64 {address} to ptr addrspace(1)")
        return text.value(f"addrspacecast ptr addrspace(1) {place} to ptr")

    block: list[tuple[str, Any]] = [("i64", VERSION)]
    after: list[tuple[Local, str, str, Any]] = []
    for path, each in LAYOUT:
        if path.startswith("slice."):
            field = path.partition(".")[2]
            fixed = {"start": 0, "stop": 1}.get(field)
            block.append(("i64", word(each) if fixed is None else fixed))
            continue
        if not isinstance(each, Array):
            block.append(("i64", word(each)))
            continue
        if known is not None and known.words[each.word] == TABLE:
            block.append(("ptr", "@table"))
        extents = [word(each.word + 1 + k) for k in range(each.outer)]
        inner = extents[each.outer - each.inner :]
        if each.divided == _BY_LANE and each.outer == each.inner:
            inner[0] = 1
        if path in locals_of:
            array = locals_of[path]
            own = text.value(f"alloca {element}, i64 {array.numbers}")
            if array.keeps:
                place = generic(elsewhere(each, extents))
                after.append((array, own, place, lanes))
            for p in range(array.numbers):
                to = text.value(f"getelementptr {element}, ptr {own}, i64 {p}")
                number: str = f"{0.0:e}"
                if array.keeps:
                    at = text.value(f"getelementptr {element}, ptr {place}, i64 {p * lanes}")
                    number = text.value(f"load {element}, ptr {at}")
                text.do(f"store {element} {number}, ptr {to}")
            inner[-1] = 1
            block.append(("ptr", own))
        elif not (known is not None and known.words[each.word] == TABLE):
            block.append(("ptr", generic(elsewhere(each, extents))))
        block += [("i64", extent) for extent in inner]
    text.do(f"%block = alloca i64, i64 {len(block)}")
    for k, (kind, value) in enumerate(block):
        to = text.value(f"getelementptr i64, ptr %block, i64 {k}")
        text.do(f"store {kind} {value}, ptr {to}")
    status = text.value(f"call i32 @{general}(ptr %block)")
    for array, own, place, L in after:
        for p in range(array.numbers):
            at = text.value(f"getelementptr {element}, ptr {own}, i64 {p}")
            to = text.value(f"getelementptr {element}, ptr {place}, i64 {p * L}")
            number = text.value(f"load {element}, ptr {at}")
            text.do(f"store {element} {number}, ptr {to}")
    text.do(f"store i32 {status}, ptr %result")
    table = ""
    if known is not None:
        numbers = ", ".join(f"i64 {number}" for number in known.table)
        table = f"@table = internal constant [{len(known.table)} x i64] [{numbers}]\n"
    body = "\n".join(text.lines)
    return (
        f"{table}declare i32 @{general}(ptr)\n"
        f"define i32 @{name}(ptr %result, i64 %address, i64 %thread) {{\n{body}\n  ret i32 0\n}}\n"
    )
