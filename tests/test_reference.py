"""The reference is the tutorial, and its loop does what its words say."""

import numpy as np
import pytest
from problems import (
    DTYPES,
    OF_LOSS,
    activations,
    copied_norms,
    copies,
    norm_arrays,
    pairs,
    random_problem,
    relative_error,
    train,
)

from shoal import reference

# ---------------------------------------------------------------------------------- the tutorial

INPUTS = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])


def test_tutorial_two_layers():
    np.random.seed(1)
    weights = [2 * np.random.random((3, 1)) - 1]
    y = np.array([[0], [0], [1], [1]])
    reference.train(INPUTS, y, weights, epochs=9_999)  # it prints the 10,000th forward pass
    (outputs,) = reference.forward(INPUTS, weights, None, [], "sigmoid")
    printed = ["0.00966449", "0.00786506", "0.99358898", "0.99211957"]
    assert [f"{a:.8f}" for a in outputs.ravel()] == printed


def test_tutorial_three_layers():
    np.random.seed(1)
    weights = [2 * np.random.random((3, 4)) - 1, 2 * np.random.random((4, 1)) - 1]
    y = np.array([[0], [1], [1], [0]])
    printed = (
        "0.496410031903 0.00858452565325 0.00578945986251 "
        "0.00462917677677 0.00395876528027 0.00351012256786"
    ).split()
    errors = []
    for text in printed:
        outputs = reference.forward(INPUTS, weights, None, "sigmoid", "sigmoid")[-1]
        errors.append(np.mean(np.abs(y - outputs)))
        if text != printed[-1]:
            reference.train(INPUTS, y, weights, epochs=10_000)
    # 12 significant digits, as the tutorial's Python 2 prints a float
    assert [f"{error:.12g}" for error in errors] == printed


@pytest.mark.parametrize("seed", range(3))
def test_eleven_lines_converge(seed):
    weights, _ = reference.initial_weights((3, 4, 1), "uniform", seed)
    y = np.array([[0], [1], [1], [0]])
    reference.train(INPUTS, y, weights, epochs=12_000)
    outputs = reference.forward(INPUTS, weights, None, "sigmoid", "sigmoid")[-1]
    assert np.abs(y - outputs).max() < 0.03


# ------------------------------------------------------------------------------ the dtype it is in


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adagrad", "adam", "adamw", "rprop"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "pair", [("softmax", "cross_entropy"), ("identity", "huber")], ids="-".join
)
def test_the_dtype_of_the_weights_rules(pair, batch_norm, optimizer, dtype):
    """With everything switched on; but a bias that is normalised away has a gradient of noise."""
    p = random_problem("tanh", *pair, batch_norm=batch_norm, bias=not batch_norm)
    settings = {
        "learning_rate": np.float64(0.01), "optimizer": optimizer, "reduction": "mean",
        "epochs": 12, "batch_size": None if optimizer == "rprop" else 5, "schedule": "cosine",
        "l1": 1e-3, "l2": np.float64(1e-3), "weight_decay": 1e-3, "clip_norm": 3.0,
        "clip_delta": 0.8, "dropout": [0.1, 0.2, 0.3], "row_weights": list(range(1, 8)),
        "validation": (p.X, p.y, range(1, 8)), "score": "r2", "patience": 20, "seed": 3,
    }  # fmt: skip
    history, final = train(p, dtype, **settings)
    assert history.status == "finished"
    for array in (*final, history.losses, history.val_losses, history.learning_rates):
        assert array.dtype == dtype and np.isfinite(array).all()
    assert history.scores.dtype == np.float64
    p.X, p.y = p.X.astype(dtype), p.y.astype(dtype)
    for array, same in zip(final, train(p, dtype, **settings)[1], strict=True):
        assert np.array_equal(array, same)
    assert relative_error(final, train(p, "float64", **settings)[1]) < 1e-4


