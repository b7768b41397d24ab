"""The slow oracle of bits: the one order of arithmetic, in plain loops over one net.

Every sum is a loop over scalars in the order that ``shoal.kernels`` promises; there are no lanes,
tiles or launches. What it shares with the kernels is the elementary functions and `fma`, in their
scalar meaning. `shoal.reference` is the oracle of meaning; this one is of the last bit.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import oracle_parts as parts

from shoal import reference
from shoal.inputs.settings import dropout_rates

DROPOUT = 2  # the stream of random numbers; a layer's is 256 * layer further


class Trained(NamedTuple):
    """What has become of one net."""

    weights: list
    biases: list | None
    losses: np.ndarray  # of the recorded epochs, as those below
    status: str
    epochs: int  # that it finished
    val_losses: np.ndarray
    scores: np.ndarray | None  # None where nobody said what a score is
    learning_rates: np.ndarray
    batch_norms: list | None  # (scale, shift, mean, variance) of each hidden layer


class Layer(NamedTuple):
    """Parameters of one layer, or what belongs to them; no elements where a net has none."""

    weights: np.ndarray  # (units, inputs)
    biases: np.ndarray
    scales: np.ndarray
    shifts: np.ndarray
    means: np.ndarray
    variances: np.ndarray


class Loss(NamedTuple):
    """What turns outputs into losses and deltas."""

    code: int
    parameter: np.floating  # huber's delta, or the quantile
    of_softmax: bool
    most: np.floating  # the largest finite number


class Passed(NamedTuple):
    """What a forward pass leaves for the way back."""

    z: np.ndarray  # weighted sums of the outputs
    values: list  # of each layer from X on
    slopes: list  # of each layer
    normal: list  # (normalized weighted sums, 1 / standard deviations) of each layer


# ------------------------------------------------------------------------------------ forward, back


def _layers(widths, biased, normed, dtype):
    """(Layers of zeros, flat parameters in the kernels' order, flat running statistics).

    The Layers are views into the flat arrays.
    """
    hidden = sum(widths[1:-1]) if normed else 0
    count = sum(inputs * units + biased * units for inputs, units in pairwise(widths))
    flat = np.zeros(count + 2 * hidden, dtype), np.zeros(2 * hidden, dtype)
    layers, taken = [], [0, 0]
    for k, (inputs, units) in enumerate(pairwise(widths)):
        norms = (units if normed and k + 2 < len(widths) else 0,)
        views = []
        for which, shape in zip(
            (0, 0, 0, 0, 1, 1), ((units, inputs), (biased * units,), *[norms] * 4), strict=True
        ):
            start = taken[which]
            taken[which] += int(np.prod(shape))
            views.append(flat[which][start : taken[which]].reshape(shape))
        layers.append(Layer(*views))
    return layers, *flat


def _given(weights, biases, batch_norms, dtype):
    """Layers of these arrays."""
    nothing = np.empty(0, dtype)
    layers = []
    for k, w in enumerate(weights):
        normed = batch_norms is not None and k + 1 < len(weights)
        norms = map(np.ascontiguousarray, batch_norms[k]) if normed else [nothing] * 4
        bias = nothing if biases is None else np.ascontiguousarray(biases[k])
        layers.append(Layer(np.ascontiguousarray(w.T), bias, *norms))
    return layers


def _loss(loss, output, dtype, huber_delta, quantile):
    parameter = huber_delta if loss == "huber" else quantile
    number, most = np.dtype(dtype).type, np.finfo(dtype).max
    return Loss(parts.LOSSES.index(loss), number(parameter), output == "softmax", most)


def _forward(X, layers, activations, output, uniforms=None, rates=None):
    """uniforms: in training, random numbers of each layer that drops out (else None) from X on."""
    training = uniforms is not None
    values, slopes, normal = [np.array(X, order="C")], [], []
    if training and uniforms[0] is not None:
        parts.drop_out(values[0], np.ones_like(values[0]), uniforms[0], rates[0])
    for k, layer in enumerate(layers):
        last = k + 1 == len(layers)
        z, normalized = parts.weighted_sums(values[-1], layer.weights, layer.biases), ()
        if len(layer.scales):
            z, *normalized = parts.normalize(z, *layer[2:], training)
        normal.append(normalized)
        name = output if last else activations[k]
        slopes.append(np.ones_like(z))
        if name == "softmax":
            a = parts.softmax(z)
        else:
            a = parts.activate(parts.NAMES.index(name), z, slopes[-1])
        if training and not last and uniforms[k + 1] is not None:
            parts.drop_out(a, slopes[-1], uniforms[k + 1], rates[k + 1])
        values.append(a)
    return Passed(z, values, slopes, normal)


def _backward(passed, y, layers, into, loss, limit, row_weights):
    """Gradient sums, into the Layers of gradients."""
    told = loss.code, loss.parameter, loss.of_softmax
    delta = parts.output_delta(passed.values[-1], passed.slopes[-1], y, *told)
    nothing = row_weights[:0]
    if limit is not None:
        parts.clip_delta(delta, limit, nothing)
    if len(row_weights):
        parts.weight_rows(delta, row_weights)
    for k in range(len(layers) - 1, -1, -1):
        if len(layers[k].scales):
            delta = parts.normalized_back(
                delta, *passed.normal[k], layers[k].scales, into[k].scales, into[k].shifts
            )
        parts.gradients(passed.values[k], delta, into[k].weights, into[k].biases)
        if k:
            delta = parts.passed_back(delta, layers[k].weights, passed.slopes[k - 1])
            if limit is not None:
                parts.clip_delta(delta, limit, row_weights)


# --------------------------------------------------------------------------------------- evaluation


def _evaluated(layers, X, y, row_weights, activations, output, loss, score, variation):
    """(mean loss, score or None) of rows that are one batch."""
    passed = _forward(X, layers, activations, output)
    whole = X.dtype.type(parts.batch_weight(row_weights) if len(row_weights) else len(X))
    total = parts.batch_loss(passed.z, passed.values[-1], y, *loss, row_weights)
    sums = None
    if score is not None:
        sums = parts.batch_scores(passed.values[-1], y, parts.SCORES.index(score), row_weights)
    return _canonical(total / whole), _score(sums, whole, score, variation)


def _score(sums, whole, score, variation):
    if score is None:
        return None
    if score == "residuals":
        return _canonical(whole.dtype.type(parts.r_squared(sums, variation)))
    return _canonical(sums[0] / whole)


def _canonical(x):
    """NaN that leaves is the one canonical NaN."""
    return x.dtype.type(np.nan) if np.isnan(x) else x


def _as_weights(row_weights, dtype):
    return np.asarray(() if row_weights is None else row_weights, dtype)


def outputs(X, weights, biases, activations, output, batch_norms=None):
    """Outputs (n, O) of a net for rows X."""
    layers = _given(weights, biases, batch_norms, X.dtype)
    return _forward(X, layers, activations, output).values[-1]


@np.errstate(all="ignore")
def evaluate(
    X, y, weights, biases, activations, output, loss, *, batch_norms=None, row_weights=None,
    huber_delta=1.0, quantile=0.5, score=None, variation=None,
):  # fmt: skip
    """(mean loss, score or None) of all rows, as one batch. `score` and `variation` as in train."""
    return _evaluated(
        _given(weights, biases, batch_norms, X.dtype), X, y, _as_weights(row_weights, X.dtype),
        activations, output, _loss(loss, output, X.dtype, huber_delta, quantile), score, variation,
    )  # fmt: skip


def mean_loss(*net, **more):
    """Mean loss of all rows, as one batch: arguments of `evaluate`."""
    return evaluate(*net, **more)[0]


# ----------------------------------------------------------------------------------------- training


def _uniform(seed, epoch, layer, n, units, dtype):
    """Random numbers (n, units) of an epoch's dropout in one layer."""
    blocks = np.arange(-(-units // 4))
    counter = (np.arange(n)[:, None], blocks, epoch, DROPOUT + 256 * layer)
    words = np.moveaxis(reference.philox(counter, seed), 0, -1).reshape(n, -1)[:, :units]
    return ((words >> 8) / 2**24).astype(dtype)  # exact: 24 bits


class _Steps:
    """An optimizer's state, and the step from gradient sums to new parameters."""

    def __init__(self, told, dtype, is_weight):
        self.told, self.is_weight = told, is_weight
        numbers = ("momentum", "rho", "beta_1", "beta_2", "epsilon", "l1", "l2", "weight_decay")
        self.number = {name: dtype.type(told[name]) for name in numbers}
        self.first, self.second = (np.zeros(len(is_weight), dtype) for _ in range(2))
        self.corrections = dtype.type(0), dtype.type(0)
        if told["optimizer"] == "rprop":
            self.first[:] = told["learning_rate"]

    def step(self, w, g, factor, rate):
        number, name = self.number, self.told["optimizer"]
        g *= factor
        if number["l1"] > 0 or number["l2"] > 0:
            parts.penalize(w, g, self.is_weight, number["l1"], number["l2"])
        if self.told["clip_norm"] is not None:
            parts.clip_norm(g, w.dtype.type(self.told["clip_norm"]))
        if number["weight_decay"] > 0:
            parts.decay_weights(w, self.is_weight, rate, number["weight_decay"])
        epsilon = number["epsilon"]
        if name in ("adam", "adamw"):
            betas = number["beta_1"], number["beta_2"]
            self.corrections = tuple(
                w.dtype.type(parts.correction(*pair))
                for pair in zip(betas, self.corrections, strict=True)
            )
            parts.adam(w, g, self.first, self.second, rate, *betas, epsilon, *self.corrections)
        elif name == "rmsprop":
            parts.rmsprop(w, g, self.second, rate, number["rho"], epsilon)
        elif name == "adagrad":
            parts.adagrad(w, g, self.second, rate, epsilon)
        elif name == "rprop":
            parts.rprop(w, g, self.first, self.second)
        elif number["momentum"] == 0:
            parts.sgd(w, g, rate)
        else:
            parts.momentum_sgd(w, g, self.first, rate, number["momentum"], self.told["nesterov"])


class _Watch:
    """The monitored loss: the lowest so far, and what epochs without improvement lead to."""

    def __init__(self, told):
        self.told, self.best, self.since, self.waited, self.divisions = told, np.inf, 0, 0, 0

    def look(self, loss):
        """(whether it is the lowest, whether the net stops)."""
        loss = float(loss)
        improved = loss < self.best - self.told["tolerance"]
        lower = loss < self.best
        self.best = loss if lower else self.best
        self.since = 0 if improved else self.since + 1
        self.waited = 0 if improved else self.waited + 1
        if self.waited == 2:
            self.divisions, self.waited = self.divisions + 1, 0
        return lower, self.told["patience"] is not None and self.since >= self.told["patience"]

    def learning_rate(self, epoch, n):
        """Of an epoch, in float64."""
        told, base = self.told, float(self.told["learning_rate"])
        t = epoch - told["warmup_epochs"]
        if t < 0:
            return base * ((epoch + 1) / (told["warmup_epochs"] + 1))
        schedule = parts.SCHEDULES.index(told["schedule"])
        if schedule == parts.ADAPTIVE:
            for _ in range(self.divisions):
                base = base / 5
        return parts.learning_rate(
            schedule, base, t, max(1, told["epochs"] - told["warmup_epochs"]), n,
            told["step_size"], float(told["gamma"]), float(told["min_learning_rate"]),
            float(told["power"]),
        )  # fmt: skip


# What `train` takes of a net's settings, by name
_FROM_SETTINGS = (
    "activation", "output", "loss", "epochs", "batch_size", "shuffle", "reduction", "optimizer",
    "learning_rate", "momentum", "nesterov", "beta_1", "beta_2", "epsilon", "record_every",
    "huber_delta", "quantile", "seed", "schedule", "warmup_epochs", "step_size", "gamma",
    "min_learning_rate", "power", "rho", "l1", "l2", "weight_decay", "dropout", "batch_norm",
    "clip_delta", "clip_norm", "patience", "tolerance",
)  # fmt: skip


@np.errstate(all="ignore")
def train(
    X, y, weights, biases=None, *, activation, output, loss, epochs, batch_size, shuffle,
    shuffle_seed, reduction, optimizer, learning_rate, momentum=0.0, nesterov=False, beta_1=0.9,
    beta_2=0.999, epsilon=1e-8, record_every=None, huber_delta=1.0, quantile=0.5, seed=0,
    schedule="constant", warmup_epochs=0, step_size=10, gamma=0.9, min_learning_rate=0.0, power=0.5,
    rho=0.9, l1=0.0, l2=0.0, weight_decay=0.0, dropout=0.0, batch_norm=False, clip_delta=None,
    clip_norm=None, patience=None, tolerance=1e-4, row_weights=None, validation=None, score=None,
    variation=None,
):  # fmt: skip
    """Train one net from these weights, which stay as they are.

    y : (n, O). row_weights : (n,) or None. validation : None or (X, y, row weights or None).
    score : None, "largest", "sides" or "residuals", of the validation rows where there are any.
    variation : (O,), of the rows that are scored: the sums of squares about the mean.
    """
    told = locals()  # the settings by name, for what uses several of them
    dtype, n = X.dtype, len(X)
    number = dtype.type
    widths = (X.shape[1], *(w.shape[1] for w in weights))
    edges = [*range(0, n, n if batch_size is None else min(batch_size, n)), n]
    if batch_norm and len(weights) > 1 and len(edges) > 2 and edges[-1] - edges[-2] == 1:
        del edges[-2]  # a single row has no variance
    rates = [number(p) for p in dropout_rates({"dropout": dropout, "hidden": widths[1:-1]})]
    loss = _loss(loss, output, dtype, huber_delta, quantile)
    limit = None if clip_delta is None else number(clip_delta)
    of_rows = _as_weights(row_weights, dtype)
    if variation is not None:
        variation = np.asarray(variation, dtype)
    if validation is not None:
        val_rows = (*(np.asarray(v, dtype) for v in validation[:2]),
                    _as_weights(validation[2], dtype))  # fmt: skip

    shape = (widths, biases is not None, batch_norm)
    layers, w, running = _layers(*shape, dtype)
    into, g, _ = _layers(*shape, dtype)
    marks, is_weight, _ = _layers(*shape, bool)
    for k, layer in enumerate(layers):
        marks[k].weights[:] = True
        layer.weights[:] = weights[k].T
        if biases is not None:
            layer.biases[:] = biases[k]
        layer.scales[:], layer.variances[:] = 1, 1

    steps, watch = _Steps(told, dtype, is_weight), _Watch(told)
    every = record_every or max(1, -(-epochs // 100))
    recorded = [e for e in range(epochs) if e % every == 0 or e == epochs - 1]
    losses, val_losses, scores, learning_rates = (
        np.full(len(recorded), np.nan, dtype) for _ in range(4)
    )
    best, status, finished = None, "finished", epochs
    for epoch in range(epochs):
        before = w.copy(), running.copy()
        shuffled = shuffle and len(edges) > 2
        order = reference.row_order(shuffle_seed, epoch, n) if shuffled else np.arange(n)
        uniforms = [
            _uniform(seed, epoch, k, n, widths[k], dtype) if p > 0 else None
            for k, p in enumerate(rates)
        ]
        rate = number(watch.learning_rate(epoch, n))
        total = whole = number(0)
        hits = np.zeros(widths[-1] if score == "residuals" else 1, dtype)
        for start, stop in pairwise(edges):
            rows = order[start:stop]
            mine = [u if u is None else u[start:stop] for u in uniforms]
            passed = _forward(X[rows], layers, activation, output, mine, rates)
            own = of_rows[rows] if len(of_rows) else of_rows
            weight = number(parts.batch_weight(own) if len(own) else len(rows))
            whole = whole + weight
            a = passed.values[-1]
            total = total + parts.batch_loss(passed.z, a, y[rows], *loss, own)
            if score is not None:
                hits = hits + parts.batch_scores(a, y[rows], parts.SCORES.index(score), own)
            _backward(passed, y[rows], layers, into, loss, limit, own)
            factor = number(1)
            if reduction == "mean":
                factor = number(1) / weight if weight > 0 else number(0)
            steps.step(w, g, factor, rate)
        if not (np.isfinite(w).all() and np.isfinite(running).all()):
            w[:], running[:] = before
            status, finished = "diverged", epoch
            break
        mean, val_loss = _canonical(total / whole), number(np.nan)
        scored = _score(hits, whole, score, variation)
        if validation is not None:
            val_loss, scored = _evaluated(
                layers, *val_rows, activation, output, loss, score, variation
            )
        if epoch in recorded:
            k = recorded.index(epoch)
            losses[k], val_losses[k], learning_rates[k] = mean, val_loss, rate
            scores[k] = np.nan if scored is None else scored
        lower, stops = watch.look(mean if validation is None else val_loss)
        if lower:
            best = w.copy(), running.copy()
        if stops:
            status, finished = "stopped", epoch + 1
            break
    if patience is not None and best is not None:
        w[:], running[:] = best
    return Trained(
        [np.ascontiguousarray(layer.weights.T) for layer in layers],
        None if biases is None else [layer.biases for layer in layers],
        losses, status, finished, val_losses, None if score is None else scores, learning_rates,
        [layer[2:] for layer in layers[:-1]] if batch_norm and layers[1:] else None,
    )  # fmt: skip


def start_of(settings, inputs, units):
    """Initial (weights, biases or None) of the net with these settings, by the reference."""
    widths = (inputs, *settings["hidden"], units)
    weights, biases = reference.initial_weights(
        widths, settings["init"], settings["seed"], settings["dtype"], settings["activation"]
    )
    return weights, biases if settings["bias"] else None


def train_as(settings, X, y, start=None, *, row_weights=None, validation=None, **more):
    """Train the net with all these settings, as `Model.settings` has them. y : (n, O).

    The rows' weights and the validation rows are those of `train`, not of the settings; so is what
    else there is (score, variation).
    """
    X, y = np.asarray(X, settings["dtype"]), np.asarray(y, settings["dtype"])
    own = settings["shuffle_seed"]
    return train(
        X, y, *(start or start_of(settings, X.shape[1], y.shape[1])),
        shuffle_seed=settings["seed"] if own is None else own,
        row_weights=row_weights, validation=validation, **more,
        **{name: settings[name] for name in _FROM_SETTINGS},
    )  # fmt: skip


# ------------------------------------------------------------------------- data, and comparing bits


def problem(n, inputs, outputs, dtype, seed=0):
    """X (n, I), y (n, O) that suits every output and loss: each row of y is a distribution."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, inputs))
    y = generator.dirichlet(np.ones(outputs), n) if outputs > 1 else generator.uniform(size=(n, 1))
    return X.astype(dtype), y.astype(dtype)


def bits(array):
    """The bits of an array of floats, as integers: NaN equals itself, -0 is not +0."""
    array = np.ascontiguousarray(array)
    return array.view(f"u{array.itemsize}")


def same_bits(a, b):
    """Whether two arrays, or two lists of arrays, have the same dtype, shape and bits."""
    if a is None or b is None:
        return a is b
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same_bits, a, b))
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(bits(a), bits(b))


_IN_HISTORY = {
    "loss": "losses",
    "val_loss": "val_losses",
    "score": "scores",
    "learning_rate": "learning_rates",
}


def assert_same_bits(model, trained, told=""):
    """A Model has every bit of what the oracle (or another Model) says."""
    by_oracle = isinstance(trained, Trained)
    assert same_bits(model.weights, trained.weights), f"weights {told}"
    assert same_bits(model.biases, trained.biases), f"biases {told}"
    norms = trained.batch_norms if by_oracle else getattr(trained, "batch_norm", None)
    assert same_bits(getattr(model, "batch_norm", None), norms), f"batch_norm {told}"
    for name, its in _IN_HISTORY.items():
        found = getattr(model.history, name, None)
        right = getattr(trained, its) if by_oracle else getattr(trained.history, name, None)
        if found is not None and right is not None:  # the oracle may not know how to score
            assert same_bits(found, right), f"history.{name} {told}"
    assert model.status == trained.status, told
