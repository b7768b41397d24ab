"""Compile all kernels into a directory, for wheels and container images.

    python -m shoal.prebuild DIRECTORY [x86-64-v3 | x86-64-v4]

Without a level of x86-64 the kernels are for this machine's processor. What the cache of this user
has is not compiled again.
"""

import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .kernels.code import cache, environment, objects
from .kernels.code.machine_code import LEVELS
from .kernels.lane_group import LaneGroup
from .kernels.launching import kernels
from .planning.cost_model import lane_width, row_width


def entries() -> Iterator[tuple[kernels.Kernel, LaneGroup]]:
    """All kernels, with the lanes that nets are trained in on this processor."""
    register = environment.register_bytes()
    for kernel in (kernels.TAKE_SLICES, kernels.PERMUTE_ROWS):
        yield kernel, LaneGroup(np.float64, 1)
    for dtype in map(np.dtype, (np.float32, np.float64)):
        yield kernels.TRAIN_NETS_IN_LANES, lane_width(dtype, register).group(dtype)
        rows = row_width(dtype, register).group(dtype)
        for kernel in (kernels.TRAIN_ROWS_IN_LANES, kernels.FOLLOW, kernels.PREDICT):
            yield kernel, rows
        if register == 64:
            yield kernels.TRAIN_ROWS_IN_LANES, row_width(dtype, register, small=True).group(dtype)
        yield kernels.INITIALISE, LaneGroup(dtype, 1)


def _compile(number: int) -> None:
    kernel, lane = list(entries())[number]
    kernel.entry(lane)


def build(directory: str, level: str | None = None) -> Path:
    """Compile what is not there yet, on all cores.

    Returns
    -------
    Path
        Where the files are.
    """
    known = [objects.kept(kernel.name, kernel.key(lane)) for kernel, lane in entries()]
    os.environ["SHOAL_CACHE_DIR"] = directory
    if level is not None:
        os.environ["NUMBA_CPU_NAME"], os.environ["NUMBA_CPU_FEATURES"] = level, LEVELS[level]
    there = cache.directory()
    if (reason := cache.problem()) is not None:
        raise OSError(f"directory = {directory!r} cannot hold kernels: {reason}")
    for paths in known:  # of other processors are the object files alone
        if all(path is not None and path.is_file() for path in paths):
            for path in paths if level is None else paths[1:]:
                shutil.copy(path, there)
    context: Any = multiprocessing.get_context("spawn")  # each reads the environment anew
    with context.Pool(min(environment.most_threads(), 5)) as pool:
        pool.map(_compile, range(len(list(entries()))), chunksize=1)
    return there


def main(arguments: list[str]) -> None:
    """The command."""
    if len(arguments) not in (1, 2) or arguments[1:] not in ([], *([name] for name in LEVELS)):
        sys.exit(__doc__)
    begin = time.monotonic()
    there = build(*arguments)
    files = list(there.glob("*.kernel"))
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{len(files)} kernels, {size:.1f} MB, in {time.monotonic() - begin:.0f} s: {there}")


if __name__ == "__main__":
    main(sys.argv[1:])