@pairs
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_dtype_of_a_pass(output, loss, dtype):
    p = random_problem("tanh", output, loss, batch_norm=True, dropout=(0.1, 0.2, 0.3))
    weights, biases = copies(p.weights, dtype), copies(p.biases, dtype)
    told = {"batch_norms": copied_norms(p.norms, dtype)}
    sums, layers = reference.propagate(p.X, weights, biases, **p.network, **told)
    masks = [mask.astype(dtype) for mask in p.masks]
    given = p.X, p.y, weights, biases, "tanh"
    found = reference.gradients(*given, **p.pair, **told, masks=masks, reduction="mean",
                                row_weights=np.arange(7.0), clip_delta=1.0, l1=0.1)  # fmt: skip
    seen = reference.look(*given, **p.pair, **told, row_weights=np.arange(7.0))
    for arrays in (sums, layers, *found, *seen):
        assert all(array.dtype == dtype for array in arrays)


# ---------------------------------------------------------------------------------- the training


def test_a_batch_is_rows_of_the_order():
    """Two epochs of batches 3, 3 and 1, written out with `gradients`."""
    p = random_problem("tanh", "identity", "squared_error")
    settings = {"activations": "tanh", **p.pair, "reduction": "mean"}
    weights, biases = copies(p.weights), copies(p.biases)
    losses = reference.train(p.X, p.y, weights, biases, epochs=2, batch_size=3, shuffle=True,
                             shuffle_seed=5, learning_rate=0.1, **settings).losses  # fmt: skip
    own, own_biases = copies(p.weights), copies(p.biases)
    for epoch in range(2):
        order, total = reference.row_order(5, epoch, 7), 0
        for rows in (order[:3], order[3:6], order[6:]):
            X, y = p.X[rows], p.y[rows]
            z = reference.propagate(X, own, own_biases, "tanh", "identity")[0][-1]
            total += reference.row_losses(z, y, **p.pair).sum()
            found = reference.gradients(X, y, own, own_biases, **settings)
            for w, g in zip(own + own_biases, found.weights + found.biases, strict=True):
                w -= 0.1 * g
        assert losses[epoch] == pytest.approx(total / 7, rel=1e-14)
    assert relative_error(weights + biases, own + own_biases) < 1e-14


def test_a_full_batch_is_never_shuffled():
    p = random_problem("tanh", "identity", "squared_error")
    ends = []
    for given in ({}, {"shuffle": True}, {"shuffle": True, "batch_size": 100}):
        ends.append(copies(p.weights))
        reference.train(p.X, p.y, ends[-1], epochs=3, learning_rate=0.01, **given)
    for a, b, c in zip(*ends, strict=True):
        assert np.array_equal(a, b) and np.array_equal(a, c)


def test_records():
    p = random_problem("tanh", "identity", "squared_error")

    def losses(epochs, every):
        return reference.train(p.X, p.y, copies(p.weights), epochs=epochs, record_every=every,
                               learning_rate=0.01).losses  # fmt: skip

    all_of_them = losses(11, 1)
    assert len(all_of_them) == 11
    assert losses(11, 4).tolist() == all_of_them[[0, 4, 8, 10]].tolist()
    assert losses(11, 5).tolist() == all_of_them[[0, 5, 10]].tolist()
    assert len(losses(0, 1)) == 0


def test_weights_of_any_strides_are_changed_in_place():
    p = random_problem("tanh", "identity", "squared_error")
    whole = copies(p.weights)
    strided = [np.zeros((2 * len(w), w.shape[1]), order="F")[::2] for w in whole]
    for w, s in zip(whole, strided, strict=True):
        s[...] = w
    for weights in (whole, strided):
        reference.train(p.X, p.y, weights, epochs=5, learning_rate=0.01, momentum=0.5)
    assert relative_error(strided, whole) < 1e-14
    assert relative_error(whole, p.weights) > 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_net_that_diverges_keeps_its_last_finite_weights(dtype):
    X, y = np.ones((1, 1)), np.zeros((1, 1))
    weights = [np.ones((1, 1), dtype)]
    # Each step turns w into w - 1e4 w.
    history = reference.train(X, y, weights, epochs=200, output="identity", learning_rate=1e4)
    losses = history.losses
    last = np.log(float(np.finfo(dtype).max)) // np.log(9999)
    assert np.abs(weights[0]) == pytest.approx(9999**last, rel=1e-4)
    assert np.isnan(losses[int(last) :]).all()
    assert not np.isnan(losses[: int(last)]).any()
    assert (history.status, history.epochs) == ("diverged", last)


