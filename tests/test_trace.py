"""trace=: what all rows and all layers looked like after some epochs of a training."""

import numpy as np
import oracle
import pytest

import shoal
from shoal import reference
from shoal.inputs.sample_weights import split_rows
from shoal.kernels.launching import parallel

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
NEAR = {"float32": 2e-5, "float64": 1e-12}

generator = np.random.default_rng(0)
X = generator.normal(size=(20, 3))
NUMBERS = generator.uniform(size=(20, 2))
LABELS = generator.integers(0, 3, 20)
SAMPLE_WEIGHT = generator.choice([0.0, 0.5, 1.0, 3.0], 20)


def near(found, right, dtype, also=0.0):
    tolerance = NEAR[dtype] * np.abs(right).max() + also
    np.testing.assert_allclose(found, right, rtol=0, atol=tolerance)


# ------------------------------------------------------------------------ the net of that moment


@dtypes
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"batch_size": 7, "dropout": [0.1, 0.2, 0.3], "schedule": "exponential"},
        {"batch_size": None, "optimizer": "rprop"},
        {"bias": False, "hidden": (), "shuffle": False},
        {"batch_size": 7, "batch_norm": True},
        {"batch_size": 7, "validation": 0.2, "patience": 2, "tolerance": 0.0, "hidden": 4},
        {"y": LABELS, "class_weight": "balanced", "activation": ["tanh", "gelu"]},
    ],
)
def test_weights_and_outputs_are_those_of_a_run_so_long(more, dtype):
    settings = {"hidden": (5, 4), "learning_rate": 0.02, "progress": False} | more
    rows, y = X.astype(dtype), settings.pop("y", NUMBERS)
    model = shoal.fit(rows, y, epochs=9, trace=[9, 0, np.int64(4), 1, 4], **settings)
    untraced = shoal.fit(rows, y, epochs=9, **settings)
    oracle.assert_same_bits(model, untraced)
    assert untraced.history.trace == ()
    assert [trace.epoch for trace in model.history.trace] == [0, 1, 4, 9]
    settings.pop("patience", None)  # whose nets end with their best weights, not the last ones
    for trace in model.history.trace:
        other = shoal.fit(rows, y, epochs=trace.epoch, **settings)
        assert oracle.same_bits(trace.weights, other.weights)
        assert oracle.same_bits(trace.biases, other.biases)
        n = 16 if "validation" in settings else 20
        for arrays in (trace.outputs, trace.errors, trace.deltas):
            assert [a.shape for a in arrays] == [(n, w.shape[1]) for w in other.weights]
            assert {a.dtype for a in arrays} == {np.dtype(dtype)}
        if n == 20 and other.batch_norm is None:
            near(trace.outputs[-1], other(rows), dtype)


@dtypes
def test_train_is_traced_as_fit_is(dtype):
    rows, names = X.astype(dtype), ("learning_rate", "optimizer", "batch_size", "shuffle")
    model = shoal.fit(rows, NUMBERS, hidden=4, epochs=6, trace=[0, 3, 6], bias=True)
    weights, biases = reference.initial_weights((3, 4, 2), "auto", 0, dtype, ["relu"])
    history = shoal.train(
        rows, NUMBERS, weights, biases=biases, epochs=6, trace=range(0, 7, 3), activation="relu",
        output="identity", reduction="mean", seed=0, **{n: model.settings[n] for n in names},
    )  # fmt: skip
    assert len(history.trace) == 3
    for ours, right in zip(history.trace, model.history.trace, strict=True):
        assert ours.epoch == right.epoch
        for a, b in zip(ours[1:], right[1:], strict=True):
            assert oracle.same_bits(a, b)
    assert oracle.same_bits(history.trace[-1].weights, weights)
    weights[0][...] = 7  # traces are copies
    assert not (history.trace[-1].weights[0] == 7).any()


# ----------------------------------------------------------------------------- forward and back


