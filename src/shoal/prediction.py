"""predict(): the outputs of one net for many rows."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import choice
from .kernels import cpu, jit
from .kernels.layout import Task
from .kernels.vectors import LaneGroup
from .memory import BatchNorm, pack
from .structure import ACTIVATION_CODES, Structure, positions
from .workspaces import prediction_workspace

Floats = NDArray[Any]


def predict(
    X: Floats,
    weights: Sequence[Floats],
    biases: Sequence[Floats] | None,
    activations: tuple[str, ...],
    output: str,
    norms: Sequence[BatchNorm] | None = None,
    threads: int | None = None,
) -> Floats:
    """Outputs (n, O) of one net for X (n, I): lanes are rows."""
    dtype, (n, inputs) = X.dtype, X.shape
    widths = (inputs, *(w.shape[1] for w in weights))
    structure = Structure(
        widths=widths,
        activations=activations,
        output=output,
        loss="squared_error",
        bias=biases is not None,
        init="auto",
        every=1,
        batch=n,
        shuffle=False,
        mean=True,
        optimizer=0,
        batch_norm=norms is not None,
    )
    layers = positions(structure)
    width = choice.lane_width(dtype, jit.register_bytes())
    L, units = width.lanes, sum(widths[1:])
    tile = choice.tile_rows(-(-n // L), units + inputs, L * dtype.itemsize)
    stride = choice.row_stride(tile)
    numbers = dict.fromkeys(Task._fields, 0) | {
        "rows": n,
        "inputs": inputs,
        "outputs": widths[-1],
        "parameters": layers.parameters,
        "tile": tile,
        "stride": stride,
        "output": ACTIVATION_CODES[output],
    }
    task = Task(**numbers)
    params, outputs = pack(weights, biases, norms, layers, dtype), np.empty(n * widths[-1], dtype)
    lane, flat = LaneGroup(dtype, L, width.tile), X.ravel()

    def call(part: tuple[int, int]) -> None:
        work = prediction_workspace(units, inputs, tile, stride, L, dtype)
        cpu.predict(lane, task, layers.table, flat, params, work, outputs, *part)

    parts = min(threads or jit.default_threads(), 1 + n * layers.size // 5_000_000)
    edges = [n * k // parts for k in range(parts + 1)]
    spans = list(zip(edges[:-1], edges[1:], strict=True))
    call(spans[0])
    if parts > 1:
        with ThreadPoolExecutor(parts - 1) as pool:
            list(pool.map(call, spans[1:]))
    return outputs.reshape(n, -1)
