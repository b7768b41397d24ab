"""sweep() and Sweep: the table, the ranking, the models, against numpy and scikit-learn."""

import pickle
import resource
import time
import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import ParameterSampler

import shoal
from shoal import reference
from shoal.results import Sweep

pytestmark = pytest.mark.kernels

rng = np.random.default_rng(0)
X = rng.random((41, 4))
TARGETS = {
    "two_labels": rng.integers(0, 2, 41),
    "three_labels": rng.integers(-1, 2, 41) * 7,
    "strings": rng.choice(["cat", "dog", "å"], 41),
    "booleans": rng.random(41) < 0.3,
    "bytes_of_ints": rng.integers(0, 2, 41).astype(np.uint8) * 255,
    "multilabel": rng.integers(0, 2, (41, 3)),
    "boolean_multilabel": rng.random((41, 2)) < 0.5,
    "number": rng.random(41),
    "column": rng.random((41, 1)),
    "two_numbers": rng.random((41, 2)),
    "constant": np.column_stack([np.full(41, 3.0), rng.random(41)]),
}
targets = pytest.mark.parametrize("name", TARGETS)
TAIL = ["loss", "score", "val_loss", "epochs", "status", "seconds"]


def forward(model, X):
    settings = model.settings
    return reference.forward(
        np.asarray(X, model.dtype), model.weights, model.biases,
        list(settings["activation"]), settings["output"],
    )[-1]  # fmt: skip


def same(model, other):
    pairs = zip(model.weights + model.biases, other.weights + other.biases, strict=True)
    return all((a == b).all() for a, b in pairs)


# ------------------------------------------------------------------------------ what comes out


