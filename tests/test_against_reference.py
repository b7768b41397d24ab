"""Training through `shoal.sweep` and `shoal.fit` against the reference, in float64."""

from functools import cache

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import OF_LOSS, PAIRS, random_targets

import shoal
from shoal import reference
from shoal.inputs.sample_weights import row_weights, split_rows, take
from shoal.inputs.settings import ACTIVATIONS, INITS, SETTINGS

TOLERANCE = 1e-9  # of an array's largest element

# -------------------------------------------------------------------------- a net, by the reference

_OTHERWISE = (
    "hidden", "activation", "bias", "init", "batch_norm", "class_weight", "validation",
    "record_every", "dtype", "shuffle_seed",
)  # fmt: skip
_TAKEN = [name for name in SETTINGS if name not in _OTHERWISE]
_HISTORY = {
    "epoch": "recorded",
    "loss": "losses",
    "val_loss": "val_losses",
    "score": "scores",
    "learning_rate": "learning_rates",
}


def by_reference(model, X, y, sample_weight=None, validation=None, moved=0.0):
    """What the reference makes of a model's settings: its history and all arrays, by name."""
    told, target = model.settings, model.target
    units = model.weights[-1].shape[1]

    def encoded(some):
        return target.encode(some, units, "float64", told["loss"], told["output"])

    weights_of_rows = row_weights(target, y, told["class_weight"], sample_weight)
    other = None if validation is None else (validation[0], encoded(validation[1]), None)
    if told["validation"] is not None:
        training, rows = split_rows(target, y, told["validation"], len(X))
        of_rows = None if sample_weight is None else sample_weight[rows]
        other = (X[rows], encoded(take(y, rows)), of_rows)
        X, y = X[training], take(y, training)
        if sample_weight is not None:
            sample_weight = sample_weight[training]
        weights_of_rows = row_weights(target, y, told["class_weight"], sample_weight)
    weights, biases = oracle.start_of(told, X.shape[1], units)
    for w in weights:
        w *= 1 + moved * np.cos(np.arange(w.size)).reshape(w.shape)
    norms = None
    if told["batch_norm"] and told["hidden"]:
        norms = [reference.BatchNorm.start(count) for count in told["hidden"]]
    sides = target.kind != "labels" and told["output"] != "softmax" or units == 1
    kind = "r2" if target.kind == "numbers" else "sides" if sides else "largest"
    history = reference.train(
        X, encoded(y), weights, biases, activations=told["activation"], batch_norms=norms,
        row_weights=weights_of_rows, validation=other, score=kind,
        shuffle_seed=told["shuffle_seed"],
        record_every=told["record_every"] or max(1, -(-told["epochs"] // 100)),
        **{name: told[name] for name in _TAKEN},
    )  # fmt: skip
    return history, _named(weights, biases, norms)


def _named(weights, biases, norms):
    named = {f"weights[{k}]": w for k, w in enumerate(weights)}
    named |= {f"biases[{k}]": b for k, b in enumerate(biases or ())}
    for k, norm in enumerate(norms or ()):
        told = ("scale", "shift", "mean", "variance")
        named |= {f"{name} of norm {k}": getattr(norm, name) for name in told}
    return named


def size_of(name, arrays):
    """What an array's errors are relative to: its largest element."""
    k = name.partition("[")[2][:-1]
    if name.startswith("biases") and f"scale of norm {k}" in arrays:
        # Batch norm takes them away again: their gradients are 0, they themselves rounding errors
        return max(np.abs(arrays[f"weights[{k}]"]).max(), np.abs(arrays[name]).max())
    return np.abs(arrays[name]).max()


def assert_close(found, right, size, told):
    assert found.shape == right.shape, told
    assert np.array_equal(np.isnan(found), np.isnan(right)), told
    wrong = np.nanmax(np.abs(found - right), initial=0)
    assert wrong <= TOLERANCE * size, f"{told}: {wrong / size:.1e}"


def assert_follows(model, X, y, **rows):
    """A model has all that the reference says; its history and arrays."""
    history, right = by_reference(model, X, y, **rows)
    told = f"of {model.settings}"
    assert (model.status, model.results["epochs"]) == (history.status, history.epochs), told
    for name, there in _HISTORY.items():
        values = getattr(history, there)
        found = getattr(model.history, name)
        assert_close(found, values, np.nanmax(np.abs(values), initial=1e-300), f"{name} {told}")
    found = _named(model.weights, model.biases, model.batch_norm)
    assert list(found) == list(right), told
    for name, array in right.items():
        assert_close(found[name], array, size_of(name, right), f"{name} {told}")
    return history, right


def is_unstable(model, X, y, **rows):
    """Whether the reference itself ends elsewhere where its start moves by a rounding."""
    history, right = by_reference(model, X, y, **rows)
    again, moved = by_reference(model, X, y, **rows, moved=4e-16)
    if (history.status, history.epochs) != (again.status, again.epochs):
        return True
    pairs = [(getattr(history, name), getattr(again, name)) for name in _HISTORY.values()]
    pairs += [(right[name], moved[name]) for name in right]
    return any(
        np.nanmax(np.abs(a - b), initial=0) > TOLERANCE / 10 * np.nanmax(np.abs(a), initial=1e-300)
        for a, b in pairs
    )


# ------------------------------------------------------------------------------- each setting alone

N, I, O = 23, 3, 2
BASE = {
    "hidden": (5, 4),
    "activation": "tanh",
    "epochs": 34,  # of 3 steps, the last one of 7 rows
    "batch_size": 8,
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "seed": 5,
}
SGD = {"optimizer": "sgd"}
_FULL = {"batch_size": None, "epochs": 100}
_EARLY = {"patience": 2, "learning_rate": 0.3, "epochs": 60}

ALONE = {
    **{
        f"{loss} of {output}": {"loss": loss, "output": output, **OF_LOSS}
        for output, loss in PAIRS
    },
    **{f"activation {name}": {"activation": name} for name in ACTIVATIONS if name != "tanh"},
    "activations": {"activation": ("sigmoid", "silu")},
    **{f"init {name}": {"init": name} for name in INITS if name not in ("auto", "glorot_uniform")},
    "no bias": {"bias": False},
    "no hidden layer": {"hidden": ()},
    "one hidden layer": {"hidden": 7},
    "three hidden layers": {"hidden": (3, 1, 6)},
    "seed": {"seed": 2**64 - 1},
    "shuffle seed": {"shuffle_seed": 7},
    "no shuffle": {"shuffle": False},
    "no epochs": {"epochs": 0},
    "one epoch": {"epochs": 1},
    "batches of one row": {"batch_size": 1, "epochs": 5},
    "full batch": _FULL,
    "more than all rows": {**_FULL, "batch_size": 1000},
    "sum": {"reduction": "sum", "learning_rate": 0.02},
    "sum of a full batch": {**_FULL, "reduction": "sum", "learning_rate": 0.01},
    "sgd of rate 0": {"learning_rate": 0.0},
    "momentum": {"momentum": 0.8},
    "nesterov": {"momentum": 0.8, "nesterov": True},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": 0.01},
    "rmsprop, rho": {"optimizer": "rmsprop", "learning_rate": 0.01, "rho": 0.6, "epsilon": 1e-3},
    "adagrad": {"optimizer": "adagrad"},
    "adagrad, epsilon": {"optimizer": "adagrad", "epsilon": 0.1},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "adam, betas": {"optimizer": "adam", "learning_rate": 0.01, "beta_1": 0.7, "beta_2": 0.95},
    "adam, betas 0": {"optimizer": "adam", "learning_rate": 0.01, "beta_1": 0.0, "beta_2": 0.0},
    "adam, epsilon": {"optimizer": "adam", "learning_rate": 0.01, "epsilon": 0.1},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.01},
    "adamw, decay": {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.5},
    "rprop": {"optimizer": "rprop", **_FULL},
    "rprop, small steps": {"optimizer": "rprop", **_FULL, "learning_rate": 1e-4, "epochs": 40},
    "rprop, large steps": {"optimizer": "rprop", **_FULL, "learning_rate": 60.0, "epochs": 40},
    "rprop, batch norm": {"optimizer": "rprop", **_FULL, "batch_norm": True, "bias": False},
    "step": {"schedule": "step"},
    "step, others": {"schedule": "step", "step_size": 3, "gamma": 0.7},
    "exponential": {"schedule": "exponential"},
    "exponential, gamma": {"schedule": "exponential", "gamma": 0.99},
    "cosine": {"schedule": "cosine"},
    "cosine, minimum": {"schedule": "cosine", "min_learning_rate": 0.02, "warmup_epochs": 3},
    "cosine, all warm-up": {"schedule": "cosine", "warmup_epochs": 40},
    "invscaling": {"schedule": "invscaling"},
    "invscaling, power": {"schedule": "invscaling", "power": 0.2},
    "adaptive": {"schedule": "adaptive", "learning_rate": 0.8},
    "adaptive, tolerance": {"schedule": "adaptive", "tolerance": 0.003},
    "adaptive, validated": {"schedule": "adaptive", "validation": 0.3},
    "warm-up": {"warmup_epochs": 5},
    "warm-up, step": {"warmup_epochs": 5, "schedule": "step", "step_size": 2},
    "warm-up, adaptive": {"warmup_epochs": 9, "schedule": "adaptive", "tolerance": 0.01},
    "l1": {"l1": 0.01},
    "l2": {"l2": 0.1},
    "l1 and l2": {"l1": 0.01, "l2": 0.1, "optimizer": "adam", "learning_rate": 0.01},
    "l2 of a sum": {"l2": 0.5, "reduction": "sum", "learning_rate": 0.02},
    "weight decay": {"weight_decay": 0.2},
    "weight decay, rmsprop": {"weight_decay": 0.2, "optimizer": "rmsprop", "learning_rate": 0.01},
    "weight decay, adagrad": {"weight_decay": 0.2, "optimizer": "adagrad"},
    "dropout": {"dropout": 0.3},
    "dropout of inputs": {"dropout": (0.4, 0.0, 0.0)},
    "dropout of all": {"dropout": (0.2, 0.1, 0.6)},
    "dropout of inputs alone": {"dropout": (0.5,), "hidden": ()},
    "dropout, full batch": {"dropout": (0.2, 0.1, 0.6), **_FULL},
    "dropout, in place": {"dropout": (0.2, 0.1, 0.6), "shuffle": False},
    **{
        f"dropout, {name}": {"dropout": (0.2, 0.1, 0.3), "activation": name}
        for name in ACTIVATIONS
    },
    "batch norm": {"batch_norm": True},
    "batch norm, no bias": {"batch_norm": True, "bias": False},
    "batch norm, adam": {"batch_norm": True, "bias": False, "optimizer": "adam"},
    "batch norm, full batch": {"batch_norm": True, **_FULL},
    # (a shift that meets another batch norm with nothing in between has a gradient of 0)
    **{
        f"batch norm, {name}": {"batch_norm": True, "activation": ("tanh", name)}
        for name in ACTIVATIONS
        if name != "tanh"
    },
    "batch norm and dropout": {"batch_norm": True, "dropout": (0.1, 0.2, 0.3)},
    "batch norm, validated": {"batch_norm": True, "validation": 0.3},
    "batch norm, no hidden layer": {"batch_norm": True, "hidden": ()},
    "clip delta": {"clip_delta": 0.05},
    "clip delta, batch norm": {"clip_delta": 0.05, "batch_norm": True},
    "clip delta, dropout": {"clip_delta": 0.05, "dropout": 0.4},
    "clip norm": {"clip_norm": 0.1},
    "clip norm, no bias": {"clip_norm": 0.1, "bias": False},
    "clip norm, batch norm": {"clip_norm": 0.1, "batch_norm": True},
    "clip norm, penalties": {"clip_norm": 0.1, "l1": 0.01, "l2": 0.1, "weight_decay": 0.1},
    "clip norm of a sum": {"clip_norm": 0.1, "reduction": "sum"},
    "validation": {"validation": 0.3},
    "patience": {**_EARLY},
    "patience, tolerance": {**_EARLY, "tolerance": 0.002},
    "patience, no tolerance": {**_EARLY, "tolerance": 0.0},
    "patience, validated": {**_EARLY, "validation": 0.3},
    "patience, adaptive": {**_EARLY, "patience": 5, "schedule": "adaptive"},
    "patience, batch norm": {**_EARLY, "batch_norm": True, "validation": 0.3},
    "patience, never reached": {"patience": 30, "learning_rate": 0.3},
    "patience, cosine": {**_EARLY, "schedule": "cosine"},
    "record every": {"record_every": 7},
    "records of many epochs": {"epochs": 230, "batch_size": None},
}  # fmt: skip


@cache
def numbers(output="identity", loss="squared_error"):
    generator = np.random.default_rng(3)
    return generator.normal(size=(N, I)), random_targets(generator, N, O, output, loss)


def everything(model):
    return [*model.weights, *(getattr(model.history, name) for name in _HISTORY)]


@cache
def base():
    return everything(shoal.fit(*numbers(), **BASE))


@pytest.mark.parametrize("name", ALONE)
def test_a_setting_alone(name):
    told = {**BASE, **ALONE[name]}
    X, y = numbers(told.get("output", "identity"), told.get("loss", "squared_error"))
    model = shoal.fit(X, y, **told)
    assert_follows(model, X, y)
    same = [a.shape == b.shape for a, b in zip(everything(model), base(), strict=False)]
    if all(same) and name != "squared_error of identity":  # it is no option that does nothing
        pairs_of = zip(everything(model), base(), strict=True)
        assert not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs_of)


