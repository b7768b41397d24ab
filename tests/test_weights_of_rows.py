"""sample_weight and class_weight: what weighted rows stand for; and nets that are the same net."""

import numpy as np
import oracle
import pytest
from sklearn.metrics import accuracy_score, r2_score

import shoal
from shoal.inputs.sample_weights import split_rows

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

generator = np.random.default_rng(0)
X = generator.normal(size=(24, 3))
NUMBERS = np.sin(X[:, :2]) + 0.1 * generator.normal(size=(24, 2))
LABELS = np.array(["cat", "cow", "dog"])[np.arange(24) % 8 // 3]
WHOLE = generator.integers(0, 4, 24)  # weights
SOME = generator.choice([0.25, 0.5, 1.0, 3.0], 24)
BASE = {"hidden": (5, 4), "activation": "tanh", "learning_rate": 0.02, "epochs": 30}
TARGETS = {"numbers": NUMBERS, "labels": LABELS}
targets = pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)


def assert_near(model, other, tolerance=1e-9):
    pairs = zip(model.weights + model.biases, other.weights + other.biases, strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())
    for name in ("loss", "score", "learning_rate"):
        ours, right = getattr(model.history, name), getattr(other.history, name)
        np.testing.assert_allclose(ours, right, rtol=10 * tolerance, atol=10 * tolerance)
    for name in ("loss", "score"):
        assert model.results[name] == pytest.approx(other.results[name], rel=10 * tolerance)


# ------------------------------------------------------------------------------- what they mean


@targets
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"reduction": "sum", "learning_rate": 0.001},
        {"clip_delta": 0.1, "clip_norm": 0.05},
        {"l1": 0.01, "l2": 0.01, "patience": 5, "tolerance": 0.0},
    ],
)
def test_whole_weights_are_repeated_rows(y, optimizer, more):
    settings = {**BASE, "batch_size": None, "optimizer": optimizer, **more}
    model = shoal.fit(X, y, sample_weight=WHOLE, **settings)
    again = shoal.fit(np.repeat(X, WHOLE, axis=0), np.repeat(y, WHOLE, axis=0), **settings)
    assert_near(model, again)
    assert model.status == again.status and model.results["epochs"] == again.results["epochs"]


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "squared_error"])
def test_whole_weights_are_repeated_rows_of_every_loss(loss):
    settings = {**BASE, "batch_size": None, "loss": loss, "quantile": 0.7, "huber_delta": 0.1}
    model = shoal.fit(X, NUMBERS, sample_weight=WHOLE, **settings)
    again = shoal.fit(np.repeat(X, WHOLE, axis=0), np.repeat(NUMBERS, WHOLE, axis=0), **settings)
    assert_near(model, again)


@dtypes
@targets
@pytest.mark.parametrize("batch_size", [None, 25])
def test_a_row_of_weight_zero_changes_nothing(y, batch_size, dtype):
    """Not a bit where it is the last row of the order, in which +0 is added to each sum."""
    settings = {**BASE, "batch_size": batch_size, "shuffle": False}
    rows = X.astype(dtype)
    model = shoal.fit(rows, y, sample_weight=SOME, **settings)
    more = np.append(rows, 9 + rows[:1], axis=0), np.append(y, y[:1], axis=0)
    last = shoal.fit(*more, sample_weight=np.append(SOME, 0), **settings)
    oracle.assert_same_bits(last, model)
    first = shoal.fit(*(np.roll(a, 1, axis=0) for a in more),
                      sample_weight=np.append(0, SOME), **settings)  # fmt: skip
    assert_near(first, model, {"float32": 1e-4, "float64": 1e-11}[dtype])


@dtypes
@targets
def test_batches_of_weight_zero_change_nothing(y, dtype):
    """Whole batches of them do not step, where sgd keeps nothing from step to step."""
    settings = {**BASE, "batch_size": 8, "shuffle": False, "optimizer": "sgd"}
    rows, weights = X.astype(dtype), np.append(np.zeros(8), SOME[8:])
    model = shoal.fit(rows, y, sample_weight=weights, **settings)
    again = shoal.fit(rows[8:], y[8:], sample_weight=SOME[8:], **settings)
    assert oracle.same_bits(model.weights, again.weights)
    assert oracle.same_bits(model.biases, again.biases)
    assert oracle.same_bits(model.history.loss, again.history.loss)


@dtypes
@pytest.mark.parametrize("weight", [1, 1.0, True, np.float32(1)])
def test_weights_of_one_are_none(weight, dtype):
    settings = {**BASE, "batch_size": 7, "validation": 0.25, "patience": 9}
    rows = X.astype(dtype)
    model = shoal.fit(rows, LABELS, sample_weight=np.full(24, weight), **settings)
    oracle.assert_same_bits(model, shoal.fit(rows, LABELS, **settings))