# ------------------------------------------------------------------------------ the order of a step


def test_a_step_in_its_order():
    """Four epochs with everything switched on, written out."""
    p = random_problem("tanh", "identity", "huber", batch_norm=True)
    w = np.array([1.0, 2, 0, 1, 3, 1, 1])
    rates, momentum = [0.1 / 3, 0.2 / 3, 0.1, 0.09], 0.8
    history, final = train(
        p, epochs=4, batch_size=4, shuffle=True, shuffle_seed=5, seed=6, learning_rate=0.1,
        schedule="exponential", warmup_epochs=2, momentum=momentum, nesterov=True, l1=0.01, l2=0.02,
        weight_decay=0.3, dropout=[0.1, 0.3, 0.0], clip_delta=0.5, clip_norm=1.7, row_weights=w,
        reduction="mean",
    )  # fmt: skip
    weights, biases, norms = copies(p.weights), copies(p.biases), copied_norms(p.norms)
    parameters = [*weights, *biases, *(b.scale for b in norms), *(b.shift for b in norms)]
    velocities = [np.zeros_like(q) for q in parameters]
    clipped, losses = 0, []
    for epoch, rate in enumerate(rates):
        order, total = reference.row_order(5, epoch, 7), 0
        for rows in (order[:4], order[4:]):
            positions = np.arange(7)[: len(rows)] + (4 if len(rows) == 3 else 0)
            masks = [
                reference.dropout_mask(6, epoch, 0, positions, 3, 0.1),
                reference.dropout_mask(6, epoch, 1, positions, 5, 0.3),
                None,
            ]
            told = {"batch_norms": norms, "masks": masks}
            sums, _ = reference.propagate(p.X[rows], weights, biases, **p.network, **told,
                                          training=True)  # fmt: skip
            total += w[rows] @ reference.row_losses(sums[-1], p.y[rows], **p.pair, **OF_LOSS)
            found = reference.gradients(
                p.X[rows], p.y[rows], weights, biases, "tanh", **p.pair, reduction="mean", **told,
                row_weights=w[rows], clip_delta=0.5, **OF_LOSS,
            )  # fmt: skip
            of_weights = [
                g + 0.02 * q + 0.01 * np.sign(q)
                for g, q in zip(found.weights, weights, strict=True)
            ]
            gradients = [*of_weights, *found.biases, *found.scales, *found.shifts]
            norm = np.sqrt(sum((g**2).sum() for g in gradients))
            clipped += norm > 1.7
            for norm_of_layer, z in zip(norms, sums[:2], strict=True):
                new_variance = z.var(axis=0, ddof=1)
                norm_of_layer.mean += 0.1 * (z.mean(axis=0) - norm_of_layer.mean)
                norm_of_layer.variance += 0.1 * (new_variance - norm_of_layer.variance)
            for q in weights:
                q *= 1 - rate * 0.3
            for q, g, v in zip(parameters, gradients, velocities, strict=True):
                step = rate * g * min(1, 1.7 / (norm + 1e-6))
                v[:] = momentum * v - step
                q += momentum * v - step
        losses.append(total / w.sum())
    assert 0 < clipped < 8
    np.testing.assert_allclose(history.losses, losses, rtol=1e-13)
    np.testing.assert_allclose(history.learning_rates, rates, rtol=1e-15)
    assert relative_error(final, [*weights, *biases, *norm_arrays(norms)]) < 1e-13


