"""Losses of rows, their derivatives by the outputs, and scores."""

from collections.abc import Callable

import numpy as np

from .layers import OUTPUT_SLOPES, OUTPUTS, Array

# Losses of an output a with target y: (the loss given e = a - y, its derivative by a).
# huber: Annals of Mathematical Statistics 1964; beyond d the square goes on as its tangent. With c,
# which is e held to [-d, d], both branches are one. quantile: Koenker & Bassett, Econometrica 1978,
# also called the pinball loss; its minimum is the q-quantile of the targets.
# At a kink the derivative is 0; an error that is NaN stays NaN.
LOSSES: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "squared_error": (lambda e, d, q: e * (e / 2), lambda e, d, q: e),
    "absolute_error": (lambda e, d, q: np.abs(e), lambda e, d, q: np.sign(e)),
    "huber": (
        lambda e, d, q: np.clip(e, -d, d) * (e - np.clip(e, -d, d) / 2),
        lambda e, d, q: np.clip(e, -d, d),
    ),
    "quantile": (
        lambda e, d, q: np.maximum(-q * e, (1 - q) * e),
        lambda e, d, q: np.where(e > 0, 1 - q, np.where(e < 0, -q, e)),
    ),
}
# Losses whose derivative by the weighted sums is a - y, each with the outputs that make it so
CANONICAL = {"cross_entropy": ("sigmoid", "softmax"), "poisson": ("exp",)}


def row_losses(
    z: Array, y: Array, output: str, loss: str, huber_delta: float = 1.0, quantile: float = 0.5
) -> Array:
    """The loss of each row, a sum over its outputs, from the output layer's weighted sums z.

    With e = a - y:

    ============== ============================================================================
    squared_error  e^2 / 2
    absolute_error abs(e)
    huber          e^2 / 2 where abs(e) <= d, else d (abs(e) - d / 2); d is ``huber_delta``
    quantile       -q e where e < 0, else (1 - q) e; q is ``quantile``
    cross_entropy  softmax: y_o (log sum_k exp z_k - z_o); sigmoid: softplus(z) - y z, which is
                   -y log a - (1 - y) log(1 - a)
    poisson        y (log y - z) + (a - y), half the Poisson deviance; y log y is 0 at y = 0
    ============== ============================================================================

    The last two never take the logarithm of an output that was rounded to 0 or 1: a loss is finite
    wherever its true value is.

    Parameters
    ----------
    z, y : arrays, (n, O)
    output, loss : str
    huber_delta, quantile : float
        Of these losses only.

    Returns
    -------
    array, (n,)

    Examples
    --------
    >>> z, y = np.array([[0.0], [-1000.0]]), np.array([[1.0], [1.0]])
    >>> row_losses(z, y, "sigmoid", "cross_entropy")
    array([6.93147181e-01, 1.00000000e+03])
    >>> row_losses(z, y, "identity", "huber", huber_delta=2.0)
    array([5.e-01, 2.e+03])
    """
    if loss == "poisson":
        terms = y * (np.log(np.where(y > 0, y, 1)) - z) + (np.exp(z) - y)
    elif loss == "cross_entropy" and output == "softmax":
        # Held to a finite number, for 0 times infinity is NaN
        shifted = np.maximum(z - z.max(axis=1, keepdims=True), -np.finfo(z.dtype).max)
        terms = y * (np.log(np.exp(shifted).sum(axis=1, keepdims=True)) - shifted)
    elif loss == "cross_entropy":
        terms = (np.maximum(z, 0) - y * z) + np.log1p(np.exp(-np.abs(z)))
    else:
        terms = LOSSES[loss][0](OUTPUTS[output](z) - y, huber_delta, quantile)
    return terms.sum(axis=1)


def output_error(
    a: Array, y: Array, loss: str, huber_delta: float = 1.0, quantile: float = 0.5
) -> Array:
    """The derivative of the loss by the outputs a; of cross_entropy and poisson a - y.

    The derivative of those two, such as 1 - y / a, has no bound, and the output's slope cancels it:
    a - y is already the delta.

    Examples
    --------
    >>> a, y = np.array([[0.5, 3.0]]), np.array([[1.0, 1.0]])
    >>> output_error(a, y, "huber")
    array([[-0.5,  1. ]])
    >>> output_error(a, y, "quantile", quantile=0.9).round(1)
    array([[-0.9,  0.1]])
    """
    error = a - y
    return error if loss in CANONICAL else LOSSES[loss][1](error, huber_delta, quantile)


