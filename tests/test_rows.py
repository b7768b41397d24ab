"""Weights of rows, and the split into training and validation rows."""

import math
import re
import warnings

import numpy as np
import pytest
import scipy.sparse
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shoal.inputs.sample_weights import (
    check_sample_weight,
    row_weights,
    split_rows,
    take,
)
from shoal.inputs.settings import SETTINGS
from shoal.inputs.targets import Target
from shoal.reference import philox

KINDS = {
    "strings": ["b", "a", "c", "a"],
    "bools": [True, False, True, True],
    "ints": [7, -3, 9, -3],
    "uint8": np.uint8([7, 3, 9, 3]),
    "beyond int64": np.uint64([2**64 - 1, 0, 5, 0]),
    "objects": np.array(["b", "a", "c", "a"], object),
    "string dtype": np.array(["b", "a", "c", "a"], np.dtypes.StringDType()),
    "tuple": ("b", "a", "c", "a"),
}


def class_weight(value):
    return SETTINGS["class_weight"].check(value)


def weights_of(y, by_class=None, by_row=None):
    by_row = None if by_row is None else check_sample_weight(by_row, len(y))
    return row_weights(Target.of(y, len(y)), y, class_weight(by_class), by_row)


# take


@pytest.mark.parametrize("y", KINDS.values(), ids=KINDS)
def test_taken_rows_mean_what_they_meant(y):
    target = Target.of(y, 4)
    output, loss, O = target.resolve("auto", "auto")
    every = target.encode(y, O, "float64", loss, output)
    rows = np.array([3, 0])
    some = target.encode(take(y, rows), O, "float64", loss, output, n=2)
    np.testing.assert_array_equal(some, every[rows])


def test_taken_rows_of_two_dimensions_are_rows():
    assert take([[0, 1], [1, 1], [1, 0]], np.array([2, 0])).tolist() == [[1, 0], [0, 1]]


# sample weights


@pytest.mark.parametrize(
    "given",
    [[1, 0, 2], (True, False, True), np.float16([0.5, 1, 0]), np.uint8([1, 2, 3]), [0, 5e-324, 0]],
)
def test_sample_weights_become_floats(given):
    weights = check_sample_weight(given, 3)
    assert weights.dtype == np.float64
    assert weights.shape == (3,)
    np.testing.assert_array_equal(weights, np.asarray(given, float))


def test_sample_weights_are_not_changed():
    given = np.array([-0.0, 1.0])
    weights = check_sample_weight(given, 2)
    assert not np.signbit(weights).any()
    assert np.signbit(given[0])


SHAPE = "must be (3,), a weight a row of X"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([1, 2], ValueError, f"sample_weight.shape = (2,) {SHAPE}"),
        ([], ValueError, f"sample_weight.shape = (0,) {SHAPE}"),
        ([[1], [1], [1]], ValueError, f"sample_weight.shape = (3, 1) {SHAPE}"),
        (1.0, ValueError, f"sample_weight.shape = () {SHAPE}"),
        ([[1, 2], [3]], ValueError, "sample_weight = [[1, 2], [3]] must be rectangular"),
        ([1, -1, 1], ValueError, "sample_weight[1] = -1 must be a finite number >= 0"),
        ([1, 1, -5e-324], ValueError, "sample_weight[2] = -5e-324 must be a finite number >= 0"),
        ([1, math.nan, 1], ValueError, "sample_weight[1] = nan must be a finite float64"),
        ([1, 1, math.inf], ValueError, "sample_weight[2] = inf must be a finite float64"),
        ([0, 0.0, False], ValueError, "must leave a row with a weight > 0"),
        ([1e300, 1e300, 1], ValueError, "must make weights that sum to at most 1e+300"),
        ([1e308, 1e308, 1], ValueError, "must make weights that sum to at most 1e+300"),
        (["1", "1", "1"], TypeError, "sample_weight.dtype = <U1 must be numbers"),
        ([1, 1, 1j], TypeError, "sample_weight.dtype = complex128 must be numbers"),
        ([1, None, 1], ValueError, "sample_weight[1] is missing"),
        ("balanced", TypeError, "sample_weight.dtype = <U8 must be numbers"),
        (None, TypeError, "sample_weight.dtype = object must be numbers"),
        ({0: 1}, TypeError, "sample_weight.dtype = object must be numbers"),
        (np.array([1, 2, 3], "M8[s]"), TypeError, "sample_weight.dtype = datetime64[s] must be"),
        (scipy.sparse.eye(3), TypeError, "sample_weight is a sparse matrix and must be an array"),
        (np.ma.masked_equal([1, 2, 3], 2), ValueError, "sample_weight is a masked array and must"),
    ],
)
def test_wrong_sample_weights_are_one_clear_sentence(given, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        check_sample_weight(given, 3)
    assert str(caught.value).startswith("sample_weight")
    assert "\n" not in str(caught.value)


@given(
    hnp.arrays(
        hnp.scalar_dtypes() | hnp.unicode_string_dtypes(),
        hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4),
    ),
    st.integers(1, 4),
)
def test_any_sample_weights_are_taken_or_refused_in_one_line(given, n):
    with np.errstate(all="ignore"):
        try:
            weights = check_sample_weight(given, n)
        except (TypeError, ValueError) as error:
            assert str(error).startswith("sample_weight")
            assert "\n" not in str(error)
        else:
            assert (weights >= 0).all()
            assert 0 < weights.sum() <= 1e300
            np.testing.assert_array_equal(check_sample_weight(weights, n), weights)


