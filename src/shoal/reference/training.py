"""The loop: epochs, batches, and when it ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .backpropagation import backward
from .layers import Array, BatchNorm, Names, propagate
from .losses import mean_loss, row_losses
from .losses import score as score_rows
from .optimizers import clip_gradients, learning_rate_of_epoch, optimizer_step
from .random import dropout_masks, dropout_rates, row_order


class History(NamedTuple):
    """What `train` returns: an element for each recorded epoch, NaN from where the net stopped.

    Examples
    --------
    >>> X, y = np.array([[1.0], [2.0]]), np.array([[1.0], [2.0]])
    >>> history = train(X, y, [np.zeros((1, 1))], epochs=3, output="identity", learning_rate=0.1)
    >>> history.losses, history.status
    (array([1.25   , 0.3125 , 0.078125]), 'finished')
    """

    recorded: Array  # numbers of the recorded epochs, from 1
    losses: Array  # of the training rows, each before the step that it has part in
    val_losses: Array  # of the validation rows after the epoch; NaN without validation
    scores: Array  # float64, of the validation rows if there are any, else as losses
    learning_rates: Array
    epochs: int  # whole epochs run: without that in which it diverged
    status: str  # finished, stopped (patience) or diverged


def batches_of(n: int, batch_size: int, *, batch_norm: bool) -> list[tuple[int, int]]:
    """Return (start, stop) of each batch. The last one may be short; with batch norm a single row
    that would be left over joins the batch before, as one row has no variance.

    Examples
    --------
    >>> batches_of(9, 4, batch_norm=False), batches_of(9, 4, batch_norm=True)
    ([(0, 4), (4, 8), (8, 9)], [(0, 4), (4, 9)])
    """
    starts = list(range(0, n, batch_size))
    if batch_norm and len(starts) > 1 and n - starts[-1] == 1:
        del starts[-1]
    return list(pairwise([*starts, n]))


@dataclass
class Watch:
    """Watches the loss of a net: has it improved, and how long ago?

    A loss is an improvement where it is below the lowest so far by more than the tolerance. NaN is
    none. The adaptive schedule divides the learning rate by 5 after each 2 epochs in a row without
    improvement; patience ends the run after so many of them.

    Examples
    --------
    >>> watch = Watch(tolerance=0.1)
    >>> for loss in (1.0, 0.95, 0.93, 0.7, 0.9):
    ...     print(watch.sees_a_lower(loss), watch.waited, watch.divisions)
    True 0 0
    True 1 0
    True 2 1
    True 0 1
    False 1 1
    """

    tolerance: float
    lowest: Any = np.inf
    waited: int = 0  # epochs in a row without improvement
    divisions: int = 0

    def sees_a_lower(self, loss: Any) -> bool:
        """Take an epoch's loss, and tell whether it is the lowest so far."""
        self.waited = 0 if loss < self.lowest - self.tolerance else self.waited + 1
        if self.waited and self.waited % 2 == 0:
            self.divisions += 1
        lower = bool(loss < self.lowest)
        if lower:
            self.lowest = loss
        return lower


@np.errstate(all="ignore")
def evaluate(
    X: Array,
    y: Array,
    row_weights: Array | None = None,
    *,
    weights: Sequence[Array],
    biases: Sequence[Array] | None = None,
    activations: Names = "sigmoid",
    output: str = "sigmoid",
    loss: str = "squared_error",
    score: str | None = None,
    batch_norms: Sequence[BatchNorm] | None = None,
    huber_delta: float = 1.0,
    quantile: float = 0.5,
) -> tuple[np.floating, float]:
    """The mean loss of rows in prediction, without penalties, and their score.

    Parameters
    ----------
    X, y, row_weights : arrays, (n, I), (n, O) and (n,) or None
    weights, biases, activations, output, loss, score, batch_norms, huber_delta, quantile
        See `train`.

    Examples
    --------
    >>> X, y = np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]])
    >>> loss, score = evaluate(X, y, weights=[np.array([[1.0]])], output="identity", score="r2")
    >>> float(loss), round(score, 3)
    (1.0, 0.111)
    """
    dtype = weights[0].dtype
    y = np.asarray(y, dtype)
    w = None if row_weights is None else np.asarray(row_weights, dtype)
    sums, layers = propagate(X, weights, biases, activations, output, batch_norms=batch_norms)
    each = row_losses(sums[-1], y, output, loss, huber_delta, quantile)
    return mean_loss(each, w), np.nan if score is None else score_rows(layers[-1], y, score, w)


