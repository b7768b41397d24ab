"""Random numbers by position: initial weights, the order of the rows, and who is dropped out."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from .layers import Array, Names, layer_names

# Streams: the low byte of the last counter word says what is drawn.
INITIAL_WEIGHTS, ROW_ORDER, DROPOUT = 0, 1, 2


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


def dropout_mask(
    seed: int, epoch: int, layer: int, positions: Array, units: int, rate: float
) -> Array:
    """What the values of a layer are multiplied by in one step: 0, or 1 / (1 - rate).

    Dropout (Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, JMLR 2014), inverted: what
    is kept grows, so that nothing has to shrink in prediction. A unit is kept where u >= rate, with
    u = (word >> 8) / 2**24 and word ``unit % 4`` of Philox at counter (position, unit // 4, epoch,
    stream + 256 layer).

    Parameters
    ----------
    seed : int
        The net's.
    epoch : int
        From 0.
    layer : int
        0 are the inputs, k is hidden layer k.
    positions : array, (B,)
        Of the batch's rows in the order of the epoch.
    units : int
    rate : float

    Returns
    -------
    array, (B, units) float64

    Examples
    --------
    >>> dropout_mask(1, 0, 1, np.arange(2), units=4, rate=0.5)
    array([[2., 2., 2., 0.],
           [0., 0., 2., 2.]])
    """
    counter = (positions, np.arange((units + 3) // 4)[:, None], epoch, DROPOUT + 256 * layer)
    words = philox(counter, seed).transpose(2, 1, 0).reshape(len(positions), -1)[:, :units]
    return np.where((words >> 8) / 2**24 >= rate, 1 / (1 - rate), 0)


def dropout_rates(dropout: float | Sequence[float], hidden: int) -> list[float]:
    """The rate of the inputs, then of each hidden layer; one number is that of the hidden layers.

    Examples
    --------
    >>> dropout_rates(0.5, 2), dropout_rates([0.1, 0.2, 0.3], 2)
    ([0.0, 0.5, 0.5], [0.1, 0.2, 0.3])
    """
    return [0.0] + [dropout] * hidden if isinstance(dropout, int | float) else list(dropout)


def dropout_masks(
    rates: Sequence[float],
    widths: Sequence[int],
    seed: int,
    epoch: int,
    positions: Array,
    dtype: npt.DTypeLike = "float64",
) -> list[Array | None]:
    """The masks of a step: of the inputs, then of each hidden layer; None where the rate is 0.

    Parameters
    ----------
    rates, widths : floats and ints, 1 + hidden layers of each
    seed, epoch, positions
        See `dropout_mask`.
    dtype : float32 or float64

    Examples
    --------
    >>> masks = dropout_masks((0, 0.5), (3, 4), seed=1, epoch=0, positions=np.arange(2))
    >>> masks[0], masks[1].shape
    (None, (2, 4))
    """
    return [
        dropout_mask(seed, epoch, layer, positions, units, rate).astype(dtype) if rate else None
        for layer, (rate, units) in enumerate(zip(rates, widths, strict=True))
    ]
