"""Arrays as kernels want them: each starts on a cache line."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def aligned_all(shapes: Mapping[str, tuple[int, ...]], dtype: Any) -> dict[str, NDArray[Any]]:
    """Arrays of +0 in one piece of memory. Each starts on a cache line, so that no vector of 64
    bytes crosses one."""
    size, end, starts = np.dtype(dtype).itemsize, 0, []
    for shape in shapes.values():
        starts.append(end)
        end += (math.prod(shape) * size + 63) & -64
    memory = np.zeros(end + 64, np.uint8)
    base = -memory.__array_interface__["data"][0] % 64
    return {
        name: np.ndarray(shape, dtype, memory, base + start)
        for (name, shape), start in zip(shapes.items(), starts, strict=True)
    }


def aligned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Array of +0 that starts on a cache line."""
    return aligned_all({"": shape}, dtype)[""]