def test_outcomes_of_patience():
    """The cases above are of both kinds: nets that stop, and nets that do not."""
    found = {
        name: shoal.fit(*numbers(), **{**BASE, **told}).status
        for name, told in ALONE.items()
        if "patience" in told
    }
    assert found["patience, never reached"] == "finished"
    assert list(found.values()).count("stopped") >= 4


# ------------------------------------------------------------------------- rows and what they count

GENERATOR = np.random.default_rng(8)
ROWS = {
    "numbers": GENERATOR.normal(size=(N, O)),
    "flat numbers": GENERATOR.normal(size=N),
    "one number, the same": np.full(N, 2.0),
    "two labels": np.where(GENERATOR.random(N) < 0.4, "yes", "no"),
    "three labels": GENERATOR.integers(5, 8, N),
    "many outputs of yes and no": (GENERATOR.random((N, 3)) < 0.5).astype(int),
    "one of three": np.eye(3, dtype=int)[GENERATOR.integers(0, 3, N)],  # needs a softmax
}
COUNTS = {
    "weights": GENERATOR.choice([0.0, 0.5, 1.0, 3.0], N),
    "whole numbers": GENERATOR.integers(0, 3, N).astype(float),
    "a batch of none": np.where(np.arange(N) < 9, 0.0, 1.5),
}
PAIR = GENERATOR.normal(size=(70, I))


