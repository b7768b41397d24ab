"""The layers of the package: who may import whom, read from the source with ast."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "shoal"

# From the bottom up. A room imports from its own layer or a lower one, and never in a circle.
LAYERS = [
    {"kernels", "reference"},
    {"inputs", "gpu"},
    {"planning"},
    {"running"},
    {"model"},
    {"results"},
    {"network", "sweeps", "sklearn"},
    {"plots", "demo", "about", "prebuild"},
    {"cli"},
]
KERNEL_LAYERS = [
    {"code", "memory", "codes", "layout", "lane_group", "teams"},
    {"lanes"},
    {"arguments"},
    {"step"},
    {"nets_in_lanes", "rows_in_lanes"},
    {"epoch"},
    {"launching"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
KERNEL_LEVEL = {room: level for level, rooms in enumerate(KERNEL_LAYERS) for room in rooms}
TOP = LEVEL["model"]  # from here on, rooms are what users call
# what numba publishes, and the one module that may use more
PUBLIC = ("numba", "numba.extending", "numba.core.cgutils")
INTERNALS = "kernels/code/numba_internals.py"


def part_of(path, source):
    """'kernels/lanes/vectors.py' -> 'kernels', 'model.py' -> 'model', '__init__.py' likewise."""
    return path.relative_to(source).with_suffix("").parts[0]


def imports(path, source=SOURCE):
    """Yield (absolute dotted name, whether at module top level) for each import in a file.

    ``from . import plan`` and ``from .plan import x`` both yield a name that begins 'shoal.plan'.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside_functions = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    package = ("shoal", *path.relative_to(source).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            names = [".".join((*base, alias.name)) for alias in node.names]
        else:
            continue
        for name in names:
            yield name, node not in inside_functions


def edges(source=SOURCE):
    """Yield (file, importing part, imported part): '' is the package itself."""
    for path in sorted(source.rglob("*.py")):
        for name, _ in imports(path, source):
            if name.split(".")[0] == "shoal":
                first = (name.split(".") + [""])[1]
                known = (source / first).is_dir() or (source / f"{first}.py").is_file()
                yield path.relative_to(source), part_of(path, source), first if known else ""


def faults(source=SOURCE):
    """Return one sentence for each import that breaks a rule of the layers."""
    found = []
    for path in sorted(source.rglob("*.py")):
        file, part = path.relative_to(source), part_of(path, source)
        if part != "__init__" and part not in LEVEL:
            found.append(f"{file} is in no layer: say in LAYERS which one it belongs to")
        for name, at_top in imports(path, source):
            library = name.split(".")[0]
            if library in ("numba", "llvmlite") and part not in ("kernels", "gpu"):
                found.append(f"{file} imports {name}: kernels/ and gpu/ alone may import {library}")
            public = name in PUBLIC or name.rpartition(".")[0] in PUBLIC
            if library == "numba" and not public and file.as_posix() != INTERNALS:
                found.append(f"{file} imports {name}: numba does not publish it")
            if library in ("matplotlib", "sklearn") and at_top and part != library:
                found.append(f"{file} imports {name} at its top: import it where it is used")
    for file, importer, imported in edges(source):
        if importer == "__init__" or importer == imported:
            continue
        if imported in ("", "__init__"):
            if LEVEL.get(importer, 0) < TOP:
                found.append(f"{file} imports the package itself: only what users call may")
        elif LEVEL.get(imported, 0) > LEVEL.get(importer, TOP):
            found.append(f"{file} imports {imported}, which is above it")
    return found + faults_of_kernels(source / "kernels") + circles(source)


def faults_of_kernels(source):
    """The same within kernels/."""
    found = []
    for path in sorted(source.rglob("*.py")):
        file, part = path.relative_to(source), part_of(path, source)
        if part != "__init__" and part not in KERNEL_LEVEL:
            found.append(f"kernels/{file} is in no layer: say in KERNEL_LAYERS which it belongs to")
        for name, _ in imports(path, source.parent):
            other = (name.split(".") + [""])[2] if name.startswith("shoal.kernels.") else ""
            if other in KERNEL_LEVEL and KERNEL_LEVEL[other] > KERNEL_LEVEL.get(part, 0):
                found.append(f"kernels/{file} imports {other}, which is above it")
            aside = KERNEL_LEVEL.get(other) == KERNEL_LEVEL.get(part)
            if other in KERNEL_LEVEL and other != part and aside:
                found.append(f"kernels/{file} imports {other}, which is beside it")
    return found


def circles(source=SOURCE):
    """Return a sentence if parts import each other in a circle."""
    graph = {}
    for _, importer, imported in edges(source):
        if importer != imported and imported and "__init__" not in (importer, imported):
            graph.setdefault(importer, set()).add(imported)
    while graph:
        leaves = {part for targets in graph.values() for part in targets} - set(graph)
        for targets in graph.values():
            targets -= leaves
        done = {part for part, targets in graph.items() if not targets}
        if not done:
            return [f"a circle of imports among {sorted(graph)}"]
        graph = {part: targets - done for part, targets in graph.items() if part not in done}
    return []


def test_the_layers_hold():
    assert not faults()


BROKEN = {
    "above": (
        {"kernels/lanes/x.py": "from ...planning import plan", "planning/plan.py": ""},
        "which is above it",
    ),
    "above_in_a_function": (
        {"inputs/settings.py": "def f():\n    from shoal import cli\n", "cli.py": ""},
        "which is above it",
    ),
    "above_in_kernels": (
        {"kernels/step/layers.py": "from ..epoch.group import x", "kernels/epoch/group.py": ""},
        "which is above it",
    ),
    "beside_in_kernels": (
        {
            "kernels/nets_in_lanes/a.py": "from ..rows_in_lanes.b import x",
            "kernels/rows_in_lanes/b.py": "",
        },
        "which is beside it",
    ),
    "circle": (
        {"plots.py": "from . import demo", "demo.py": "import shoal.plots"},
        "circle",
    ),
    "numba": (
        {"planning/plan.py": "def f():\n    from numba import njit\n"},
        "kernels/ and gpu/ alone",
    ),
    "not_published": (
        {"kernels/lanes/x.py": "from numba.core.typing import templates"},
        "numba does not publish it",
    ),
    "optional_at_the_top": (
        {"cli.py": "try:\n    import matplotlib\nexcept E:\n    pass"},
        "its top",
    ),
    "package": ({"planning/plan.py": "import shoal"}, "only what users call may"),
    "unplaced": ({"oddments.py": ""}, "in no layer"),
}


@pytest.mark.parametrize("files, fault", BROKEN.values(), ids=BROKEN)
def test_a_broken_layer_is_seen(tmp_path, files, fault):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert [sentence for sentence in faults(tmp_path) if fault in sentence]


def test_what_is_allowed_is_no_fault(tmp_path):
    for name, text in {
        "kernels/code/compilation.py": "import numba\nfrom numba.core import cgutils",
        "kernels/lanes/vectors.py": "from ..code import compilation",
        "inputs/settings.py": "import numpy as np",
        "planning/plan.py": "from ..kernels import lanes\nfrom shoal.inputs.settings import x",
        "cli.py": "import shoal\ndef f():\n    import matplotlib.pyplot\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert not faults(tmp_path)


def test_importing_shoal_imports_nothing_heavy():
    heavy = {"numba", "llvmlite", "sklearn", "matplotlib", "scipy", "rich", "tqdm"}
    program = f"import sys, shoal; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# ------------------------------------------------------------------------------------- arguments

MOST_ARGUMENTS = 10


def long_lists(source=SOURCE):
    """Return a sentence for each function with more than 10 arguments.

    In ``reference`` and in what users call, keyword-only arguments are settings: one a setting.
    """
    found = []
    for path in sorted(source.rglob("*.py")):
        of_settings = LEVEL.get(part_of(path, source), TOP) >= TOP or part_of(path, source) == (
            "reference"
        )
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = len(node.args.posonlyargs) + len(node.args.args)
                if not of_settings:
                    count += len(node.args.kwonlyargs)
                if count > MOST_ARGUMENTS:
                    found.append(f"{path.relative_to(source)}: {node.name} has {count} arguments")
    return found


def test_arguments_travel_in_named_tuples():
    assert long_lists() == []


def test_a_long_list_is_found(tmp_path):
    names = ", ".join("abcdefghijk")
    for file, text in {
        "kernels/step/x.py": f"def f({names}): pass\ndef g({names[:-3]}): pass",
        "running/x.py": f"def f(*, {names}): pass",
        "reference/x.py": f"def f(*, {names}): pass",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(text)
    assert long_lists(tmp_path) == [
        "kernels/step/x.py: f has 11 arguments",
        "running/x.py: f has 11 arguments",
    ]