def test_seeds():
    """Dropout is drawn by ``seed``, the row order by ``shuffle_seed``, or else by ``seed``."""
    p = random_problem("tanh", "identity", "squared_error")
    told = {"epochs": 2, "batch_size": 3, "learning_rate": 0.01}

    def final(**settings):
        return np.concatenate([a.ravel() for a in train(p, **told, **settings)[1]])

    for changing in ({"dropout": 0.5}, {"shuffle": True}):
        assert not np.array_equal(final(seed=1, **changing), final(seed=2, **changing))
    assert np.array_equal(final(seed=1), final(seed=2))
    same = final(shuffle=True, seed=1, shuffle_seed=2)
    assert np.array_equal(same, final(shuffle=True, seed=2))
    assert np.array_equal(same, final(shuffle=True, seed=3, shuffle_seed=2))
    dropped = [final(dropout=rates, seed=1) for rates in (0.5, [0, 0.5, 0.5], [0, 0.5, 0])]
    assert np.array_equal(dropped[0], dropped[1]) and not np.array_equal(dropped[1], dropped[2])


# --------------------------------------------------------------------- learning rates, and steps

# settings, and the rates of epochs 0, 1, ... of 8, with 3 rows
RATES = {
    "constant": ({}, [1, 1, 1, 1, 1, 1, 1, 1]),
    "step": ({"step_size": 3, "gamma": 0.5}, [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]),
    "exponential": ({"gamma": 0.5}, [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128]),
    "cosine": (
        {"min_learning_rate": 0.2},
        [0.6 + 0.4 * np.cos(np.pi * t / 8) for t in range(8)],
    ),
    "invscaling": ({"power": 2}, [1 / (1 + 3 * t) ** 2 for t in range(8)]),
    "adaptive": ({}, [1, 1, 1, 1, 1, 1, 1, 1]),
}


@pytest.mark.parametrize("rate", [1.0, 0.3])
@pytest.mark.parametrize("schedule", RATES)
def test_learning_rates(schedule, rate):
    settings, right = RATES[schedule]
    settings = {**settings, "schedule": schedule, "learning_rate": rate, "rows": 3}
    if schedule == "cosine":
        settings["min_learning_rate"] *= rate
    warm = [rate * part for part in (0.2, 0.4, 0.6, 0.8)]  # to a fifth step, which is the first

    def rates(epochs, warmup):
        told = {**settings, "epochs": epochs, "warmup_epochs": warmup}
        return [reference.learning_rate_of_epoch(e, **told) for e in range(epochs)]

    np.testing.assert_allclose(rates(8, 0), np.multiply(right, rate), rtol=1e-15)
    np.testing.assert_allclose(rates(12, 4), [*warm, *np.multiply(right, rate)], rtol=1e-15)
    np.testing.assert_allclose(rates(3, 4), warm[:3], rtol=1e-15)


def test_learning_rates_far_out():
    told = {"learning_rate": 2.0, "epochs": 10**9, "rows": 10**9}

    def rate(epoch, **settings):
        return reference.learning_rate_of_epoch(epoch, **told, **settings)

    assert rate(5, schedule="adaptive", divisions=2) == pytest.approx(2 / 25, rel=1e-15)
    assert rate(5, schedule="adaptive", divisions=10**6) == 0
    assert rate(5, schedule="invscaling", power=1e300) == 0
    assert rate(0, schedule="invscaling", power=1e300) == 2
    assert rate(10**9 - 1, schedule="exponential") == 0
    assert rate(10**9 - 1, schedule="cosine", min_learning_rate=0.5) == 0.5


def test_rprop_holds_its_steps():
    """Between 1e-6 and 50, from the first step on, and a net that is lost shows it."""
    w, previous, steps = np.zeros(4), np.array([1.0, 1, 0, 1]), np.array([49, 1.5e-6, 1e3, 1])
    reference.rprop_step(w, np.array([2.0, -2.0, 2.0, np.nan]), previous, steps)
    assert steps.tolist() == [50, 1e-6, 50, 1]
    assert w[:3].tolist() == [-50, 0, -50] and np.isnan(w[3])
    reference.rprop_step(w, np.array([2.0, -2.0, -2.0, 0]), previous, steps)  # it forgot the turn
    assert steps[:3].tolist() == [50, 1e-6, 25] and w[:3].tolist() == [-100, 1e-6, -50]


