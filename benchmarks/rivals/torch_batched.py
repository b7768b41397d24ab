"""PyTorch by hand: all nets in one tensor a layer, gradients written out, updates in place.

Eager and compiled steps (torch.compile, where it works), with one thread and with all, are tried on
a part of the work, and the fastest form is timed. One net has plain matrices. sgd is part of the
gradients' products (``baddbmm_``); adam is torch's fused one over all parameters in one tensor.
Dropout compares 16 random bits a unit, four from each word of the generator.

Of nets 3-4-1 the tensors have the nets last, and compiled steps have the products summed one by
one, four steps in a call.

Tried, and no faster: the first layer of all nets as one matrix product; for one net ``nn.Linear``
with autograd and a fused optimizer; adam in tensor operations; ``bernoulli_`` and ``F.dropout``;
for nets 3-4-1 batched matrix products, and one step or ten in a compiled call.
"""

import functools
import importlib.util
import math

import numpy as np

from ..machine import cores
from ..work import Minibatch, Tutorial
from . import Unsuited, fastest

NAME = "PyTorch by hand"

ADAM = {
    "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False,
    "maximize": False,
}  # fmt: skip


def missing():
    return None if importlib.util.find_spec("torch") else "PyTorch is not installed"


def forms(prepare):
    """Return prepare(work, threads, compiled) with each number of threads, eager and compiled."""
    counts = sorted({1, cores()})
    return {
        f"{'compiled' if compiled else 'eager'}, threads: {threads}": functools.partial(
            prepare, threads=threads, compiled=compiled
        )
        for compiled in (False, True)
        for threads in counts
    }


def compiled_step(step):
    """Compile a step for the shapes that it is called with."""
    import torch

    torch.compiler.reset()  # what other work has left would count against the limit of shapes
    return torch.compile(step, dynamic=False, fullgraph=True)


def runner(start, threads, loop):
    """Return a function that copies the starting tensors and trains them by ``loop``."""
    import torch

    def run():
        torch.set_num_threads(threads)
        with torch.no_grad():
            return loop([tensor.clone() for tensor in start])

    return run


# ---------------------------------------------------------------------------------------- 3-4-1


def tutorial(work):
    return fastest(forms(_tutorial), work)


def _tutorial(work, threads, compiled):
    """Eager steps have a tensor a layer; compiled ones one for each place of a weight."""
    import torch

    X, y = map(torch.tensor, work.data)
    w0, w1 = (np.ascontiguousarray(np.moveaxis(w, 0, -1)) for w in work.start)
    if compiled:
        start = [torch.tensor(w) for w in (*w0.reshape(12, -1), *w1[:, 0])]
        many = 4 if work.epochs % 4 == 0 else 1
        rows = [[i for i in range(3) if row[i]] for row in work.data[0]]
        step = compiled_step(functools.partial(_sums_steps, rows, work.data[1].ravel(), many))
    else:
        start, many = [torch.tensor(w0), torch.tensor(w1[:, 0])], 1
        step = functools.partial(_products_step, X, y)

    def loop(weights):
        for _ in range(work.epochs // many):
            weights = step(*weights)
        if compiled:
            weights = torch.stack(weights[:12]).view(3, 4, -1), torch.stack(weights[12:])
        return [weights[0].movedim(-1, 0), weights[1].T[:, :, None]]

    return runner(start, threads, loop)


def _products_step(X, y, w0, w1):
    """One step in tensor operations; (3, 4, N) and (4, N) weights are changed."""
    import torch

    l1 = torch.mm(X, w0.view(3, -1)).sigmoid_().view(4, 4, -1)
    l2 = (l1 * w1).sum(dim=1).sigmoid_()
    delta2 = (y - l2).mul_(l2).mul_(1 - l2)
    delta1 = (delta2[:, None] * w1).mul_(l1).mul_(1 - l1)
    w0.view(3, -1).addmm_(X.T, delta1.view(4, -1))
    w1.add_((l1 * delta2[:, None]).sum(dim=0))
    return w0, w1


def _total(terms):
    first, *others = terms
    return sum(others, first)


def _sums_steps(rows, y, steps, *weights):
    """Some steps in sums of (N,) tensors; rows have the numbers of the inputs that are 1."""
    import torch

    w0, w1 = [weights[4 * i : 4 * i + 4] for i in range(3)], weights[12:]
    four = range(4)
    for _ in range(steps):
        l1 = [[torch.sigmoid(_total([w0[i][j] for i in on])) for j in four] for on in rows]
        l2 = [torch.sigmoid(_total([l1[r][j] * w1[j] for j in four])) for r in four]
        delta2 = [(float(y[r]) - l2[r]) * l2[r] * (1 - l2[r]) for r in four]
        delta1 = [[delta2[r] * w1[j] * l1[r][j] * (1 - l1[r][j]) for j in four] for r in four]
        for i in range(3):
            on = [r for r in four if i in rows[r]]
            w0[i] = [w0[i][j] + _total([delta1[r][j] for r in on]) for j in four]
        w1 = [w1[j] + _total([l1[r][j] * delta2[r] for r in four]) for j in four]
    return (*w0[0], *w0[1], *w0[2], *w1)


# ------------------------------------------------------------------------------------ classifiers


def minibatch(work):
    if work.own_order:
        raise Unsuited("all nets share one row order here")
    return fastest(forms(_minibatch), work)


def _minibatch(work, threads, compiled):
    import torch

    X, Y = torch.tensor(work.data[0]), torch.tensor(work.one_hot)
    batches = torch.tensor(work.batches, dtype=torch.int64).unbind()
    nets = work.start if work.nets > 1 else [array[0] for array in work.start]
    start = torch.cat([torch.tensor(array).ravel() for array in nets])
    shapes = [array.shape for array in nets]
    step = functools.partial(_step, work)
    step = compiled_step(step) if compiled else step

    def loop(tensors):
        (parameters,) = tensors
        gradients, adam = _adam(work, parameters)
        views = _views(parameters, shapes), _views(gradients, shapes)
        x, y = X, Y
        for rows in batches:
            if work.batch_size is not None:
                x, y = X.index_select(0, rows), Y.index_select(0, rows)
            step(*views, x, y, drawn_bits(work))
            adam()
        return views[0] if work.nets > 1 else [view[None] for view in views[0]]

    return runner([start], threads, loop)


def _views(flat, shapes):
    parts = flat.split([math.prod(shape) for shape in shapes]) if len(flat) else []
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=bool(parts))]


