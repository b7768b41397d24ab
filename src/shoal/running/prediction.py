"""predict(): the outputs of one net for many rows."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.arguments import Task
from ..kernels.code.environment import default_threads, register_bytes
from ..kernels.launching import kernels, parallel
from ..kernels.launching.entries import Slice
from ..planning import cost_model
from ..planning.architecture import ACTIVATION_CODES, Architecture, positions
from ..planning.parameters import BatchNorm, pack
from .interrupts import noting
from .workspaces import prediction_workspace

Floats = NDArray[Any]

_WORTH_A_THREAD = 5_000_000  # weights times rows
_PIECES = 8  # a thread, so that threads end together


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
    architecture = Architecture(
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
    layers = positions(architecture)
    width = cost_model.row_width(dtype, register_bytes())
    tile = cost_model.tile_rows(n, sum(widths), dtype.itemsize)
    stride = cost_model.row_stride(-(-tile // width.rows))
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
    parts = min(threads or default_threads(), 1 + n * layers.size // _WORTH_A_THREAD)
    flat, table = X.ravel(), layers.table
    call = kernels.PREDICT.bind(
        width.group(dtype),
        [
            kernels.Prediction(
                Slice(0, 0), task, table, flat, params,
                prediction_workspace(widths, stride, width, dtype), outputs,
            )
            for _ in range(parts)
        ],
    )  # fmt: skip
    pieces = parts if parts == 1 else _PIECES * parts
    edges = [n * k // (pieces * width.rows) * width.rows for k in range(pieces)] + [n]
    with noting(lambda: None):
        parallel.launch_all([call], [(0, *part, 0, 0) for part in pairwise(edges)], parts)
    return outputs.reshape(n, -1)