# ------------------------------------------------------------------------------------- row weights

ROW_WEIGHTED = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.5, "l2": 0.1},
    "adam": {"optimizer": "adam", "learning_rate": 0.01, "clip_norm": 0.5},
    "rprop": {"optimizer": "rprop", "learning_rate": 0.01},
    "clipped": {"optimizer": "sgd", "learning_rate": 0.02, "clip_delta": 0.3},
}
row_weighted = pytest.mark.parametrize("settings", ROW_WEIGHTED.values(), ids=ROW_WEIGHTED)


@row_weighted
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pairs
def test_whole_weights_are_repeated_rows(output, loss, reduction, settings):
    p = random_problem("tanh", output, loss)
    w = np.array([1, 0, 3, 2, 1, 0, 2])
    told = {**settings, "reduction": reduction, "epochs": 15, "score": "r2"}
    told["validation"] = (p.X, p.y, w)
    history, final = train(p, row_weights=w, **told)
    for repeated in (w, w * (w > 0)):  # a row of weight 0 may as well not be there
        q = random_problem("tanh", output, loss)
        q.X, q.y = np.repeat(p.X, repeated, axis=0), np.repeat(p.y, repeated, axis=0)
        told["validation"] = (q.X, q.y)
        other, same = train(q, **told)
        assert relative_error(final, same) < 1e-9
        for name in ("losses", "val_losses", "scores"):
            np.testing.assert_allclose(getattr(history, name), getattr(other, name), rtol=1e-9)
    assert relative_error(final, [*p.weights, *p.biases]) > 1e-3


@row_weighted
def test_weights_of_one_are_no_weights(settings):
    p = random_problem("tanh", "softmax", "cross_entropy")
    told = {**settings, "epochs": 10, "batch_size": 3, "reduction": "mean"}
    ends = [train(p, row_weights=w, **told) for w in (None, np.ones(7))]
    np.testing.assert_allclose(ends[0][0].losses, ends[1][0].losses, rtol=1e-14)
    for a, b in zip(ends[0][1], ends[1][1], strict=True):
        assert np.array_equal(a, b)


# ------------------------------------------------------------------------------ the monitored loss

# One weight w from 0, one row x = 1 and y far above: with absolute_error each step adds the rate to
# w, and the loss of a validation row with target v is |w - v|.
WALK = {"output": "identity", "loss": "absolute_error", "learning_rate": 1.0}


def walk(epochs, y, v=None, **settings):
    weights = [np.zeros((1, 1))]
    one = np.ones((1, 1))
    if v is not None:
        settings["validation"] = one, one * v
    history = reference.train(one, one * y, weights, epochs=epochs, **{**WALK, **settings})
    return history, weights[0].item()


def test_the_validation_loss_is_that_after_the_epoch():
    history, w = walk(6, y=100, v=3)
    assert history.losses.tolist() == [100, 99, 98, 97, 96, 95]
    assert history.val_losses.tolist() == [2, 1, 0, 1, 2, 3]
    assert (w, history.epochs, history.status) == (6, 6, "finished")
    assert np.isnan(walk(6, y=100)[0].val_losses).all()


# patience and tolerance: epochs run, final w
STOPS = [
    (1, 0, 4, 3, "stopped"),
    (2, 0, 5, 3, "stopped"),
    (6, 0, 9, 3, "stopped"),
    (7, 0, 10, 3, "stopped"),  # in the last epoch of all
    (8, 0, 10, 3, "finished"),
    (2, 0.99, 5, 3, "stopped"),
    (2, 1, 3, 3, "stopped"),  # by 1 is not by more than 1, but it is lower
    (1, 1, 2, 2, "stopped"),
    (10, 5, 10, 3, "finished"),
]


@pytest.mark.parametrize("patience, tolerance, epochs, w, status", STOPS)
def test_patience(patience, tolerance, epochs, w, status):
    history, final = walk(10, y=100, v=3, patience=patience, tolerance=tolerance)
    assert (history.epochs, final, history.status) == (epochs, w, status)
    after = np.arange(10) >= epochs
    for record in (history.losses, history.val_losses, history.learning_rates):
        assert np.array_equal(np.isnan(record), after)


