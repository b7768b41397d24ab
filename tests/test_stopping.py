"""Early stopping, epochs of each net's own, and the repacking of those that still run."""

import signal
import threading
from types import SimpleNamespace

import numpy as np
import oracle
import pytest
from launches import set_seconds, stop_after

import shoal
from shoal.planning import cost_model
from shoal.running import repacking, scheduler

pytestmark = pytest.mark.kernels

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

generator = np.random.default_rng(0)
X = generator.normal(size=(30, 3))
Y = np.sin(X[:, :2]) + 0.3 * generator.normal(size=(30, 2))
PAIR = (generator.normal(size=(11, 3)), generator.normal(size=(11, 2)))

ORDERS = {
    "in place": {"batch_size": None},
    "in one order": {"batch_size": 8, "shuffle_seed": 1},
    "in their own": {"batch_size": 8},
}
orders = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
BASE = {"hidden": (4,), "activation": "tanh", "learning_rate": 0.05, "progress": False}


def watched(history):
    return history.loss if np.isnan(history.val_loss).all() else history.val_loss


def stop_of(losses, patience, tolerance):
    """(epochs run, epochs of the best weights) by the losses of each epoch, in plain words."""
    lowest, best, without = np.inf, 0, 0
    for epoch, loss in enumerate(losses.astype(float).tolist()):
        without = 0 if loss < lowest - tolerance else without + 1
        if loss < lowest:
            lowest, best = loss, epoch + 1
        if without == patience:
            return epoch + 1, best
    return len(losses), best


# ------------------------------------------------------------------------- where, and what is kept


@dtypes
@orders
@pytest.mark.parametrize("validation", [None, 0.3, PAIR], ids=["training", "fraction", "pair"])
@pytest.mark.parametrize("patience, tolerance", [(1, 0.0), (3, 0.0), (4, 1e-4), (5, 0.02)])
def test_a_net_stops_where_a_longer_run_says(patience, tolerance, validation, order, dtype):
    settings = {**BASE, **order, "validation": validation, "record_every": 1, "batch_norm": True}
    settings["learning_rate"] = 0.3
    rows, grid, epochs = X.astype(dtype), {"seed": range(9)}, 60
    whole = shoal.sweep(rows, Y, grid, epochs=epochs, **settings)
    sweep = shoal.sweep(
        rows, Y, grid, epochs=epochs, patience=patience, tolerance=tolerance, **settings
    )
    ends = set()
    for seed, model in enumerate(sweep):
        history = whole[seed].history
        stop, best = stop_of(watched(history), patience, tolerance)
        ends.add(stop)
        waited = stop_of(watched(history)[: stop - 1], patience, tolerance)[0] == stop - 1
        assert model.results["epochs"] == stop and waited
        assert model.status == ("stopped" if stop < epochs else model.status)
        assert oracle.same_bits(model.history.loss[:stop], history.loss[:stop])
        assert oracle.same_bits(model.history.val_loss[:stop], history.val_loss[:stop])
        for name in ("loss", "val_loss", "score", "learning_rate"):
            assert np.isnan(getattr(model.history, name)[stop:]).all()
        assert model.history.epoch.tolist() == list(range(1, epochs + 1))
        then = shoal.fit(rows, Y, epochs=best, seed=seed, **settings)
        assert oracle.same_bits(model.weights, then.weights)
        assert oracle.same_bits(model.biases, then.biases)
        assert oracle.same_bits(model.batch_norm, then.batch_norm)
        assert model.results["loss"] == history.loss[stop - 1]
        for name in ("score", "val_loss"):  # of the weights that are kept
            np.testing.assert_array_equal(model.results[name], then.results[name])
        if validation is not None:
            lowest = np.nanmin(model.history.val_loss)
            assert model.results["val_loss"] == pytest.approx(lowest, rel=1e-4)
    assert len(ends) > 1


def with_losses(losses, **more):
    """A net of two equal rows and one weight whose loss each epoch is told by the rows."""
    return shoal.fit(
        np.ones((2, 1)), np.zeros(2), hidden=(), bias=False, init="uniform", seed=1,
        record_every=1, optimizer="sgd", output="identity", epochs=len(losses), **more,
    )  # fmt: skip


@pytest.mark.parametrize("patience", [1, 4])
def test_without_an_improvement_it_stops_after_so_many_epochs(patience):
    """A rate of 0: the first epoch improves on infinity, no other does."""
    model = with_losses(range(20), learning_rate=0.0, patience=patience, tolerance=0.0)
    assert (model.status, model.results["epochs"]) == ("stopped", patience + 1)
    finished = with_losses(range(patience), learning_rate=0.0, patience=patience, tolerance=0.0)
    assert (finished.status, finished.results["epochs"]) == ("finished", patience)
    last = with_losses(range(patience + 1), learning_rate=0.0, patience=patience, tolerance=0.0)
    assert (last.status, last.results["epochs"]) == ("stopped", patience + 1)


