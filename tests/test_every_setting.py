"""Nets with every setting switched on, against the scalar oracle: every bit they have."""

import numpy as np
import oracle
import pytest

import shoal
from shoal.inputs.sample_weights import row_weights, split_rows
from shoal.inputs.settings import ACTIVATIONS, OPTIMIZERS, SCHEDULES
from shoal.running.scores import variation

pytestmark = pytest.mark.kernels

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

PAIRS = (
    *((output, loss) for output in ("identity", "sigmoid", "softmax", "exp")
      for loss in ("squared_error", "absolute_error", "huber", "quantile")),
    ("sigmoid", "cross_entropy"),
    ("softmax", "cross_entropy"),
    ("exp", "poisson"),
)  # fmt: skip


def right(model, X, y, *, sample_weight=None, validation=None):
    """What the oracle says of a net of numbers."""
    settings, target = model.settings, model.target
    fraction = settings["validation"]
    weights = row_weights(target, y, settings["class_weight"], sample_weight)
    scored = (y, weights)
    given = None
    if fraction is not None:
        training, other = split_rows(target, y, fraction, len(X))
        of_other = None if sample_weight is None else sample_weight[other]
        given = (X[other], y[other], of_other)
        X, y = X[training], y[training]
        weights = None if weights is None else weights[training]
    elif validation is not None:
        given = (*validation, None)
    scored = (y, weights) if given is None else given[1:]
    return oracle.train_as(
        settings, X, y, row_weights=weights, validation=given, score="residuals",
        variation=variation(scored[0], scored[1]),
    )  # fmt: skip


def check(X, y, grid, *, sample_weight=None, validation=None, **settings):
    """Every net of a sweep has the oracle's bits."""
    grid = [grid] if isinstance(grid, dict) else list(grid)
    varied = set().union(*grid)
    given = {k: v for k, v in {"epochs": 5, "hidden": 6}.items() if k not in varied} | settings
    sweep = shoal.sweep(
        X, y, grid, progress=False, sample_weight=sample_weight,
        validation=given.pop("validation", validation), **given,
    )  # fmt: skip
    for i, model in enumerate(sweep):
        expected = right(model, X, y, sample_weight=sample_weight, validation=validation)
        oracle.assert_same_bits(model, expected, f"of net {i}: {model.settings}")
        assert sweep.results["epochs"][i] == expected.epochs
    return sweep


def random_net(generator, rows):
    """Settings that have nothing in common."""

    def pick(*values):
        return values[generator.integers(len(values))]

    def maybe(value, otherwise, chance=0.3):
        return value if generator.random() < chance else otherwise

    def uniform(low, high):
        return float(generator.uniform(low, high))

    hidden = tuple(generator.integers(1, pick(3, 6, 12), generator.integers(4)).tolist())
    output, loss = pick(*PAIRS)
    batch_size = pick(3, 16, 40, 64, 130, 256, 290, None)
    optimizer = pick(*OPTIMIZERS)
    if optimizer == "rprop":
        batch_size = None
    batch_norm = pick(True, False)
    if batch_norm and batch_size and rows % batch_size == 1:
        batch_size = None
    dropout = maybe(uniform(0.05, 0.7), 0.0, 0.5)
    if generator.random() < 0.2:
        dropout = tuple(maybe(uniform(0.05, 0.7), 0.0, 0.5) for _ in range(len(hidden) + 1))
    settings = {
        "hidden": hidden,
        "activation": tuple(pick(*ACTIVATIONS) for _ in hidden),
        "output": output,
        "loss": loss,
        "huber_delta": uniform(0.1, 2),
        "quantile": uniform(0.1, 0.9),
        "bias": pick(True, True, False),
        "init": pick("auto", "uniform", "he_uniform"),
        "seed": int(generator.integers(2**64, dtype=np.uint64)),
        "shuffle_seed": pick(None, 1),
        "epochs": pick(1, 3, 6, 7),
        "batch_size": batch_size,
        "shuffle": pick(True, True, False),
        "reduction": pick("mean", "mean", "sum"),
        "optimizer": optimizer,
        "learning_rate": 10 ** uniform(-4, pick(0, 0, 0, 20)),
        "schedule": "constant" if optimizer == "rprop" else pick("constant", *SCHEDULES),
        "warmup_epochs": 0 if optimizer == "rprop" else maybe(2, 0),
        "step_size": pick(1, 2, 3),
        "gamma": uniform(0.3, 1),
        "power": uniform(0, 2),
        "rho": uniform(0.1, 0.99),
        "beta_1": pick(0.9, 0.5),
        "beta_2": pick(0.999, 0.9),
        "epsilon": pick(1e-8, 1e-3),
        "l1": maybe(uniform(0, 0.1), 0.0),
        "l2": maybe(uniform(0, 0.1), 0.0),
        "weight_decay": 0.0 if optimizer in ("adam", "rprop") else maybe(uniform(0, 0.1), 0.0),
        "dropout": dropout,
        "batch_norm": batch_norm,
        "clip_delta": maybe(uniform(0.01, 0.5), None),
        "clip_norm": maybe(uniform(0.01, 1), None),
        "patience": maybe(pick(1, 2, 3), None),
        "tolerance": pick(0.0, 1e-4, 0.01),
    }
    if settings["schedule"] == "cosine":
        settings["min_learning_rate"] = settings["learning_rate"] * uniform(0, 1)
    if optimizer == "sgd":
        settings["momentum"] = maybe(uniform(0.1, 0.99), 0.0, 0.6)
        settings["nesterov"] = settings["momentum"] > 0 and pick(True, False)
    return settings


@dtypes
@pytest.mark.parametrize("how", ["plain", "weighted", "validated", "both", "a pair"])
@pytest.mark.parametrize("rows, inputs, outputs", [(38, 1, 2), (130, 6, 3), (600, 3, 5)])
def test_random_nets(rows, inputs, outputs, how, dtype):
    X, y = oracle.problem(rows, inputs, outputs, dtype)
    generator = np.random.default_rng(rows)
    given = {}
    if how in ("weighted", "both"):
        weights = generator.choice([0.0, 0.3, 1.0, 2.5], rows)
        weights[: rows // 3] = 0  # whole batches of none, where rows are not shuffled
        given["sample_weight"] = weights
    if how in ("validated", "both"):
        given["validation"] = 0.25
    if how == "a pair":
        given["validation"] = oracle.problem(77, inputs, outputs, dtype, seed=1)
    training = rows - round(0.25 * rows) if how in ("validated", "both") else rows
    sweep = check(X, y, (random_net(generator, training) for _ in range(100)), **given)
    assert {"finished", "stopped"} <= set(sweep.results["status"])