def validation_of(y):
    """Other rows, whose y are of the same kind."""
    return PAIR, np.resize(y, (70, *y.shape[1:]))[::-1].copy()


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("counts", [None, *COUNTS])
def test_rows(kind, counts):
    """Weights of rows and validation rows, of each kind of target, with each way to score."""
    X, y = numbers()[0], ROWS[kind]
    sample_weight = None if counts is None else COUNTS[counts]
    ways = [{}, {"reduction": "sum"}, {"batch_size": None}, {"shuffle": False}]
    ways += [{"clip_delta": 0.1}, {"batch_norm": True}, {"clip_norm": 0.05}, {"l2": 0.1}]
    ways += [{"dropout": (0.1, 0.2, 0.3), "batch_norm": True, "clip_delta": 0.1}]
    if kind.endswith("labels"):
        ways += [{"class_weight": "balanced"}, {"class_weight": "balanced", "reduction": "sum"}]
        some = y[0].item()
        ways += [{"class_weight": {some: 3.0}}, {"class_weight": {some: 0.0}, "shuffle": False}]
        ways += [{"output": "softmax"}, {"output": "sigmoid"}, {"loss": "squared_error"}]
    for way in ways:
        for validation in (None, 0.3, validation_of(y)):
            more = {} if validation is None else {"validation": validation}
            output = "softmax" if kind == "one of three" else "auto"
            model = shoal.fit(
                X, y, sample_weight=sample_weight,
                **{**BASE, "learning_rate": 0.02, "epochs": 7, "output": output, **way, **more},
            )  # fmt: skip
            pair = validation if isinstance(validation, tuple) else None
            assert_follows(model, X, y, sample_weight=sample_weight, validation=pair)