# class weights


def test_no_weights_are_none():
    assert weights_of([1, 2, 3]) is None
    assert row_weights(Target.of([0.5, 1.5], 2), [0.5, 1.5], None, None) is None


@pytest.mark.parametrize("y", KINDS.values(), ids=KINDS)
def test_weights_of_every_kind_of_labels(y):
    labels = np.asarray(y).tolist()
    named = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    expected = [named[label] for label in labels]
    assert weights_of(y, named).tolist() == expected
    assert weights_of(y, list(named.items())).tolist() == expected
    assert weights_of(y, named, [1, 2, 3, 4]).tolist() == [
        i * weight for i, weight in zip(expected, [1, 2, 3, 4], strict=True)
    ]
    balanced = [4 / (len(named) * labels.count(label)) for label in labels]
    assert weights_of(y, "balanced").tolist() == balanced


@pytest.mark.parametrize(
    ("y", "given", "expected"),
    [
        ([5, 6, 5], {np.int8(5): 2}, [2, 1, 2]),
        ([5, 6, 5], {np.uint64(5): np.float32(2)}, [2, 1, 2]),
        (["a", "b", "b"], {np.str_("b"): 2}, [1, 2, 2]),
        ([True, False, True], {np.True_: 2}, [2, 1, 2]),
        ([True, False, True], {1: 2, 0: 3}, [2, 3, 2]),  # True is 1, as in Python and numpy
        ([1, 0, 1], {True: 2}, [2, 1, 2]),
        ([5, 6, 5], {}, [1, 1, 1]),
        ([5, 6, 5], {5: 0}, [0, 1, 0]),
    ],
)
def test_names_of_classes(y, given, expected):
    assert weights_of(y, given).tolist() == expected


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.data())
def test_balanced_of_integer_sample_weights_is_balanced_of_repeated_rows(y, data):
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(y), max_size=len(y)))
    repeated = np.repeat(y, times)
    assume(set(repeated.tolist()) == set(y) and len(set(y)) > 1)
    weighted = weights_of(y, "balanced", times)
    of_copies = weights_of(repeated, "balanced")
    of_class = dict(zip(repeated.tolist(), of_copies.tolist(), strict=True))
    assert weighted.tolist() == [
        of_class[label] * time for label, time in zip(y, times, strict=True)
    ]
    assert of_copies.sum() == pytest.approx(len(repeated), rel=1e-12)


