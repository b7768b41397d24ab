"""A net that diverges is marked, keeps its last finite weights, and harms nobody."""

import warnings

import numpy as np
import oracle
import pytest
from launches import set_seconds

import shoal
from shoal import reference
from shoal.inputs.settings import ACTIVATIONS
from shoal.planning import cost_model

pytestmark = pytest.mark.kernels

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

GOOD = [{"learning_rate": rate} for rate in np.geomspace(1e-3, 0.05, 19)]
# They diverge sooner or later, some of them in the first epoch. 3e38 is the largest of float32.
BAD = [{"learning_rate": rate} for rate in (1e6, 3e38, 1e20, 1e3, 30.0, 3.0, 1e9, 1.0)]
COMMON = {
    "activation": "leaky_relu",
    "output": "identity",
    "optimizer": "sgd",
    "momentum": 0.5,
    "reduction": "sum",
    "epochs": 60,
    "record_every": 1,
    "init": "glorot_uniform",
}
ORDERS = {
    "in place": {"batch_size": None},
    "in one order": {"batch_size": 8, "shuffle_seed": 1},
    "in their own": {"batch_size": 8},
}


# Without hidden layers a net grows by the same factor every step, with them in a few to infinity.
hiddens = pytest.mark.parametrize("hidden", [(), (5, 3)])


def trained(dtype, nets, **settings):
    X, y = oracle.problem(20, 3, 2, dtype)
    return shoal.sweep(X, y, [{**net, "seed": k % 3} for k, net in nets], **COMMON, **settings)


def numbered(nets):
    return list(enumerate(nets))


@dtypes
@hiddens
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_the_epoch_and_the_last_finite_weights_are_exact(order, hidden, dtype):
    """As the oracle says to the bit, and the reference as far as rounding allows."""
    X, y = oracle.problem(20, 3, 2, dtype)
    nets = [*GOOD[:3], *BAD, *GOOD[3:]]
    sweep = trained(dtype, numbered(nets), hidden=hidden, **order)
    for i, model in enumerate(sweep):
        told = model.settings
        right = oracle.train_as(told, X, y)
        oracle.assert_same_bits(model, right, f"of {nets[i]}")
        assert sweep.results["status"][i] == right.status
        assert sweep.results["epochs"][i] == right.epochs
        assert all(np.isfinite(p).all() for p in [*model.weights, *model.biases])
        weights, biases = oracle.start_of(told, 3, 2)
        own = told["seed"] if told["shuffle_seed"] is None else told["shuffle_seed"]
        losses = reference.train(
            X, y, weights, biases, activations=told["activation"], output="identity", epochs=60,
            batch_size=told["batch_size"], shuffle=True, shuffle_seed=own, reduction="sum",
            learning_rate=told["learning_rate"], momentum=0.5,
        ).losses  # fmt: skip
        assert np.array_equal(np.isnan(losses), np.arange(60) >= right.epochs)
        assert np.array_equal(np.isnan(model.history.loss), np.isnan(losses))
        loss = sweep.results["loss"][i]
        last = model.history.loss[right.epochs - 1] if right.epochs else np.nan
        assert np.array_equal(loss, last, equal_nan=True)
    epochs = sweep.results["epochs"][sweep.results["status"] == "diverged"]
    assert len(epochs) >= 4
    if not hidden:
        assert epochs.min() < 10 and epochs.max() > 15 and len(set(epochs)) >= 4


@dtypes
@hiddens
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_neighbours_are_unharmed(order, hidden, dtype):
    alone = trained(dtype, numbered(GOOD), hidden=hidden, **order)
    assert set(alone.results["status"]) == {"finished"}
    for place in (0, 3, 19):
        nets = numbered(GOOD)
        nets[place:place] = [(k, net) for k, net in enumerate(BAD[: place or None])]
        together = trained(dtype, nets, hidden=hidden, **order)
        bad = range(place, place + len(nets) - len(GOOD))
        assert (together.results["status"] == "diverged").sum() >= min(3, len(bad))
        others = [i for i in range(len(nets)) if i not in bad]
        for model, i in zip(alone, others, strict=True):
            oracle.assert_same_bits(together[i], model, f"of net {i}")


