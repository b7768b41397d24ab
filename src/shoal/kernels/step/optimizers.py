"""Optimizers: how a gradient changes the parameters.

A step goes along the parameters, one at a time where lanes are nets. Where lanes are rows, its
arrays are shared ones, and lanes are parameters: one net 3-4-1 takes 0.65 of the time.

``rates`` holds a net's scalars, ``step`` what a step derives from them once: both (fields, L),
indexed by the names below. An optimizer keeps so many numbers a parameter: number k of parameter p
is ``optimizer_state[k * P + p]``; what is one number a net comes last.
"""

from typing import Any, NamedTuple

from ..code.compilation import device_function
from ..codes import ADAGRAD, ADAM, NESTEROV, RMSPROP, RPROP, SGD
from ..lanes.access import load, load_some, store, store_some, width_of
from ..lanes.elementary import sign
from ..lanes.primitives import broadcast, clamp, fma, like, select, square_root
from ..lanes.shapes import flat
from ..layout import (
    BETA_1,
    BETA_2,
    CLIP_NORM,
    EPSILON,
    L1,
    L2,
    MOMENTUM_RATE,
    PARTIALS,
    RATE,
    RHO,
    ROOT,
    SQUARES,
    STEP_EPSILON,
    STEP_SIZE,
    WEIGHT_DECAY,
)  # fmt: skip
from .sums import combine

# rprop's factors and limits of a step are those of Igel & Hüsken 2000, and of torch
GROW, SHRINK, SMALLEST_STEP, LARGEST_STEP = 1.2, 0.5, 1e-6, 50.0
NORM_EPSILON = 1e-6  # added to the norm that clip_norm divides by, as torch does


class Trainable(NamedTuple):
    """The parameters of a group, and what an optimizer reads and keeps."""

    optimizer: int  # a code
    epsilon_first: int
    parameters: int  # P
    params: Any  # (P and statistics, L); each of these shared where lanes are parameters
    optimizer_state: Any  # (numbers a net, L)
    rates: Any  # (RATE_FIELDS, L)
    step: Any  # (STEP_FIELDS, L)


@device_function(inline="always")
def trainable(task, state, work):
    """The parameters of a group that is trained."""
    return Trainable(
        task.optimizer, task.epsilon_first, task.parameters, state.params, state.optimizer_state,
        state.rates, work.step,
    )  # fmt: skip


@device_function(inline="always")
def flat_trainable(task, state, work):
    """The same of one net, whose parameters are in lanes."""
    return Trainable(
        task.optimizer, task.epsilon_first, task.parameters, flat(state.params),
        flat(state.optimizer_state), flat(state.rates), flat(work.step),
    )  # fmt: skip


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
        root, epsilon = one / square_root(correction_2), load(lane, rates, EPSILON)
        store(lane, nets.step, ROOT, root)
        if nets.epsilon_first:
            epsilon = epsilon * root
        store(lane, nets.step, STEP_EPSILON, epsilon)


@device_function(inline="never")
def penalise(lane, by_batch, rates, params, p, gradient, g, count, scale):
    """Gradients of ``count`` weights, times ``scale``, with those of l2 w**2 / 2 and l1 abs(w);
    these too are multiplied by it where ``by_batch``.

    Here and below arrays are (positions, L), or shared where lanes are parameters.
    """
    l1, l2 = load(lane, rates, L1), load(lane, rates, L2)
    inner, outer = scale, broadcast(lane, 1.0)
    if by_batch:
        inner, outer = outer, inner
    for k in range(0, count, width_of(lane, params)):
        left = count - k
        weight = load_some(lane, params, p + k, left)
        grad = fma(l2, weight, load_some(lane, gradient, g + k, left) * inner)
        store_some(lane, gradient, g + k, left, fma(l1, sign(weight), grad) * outer)


@device_function(inline="never")
def add_squares(lane, params, p, count, sums):
    """Add the squares of a layer's weights to the batch's partial sums: that of weight k to number
    k mod 16. sums : (SCORES + ..., L), or shared."""
    for k in range(0, count, width_of(lane, params)):
        weight = load_some(lane, params, p + k, count - k)
        q = SQUARES + k % PARTIALS
        total = load_some(lane, sums, q, PARTIALS)
        store_some(lane, sums, q, PARTIALS, fma(weight, weight, total))


@device_function(inline="never")
def rescale(lane, gradient, g, count, scale):
    """Multiply ``count`` gradients by ``scale``."""
    for k in range(0, count, width_of(lane, gradient)):
        left = count - k
        grad = load_some(lane, gradient, g + k, left)
        store_some(lane, gradient, g + k, left, grad * scale)


@device_function(inline="never")
def norm_factor(lane, rates, gradient, count, partials):
    """What clip_norm multiplies gradients by, for a lane whose lanes are nets.

    gradient : (P, L), or of one net shared. partials : (PARTIALS, L), zero.
    """
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
    for k in range(0, count, width_of(lane, params)):
        left = count - k
        weight = load_some(lane, params, p + k, left)
        store_some(lane, params, p + k, left, weight * remains)