def test_the_tutorial_s_own_lines():
    """It adds its steps, so its errors have the other sign."""
    X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    y = np.array([[0, 1, 1, 0]]).T
    np.random.seed(1)
    syn0 = 2 * np.random.random((3, 4)) - 1
    syn1 = 2 * np.random.random((4, 1)) - 1
    mine, epochs = [syn0.copy(), syn1.copy()], [0, 1, 50, 1000]
    history = shoal.train(X, y, mine, epochs=1001, trace=epochs)
    for j in range(1001):
        l1 = 1 / (1 + np.exp(-(np.dot(X, syn0))))
        l2 = 1 / (1 + np.exp(-(np.dot(l1, syn1))))
        l2_error = y - l2
        l2_delta = l2_error * (l2 * (1 - l2))
        l1_error = l2_delta.dot(syn1.T)
        l1_delta = l1_error * (l1 * (1 - l1))
        if j in epochs:
            trace = history.trace[epochs.index(j)]
            for found, right in (
                (trace.weights, [syn0, syn1]),
                (trace.outputs, [l1, l2]),
                (trace.errors, [-l1_error, -l2_error]),
                (trace.deltas, [-l1_delta, -l2_delta]),
            ):
                for a, b in zip(found, right, strict=True):
                    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
            assert trace.biases is None
        syn1 += l1.T.dot(l2_delta)
        syn0 += X.T.dot(l1_delta)


@dtypes
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"reduction": "sum", "learning_rate": 0.002},
        {"loss": "huber", "huber_delta": 0.2},
        {"loss": "quantile", "quantile": 0.8},
        {"loss": "poisson", "output": "auto"},
        {"output": "softmax", "loss": "absolute_error"},
        {"output": "exp"},
        {"clip_delta": 0.05},
        {"batch_norm": True, "clip_delta": 0.05},
        {"sample_weight": SAMPLE_WEIGHT, "clip_delta": 0.05},
        {"sample_weight": SAMPLE_WEIGHT, "reduction": "sum", "learning_rate": 0.002},
        {"y": LABELS, "sample_weight": SAMPLE_WEIGHT, "class_weight": {0: 3.0, 2: 0.5}},
        {"y": LABELS, "batch_norm": True, "class_weight": "balanced"},
        {"validation": 0.2},
    ],
)
def test_the_steps_of_sgd_are_inputs_times_deltas(more, dtype):
    settings = {
        "hidden": (5, 4), "activation": "tanh", "optimizer": "sgd", "learning_rate": 0.05,
        "batch_size": None, "reduction": "mean",
    } | more  # fmt: skip
    rows, y = X.astype(dtype), settings.pop("y", NUMBERS)
    model = shoal.fit(rows, y, epochs=4, trace=range(5), **settings)
    inputs, scale = rows, 20
    if "validation" in settings:
        training, _ = split_rows(model.target, y, 0.2, 20)
        inputs, scale = rows[training], 16
    if "sample_weight" in settings:
        weights = SAMPLE_WEIGHT
        if "class_weight" in settings:
            weights = weights * np.array([3.0, 1.0, 0.5])[y]
        scale = weights.sum()
    rate = settings["learning_rate"] / (1 if settings["reduction"] == "sum" else scale)
    rounded = 4 * np.finfo(dtype).eps  # of parameters below 2, whose differences are looked at
    for before, after in zip(model.history.trace[:-1], model.history.trace[1:], strict=True):
        assert after.epoch == before.epoch + 1
        layers = [inputs, *before.outputs[:-1]]
        for k, delta in enumerate(before.deltas):
            change = after.weights[k] - before.weights[k]
            near(-rate * layers[k].T @ delta, change, dtype, rounded)
            if k == 2 or not model.settings["batch_norm"]:  # there biases come to nothing
                change = after.biases[k] - before.biases[k]
                near(-rate * delta.sum(axis=0), change, dtype, rounded)
    assert np.abs(after.weights[0] - model.history.trace[0].weights[0]).max() > 1e-4


def test_clipped_deltas_stay_within_the_limit():
    limit = 0.01 * SAMPLE_WEIGHT[:, np.newaxis]
    model = shoal.fit(
        X, NUMBERS, hidden=(5, 4), clip_delta=0.01, sample_weight=SAMPLE_WEIGHT, epochs=1, trace=0
    )
    for delta in model.history.trace[0].deltas:
        assert (np.abs(delta) <= limit * (1 + 1e-12)).all()
        assert (np.abs(delta) == limit).any()


