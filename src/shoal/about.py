"""info(): what Shoal is made of here, and what it runs on."""

import importlib.metadata
import os
import platform
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from . import __version__
from .kernels.code import cache, environment
from .kernels.launching import parallel
from .planning.cost_model import lane_width


def info() -> dict[str, str]:
    """Return versions, threads, the threading layer, SIMD, the cache and GPU, as text.

    The threading layer is numba's, which chooses one when the first parallel loop of a process
    runs, Shoal's or another.

    Examples
    --------
    >>> import shoal
    >>> list(shoal.info())[:4]
    ['shoal', 'Python', 'numpy', 'numba']
    """
    register = environment.register_bytes()
    lanes = {dtype: lane_width(np.dtype(dtype), register).lanes for dtype in ("float32", "float64")}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    directory = cache.directory()
    return {
        "shoal": __version__,
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}",
        "numpy": _version("numpy"),
        "numba": f"{_version('numba')} with llvmlite {_version('llvmlite')}",
        "scikit-learn": _version("scikit-learn", "sklearn"),
        "matplotlib": _version("matplotlib", "plot"),
        "threads": f"{environment.default_threads()}; cores: {cores} "
        "(NUMBA_NUM_THREADS sets another)",
        "threading layer": parallel.layer() or "none yet: no parallel loop has run",
        "SIMD": f"{8 * register} bits: {lanes['float32']} nets side by side in float32, "
        f"{lanes['float64']} in float64",
        "kernels": _kernels_state(environment.jit_is_on(), environment.CHECKED),
        "prebuilt": _prebuilt_state(len(list(cache.prebuilt().glob("*.kernel")))),
        "cache": str(directory),
        "cache state": _cache_state(directory, cache.problem(), cache.danger()),
        "GPU": _gpu_state(),
    }


def cuda_available() -> bool:
    """Whether ``backend="cuda"`` can be used here; `info` says why not.

    Examples
    --------
    >>> import shoal
    >>> shoal.cuda_available() in (True, False)
    True
    """
    from .gpu.device import problem

    return problem() is None


def _gpu_state() -> str:
    from .gpu.device import describe, problem

    reason = problem()
    return describe() if reason is None else f"none, the CPU computes: {reason}"


def table() -> Table:
    """`info` as a table, with the threading layer that numba chooses."""
    if parallel.may_start_layer():
        parallel.choose_layer()
    lines = Table(box=None, show_header=False, pad_edge=False)
    lines.add_column(style="bold", no_wrap=True)
    lines.add_column(overflow="fold")
    for name, value in info().items():
        lines.add_row(name, escape(value))
    return lines


def _version(distribution: str, extra: str = "") -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return f'not installed: pip install "shoal[{extra}]"' if extra else "version not known"


def _cache_state(directory: Path, problem: str | None, danger: str | None) -> str:
    """What the cache holds, or why it cannot be used."""
    where = ", in the temporary directory, as there is no home" if cache.is_temporary() else ""
    if danger is not None:
        return (
            f"not used, as {danger}{where}; each process compiles (SHOAL_CACHE_DIR names another)"
        )
    sizes = [path.stat().st_size for path in directory.glob("*.kernel")]
    kernels = f"{len(sizes)} kernels, {sum(sizes) / 1e6:.1f} MB"
    if problem is not None:
        return f"{kernels}; read, but not written, as {problem}{where}"
    if not sizes:
        return f"empty: the first training compiles, once{where}"
    return f"{kernels}; writable{where}"


def _prebuilt_state(count: int) -> str:
    return f"{count} kernels came with Shoal" if count else "none: kernels are compiled when needed"


def _kernels_state(compiled: bool, checked: bool) -> str:
    state = "compiled" if compiled else "plain Python, as NUMBA_DISABLE_JIT is set"
    return state + (", bounds checked, as SHOAL_CHECKED is set" if checked else "")