def test_the_scale_of_weights_does_not_matter_to_a_mean():
    settings = {**BASE, "batch_size": 7, "validation": 0.25}
    model = shoal.fit(X, NUMBERS, sample_weight=SOME, **settings)
    larger = shoal.fit(X, NUMBERS, sample_weight=1024 * SOME, **settings)
    oracle.assert_same_bits(larger, model)  # a power of two


# ------------------------------------------------------------------------------ weights of classes

OF_CLASS = {"dog": 3.0, "cat": 0.25}  # of cows 1


@dtypes
@pytest.mark.parametrize("sample_weight", [None, SOME])
@pytest.mark.parametrize("batch_size", [None, 7])
def test_class_weights_are_the_sample_weights_they_stand_for(batch_size, sample_weight, dtype):
    settings = {**BASE, "batch_size": batch_size, "validation": None}
    rows, own = X.astype(dtype), np.ones(24) if sample_weight is None else sample_weight
    of_rows = np.array([OF_CLASS.get(label, 1.0) for label in LABELS.tolist()])
    labels, counts = np.unique(LABELS, return_inverse=True)
    sums = np.bincount(counts, own)
    balanced = (own.sum() / (3 * sums))[counts]
    for class_weight, stands_for in ((OF_CLASS, of_rows), ("balanced", balanced)):
        model = shoal.fit(
            rows, LABELS, class_weight=class_weight, sample_weight=sample_weight, **settings
        )
        same = shoal.fit(rows, LABELS, sample_weight=stands_for * own, **settings)
        if class_weight == "balanced" and dtype == "float32":
            np.testing.assert_allclose(model.history.loss, same.history.loss, rtol=1e-5)
        else:
            assert oracle.same_bits(model.weights, same.weights)
            assert oracle.same_bits(model.biases, same.biases)
            assert oracle.same_bits(model.history.loss, same.history.loss)
            assert oracle.same_bits(model.history.score, same.history.score)
        # of the table, the score is that of the rows as they are sampled
        right = accuracy_score(LABELS, model.predict(rows), sample_weight=sample_weight)
        assert model.results["score"] == pytest.approx(right, rel=1e-6)
    assert sums.sum() == pytest.approx(own.sum())


def test_balanced_of_balanced_rows_is_none():
    y = np.arange(24) % 4
    settings = {**BASE, "batch_size": 5}
    model = shoal.fit(X, y, class_weight="balanced", **settings)
    oracle.assert_same_bits(model, shoal.fit(X, y, **settings))