@np.errstate(all="ignore")  # a net may diverge
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
    huber_delta: float = 1.0,
    quantile: float = 0.5,
    batch_size: int | None = None,
    shuffle: bool = False,
    shuffle_seed: int | None = None,
    seed: int = 0,
    reduction: str = "sum",
    optimizer: str = "sgd",
    learning_rate: float = 1.0,
    schedule: str = "constant",
    warmup_epochs: int = 0,
    step_size: int = 10,
    gamma: float = 0.9,
    min_learning_rate: float = 0.0,
    power: float = 0.5,
    momentum: float = 0.0,
    nesterov: bool = False,
    rho: float = 0.9,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    l1: float = 0.0,
    l2: float = 0.0,
    weight_decay: float = 0.0,
    dropout: float | Sequence[float] = 0.0,
    batch_norms: Sequence[BatchNorm] | None = None,
    clip_delta: float | None = None,
    clip_norm: float | None = None,
    row_weights: Array | None = None,
    validation: Sequence[Array] | None = None,
    score: str | None = None,
    patience: int | None = None,
    tolerance: float = 1e-4,
    record_every: int = 1,
) -> History:
    """Train one net. The defaults are the tutorial's.

    An epoch takes the rows in `batches_of` them, in the order of the data or of `row_order`; one
    batch of all rows is never shuffled. A step, in order: forward, deltas,
    gradients with their penalties, ``clip_norm``, weight decay, the optimizer. Weight decay is
    decoupled from the gradient (Loshchilov & Hutter, ICLR 2019): weights, and they alone, are
    multiplied by ``1 - rate weight_decay``.

    A net whose parameters and running statistics are not all finite at the end of an epoch has
    diverged: it goes back to the end of the epoch before, and stops.

    The loss monitored by ``patience`` and the adaptive schedule is that of the validation rows
    after an epoch; without validation it is the epoch's training loss. Where patience is set, the
    final weights are those after the epoch of the lowest monitored loss, whatever ended the run.

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
    shuffle_seed : int or None
        Of the row order; None: that of ``seed``.
    seed : int
        Of dropout.
    optimizer : str
        sgd, rmsprop, adagrad, adam, adamw (adam, with weight decay) or rprop.
    dropout : float or list of float
        One rate for all hidden layers; or that of the inputs, then of each hidden layer.
    batch_norms : list of BatchNorm, optional
        One a hidden layer, changed in place.
    row_weights : array, (n,), optional
        How much a row counts in losses, gradients and scores.
    validation : (X, y) or (X, y, row_weights), optional
        Rows that are not trained on.
    score : str, optional
        Which kind: see `score`. Without one, scores are NaN.
    patience : int, optional
        Epochs in a row without improvement that stop the net: see `Watch`.
    record_every : int
        Epochs from one record to the next; the last one is always recorded.
    output, loss, huber_delta, quantile
        See `OUTPUTS` and `row_losses`.
    reduction, l1, l2, clip_delta
        See `backward` and `pass_back`.
    learning_rate, schedule, warmup_epochs, step_size, gamma, min_learning_rate, power
        See `learning_rate_of_epoch`.
    momentum, nesterov, rho, beta_1, beta_2, epsilon, clip_norm
        See `sgd_step`, `rmsprop_step`, `adagrad_step`, `adam_step`, `rprop_step`, `clip_gradients`.

    Returns
    -------
    History

    Examples
    --------
    >>> X, y = np.array([[0, 1], [1, 1], [2, 1]]), np.array([[1], [3], [5]])  # y = 2 x + 1
    >>> weights = [np.zeros((2, 1))]
    >>> history = train(X, y, weights, output="identity", learning_rate=0.1, epochs=500, score="r2")
    >>> weights[0].round(6).ravel(), history.scores[-1].round(6)
    (array([2., 1.]), np.float64(1.0))
    """
    dtype = weights[0].dtype

    def rounded(value: Any) -> Any:
        """To the dtype, then a Python float: numpy computes with these in the dtype of an array."""
        return None if value is None else float(dtype.type(value))

    of_loss = {"huber_delta": rounded(huber_delta), "quantile": rounded(quantile)}
    of_optimizer = {
        "momentum": rounded(momentum), "nesterov": nesterov, "rho": rounded(rho),
        "beta_1": rounded(beta_1), "beta_2": rounded(beta_2), "epsilon": rounded(epsilon),
    }  # fmt: skip
    of_schedule: dict[str, Any] = {
        "learning_rate": learning_rate, "schedule": schedule, "warmup_epochs": warmup_epochs,
        "step_size": step_size, "gamma": gamma, "min_learning_rate": min_learning_rate,
        "power": power,
    }  # fmt: skip
    l1, l2, weight_decay = map(rounded, (l1, l2, weight_decay))
    clip_delta, clip_norm = map(rounded, (clip_delta, clip_norm))
    X, y = np.asarray(X, dtype), np.asarray(y, dtype)
    w = None if row_weights is None else np.asarray(row_weights, dtype)
    n, widths = len(X), [len(w) for w in weights]
    batches = batches_of(n, batch_size or n, batch_norm=bool(batch_norms))
    rates = [rounded(rate) for rate in dropout_rates(dropout, len(widths) - 1)]

    norms = batch_norms or ()
    learnt = [norm.scale for norm in norms] + [norm.shift for norm in norms]
    parameters = [*weights, *(biases or ()), *learnt]
    statistics = [s for norm in norms for s in (norm.mean, norm.variance)]
    everything = parameters + statistics
    first_rate = rounded(learning_rate) if optimizer == "rprop" else 0.0
    firsts = [np.zeros_like(p) for p in parameters]  # velocities, moments, gradients before
    seconds = [np.full_like(p, first_rate) for p in parameters]  # second moments, steps of rprop
    step = 0

    ends = [e + 1 for e in range(epochs) if e % record_every == 0 or e == epochs - 1]
    recorded = np.array(ends, int)
    losses, val_losses, learning_rates = np.full((3, len(recorded)), np.nan, dtype)
    scores = np.full(len(recorded), np.nan)
    watch, best = Watch(rounded(tolerance)), None
    status, done = "finished", 0
    for epoch in range(epochs):
        rate = rounded(
            learning_rate_of_epoch(
                epoch, **of_schedule, epochs=epochs, rows=n, divisions=watch.divisions
            )
        )
        before = [p.copy() for p in everything]
        own = seed if shuffle_seed is None else shuffle_seed
        order = row_order(own, epoch, n) if shuffle and len(batches) > 1 else np.arange(n)
        each, outputs = np.empty(n, dtype), np.empty_like(y)
        for start, stop in batches:
            rows = order[start:stop]
            masks = dropout_masks(rates, widths, seed, epoch, np.arange(start, stop), dtype)
            sums, layers = propagate(
                X[rows], weights, biases, activations, output, batch_norms=batch_norms, masks=masks,
                training=True,
            )  # fmt: skip
            each[rows] = row_losses(sums[-1], y[rows], output, loss, **of_loss)
            outputs[rows] = layers[-1]
            found = backward(
                sums, layers, y[rows], weights, activations, output, loss, reduction,
                row_weights=None if w is None else w[rows], clip_delta=clip_delta,
                l1=l1, l2=l2, batch_norms=batch_norms, masks=masks, **of_loss,
            )  # fmt: skip
            for norm, z in zip(norms, sums, strict=False):
                norm.remember(z)
            of_biases = found.biases if biases is not None else []
            gradients = [*found.weights, *of_biases, *found.scales, *found.shifts]
            if clip_norm is not None:
                gradients = clip_gradients(gradients, clip_norm)
            if weight_decay:
                for p in weights:
                    p *= 1 - rate * weight_decay
            step += 1
            for p, g, first, second in zip(parameters, gradients, firsts, seconds, strict=True):
                optimizer_step(optimizer, p, g, first, second, step, rate, **of_optimizer)
        if not all(np.isfinite(p).all() for p in everything):
            for p, kept in zip(everything, before, strict=True):
                p[...] = kept
            status = "diverged"
            break
        done += 1

        training = mean_loss(each, w)
        monitored, val_loss = training, dtype.type(np.nan)
        scored = np.nan if score is None or validation else score_rows(outputs, y, score, w)
        if validation is not None:
            val_loss, scored = evaluate(
                *validation, weights=weights, biases=biases, activations=activations,
                output=output, loss=loss, score=score, batch_norms=batch_norms, **of_loss,
            )  # fmt: skip
            monitored = val_loss
        for r in np.flatnonzero(recorded == epoch + 1):
            losses[r], val_losses[r], scores[r] = training, val_loss, scored
            learning_rates[r] = rate
        if watch.sees_a_lower(monitored) and patience is not None:
            best = [p.copy() for p in everything]
        if patience is not None and watch.waited >= patience:
            status = "stopped"
            break
    if best is not None:
        for p, kept in zip(everything, best, strict=True):
            p[...] = kept
    return History(recorded, losses, val_losses, scores, learning_rates, done, status)
