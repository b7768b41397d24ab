"""How a gradient changes the parameters, in steps whose size follows a schedule."""

import math

import numpy as np

from .layers import Array


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


def rmsprop_step(
    w: Array, g: Array, square: Array, learning_rate: float, rho: float, epsilon: float
) -> None:
    """Change parameters w by their gradient g, in place: RMSprop (Tieleman & Hinton 2012).

    ``v = rho v + (1 - rho) g^2``, then ``w -= rate g / (sqrt(v) + epsilon)``.

    Examples
    --------
    >>> w, v = np.array([1.0]), np.array([0.0])
    >>> rmsprop_step(w, np.array([2.0]), v, learning_rate=0.1, rho=0.75, epsilon=0.0)
    >>> w, v
    (array([0.8]), array([1.]))
    """
    square[...] = rho * square + (1 - rho) * g * g
    w -= learning_rate * g / (np.sqrt(square) + epsilon)


def adagrad_step(w: Array, g: Array, square: Array, learning_rate: float, epsilon: float) -> None:
    """Change parameters w by their gradient g, in place: Adagrad (Duchi, Hazan & Singer 2011).

    ``v += g^2``, then ``w -= rate g / (sqrt(v) + epsilon)``.

    Examples
    --------
    >>> w, v = np.array([1.0]), np.array([0.0])
    >>> adagrad_step(w, np.array([2.0]), v, learning_rate=0.1, epsilon=0.0)
    >>> w, v
    (array([0.9]), array([4.]))
    """
    square += g * g
    w -= learning_rate * g / (np.sqrt(square) + epsilon)


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


def rprop_step(w: Array, g: Array, previous: Array, steps: Array) -> None:
    """Change parameters w by their gradient g, in place: iRPROP- (Igel & Hüsken, NC 2000).

    Each parameter has its own step, which starts at the learning rate, and only the gradient's sign
    is followed. The step grows by 1.2 where the sign is that of the step before, up to 50, and
    halves where it has turned, down to 1e-6; a parameter whose sign has turned stays where it is,
    and forgets its gradient.

    Examples
    --------
    >>> w, previous, steps = np.ones(3), np.array([3.0, 3.0, 0.0]), np.full(3, 0.1)
    >>> rprop_step(w, np.array([2.0, -2.0, 2.0]), previous, steps)
    >>> w, previous, steps
    (array([0.88, 1.  , 0.9 ]), array([2., 0., 2.]), array([0.12, 0.05, 0.1 ]))
    """
    agreement = np.sign(g) * np.sign(previous)
    factor = np.where(agreement > 0, 1.2, np.where(agreement < 0, 0.5, 1))
    steps[...] = np.clip(steps * factor.astype(steps.dtype), 1e-6, 50)
    previous[...] = np.where(agreement < 0, 0, g)
    w -= np.sign(previous) * steps


def optimizer_step(
    optimizer: str,
    w: Array,
    g: Array,
    first: Array,
    second: Array,
    step: int,
    learning_rate: float,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    rho: float = 0.9,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> None:
    """Change parameters w by their gradient g, in place, as the optimizer of this name does.

    ``first`` holds velocities, first moments or the gradients of the step before, and starts at 0;
    ``second`` holds second moments, which start at 0, or the steps of rprop, which start at the
    learning rate. adamw is adam, with the weight decay of `train`.

    Examples
    --------
    >>> w, v = np.array([1.0]), np.array([0.0])
    >>> optimizer_step("adagrad", w, np.array([2.0]), np.zeros(1), v, step=1, learning_rate=0.1)
    >>> w.round(6), v
    (array([0.9]), array([4.]))
    """
    match optimizer:
        case "sgd":
            sgd_step(w, g, first, learning_rate, momentum, nesterov)
        case "rmsprop":
            rmsprop_step(w, g, second, learning_rate, rho, epsilon)
        case "adagrad":
            adagrad_step(w, g, second, learning_rate, epsilon)
        case "adam" | "adamw":
            adam_step(w, g, first, second, step, learning_rate, beta_1, beta_2, epsilon)
        case "rprop":
            rprop_step(w, g, first, second)


def clip_gradients(gradients: list[Array], clip_norm: float) -> list[Array]:
    """Scale all gradients down together where their norm is above ``clip_norm``.

    The norm is over every element of all of them (Pascanu, Mikolov & Bengio, ICML 2013); the factor
    is ``min(1, clip_norm / (norm + 1e-6))``, as in torch.

    Examples
    --------
    >>> [g.round(3) for g in clip_gradients([np.array([3.0]), np.array([4.0])], clip_norm=1)]
    [array([0.6]), array([0.8])]
    """
    norm = np.sqrt(sum((g * g).sum() for g in gradients))
    return [g * np.minimum(1, clip_norm / (norm + 1e-6)) for g in gradients]


@np.errstate(over="ignore")  # a divisor may overflow: the rate is then 0
def learning_rate_of_epoch(
    epoch: int,
    *,
    learning_rate: float,
    schedule: str = "constant",
    warmup_epochs: int = 0,
    step_size: int = 10,
    gamma: float = 0.9,
    min_learning_rate: float = 0.0,
    power: float = 0.5,
    epochs: int,
    rows: int,
    divisions: int = 0,
) -> float:
    """The learning rate of an epoch, in float64.

    In the warm-up it grows in equal steps, ``rate (epoch + 1) / (warmup_epochs + 1)``. Then, with t
    the epochs since:

    =========== ===================================================================================
    constant    rate
    step        rate gamma^(t // step_size)
    exponential rate gamma^t
    cosine      min + (rate - min) (1 + cos(pi t / T)) / 2 with T = epochs - warmup_epochs
                (Loshchilov & Hutter, ICLR 2017, without restarts)
    invscaling  rate / (1 + t rows)^power: scikit-learn's, which counts rows
    adaptive    rate / 5^divisions
    =========== ===================================================================================

    Parameters
    ----------
    epoch : int
        From 0.
    learning_rate, schedule, warmup_epochs, step_size, gamma, min_learning_rate, power
        The settings.
    epochs : int
        Of the whole run.
    rows : int
        Trained on in an epoch.
    divisions : int
        How often the adaptive schedule has divided the rate: see `Watch`.

    Examples
    --------
    >>> settings = {"learning_rate": 1.0, "epochs": 6, "rows": 4, "warmup_epochs": 2}
    >>> [round(learning_rate_of_epoch(e, **settings, schedule="cosine"), 3) for e in range(6)]
    [0.333, 0.667, 1.0, 0.854, 0.5, 0.146]
    >>> [learning_rate_of_epoch(e, **settings, schedule="step", step_size=2) for e in (2, 3, 4, 5)]
    [1.0, 1.0, 0.9, 0.9]
    """
    t, rate = epoch - warmup_epochs, np.float64(learning_rate)
    if t < 0:
        rate = rate * ((epoch + 1) / (warmup_epochs + 1))
    elif schedule == "step":
        rate = rate * gamma ** (t // step_size)
    elif schedule == "exponential":
        rate = rate * gamma**t
    elif schedule == "cosine":
        turn = math.cos(math.pi * t / max(1, epochs - warmup_epochs))
        rate = min_learning_rate + (rate - min_learning_rate) * (1 + turn) / 2
    elif schedule == "invscaling":
        rate = rate / np.float64(1 + t * rows) ** power
    elif schedule == "adaptive":
        rate = rate / np.float64(5) ** divisions
    return float(rate)
