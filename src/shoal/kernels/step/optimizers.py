"""Optimizers: how a gradient changes the parameters.

``rates`` holds a net's scalars, ``step`` what a step derives from them once: both (fields, L),
indexed by the names below. An optimizer keeps so many numbers a parameter: number k of parameter p
is ``optimizer_state[k * P + p]``; what is one number a net comes last.
"""

from typing import NamedTuple

from ..arguments import Floats2
from ..code.compilation import device_function
from ..lanes.access import load, store
from ..lanes.elementary import sign
from ..lanes.primitives import broadcast, clamp, fma, like, select, square_root
from ..layout import PARTIALS
from .sums import combine

SGD, MOMENTUM, NESTEROV, ADAM, RMSPROP, ADAGRAD, RPROP = range(7)

# fields of `rates`; the learning rate is that of the epoch
(
    RATE, MOMENTUM_RATE, RHO, BETA_1, BETA_2, EPSILON, L1, L2, WEIGHT_DECAY, CLIP_DELTA, CLIP_NORM,
    LOSS_PARAMETER, RATE_FIELDS,
) = range(13)  # fmt: skip
# fields of `step`
STEP_SIZE, ROOT, SCALE, STEP_FIELDS = range(4)

# numbers of state that an optimizer keeps a parameter, and besides them a net
STATE_PER_PARAMETER = (0, 1, 1, 2, 1, 1, 2)
STATE_PER_NET = (0, 0, 0, 2, 0, 0, 0)

# rprop's factors and limits of a step are those of Igel & Hüsken 2000, and of torch
GROW, SHRINK, SMALLEST_STEP, LARGEST_STEP = 1.2, 0.5, 1e-6, 50.0
NORM_EPSILON = 1e-6  # added to the norm that clip_norm divides by, as torch does


class Trainable(NamedTuple):
    """The parameters of a group, and what an optimizer reads and keeps."""

    optimizer: int  # a code
    parameters: int  # P
    params: Floats2  # (P and statistics, L)
    optimizer_state: Floats2  # (numbers a net, L)
    rates: Floats2  # (RATE_FIELDS, L)
    step: Floats2  # (STEP_FIELDS, L)


@device_function
def trainable(task, state, work):
    """The parameters of a group that is trained."""
    return Trainable(
        task.optimizer, task.parameters, state.params, state.optimizer_state, state.rates, work.step
    )


@device_function
def begin_step(lane, nets):
    """What one step derives from the scalars. nets : Trainable.

    Adam's bias correction 1 - beta**t is the moment of a constant gradient of one, c = beta c +
    (1 - beta): no power, and exact where beta**t is close to one.
    """
    one, rates, state = broadcast(lane, 1.0), nets.rates, nets.optimizer_state
    if nets.optimizer == ADAM:
        p = 2 * nets.parameters
        beta_1, beta_2 = load(lane, rates, BETA_1), load(lane, rates, BETA_2)
        correction_1 = fma(beta_1, load(lane, state, p), one - beta_1)
        correction_2 = fma(beta_2, load(lane, state, p + 1), one - beta_2)
        store(lane, state, p, correction_1)
        store(lane, state, p + 1, correction_2)
        store(lane, nets.step, STEP_SIZE, load(lane, rates, RATE) / correction_1)
        store(lane, nets.step, ROOT, one / square_root(correction_2))


@device_function(inline="never")
def penalise(lane, rates, params, p, gradient, g, count, scale):
    """Gradients of ``count`` weights, times ``scale``, with those of l2 w**2 / 2 and l1 abs(w)."""
    l1, l2 = load(lane, rates, L1), load(lane, rates, L2)
    for k in range(count):
        weight = load(lane, params, p + k)
        grad = fma(l2, weight, load(lane, gradient, g + k) * scale)
        store(lane, gradient, g + k, fma(l1, sign(weight), grad))


@device_function(inline="never")
def rescale(lane, gradient, g, count, scale):
    """Multiply ``count`` gradients by ``scale``. gradient : (P, L)."""
    for k in range(g, g + count):
        store(lane, gradient, k, load(lane, gradient, k) * scale)


@device_function(inline="never")
def norm_factor(lane, rates, gradient, count, partials):
    """What clip_norm multiplies gradients by. gradient : (P, L). partials : (PARTIALS, L), zero."""
    one = broadcast(lane, 1.0)
    for p in range(count):
        grad, k = load(lane, gradient, p), p % PARTIALS
        store(lane, partials, k, fma(grad, grad, load(lane, partials, k)))
    norm = square_root(combine(lane, partials, 0)) + like(one, NORM_EPSILON)
    factor = load(lane, rates, CLIP_NORM) / norm
    return select(factor > one, one, factor)


@device_function(inline="never")
def _decay(lane, rates, params, p, count):
    """Shrink ``count`` weights: the decoupled decay of Loshchilov & Hutter 2019."""
    one = broadcast(lane, 1.0)
    remains = fma(-load(lane, rates, RATE), load(lane, rates, WEIGHT_DECAY), one)
    for k in range(p, p + count):
        store(lane, params, k, load(lane, params, k) * remains)