@targets
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_predictions_and_scores_are_those_of_numpy(name, dtype):
    y = TARGETS[name]
    grid = {"hidden": [(5,), (4, 3), ()], "activation": ["tanh"], "seed": range(3)}
    sweep = shoal.sweep(X.astype(dtype), y, grid, epochs=15, learning_rate=0.05)
    for i, model in enumerate(sweep):
        outputs, predicted = model(X), model.predict(X)
        tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
        np.testing.assert_allclose(outputs, forward(model, X), rtol=tolerance, atol=tolerance)
        assert outputs.dtype == dtype
        assert outputs.shape == (41, model.widths[-1])
        assert predicted.shape == y.shape
        if model.classes is None:
            assert predicted.dtype == dtype
            expected = r2_score(y, predicted)
            with pytest.raises(ValueError, match="predict_proba needs a y of class labels"):
                model.predict_proba(X)
        else:
            assert predicted.dtype == y.dtype
            assert set(predicted.ravel().tolist()) <= set(y.ravel().tolist())
            expected = accuracy_score(y, predicted)
            probability = model.predict_proba(X)
            if y.ndim == 1:
                assert probability.shape == (41, len(model.classes))
                np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
                assert (model.classes[probability.argmax(axis=1)] == predicted).all()
            else:
                assert ((probability > 0.5) == predicted).all()
        score = sweep.results["score"][i]
        assert score == pytest.approx(expected, rel=1e-4 if dtype == "float32" else 1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_soft_targets(loss):
    y = rng.dirichlet([1, 1, 1], 41)
    sweep = shoal.sweep(X, y, {"seed": range(3)}, output="softmax", loss=loss, epochs=200)
    for i, model in enumerate(sweep):
        np.testing.assert_allclose(model.predict(X).sum(axis=1), 1)
        assert sweep.results["score"][i] == pytest.approx(r2_score(y, model.predict(X)))


def test_one_hot_classes_of_a_softmax():
    y = np.eye(3, dtype=int)[rng.integers(0, 3, 41)]
    sweep = shoal.sweep(X, y, {"seed": range(3)}, output="softmax", epochs=20)
    for i, model in enumerate(sweep):
        predicted = model.predict(X)
        assert (predicted.sum(axis=1) == 1).all()
        assert sweep.results["score"][i] == accuracy_score(y, predicted)


@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity", "exp"])
@pytest.mark.parametrize("name", ["two_labels", "multilabel"])
def test_accuracy_of_labels_by_squared_error(name, output):
    y, more = TARGETS[name], {"output": output, "loss": "squared_error", "epochs": 9}
    if name == "multilabel" and output == "softmax":  # which predicts one 1 a row
        with pytest.raises(ValueError, match=r"y\[0\].sum\(\) = 2.0 must be 1 where loss = "):
            shoal.sweep(X, y, {"seed": [1]}, **more)
        y = np.eye(3, dtype=int)[y.sum(axis=1) % 3]
    sweep = shoal.sweep(X, y, {"seed": range(5)}, **more)
    for i, model in enumerate(sweep):
        assert sweep.results["score"][i] == accuracy_score(y, model.predict(X))


@targets
def test_validation_is_scored_and_not_trained_on(name):
    y = TARGETS[name]
    more = {"epochs": 7, "hidden": 6}
    grid = {"seed": range(4)}
    rows, rest = slice(0, 30), slice(30, None)
    alone = shoal.sweep(X[rows], y[rows], grid, **more)
    sweep = shoal.sweep(X[rows], y[rows], grid, validation=(X[rest], y[rest]), **more)
    assert np.isnan(alone.results["val_loss"]).all()
    for i, model in enumerate(sweep):
        assert same(model, alone[i])
        predicted = model.predict(X[rest])
        if model.classes is None:
            expected = r2_score(y[rest], predicted)
            loss = (0.5 * (y[rest] - predicted) ** 2).reshape(11, -1).sum(axis=1).mean()
            assert sweep.results["val_loss"][i] == pytest.approx(loss)
        else:
            expected = accuracy_score(y[rest], predicted)
            if y.ndim == 1:
                column = np.searchsorted(model.classes, y[rest])
                likelihood = model.predict_proba(X[rest])[np.arange(11), column]
                loss = -np.log(likelihood).mean()
                assert sweep.results["val_loss"][i] == pytest.approx(loss)
        assert sweep.results["score"][i] == pytest.approx(expected)
    assert sweep[0].settings["validation"] is None  # data, not a setting


@pytest.mark.parametrize(
    "given",
    [
        lambda a: a.tolist(),
        np.asfortranarray,
        lambda a: np.repeat(a, 3, axis=0)[::3],
        lambda a: a[::-1][::-1],
        lambda a: a.astype(">f8"),
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    ],
)
def test_rows_of_any_layout(given):
    y = TARGETS["two_numbers"]
    plain = shoal.sweep(X, y, {"seed": range(3)}, epochs=3)
    sweep = shoal.sweep(given(X), given(y), {"seed": range(3)}, epochs=3)
    assert all(same(a, b) for a, b in zip(plain, sweep, strict=True))


@pytest.mark.parametrize("dtype", ["f2", "i1", "u8", "?", "f4", ">f4", "<f8"])
def test_rows_of_any_dtype(dtype):
    rows = (X > 0.5).astype(dtype)
    sweep = shoal.sweep(rows, TARGETS["number"], {"seed": [1]}, epochs=2)
    assert sweep[0].dtype == (np.float32 if "f4" in dtype else np.float64)
    for wanted in ("float32", "float64"):
        sweep = shoal.sweep(rows, TARGETS["number"], {"seed": [1]}, epochs=2, dtype=wanted)
        assert sweep[0].dtype == wanted
        assert sweep.losses.dtype == sweep.results["loss"].dtype == wanted


def test_frames():
    pandas = pytest.importorskip("pandas")
    y = TARGETS["strings"]
    frame, series = pandas.DataFrame(X, columns=list("abcd")), pandas.Series(y)
    sweep = shoal.sweep(frame, series, {"seed": [1]}, epochs=2)
    assert same(sweep[0], shoal.sweep(X, y, {"seed": [1]}, epochs=2)[0])
    assert sweep[0].predict(frame).shape == y.shape


# -------------------------------------------------------------------------------- the sequence


def test_a_sweep_is_a_sequence_of_models():
    sweep = shoal.sweep(X, TARGETS["number"], {"hidden": [3, (4, 2)], "seed": range(5)}, epochs=2)
    assert len(sweep) == 10
    assert [model.settings["seed"] for model in sweep] == [0, 1, 2, 3, 4] * 2
    assert [model.widths for model in sweep[4:6]] == [(4, 3, 1), (4, 4, 2, 1)]
    for i in (-1, np.int64(-1), np.uint8(9)):
        assert same(sweep[i], sweep[9])
    assert [model.settings["seed"] for model in sweep[::-3]] == [4, 1, 3, 0]
    assert sweep[5:2] == []
    for i in (10, -11):
        with pytest.raises(IndexError, match=rf"sweep\[{i}\] does not exist: there are 10 nets"):
            sweep[i]
    for i in ("a", 1.0, None, (0, 1), [0], np.ones(10, bool)):
        with pytest.raises(TypeError, match="must be a net's number or a slice: of a mask take"):
            sweep[i]


def test_models_are_copies():
    sweep = shoal.sweep(X, TARGETS["number"], {"seed": range(3)}, epochs=2)
    sweep[1].weights[0][...] = 7
    sweep[1].history.loss[...] = 7
    sweep[1].history.epoch[...] = 7
    assert not (sweep[1].weights[0] == 7).any()
    assert not (sweep.losses == 7).any()
    assert sweep[1].history.epoch.tolist() == [1, 2]


def test_columns_of_the_results():
    grid = {
        "hidden": [4, (3, 2)],
        "activation": ["relu"],
        "learning_rate": [0.1, 1],
        "bias": [True],
        "shuffle_seed": [None, 3],
        "batch_size": [10],
        "seed": range(2),
    }
    results = shoal.sweep(X, TARGETS["number"], grid, epochs=3).results
    assert list(results) == [*grid, *TAIL]
    assert {len(column) for column in results.values()} == {16}
    assert results["hidden"][0] == (4,)
    assert results["hidden"][-1] == (3, 2)
    assert results["learning_rate"].tolist() == ([0.1] * 4 + [1.0] * 4) * 2
    assert results["seed"].tolist() == [0, 1] * 8
    kinds = {name: column.dtype.str[1:] for name, column in results.items()}
    assert kinds == {
        "hidden": "O", "activation": "U4", "learning_rate": "f8", "bias": "b1",
        "shuffle_seed": "O", "batch_size": "i8", "seed": "u8", "loss": "f8", "score": "f8",
        "val_loss": "f8", "epochs": "i8", "status": "U11", "seconds": "f8",
    }  # fmt: skip
    assert set(results["status"]) == {"finished"}
    assert (results["epochs"] == 3).all()
    assert (results["seconds"] > 0).all()


def test_losses_of_nets_with_their_own_epochs():
    grid = {"epochs": [0, 3, 7], "hidden": [2, (3, 3)]}
    sweep = shoal.sweep(X, TARGETS["number"], grid, record_every=2)
    assert sweep.losses.shape == (6, 4)  # epochs 0, 2, 4 and 6
    assert np.isfinite(sweep.losses).sum(axis=1).tolist() == [0, 0, 2, 2, 4, 4]
    assert [model.history.epoch.tolist() for model in sweep[1::2]] == [[], [1, 3], [1, 3, 5, 7]]
    for i, model in enumerate(sweep):
        np.testing.assert_array_equal(sweep.losses[i, : len(model.history)], model.history.loss)
    assert sweep.results["epochs"].tolist() == [0, 0, 3, 3, 7, 7]
    assert np.isnan(sweep.results["loss"]).tolist() == [True, True, False, False, False, False]


def test_no_epochs_give_the_initial_weights_and_their_score():
    sweep = shoal.sweep(X, TARGETS["number"], {"seed": range(3), "hidden": [4]}, epochs=0)
    assert sweep.losses.shape == (3, 0)
    for i, model in enumerate(sweep):
        weights, _ = reference.initial_weights((4, 4, 1), "auto", i, activations="relu")
        assert all((a == b).all() for a, b in zip(model.weights, weights, strict=True))
        expected = r2_score(TARGETS["number"], model.predict(X))
        assert sweep.results["score"][i] == pytest.approx(expected)
    assert "nan" in repr(sweep)


def test_one_row_and_batches_larger_than_the_data():
    grid = {"batch_size": [1, 2, 1000, None], "shuffle": [True, False]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = shoal.sweep(X[:1], [0.5], grid, epochs=3)
    assert all(same(one[0], model) for model in one)
    assert (one.results["score"] <= 1).all()
    grid = {"batch_size": [41, 1000, None], "shuffle": [True, False]}
    full = shoal.sweep(X, TARGETS["number"], grid, epochs=3)
    assert all(same(full[0], model) for model in full)


@pytest.mark.parametrize("lanes_apart", [1, 23])
def test_neighbours_and_order_change_no_bit(lanes_apart):
    """Settings that may and may not share a block, in two orders, and alone."""
    nets = [
        {"momentum": momentum, "optimizer": "sgd", "seed": seed, "shuffle_seed": shuffle_seed}
        for momentum in (0, 0.9)
        for seed in range(lanes_apart)
        for shuffle_seed in (None, 5, seed)
    ]
    more = {"epochs": 4, "batch_size": 8, "learning_rate": 0.1, "hidden": (5,)}
    forward, backward = (
        shoal.sweep(X, TARGETS["number"], order, **more) for order in (nets, nets[::-1])
    )
    for k in {0, len(nets) // 2, len(nets) - 1}:
        assert same(forward[k], backward[len(nets) - 1 - k])
        alone = shoal.fit(X, TARGETS["number"], **nets[k], **more)
        assert same(forward[k], alone)
        np.testing.assert_array_equal(forward.losses[k], alone.history.loss)


# ------------------------------------------------------------------------------------ the grid


def test_random_search():
    from scipy.stats import loguniform, randint

    space = {
        "hidden": [(3,), (4, 4)],
        "learning_rate": loguniform(1e-4, 1e-1),
        "seed": randint(0, 1000),
        "momentum": [0.0, 0.5],
        "optimizer": ["sgd"],
    }
    sampled = list(ParameterSampler(space, 12, random_state=0))
    sweep = shoal.sweep(X, TARGETS["number"], ParameterSampler(space, 12, random_state=0), epochs=2)
    assert len(sweep) == 12
    for net, model in zip(sampled, sweep, strict=True):
        assert all(model.settings[name] == value for name, value in net.items())
    assert same(shoal.fit(X, TARGETS["number"], epochs=2, **sampled[7]), sweep[7])


def test_list_of_grids():
    grids = [
        {"optimizer": ["sgd"], "momentum": [0, 0.9]},
        {"optimizer": ["adam"], "beta_1": [0.8, 0.9], "seed": [1, 2]},
    ]
    sweep = shoal.sweep(X, TARGETS["number"], grids, epochs=2)
    assert len(sweep) == 6
    assert sweep.results["optimizer"].tolist() == ["sgd"] * 2 + ["adam"] * 4
    assert sweep.results["momentum"].tolist() == [0, 0.9, 0, 0, 0, 0]
    assert sweep.results["seed"].tolist() == [0, 0, 1, 2, 1, 2]


def test_equal_nets_are_equal():
    sweep = shoal.sweep(X, TARGETS["number"], {"seed": [3, 3, 3]}, epochs=2)
    assert same(sweep[0], sweep[1])
    assert same(sweep[0], sweep[2])


# ------------------------------------------------------------------------------------- ranking


def ranked(score, loss, val_loss=None, status=None):
    """A Sweep with these results alone."""
    sweep = Sweep.__new__(Sweep)
    sweep.__dict__["results"] = {
        "score": np.array(score),
        "loss": np.array(loss),
        "val_loss": np.array(val_loss or [nan] * len(score)),
        "status": np.array(status or ["finished"] * len(score)),
    }
    return sweep.order().tolist()


nan, inf = np.nan, np.inf


@pytest.mark.parametrize(
    ("score", "loss", "order"),
    [
        ([1.0, 3.0, 2.0], [0.0, 0.0, 0.0], [1, 2, 0]),
        ([1.0, 1.0, 1.0], [3.0, 1.0, 2.0], [1, 2, 0]),
        ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [0, 1, 2]),
        ([nan, -9.0, nan], [1.0, 9.0, 0.5], [1, 2, 0]),
        ([1.0, 1.0, 1.0], [nan, inf, 3.0], [2, 0, 1]),
        ([nan, nan], [nan, nan], [0, 1]),
        ([-inf, nan, 0.0], [0.0, 0.0, 0.0], [2, 0, 1]),
        ([0.0, -0.0], [1.0, 1.0], [0, 1]),
    ],
)
def test_best_by_score_then_loss_then_position(score, loss, order):
    assert ranked(score, loss) == order


def test_equal_scores_are_ranked_by_validation_loss_and_diverged_nets_last():
    loss, val_loss = [1.0, 2.0, 3.0, 3.0], [3.0, 2.0, 1.0, 1.0]
    assert ranked([1.0] * 4, loss, val_loss) == [2, 3, 1, 0]
    status = ["finished", "stopped", "diverged", "interrupted"]
    assert ranked([0.1, 0.2, 0.9, 0.3], loss, val_loss, status) == [3, 1, 0, 2]
    assert ranked([nan, nan], [nan, nan], status=["diverged", "finished"]) == [1, 0]


@pytest.mark.parametrize("y", ["number", "three_labels"])
def test_results_do_not_change_with_the_data(y):
    rows, given = X.copy(), np.array(TARGETS[y])
    sweep = shoal.sweep(rows, given, {"seed": range(6)}, epochs=5)
    expected = shoal.sweep(X, TARGETS[y], {"seed": range(6)}, epochs=5)
    rows *= -100
    given[...] = given[0]
    assert repr(sweep) == repr(expected)
    for name in ("loss", "score", "val_loss"):
        np.testing.assert_array_equal(sweep.results[name], expected.results[name])
    assert same(sweep.best, expected.best)


@pytest.mark.parametrize("validation", [None, 0.25])
def test_recorded_columns_are_those_of_the_histories(validation):
    grid = {"epochs": [0, 3, 8], "hidden": [(3,), (2, 2)]}
    sweep = shoal.sweep(X, TARGETS["number"], grid, validation=validation, record_every=2)
    for name, column in (
        ("loss", sweep.losses), ("val_loss", sweep.val_losses), ("score", sweep.scores)
    ):  # fmt: skip
        assert column.shape == (6, 5)
        for row, model in zip(column, sweep, strict=True):
            recorded = getattr(model.history, name)
            np.testing.assert_array_equal(row[: len(recorded)], recorded)
            assert np.isnan(row[len(recorded) :]).all()
    assert np.isnan(sweep.val_losses).all() == (validation is None)


def test_scores_of_training_rows_are_called_so():
    y = TARGETS["number"]
    assert ", score of training rows " in repr(shoal.sweep(X, y, {"seed": [0]}, epochs=2))
    with_validation = shoal.sweep(X, y, {"seed": [0]}, epochs=2, validation=0.3)
    assert ", score " in repr(with_validation) and "training rows" not in repr(with_validation)


def test_top():
    sweep = shoal.sweep(X, TARGETS["number"], {"seed": range(6)}, epochs=5)
    order = np.lexsort((sweep.results["loss"], -sweep.results["score"]))
    assert [model.settings["seed"] for model in sweep.top(3)] == order[:3].tolist()
    assert same(sweep.best, sweep.top(1)[0])
    assert len(sweep.top(np.int64(100))) == 6
    assert sweep.top(0) == []
    for k in (-1, True, 2.0, "a", None):
        with pytest.raises(ValueError, match="k = .* must be a whole number >= 0"):
            sweep.top(k)
    assert repr(sweep).startswith("Sweep(6 nets, 6 finished; best: seed=")


def test_a_diverged_net_is_marked_and_harms_nobody():
    grid = {"learning_rate": [1e-3, 1e30, 1e-2], "optimizer": ["sgd"]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweep = shoal.sweep(X, TARGETS["number"], grid, epochs=20)
        results = sweep.results
    assert results["status"].tolist() == ["finished", "diverged", "finished"]
    assert sweep[1].status == "diverged"
    assert results["epochs"][1] < 20
    assert all(np.isfinite(w).all() for w in sweep[1].weights)
    assert np.isnan(sweep.losses[1, -1])
    assert int(sweep.order()[-1]) == 1
    for i, rate in ((0, 1e-3), (2, 1e-2)):
        alone = shoal.fit(X, TARGETS["number"], epochs=20, learning_rate=rate, optimizer="sgd")
        assert same(sweep[i], alone)


@pytest.mark.parametrize("size", [1e-310, 1e-300, 1e150, 1e200, 1e307])
def test_targets_of_any_size_have_a_score(size):
    y = np.linspace(-1, 1, 41) * size
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = shoal.sweep(X, y, {"seed": range(2)}, epochs=3).results
    assert len(results["score"]) == 2
    assert (np.isnan(results["score"]) | (results["score"] <= 1)).all()


def test_a_hundred_thousand_nets_are_columns():
    shoal.sweep(X[:8], TARGETS["number"][:8], {"seed": [1]}, epochs=1, hidden=4, batch_size=None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    sweep = shoal.sweep(
        X[:8], TARGETS["number"][:8], {"hidden": [4, (3, 3)], "seed": range(50_000)},
        epochs=5, batch_size=None,
    )  # fmt: skip
    assert sweep.best.status == "finished"
    assert time.perf_counter() - begin < 10  # 0.5 s on two cores
    # parameters, optimizer state and losses of a net are 1 kB or less
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000
    begin = time.perf_counter()
    models = [sweep[i] for i in range(0, 100_000, 100)]
    assert time.perf_counter() - begin < 2  # 0.02 s
    assert models[-1].settings["seed"] == 49_900


def test_a_sweep_can_be_pickled():
    sweep = shoal.sweep(X, TARGETS["number"], {"seed": range(3)}, hidden=3, epochs=2)
    again = pickle.loads(pickle.dumps(sweep))
    assert all(same(a, b) for a, b in zip(sweep, again, strict=True))
    assert repr(again) == repr(sweep)
