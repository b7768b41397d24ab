"""fit(..., warm_start=model): two trainings have the bits of one as long, whatever was set."""

import json

import numpy as np
import oracle
import pytest
from launches import set_seconds, stop_after
from safetensors import safe_open
from safetensors.numpy import save_file

import shoal
from shoal.kernels.launching import parallel
from shoal.model import _checksum

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

generator = np.random.default_rng(0)
X = generator.normal(size=(30, 3))
NUMBERS = np.sin(X[:, :2]) + 0.1 * generator.normal(size=(30, 2))
LABELS = np.array(["cat", "dog", "cow"])[generator.integers(0, 3, 30)]
SAMPLE_WEIGHT = generator.choice([0.0, 0.5, 1.0, 3.0], 30)
PAIR = (generator.normal(size=(9, 3)), generator.normal(size=(9, 2)))

SGD = {"optimizer": "sgd", "learning_rate": 0.05}
CASES = {
    **{name: {"optimizer": name} for name in ("sgd", "rmsprop", "adagrad", "adam")},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "rprop": {"optimizer": "rprop", "batch_size": None},
    "momentum": {**SGD, "momentum": 0.9},
    "nesterov": {**SGD, "momentum": 0.9, "nesterov": True},
    "step": {"schedule": "step", "step_size": 7},
    "exponential": {"schedule": "exponential"},
    "invscaling": {"schedule": "invscaling"},
    "adaptive": {"schedule": "adaptive", "learning_rate": 0.1},
    "adaptive, tolerant": {"schedule": "adaptive", "tolerance": 0.1},  # each 2 epochs
    "warm-up": {"warmup_epochs": 30, "schedule": "adaptive", "tolerance": 0.1},
    "dropout": {"dropout": 0.3},
    "dropout of the inputs": {"dropout": [0.2, 0.0, 0.5]},
    "batch norm": {"batch_norm": True},
    "penalties": {"l1": 0.01, "l2": 0.01, "clip_delta": 0.1, "clip_norm": 0.5},
    "sample weights": {"sample_weight": SAMPLE_WEIGHT, "reduction": "sum"},
    "a fraction": {"validation": 0.3, "sample_weight": SAMPLE_WEIGHT},
    "a pair": {"validation": PAIR, "patience": 50},
    "patience": {"patience": 50, "batch_norm": True},
    "stopped before": {"patience": 3, "tolerance": 0.05},
    "stopped behind": {"patience": 12, "tolerance": 0.2},
    "no shuffle": {"shuffle": False},
    "full batch": {"batch_size": None, "clip_norm": 0.5},
    "their own order": {"shuffle_seed": 7},
    "no bias": {"bias": False, "hidden": ()},
    "labels": {"y": LABELS, "class_weight": "balanced", "validation": 0.3, "patience": 5},
    "diverging": {**SGD, "learning_rate": 3.0, "activation": "identity"},
    "diverging with patience": {
        **SGD, "learning_rate": 3.0, "activation": "identity", "patience": 50, "batch_norm": True,
    },
}  # fmt: skip


def fit(dtype="float64", epochs=20, **settings):
    y = settings.pop("y", NUMBERS)
    given = {"hidden": (5, 4), "batch_size": 8, "learning_rate": 0.01} | settings
    if "warm_start" in given:  # nothing but what it cannot know
        given = {name: settings[name] for name in settings if name in NOT_REMEMBERED}
    return shoal.fit(X.astype(dtype), y, epochs=epochs, progress=False, **given)


NOT_REMEMBERED = ("warm_start", "sample_weight", "validation")


def assert_same(model, longer):
    """All that is known of a net, but the seconds."""
    oracle.assert_same_bits(model, longer)
    assert oracle.same_bits(model.history.epoch, longer.history.epoch)
    assert model.settings | {"epochs": 0} == longer.settings | {"epochs": 0}
    for name in ("loss", "score", "val_loss", "epochs", "status"):
        np.testing.assert_array_equal(model.results[name], longer.results[name], name)
    assert model.resume.epochs == longer.resume.epochs
    for name, ours, right in zip(model.resume._fields, model.resume, longer.resume, strict=True):
        if name != "epochs":
            assert oracle.same_bits(ours, right), name


# ------------------------------------------------------------------------ the bits of one training