# ------------------------------------------------------------------------- how the training ends


@pytest.mark.parametrize("name", ["patience", "learning_rate"])
def test_epochs_behind_the_end_are_absent(name):
    more = {"patience": {"patience": 3, "tolerance": 0.05}, "learning_rate": {"learning_rate": 9.0}}
    settings = {"hidden": 4, "optimizer": "sgd", "activation": "identity", **more[name]}
    end = shoal.fit(X, NUMBERS, epochs=60, **settings).resume.epochs
    assert 3 < end < 50
    model = shoal.fit(X, NUMBERS, epochs=60, trace=[0, 2, end - 1, end, end + 1, 60], **settings)
    assert model.status == ("stopped" if name == "patience" else "diverged")
    assert [trace.epoch for trace in model.history.trace] == [0, 2, end - 1, end]
    assert all(np.isfinite(w).all() for t in model.history.trace for w in t.weights)
    assert oracle.same_bits(
        model.history.trace[-1].weights,
        shoal.fit(X, NUMBERS, epochs=end, **settings | {"patience": None}).weights,
    )


@dtypes
@pytest.mark.parametrize("activation", ["elu", "selu", "gelu", "silu", "softplus", "sigmoid"])
@pytest.mark.parametrize("output, loss", [("exp", "poisson"), ("identity", "squared_error")])
def test_a_net_that_is_about_to_diverge_is_traced_in_silence(activation, output, loss, dtype):
    weights = [np.full(s, np.finfo(dtype).max / 4, dtype) for s in ((3, 4), (4, 2))]
    history = shoal.train(
        X, NUMBERS, weights, epochs=3, trace=[0, 3], activation=activation, output=output, loss=loss
    )
    assert history.trace[0].epoch == 0


def test_no_epochs():
    model = shoal.fit(X, NUMBERS, hidden=4, epochs=0, trace=0)
    assert oracle.same_bits(model.history.trace[0].weights, model.weights)
    assert shoal.fit(X, NUMBERS, hidden=4, epochs=2, trace=[]).history.trace == ()
    assert shoal.fit(X, NUMBERS, hidden=4, epochs=2, trace=None).history.trace == ()


def test_what_was_traced_while_ctrl_c_ends_train(monkeypatch):
    weights, same = ([np.full((3, 2), 0.1)] for _ in range(2))

    def strike(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(reference, "look", strike)
    with pytest.raises(KeyboardInterrupt):
        shoal.train(X, NUMBERS, weights, epochs=9, trace=4)
    monkeypatch.undo()
    shoal.train(X, NUMBERS, same, epochs=4)
    assert oracle.same_bits(weights, same)


@pytest.mark.parametrize(
    ("trace", "error"),
    [
        (-1, ValueError),
        (6, ValueError),
        ([0, 6], ValueError),
        (2**70, ValueError),
        (1.0, TypeError),
        (True, TypeError),
        ("all", TypeError),
        ([1, None], TypeError),
        ([[1]], TypeError),
        (np.array([1.0]), TypeError),
        (np.array([[1]]), TypeError),
        ({1}, TypeError),
    ],
)
@pytest.mark.parametrize("caller", ["fit", "train"])
def test_bad_epochs_are_one_sentence(caller, trace, error, monkeypatch):
    monkeypatch.setattr(parallel, "launch", None)  # nothing is launched
    weights = [np.ones((3, 2))]
    with pytest.raises(error) as caught:
        if caller == "fit":
            shoal.fit(X, NUMBERS, epochs=5, trace=trace)
        else:
            shoal.train(X, NUMBERS, weights, epochs=5, trace=trace)
    said = str(caught.value)
    assert said.startswith("trace = ") and "\n" not in said
    assert said.endswith(
        " must be whole numbers of epochs from 0 (before the first) to 5 (after the last)"
    )
    assert (weights[0] == 1).all()


def test_a_sweep_is_not_traced():
    with pytest.raises(TypeError, match="^trace = 3 is no setting"):
        shoal.sweep(X, NUMBERS, {"seed": [1]}, trace=3)
