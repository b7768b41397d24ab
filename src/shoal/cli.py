"""The command `shoal`."""

import importlib.metadata
import os
import platform
from pathlib import Path

import click

from . import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="shoal")
def main() -> None:
    """Train small neural networks, one or a hundred thousand at once."""


def _output(context: click.Context, parameter: click.Parameter, path: Path) -> Path:
    """Refuse a path that cannot be written before the work, not after it."""
    if not path.parent.is_dir():
        raise click.BadParameter(f"the folder {str(path.parent)!r} does not exist.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise click.BadParameter(f"{str(path)!r} cannot be written: choose another path.")
    return path


@main.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="shoal-demo.png",
    show_default=True,
    callback=_output,
    help="Where the picture is saved.",
)
def demo(output: Path) -> None:
    """Run the tutorial's programs and a sweep of 1,000 nets.

    Prints the tutorial's numbers beside Shoal's, times Shoal beside numpy, sweeps nets over
    scikit-learn's handwritten digits, and saves a picture of the sweep.
    """
    try:
        from rich.console import Console

        from . import demo

        try:
            demo.check_extras()
        except ImportError as error:
            raise click.ClickException(str(error)) from None
        demo.run(Console(highlight=False), output)
    except KeyboardInterrupt:
        click.echo("\nStopped; no picture was saved.", err=True)
        raise SystemExit(130) from None  # as shells report it


def _version(distribution: str, extra: str = "") -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return f'not installed: pip install "shoal[{extra}]"' if extra else "version not known"


def _cache_state(directory: Path, problem: str | None) -> str:
    """What the cache holds, or why it cannot be used."""
    if problem is not None:
        return f"not used, as {problem}; each process compiles (SHOAL_CACHE_DIR names another)"
    sizes = [path.stat().st_size for path in directory.glob("*.kernel")]
    if not sizes:
        return "empty: the first training compiles, once"
    return f"{len(sizes)} kernels, {sum(sizes) / 1e6:.1f} MB; writable"


@main.command()
def info() -> None:
    """Show versions, threads, SIMD, cache and GPU."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from .choice import lane_width
    from .kernels import jit
    from .kernels.emission import CHECKED

    register = jit.register_bytes()
    lanes = {dtype: lane_width(np.dtype(dtype), register).lanes for dtype in ("float32", "float64")}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    directory = jit.cache_directory()
    rows = {
        "shoal": __version__,
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}",
        "numpy": _version("numpy"),
        "numba": f"{_version('numba')} with llvmlite {_version('llvmlite')}",
        "scikit-learn": _version("scikit-learn", "sklearn"),
        "matplotlib": _version("matplotlib", "plot"),
        "threads": f"{jit.default_threads()}; cores: {cores} (NUMBA_NUM_THREADS sets another)",
        "threading layer": "none of numba's: Python threads call kernels that release the GIL",
        "SIMD": f"{8 * register} bits: {lanes['float32']} nets side by side in float32, "
        f"{lanes['float64']} in float64",
        "kernels": ("compiled" if jit.jit_is_on() else "plain Python, as NUMBA_DISABLE_JIT is set")
        + (", bounds checked, as SHOAL_CHECKED is set" if CHECKED else ""),
        "cache": str(directory),
        "cache state": _cache_state(directory, jit.cache_problem()),
        "GPU": "none: this version computes on the CPU; a GPU backend does not exist yet",
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    Console(highlight=False).print(table)
