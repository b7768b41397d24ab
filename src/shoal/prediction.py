"""predict(): the outputs of one net for many rows."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kernels import cpu, jit
from .kernels.block import Task
from .kernels.vectors import LaneGroup
from .memory import forward_workspace, pack
from .plan import ACTIVATION_CODES, LOSS_CODES, Structure, lane_width, positions, tile_rows

Floats = NDArray[Any]


def predict(
    X: Floats,
    weights: list[Floats],
    biases: list[Floats] | None,
    activations: tuple[str, ...],
    output: str,
    threads: int | None = None,
) -> Floats:
    """Outputs (n, O) of one net for X (n, I): lanes are rows."""
    dtype, (n, inputs) = X.dtype, X.shape
    widths = (inputs, *(w.shape[1] for w in weights))
    structure = Structure(
        widths,
        activations,
        output,
        "squared_error",
        biases is not None,
        "auto",
        0,
        n,
        False,
        True,
        0,
    )
    layers, P = positions(structure)
    width = lane_width(dtype, jit.register_bytes())
    L, units = width.lanes, sum(widths[1:])
    tile, stride = tile_rows(-(-n // L), units + inputs, L * dtype.itemsize)
    task = Task(
        n, inputs, widths[-1], P, n, tile, stride, 0, 1, 1,
        ACTIVATION_CODES[output], LOSS_CODES["squared_error"], 0,
    )  # fmt: skip
    params, outputs = pack(weights, biases, dtype), np.empty(n * widths[-1], dtype)
    lane, flat = LaneGroup(dtype, L, width.tile), X.ravel()

    def call(part: tuple[int, int]) -> None:
        work = forward_workspace(units * stride, L, dtype, L, tile, inputs * stride)
        cpu.predict(lane, task, layers, flat, params, work, outputs, *part)

    parts = min(threads or jit.default_threads(), 1 + n * P // 5_000_000)
    edges = [n * k // parts for k in range(parts + 1)]
    spans = list(zip(edges[:-1], edges[1:], strict=True))
    call(spans[0])
    if parts > 1:
        with ThreadPoolExecutor(parts - 1) as pool:
            list(pool.map(call, spans[1:]))
    return outputs.reshape(n, -1)