@dtypes
@pytest.mark.parametrize("case", CASES)
def test_two_trainings_have_the_bits_of_one(case, dtype):
    settings = CASES[case]
    longer = fit(dtype, 40, **settings)
    first = fit(dtype, 20, **settings)
    model = fit(dtype, 20, warm_start=first, **settings)
    if longer.resume.epochs == 40 or "stopped" in case:
        assert (longer.status == "stopped") == ("stopped" in case)
    if case == "stopped before":
        assert longer.resume.epochs < 20
    elif "stopped behind" in case or "diverging" in case:
        assert longer.resume.epochs not in (20, 40)
    if longer.resume.epochs < 20:  # which is where the second training was to begin
        end = longer.resume.epochs + 20
        assert model.history.epoch.tolist() == list(range(1, end + 1))
        assert np.isnan(longer.history.loss[end - 20 :]).all()
        longer.history = longer.history.until(end)
    assert_same(model, longer)


@dtypes
def test_three_parts_through_files_and_a_sweep(tmp_path, dtype):
    settings = {
        "schedule": "adaptive", "tolerance": 0.01, "dropout": 0.2, "batch_norm": True,
        "patience": 200, "validation": 0.25, "learning_rate": 0.02, "batch_size": 8,
        "hidden": (5, 4), "class_weight": {"cat": 2, "cow": 0.5},
    }  # fmt: skip
    rows = X.astype(dtype)
    longer = shoal.sweep(rows, LABELS, {"seed": range(21)}, epochs=100, **settings)
    some = shoal.sweep(rows, LABELS, {"seed": range(21)}, epochs=50, **settings)
    for k in (0, 3, 20):
        path = tmp_path / "model"
        some[k].save(path)
        model = shoal.fit(rows, LABELS, warm_start=shoal.load(path), epochs=30)
        model.save(path)
        model = shoal.fit(rows, LABELS, warm_start=shoal.load(path), epochs=20)
        assert model.results["epochs"] == model.resume.epochs == 100
        assert_same(model, longer[k])
    with pytest.raises(TypeError, match=r"warm_start = Sweep\(21 .* must be a Model, or None"):
        shoal.fit(rows, LABELS, warm_start=some)


@pytest.mark.parametrize("parts", [(40, 0), (0, 40), (1, 39), (39, 1), (0, 13, 0, 27)])
def test_parts_of_any_length(parts):
    settings = {"patience": 30, "schedule": "exponential", "dropout": 0.1}
    longer = fit(epochs=40, **settings)
    model = fit(epochs=parts[0], **settings)
    for epochs in parts[1:]:
        model = fit(epochs=epochs, warm_start=model)
    assert_same(model, longer)


def test_records_of_each_part_stay():
    longer = fit(epochs=40, record_every=1)
    model = fit(epochs=15, record_every=6)
    model = fit(epochs=25, warm_start=model)
    assert model.history.epoch.tolist() == [1, 7, 13, 15, 19, 25, 31, 37, 40]
    assert oracle.same_bits(model.history.loss, longer.history.loss[model.history.epoch - 1])
    assert model.results["loss"] == longer.results["loss"]
    assert oracle.same_bits(model.weights, longer.weights)
    # one stopped between two records; its last loss is told, though its own part has none
    settings = {"patience": 3, "tolerance": 0.05}
    whole = fit(epochs=40, record_every=1, **settings)
    stop = whole.resume.epochs
    model = fit(epochs=stop - 1, record_every=1000, **settings)
    model = fit(epochs=20, warm_start=model)
    assert model.status == "stopped" and model.results["epochs"] == stop
    assert model.results["loss"] == whole.history.loss[stop - 2]
    assert oracle.same_bits(model.weights, whole.weights)


def test_traces_are_of_both_parts():
    longer = shoal.fit(X, NUMBERS, hidden=4, epochs=10, trace=[2, 5, 9])
    model = shoal.fit(X, NUMBERS, hidden=4, epochs=5, trace=[2, 5])
    model = shoal.fit(X, NUMBERS, warm_start=model, epochs=5, trace=9)
    assert [trace.epoch for trace in model.history.trace] == [2, 5, 9]
    for ours, right in zip(model.history.trace, longer.history.trace, strict=True):
        assert oracle.same_bits(list(ours.weights), list(right.weights))
        assert oracle.same_bits(ours.deltas, right.deltas)
    again = shoal.fit(X, NUMBERS, warm_start=model, epochs=0, trace=10)
    assert oracle.same_bits(again.history.trace[-1].weights, again.weights)


