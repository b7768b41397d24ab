"""predict(): the outputs of one net for many rows."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import choice
from .interrupts import noting
from .kernels import cpu, jit
from .kernels.layout import Task
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
    width = choice.row_width(dtype, jit.register_bytes())
    tile = choice.tile_rows(n, sum(widths), dtype.itemsize)
    stride = choice.row_stride(-(-tile // width.rows))
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
    lane, flat = width.group(dtype), X.ravel()

    def call(part: tuple[int, int]) -> None:
        work = prediction_workspace(widths, stride, width, dtype)
        cpu.predict(lane, task, layers.table, flat, params, work, outputs, *part)

    parts = min(threads or jit.default_threads(), 1 + n * layers.size // 5_000_000)
    edges = [n * k // (parts * width.rows) * width.rows for k in range(parts)] + [n]
    if parts == 1:
        call((0, n))
    else:
        call((0, 0))  # compiles, where that is to be done, in this thread
        with noting(lambda: None), ThreadPoolExecutor(parts) as pool:
            list(pool.map(call, pairwise(edges)))
    return outputs.reshape(n, -1)