def test_patience_without_validation_watches_the_training_loss():
    """w goes to and fro between 0 and 1: the loss is 0.5 in each epoch, the lowest the first."""
    history, w = walk(10, y=0.5, patience=3)
    assert history.losses[:4].tolist() == [0.5] * 4
    assert (history.epochs, w, history.status) == (4, 1, "stopped")


def test_the_adaptive_rate():
    """Divided by 5 after the second epoch in a row without improvement, and then anew."""
    history, _ = walk(12, y=0.5, schedule="adaptive")
    rates = [1, 1, 1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.04, 0.04, 0.04, 0.04]
    np.testing.assert_allclose(history.learning_rates, rates, rtol=1e-15)
    losses = [0.5, 0.5, 0.5, 0.5, 0.3, 0.1, 0.1, 0.1, 0.1, 0.06, 0.02, 0.02]
    np.testing.assert_allclose(history.losses, losses, rtol=1e-12)
    history, _ = walk(7, y=100, v=-5, schedule="adaptive")  # it gets worse from the first epoch on
    np.testing.assert_allclose(history.learning_rates, [1, 1, 1, 0.2, 0.2, 0.04, 0.04], rtol=1e-15)


def test_the_adaptive_rate_and_patience_count_apart():
    history, w = walk(20, y=100, v=-5, schedule="adaptive", patience=6)
    np.testing.assert_allclose(history.learning_rates[:7], [1, 1, 1, 0.2, 0.2, 0.04, 0.04])
    assert (history.epochs, history.status, w) == (7, "stopped", 1)


def test_a_net_that_diverges_keeps_its_best_weights():
    """w is 1, -2, 4, -8, ... after each epoch, and in the end infinite."""
    one = np.ones((1, 1), "float32")
    told = {"output": "identity", "learning_rate": 3.0, "epochs": 500, "tolerance": 0.0}
    for patience, lowest in ((None, None), (400, 4)):
        weights = [one.copy() * -0.5]
        history = reference.train(one, one * 0, weights, validation=(one, one * 4.5),
                                  patience=patience, **told)  # fmt: skip
        assert history.status == "diverged" and np.isnan(history.losses[history.epochs])
        if patience:
            assert weights[0] == lowest
        else:
            assert abs(weights[0]) > 1e37


def test_a_net_that_diverges_at_once_keeps_its_initial_weights():
    one = np.ones((1, 1))
    weights = [one.copy()]
    history = reference.train(one, one, weights, epochs=3, output="exp", learning_rate=np.inf,
                              patience=2)  # fmt: skip
    assert (history.status, history.epochs, weights[0]) == ("diverged", 0, 1)


def test_a_loss_of_nan_is_no_improvement():
    history, w = walk(10, y=100, v=np.nan, patience=3)
    assert np.isnan(history.val_losses).all()
    assert (history.status, history.epochs) == ("stopped", 3)
    assert w == 3  # none was the lowest: the last weights stay


def test_batch_norms_go_back_with_their_net():
    """To the end of the epoch before, where it diverges; to the lowest loss, with patience."""
    p = random_problem("tanh", "identity", "squared_error", batch_norm=True)
    p.weights[0] *= 1e3
    told = {"learning_rate": 1e-3, "weight_decay": -1e6}  # weights grow a thousandfold a step
    history, final = train(p, "float32", epochs=50, **told)
    assert history.status == "diverged" and 3 < history.epochs < 20
    again, same = train(p, "float32", epochs=history.epochs, **told)
    assert again.status == "finished"
    for a, b in zip(final, same, strict=True):
        assert np.array_equal(a, b)
    p = random_problem("tanh", "identity", "squared_error", batch_norm=True)
    told = {"learning_rate": 0.05, "validation": (p.X, -p.y), "momentum": 0.9}
    history, final = train(p, epochs=40, patience=40, **told)
    best = int(history.val_losses.argmin())
    assert 0 < best < 39
    for a, b in zip(final, train(p, epochs=best + 1, **told)[1], strict=True):
        assert np.array_equal(a, b)


