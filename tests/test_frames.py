"""X, y and candidates as data frames, series and Python's objects."""

import math
import re
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas
import polars
import pytest

import shoal

pytestmark = pytest.mark.kernels

rng = np.random.default_rng(3)
N = 12
NAMES = ("age", "size", "length")
X = rng.random((N, 3))
y = X.sum(axis=1)
LIBRARIES = {
    "pandas": lambda values, names: pandas.DataFrame(values, columns=list(names)),
    "polars": lambda values, names: polars.DataFrame(values, schema=list(names)),
}
libraries = pytest.mark.parametrize("frame", LIBRARIES.values(), ids=LIBRARIES)
OTHER_ORDER = (*NAMES[1:], NAMES[0])


def fit(X, y=y, **more):
    return shoal.fit(X, y, **{"hidden": 4, "epochs": 3, **more})


def same(model, other):
    return all(np.array_equal(a, b) for a, b in zip(model.weights, other.weights, strict=True))


# --------------------------------------------------------------------------------- column names

USES = {
    "outputs": lambda model, X: model(X),
    "predict": lambda model, X: model.predict(X),
    "score": lambda model, X: model.score(X, y),
    "warm_start": lambda model, X: fit(X, warm_start=model),
    "fit's validation": lambda model, X: fit(model.X, validation=(X, y)),
    "sweep's validation": lambda model, X: shoal.sweep(
        model.X, y, {"seed": [1, 2]}, epochs=1, validation=(X, y)
    ),
    "train's validation": lambda model, X: shoal.train(
        model.X, y, [np.ones((3, 1))], epochs=1, validation=(X, y)
    ),
    "validation of a warm start": lambda model, X: fit(
        model.X, warm_start=model, validation=(X, y)
    ),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@libraries
def test_columns_must_be_those_of_the_training(frame, use):
    model = fit(frame(X, NAMES))
    model.X = frame(X, NAMES)
    assert model.feature_names == NAMES
    use(model, frame(X, NAMES))  # and no warning
    for names, message in (
        (OTHER_ORDER, "columns[0] = 'size' must be 'age', as in the training"),
        (("age", "size", "width"), "columns[2] = 'width' must be 'length', as in the training"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            use(model, frame(X, names))
    with pytest.raises(ValueError, match="has 2 columns, but must have 'length' next, as in the"):
        use(model, frame(X[:, :2], NAMES[:2]))
    with pytest.raises(ValueError, match=re.escape("columns[3] = 'more' was not there in the tr")):
        use(model, frame(np.hstack([X, X[:, :1]]), (*NAMES, "more")))
    with pytest.warns(UserWarning, match="has no column names, but the net was trained on a fra"):
        use(model, X)


def test_a_class_probability_is_of_the_same_columns():
    model = fit(LIBRARIES["pandas"](X, NAMES), y > y.mean())
    with pytest.raises(ValueError, match=re.escape("X.columns[0] = 'size' must be 'age'")):
        model.predict_proba(LIBRARIES["pandas"](X, OTHER_ORDER))


def test_a_warning_names_the_line_of_the_user():
    model = fit(LIBRARIES["pandas"](X, NAMES))
    with pytest.warns(UserWarning) as caught:
        model.predict(X)
    assert caught[0].filename == __file__


@libraries
def test_nets_of_a_sweep_know_their_columns(frame, tmp_path):
    sweep = shoal.sweep(frame(X, NAMES), y, {"seed": range(3)}, epochs=2)
    for model in (sweep[1], sweep.best, *sweep.top(2)):
        assert model.feature_names == NAMES
    sweep.best.save(tmp_path / "model")
    with pytest.raises(ValueError, match=re.escape("X.columns[0] = 'size' must be 'age'")):
        shoal.load(tmp_path / "model").predict(frame(X, OTHER_ORDER))


@pytest.mark.parametrize("names", [None, (0, 1, 2), (2.5, 1, 0)], ids=str)
def test_a_net_of_no_names_checks_none(names):
    first = X if names is None else LIBRARIES["pandas"](X, names)
    model = fit(first)
    assert model.feature_names is None
    model.predict(LIBRARIES["pandas"](X, OTHER_ORDER))
    model.predict(X)
    assert fit(LIBRARIES["pandas"](X, NAMES), warm_start=model).feature_names == NAMES


def test_wrong_column_names_are_one_sentence():
    frame = LIBRARIES["pandas"]
    model = fit(frame(X, NAMES))
    for call in (fit, model.predict):
        with pytest.raises(TypeError, match=r"^X\.columns\[1\] = 7 must be a string, as others"):
            call(frame(X, ("a", 7, "b")))
        with pytest.raises(ValueError, match=r"^X\.columns has 'a' twice, but must name each c"):
            call(frame(X, ("a", "b", "a")))


def test_sample_weights_of_a_frame_are_by_position():
    weights = rng.random(N)
    series = pandas.Series(weights, index=range(N, 0, -1), name="weight")
    assert same(fit(X, sample_weight=series), fit(X, sample_weight=weights))
    for frame in (pandas.DataFrame({"w": weights}), polars.DataFrame({"w": weights})):
        assert same(fit(X, sample_weight=frame), fit(X, sample_weight=weights))
    shuffled = pandas.DataFrame(X, columns=NAMES, index=rng.permutation(N))
    assert same(fit(shuffled, pandas.Series(y, index=range(5, 5 + N))), fit(X))


# ------------------------------------------------------------------------- columns of many kinds

flags, counts = [k % 3 == 0 for k in range(N)], list(range(N))
MIXED = {
    "booleans and integers": pandas.DataFrame({"a": flags, "b": counts}),
    "nullable": pandas.DataFrame(
        {"a": pandas.array(flags, "boolean"), "b": pandas.array(counts, "Int64")}
    ),
    "nullable floats": pandas.DataFrame(
        {"a": pandas.array(flags, "boolean"), "b": pandas.array(counts, "Float64")}
    ),
    "objects": pandas.DataFrame({"a": pandas.Series(flags, dtype=object), "b": counts}),
    "decimals": pandas.DataFrame({"a": flags, "b": [Decimal(count) for count in counts]}),
    "equal names": pandas.DataFrame(list(zip(flags, counts, strict=True)), columns=[0, 0]),
    "polars": polars.DataFrame({"a": flags, "b": counts}),
    "polars' decimals": polars.DataFrame({"a": flags, "b": [Decimal(c) for c in counts]}),
    "an array of objects": np.array([flags, counts], object).T,
    "a list of both": [[a, Fraction(b)] for a, b in zip(flags, counts, strict=True)],
}


@pytest.mark.parametrize("mixed", MIXED.values(), ids=MIXED)
def test_columns_of_numbers_are_numbers_however_they_are_kept(mixed):
    plain = np.column_stack([flags, counts]).astype(float)
    expected = fit(plain)
    assert same(fit(mixed), expected)
    assert same(shoal.sweep(mixed, y, {"seed": [0, 1]}, hidden=4, epochs=3)[0], expected)
    assert same(fit(plain, validation=(mixed, y)), expected)
    weights = [np.ones((2, 1)), np.ones((2, 1))]
    shoal.train(mixed, y, weights[:1], epochs=3)
    shoal.train(plain, y, weights[1:], epochs=3)
    assert np.array_equal(*weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.array_equal(fit(mixed).predict(mixed), expected.predict(plain))
        assert fit(mixed).score(mixed, y) == expected.score(plain, y)


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (["a"] * N, TypeError, "X['b'][0] = 'a' must be a number"),
        ([1, None] * 6, ValueError, "X['b'][1] is missing"),
        ([1, pandas.NaT] * 6, ValueError, "X['b'][1] is missing"),
        ([1j] * N, TypeError, "X['b'].dtype = complex128 must be numbers (float, int or bool)"),
        ([1, [2]] * 6, TypeError, "X['b'][1] = [2] must be a number"),
        (pandas.date_range("2020", periods=N), TypeError, "X['b'].dtype = datetime64["),
        (pandas.Categorical(["x", "y"] * 6), TypeError, "X['b'][0] = 'x' must be a number"),
    ],
)
def test_a_column_that_is_no_numbers_is_named(column, error, message):
    frame = pandas.DataFrame({"a": flags, "b": pandas.Series(column, dtype=None)})
    if frame["b"].dtype == float:  # a frame of pandas makes NaN of None among numbers
        frame["b"] = pandas.Series(column, dtype=object)
    for call in (
        lambda: fit(frame),
        lambda: shoal.sweep(frame, y, {"seed": [0]}),
        lambda: fit(X[:, :2]).predict(frame),
    ):
        with pytest.raises(error, match=re.escape(message)):
            call()


@pytest.mark.parametrize(
    "frame",
    [
        polars.DataFrame({"a": [1.0, 2.0, None], "b": [1, 2, 3]}),
        pandas.DataFrame({"a": pandas.array([1, 2, None], "Int64"), "b": [1, 2, 3]}),
    ],
)
def test_a_missing_number_has_its_place(frame):
    # some versions of pandas make NaN of it, some an object
    right = r"^X\[2, 0\] = nan must be a finite float64$|^X\['a'\]\[2\] is missing$"
    with pytest.raises(ValueError, match=right):
        fit(frame, [0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match=r"^y\[2\] (is missing|= nan must be a finite number)$"):
        fit(np.eye(3), frame["a"])


# --------------------------------------------------------------------------------------------- y

labels = ["cat", "dog", "cow"] * 4
LABELS = {
    "list": labels,
    "objects": np.array(labels, object),
    "Series": pandas.Series(labels),
    "Series of strings": pandas.Series(labels, dtype="string"),
    "Categorical": pandas.Categorical(labels),
    "polars": polars.Series(labels),
    "integers as objects": np.array([7, 8, 9] * 4, object),
    "nullable integers": pandas.Series([7, 8, 9] * 4, dtype="Int64"),
    "nullable booleans": pandas.array([True, False] * 6, "boolean"),
    "booleans as objects": np.array([True, False] * 6, object),
}


@pytest.mark.parametrize("given", LABELS.values(), ids=LABELS)
def test_labels_however_they_are_kept(given):
    plain = np.array(list(given))
    model, expected = fit(X, given), fit(X, plain)
    assert same(model, expected)
    assert np.array_equal(model.classes, np.unique(plain))
    assert model.classes.dtype == plain.dtype
    assert model.score(X, given) == expected.score(X, plain)
    assert same(fit(X, plain, validation=(X, given)), fit(X, plain, validation=(X, plain)))


NUMBERS = {
    "floats as objects": np.array([0.5, 2, -1] * 4, object),
    "decimals": [Decimal("0.5"), 2, -1] * 4,
    "nullable floats": pandas.array([0.5, 2, -1] * 4, "Float64"),
    "polars": polars.Series([0.5, 2.0, -1.0] * 4),
    "column of a frame": pandas.DataFrame({"y": [0.5, 2, -1] * 4}, dtype=object),
}


@pytest.mark.parametrize("given", NUMBERS.values(), ids=NUMBERS)
def test_numbers_however_they_are_kept(given):
    shape = (-1, 1) if np.ndim(given) == 2 else (-1,)
    plain = np.array([0.5, 2, -1] * 4).reshape(shape)
    model = fit(X, given)
    assert model.target.kind == "numbers"
    assert same(model, fit(X, plain))
    assert model.predict(X).shape == plain.shape
    assert model.score(X, given) == model.score(X, plain)


MISSING = {
    "None": [*"abcabcabca", None, "b"],
    "NaN": [*"abcabcabca", math.nan, "b"],
    "objects": np.array([*"abcabcabca", np.nan, "b"], object),
    "NA": pandas.array([*"abcabcabca", pandas.NA, "b"], "string"),
    "Categorical": pandas.Categorical([*"abcabcabca", None, "b"]),
    "NaT": [1] * 5 + [2] * 5 + [pandas.NaT, 1],
    "column": [[label] for label in [*"abcabcabca", None, "b"]],
    "polars": polars.Series([*"abcabcabca", None, "b"]),
}


@pytest.mark.parametrize("given", MISSING.values(), ids=MISSING)
def test_a_missing_label_is_named(given):
    place = "10, 0" if np.ndim(given) == 2 else "10"
    good = fit(X, labels)
    for name, call in (
        ("y", lambda: fit(X, given)),
        ("y", lambda: shoal.sweep(X, given, {"seed": [0]})),
        ("y", lambda: good.score(X, given)),
        ("validation[1]", lambda: fit(X, labels, validation=(X, given))),
    ):
        with pytest.raises(ValueError, match=re.escape(f"{name}[{place}] is missing")):
            call()


def test_strings_and_numbers_are_no_labels_together():
    with pytest.raises(TypeError, match=re.escape("y[1] = 1 must be a string, as other labels")):
        fit(X, ["1", 1] * 6)
    with pytest.raises(TypeError, match="y has columns of numbers and of strings, but must have"):
        fit(X, pandas.DataFrame({"a": labels, "b": counts}))


@pytest.mark.parametrize("kind", [np.array, pandas.DataFrame, polars.DataFrame])
@pytest.mark.parametrize("values", [labels, [3, 5, 9] * 4, [True, False] * 6], ids=str)
def test_one_column_of_labels_is_labels(values, kind):
    column = kind(np.array(values).reshape(-1, 1))
    model = fit(X, column)
    if values[0] is True:  # zeros and ones in a column are the tutorial's own y, multi-label
        assert model.target.kind == "multilabel"
        return
    assert same(model, fit(X, values))
    assert model.predict(X).shape == (N, 1)
    assert set(model.predict(X).ravel().tolist()) <= set(values)
    assert model.score(X, column) == model.score(X, values)
    assert model.predict_proba(X).shape == (N, 3)
    fit(X, column, validation=0.5, class_weight="balanced")


def test_the_shape_of_labels_is_kept_in_files(tmp_path):
    model = fit(X, np.array(labels).reshape(-1, 1))
    model.save(tmp_path / "model")
    again = shoal.load(tmp_path / "model")
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.predict(X).shape == (N, 1)


# ------------------------------------------------------------------------------------ candidates

RATES = [0.01, 0.02]
CANDIDATES = {
    "tuple": tuple(RATES),
    "array": np.array(RATES),
    "Series": pandas.Series(RATES, index=[7, 3]),
    "Index": pandas.Index(RATES),
    "nullable": pandas.array(RATES, "Float64"),
    "polars": polars.Series(RATES),
}


@pytest.mark.parametrize("candidates", CANDIDATES.values(), ids=CANDIDATES)
def test_candidates_may_be_any_sequence(candidates):
    sweep = shoal.sweep(X, y, {"learning_rate": candidates, "seed": [0, 1]}, epochs=1)
    assert sweep.results["learning_rate"].tolist() == [0.01, 0.01, 0.02, 0.02]
    with pytest.raises(TypeError, match="learning_rate = .* must be a finite number >= 0"):
        fit(X, learning_rate=candidates)


@pytest.mark.parametrize("kind", [pandas.Series, pandas.Index, polars.Series])
def test_other_lists_may_be_any_sequence(kind):
    assert fit(X, hidden=kind([3, 2])).widths == (3, 3, 2, 1)
    assert fit(X, hidden=(3, 2), activation=kind(["relu", "tanh"])).settings["activation"] == (
        "relu",
        "tanh",
    )
    assert len(fit(X, trace=kind([0, 1])).history.trace) == 2
    names = shoal.sweep(X, y, {"optimizer": kind(["sgd", "adam"])}, epochs=1)
    assert names.results["optimizer"].tolist() == ["sgd", "adam"]


@pytest.mark.parametrize("bad", ["abc", b"abc", 3, {"a": 1}, np.float64(1), np.ones((2, 2))])
def test_what_is_no_list_of_candidates(bad):
    with pytest.raises(TypeError, match=r"seed = .* must be a list of candidates"):
        shoal.sweep(X, y, {"seed": bad})


# ----------------------------------------------------------------------------------------- hints


def test_one_row_and_one_column_are_told_apart():
    model = fit(X)
    for use in (model, model.predict, lambda row: model.score(row, y)):
        with pytest.raises(ValueError, match=re.escape("one row is X.reshape(1, -1)")):
            use(X[0])
    with pytest.raises(ValueError, match=re.escape("one column is X.reshape(-1, 1)")):
        fit(X[:, 0])
    with pytest.raises(ValueError, match=re.escape("one column is X.reshape(-1, 1)")):
        fit(X[:, :1]).predict(X[:, 0])