@dtypes
@pytest.mark.parametrize("tile", [4, 256])
@pytest.mark.parametrize("seconds", [0, 1e-5, 1e-4, 1e3])
@hiddens
def test_slices_change_nothing(hidden, dtype, tile, seconds, monkeypatch):
    monkeypatch.setattr(cost_model, "LARGEST_TILE", tile)
    set_seconds(monkeypatch, seconds)
    X, y = oracle.problem(20, 3, 2, dtype)
    for nets in ([GOOD[0], *BAD], BAD[:1], [*GOOD, *BAD]):  # one group, and several
        sweep = trained(dtype, numbered(nets), hidden=hidden, batch_size=9)
        for i, model in enumerate(sweep):
            right = oracle.train_as(model.settings, X, y)
            oracle.assert_same_bits(model, right, f"of {nets[i]}")
            assert sweep.results["epochs"][i] == right.epochs


@dtypes
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_optimizer_state_of_the_others_survives_a_replay(optimizer, dtype, monkeypatch):
    """Where a net diverges in a long launch, the others run those epochs again too."""
    set_seconds(monkeypatch, 1e3)
    X, y = oracle.problem(20, 3, 2, dtype)
    grid = [{"learning_rate": rate, "optimizer": optimizer} for rate in (0.01, 3e38, 1e30, 0.003)]
    sweep = shoal.sweep(X, y, grid, epochs=30, batch_size=6, record_every=4, activation="tanh",
                        output="exp", init="he_uniform", dtype=dtype)  # fmt: skip
    for i, model in enumerate(sweep):
        right = oracle.train_as(model.settings, X, y)
        oracle.assert_same_bits(model, right, f"of {grid[i]}")
        assert sweep.results["epochs"][i] == right.epochs
    assert sweep.results["status"].tolist() == ["finished", "diverged", "diverged", "finished"]


@dtypes
@pytest.mark.parametrize("part", [-1, 1e-3])
def test_huge_weights_through_train(part, dtype):
    """The first step overflows: the weights stay what they were."""
    X, y = oracle.problem(20, 3, 2, dtype)
    weights = [np.full(shape, part * np.finfo(dtype).max, dtype) for shape in ((3, 4), (4, 2))]
    kept = [w.copy() for w in weights]
    with pytest.warns(shoal.DivergenceWarning, match="diverged after 0 epochs"):
        history = shoal.train(X, y, weights, epochs=7, activation="identity", output="identity",
                              learning_rate=np.finfo(dtype).max / 4, record_every=2)  # fmt: skip
    assert history.status == "diverged"
    assert oracle.same_bits(weights, kept)
    assert history.epoch.tolist() == [1, 3, 5, 7]
    assert oracle.same_bits(history.loss, np.full(4, np.nan, dtype))


@dtypes
def test_a_loss_may_overflow_while_the_weights_stay_finite(dtype):
    X, y = np.ones((3, 1), dtype), np.zeros((3, 1), dtype)
    large = dtype_root = np.sqrt(np.finfo(dtype).max) * 4
    for rate in (0.0, 0.1):
        weights, expected = [np.array([[large]], dtype)], [np.array([[dtype_root]], dtype)]
        settings = {"output": "identity", "learning_rate": rate, "epochs": 30}
        history = shoal.train(X, y, weights, record_every=1, **settings)
        losses = reference.train(X, y, expected, **settings).losses
        assert np.array_equal(np.isinf(history.loss), np.isinf(losses))
        assert np.isinf(losses[0]) and np.isfinite(weights[0]).all()
        assert weights[0] == pytest.approx(expected[0], rel=1e-5)


@dtypes
def test_a_rate_of_zero_does_not_save_a_net(dtype):
    """0 times infinity is NaN, in the reference too."""
    X, y = np.full((3, 1), 1e30, dtype), np.zeros((3, 1), dtype)
    weights = [np.array([[np.finfo(dtype).max / 4]], dtype)]
    kept = weights[0].copy()
    losses = shoal.train(X, y, weights, output="identity", learning_rate=0.0, epochs=3).loss
    assert np.isnan(losses).all() and np.array_equal(weights[0], kept)


@dtypes
def test_a_sweep_of_diverged_nets_ends_at_once(dtype):
    X, y = oracle.problem(20, 3, 2, dtype)
    sweep = shoal.sweep(X, y, {"seed": range(50)}, epochs=2_000_000_000, learning_rate=3e38,
                        hidden=(4, 4, 4, 4), output="identity", optimizer="sgd")  # fmt: skip
    assert set(sweep.results["status"]) == {"diverged"}
    assert sweep.results["epochs"].max() < 50
    assert np.isnan(sweep.losses[:, 1:]).all()


