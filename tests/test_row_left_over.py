"""Batch norm where a single row would be left over: it joins the batch before."""

import numpy as np
import oracle
import pytest

import shoal
from shoal import reference

pytestmark = pytest.mark.kernels

# rows, batch size. Gradients are summed in blocks of 256 rows.
SIZES = [(9, 4), (33, 32), (33, 16), (65, 64), (129, 64), (257, 256), (513, 256), (601, 300)]
ORDERS = {
    "in place": {"shuffle": False},
    "in one order": {"shuffle_seed": 3},
    "in their own": {},
}
SETTINGS = {
    "hidden": (5, 4), "activation": "tanh", "epochs": 4, "optimizer": "adam", "learning_rate": 0.01,
    "dropout": 0.2, "record_every": 1, "batch_norm": True,
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("rows", "batch_size"), SIZES)
def test_bits_are_those_of_the_oracle_in_any_lanes(rows, batch_size, order, dtype):
    X, y = oracle.problem(rows, 3, 2, dtype)
    settings = {**SETTINGS, **ORDERS[order], "batch_size": batch_size}
    expected = None
    for nets in (1, 20):  # rows in lanes, and where it is cheaper nets in lanes
        sweep = shoal.sweep(X, y, {"seed": range(nets)}, **settings)
        expected = expected or oracle.train_as(sweep[0].settings, X, y)
        oracle.assert_same_bits(sweep[0], expected, f"{nets} nets")
    if (rows, order) == (601, "in place"):
        wide = {**settings, "hidden": (64, 64)}  # wide enough for several threads
        alone, shared = (shoal.fit(X, y, threads=threads, **wide) for threads in (1, 2))
        oracle.assert_same_bits(shared, alone)


@pytest.mark.parametrize(("rows", "batch_size"), SIZES)
def test_the_reference_says_the_same(rows, batch_size):
    batches = reference.training.batches_of(rows, batch_size, batch_norm=True)
    lengths = np.diff(batches).ravel()
    assert lengths.sum() == rows and lengths[-1] == batch_size + 1
    assert set(lengths[:-1]) <= {batch_size}
    X, y = oracle.problem(rows, 3, 2, "float64")
    settings = {"batch_size": batch_size, "optimizer": "sgd", "activation": "tanh", "epochs": 4}
    model = shoal.fit(X, y, hidden=(5, 4), batch_norm=True, bias=False, seed=1, **settings)
    weights, _ = oracle.start_of(model.settings, 3, 2)
    norms = [reference.BatchNorm.start(units) for units in (5, 4)]
    settings["activations"] = settings.pop("activation")
    history = reference.train(
        X, y, weights, batch_norms=norms, seed=1, learning_rate=model.settings["learning_rate"],
        output="identity", reduction="mean", shuffle=True, **settings,
    )  # fmt: skip
    np.testing.assert_allclose(model.history.loss, history.losses, rtol=1e-9)
    for found, right in zip(model.weights, weights, strict=True):
        np.testing.assert_allclose(found, right, atol=1e-9)
    for found, norm in zip(model.batch_norm, norms, strict=True):
        np.testing.assert_allclose(found.variance, norm.variance, rtol=1e-9)


def test_one_batch_of_all_rows_is_not_shuffled():
    X, y = oracle.problem(33, 3, 2, "float64")
    joined, whole = (
        shoal.fit(X, y, **SETTINGS | {"batch_size": batch_size}) for batch_size in (32, None)
    )
    assert oracle.same_bits(joined.weights, whole.weights)


def test_folds_and_fractions_may_leave_one():
    X, y = oracle.problem(41, 3, 2, "float64")
    for validation in (0.2, (X[:5], y[:5])):  # 33 and 41 rows
        for batch_size in (8, 32, 40):
            model = shoal.fit(X, y, **SETTINGS | {"validation": validation}, batch_size=batch_size)
            assert model.status == "finished"