def output_delta(
    z: Array,
    a: Array,
    y: Array,
    output: str,
    loss: str,
    huber_delta: float = 1.0,
    quantile: float = 0.5,
) -> Array:
    """The derivative of the loss by the output layer's weighted sums.

    cross_entropy with sigmoid or softmax, and poisson with exp, give a - y itself, for they are
    these outputs' canonical losses (Bishop, Pattern Recognition and Machine Learning, section
    4.3.6). Of the others the derivative by the outputs, g, is multiplied by the output's slope. The
    softmax's is a matrix, ``da_k/dz_o = a_k ((k = o) - a_o)``, which gives
    ``a_o (g_o - sum_k g_k a_k)``.

    Parameters
    ----------
    z, a, y : arrays, (n, O)
        Weighted sums, outputs, targets.
    output, loss : str
    huber_delta, quantile : float

    Returns
    -------
    array, (n, O)

    Examples
    --------
    >>> z, a, y = np.array([[0.0]]), np.array([[0.5]]), np.array([[1.0]])
    >>> output_delta(z, a, y, "sigmoid", "cross_entropy")
    array([[-0.5]])
    >>> output_delta(z, a, y, "sigmoid", "squared_error")
    array([[-0.125]])
    """
    g = output_error(a, y, loss, huber_delta, quantile)
    if loss in CANONICAL:
        return g
    if output == "softmax":
        return a * (g - (g * a).sum(axis=1, keepdims=True))
    return g * OUTPUT_SLOPES[output](z, a)


def mean_loss(losses: Array, row_weights: Array | None = None) -> np.floating:
    """The mean of the rows' losses, each counted with the weight of its row: sum w L / sum w.

    Examples
    --------
    >>> float(mean_loss(np.array([1.0, 4.0]), np.array([2.0, 1.0])))
    2.0
    """
    if row_weights is None:
        return losses.mean()
    return (row_weights * losses).sum() / row_weights.sum()


def score(outputs: Array, y: Array, kind: str, row_weights: Array | None = None) -> float:
    """How good the outputs are, in float64: the accuracy, or R squared.

    ======= =======================================================================================
    largest the share of the rows whose largest output has a target above 1/2
    sides   the share of the rows whose outputs are all on their target's side of 1/2
    r2      1 - sum (a - y)^2 / sum (y - mean y)^2, the mean over the outputs; an output whose
            targets are all equal counts 1 if they are met exactly, else 0; NaN where a square of
            the targets overflows
    ======= =======================================================================================

    Parameters
    ----------
    outputs, y : arrays, (n, O)
    kind : str
        A name of the table.
    row_weights : array, (n,), optional
        What each row counts, in all of these sums and means.

    Examples
    --------
    >>> y = np.array([[0, 1, 0], [1, 0, 0]])
    >>> score(np.array([[0.2, 0.4, 0.3], [0.1, 0.2, 0.7]]), y, "largest")
    0.5
    >>> score(np.array([[0.2, 0.4, 0.3], [0.7, 0.2, 0.1]]), y, "sides")
    0.5
    >>> score(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]]), "r2")
    0.5
    """
    a, y = np.asarray(outputs, np.float64), np.asarray(y, np.float64)
    w = np.ones(len(y)) if row_weights is None else np.asarray(row_weights, np.float64)
    if kind == "largest":
        right = np.take_along_axis(y, a.argmax(axis=1)[:, None], axis=1)[:, 0] > 0.5
        return float(w @ right / w.sum())
    if kind == "sides":
        return float(w @ ((a > 0.5) == (y > 0.5)).all(axis=1) / w.sum())
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        left, variation = w @ (a - y) ** 2, w @ (y - w @ y / w.sum()) ** 2
        each = np.where(variation > 0, 1 - left / variation, left == 0)
    return float(np.where(np.isinf(variation), np.nan, each).mean())