@device_function(inline="never")
def _rprop(lane, nets, p, gradient, g, count, scale):
    """iRPROP-: a step size of its own for each parameter."""
    zero, one = broadcast(lane, 0.0), broadcast(lane, 1.0)
    grow, shrink = like(zero, GROW), like(zero, SHRINK)
    low, high = like(zero, SMALLEST_STEP), like(zero, LARGEST_STEP)
    params, state, sizes = nets.params, nets.optimizer_state, nets.parameters + p
    for k in range(count):
        grad = load(lane, gradient, g + k) * scale
        way = sign(grad) * sign(load(lane, state, p + k))
        factor = select(way > zero, grow, select(way < zero, shrink, one))
        size = clamp(load(lane, state, sizes + k) * factor, low, high)
        grad = select(way < zero, zero, grad)
        store(lane, state, p + k, grad)
        store(lane, state, sizes + k, size)
        store(lane, params, p + k, fma(-sign(grad), size, load(lane, params, p + k)))


@device_function
def _update(lane, nets, p, gradient, g, count, scale):
    """Update ``count`` parameters from p by the gradient sums from g, times ``scale``.

    nets : Trainable. gradient : (positions, L).
    Sources: momentum, Nesterov as in Sutskever et al. 2013; Adam, Kingma & Ba 2015, with epsilon
    added after the bias correction; RMSprop, Tieleman & Hinton 2012; Adagrad, Duchi et al. 2011;
    iRPROP-, Igel & Hüsken 2000.
    """
    one, optimizer = broadcast(lane, 1.0), nets.optimizer
    params, state, rates = nets.params, nets.optimizer_state, nets.rates
    rate, epsilon = load(lane, rates, RATE), load(lane, rates, EPSILON)
    if optimizer == ADAM:
        beta_1, beta_2 = load(lane, rates, BETA_1), load(lane, rates, BETA_2)
        rest_1, rest_2, seconds = one - beta_1, one - beta_2, nets.parameters + p
        size, root = load(lane, nets.step, STEP_SIZE), load(lane, nets.step, ROOT)
        for k in range(count):
            grad = load(lane, gradient, g + k) * scale
            first = fma(beta_1, load(lane, state, p + k), rest_1 * grad)
            second = fma(beta_2, load(lane, state, seconds + k), rest_2 * grad * grad)
            store(lane, state, p + k, first)
            store(lane, state, seconds + k, second)
            change = first / fma(square_root(second), root, epsilon)
            store(lane, params, p + k, fma(-size, change, load(lane, params, p + k)))
    elif optimizer == SGD:
        for k in range(count):
            grad = load(lane, gradient, g + k) * scale
            store(lane, params, p + k, fma(-rate, grad, load(lane, params, p + k)))
    elif optimizer == RMSPROP or optimizer == ADAGRAD:
        rho = load(lane, rates, RHO)
        rest = one - rho
        for k in range(count):
            grad, second = load(lane, gradient, g + k) * scale, load(lane, state, p + k)
            if optimizer == RMSPROP:
                second = fma(rho, second, rest * grad * grad)
            else:
                second = fma(grad, grad, second)
            store(lane, state, p + k, second)
            change = grad / (square_root(second) + epsilon)
            store(lane, params, p + k, fma(-rate, change, load(lane, params, p + k)))
    elif optimizer == RPROP:
        _rprop(lane, nets, p, gradient, g, count, scale)
    else:
        momentum = load(lane, rates, MOMENTUM_RATE)
        for k in range(count):
            grad = load(lane, gradient, g + k) * scale
            velocity = fma(momentum, load(lane, state, p + k), -rate * grad)
            store(lane, state, p + k, velocity)
            weight = load(lane, params, p + k)
            if optimizer == NESTEROV:
                weight = fma(momentum, velocity, fma(-rate, grad, weight))
            else:
                weight = weight + velocity
            store(lane, params, p + k, weight)


@device_function(inline="always")
def step_weights(lane, task, nets, p, gradient, g, count, scale):
    """A step of ``count`` weights from p, by their gradient sums from g, times ``scale``.

    nets : Trainable. gradient : (positions, L). Where the gradient's norm is clipped, its penalties
    are added before (`finish_batch`).
    """
    if task.penalised and not task.clips_norm:
        penalise(lane, nets.rates, nets.params, p, gradient, g, count, scale)
        scale = broadcast(lane, 1.0)
    if task.decays:
        _decay(lane, nets.rates, nets.params, p, count)
    _update(lane, nets, p, gradient, g, count, scale)


@device_function(inline="always")
def step_others(lane, nets, p, gradient, g, count, scale):
    """A step of biases, scales or shifts, which have neither penalties nor weight decay."""
    _update(lane, nets, p, gradient, g, count, scale)