def test_other_rows_are_weighted_by_the_same_classes():
    target = Target.of(["a", "b", "c"], 3)
    assert row_weights(target, ["c", "c"], (("c", 2.0),), None).tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("y", "given", "message"),
    [
        (
            ["a", "b"],
            {"c": 1, "a": 1, "d": 1},
            "class_weight has labels = ['c', 'd'] but must have only the known classes ['a', 'b']",
        ),
        ([1, 2], {"1": 1}, "labels = ['1'] but must have only the known classes [1, 2]"),
        (["1", "2"], {1: 1}, "labels = [1] but must have only the known classes ['1', '2']"),
        ([1, 2], {"x": 1, 3: 1}, "labels = [3, 'x'] but must have only the known classes [1, 2]"),
        ([True, False], {2: 1}, "labels = [2] but must have only the known classes [False, True]"),
        ([1, 2], {10**30: 1}, f"labels = [{10**30}] but must have only the known classes [1, 2]"),
        ([0.5, 1.5], "balanced", "'balanced' needs a y of class labels, but y is numbers"),
        ([0.5, 1.5], {1: 1}, "((1, 1.0),) needs a y of class labels, but y is numbers"),
        ([[0, 1], [1, 1]], "balanced", "needs a y of class labels, but y is multi-label"),
        (
            [1, 2],
            {1: 0, 2: 0},
            "class_weight = ((1, 0.0), (2, 0.0)) must leave a row with a weight > 0",
        ),
        ([1, 2], {1: 1e300, 2: 1e300}, "must make weights that sum to at most 1e+300"),
    ],
)
def test_wrong_class_weights_are_one_clear_sentence(y, given, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        weights_of(y, given)
    assert str(caught.value).startswith("class_weight")


@pytest.mark.parametrize(
    ("given", "by_row", "message"),
    [
        (
            {1: 0},
            [1, 0],
            "class_weight = ((1, 0.0),) times sample_weight = array([1., 0.]) must leave a row",
        ),
        ({1: 1e200}, [1e200, 1], "times sample_weight = array([1.e+200, 1.e+000]) must make wei"),
        ({1: 5e-324}, [0.1, 0], "must leave a row with a weight > 0"),
        (
            "balanced",
            [1, 0],
            "class_weight = 'balanced' needs each class in y, but class 2 has no row with a ",
        ),
        ("balanced", [1, 5e-324], "must make weights that sum to at most 1e+300"),
    ],
)
def test_weights_that_do_not_go_together_name_both(given, by_row, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        weights_of([1, 2], given, by_row)


def test_wrong_weights_of_other_rows():
    target = Target.of(["a", "b"], 2)
    message = "class_weight = 'balanced' needs each class in part, but class 'b' has no row"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        row_weights(target, ["a", "a"], "balanced", None, name="part")
    with pytest.raises(ValueError, match=re.escape("part has labels = ['c'] but must have only")):
        row_weights(target, ["a", "c"], "balanced", None, name="part")
    message = "sample_weight = array([0., 0.]) must leave a row with a weight > 0"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        row_weights(target, ["a", "b"], None, np.zeros(2))


# the split


def split(y, fraction):
    training, validation = split_rows(Target.of(y, len(y)), y, fraction, len(y))
    assert training.dtype == validation.dtype == np.int64
    assert (np.diff(training) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert sorted([*training, *validation]) == list(range(len(y)))
    assert len(validation) == round(fraction * len(y))
    return training.tolist(), validation.tolist()


def draws(n):
    """The random word of each row, row by row."""
    return [int(philox((i // 4, 0, 0, 3), 0)[i % 4]) for i in range(n)]


def in_order(rows, words):
    return sorted(rows, key=lambda i: (words[i], i))


fractions = st.floats(0.01, 0.99)


@given(st.integers(2, 60), fractions)
def test_numbers_are_drawn_in_the_order_of_their_words(n, fraction):
    count = round(fraction * n)
    assume(0 < count < n)
    y = np.linspace(0, 1, n)
    _, validation = split(y, fraction)
    assert validation == sorted(in_order(range(n), draws(n))[:count])
    assert split(np.stack([y, y], 1), fraction)[1] == validation
    assert split(np.uint8(np.eye(n)), fraction)[1] == validation  # multi-label


def allotted(sizes, fraction):
    """How many rows each class gives, in plain loops: largest remainders within the bounds."""
    ideal = [fraction * size for size in sizes]
    counts = [min(max(math.floor(x), 1), size - 1) for x, size in zip(ideal, sizes, strict=True)]
    count = round(fraction * sum(sizes))
    while sum(counts) < count:
        free = [k for k, size in enumerate(sizes) if counts[k] < size - 1]
        counts[max(free, key=lambda k: (ideal[k] - counts[k], -k))] += 1
    while sum(counts) > count:
        free = [k for k in range(len(sizes)) if counts[k] > 1]
        counts[max(free, key=lambda k: (counts[k] - ideal[k], -k))] -= 1
    return counts


class_sizes = st.lists(st.integers(2, 30), min_size=2, max_size=6)


@given(class_sizes, fractions, st.randoms(use_true_random=False))
def test_classes_are_stratified(sizes, fraction, random):
    y = [label for label, size in enumerate(sizes) for _ in range(size)]
    random.shuffle(y)
    count = round(fraction * len(y))
    assume(len(sizes) <= count <= len(y) - len(sizes))
    training, validation = split(y, fraction)
    words = draws(len(y))
    expected = []
    for label, give in enumerate(allotted(sizes, fraction)):
        rows = [i for i in range(len(y)) if y[i] == label]
        expected += in_order(rows, words)[:give]
        assert 0 < give < len(rows)
    assert validation == sorted(expected)
    assert {y[i] for i in training} == {y[i] for i in validation} == set(y)
    names = [f"class {label}" for label in y]
    assert split(names, fraction) == (training, validation)


@given(st.lists(st.integers(10, 40), min_size=2, max_size=4), st.sampled_from([0.2, 0.25, 0.5]))
def test_large_classes_differ_from_their_share_by_less_than_one(sizes, fraction):
    y = np.repeat(np.arange(len(sizes)), sizes)
    _, validation = split(y, fraction)
    counts = np.bincount(y[validation])
    assert (np.abs(counts - fraction * np.array(sizes)) < 1).all()


@pytest.mark.parametrize(
    ("sizes", "fraction", "counts"),
    [
        ((50, 50, 50), 0.2, [10, 10, 10]),
        ((5, 5), 0.5, [3, 2]),  # of equal remainders the first class's goes up
        ((6, 3), 1 / 3, [2, 1]),
        ((100, 2), 0.1, [9, 1]),  # the small class gives one, and the large one one less
        ((100, 2), 0.9, [91, 1]),
        ((2, 2, 2), 0.5, [1, 1, 1]),
        ((50, 50), 0.58, [29, 29]),  # 0.58 * 50 is 28.999999999999996
    ],
)
def test_what_each_class_gives(sizes, fraction, counts):
    y = np.repeat(np.arange(len(sizes)), sizes)
    assert np.bincount(y[split(y, fraction)[1]]).tolist() == counts


def test_the_split_is_that_of_every_machine():
    assert split(np.zeros(12), 0.25)[1] == [2, 7, 8]
    assert split(["a", "b"] * 6, 1 / 3)[1] == [2, 5, 7, 8]


def test_the_split_depends_on_neither_kind_nor_values():
    y = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    expected = split(y, 0.5)
    for same in (y.astype(bool), y.tolist(), np.where(y, "z", "a"), y * 9 - 5):
        assert split(same, 0.5) == expected


def test_classes_that_are_not_there_need_no_rows():
    target = Target.of(["a", "b", "c"], 3)
    training, validation = split_rows(target, ["a", "c", "a", "c"], 0.5, 4)
    assert len(training) == len(validation) == 2


@pytest.mark.parametrize(
    ("y", "fraction", "message"),
    [
        (
            np.zeros(10),
            0.04,
            "validation = 0.04 must leave a validation row, but X has only 10 rows",
        ),
        (
            np.zeros(10),
            0.05,
            "validation = 0.05 must leave a validation row, but X has only 10 rows",
        ),
        (
            np.zeros(10),
            0.96,
            "validation = 0.96 must leave a training row, but X has only 10 rows",
        ),
        (np.zeros(1), 0.5, "validation = 0.5 must leave a validation row, but X has only 1 row"),
        (np.zeros(1), 0.6, "validation = 0.6 must leave a training row, but X has only 1 row"),
        (
            ["a", "b", "a", "b"],
            0.1,
            "validation = 0.1 must leave a validation row, but X has only 4 rows",
        ),
        (
            ["a", "b", "c", "c"],
            0.75,
            "validation = 0.75 must leave a training row of each of the 3 classes of y, but "
            "leaves training rows = 1 of 4",
        ),
        (
            ["a", *("b", "c", "d") * 2],
            0.3,
            "validation = 0.3 must leave a validation row of each of the 3 classes of y that have "
            "two, but leaves validation rows = 2 of 7",
        ),
        (
            [1, 2, 3, 4] * 5,
            0.15,
            "validation = 0.15 must leave a validation row of each of the 4 classes of y, but "
            "leaves validation rows = 3 of 20",
        ),
        (
            [1, 2, 3, 4] * 5,
            0.85,
            "validation = 0.85 must leave a training row of each of the 4 classes of y, but "
            "leaves training rows = 3 of 20",
        ),
    ],
)
def test_a_split_that_cannot_be_is_one_clear_sentence(y, fraction, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        split(y, fraction)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=20), st.floats(0.001, 0.999))
def test_any_split_is_whole_or_refused_in_one_line(y, fraction):
    assume(len(set(y)) > 1)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            training, validation = split(y, fraction)
    except ValueError as error:
        assert str(error).startswith(f"validation = {fraction} ")
        assert "\n" not in str(error)
    else:
        rare = {label for label in y if y.count(label) == 1}
        assert len(caught) == bool(rare)
        assert {y[i] for i in training} == set(y)
        assert {y[i] for i in validation} == set(y) - rare
