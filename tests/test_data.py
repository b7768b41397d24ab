"""X and y at the door: which arrays come out, and the sentence for those that do not."""

import json
import re

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shoal.inputs.arrays import check_inputs
from shoal.inputs.targets import Target

real_dtypes = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.unsigned_integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?")
)
any_array = hnp.arrays(
    real_dtypes
    | hnp.complex_number_dtypes()
    | hnp.unicode_string_dtypes()
    | hnp.datetime64_dtypes(),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
finite = st.floats(-1e6, 1e6, width=32)


class Frame:
    """What a table library looks like to numpy."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


# X


@given(
    X=real_dtypes.flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
            elements=st.integers(0, 1)
            if dtype.kind != "f"
            else finite.filter(lambda x: abs(x) < 6e4),
            fill=st.nothing(),
        )
    ),
    transpose=st.booleans(),
    step=st.sampled_from([1, 2, -1]),
)
def test_every_real_dtype_and_stride_becomes_contiguous_floats(X, transpose, step):
    X = (X.T if transpose else X)[::step]
    before = X.copy()
    result = check_inputs(X)
    assert result.dtype == (np.float32 if X.dtype.kind == "f" and X.itemsize == 4 else np.float64)
    assert result.dtype.isnative
    assert result.flags.c_contiguous
    assert result.flags.aligned
    np.testing.assert_array_equal(result, X)
    np.testing.assert_array_equal(X, before)


@given(X=any_array, y=any_array)
def test_any_array_is_taken_or_refused_in_one_line(X, y):
    with np.errstate(all="ignore"):
        for check in (lambda: check_inputs(X), lambda: Target.of(y, len(X) if X.ndim else 3)):
            try:
                check()
            except (TypeError, ValueError) as error:
                assert "\n" not in str(error)
                assert str(error)[0] in "Xy"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_copy_where_none_is_needed(dtype):
    X = np.ones((3, 2), dtype)
    assert np.shares_memory(check_inputs(X), X)
    y = np.ones(3, dtype)
    encoded = Target.numbers(y, 3).encode(y, 1, dtype, "squared_error", "identity")
    assert np.shares_memory(encoded, y)


@pytest.mark.parametrize("dtype", ["float32", "float64", np.dtype("float32")])
def test_a_given_dtype_is_the_result(dtype):
    assert check_inputs([[1, 2]], dtype=dtype).dtype == dtype


def test_unaligned_and_read_only_arrays_come_through():
    unaligned = np.zeros(33, np.uint8)[1:].view(np.float64).reshape(2, 2)
    unaligned.flags.writeable = False
    assert check_inputs(unaligned).flags.aligned


def test_frames_are_arrays():
    assert check_inputs(Frame([[1, 2]])).tolist() == [[1.0, 2.0]]
    assert Target.of(Frame(["a", "b"]), 2).kind == "labels"


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (
            [1.0, 2.0],
            ValueError,
            "X.shape = (2,) must be 2-D, rows x columns: one column is X.resh",
        ),
        (3.0, ValueError, "X.shape = () must be 2-D, rows x columns"),
        (np.ones((2, 2, 2)), ValueError, "X.shape = (2, 2, 2) must be 2-D, rows x columns"),
        ([[1, 2], [3]], ValueError, "X = [[1, 2], [3]] must be rectangular, rows x columns"),
        (np.ones((0, 2)), ValueError, "X.shape = (0, 2) must have at least one row and one column"),
        ([[]], ValueError, "X.shape = (1, 0) must have at least one row and one column"),
        ([[1.0], [np.nan]], ValueError, "X[1, 0] = nan must be a finite float64"),
        (np.float32([[1, np.inf]]), ValueError, "X[0, 1] = inf must be a finite float32"),
        ([["a"]], TypeError, "X.dtype = <U1 must be numbers (float, int or bool)"),
        ([[b"a"]], TypeError, "X.dtype = |S1 must be numbers (float, int or bool)"),
        ([[1.0, None]], ValueError, "X[0, 1] is missing"),
        ([[10**30]], TypeError, f"X[0, 0] = {10**30} must be a float, or an integer of 64 bits"),
        (None, TypeError, "X.dtype = object must be numbers (float, int or bool)"),
        ([[1j]], TypeError, "X.dtype = complex128 must be numbers (float, int or bool)"),
        (np.array([["2020"]], "M8[Y]"), TypeError, "X.dtype = datetime64[Y] must be numbers"),
        (np.zeros((2, 2), "f4,f4"), TypeError, "must be numbers (float, int or bool)"),
        (scipy.sparse.eye(2), TypeError, "X is a sparse matrix and must be an array: X.toarray()"),
        (
            np.ma.masked_equal([[1, 2]], 2),
            ValueError,
            "X is a masked array and must have no masked",
        ),
    ],
)
def test_wrong_inputs_are_one_clear_sentence(X, error, message):
    with pytest.raises(error, match=re.escape(message)):
        check_inputs(X)


def test_wrong_inputs_for_a_net():
    message = "X.shape = (1, 2) must have a column for each input of the net: 3"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_inputs([[1, 2]], inputs=3)
    with pytest.raises(ValueError, match=re.escape("X[0, 0] = 1e+300 must be a finite float32")):
        check_inputs([[1e300]], dtype="float32")
    with pytest.raises(ValueError, match=re.escape("validation X.shape = (1,) must be 2-D")):
        check_inputs([1], name="validation X")


# y


def round_trip(y, outputs=None, output="auto", loss="auto", dtype="float64"):
    """Return y's target, its output, its encoding, and the prediction of outputs that say y."""
    target = Target.of(y, len(y))
    output, loss, O = target.resolve(output, loss)
    encoded = target.encode(y, O, dtype, loss, output)
    assert encoded.shape == (len(y), O)
    assert encoded.dtype == dtype
    assert encoded.flags.c_contiguous
    return target, output, loss, encoded, target.predict(encoded, output)


@pytest.mark.parametrize(
    ("y", "output", "loss", "encoded"),
    [
        ([0, 1, 0], "sigmoid", "cross_entropy", [[0], [1], [0]]),
        ([True, False], "sigmoid", "cross_entropy", [[1], [0]]),
        ([7, -7], "sigmoid", "cross_entropy", [[1], [0]]),
        (["b", "a"], "sigmoid", "cross_entropy", [[1], [0]]),
        (["b", "a", "c"], "softmax", "cross_entropy", [[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
        (
            np.uint64([2**64 - 1, 5, 2**63]),
            "softmax",
            "cross_entropy",
            [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
        ),
        ([[0], [1]], "sigmoid", "cross_entropy", [[0], [1]]),
        ([[0, 1], [1, 1]], "sigmoid", "cross_entropy", [[0, 1], [1, 1]]),
        ([[False, True]], "sigmoid", "cross_entropy", [[0, 1]]),
        ([0.0, 1.0], "identity", "squared_error", [[0], [1]]),
        ([[0.5, 2.0]], "identity", "squared_error", [[0.5, 2.0]]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_y_means(y, output, loss, encoded, dtype):
    _, *found, predicted = round_trip(y, dtype=dtype)
    assert (found[0], found[1], found[2].tolist()) == (output, loss, encoded)
    np.testing.assert_array_equal(predicted, y)
    if np.asarray(y).dtype.kind != "f":
        assert predicted.dtype == np.asarray(y).dtype


@pytest.mark.parametrize(
    ("y", "output", "loss", "resolved"),
    [
        ([0, 1], "softmax", "auto", ("softmax", "cross_entropy", 2)),
        ([0, 1], "auto", "squared_error", ("sigmoid", "squared_error", 1)),
        ([0, 1], "identity", "squared_error", ("identity", "squared_error", 1)),
        ([0, 1, 2], "sigmoid", "auto", ("sigmoid", "cross_entropy", 3)),
        ([[0, 1], [1, 0]], "softmax", "auto", ("softmax", "cross_entropy", 2)),
        ([0.0, 1.0], "auto", "cross_entropy", ("sigmoid", "cross_entropy", 1)),
        ([0.0, 1.0], "sigmoid", "auto", ("sigmoid", "squared_error", 1)),
        ([0.0, 1.0], "exp", "auto", ("exp", "squared_error", 1)),
        ([[0.5, 0.5], [0.1, 0.9]], "softmax", "cross_entropy", ("softmax", "cross_entropy", 2)),
        *[
            (y, "auto", loss, (output, loss, O))
            for loss in ("squared_error",)
            for y, output, O in (
                ([0.5, -1.5], "identity", 1),
                ([[0.5, -1.5, 2.0]], "identity", 3),
                ([0, 1], "sigmoid", 1),
                ([0, 1, 2], "softmax", 3),
                (["b", "a"], "sigmoid", 1),
                ([[0, 1], [1, 1]], "sigmoid", 2),
            )
        ],
        *[
            ([0.5, 0.25], output, loss, (output, loss, 1))
            for loss in ("squared_error", "absolute_error", "huber", "quantile")
            for output in ("identity", "sigmoid", "exp")
        ],
        ([[0.5, 9.5]], "softmax", "huber", ("softmax", "huber", 2)),
        ([0.5, -1.5], "auto", "quantile", ("identity", "quantile", 1)),
        ([[0.5, -1.5]], "auto", "quantile", ("identity", "quantile", 2)),
        ([0.0, 3.5], "auto", "poisson", ("exp", "poisson", 1)),
        ([[0.0, 3.5], [1.0, 1.0]], "exp", "poisson", ("exp", "poisson", 2)),
        ([-0.0, 3.5], "auto", "poisson", ("exp", "poisson", 1)),
    ],
)
def test_explicit_output_and_loss(y, output, loss, resolved):
    _, output, loss, encoded, predicted = round_trip(y, output=output, loss=loss)
    assert (output, loss, encoded.shape[1]) == resolved
    np.testing.assert_array_equal(predicted, y)


labels = (
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2)
    | st.lists(st.booleans(), min_size=2)
    | st.lists(st.text(st.characters(exclude_characters="\0"), max_size=3), min_size=2)
).filter(lambda y: len(set(y)) > 1)


@given(y=labels)
def test_labels_come_back(y):
    target, output, _, encoded, predicted = round_trip(y)
    assert predicted.tolist() == y
    probabilities = target.predict_proba(encoded, output)
    assert probabilities.shape == (len(y), len(target.classes))
    assert target.classes[probabilities.argmax(axis=1)].tolist() == y
    assert (probabilities.sum(axis=1) == 1).all()


@given(y=labels)
def test_target_comes_back_from_json(y):
    target = Target.of(y, len(y))
    again = Target.from_json(json.loads(json.dumps(target.to_json())))
    assert again.classes.dtype == target.classes.dtype
    assert again.classes.tolist() == target.classes.tolist()
    assert (again.kind, again.flat, again.outputs) == (target.kind, target.flat, target.outputs)


@pytest.mark.parametrize("y", [[1.5, 2.5], [[1.5, 2.5]], np.uint8([[0, 1]]), [[True, False]]])
def test_other_targets_come_back_from_json(y):
    stored = Target.of(y, len(y)).to_json()
    assert Target.from_json(json.loads(json.dumps(stored))).to_json() == stored


STORED = {"kind": "labels", "classes": [1, 2], "dtype": "int64", "flat": True, "outputs": None}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "other"},
        {"kind": ["labels"]},
        {"flat": 1},
        {"outputs": 1},
        {"classes": None},
        {"classes": [2, 1]},
        {"classes": [1, 1]},
        {"classes": [1]},
        {"classes": [1, 2.0]},
        {"classes": [False, True]},
        {"classes": ["1", 2]},
        {"classes": "12"},
        {"classes": [0, 2**70]},
        {"dtype": "object"},
        {"dtype": "str"},
        {"dtype": ["int64"]},
        {"dtype": None},
        {"dtype": "str", "classes": ["a" * 2**20, *(f"b{i:03}" for i in range(100))]},
        {"kind": "numbers"},
        {"kind": "numbers", "classes": None, "dtype": None, "outputs": 2},
        {"kind": "numbers", "classes": None, "dtype": None, "outputs": 0},
        {"kind": "multilabel", "flat": False, "outputs": 2},
        {"kind": "multilabel", "flat": False, "outputs": -1, "classes": [0, 1]},
        {"more": 1},
    ],
)
def test_wrong_json_is_refused(change):
    with pytest.raises(ValueError, match=r"must be what Target\.to_json returns"):
        Target.from_json({**STORED, **change})


@pytest.mark.parametrize("values", [None, [], "labels", {}])
def test_json_that_is_no_target_is_refused(values):
    with pytest.raises(ValueError, match=r"must be what Target\.to_json returns"):
        Target.from_json(values)


@given(junk=st.dictionaries(st.sampled_from(list(STORED)), st.none() | st.integers() | st.text()))
def test_any_change_of_stored_json_is_taken_or_refused(junk):
    try:
        target = Target.from_json({**STORED, **junk})
    except ValueError:
        return
    assert target.to_json() == {**STORED, **junk}


@pytest.mark.parametrize("y", [[True, False], [1, 0], [[1], [0]], [0.5, 2.0]])
def test_train_takes_every_number_as_a_number(y):
    target = Target.numbers(y, 2)
    assert target.kind == "numbers"
    assert target.resolve("sigmoid", "squared_error") == ("sigmoid", "squared_error", 1)
    encoded = target.encode(y, 1, "float64", "squared_error", "sigmoid")
    np.testing.assert_array_equal(encoded.reshape(np.shape(y)), y)
    assert target.predict(encoded, "sigmoid").shape == np.shape(y)


@pytest.mark.parametrize(
    "y",
    [
        np.array(["a", "b"], object),
        np.array(["a", "b"], np.dtypes.StringDType()),
        ("a", "b"),
    ],
)
def test_strings_however_kept_are_labels(y):
    target, *_, predicted = round_trip(y)
    assert target.classes.dtype == "<U1"
    assert predicted.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (3, ValueError, "y.shape = () must be (n,) or (n, outputs)"),
        ("abc", ValueError, "y.shape = () must be (n,) or (n, outputs)"),
        (np.ones((3, 1, 1)), ValueError, "y.shape = (3, 1, 1) must be (n,) or (n, outputs)"),
        ([1, 0], ValueError, "y.shape = (2,) must have as many rows as its X: 3"),
        ([], ValueError, "y.shape = (0,) must have as many rows as its X: 3"),
        (np.ones((3, 0)), ValueError, "y.shape = (3, 0) must have at least one row and one column"),
        ([1.0, np.nan, 2], ValueError, "y[1] = nan must be a finite number"),
        ([[1.0], [2], [-np.inf]], ValueError, "y[2, 0] = -inf must be a finite number"),
        ([[1], [2, 3], [4]], ValueError, "y = [[1], [2, 3], [4]] must be rectangular"),
        ([1, 1, 1], ValueError, "y = array([1, 1, 1]) must have at least two classes, not only 1"),
        ([[1, 2]] * 3, ValueError, "y.shape = (3, 2) with dtype int64 must be zeros and ones"),
        ([["a", "b"]] * 3, ValueError, "y.shape = (3, 2) with dtype <U1 must be zeros and ones"),
        ([None, "a", "b"], ValueError, "y[0] is missing"),
        (["a", "b", float("nan")], ValueError, "y[2] is missing"),
        (["a", 1, "b"], TypeError, "y[1] = 1 must be a string, as other labels are"),
        ([1, 2, {}], TypeError, "y[2] = {} must be a number or a string"),
        ([1j, 2, 3], TypeError, "y.dtype = complex128 must be numbers (float, int or bool) or str"),
        (
            [b"a", b"b", b"a"],
            TypeError,
            "y.dtype = |S1 must be numbers (float, int or bool) or str",
        ),
        (np.array([1, 2, 3], "M8[s]"), TypeError, "y.dtype = datetime64[s] must be numbers"),
        (scipy.sparse.eye(3), TypeError, "y is a sparse matrix and must be an array: y.toarray()"),
    ],
)
def test_wrong_targets_are_one_clear_sentence(y, error, message):
    with pytest.raises(error, match=re.escape(message)):
        Target.of(y, 3)


def test_train_refuses_strings():
    with pytest.raises(TypeError, match=re.escape("y.dtype = <U1 must be numbers (float, int or")):
        Target.numbers(["a", "b"], 2)


@pytest.mark.parametrize(
    ("y", "output", "loss", "message"),
    [
        (
            [0, 1],
            "identity",
            "auto",
            "output = 'identity' must be sigmoid or softmax where loss = ",
        ),
        (
            [0.0, 1.0],
            "exp",
            "cross_entropy",
            "output = 'exp' must be sigmoid or softmax where loss ",
        ),
        (
            [0.0, 1.0],
            "softmax",
            "auto",
            "output = 'softmax' must have at least two outputs, but y ",
        ),
        ([[0], [1]], "softmax", "auto", "has outputs = 1: use sigmoid"),
        *[
            (
                y,
                "auto",
                loss,
                f"loss = '{loss}' needs a y of numbers, but y is {kind}: give floats, or task=",
            )
            for loss in ("absolute_error", "huber", "poisson", "quantile")
            for y, kind in (
                ([0, 1], "class labels"),
                (["a", "b"], "class labels"),
                ([True, False], "class labels"),
                ([[0, 1], [1, 1]], "multi-label"),
            )
        ],
    ],
)
def test_output_and_loss_that_do_not_go_together(y, output, loss, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Target.of(y, 2).resolve(output, loss)


@pytest.mark.parametrize(
    ("y", "output", "loss", "message"),
    [
        (
            [0.5, 1.5],
            "auto",
            "cross_entropy",
            "y[1] = 1.5 must be from 0 to 1 where loss = 'cross_",
        ),
        ([[0.5, -0.5]], "auto", "cross_entropy", "y[0, 1] = -0.5 must be from 0 to 1 where"),
        (
            [[0.5, 0.5], [0.5, 0.4]],
            "softmax",
            "cross_entropy",
            "y[1].sum() = 0.9 must be 1 where l",
        ),
        ([[1, 0], [1, 1]], "softmax", "auto", "y[1].sum() = 2.0 must be 1 where loss = 'cross_ent"),
    ],
)
def test_targets_that_cross_entropy_cannot_take(y, output, loss, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        round_trip(y, output=output, loss=loss)


def test_poisson_needs_counts_or_rates():
    with pytest.raises(ValueError, match=re.escape("y[1] = -1.5 must be >= 0 where loss = 'pois")):
        round_trip([0.5, -1.5], loss="poisson")
    with pytest.raises(ValueError, match=re.escape("y[1, 0] = -5e-324 must be >= 0 where loss")):
        round_trip([[0.5, 0], [-5e-324, 0]], loss="poisson")
    target = Target.numbers([0, 3], 2)  # as train takes them
    assert target.resolve("auto", "poisson") == ("exp", "poisson", 1)
    with pytest.raises(ValueError, match=re.escape("y[1] = -3 must be >= 0 where loss = 'pois")):
        target.encode([0, -3], 1, "float32", "poisson", "exp")


def test_soft_targets_in_float32_sum_to_one():
    weights = np.random.default_rng(0).random((50, 1000), np.float32)
    y = weights / weights.sum(axis=1, keepdims=True)
    round_trip(y, output="softmax", loss="cross_entropy", dtype="float32")


@pytest.mark.parametrize(
    ("y", "other", "message"),
    [
        ([1, 2, 3], [1, 4, 5], "labels = [4, 5] but must have only the known classes [1, 2, 3]"),
        (["a", "b"], [1, 2], "labels = [1, 2] but must have only the known classes ['a', 'b']"),
        ([1, 2], ["1", "2"], "labels = ['1', '2'] but must have only the known classes [1, 2]"),
        ([1, 2], [[1, 1], [2, 1]], "shape = (2, 2) must be 1-D, or one column: these are labels"),
        ([1, 2], [1], ".shape = (1,) must have as many rows as its X: 2"),
        (
            [0.5, 1.5],
            [[1.0, 2.0]] * 2,
            "shape = (2, 2) must have a column for each output of the net",
        ),
        ([0.5, 1.5], ["a", "b"], "dtype = <U1 must be numbers (float, int or bool)"),
        ([[0, 1]], [[0, 2]], "[0, 1] = 2 must be 0 or 1"),
        ([0.5, 1e300], [1e300, 0.5], "[0] = 1e+300 must be a finite float32"),
    ],
)
def test_other_rows_must_mean_the_same(y, other, message):
    target = Target.of(y, len(y))
    output, loss, O = target.resolve("auto", "auto")
    with pytest.raises((TypeError, ValueError), match=re.escape(message)) as caught:
        target.encode(other, O, "float32", loss, output, n=len(y), name="validation y")
    assert str(caught.value).startswith("validation y")


def test_numbers_may_come_flat_or_as_a_column():
    target = Target.of([0.5, 1.5], 2)
    column = target.encode([[1], [2]], 1, "float32", "squared_error", "identity")
    assert column.tolist() == [[1.0], [2.0]]
    assert target.predict(column, "identity").tolist() == [1.0, 2.0]


def test_softmax_of_multilabel_predicts_one_a_row():
    target = Target.of(np.uint8([[0, 1], [1, 0]]), 2)
    outputs = np.array([[0.4, 0.35], [0.1, 0.2]])
    assert target.predict(outputs, "softmax").tolist() == [[1, 0], [0, 1]]
    assert target.predict(outputs, "sigmoid").tolist() == [[0, 0], [0, 0]]
    assert target.predict(outputs, "sigmoid").dtype == np.uint8


def test_outputs_of_a_diverged_net_predict_something():
    outputs = np.full((2, 1), np.nan)
    assert Target.of([1, 2], 2).predict(outputs, "sigmoid").tolist() == [1, 1]
    assert Target.of([1, 2, 3], 3).predict(np.repeat(outputs, 3, 1), "softmax").shape == (2,)


@pytest.mark.parametrize(
    ("y", "output", "message"),
    [
        (
            [0.5, 1.5],
            "identity",
            "predict_proba needs a y of class labels, but this net's y is num",
        ),
        ([0, 1], "identity", "predict_proba needs output sigmoid or softmax, not identity"),
    ],
)
def test_probabilities_that_do_not_exist(y, output, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Target.of(y, 2).predict_proba(np.zeros((2, 1)), output)


@pytest.mark.parametrize("y", [np.array([3, 1, 2]), np.array([0.5, 1, 2]), np.array([[0, 1, 1]])])
def test_y_is_not_changed(y):
    y.flags.writeable = False
    round_trip(y)
