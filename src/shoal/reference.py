"""What training means, in plain numpy: the oracle of every engine, written to be read as a lesson.

It starts from the smallest neural network there is. Two layers of weights, four rows of data,
the sigmoid, and back-propagation by hand:

>>> X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
>>> y = np.array([[0], [1], [1], [0]])
>>> w0, w1 = initial_weights((3, 4, 1), "uniform", seed=1)[0]
>>> for epoch in range(5000):
...     a1 = 1 / (1 + np.exp(-(X @ w0)))        # forward: weighted sums, then the sigmoid
...     a2 = 1 / (1 + np.exp(-(a1 @ w1)))
...     d2 = (a2 - y) * a2 * (1 - a2)           # delta: d loss / d weighted sum
...     d1 = d2 @ w1.T * a1 * (1 - a1)          # passed back through the weights
...     w1 -= a1.T @ d2                         # a step against the gradient
...     w0 -= X.T @ d1
>>> (a2 > 0.5).astype(int).T
array([[0, 1, 1, 0]])

The rest of this file grows from these lines, each function from one of them. `ACTIVATIONS` and
`OUTPUTS` put other functions in the sigmoid's place, `propagate` takes any number of layers,
`output_delta` knows other losses, `backward` is the two lines of deltas, `sgd_step` and `adam_step`
are the last two lines, and `train` is the loop, with batches of rows. `philox` draws the starting
weights and the order of the rows, by position: the same numbers on every machine and in any order.
With its defaults `train` *is* the program above:

>>> start, _ = initial_weights((3, 4, 1), "uniform", seed=1)
>>> losses = train(X, y, start, epochs=5000)
>>> [bool(np.allclose(a, b)) for a, b in zip(start, [w0, w1])]
[True, True]

Shapes: n rows, B rows of a batch, I inputs and O outputs. X is (n, I), y (n, O), the weights of a
layer (inputs, units), its biases (units,). One row is one example, so a layer is ``b + x @ W``.
Everything is computed in the dtype of the weights. Arguments are not checked here.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Names = str | Sequence[str]  # one name, or one a hidden layer

# ------------------------------------------------------------------------------- random numbers

INITIAL_WEIGHTS, ROW_ORDER = 0, 1  # streams: the last counter word says what is drawn


def philox(counter: Sequence[npt.ArrayLike], key: int) -> Array:
    """Random 32-bit words by position: Philox4x32-10.

    Ten rounds, each of two 32 x 32 -> 64 bit products, whose high halves are mixed with the other
    words and the key; the key moves on by constants. Salmon, Moraes, Dror & Shaw, "Parallel random
    numbers: as easy as 1, 2, 3", SC 2011.

    Parameters
    ----------
    counter : four arrays of 32-bit words, broadcast against each other
    key : int
        A seed, 0 to 2**64 - 1; its low 32 bits are the first word of Philox's key.

    Returns
    -------
    array, (4, ...) uint64
        Four random words for each position.

    Examples
    --------
    >>> [f"{word:08x}" for word in philox((0, 0, 0, 0), 0)]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    low = 0xFFFFFFFF
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter))
    k0, k1 = key & low, key >> 32
    for _ in range(10):
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & low, (p0 >> 32) ^ c3 ^ k1, p0 & low
        k0, k1 = (k0 + 0x9E3779B9) & low, (k1 + 0xBB67AE85) & low
    return np.stack([c0, c1, c2, c3])


RELU_LIKE = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus")

# init: whether it is normal, and the factor of U(-1, 1) or of the standard normal
INITS: dict[str, tuple[bool, Callable[[int, int], float]]] = {
    "uniform": (False, lambda inputs, units: 1.0),
    "glorot_uniform": (False, lambda inputs, units: math.sqrt(6 / (inputs + units))),
    "glorot_normal": (True, lambda inputs, units: math.sqrt(2 / (inputs + units))),
    "he_uniform": (False, lambda inputs, units: math.sqrt(6 / inputs)),
    "he_normal": (True, lambda inputs, units: math.sqrt(2 / inputs)),
    "lecun_normal": (True, lambda inputs, units: math.sqrt(1 / inputs)),
}


