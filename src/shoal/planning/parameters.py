"""The numbers of one net: weights, biases and batch norm, in the order of the kernels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import layout
from ..kernels.memory import aligned
from .architecture import Layers

Floats = NDArray[Any]


class BatchNorm(NamedTuple):
    """Batch norm of a hidden layer, an element a unit."""

    scale: Floats
    shift: Floats
    mean: Floats  # running, as predictions take it
    variance: Floats


def pack(
    weights: Sequence[Floats],
    biases: Sequence[Floats] | None,
    norms: Sequence[BatchNorm] | None,
    layers: Layers,
    dtype: Any,
) -> Floats:
    """Parameters and statistics of one net in the kernels' order."""
    params = aligned((layers.size,), dtype)
    for k, row in enumerate(layers.table.tolist()):
        units, start, end = row[layout.UNITS], row[layout.WEIGHTS], row[layout.BIASES]
        params[start : start + weights[k].size] = np.asarray(weights[k]).T.ravel()
        if biases is not None:
            params[end : end + units] = np.asarray(biases[k]).ravel()
        if norms is not None and row[layout.SCALES] >= 0:
            for p, pair in (
                (row[layout.SCALES], norms[k][:2]),
                (row[layout.STATISTICS], norms[k][2:]),
            ):
                params[p : p + 2 * units] = np.concatenate(pair)
    return params


def unpack(
    params: Floats, layers: Layers
) -> tuple[list[Floats], list[Floats] | None, list[BatchNorm] | None]:
    """(weights (I, O), biases (O,), batch norms of the hidden layers) of one net's numbers."""
    weights, biases, norms = [], [], []

    def part(p: int, count: int) -> Floats:
        return np.array(params[p : p + count])

    for row in layers.table.tolist():
        inputs, units = row[layout.INPUTS], row[layout.UNITS]
        matrix = params[row[layout.WEIGHTS] :][: inputs * units].reshape(units, inputs)
        weights.append(np.array(matrix.T, order="C"))  # a copy, of one unit too
        if row[layout.BIASES] >= 0:
            biases.append(part(row[layout.BIASES], units))
        if row[layout.SCALES] >= 0:
            p, q = row[layout.SCALES], row[layout.STATISTICS]
            norms.append(BatchNorm(*(part(k, units) for k in (p, p + units, q, q + units))))
    return weights, biases or None, norms or None