def test_a_rate_beyond_float32():
    """It is rounded to infinity, as a number of float32 is: no warning, no harm to others."""
    X, y = oracle.problem(20, 3, 2, "float32")
    sweep = shoal.sweep(X, y, {"learning_rate": [0.01, 1e300]}, epochs=3)
    assert sweep.results["status"].tolist() == ["finished", "diverged"]
    oracle.assert_same_bits(sweep[0], shoal.fit(X, y, learning_rate=0.01, epochs=3))


@dtypes
def test_the_best_net_is_a_finite_one(dtype):
    """Outputs of last finite weights may overflow: a score of NaN or -inf is the worst."""
    X, y = oracle.problem(20, 3, 2, dtype)
    nets = [*BAD, *GOOD]
    sweep = trained(dtype, numbered(nets), hidden=(), batch_size=None, validation=(X, y))
    assert sweep.best.status == "finished"
    assert len(sweep.top(100)) == len(nets)
    assert [m.status for m in sweep.top(len(GOOD))] == ["finished"] * len(GOOD)
    assert "diverged" in repr(sweep)
    for model in sweep:
        assert oracle.same_bits(model(X), np.where(np.isnan(model(X)), np.nan, model(X)))


# NaN that leaves a kernel is the one canonical NaN; x86-64 makes its own with the sign set.


@dtypes
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_passes_through_every_activation(activation, dtype):
    """Finite weights, but a weighted sum of inf - inf: the outputs must show it."""
    X, y = oracle.problem(20, 1, 2, dtype)
    model = shoal.fit(X, y, hidden=(2, 3), activation=("identity", activation), epochs=0)
    model.weights[0][:] = np.finfo(dtype).max
    model.weights[1][:] = np.array([[1], [-1]])
    outputs = model(np.array([[2], [1]], dtype))
    assert oracle.same_bits(outputs[0], np.full(2, np.nan, dtype))
    assert np.isfinite(outputs[1]).all()


@dtypes
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile", "huber"])
def test_a_loss_of_nan_is_the_canonical_one(loss, dtype):
    """A validation row makes two units overflow, inf - inf, while the weights stay finite."""
    X, y = np.zeros((1, 1), dtype), np.zeros((1, 1), dtype)
    weights = [np.full((1, 2), np.finfo(dtype).max), np.array([[1], [-1]], dtype)]
    settings = {"activation": "identity", "output": "identity", "loss": loss, "epochs": 2}
    history = shoal.train(X, y, weights, validation=(X + 2, y), record_every=1, **settings)
    assert oracle.same_bits(history.loss, np.zeros(2, dtype))
    assert oracle.same_bits(history.val_loss, np.full(2, np.nan, dtype))
    assert all(np.isfinite(w).all() for w in weights)
    # a training row's NaN reaches the weights: the net has diverged
    history = shoal.train(X + 2, y, weights, record_every=1, **settings)
    assert oracle.same_bits(history.loss, np.full(2, np.nan, dtype))
    assert all(np.isfinite(w).all() for w in weights)


@pytest.mark.parametrize("call", ["fit", "train", "warm start"])
def test_divergence_is_said_once(call):
    X, y = oracle.problem(20, 3, 1, "float64")
    far = {"learning_rate": 1e300, "optimizer": "sgd", "output": "identity", "epochs": 5}
    near = {**far, "learning_rate": 0.01}
    with pytest.warns(shoal.DivergenceWarning, match="^the net diverged after [0-9]+ epochs: a lear"
                      "ning_rate below 1e\\+300, or clip_norm, may help$") as caught:  # fmt: skip
        if call == "train":
            history = shoal.train(X, y, [np.ones((3, 1))], **far)
        elif call == "fit":
            history = shoal.fit(X, y, **far).history
        else:
            history = shoal.fit(X, y, warm_start=shoal.fit(X, y, **near), **far).history
    assert len(caught) == 1 and caught[0].filename == __file__
    assert history.status == "diverged"
    assert issubclass(shoal.DivergenceWarning, UserWarning)


def test_a_net_that_diverged_is_kept_where_warnings_are_errors(caplog):
    X, y = oracle.problem(20, 3, 1, "float64")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = shoal.fit(X, y, learning_rate=1e300, optimizer="sgd", epochs=5)
    assert model.status == "diverged"
    assert "the net diverged after" in caplog.text


def test_a_sweep_marks_nets_that_diverge_and_says_nothing():
    X, y = oracle.problem(20, 3, 1, "float64")
    sweep = shoal.sweep(X, y, {"learning_rate": [1e300, 0.01]}, optimizer="sgd", epochs=5)
    assert sweep.results["status"].tolist() == ["diverged", "finished"]
    assert sweep.best.settings["learning_rate"] == 0.01