def test_nets_that_ctrl_c_interrupted_go_on(monkeypatch):
    settings = {"hidden": 3, "batch_size": 4, "schedule": "adaptive", "momentum": 0.5, **SGD}
    longer = shoal.sweep(X, NUMBERS, {"seed": range(3)}, epochs=40, progress=False, **settings)
    with monkeypatch.context() as patch:
        set_seconds(patch, 0)
        stop_after(patch, lambda tile: tile >= 8 * 11 + 3)  # of 8 batches an epoch
        sweep = shoal.sweep(X, NUMBERS, {"seed": range(3)}, epochs=40, progress=False, **settings)
    assert sweep.results["status"].tolist() == ["interrupted"] * 3
    assert sweep.results["epochs"].tolist() == [11] * 3
    for i, model in enumerate(sweep):
        done = shoal.fit(X, NUMBERS, warm_start=model, epochs=29)
        assert_same(done, longer[i])


# ------------------------------------------------------------------------------- what may change


def test_a_stopped_net_stays_and_with_more_patience_goes_on():
    settings = {"tolerance": 0.05, "validation": 0.3}
    first = fit(epochs=40, patience=2, **settings)
    assert first.status == "stopped" and first.resume.epochs < 15
    for epochs in (0, 25):
        model = shoal.fit(X, NUMBERS, warm_start=first, epochs=epochs, learning_rate=0.9)
        assert (model.status, model.results) == ("stopped", first.results | {"seconds": 0.0})
        assert oracle.same_bits(model.weights, first.weights)
        assert len(set(model.history.epoch.tolist())) == len(model.history)
    more = 40 - first.resume.epochs
    for patience in (5, 60):
        longer = fit(epochs=40, patience=patience, **settings)
        assert longer.resume.epochs > first.resume.epochs
        model = shoal.fit(X, NUMBERS, warm_start=first, epochs=more, patience=patience)
        assert_same(model, longer)


def test_patience_may_begin_and_end():
    first = fit(epochs=10)
    model = fit(epochs=0, warm_start=first)
    assert model.resume.best.size == 0
    model = shoal.fit(X, NUMBERS, warm_start=first, epochs=30, patience=3, tolerance=0.5)
    assert (model.status, model.results["epochs"]) == ("stopped", 14)  # the first improves on none
    longer = fit(epochs=14, record_every=1)
    assert oracle.same_bits(model.history.loss[:14], longer.history.loss)
    assert oracle.same_bits(model.weights, longer.weights)  # its last epoch was its best
    model = shoal.fit(X, NUMBERS, warm_start=model, epochs=6, patience=None)
    assert (model.status, model.results["epochs"]) == ("finished", 20)
    assert oracle.same_bits(model.weights, fit(epochs=20).weights)


def test_cosine_ends_where_each_training_ends():
    settings = {"schedule": "cosine", "min_learning_rate": 1e-4, "warmup_epochs": 3}
    first, longer = fit(epochs=20, **settings), fit(epochs=40, **settings)
    model = fit(epochs=20, warm_start=first)
    rates = model.history.learning_rate
    assert oracle.same_bits(rates[:20], first.history.learning_rate)
    assert oracle.same_bits(rates[20:], longer.history.learning_rate[20:])
    assert rates[19] < 2e-4 < 0.005 < rates[20]


