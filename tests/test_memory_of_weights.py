"""train: arrays that share memory are refused by their names; views that do not stay right."""

import re

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided, sliding_window_view

import shoal

pytestmark = pytest.mark.kernels

rng = np.random.default_rng(0)
X, y = rng.random((6, 3)), rng.random((6, 3))
SQUARE = rng.random((3, 3))
VECTOR = rng.random(21)


SHARED = {
    "transposed": ([SQUARE, SQUARE.T], None, "weights[1] shares memory with weights[0]"),
    "the same": ([SQUARE, SQUARE], None, "weights[1] shares memory with weights[0]"),
    "reversed": ([SQUARE, SQUARE[::-1, ::-1]], None, "weights[1] shares memory with weights[0]"),
    "overlapping": (
        [VECTOR[:9].reshape(3, 3), VECTOR[8:17].reshape(3, 3)],
        None,
        "weights[1] shares memory with weights[0]",
    ),
    "a bias that is a row": ([SQUARE], [SQUARE[1]], "biases[0] shares memory with weights[0]"),
    "two biases": (
        [SQUARE, SQUARE.copy()],
        [VECTOR[:3], VECTOR[2:5]],
        "biases[1] shares memory with biases[0]",
    ),
    "zero strides": (
        [as_strided(VECTOR, (3, 3), (0, 8))],
        None,
        "weights[0] has elements that share memory",
    ),
    "zero strides of a bias": (
        [SQUARE],
        [as_strided(VECTOR, (3,), (0,))],
        "biases[0] has elements that share memory",
    ),
    "windows": (
        [sliding_window_view(VECTOR, 3, writeable=True)[:3]],
        None,
        "weights[0] has elements that share memory",
    ),
    "parts of elements": (
        [as_strided(VECTOR, (3, 3), (24, 4))],
        None,
        "weights[0] has elements that share memory",
    ),
}


@pytest.mark.parametrize("shared", SHARED.values(), ids=SHARED)
def test_arrays_that_share_memory_are_refused(shared):
    weights, biases, message = shared
    before = [w.copy() for w in weights]
    with pytest.raises(ValueError, match=re.escape(message)):
        shoal.train(X, y, weights, biases=biases, epochs=3)
    assert all((a == b).all() for a, b in zip(weights, before, strict=True))


DISJOINT = {
    "parts of a vector": lambda v: [v[:9].reshape(3, 3), v[9:18].reshape(3, 3), v[18:21]],
    "even and odd": lambda v: [v[0:18:2].reshape(3, 3), v[1:19:2].reshape(3, 3), v[18:21]],
    "columns": lambda v: [
        v[:18].reshape(3, 6)[:, ::2],
        v[:18].reshape(3, 6)[:, 1::2],
        v[20:17:-1],
    ],
    "interleaved": lambda v: [
        as_strided(v, (3, 3), (8, 32)),
        v[12:21].reshape(3, 3).T,
        v[3::4][:3],
    ],
}


@pytest.mark.parametrize("views", DISJOINT.values(), ids=DISJOINT)
def test_disjoint_views_of_one_vector_are_trained(views):
    vector = rng.random(24)
    first, second, bias = views(vector)
    biases = [bias, np.zeros(3)]
    plain = [first.copy(), second.copy()], [bias.copy(), np.zeros(3)]
    shoal.train(X, y, [first, second], biases=biases, epochs=3)
    shoal.train(X, y, plain[0], biases=plain[1], epochs=3)
    for found, right in zip([first, second, *biases], plain[0] + plain[1], strict=True):
        np.testing.assert_array_equal(found, right)