def test_lower_losses_within_the_tolerance_move_the_bar():
    """The bar is the lowest loss, not the last improvement: slow falls stop, and are kept."""
    model = with_losses(range(50), learning_rate=0.001, patience=5, tolerance=0.01)
    losses = model.history.loss[:6]
    assert (np.diff(losses) < 0).all() and losses[0] - losses[-1] < 0.01
    assert model.results["epochs"] == 6
    assert oracle.same_bits(model.weights, with_losses(range(6), learning_rate=0.001).weights)


def test_an_equal_loss_is_no_improvement_and_keeps_the_first_weights():
    model = with_losses(range(9), learning_rate=2.0, patience=3, tolerance=0.0)  # w, -w, w, ...
    assert model.results["epochs"] == 4 and len(set(model.history.loss[:4].tolist())) == 1
    assert oracle.same_bits(model.weights, with_losses([1], learning_rate=2.0).weights)


@dtypes
def test_a_diverged_net_keeps_its_best_weights(dtype):
    settings = {
        **BASE, "activation": "identity", "optimizer": "sgd", "record_every": 1, "epochs": 400,
        "batch_size": None, "output": "identity",
    }  # fmt: skip
    grid = {"learning_rate": [1e-3, 2.0, 1e30], "seed": range(3)}
    del settings["learning_rate"]
    given = {"patience": 1000, "validation": PAIR}
    sweep = shoal.sweep(X.astype(dtype), Y, grid, **settings, **given)
    statuses = sweep.results["status"].tolist()
    assert statuses == ["finished"] * 3 + ["diverged"] * 6
    for i, model in enumerate(sweep):
        end = model.results["epochs"]
        losses = model.history.val_loss[:end]
        best = stop_of(losses, 1000, 0.0)[1]  # 0 where no loss was finite
        told = {"learning_rate": model.settings["learning_rate"], "seed": i % 3}
        then = shoal.fit(X.astype(dtype), Y, **settings | told | {"epochs": best or end})
        assert oracle.same_bits(model.weights, then.weights)
        assert np.isnan(model.history.val_loss[end:]).all()
        assert (best == 0) == (i >= 6 and dtype == "float32")
    assert 1 < sweep[4].results["epochs"] < 400


@dtypes
def test_train_ends_with_the_best_weights(dtype):
    start = [generator.uniform(-1, 1, s).astype(dtype) for s in ((3, 4), (4, 2))]
    arrays, longer, best = ([w.copy() for w in start] for _ in range(3))
    settings = {"learning_rate": 0.05, "record_every": 1, "output": "identity"}
    whole = shoal.train(X, Y, longer, epochs=80, **settings, validation=PAIR)
    history = shoal.train(X, Y, arrays, epochs=80, **settings, validation=PAIR, patience=4)
    stop, epochs = stop_of(whole.val_loss, 4, 1e-4)
    assert 5 < stop < 80
    assert oracle.same_bits(history.loss[:stop], whole.loss[:stop])
    assert np.isnan(history.loss[stop:]).all()
    shoal.train(X, Y, best, epochs=epochs, **settings)
    assert oracle.same_bits(arrays, best)


def test_no_epochs():
    model = shoal.fit(X, Y, epochs=0, patience=1, validation=0.3, **BASE)
    assert (model.status, model.results["epochs"], len(model.history)) == ("finished", 0, 0)
    assert oracle.same_bits(model.weights, shoal.fit(X, Y, epochs=0, **BASE).weights)
    weights, same = [np.ones((3, 2))], [np.ones((3, 2))]
    shoal.train(X, Y, weights, epochs=0, patience=1, validation=0.3)
    assert oracle.same_bits(weights, same)


# ---------------------------------------------------------------------------- epochs of their own


def nets(count=90):
    """Nets that end at many epochs: finished, stopped early or late, diverged."""
    random = np.random.default_rng(3)
    for k in range(count):
        yield {
            "seed": k % 3 if k % 4 else k,
            "epochs": int(random.choice([0, 1, 5, 17, 30, 41])),
            "learning_rate": float(random.choice([0.001, 0.01, 0.3, 1.0, 1e20])),
            "patience": None if k % 7 == 0 else int(random.choice([1, 2, 5, 40])),
            "tolerance": float(random.choice([0, 1e-4, 0.05])),
        }