def test_a_learning_rate_may_change():
    first = fit(epochs=20, schedule="step", step_size=5)
    model = shoal.fit(X, NUMBERS, warm_start=first, epochs=20, learning_rate=0.02)
    np.testing.assert_allclose(
        model.history.learning_rate[20:], 0.02 * 0.9 ** (np.arange(20, 40) // 5), rtol=1e-12
    )
    assert model.settings == first.settings | {"learning_rate": 0.02}
    # the adaptive one starts anew where it is changed, and goes on where it is not
    first = fit(epochs=20, schedule="adaptive", tolerance=1.0, learning_rate=0.5)
    rates = first.history.learning_rate
    assert rates[-1] < 0.5 / 5**8
    more = {"warm_start": first, "epochs": 1}
    again = shoal.fit(X, NUMBERS, **more, learning_rate=0.5)
    other = shoal.fit(X, NUMBERS, **more, learning_rate=0.3)
    assert (
        again.history.learning_rate[-1]
        == fit(
            epochs=21, schedule="adaptive", tolerance=1.0, learning_rate=0.5
        ).history.learning_rate[-1]
    )
    assert other.history.learning_rate[-1] == 0.3


def test_scalars_and_rows_may_change():
    """As a net of numpy does: weights and optimizer go on, under new settings, on new rows."""
    first = fit(epochs=20, optimizer="sgd", batch_size=None, shuffle=False)
    changed = {
        "l2": 0.1, "dropout": 0.2, "batch_size": 4, "clip_norm": 0.3, "reduction": "sum",
        "class_weight": None, "tolerance": 0.0, "seed": 5,
    }  # fmt: skip
    rows, y = PAIR
    model = shoal.fit(rows, y, warm_start=first, epochs=5, **changed)
    assert model.settings == first.settings | changed | {"epochs": 5}
    assert model.resume.epochs == 25
    again = shoal.fit(rows, y, warm_start=first, epochs=5, **changed)
    assert oracle.same_bits(model.weights, again.weights)
    assert not oracle.same_bits(model.weights, first.weights)


def test_settings_may_be_told_again():
    first = fit(epochs=5, patience=9)
    told = {name: value for name, value in first.settings.items() if name != "validation"}
    model = shoal.fit(X, NUMBERS, **told, warm_start=first)
    assert_same(model, fit(epochs=10, patience=9))
    open_ones = {"init": "auto", "output": "auto", "loss": "auto", "dtype": None}
    model = shoal.fit(X, NUMBERS, warm_start=first, hidden=[5, 4], activation="relu", **open_ones)
    assert_same(model, fit(epochs=10, patience=9))


@dtypes
@pytest.mark.parametrize("patience", [None, 9])
def test_weights_that_were_changed_are_where_it_goes_on(patience, dtype):
    first = fit(epochs=5, patience=patience, dtype=dtype)
    first.weights[0][0] = 0
    still = shoal.fit(X, NUMBERS, warm_start=first, epochs=0, patience=None)
    assert oracle.same_bits(still.weights, first.weights)
    model = shoal.fit(X, NUMBERS, warm_start=first, epochs=3)
    whole = fit(epochs=8, patience=patience, dtype=dtype)
    assert not oracle.same_bits(model.weights, whole.weights)


def test_another_kind_of_watched_loss_is_watched_anew():
    """Training losses are not held against the lowest validation loss."""
    first = fit(epochs=5, patience=2, validation=PAIR, tolerance=0.0)
    model = shoal.fit(X, NUMBERS, warm_start=first, epochs=1)
    assert model.resume.watch[0] == model.history.loss[-1]
    assert model.resume.watch[1] == 0


# ------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hidden": (5, 4, 3)}, "hidden = (5, 4, 3) must be that of warm_start, (5, 4)"),
        ({"hidden": 5}, "hidden = 5 must be that of warm_start, (5, 4)"),
        (
            {"activation": "tanh"},
            "activation = 'tanh' must be that of warm_start, ('relu', 'relu')",
        ),
        ({"activation": ["relu"]}, "activation = ['relu'] must be that of warm_start"),
        ({"output": "exp"}, "output = 'exp' must be that of warm_start, 'identity'"),
        ({"loss": "poisson"}, "loss = 'poisson' must be that of warm_start, 'squared_error'"),
        ({"bias": False}, "bias = False must be that of warm_start, True"),
        ({"init": "uniform"}, "init = 'uniform' must be that of warm_start, 'auto'"),
        ({"batch_norm": True}, "batch_norm = True must be that of warm_start, False"),
        ({"optimizer": "adamw"}, "optimizer = 'adamw' must be that of warm_start, 'sgd'"),
        ({"dtype": "float32"}, "dtype = 'float32' must be that of warm_start, 'float64'"),
        ({"momentum": 0.0}, "momentum = 0.0 must be > 0 where that of warm_start is 0.5"),
        ({"epochs": 2**31 - 1}, "epochs = 2147483652 must be an integer from 0 to 2147483647"),
        ({"epochs": -1}, "epochs = -1 must be an integer from 0 to 2147483647"),
        ({"trace": 4}, "trace = 4 must be whole numbers of epochs from 5 (before the first) to 10"),
        ({"dropout": [0.1, 0.1]}, "dropout = (0.1, 0.1) has 2 rates and hidden = (5, 4) has 2"),
        ({"X": X[:, :2]}, "X and y make a net of widths = (2, 5, 4, 2), but warm_start has (3, 5"),
        ({"y": NUMBERS[:, :1]}, "y.shape = (30, 1) must have a column for each output of the net"),
        ({"y": NUMBERS[:, 0]}, "y.shape = (30,) must have a column for each output of the net: 2"),
    ],
)
def test_a_change_that_cannot_be_is_one_sentence(given, message, monkeypatch):
    first = fit(epochs=5, optimizer="sgd", momentum=0.5)

    def launch(*arguments):
        raise AssertionError("it was trained")

    monkeypatch.setattr(parallel, "launch", launch)
    given = {"X": X, "y": NUMBERS} | given
    with pytest.raises(ValueError) as caught:
        shoal.fit(given.pop("X"), given.pop("y"), warm_start=first, **given)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.where(LABELS == "cat", "cod", LABELS), r"y has labels = \['cod'\] but must have only"),
        (NUMBERS[:, 0], r"y has labels = \[.* but must have only the known classes \['cat', 'cow'"),
        (np.eye(3, dtype=int)[[0, 1, 2] * 10], "y.* must be"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"validation": 0.3}, {"class_weight": "balanced"}])