def _adam(work, parameters):
    """Return the tensor of all gradients, empty for sgd, and what makes a step of them."""
    import torch

    if work.optimizer == "sgd":
        return parameters[:0], lambda: None
    gradients, m, v = (torch.zeros_like(parameters) for _ in range(3))
    t = torch.zeros(())

    def step():
        t.add_(1)
        torch._fused_adam_(
            [parameters], [gradients], [m], [v], [], [t], lr=work.learning_rate, **ADAM
        )

    return gradients, step


def drawn_bits(work):
    """Return random numbers of 16 bits for the units of each hidden layer."""
    import torch

    drawn = []
    for units in work.widths[1:-1] if work.dropout else ():
        shape = (*((work.nets,) if work.nets > 1 else ()), work.batch, units)
        words = torch.empty(-(-math.prod(shape) // 4), dtype=torch.int64).random_(-(2**63), None)
        drawn.append(words.view(torch.int16)[: math.prod(shape)].view(shape))
    return drawn


def _step(work, parameters, gradients, x, y, drawn):
    """One step of sgd; of adam, only its gradients."""
    import torch

    weights, biases = parameters[0::2], parameters[1::2]
    plus = torch.baddbmm if work.nets > 1 else torch.addmm
    # values that were kept stay as they are, and their products get the factor
    factors = [1.0] + [1 / (1 - work.dropout)] * (len(weights) - 1)
    layers = [x.expand(work.nets, *x.shape) if work.nets > 1 else x]
    for k, (w, b) in enumerate(zip(weights, biases)):  # noqa: B905 (strict= cannot be compiled)
        z = plus(b.unsqueeze(-2), layers[k], w, alpha=factors[k])
        if k < len(weights) - 1:
            z = z.relu_()
            if drawn:
                z.masked_fill_(drawn[k] < round(2**16 * work.dropout) - 2**15, 0)
        layers.append(z)
    delta = torch.softmax(layers[-1], dim=-1).sub_(y).mul_(1 / len(x))
    for k in range(len(weights) - 1, -1, -1):
        told = delta
        if k:
            passed = plus(layers[k], delta, weights[k].mT, beta=0, alpha=factors[k])
            delta = torch.ops.aten.threshold_backward(passed, layers[k], 0)
        if gradients:
            into, of_biases, beta, rate = gradients[2 * k], gradients[2 * k + 1], 0, 1.0
        else:
            into, of_biases, beta, rate = weights[k], biases[k], 1, -work.learning_rate
        add = into.baddbmm_ if work.nets > 1 else into.addmm_
        add(layers[k].mT, told, beta=beta, alpha=rate * factors[k])
        sums = told.sum(dim=-2)
        if gradients:
            of_biases.copy_(sums)
        else:
            of_biases.add_(sums, alpha=rate)


PREPARE = {Tutorial: tutorial, Minibatch: minibatch}


def final(result):
    return [np.asarray(tensor) for tensor in result]