# ---------------------------------------------------------------------------- random combinations

# Ranges in which rounding does not grow: what has a gradient of 0 but for rounding (biases before a
# batch norm, their size if they have but one input) is no food for optimizers that divide by its
# size or look at its sign alone; no normalised batch is tiny; an improvement is more than rounding.


def numbers_from(low, high):
    return st.integers(0, 1000).map(lambda k: low + (high - low) * k / 1000)


def or_none(strategy, none=None):
    return st.one_of(st.just(none), strategy)


KINDS = ("numbers", "numbers", "two labels", "three labels", "many outputs of yes and no")
RATES = {"sgd": (1e-3, 0.05), "adagrad": (1e-3, 0.05), "rprop": (1e-4, 0.05)}
LABEL_PAIRS = [
    (output, loss)
    for output, loss in PAIRS
    if output in ("sigmoid", "softmax") and loss in ("squared_error", "cross_entropy")
]


@st.composite
def nets(draw, rows, kind):
    """Settings that have nothing in common, for rows of a kind."""
    pick = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    hidden = tuple(draw(st.lists(st.integers(1, 6), max_size=3)))
    possible = PAIRS if kind == "numbers" else LABEL_PAIRS
    if kind.startswith("many"):
        possible = [pair for pair in LABEL_PAIRS if pair[0] == "sigmoid"]
    output, loss = draw(st.sampled_from(possible))
    optimizer = pick("sgd", "sgd", "rmsprop", "adagrad", "adam", "adamw", "rprop")
    batch_norm = optimizer != "rprop" and pick(False, True)
    batch_size = None if optimizer == "rprop" else pick(None, 5, 7, 8, 12, 100)
    if batch_norm and batch_size and rows % batch_size in (1, 2, 3):
        batch_size = 12 if rows % 12 > 3 else None
    if not batch_norm and optimizer != "rprop":
        batch_size = pick(batch_size, 1)
    batches = -(-rows // min(batch_size or rows, rows))
    rate = draw(numbers_from(*RATES.get(optimizer, (1e-4, 0.005))))
    told = {
        "hidden": hidden,
        "activation": tuple(pick(*ACTIVATIONS[: -1 if batch_norm else None]) for _ in hidden),
        "output": output,
        "loss": loss,
        "huber_delta": draw(numbers_from(0.1, 2)),
        "quantile": draw(numbers_from(0.1, 0.9)),
        "bias": not (batch_norm and optimizer != "sgd") and pick(True, True, False),
        "init": pick(*INITS),
        "seed": draw(st.integers(0, 2**64 - 1)),
        "shuffle_seed": pick(None, 1, 2),
        "shuffle": pick(True, True, False),
        "epochs": -(-100 // batches) - draw(st.integers(0, 2)),
        "batch_size": batch_size,
        "reduction": pick("mean", "sum"),
        "optimizer": optimizer,
        "learning_rate": rate,
        "rho": draw(numbers_from(0.5, 0.99)),
        "beta_1": draw(numbers_from(0, 0.95)),
        "beta_2": draw(numbers_from(0.9, 0.999)),
        "epsilon": pick(1e-8, 1e-4),
        "l1": draw(or_none(numbers_from(0, 0.01), 0.0)),
        "l2": draw(or_none(numbers_from(0, 0.05), 0.0)),
        "dropout": draw(or_none(numbers_from(0, 0.6), 0.0)),
        "batch_norm": batch_norm,
        "clip_delta": draw(or_none(numbers_from(0.02, 1))),
        "clip_norm": draw(or_none(numbers_from(0.05, 2))),
        "patience": draw(or_none(st.integers(2, 20))),
        "tolerance": draw(numbers_from(1e-6, 0.01)),
    }
    if pick(False, True):
        told["dropout"] = tuple(
            draw(or_none(numbers_from(0, 0.6), 0.0)) for _ in range(len(hidden) + 1)
        )
    if told["reduction"] == "sum" and optimizer == "sgd":
        told["learning_rate"] /= min(batch_size or rows, rows)
    if optimizer == "sgd":
        told["momentum"] = draw(or_none(numbers_from(0.1, 0.9), 0.0))
        told["nesterov"] = told["momentum"] > 0 and pick(True, False)
    if optimizer not in ("adam", "rprop"):
        told["weight_decay"] = draw(or_none(numbers_from(0, 0.1), 0.0))
    if optimizer != "rprop":
        told |= {
            "schedule": pick("constant", "step", "exponential", "cosine", "invscaling", "adaptive"),
            "warmup_epochs": pick(0, 0, 3),
            "step_size": draw(st.integers(1, 12)),
            "gamma": draw(numbers_from(0.5, 1)),
            "min_learning_rate": told["learning_rate"] * draw(numbers_from(0, 1)),
            "power": draw(numbers_from(0, 1)),
        }
    if kind == "three labels":
        told["class_weight"] = pick(None, "balanced", {6: 2.5})
    return told


@st.composite
def sweeps(draw):
    """Rows, and what is trained on them."""
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    kind = draw(st.sampled_from(KINDS))
    n = draw(st.sampled_from([16, 24, 37]))
    X, y = oracle.problem(n, draw(st.integers(1, 4)), 3, "float64", seed=n)
    if kind != "numbers":
        y = np.resize(ROWS[kind], (n, *ROWS[kind].shape[1:]))
    counts = None
    if draw(st.booleans()):
        counts = generator.choice([0.5, 1.0, 2.0] if "labels" in kind else [0.0, 0.5, 2.0], n)
    validation, rows = draw(st.sampled_from([None, 0.25, "a pair"])), n
    if validation == 0.25:
        rows = n - round(0.25 * n)
    elif validation is not None:
        validation = generator.normal(size=(19, X.shape[1])), np.resize(y, (19, *y.shape[1:]))
    grid = [draw(nets(rows, kind)) for _ in range(5)]
    return X, y, grid, counts, validation


@settings(max_examples=64, derandomize=True, database=None)
@given(sweeps())
def test_random_combinations(drawn):
    """320 nets, whose settings have nothing in common.

    Hypothesis draws other ones where other modules are loaded: there may be some in them whose
    gradients are rounding errors that the optimizer makes steps of.
    """
    X, y, grid, counts, validation = drawn
    swept = shoal.sweep(X, y, grid, sample_weight=counts, validation=validation, record_every=1)
    pair = validation if isinstance(validation, tuple) else None
    for model in swept:
        try:
            assert_follows(model, X, y, sample_weight=counts, validation=pair)
        except AssertionError:
            if not is_unstable(model, X, y, sample_weight=counts, validation=pair):
                raise


# -------------------------------------------------------------- lanes that differ in every scalar

OPTIMIZERS = {
    "sgd": {"optimizer": "sgd"},
    "momentum": {"optimizer": "sgd", "momentum": (0.3, 0.9)},
    "nesterov": {"optimizer": "sgd", "momentum": (0.3, 0.9), "nesterov": True},
    "rmsprop": {"optimizer": "rmsprop", "rho": (0.5, 0.95)},
    "adagrad": {"optimizer": "adagrad"},
    "adam": {"optimizer": "adam", "beta_1": (0.5, 0.95), "beta_2": (0.9, 0.999)},
    "adamw": {"optimizer": "adamw", "beta_1": (0.5, 0.95), "beta_2": (0.9, 0.999)},
    "rprop": {"optimizer": "rprop", "batch_size": None},
}
SCHEDULES = ("step", "exponential", "cosine", "invscaling")
ORDERS = {
    "own order": {},
    "shared order": {"shuffle_seed": 3},
    "in place": {"shuffle": False},
    "full batch": {"batch_size": None},
}
COUNT = 11  # more than a group


def lanes(optimizer, schedules, generator):
    """Nets of one architecture, no scalar of which is that of another."""

    def spread(low, high):
        return generator.permutation(np.linspace(low, high, COUNT)).tolist()

    low, high = RATES.get(OPTIMIZERS[optimizer]["optimizer"], (1e-4, 0.01))
    columns = {
        "learning_rate": spread(low, high),
        "seed": generator.integers(2**64, size=COUNT, dtype=np.uint64).tolist(),
        "epochs": (31 + generator.permutation(COUNT)).tolist(),
        "patience": (2 + generator.permutation(COUNT)).tolist(),
        "tolerance": spread(0.0, 0.01),
        "l1": spread(1e-5, 0.005),
        "l2": spread(1e-5, 0.02),
        "clip_delta": spread(0.1, 1),
        "clip_norm": spread(0.1, 2),
        "epsilon": spread(1e-6, 1e-3),
        "dropout": list(zip(spread(0.05, 0.5), spread(0.1, 0.6), spread(0.05, 0.4), strict=True)),
        "huber_delta": spread(0.1, 2),
        "quantile": spread(0.1, 0.9),
        **{k: spread(*v) for k, v in OPTIMIZERS[optimizer].items() if isinstance(v, tuple)},
    }
    if optimizer != "rprop":
        columns |= {
            "schedule": [schedules[k % len(schedules)] for k in range(COUNT)],
            "warmup_epochs": (1 + generator.permutation(COUNT) % 9).tolist(),
            "step_size": (1 + generator.permutation(COUNT)).tolist(),
            "gamma": spread(0.6, 0.99),
            "min_learning_rate": spread(0, low),
            "power": spread(0, 1),
        }
    if optimizer not in ("adam", "rprop"):
        columns["weight_decay"] = spread(0.01, 0.3)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedules", [SCHEDULES, ("adaptive",)], ids=["mixed", "adaptive"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_lanes_that_differ_in_every_scalar(optimizer, schedules, batch_norm):
    k = list(OPTIMIZERS).index(optimizer) + batch_norm
    fixed = {k: v for k, v in OPTIMIZERS[optimizer].items() if not isinstance(v, tuple)}
    order = list(ORDERS.values())[(k + len(schedules)) % 4]
    generator = np.random.default_rng(k)
    X, y = oracle.problem(24, 3, 2, "float64")
    counts = generator.choice([0.0, 0.5, 1.0, 2.0], 24)
    pair = oracle.problem(19, 3, 2, "float64", seed=1) if batch_norm else None
    sweep = shoal.sweep(
        X, y, lanes(optimizer, schedules, generator), sample_weight=counts, record_every=1,
        validation=pair or 0.25, hidden=(5, 4), activation="tanh", bias=not batch_norm,
        batch_norm=batch_norm, loss=("huber", "quantile")[k % 2],
        **{"batch_size": 8, **order, **fixed},
    )  # fmt: skip
    assert len(sweep._run.plan.blocks) == 1
    for model in sweep:
        assert_follows(model, X, y, sample_weight=counts, validation=pair)
    assert len(set(sweep.results["epochs"])) > 5