SGD = {**BASE, "optimizer": "sgd", "record_every": 4, "activation": "identity"}
del SGD["learning_rate"]


@dtypes
@orders
@pytest.mark.parametrize("validation", [None, 0.3], ids=["training", "fraction"])
def test_each_net_has_the_bits_of_its_own_fit(order, validation, dtype, tight):
    settings = {**SGD, **order, "validation": validation, "schedule": "adaptive"}
    rows, chosen = X.astype(dtype), list(nets())
    sweep = shoal.sweep(rows, Y, chosen, **settings)
    assert tight.moved > 3
    records = sweep.losses.shape[1]
    assert sweep.losses.shape == (90, 11)
    for i, (net, model) in enumerate(zip(chosen, sweep, strict=True)):
        alone = shoal.fit(rows, Y, **settings | net)
        oracle.assert_same_bits(model, alone, str(net))
        epochs = np.arange(0, net["epochs"], 4)
        if net["epochs"] % 4 != 1 and net["epochs"]:
            epochs = np.append(epochs, net["epochs"] - 1)
        assert model.history.epoch.tolist() == (epochs + 1).tolist()
        assert alone.history.epoch.tolist() == (epochs + 1).tolist()
        end = model.results["epochs"]
        assert np.array_equal(np.isnan(model.history.loss), epochs >= end)
        assert np.array_equal(np.isnan(model.history.learning_rate), epochs >= end)
        count = len(epochs)
        assert oracle.same_bits(sweep.losses[i, :count], model.history.loss)
        assert np.isnan(sweep.losses[i, count:records]).all()
        for name in ("loss", "score", "val_loss", "epochs", "status"):
            np.testing.assert_array_equal(model.results[name], alone.results[name])
            np.testing.assert_array_equal(model.results[name], sweep.results[name][i])
        assert model.settings == alone.settings
    assert set(sweep.results["status"]) == {"finished", "stopped", "diverged"}


@pytest.fixture(params=["at every epoch", "by default"])
def tight(request, monkeypatch):
    """Repacking whenever a group is saved, after every epoch, and places that stay places."""
    told = SimpleNamespace(moved=9 if request.param == "by default" else 0)
    if request.param == "by default":
        return told
    monkeypatch.setattr(scheduler, "_PHASE", 0.0)
    monkeypatch.setattr(repacking, "_WORTH", 1.0)
    original, lock = scheduler.repack, threading.Lock()

    def repack(plan, number, state):
        with lock:  # those of other blocks move meanwhile
            check(plan, number, state)

    def check(plan, number, state):
        here = plan.block_of == number
        before, block = plan.offset_of.copy(), plan.blocks[number]
        seeds = {int(n): int(s) for n, s in zip(block.nets.flat, state.seeds.flat, strict=True)}
        original(plan, number, state)
        assert np.array_equal(plan.offset_of[~here], before[~here])
        places = plan.offset_of[here]
        assert len(set(places.tolist())) == len(places)
        assert 0 <= places.min() and places.max() < block.nets.size
        assert np.array_equal(block.nets.ravel()[places], np.flatnonzero(here))
        for n, s in zip(block.nets.flat, state.seeds.flat, strict=True):
            assert seeds[int(n)] == int(s)
        told.moved += not np.array_equal(plan.offset_of, before)

    monkeypatch.setattr(scheduler, "repack", repack)
    return told


@orders
@pytest.mark.parametrize("threads", [1, 3])
def test_repacking_changes_no_bit(order, threads, tight, monkeypatch):
    """Of nets in several blocks, with records, optimizers, dropout and validation of all kinds."""
    chosen = [
        {**net, "hidden": hidden, "dropout": dropout}
        for net in nets(60)
        for hidden in ((4,), (3, 2))
        for dropout in (0.0, 0.1)
    ]
    settings = {**order, "optimizer": "adam", "validation": PAIR, "batch_norm": True,
                "progress": False, "schedule": "cosine"}  # fmt: skip
    moving = shoal.sweep(X, Y, chosen, threads=threads, **settings)
    moved = tight.moved
    assert moved > 3
    monkeypatch.setattr(repacking, "_WORTH", -1.0)
    still = shoal.sweep(X, Y, chosen, **settings)
    assert tight.moved in (moved, 9)
    for i, (a, b) in enumerate(zip(moving, still, strict=True)):
        oracle.assert_same_bits(a, b, f"of net {i}")
        assert a.settings == b.settings
    for name, column in moving.results.items():
        if name != "seconds":
            np.testing.assert_array_equal(column, still.results[name], name)
    assert oracle.same_bits(moving.losses, still.losses)
    assert moving.results["seed"].tolist() == [net["seed"] for net in chosen]