def test_rows_of_other_labels_are_refused(y, message, more):
    first = fit(epochs=2, y=LABELS)
    with pytest.raises(ValueError, match=message) as caught:
        shoal.fit(X, y, warm_start=first, **more)
    assert "\n" not in str(caught.value)


def test_rows_of_some_labels_are_not():
    first = fit(epochs=2, y=LABELS)
    some = LABELS != "cow"
    model = shoal.fit(X[some], LABELS[some], warm_start=first, epochs=3)
    assert model.classes.tolist() == ["cat", "cow", "dog"]


def test_what_is_no_trained_net():
    model = fit(epochs=1)
    made = shoal.Model(
        model.weights, model.biases, model.settings, model.target, model.history, model.results
    )
    with pytest.raises(ValueError, match="^warm_start has no optimizer state, but must be a net"):
        shoal.fit(X, NUMBERS, warm_start=made)
    for other in (3, "model", model.history, {}):
        with pytest.raises(TypeError, match="^warm_start = .* must be a Model, or None"):
            shoal.fit(X, NUMBERS, warm_start=other)


FILES = {
    "negative epochs": lambda a, m: m.update(resume=-1),
    "epochs that are no number": lambda a, m: m.update(resume="5"),
    "half an epoch": lambda a, m: m.update(resume=2.5),
    "too many epochs": lambda a, m: m.update(resume=2**31),
    "no moments": lambda a, m: a.pop("resume.moments") is None,
    "moments of another dtype": lambda a, m: a.update(
        {"resume.moments": a["resume.moments"].astype("f4")}
    ),
    "two dimensions": lambda a, m: a.update({"resume.best": a["resume.best"][None]}),
    "integers": lambda a, m: a.update({"resume.params": a["resume.params"].astype(int)}),
    "a watch of another dtype": lambda a, m: a.update(
        {"resume.watch": a["resume.watch"].astype("f4")}
    ),
}
LENGTHS = ("params", "moments", "watch")


def rewritten(path, change):
    """The file changed, with the right checksum."""
    with safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}
        about = json.loads(file.metadata()["about"])
    change(arrays, about)
    told = json.dumps(about)
    metadata = {"format": "shoal.model", "about": told, "sha256": _checksum(arrays, told)}
    save_file(arrays, path, metadata)


@pytest.mark.parametrize("change", FILES)
def test_a_file_with_a_wrong_state_is_refused(tmp_path, change):
    path = tmp_path / "model"
    fit(epochs=2, patience=3).save(path)
    rewritten(path, FILES[change])
    with pytest.raises(ValueError, match="^path = .* is no model that Shoal saved: ") as caught:
        shoal.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("longer", [-1, 1])
def test_a_state_of_another_length_is_not_trained_on(tmp_path, name, longer):
    path = tmp_path / "model"
    fit(epochs=2, patience=3).save(path)

    def change(arrays, about):
        array = arrays[f"resume.{name}"]
        arrays[f"resume.{name}"] = np.resize(array, len(array) + longer)

    rewritten(path, change)
    model = shoal.load(path)
    model(X)
    with pytest.raises(ValueError, match=f"^warm_start has {name} of shape .*, but must have "):
        shoal.fit(X, NUMBERS, warm_start=model)
