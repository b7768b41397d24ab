"""A net's forward pass: activations, outputs, batch normalisation, and layer after layer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Names = str | Sequence[str]  # one name, or one a hidden layer

# ---------------------------------------------------------------------- activations and outputs

LEAKY_SLOPE = 0.01
# The fixed point of mean 0 and variance 1: equation 14 of Klambauer et al. 2017
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), written so that nothing overflows.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1) / (1 + e)


def softplus(z: Array) -> Array:
    """log(1 + exp(z)) (Dugas et al., NeurIPS 2000), written so that nothing overflows.

    Examples
    --------
    >>> softplus(np.array([-1000.0, 0.0, 1000.0])).round(4)
    array([0.000e+00, 6.931e-01, 1.000e+03])
    """
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def softmax(z: Array) -> Array:
    """exp(z_o) / sum_k exp(z_k) over a row's outputs (Bridle 1990), with the largest z taken off.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]]))
    array([[0.5, 0.5], [1. , 0. ]])
    """
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def normal_cdf(z: Array) -> Array:
    """The standard normal's distribution function, erfc(-z / sqrt(2)) / 2.

    Examples
    --------
    >>> normal_cdf(np.array([0.0, 40.0]))
    array([0.5, 1. ])
    """
    erfc = np.vectorize(math.erfc, otypes=[np.float64])  # numpy has none
    return (erfc(-z / math.sqrt(2)) / 2).astype(z.dtype)


def elu(z: Array) -> Array:
    """z where z > 0, else exp(z) - 1 (Clevert, Unterthiner & Hochreiter, ICLR 2016; alpha is 1).

    Examples
    --------
    >>> elu(np.array([-np.inf, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def selu(z: Array) -> Array:
    """scale z where z > 0, else scale alpha (exp(z) - 1) (Klambauer et al., NeurIPS 2017).

    Examples
    --------
    >>> selu(np.array([-np.inf, 0.0, 1.0])).round(4)
    array([-1.7581,  0.    ,  1.0507])
    """
    return SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0)))


def gelu_slope(z: Array, a: Array) -> Array:
    """Derivative of z cdf(z): cdf(z) + z density(z).

    Examples
    --------
    >>> gelu_slope(np.array([0.0]), np.array([0.0]))
    array([0.5])
    """
    return normal_cdf(z) + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def silu_slope(z: Array, a: Array) -> Array:
    """Derivative of a = z s(z) with the sigmoid s: s + a (1 - s).

    Examples
    --------
    >>> silu_slope(np.array([0.0]), np.array([0.0]))
    array([0.5])
    """
    s = sigmoid(z)
    return s + a * (1 - s)


# name: (function of the weighted sum z, its derivative by z given z and the activation a)
# relu: Nair & Hinton, ICML 2010. leaky_relu: Maas, Hannun & Ng, ICML 2013. gelu: Hendrycks & Gimpel
# 2016. silu: Elfwing, Uchibe & Doya 2018.
# At the kink of relu, leaky_relu and selu the derivative is the one from the left; elu has no kink.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "sigmoid": (sigmoid, lambda z, a: a * (1 - a)),
    "tanh": (np.tanh, lambda z, a: 1 - a * a),
    "relu": (lambda z: np.maximum(z, 0), lambda z, a: np.where(z > 0, 1, np.zeros_like(z))),
    "leaky_relu": (
        lambda z: np.where(z > 0, z, LEAKY_SLOPE * z),
        lambda z, a: np.where(z > 0, 1, np.full_like(z, LEAKY_SLOPE)),
    ),
    "elu": (elu, lambda z, a: np.where(z > 0, 1, a + 1)),
    "selu": (selu, lambda z, a: np.where(z > 0, SELU_SCALE, a + SELU_SCALE * SELU_ALPHA)),
    "gelu": (lambda z: z * normal_cdf(z), gelu_slope),
    "silu": (lambda z: z * sigmoid(z), silu_slope),
    "softplus": (softplus, lambda z, a: sigmoid(z)),
    "identity": (lambda z: z, lambda z, a: np.ones_like(z)),
}

# Functions of the output layer. The derivative of softmax is a matrix: see `output_delta`.
OUTPUTS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda z: z,
    "sigmoid": sigmoid,
    "softmax": softmax,
    "exp": np.exp,
}
OUTPUT_SLOPES: dict[str, Callable[[Array, Array], Array]] = {
    "identity": ACTIVATIONS["identity"][1],
    "sigmoid": ACTIVATIONS["sigmoid"][1],
    "exp": lambda z, a: a,
}


def layer_names(activations: Names, hidden: int) -> list[str]:
    """One activation's name for each hidden layer.

    Examples
    --------
    >>> layer_names("tanh", 2), layer_names(["relu", "tanh"], 2)
    (['tanh', 'tanh'], ['relu', 'tanh'])
    """
    return [activations] * hidden if isinstance(activations, str) else list(activations)


# --------------------------------------------------------------------------- batch normalisation


