"""PyTorch with torch.func: vmap(grad(loss)) over stacked parameters.

Eager and compiled gradients (torch.compile, where it works), with one thread and with all, are
tried on a part of the work, and the fastest form is timed. sgd is one ``_foreach_add_``, adam
torch's fused one. ``functional_call`` of stacked modules was tried, and was slower; so was
``F.dropout`` with ``randomness="different"``: masks come as in ``torch_batched``.
"""

from ..work import Minibatch, Tutorial
from . import Unsuited, fastest, torch_batched

NAME = "torch.func"
missing = torch_batched.missing


def tutorial(work):
    return fastest(torch_batched.forms(_tutorial), work)


def _gradients(loss, in_dims, compiled):
    """Return the function that gives the gradients of all nets."""
    import torch

    function = torch.func.vmap(torch.func.grad(loss), in_dims=in_dims)
    return torch_batched.compiled_step(function) if compiled else function


def _tutorial(work, threads, compiled):
    import torch

    X, y = map(torch.tensor, work.data)

    def loss(weights):
        outputs = torch.sigmoid(torch.sigmoid(X @ weights[0]) @ weights[1])
        return ((y - outputs) ** 2).sum() / 2

    gradients = _gradients(loss, 0, compiled)

    def loop(weights):
        for _ in range(work.epochs):
            torch._foreach_add_(weights, list(gradients(tuple(weights))), alpha=-1)
        return weights

    return torch_batched.runner([torch.tensor(w) for w in work.start], threads, loop)


def minibatch(work):
    if work.own_order or work.nets == 1:
        raise Unsuited("several nets in one row order are stacked here")
    return fastest(torch_batched.forms(_minibatch), work)


def _loss(parameters, x, labels, masks):
    import torch

    weights, biases = parameters[0::2], parameters[1::2]
    for k in range(len(weights)):
        x = torch.addmm(biases[k], x, weights[k])
        if k < len(weights) - 1:
            x = torch.relu(x)
            x = x * masks[k] if masks else x
    return torch.nn.functional.cross_entropy(x, labels)


def _minibatch(work, threads, compiled):
    import torch

    X, labels = map(torch.tensor, work.data)
    batches = torch.tensor(work.batches, dtype=torch.int64).unbind()
    gradients = _gradients(_loss, (0, None, None, 0 if work.dropout else None), compiled)
    share = round(2**16 * work.dropout) - 2**15

    def loop(parameters):
        update = _update(work, parameters)
        for rows in batches:
            drawn = torch_batched.drawn_bits(work)
            masks = [(bits >= share).float().mul_(1 / (1 - work.dropout)) for bits in drawn]
            update(gradients(tuple(parameters), X[rows], labels[rows], masks))
        return parameters

    return torch_batched.runner([torch.tensor(w) for w in work.start], threads, loop)


def _update(work, parameters):
    """Return what makes a step of gradients."""
    import torch

    if work.optimizer == "sgd":
        return lambda g: torch._foreach_add_(parameters, list(g), alpha=-work.learning_rate)
    m, v = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    times = [torch.zeros(()) for _ in parameters]

    def adam(gradients):
        torch._foreach_add_(times, 1)
        torch._fused_adam_(
            parameters, list(gradients), m, v, [], times,
            lr=work.learning_rate, **torch_batched.ADAM,
        )  # fmt: skip

    return adam


PREPARE = {Tutorial: tutorial, Minibatch: minibatch}
final = torch_batched.final