@device_function(inline="never")
def _rprop(lane, nets, p, gradient, g, count, scale):
    """iRPROP-: a step size of its own for each parameter."""
    zero, one = broadcast(lane, 0.0), broadcast(lane, 1.0)
    grow, shrink = like(zero, GROW), like(zero, SHRINK)
    low, high = like(zero, SMALLEST_STEP), like(zero, LARGEST_STEP)
    params, state, sizes = nets.params, nets.optimizer_state, nets.parameters + p
    for k in range(0, count, width_of(lane, params)):
        left = count - k
        grad = load_some(lane, gradient, g + k, left) * scale
        way = sign(grad) * sign(load_some(lane, state, p + k, left))
        factor = select(way > zero, grow, select(way < zero, shrink, one))
        size = clamp(load_some(lane, state, sizes + k, left) * factor, low, high)
        grad = select(way < zero, zero, grad)
        store_some(lane, state, p + k, left, grad)
        store_some(lane, state, sizes + k, left, size)
        weight = load_some(lane, params, p + k, left)
        store_some(lane, params, p + k, left, fma(-sign(grad), size, weight))


@device_function
def _update(lane, nets, p, gradient, g, count, scale):
    """Update ``count`` parameters from p by the gradient sums from g, times ``scale``.

    nets : Trainable. gradient : (positions, L), or shared.
    Sources: momentum, Nesterov as in Sutskever et al. 2013; Adam, Kingma & Ba 2015, with epsilon
    added after the bias correction, or before as at the end of its section 2; RMSprop, Tieleman &
    Hinton 2012; Adagrad, Duchi et al. 2011; iRPROP-, Igel & Hüsken 2000.
    """
    one, optimizer = broadcast(lane, 1.0), nets.optimizer
    params, state, rates = nets.params, nets.optimizer_state, nets.rates
    rate = load(lane, rates, RATE)
    if optimizer == ADAM:
        beta_1, beta_2 = load(lane, rates, BETA_1), load(lane, rates, BETA_2)
        rest_1, rest_2, seconds = one - beta_1, one - beta_2, nets.parameters + p
        size, root = load(lane, nets.step, STEP_SIZE), load(lane, nets.step, ROOT)
        epsilon = load(lane, nets.step, STEP_EPSILON)
        for k in range(0, count, width_of(lane, params)):
            left = count - k
            grad = load_some(lane, gradient, g + k, left) * scale
            first = fma(beta_1, load_some(lane, state, p + k, left), rest_1 * grad)
            second = load_some(lane, state, seconds + k, left)
            second = fma(beta_2, second, rest_2 * grad * grad)
            store_some(lane, state, p + k, left, first)
            store_some(lane, state, seconds + k, left, second)
            change = first / fma(square_root(second), root, epsilon)
            weight = load_some(lane, params, p + k, left)
            store_some(lane, params, p + k, left, fma(-size, change, weight))
    elif optimizer == SGD:
        for k in range(0, count, width_of(lane, params)):
            left = count - k
            grad = load_some(lane, gradient, g + k, left) * scale
            weight = load_some(lane, params, p + k, left)
            store_some(lane, params, p + k, left, fma(-rate, grad, weight))
    elif optimizer == RMSPROP or optimizer == ADAGRAD:
        rho, epsilon = load(lane, rates, RHO), load(lane, rates, EPSILON)
        rest = one - rho
        for k in range(0, count, width_of(lane, params)):
            left = count - k
            grad = load_some(lane, gradient, g + k, left) * scale
            second = load_some(lane, state, p + k, left)
            if optimizer == RMSPROP:
                second = fma(rho, second, rest * grad * grad)
            else:
                second = fma(grad, grad, second)
            store_some(lane, state, p + k, left, second)
            change = grad / (square_root(second) + epsilon)
            weight = load_some(lane, params, p + k, left)
            store_some(lane, params, p + k, left, fma(-rate, change, weight))
    elif optimizer == RPROP:
        _rprop(lane, nets, p, gradient, g, count, scale)
    else:
        momentum = load(lane, rates, MOMENTUM_RATE)
        for k in range(0, count, width_of(lane, params)):
            left = count - k
            grad = load_some(lane, gradient, g + k, left) * scale
            velocity = fma(momentum, load_some(lane, state, p + k, left), -rate * grad)
            store_some(lane, state, p + k, left, velocity)
            weight = load_some(lane, params, p + k, left)
            if optimizer == NESTEROV:
                weight = fma(momentum, velocity, fma(-rate, grad, weight))
            else:
                weight = weight + velocity
            store_some(lane, params, p + k, left, weight)


@device_function(inline="always")
def step_weights(lane, task, nets, p, gradient, g, count, scale):
    """A step of ``count`` weights from p, by their gradient sums from g, times ``scale``.

    nets : Trainable. gradient : (positions, L). Where the gradient's norm is clipped, its penalties
    are added before (`finish_batch`).
    """
    if task.penalised and not task.clips_norm:
        penalise(lane, task.penalty_by_batch, nets.rates, nets.params, p, gradient, g, count, scale)
        scale = broadcast(lane, 1.0)
    if task.decays:
        _decay(lane, nets.rates, nets.params, p, count)
    _update(lane, nets, p, gradient, g, count, scale)


@device_function(inline="always")
def step_others(lane, nets, p, gradient, g, count, scale):
    """A step of biases, scales or shifts, which have neither penalties nor weight decay."""
    _update(lane, nets, p, gradient, g, count, scale)