def test_ctrl_c_does_not_strike_while_nets_are_moved(monkeypatch):
    """It waits until they are where they belong."""
    set_seconds(monkeypatch, 0.15, short=0, phase=0)
    fill, pressed = repacking._fill, []

    def fill_and_press(*given):
        if not pressed:
            pressed.append(1)
            signal.raise_signal(signal.SIGINT)
        fill(*given)

    monkeypatch.setattr(repacking, "_fill", fill_and_press)
    chosen, settings = nets(60), {"hidden": 4, "batch_size": 4, "progress": False}
    with pytest.warns(UserWarning, match="the sweep was interrupted"):
        sweep = shoal.sweep(X, Y, chosen, **settings)
    assert pressed and "interrupted" in sweep.results["status"]
    for model in sweep:
        given = model.settings | {"epochs": model.results["epochs"], "progress": False}
        alone = shoal.fit(X, Y, **given)
        assert oracle.same_bits(model.resume.params, alone.resume.params)


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_a_repacking(seed):
    """A permutation; running nets fill the first groups, each among groups of its row order."""
    random = np.random.default_rng(seed)
    groups, lanes = random.integers(1, 9), random.integers(1, 5)
    running = random.random((groups, lanes)) < random.random()
    run = np.sort(random.integers(0, random.integers(1, 4), groups))
    order = repacking._order(running, run)
    assert sorted(order.tolist()) == list(range(groups * lanes))
    new = running.ravel()[order].reshape(groups, lanes)
    counts = [int(running[run == r].sum()) for r in np.unique(run)]
    filled = int(new.any(axis=1).sum())
    assert filled == sum(-(-count // lanes) for count in counts)
    assert new[:filled].any(axis=1).all()
    of_lane = run.repeat(lanes)[order].reshape(groups, lanes)
    assert (of_lane == of_lane[:, :1]).all()
    if len(counts) == 1:  # nobody moves who need not
        stay = np.flatnonzero(running.ravel()[: counts[0]])
        assert np.array_equal(order[stay], stay)
        assert (order != np.arange(groups * lanes)).sum() == 2 * (counts[0] - len(stay))


@orders
def test_a_sweep_whose_nets_have_all_stopped_ends_at_once(order):
    sweep = shoal.sweep(
        X, Y, {"seed": range(40)}, epochs=2_000_000_000, patience=2, tolerance=1e9, **BASE, **order
    )
    assert set(sweep.results["status"]) == {"stopped"}
    assert set(sweep.results["epochs"]) == {3}


@dtypes
@pytest.mark.parametrize(
    "done",
    [
        {"epochs": 3},
        {"epochs": 0},
        {"learning_rate": 1e30},
        {"patience": 1, "tolerance": 1e9},
    ],
    ids=["few epochs", "none", "diverged", "stopped"],
)
def test_a_group_that_is_done_stays_as_it_is(done, dtype, monkeypatch):
    """While groups of the same piece of work go on, in more launches."""
    set_seconds(monkeypatch, 0.15, 0, 0)
    settings = {**BASE, "optimizer": "sgd", "activation": "identity"}
    patience = 1000 if "patience" in done else None
    going = {"epochs": 40, "patience": patience, "learning_rate": 0.05}
    chosen = [{**going, **(done if k // 16 == 1 else {}), "seed": k} for k in range(48)]
    del settings["learning_rate"]
    sweep = shoal.sweep(X.astype(dtype), Y, chosen, threads=1, **settings)
    for k in (0, 15, 16, 24, 31, 32, 47):
        alone = shoal.fit(X.astype(dtype), Y, **settings, **chosen[k])
        oracle.assert_same_bits(sweep[k], alone, f"of net {k}")


def test_interrupted_nets_have_their_best_weights(monkeypatch):
    monkeypatch.setattr(
        cost_model, "prefers_rows_in_lanes", lambda *estimates: False
    )  # all stop in one launch
    set_seconds(monkeypatch, 0)
    stop_after(monkeypatch, lambda tile: tile >= 20)
    settings = {**BASE, "batch_size": None, "record_every": 1, "learning_rate": 0.8}
    sweep = shoal.sweep(X, Y, {"seed": range(3)}, epochs=100, patience=50, **settings)
    monkeypatch.undo()
    assert set(sweep.results["status"]) == {"interrupted"}
    for seed, model in enumerate(sweep):
        end = model.results["epochs"]
        assert end == 20
        best = stop_of(model.history.loss[:end], 50, 1e-4)[1]
        then = shoal.fit(X, Y, epochs=best, seed=seed, **settings)
        assert oracle.same_bits(model.weights, then.weights)
