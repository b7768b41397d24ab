"""The speed goals, Shoal and rival by turns in one process: python -m benchmarks.compare"""

import datetime
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from .rivals import c_tutorial, itself, jax_vmap
from .work import Minibatch, Tutorial, error

# work, rival, and how many times the rival's speed Shoal must reach
GOALS = [
    (Tutorial(4096, 2_000, "float32"), jax_vmap, 5),
    (Minibatch(128, 10), jax_vmap, 1.5),
    (Tutorial(1, 60_000, "float64"), c_tutorial, 1 / 8),
]


def alternate(contenders, work, alternations):
    """Return each contender's seconds, one entry a turn, after a first call that is checked."""
    runs = [contender.PREPARE[type(work)](work) for contender in contenders]
    for contender, run in zip(contenders, runs, strict=True):
        if not (wrong := error(contender.final(run()), work)) < 0.05:
            raise click.ClickException(f"{contender.NAME} is wrong by {wrong:.3g} on {work}")
    seconds = [[] for _ in contenders]
    for _ in range(alternations):
        for run, mine in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            run()
            mine.append(time.perf_counter() - start)
    return seconds


def processor():
    """Return the name of the processor, as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions():
    """Return 'name version' of what takes part."""
    found = [f"Python {platform.python_version()}"]
    for name in ("shoal", "numpy", "numba", "llvmlite", "jax"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    if c_tutorial.missing() is None:
        done = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True)
        found.append(f"gcc {done.stdout.strip()}")
    return ", ".join(found)


def per_step(seconds, work):
    return f"{seconds:.4f} s ({seconds / work.steps * 1e9:,.4g} ns)"


@click.command()
@click.option("--alternations", type=click.IntRange(min=5), default=7, show_default=True)
def main(alternations):
    """Time the speed goals; the exit status is 1 when one that ran was missed."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    table = Table(
        "work", "Shoal", "rival", "", "rival / Shoal", "each turn", "goal", "met",
        caption=f"medians of {alternations} turns each; in brackets, per net and step",
    )  # fmt: skip
    missed = False
    for work, rival, goal in GOALS:
        row = [str(work)]
        if reason := rival.missing():
            table.add_row(*row, "", rival.NAME, f"skipped: {reason}", "", "", f"{goal:g}", "")
            continue
        ours, theirs = alternate([itself, rival], work, alternations)
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        ratio = statistics.median(theirs) / statistics.median(ours)
        missed |= ratio < goal
        table.add_row(
            *row,
            per_step(statistics.median(ours), work),
            rival.NAME,
            per_step(statistics.median(theirs), work),
            f"{ratio:.3g}",
            f"{min(ratios):.3g} to {max(ratios):.3g}",
            f"{goal:g}",
            "no" if ratio < goal else "yes",
        )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    console.print(f"{processor()}, {cores} cores, {platform.platform()}")
    console.print(versions())
    console.print(f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %z}")
    console.print(table)
    sys.exit(int(missed))


if __name__ == "__main__":
    main()
