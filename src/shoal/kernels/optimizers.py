"""Optimizers: how a gradient changes the parameters.

``rates`` holds a net's scalars, ``step`` what a step derives from them once: both (rows, L),
indexed by the names below. Optimizer state stands moment by moment: moment k of parameter p is
``state[k * P + p]``; what is one number a net comes last.
"""

from .jit import body
from .lanes import fma, load, splat, square_root, store

SGD, MOMENTUM, NESTEROV, ADAM = range(4)

# rows of `rates`
RATE, MOMENTUM_RATE, BETA_1, BETA_2, EPSILON, RATES = range(6)
# rows of `step`
STEP_SIZE, ROOT, STEP_ROWS = range(3)

# numbers of state that an optimizer keeps a parameter, and besides them a net
MOMENTS = (0, 1, 1, 2)
NET_STATE = (0, 0, 0, 2)


@body
def begin_step(lane, optimizer, rates, state, parameters, step):
    """What one step derives from the scalars. rates, state, step : (rows, L).

    Adam's bias correction 1 - beta**t is the moment of a constant gradient of one, c = beta c +
    (1 - beta): no power, and exact where beta**t is close to one.
    """
    one = splat(lane, 1.0)
    if optimizer == ADAM:
        p = 2 * parameters
        beta_1, beta_2 = load(lane, rates, BETA_1), load(lane, rates, BETA_2)
        correction_1 = fma(beta_1, load(lane, state, p), one - beta_1)
        correction_2 = fma(beta_2, load(lane, state, p + 1), one - beta_2)
        store(lane, state, p, correction_1)
        store(lane, state, p + 1, correction_2)
        store(lane, step, STEP_SIZE, load(lane, rates, RATE) / correction_1)
        store(lane, step, ROOT, one / square_root(correction_2))


@body
def update(lane, optimizer, rates, step, params, p, gradient, g, state, parameters, count, scale):
    """Update ``count`` parameters from p by the gradient sums from g, times ``scale``.

    params : (P, L). gradient, state, rates, step : (positions, L).
    Sources: momentum, Nesterov as in Sutskever et al. 2013; Adam, Kingma & Ba 2015, with epsilon
    added after the bias correction.
    """
    one = splat(lane, 1.0)
    if optimizer == ADAM:
        beta_1, beta_2 = load(lane, rates, BETA_1), load(lane, rates, BETA_2)
        rest_1, rest_2 = one - beta_1, one - beta_2
        size, root = load(lane, step, STEP_SIZE), load(lane, step, ROOT)
        epsilon = load(lane, rates, EPSILON)
        for k in range(count):
            grad = load(lane, gradient, g + k) * scale
            first = fma(beta_1, load(lane, state, p + k), rest_1 * grad)
            second = fma(beta_2, load(lane, state, parameters + p + k), rest_2 * grad * grad)
            store(lane, state, p + k, first)
            store(lane, state, parameters + p + k, second)
            change = first / fma(square_root(second), root, epsilon)
            store(lane, params, p + k, fma(-size, change, load(lane, params, p + k)))
    elif optimizer == SGD:
        rate = load(lane, rates, RATE)
        for k in range(count):
            grad = load(lane, gradient, g + k) * scale
            store(lane, params, p + k, fma(-rate, grad, load(lane, params, p + k)))
    else:
        rate, momentum = load(lane, rates, RATE), load(lane, rates, MOMENTUM_RATE)
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