# ------------------------------------------------------------------------------------------ scores


def test_scores_by_hand():
    """R squared of 2 columns, the second one constant; accuracies; all of them weighted."""
    y, a = np.array([[1.0, 5], [2, 5], [6, 5]]), np.array([[1.0, 5], [3, 5], [5, 5]])
    assert reference.score(a, y, "r2") == pytest.approx((1 - 2 / 14 + 1) / 2)
    assert reference.score(a + [0, 1], y, "r2") == pytest.approx((1 - 2 / 14) / 2)
    assert reference.score(a, y, "r2", [2, 1, 0]) == pytest.approx((1 - 1 / (2 / 3) + 1) / 2)
    assert np.isnan(reference.score(a, y * 1e200, "r2"))
    one = np.array([[0.5], [0.6], [0.4]])
    assert reference.score(one, np.array([[0], [0], [0]]), "sides") == 2 / 3
    assert reference.score(one, np.array([[0], [1], [1]]), "sides", [3, 1, 4]) == 0.5
    three = np.array([[0.2, 0.3, 0.5], [0.5, 0.5, 0], [0.9, 0.1, 0]])
    y = np.array([[0, 0, 1], [0, 1, 0], [0.4, 0.6, 0]])
    assert reference.score(three, y, "largest") == 1 / 3  # of two that are equal, the first
    assert reference.score(three, y, "largest", [1, 3, 0]) == 0.25
    assert reference.score(three, y, "sides", [1, 1, 6]) == 0


@pytest.mark.parametrize("kind", ["largest", "sides", "r2"])
def test_scores_of_a_run(kind):
    """Running ones of the training rows, by the outputs before each step; or validation's."""
    p = random_problem("tanh", "softmax", "cross_entropy", batch_norm=True)
    p.y = np.eye(3)[[0, 1, 2, 0, 1, 2, 0]]
    w = np.arange(1.0, 8)
    told = {"learning_rate": 0.01, "optimizer": "adam", "row_weights": w, "score": kind}
    history, final = train(p, epochs=2, **told)
    norms = [reference.BatchNorm(*final[6:10]), reference.BatchNorm(*final[10:])]
    outputs = reference.propagate(
        p.X, p.weights, p.biases, **p.network, batch_norms=p.norms, training=True
    )[1][-1]
    assert history.scores[0] == reference.score(outputs, p.y, kind, w)
    history, _ = train(p, epochs=2, **told, validation=(p.X[:4], p.y[:4], w[:4]))
    net = {"weights": final[:3], "biases": final[3:6], "batch_norms": norms, **p.network}
    outputs = reference.forward(p.X[:4], **net)[-1]
    assert history.scores[-1] == reference.score(outputs, p.y[:4], kind, w[:4])
    evaluated = reference.evaluate(p.X[:4], p.y[:4], w[:4], **net, loss="cross_entropy", score=kind)
    assert evaluated == (history.val_losses[-1], history.scores[-1])


# ------------------------------------------------------------------------- batch norm in prediction


@activations
def test_prediction_normalises_by_the_running_statistics(activation):
    p = random_problem(activation, "identity", "squared_error", batch_norm=True)
    a = p.X
    for k, norm in enumerate(p.norms):
        z = (a @ p.weights[k] + p.biases[k] - norm.mean) / np.sqrt(norm.variance + 1e-5)
        a = reference.ACTIVATIONS[activation][0](z * norm.scale + norm.shift)
    right = a @ p.weights[2] + p.biases[2]
    got = reference.forward(p.X, p.weights, p.biases, **p.network, batch_norms=p.norms)[-1]
    np.testing.assert_allclose(got, right, rtol=1e-12)
    alone = reference.forward(p.X[:1], p.weights, p.biases, **p.network, batch_norms=p.norms)[-1]
    np.testing.assert_allclose(alone, right[:1], rtol=1e-12)  # whatever rows are beside it