def initial_weights(
    widths: Sequence[int],
    init: str = "auto",
    seed: int = 0,
    dtype: npt.DTypeLike = "float64",
    activations: Names | None = None,
) -> tuple[list[Array], list[Array]]:
    """Starting weights and biases (zeros) of a net.

    With r0 to r3 the words of Philox at counter (p // 2, layer, 0, stream), weight p of a layer
    (input by input, p = i * units + o) comes from a uniform number in [0, 1) of 53 bits::

        u = ((r0 >> 5) * 2**26 + (r1 >> 6)) / 2**53    for even p; from r2, r3 for odd p

    The uniform kinds are ``(2 u - 1) * factor``; the normal kinds are the two numbers that Box &
    Muller (1958) make of a pair, ``sqrt(-2 log(1 - u_even))`` times the cosine (even p) or sine
    (odd p) of ``2 pi u_odd``, times the factor. All in float64, then rounded: both dtypes start
    alike.

    ============== ================================ ===============================================
    init           factor                           source
    ============== ================================ ===============================================
    uniform        1                                the tutorial
    glorot_uniform sqrt(6 / (inputs + units))       Glorot & Bengio, AISTATS 2010
    glorot_normal  sqrt(2 / (inputs + units))       Glorot & Bengio, AISTATS 2010
    he_uniform     sqrt(6 / inputs)                 He, Zhang, Ren & Sun, ICCV 2015
    he_normal      sqrt(2 / inputs)                 He, Zhang, Ren & Sun, ICCV 2015
    lecun_normal   sqrt(1 / inputs)                 LeCun, Bottou, Orr & Müller, 1998
    ============== ================================ ===============================================

    Parameters
    ----------
    widths : ints
        Inputs, units of each hidden layer, outputs.
    init : str
        A name of the table, or "auto": he_uniform into relu-like hidden layers, glorot_uniform into
        the others and the outputs.
    seed : int
    dtype : float32 or float64
    activations : str or list of str
        Of the hidden layers; only "auto" asks.

    Returns
    -------
    weights, biases : lists of arrays, (inputs, units) and (units,)

    Examples
    --------
    >>> weights, biases = initial_weights((3, 4, 1), "uniform", seed=1)
    >>> [w.shape for w in weights], [b.shape for b in biases]
    ([(3, 4), (4, 1)], [(4,), (1,)])
    >>> bool(np.all(np.abs(weights[0]) <= 1))
    True
    """
    names = [init] * (len(widths) - 1)
    if init == "auto":
        hidden = layer_names(activations or (), len(widths) - 2)
        names = ["he_uniform" if name in RELU_LIKE else "glorot_uniform" for name in hidden]
        names.append("glorot_uniform")
    weights = []
    for layer, name in enumerate(names):
        inputs, units = widths[layer], widths[layer + 1]
        normal, factor = INITS[name]
        pairs = np.arange((inputs * units + 1) // 2)
        r0, r1, r2, r3 = philox((pairs, layer, 0, INITIAL_WEIGHTS), seed)
        even = ((r0 >> 5) * 2**26 + (r1 >> 6)) / 2**53
        odd = ((r2 >> 5) * 2**26 + (r3 >> 6)) / 2**53
        if normal:
            radius, angle = np.sqrt(-2 * np.log(1 - even)), 2 * np.pi * odd
            even, odd = radius * np.cos(angle), radius * np.sin(angle)
        else:
            even, odd = 2 * even - 1, 2 * odd - 1
        drawn = np.stack([even, odd], axis=1).ravel()[: inputs * units] * factor(inputs, units)
        weights.append(drawn.reshape(inputs, units).astype(dtype))
    return weights, [np.zeros(units, dtype) for units in widths[1:]]


def row_order(seed: int, epoch: int, n: int) -> Array:
    """The shuffled order of n rows in an epoch.

    Fisher & Yates (as Durstenfeld, Communications of the ACM 1964): from the last position to the
    second, swap with a position not above it. Word ``i % 4`` of Philox at counter (i // 4, 0,
    epoch, stream) picks that of position i, as the high half of ``word * (i + 1)`` (Lemire, ACM
    TOMACS 2019; no word is rejected, a bias below n / 2**32).

    Parameters
    ----------
    seed : int
        ``shuffle_seed``, or ``seed`` where that is None.
    epoch : int
        From 0.
    n : int

    Returns
    -------
    array, (n,) int64

    Examples
    --------
    >>> sorted(row_order(seed=1, epoch=0, n=6).tolist())
    [0, 1, 2, 3, 4, 5]
    """
    words = philox((np.arange((n + 3) // 4), 0, epoch, ROW_ORDER), seed).T.ravel()
    order = np.arange(n)
    for i in range(n - 1, 0, -1):
        j = (int(words[i]) * (i + 1)) >> 32
        order[i], order[j] = order[j], order[i]
    return order


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


# --------------------------------------------------------------------------- forward, and losses


def propagate(
    X: Array,
    weights: Sequence[Array],
    biases: Sequence[Array] | None,
    activations: Names,
    output: str,
) -> tuple[list[Array], list[Array]]:
    """Forward pass: ``z = b + x W`` and ``a = activation(z)``, layer by layer.

    Parameters
    ----------
    X : array, (n, I)
    weights, biases : lists of arrays; biases may be None
    activations : str or list of str
    output : str

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
    layers = [np.asarray(X, weights[0].dtype)]
    for k, function in enumerate(functions):
        z = layers[-1] @ weights[k]
        sums.append(z if biases is None else biases[k] + z)
        layers.append(function(sums[-1]))
    return sums, layers


def forward(
    X: Array,
    weights: Sequence[Array],
    biases: Sequence[Array] | None,
    activations: Names,
    output: str,
) -> list[Array]:
    """Values of each layer: of the hidden layers, then the outputs.

    Parameters are those of `propagate`.

    Examples
    --------
    >>> forward(np.ones((1, 2)), [np.zeros((2, 3)), np.ones((3, 1))], None, "sigmoid", "identity")
    [array([[0.5, 0.5, 0.5]]), array([[1.5]])]
    """
    return propagate(X, weights, biases, activations, output)[1][1:]


def row_losses(z: Array, y: Array, output: str, loss: str) -> Array:
    """The loss of each row, a sum over its outputs, from the output layer's weighted sums z.

    squared_error is half the square, ``sum_o (a_o - y_o)^2 / 2``. cross_entropy with softmax is
    ``sum_o y_o (log sum_k exp z_k - z_o)``, with sigmoid ``-y log a - (1 - y) log(1 - a)``, which
    is ``softplus(z) - y z``: never the logarithm of an output that was rounded to 0 or 1.

    Parameters
    ----------
    z, y : arrays, (n, O)
    output, loss : str

    Returns
    -------
    array, (n,)

    Examples
    --------
    >>> z, y = np.array([[0.0], [-1000.0]]), np.array([[1.0], [1.0]])
    >>> row_losses(z, y, "sigmoid", "cross_entropy")
    array([6.93147181e-01, 1.00000000e+03])
    """
    if loss == "squared_error":
        terms = (OUTPUTS[output](z) - y) ** 2 / 2
    elif output == "softmax":
        shifted = z - z.max(axis=1, keepdims=True)
        terms = y * (np.log(np.exp(shifted).sum(axis=1, keepdims=True)) - shifted)
    else:
        terms = softplus(z) - y * z
    return terms.sum(axis=1)


# ------------------------------------------------------------------------------------- backward


def output_delta(z: Array, a: Array, y: Array, output: str, loss: str) -> Array:
    """The derivative of the loss by the output layer's weighted sums.

    With e = a - y: cross_entropy with sigmoid or softmax is e itself, for it is the output's
    canonical loss (Bishop, Pattern Recognition and Machine Learning, section 4.3.6). squared_error
    is ``e a'(z)``; the softmax's derivative is a matrix, ``da_k/dz_o = a_k ((k = o) - a_o)``, which
    gives ``a_o (e_o - sum_k e_k a_k)``.

    Parameters
    ----------
    z, a, y : arrays, (n, O)
        Weighted sums, outputs, targets.
    output, loss : str

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
    error = a - y
    if loss == "cross_entropy":
        return error
    if output == "softmax":
        return a * (error - (error * a).sum(axis=1, keepdims=True))
    return error * OUTPUT_SLOPES[output](z, a)


def backward(
    sums: Sequence[Array],
    layers: Sequence[Array],
    y: Array,
    weights: Sequence[Array],
    activations: Names,
    output: str,
    loss: str,
    reduction: str = "sum",
) -> tuple[list[Array], list[Array]]:
    """Back-propagation (Rumelhart, Hinton & Williams, Nature 1986) from what `propagate` returns.

    A delta is d loss / d z. Passed back, ``delta = (delta_above W^T) a'(z)``; the gradient of the
    weights is ``x^T delta``, of the biases the sum of delta over the rows. "mean" divides both by
    the number of rows.

    Parameters
    ----------
    sums, layers : lists of arrays
    y : array, (n, O)
    weights : list of arrays
    activations : str or list of str
    output, loss : str
    reduction : "sum" or "mean"

    Returns
    -------
    weight_gradients, bias_gradients : lists of arrays

    Examples
    --------
    >>> X, y, weights = np.array([[1.0, 2.0]]), np.array([[0.0]]), [np.array([[1.0], [1.0]])]
    >>> passed = propagate(X, weights, None, [], "identity")
    >>> backward(*passed, y, weights, [], "identity", "squared_error")
    ([array([[3.], [6.]])], [array([3.])])
    """
    names = layer_names(activations, len(weights) - 1)
    deltas = [output_delta(sums[-1], layers[-1], y, output, loss)]
    for k in range(len(weights) - 1, 0, -1):
        slope = ACTIVATIONS[names[k - 1]][1](sums[k - 1], layers[k])
        deltas.insert(0, deltas[0] @ weights[k].T * slope)
    scale = 1 / len(y) if reduction == "mean" else 1
    weight_gradients = [x.T @ d * scale for x, d in zip(layers[:-1], deltas, strict=True)]
    return weight_gradients, [d.sum(axis=0) * scale for d in deltas]


def gradients(
    X: Array,
    y: Array,
    weights: Sequence[Array],
    biases: Sequence[Array] | None,
    activations: Names,
    output: str,
    loss: str,
    reduction: str = "sum",
) -> tuple[list[Array], list[Array]]:
    """Gradients of the loss of the rows by every weight and bias: `propagate`, then `backward`.

    Returns
    -------
    weight_gradients, bias_gradients : lists of arrays

    Examples
    --------
    >>> X, y, weights = np.array([[1.0, 2.0]]), np.array([[0.0]]), [np.array([[1.0], [1.0]])]
    >>> gradients(X, y, weights, None, [], "identity", "squared_error")[0]
    [array([[3.], [6.]])]
    """
    y = np.asarray(y, weights[0].dtype)
    sums, layers = propagate(X, weights, biases, activations, output)
    return backward(sums, layers, y, weights, activations, output, loss, reduction)


# ------------------------------------------------------------------------------------- training


def sgd_step(
    w: Array, g: Array, velocity: Array, learning_rate: float, momentum: float, nesterov: bool
) -> None:
    """Change parameters w by their gradient g, in place: gradient descent, with momentum or not.

    Without momentum ``w -= rate g``. With it ``v = momentum v - rate g``, then ``w += v`` (Polyak
    1964), or with nesterov ``w += momentum v - rate g``: the look ahead of Sutskever, Martens, Dahl
    & Hinton, ICML 2013, in terms of the weights looked ahead to.

    Examples
    --------
    >>> w, v = np.array([1.0]), np.array([0.0])
    >>> sgd_step(w, np.array([0.5]), v, learning_rate=0.2, momentum=0.5, nesterov=True)
    >>> w, v
    (array([0.85]), array([-0.1]))
    """
    if momentum == 0:
        w -= learning_rate * g
    else:
        velocity[...] = momentum * velocity - learning_rate * g
        w += momentum * velocity - learning_rate * g if nesterov else velocity


def adam_step(
    w: Array,
    g: Array,
    first: Array,
    second: Array,
    step: int,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Change parameters w by their gradient g, in place: Adam (Kingma & Ba, ICLR 2015).

    The moments ``m = beta_1 m + (1 - beta_1) g`` and ``v = beta_2 v + (1 - beta_2) g^2``, corrected
    for their start at zero: ``m / (1 - beta_1^t)``, ``v / (1 - beta_2^t)``. Then
    ``w -= rate m / (sqrt(v) + epsilon)`` of the corrected ones. ``step`` is t, from 1.

    Examples
    --------
    >>> w, m, v = np.array([1.0]), np.array([0.0]), np.array([0.0])
    >>> adam_step(w, np.array([5.0]), m, v, 1, 0.1, 0.9, 0.999, 1e-8)
    >>> w.round(6)
    array([0.9])
    """
    first[...] = beta_1 * first + (1 - beta_1) * g
    second[...] = beta_2 * second + (1 - beta_2) * g * g
    root = np.sqrt(second) / math.sqrt(1 - beta_2**step)
    w -= learning_rate / (1 - beta_1**step) * first / (root + epsilon)


@np.errstate(over="ignore", invalid="ignore")  # a net may diverge
def train(
    X: Array,
    y: Array,
    weights: Sequence[Array],
    biases: Sequence[Array] | None = None,
    *,
    epochs: int,
    activations: Names = "sigmoid",
    output: str = "sigmoid",
    loss: str = "squared_error",
    batch_size: int | None = None,
    shuffle: bool = False,
    shuffle_seed: int = 0,
    reduction: str = "sum",
    optimizer: str = "sgd",
    learning_rate: float = 1.0,
    momentum: float = 0.0,
    nesterov: bool = False,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    record_every: int = 1,
) -> Array:
    """Train one net. The defaults are the tutorial's.

    An epoch takes the rows in batches, the last of which may be short, in the order of the data or
    of `row_order`; one batch of all rows is never shuffled. The gradients of a batch are complete
    before any weight changes. A net whose parameters are not all finite at the end of an epoch has
    diverged: it goes back to the end of the epoch before, and stops.

    Parameters
    ----------
    X : array, (n, I)
    y : array, (n, O)
    weights, biases : lists of arrays
        Changed in place; without biases the net has none.
    epochs : int
    activations : str or list of str
        Of the hidden layers.
    batch_size : int or None
        None, or n and more: all rows.
    record_every : int
        Epochs from one recorded loss to the next.
    output, loss, shuffle, shuffle_seed, reduction, optimizer
        See `OUTPUTS`, `row_losses`, `row_order`, `backward`, `sgd_step` and `adam_step`.
    learning_rate, momentum, nesterov, beta_1, beta_2, epsilon
        The optimizer's.

    Returns
    -------
    array, (records,)
        The mean over an epoch's rows of the loss before each update, of every ``record_every``-th
        epoch and of the last; NaN from the epoch in which the net diverged.

    Examples
    --------
    >>> X, y = np.array([[0, 1], [1, 1], [2, 1]]), np.array([[1], [3], [5]])  # y = 2 x + 1
    >>> weights = [np.zeros((2, 1))]
    >>> losses = train(X, y, weights, output="identity", learning_rate=0.1, epochs=500)
    >>> weights[0].round(6).ravel()
    array([2., 1.])
    """
    dtype = weights[0].dtype
    X, y = np.asarray(X, dtype), np.asarray(y, dtype)
    # Rounded to the dtype, then Python floats: numpy computes with these in the dtype of an array.
    learning_rate, momentum, beta_1, beta_2, epsilon = (
        float(dtype.type(value)) for value in (learning_rate, momentum, beta_1, beta_2, epsilon)
    )
    n = len(X)
    B = n if batch_size is None else min(batch_size, n)
    parameters = [*weights, *(biases or ())]
    firsts = [np.zeros_like(w) for w in parameters]  # velocities of sgd, first moments of adam
    seconds = [np.zeros_like(w) for w in parameters]
    recorded = [e for e in range(epochs) if e % record_every == 0 or e == epochs - 1]
    record = {epoch: number for number, epoch in enumerate(recorded)}
    losses = np.full(len(recorded), np.nan, dtype)
    step = 0
    for epoch in range(epochs):
        before = [w.copy() for w in parameters]
        order = row_order(shuffle_seed, epoch, n) if shuffle and B < n else np.arange(n)
        each = np.empty(n, dtype)
        for start in range(0, n, B):
            rows = order[start : start + B]
            sums, layers = propagate(X[rows], weights, biases, activations, output)
            each[rows] = row_losses(sums[-1], y[rows], output, loss)
            of_weights, of_biases = backward(
                sums, layers, y[rows], weights, activations, output, loss, reduction
            )
            found = of_weights if biases is None else of_weights + of_biases
            step += 1
            for w, g, first, second in zip(parameters, found, firsts, seconds, strict=True):
                if optimizer == "adam":
                    adam_step(w, g, first, second, step, learning_rate, beta_1, beta_2, epsilon)
                else:
                    sgd_step(w, g, first, learning_rate, momentum, nesterov)
        if not all(np.isfinite(w).all() for w in parameters):
            for w, kept in zip(parameters, before, strict=True):
                w[...] = kept
            break
        if epoch in record:
            losses[record[epoch]] = each.mean()
    return losses