@dataclass
class BatchNorm:
    """What batch normalisation keeps of a hidden layer: (units,) each, changed in place.

    scale and shift are learnt like weights. mean and variance are running statistics of the
    weighted sums, which stand in for those of a batch in prediction.

    Examples
    --------
    >>> BatchNorm.start(1)
    BatchNorm(scale=array([1.]), shift=array([0.]), mean=array([0.]), variance=array([1.]))
    """

    scale: Array
    shift: Array
    mean: Array
    variance: Array

    @classmethod
    def start(cls, units: int, dtype: npt.DTypeLike = "float64") -> Self:
        """That of a net which has seen nothing yet.

        Examples
        --------
        >>> BatchNorm.start(3, "float32").scale
        array([1., 1., 1.], dtype=float32)
        """
        zeros, ones = np.zeros(units, dtype), np.ones(units, dtype)
        return cls(ones.copy(), zeros.copy(), zeros, ones)

    def remember(self, z: Array) -> None:
        """Move the running statistics a tenth of the way to those of a batch's sums z, (B, units).

        The variance that is remembered is the unbiased one, as in torch.

        Examples
        --------
        >>> norm = BatchNorm.start(1)
        >>> norm.remember(np.array([[1.0], [3.0]]))
        >>> norm.mean, norm.variance
        (array([0.2]), array([1.1]))
        """
        unbiased = z.var(axis=0) * (len(z) / (len(z) - 1))
        self.mean[...] = 0.1 * z.mean(axis=0) + 0.9 * self.mean
        self.variance[...] = 0.1 * unbiased + 0.9 * self.variance


def normalise(z: Array, norm: BatchNorm, training: bool) -> tuple[Array, Array, Array]:
    """Batch normalisation of a layer's weighted sums (Ioffe & Szegedy, ICML 2015).

    ``n = (z - mean) r`` with ``r = 1 / sqrt(variance + 1e-5)``, then ``scale n + shift``. The mean
    and the (biased) variance are those of the rows in training, else the running ones.

    Parameters
    ----------
    z : array, (n, units)
    norm : BatchNorm
    training : bool

    Returns
    -------
    normalised, n, r : arrays, (n, units), (n, units) and (units,)

    Examples
    --------
    >>> z, n, r = normalise(np.array([[1.0], [3.0]]), BatchNorm.start(1), training=True)
    >>> z.round(3).ravel(), r.round(3)
    (array([-1.,  1.]), array([1.]))
    """
    mean, variance = (z.mean(axis=0), z.var(axis=0)) if training else (norm.mean, norm.variance)
    r = 1 / np.sqrt(variance + 1e-5)
    n = (z - mean) * r
    return norm.scale * n + norm.shift, n, r


# --------------------------------------------------------------------------------- the whole net


def propagate(
    X: Array,
    weights: Sequence[Array],
    biases: Sequence[Array] | None,
    activations: Names,
    output: str,
    *,
    batch_norms: Sequence[BatchNorm] | None = None,
    masks: Sequence[Array | None] | None = None,
    training: bool = False,
) -> tuple[list[Array], list[Array]]:
    """Forward pass: ``z = b + x W`` and ``a = activation(z)``, layer by layer.

    In a hidden layer batch normalisation comes between the two, and dropout after them.

    Parameters
    ----------
    X : array, (n, I)
    weights, biases : lists of arrays; biases may be None
    activations : str or list of str
    output : str
    batch_norms : list of BatchNorm, optional
        One a hidden layer.
    masks : list of arrays or None, optional
        What dropout multiplies the inputs by, and the values of each hidden layer.
    training : bool
        Whether batch normalisation is by these rows' own statistics.

    Returns
    -------
    sums : list of arrays
        The weighted sums z of each layer, (n, units).
    layers : list of arrays
        X, then the values of each layer: the inputs of layer k are ``layers[k]``.

    Examples
    --------
    >>> sums, layers = propagate(np.ones((1, 2)), [np.ones((2, 1))], None, [], "identity")
    >>> sums, len(layers)
    ([array([[2.]])], 2)
    """
    functions = [ACTIVATIONS[name][0] for name in layer_names(activations, len(weights) - 1)]
    functions.append(OUTPUTS[output])
    sums: list[Array] = []
    layers = [dropped(np.asarray(X, weights[0].dtype), masks, 0)]
    for k, function in enumerate(functions):
        z = layers[-1] @ weights[k]
        sums.append(z if biases is None else biases[k] + z)
        z = sums[k]
        if batch_norms is not None and k < len(batch_norms):
            z = normalise(z, batch_norms[k], training)[0]
        layers.append(dropped(function(z), masks, k + 1))
    return sums, layers


def dropped(values: Array, masks: Sequence[Array | None] | None, layer: int) -> Array:
    """The values of a layer (or the derivatives by them) times its mask, where it has one.

    Examples
    --------
    >>> dropped(np.array([[3.0, 4.0]]), [None, np.array([[2.0, 0.0]])], 1)
    array([[6., 0.]])
    """
    mask = masks[layer] if masks is not None and layer < len(masks) else None
    return values if mask is None else values * mask


def forward(
    X: Array,
    weights: Sequence[Array],
    biases: Sequence[Array] | None,
    activations: Names,
    output: str,
    *,
    batch_norms: Sequence[BatchNorm] | None = None,
) -> list[Array]:
    """Values of each layer in prediction: of the hidden layers, then the outputs.

    Parameters are those of `propagate`.

    Examples
    --------
    >>> forward(np.ones((1, 2)), [np.zeros((2, 3)), np.ones((3, 1))], None, "sigmoid", "identity")
    [array([[0.5, 0.5, 0.5]]), array([[1.5]])]
    """
    return propagate(X, weights, biases, activations, output, batch_norms=batch_norms)[1][1:]