@dtypes
def test_a_sweep_may_vary_class_weights(dtype):
    rows = X.astype(dtype)
    candidates = [None, "balanced", OF_CLASS, {"cow": 0.0}, {}]
    settings = {**BASE, "batch_size": 7, "validation": 0.25}
    grid = {"class_weight": candidates, "seed": range(5)}
    sweep = shoal.sweep(rows, LABELS, grid, sample_weight=SOME, **settings)
    for i, model in enumerate(sweep):
        told = {"class_weight": candidates[i // 5], "seed": i % 5}
        alone = shoal.fit(rows, LABELS, sample_weight=SOME, **settings, **told)
        oracle.assert_same_bits(model, alone)
        assert model.settings == alone.settings
    column = sweep.results["class_weight"]
    assert column[0] is None and column[5] == "balanced"
    assert dict(column[10]) == OF_CLASS and dict(column[15]) == {"cow": 0.0}
    assert oracle.same_bits(sweep[0].weights, sweep[20].weights)  # no weights are ones
    assert "class_weight" in repr(sweep)


def test_class_weights_are_not_of_validation_rows():
    more = (X[:9] + 0.5, LABELS[:9])
    settings = {**BASE, "class_weight": OF_CLASS, "validation": more, "record_every": 1}
    model = shoal.fit(X, LABELS, sample_weight=SOME, **settings)
    column = np.searchsorted(model.classes, more[1])
    losses = -np.log(model.predict_proba(more[0])[np.arange(9), column])
    assert model.history.val_loss[-1] == pytest.approx(losses.mean(), rel=1e-9)
    assert model.results["val_loss"] == pytest.approx(losses.mean(), rel=1e-9)
    right = accuracy_score(more[1], model.predict(more[0]))
    assert model.history.score[-1] == model.results["score"] == right


# ----------------------------------------------------------------------------- losses and scores


def test_losses_and_scores_are_weighted():
    """Of a net that does not learn, so that all epochs see the same outputs."""
    settings = {**BASE, "batch_size": 7, "epochs": 2, "learning_rate": 0.0}
    of_rows = np.array([OF_CLASS.get(label, 1.0) for label in LABELS.tolist()])
    model = shoal.fit(X, NUMBERS, sample_weight=SOME, **settings)
    outputs = model(X)
    losses = (0.5 * (outputs - NUMBERS) ** 2).sum(axis=1)
    right = np.average(losses, weights=SOME)
    np.testing.assert_allclose(model.history.loss, right, rtol=1e-12)
    score = r2_score(NUMBERS, outputs, sample_weight=SOME)
    np.testing.assert_allclose(model.history.score, score, rtol=1e-9)
    assert model.results["score"] == pytest.approx(score, rel=1e-9)

    model = shoal.fit(X, LABELS, sample_weight=SOME, class_weight=OF_CLASS, **settings)
    column = np.searchsorted(model.classes, LABELS)
    losses = -np.log(model.predict_proba(X)[np.arange(24), column])
    right = np.average(losses, weights=SOME * of_rows)
    np.testing.assert_allclose(model.history.loss, right, rtol=1e-12)
    hits = model.predict(X) == LABELS
    assert 0 < hits.mean() < 1
    right = np.average(hits, weights=SOME * of_rows)
    np.testing.assert_allclose(model.history.score, right, rtol=1e-12)
    assert model.results["score"] == pytest.approx(np.average(hits, weights=SOME), rel=1e-12)


@targets
def test_a_fraction_takes_its_rows_weights_along(y):
    settings = {**BASE, "batch_size": 7, "epochs": 3, "record_every": 1, "validation": 0.3}
    if y is LABELS:
        settings["class_weight"] = OF_CLASS
    model = shoal.fit(X, y, sample_weight=SOME, **settings)
    training, rest = split_rows(model.target, y, 0.3, 24)
    outputs, weights = model(X[rest]), SOME[rest]
    if y is LABELS:
        column = np.searchsorted(model.classes, y[rest])
        losses = -np.log(model.predict_proba(X[rest])[np.arange(len(rest)), column])
        score = np.average(model.predict(X[rest]) == y[rest], weights=weights)
    else:
        losses = (0.5 * (outputs - y[rest]) ** 2).sum(axis=1)
        score = r2_score(y[rest], outputs, sample_weight=weights)
    loss = np.average(losses, weights=weights)
    for found in (model.history.val_loss[-1], model.results["val_loss"]):
        assert found == pytest.approx(loss, rel=1e-11)
    for found in (model.history.score[-1], model.results["score"]):
        assert found == pytest.approx(score, rel=1e-9)
    del settings["validation"]
    alone = shoal.fit(X[training], y[training], sample_weight=SOME[training], **settings)
    assert oracle.same_bits(model.weights, alone.weights)
    assert oracle.same_bits(model.history.loss, alone.history.loss)


# --------------------------------------------------------------------------------- the same net


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adagrad", "rprop"])
def test_permuted_units_are_the_same_net(optimizer):
    # a large epsilon: g / sqrt(v) makes much of the rounding of a gradient near 0
    settings = {"optimizer": optimizer, "learning_rate": 0.01, "epochs": 50, "l2": 0.01,
                "epsilon": 0.1, "activation": ["tanh", "silu"], "output": "identity"}  # fmt: skip
    random = np.random.default_rng(1)
    weights = [random.normal(size=s) / 2 for s in ((3, 6), (6, 5), (5, 2))]
    biases = [random.normal(size=s) / 2 for s in (6, 5, 2)]
    p, q = random.permutation(6), random.permutation(5)

    def permuted(weights, biases):
        (a, b, c), (u, v, w) = weights, biases
        return [a[:, p], b[np.ix_(p, q)], c[q]], [u[p], v[q], w.copy()]

    others, their_biases = ([np.array(a) for a in arrays] for arrays in permuted(weights, biases))
    history = shoal.train(X, NUMBERS, weights, biases=biases, **settings)
    other = shoal.train(X, NUMBERS, others, biases=their_biases, **settings)
    for a, b in zip(permuted(weights, biases), (others, their_biases), strict=True):
        for ours, right in zip(a, b, strict=True):
            np.testing.assert_allclose(ours, right, rtol=0, atol=1e-9 * np.abs(right).max())
    np.testing.assert_allclose(history.loss, other.loss, rtol=1e-9)


@dtypes
@pytest.mark.parametrize("order", [{"batch_size": None}, {"shuffle_seed": 1}, {}])
def test_duplicates_are_equal_to_the_bit(order, dtype):
    one = {"dropout": 0.2, "patience": 4, "batch_size": 7, **order}
    seeds = [3, *range(4, 21), 3, *range(21, 40), 3]
    settings = {**BASE, **one, "batch_norm": True, "validation": 0.25, "schedule": "adaptive"}
    sweep = shoal.sweep(X.astype(dtype), LABELS, {"seed": seeds}, sample_weight=SOME, **settings)
    first = sweep[0]
    for i in (18, 38):
        oracle.assert_same_bits(sweep[i], first)
        for name in ("loss", "score", "val_loss", "epochs"):
            assert sweep[i].results[name] == first.results[name]
