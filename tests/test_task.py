"""What y is taken as: ``task``, the warnings where it is in doubt, rare classes."""

import re

import numpy as np
import pytest

import shoal
from shoal.inputs.settings import LOSSES

pytestmark = pytest.mark.kernels

rng = np.random.default_rng(4)
X = rng.random((30, 3))
YEARS = np.arange(1950, 1980)
CLASSES = rng.integers(0, 3, 30)
OF_NUMBERS = ("absolute_error", "huber", "poisson", "quantile")


def fit(y, **more):
    return shoal.fit(X, y, **{"hidden": 4, "epochs": 2, **more})


def sweep(y, **more):
    return shoal.sweep(X, y, {"seed": [0, 1]}, **{"hidden": 4, "epochs": 2, **more})[0]


callers = pytest.mark.parametrize("call", [fit, sweep])


def same(model, other):
    return all(np.array_equal(a, b) for a, b in zip(model.weights, other.weights, strict=True))


@callers
@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32", "float64"])
def test_regression_takes_integers_as_numbers(call, dtype):
    model = call(CLASSES.astype(dtype), task="regression")
    assert model.target.kind == "numbers"
    assert model.settings["loss"] == "squared_error"
    assert same(model, call(CLASSES.astype(float)))


@callers
@pytest.mark.parametrize("dtype", ["int64", "float32", "float64"])
def test_classification_takes_whole_floats_as_labels(call, dtype, tmp_path):
    model = call(CLASSES.astype(dtype), task="classification")
    assert model.settings["loss"] == "cross_entropy"
    assert same(model, call(CLASSES))
    assert model.classes.dtype == model.predict(X).dtype == dtype
    assert model.score(X, CLASSES) == model.score(X, CLASSES.astype(dtype))
    model.save(tmp_path / "model")
    again = shoal.load(tmp_path / "model")
    assert again.classes.dtype == dtype and np.array_equal(again.predict(X), model.predict(X))


@callers
def test_wrong_tasks_are_one_sentence(call):
    for task, y, error, message in (
        ("regression", ["a", "b"] * 15, TypeError, "y.dtype = <U1 must be numbers (float, int or bo"
         "ol) where task = 'regression'"),
        ("classification", X[:, 0], ValueError, "must be a whole number or a string where task ="),
        ("guess", CLASSES, ValueError, "task = 'guess' must be one of auto, classification, re"),
        (None, CLASSES, TypeError, "task = None must be one of auto, classification, regression"),
    ):  # fmt: skip
        with pytest.raises(error, match=re.escape(message)):
            call(y, task=task)


@pytest.mark.parametrize(
    ("y", "right", "wrong"),
    [(X[:, 0], "regression", "classification"), (CLASSES, "classification", "regression")],
)
def test_a_warm_start_keeps_its_task(y, right, wrong):
    model = fit(y)
    assert same(fit(y, warm_start=model, task=right), fit(y, warm_start=model))
    with pytest.raises(ValueError, match=f"task = '{wrong}' must be '{right}' or auto, as that of"):
        fit(y, warm_start=model, task=wrong)


@callers
@pytest.mark.parametrize("loss", OF_NUMBERS)
@pytest.mark.parametrize(
    "y", [CLASSES, CLASSES > 0, ["a", "b"] * 15, np.eye(3, dtype=int)[CLASSES]], ids=str
)
def test_all_losses_of_numbers_refuse_labels_in_one_sentence(call, loss, y):
    right = (
        rf"^loss = '{loss}' needs a y of numbers, but y is .*: give floats, or task='regression'"
    )
    with pytest.raises(ValueError, match=right):
        call(y, loss=loss)


@callers
@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss not in ("auto", "cross_entropy")])
def test_with_a_task_integers_are_numbers_to_all_losses(call, loss):
    expected = call(CLASSES.astype(float), loss=loss)
    assert same(call(CLASSES, loss=loss, task="regression"), expected)
    assert expected.target.kind == "numbers"


# ------------------------------------------------------------------------------------- in doubt

DOUBTS = {
    "years": (YEARS, "y has 30 different integers in 30 rows and is taken as class labels: task="),
    "prices": ((YEARS // 1.4).astype(int), r"y has 2\d different integers in 30 rows"),
    "zeros and ones": ((CLASSES > 0).astype(np.float32), "y of float32 has only zeros and ones an"),
    "a column": ((CLASSES > 0).astype(float)[:, np.newaxis], "y of float64 has only zeros and on"),
}


@callers
@pytest.mark.parametrize("doubt", DOUBTS)
def test_what_is_in_doubt_is_said_once(call, doubt):
    y, message = DOUBTS[doubt]
    with pytest.warns(UserWarning, match=message) as caught:
        model = call(y)
    assert len(caught) == 1 and caught[0].filename == __file__
    task = "regression" if model.target.kind == "numbers" else "classification"
    assert same(call(y, task=task), model)  # and no warning
    assert call(y, task="regression").target.kind == "numbers"
    assert call(y, task="classification").target.kind != "numbers"


@callers
def test_what_is_in_no_doubt_is_not_said(call):
    for y in (
        CLASSES,
        YEARS % 20,
        YEARS // 2,
        YEARS.astype(str),
        YEARS.astype(float),
        YEARS > 1960,
    ):
        call(y)
    call((CLASSES > 0).astype(float), loss="cross_entropy")  # who names a loss knows
    shoal.fit(X[:4], [0.0, 1.0, 1.0, 0.0], epochs=1)  # the tutorial's own
    shoal.train(X, YEARS, [np.zeros((3, 1))], epochs=1, learning_rate=0.0)
    model = call(YEARS, task="regression")
    assert shoal.fit(X, YEARS, warm_start=model, epochs=1).target.kind == "numbers"


@callers
def test_an_id_column_as_labels_is_refused_before_memory_is_asked_for(call):
    n = 1_000_000
    rows, ids = np.zeros((n, 1)), np.arange(n)
    for arguments in ({"task": "classification"}, {"task": "classification", "hidden": 1}):
        with pytest.raises(
            ValueError, match="y's classes = 1000000 must be less: this sweep needs "
        ):
            if call is fit:
                shoal.fit(rows, ids, **arguments)
            else:
                shoal.sweep(rows, ids, {"seed": [0]}, **arguments)


# --------------------------------------------------------------------------------- rare classes


@callers
@pytest.mark.parametrize("kind", [list, np.array])
def test_the_only_row_of_a_class_is_trained_on(call, kind):
    labels = ["cat", "dog"] * 14 + ["cow", "emu"]
    y = kind(labels)
    message = "validation = 0.2 has no row of classes ['cow', 'emu'], whose only row is trained on"
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as caught:
        model = call(y, validation=0.2)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert model.classes.tolist() == ["cat", "cow", "dog", "emu"]
    assert np.isfinite(model.results["val_loss"])
