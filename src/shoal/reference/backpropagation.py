"""The way back through a net: deltas, gradients, and a look at all of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .layers import (
    ACTIVATIONS,
    Array,
    BatchNorm,
    Names,
    dropped,
    layer_names,
    normalise,
    propagate,
)
from .losses import output_delta, output_error


class Gradients(NamedTuple):
    """Gradients of a batch, a list of each kind of parameter: an array a layer.

    Examples
    --------
    >>> Gradients([np.zeros((2, 1))], [np.zeros(1)]).scales
    ()
    """

    weights: list[Array]
    biases: list[Array]
    scales: Sequence[Array] = ()  # of batch normalisation, as the shifts
    shifts: Sequence[Array] = ()


class Look(NamedTuple):
    """What `look` sees: one array a layer in each list, hidden layers first, (n, units).

    Examples
    --------
    >>> Look([np.zeros((4, 1))], [np.zeros((4, 1))], [np.zeros((4, 1))]).outputs[-1].shape
    (4, 1)
    """

    outputs: list[Array]
    errors: list[Array]
    deltas: list[Array]


def pass_back(
    sums: Sequence[Array],
    layers: Sequence[Array],
    y: Array,
    weights: Sequence[Array],
    activations: Names,
    output: str,
    loss: str,
    *,
    row_weights: Array | None = None,
    clip_delta: float | None = None,
    batch_norms: Sequence[BatchNorm] | None = None,
    masks: Sequence[Array | None] | None = None,
    huber_delta: float = 1.0,
    quantile: float = 0.5,
) -> tuple[list[Array], list[Array], list[Array], list[Array]]:
    """Back-propagation of a batch's deltas (Rumelhart, Hinton & Williams, Nature 1986).

    A delta is d loss / d z. An error is d loss / d a, which the layer above passes back:
    ``error = delta_above W^T``, then ``delta = error a'(z)``.

    - A row's weight multiplies the delta of its outputs, and with it all others.
    - Each element of a delta that is passed on is held to [-c, c] times its row's weight, with
      ``clip_delta`` = c: the tutorial's delta trimming.
    - A value that was dropped out has a slope of 0; one that was kept, the factor of its mask.
    - Batch normalisation makes each row's sum depend on those of all rows. With d the delta of its
      result: ``delta = scale r (d - mean(d) - n mean(d n))``, means over the rows (Ioffe & Szegedy,
      section 3). d itself is what is clipped.

    Parameters are those of `gradients`, with ``sums`` and ``layers`` from `propagate`.

    Returns
    -------
    errors, deltas : lists of arrays
        Of each layer; the last error is that of `output_error`.
    scales, shifts : lists of arrays
        Sums over the rows of ``d n`` and of d, for each batch normalisation.

    Examples
    --------
    >>> X, y, weights = np.array([[1.0, 2.0]]), np.array([[0.0]]), [np.array([[1.0], [1.0]])]
    >>> passed = propagate(X, weights, None, [], "sigmoid")
    >>> errors, deltas, _, _ = pass_back(*passed, y, weights, [], "sigmoid", "squared_error")
    >>> errors[0].round(3), deltas[0].round(3)
    (array([[0.953]]), array([[0.043]]))
    """
    parameters = huber_delta, quantile
    w = 1 if row_weights is None else np.asarray(row_weights, y.dtype)[:, np.newaxis]

    def clipped(delta: Array, limit: Array | int) -> Array:
        return (
            delta if clip_delta is None else np.clip(delta, -clip_delta * limit, clip_delta * limit)
        )

    names = layer_names(activations, len(weights) - 1)
    errors = [output_error(layers[-1], y, loss, *parameters) * w]
    deltas = [clipped(output_delta(sums[-1], layers[-1], y, output, loss, *parameters), 1) * w]
    scales: list[Array] = []
    shifts: list[Array] = []
    for k in range(len(weights) - 2, -1, -1):
        function, slope = ACTIVATIONS[names[k]]
        z = sums[k]
        if batch_norms is not None:
            z, n, r = normalise(sums[k], batch_norms[k], training=True)
        errors.insert(0, dropped(deltas[0] @ weights[k + 1].T, masks, k + 1))
        a = layers[k + 1] if masks is None or masks[k + 1] is None else function(z)
        delta = clipped(errors[0] * slope(z, a), w)
        if batch_norms is not None:
            scales.insert(0, (delta * n).sum(axis=0))
            shifts.insert(0, delta.sum(axis=0))
            shared = delta.mean(axis=0) + n * (delta * n).mean(axis=0)
            delta = batch_norms[k].scale * r * (delta - shared)
        deltas.insert(0, delta)
    return errors, deltas, scales, shifts


def backward(
    sums: Sequence[Array],
    layers: Sequence[Array],
    y: Array,
    weights: Sequence[Array],
    activations: Names,
    output: str,
    loss: str,
    reduction: str = "sum",
    *,
    row_weights: Array | None = None,
    clip_delta: float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    batch_norms: Sequence[BatchNorm] | None = None,
    masks: Sequence[Array | None] | None = None,
    huber_delta: float = 1.0,
    quantile: float = 0.5,
) -> Gradients:
    """The gradients of a batch, from what `propagate` returns.

    That of a layer's weights is ``x^T delta``, of its biases the sum of delta over the rows, with
    the deltas of `pass_back`. "mean" divides all of them by the sum of the rows' weights (where
    that is 0, so are they). Last come the penalties, on weights alone: the derivatives of
    ``l1 sum |w| + l2 sum w^2 / 2``.

    Parameters are those of `gradients`, with ``sums`` and ``layers`` from `propagate`.

    Examples
    --------
    >>> X, y, weights = np.array([[1.0, 2.0]]), np.array([[0.0]]), [np.array([[1.0], [1.0]])]
    >>> passed = propagate(X, weights, None, [], "identity")
    >>> backward(*passed, y, weights, [], "identity", "squared_error")[:2]
    ([array([[3.], [6.]])], [array([3.])])
    """
    _, deltas, scales, shifts = pass_back(
        sums, layers, y, weights, activations, output, loss, row_weights=row_weights,
        clip_delta=clip_delta, batch_norms=batch_norms, masks=masks, huber_delta=huber_delta,
        quantile=quantile,
    )  # fmt: skip
    rows = len(y) if row_weights is None else float(np.sum(row_weights))
    factor = 1 / rows if reduction == "mean" and rows > 0 else 1
    of_weights = [x.T @ d * factor for x, d in zip(layers[:-1], deltas, strict=True)]
    if l1 or l2:
        for w, g in zip(weights, of_weights, strict=True):
            g += l2 * w + l1 * np.sign(w)
    return Gradients(
        of_weights,
        [d.sum(axis=0) * factor for d in deltas],
        [g * factor for g in scales],
        [g * factor for g in shifts],
    )


def gradients(
    X: Array,
    y: Array,
    weights: Sequence[Array],
    biases: Sequence[Array] | None,
    activations: Names,
    output: str,
    loss: str,
    reduction: str = "sum",
    *,
    row_weights: Array | None = None,
    clip_delta: float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    batch_norms: Sequence[BatchNorm] | None = None,
    masks: Sequence[Array | None] | None = None,
    huber_delta: float = 1.0,
    quantile: float = 0.5,
) -> Gradients:
    """Gradients of the training loss of a batch by every parameter: `propagate`, then `backward`.

    Parameters
    ----------
    X, y : arrays, (B, I) and (B, O)
    weights, biases : lists of arrays; biases may be None
    activations : str or list of str
        Of the hidden layers.
    output, loss : str
    reduction : "sum" or "mean"
        Over the rows.
    row_weights : array, (B,), optional
        How much each row counts.
    clip_delta : float, optional
    l1, l2 : float
    batch_norms : list of BatchNorm, optional
        One a hidden layer; it normalises by these rows' statistics.
    masks : list of arrays or None, optional
        Of dropout: see `dropout_masks`.
    huber_delta, quantile : float

    Returns
    -------
    Gradients

    Examples
    --------
    >>> X, y, weights = np.array([[1.0, 2.0]]), np.array([[0.0]]), [np.array([[1.0], [1.0]])]
    >>> gradients(X, y, weights, None, [], "identity", "squared_error").weights
    [array([[3.], [6.]])]
    >>> gradients(X, y, weights, None, [], "identity", "squared_error", l2=0.5).weights
    [array([[3.5], [6.5]])]
    """
    y = np.asarray(y, weights[0].dtype)
    sums, layers = propagate(
        X, weights, biases, activations, output, batch_norms=batch_norms, masks=masks, training=True
    )
    return backward(
        sums, layers, y, weights, activations, output, loss, reduction, row_weights=row_weights,
        clip_delta=clip_delta, l1=l1, l2=l2, batch_norms=batch_norms, masks=masks,
        huber_delta=huber_delta, quantile=quantile,
    )  # fmt: skip


def look(
    X: Array,
    y: Array,
    weights: Sequence[Array],
    biases: Sequence[Array] | None,
    activations: Names,
    output: str,
    loss: str,
    *,
    row_weights: Array | None = None,
    clip_delta: float | None = None,
    batch_norms: Sequence[BatchNorm] | None = None,
    huber_delta: float = 1.0,
    quantile: float = 0.5,
) -> Look:
    """Pass rows forward and back, change nothing, and tell what every layer saw.

    Nothing is dropped out. Batch normalisation is by the statistics of these rows.

    Parameters
    ----------
    X, y, weights, biases, activations, output, loss
        See `gradients`, as of the others.

    Returns
    -------
    Look
        ``outputs`` are the layers' values. ``errors`` are the derivatives of the loss by them (of
        cross_entropy and poisson a - y in the last layer: see `output_error`). ``deltas`` are the
        derivatives by the weighted sums, clipped as in a step: the gradients are ``x^T delta``.

    Examples
    --------
    >>> X, y, weights = np.array([[1.0, 2.0]]), np.array([[0.0]]), [np.array([[1.0], [1.0]])]
    >>> seen = look(X, y, weights, None, [], "sigmoid", "squared_error")
    >>> [[array.item().__round__(3) for array in arrays] for arrays in seen]
    [[0.953], [0.953], [0.043]]
    """
    y = np.asarray(y, weights[0].dtype)
    sums, layers = propagate(
        X, weights, biases, activations, output, batch_norms=batch_norms, training=True
    )
    errors, deltas, _, _ = pass_back(
        sums, layers, y, weights, activations, output, loss, row_weights=row_weights,
        clip_delta=clip_delta, batch_norms=batch_norms, huber_delta=huber_delta, quantile=quantile,
    )  # fmt: skip
    return Look(layers[1:], errors, deltas)
