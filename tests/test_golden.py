"""The tutorial's programs through `shoal.train`: every digit that they print."""

import numpy as np
import pytest

import shoal
from shoal import reference

pytestmark = pytest.mark.kernels

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
TWO_LAYERS = np.array([[0], [0], [1], [1]])
THREE_LAYERS = np.array([[0], [1], [1], [0]])


def start(*shapes):
    np.random.seed(1)
    return [2 * np.random.random(shape) - 1 for shape in shapes]


def strided(w):
    """The same numbers in every second column and row of a larger array, backwards."""
    large = np.full((2 * w.shape[0], 3 * w.shape[1]), 77.0)
    view = large[::-2, ::3]
    view[...] = w
    return view


LAYOUTS = {
    "plain": np.array,
    "fortran": np.asfortranarray,
    "transposed": lambda w: np.array(w.T).T,
    "strided": strided,
    "subclass": lambda w: w.view(np.recarray),
}


def sigmoid_outputs(weights, inputs=X):
    return reference.forward(inputs, weights, None, "sigmoid", "sigmoid")[-1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_layer_program_prints_its_four_outputs(layout):
    (syn0,) = weights = [LAYOUTS[layout](w) for w in start((3, 1))]
    history = shoal.train(X, TWO_LAYERS, weights, epochs=9_999, record_every=1)
    # the program prints the forward pass of its last epoch
    printed = [f"{output:.8f}" for output in sigmoid_outputs([syn0]).ravel()]
    assert printed == ["0.00966449", "0.00786506", "0.99358898", "0.99211957"]
    assert weights[0] is syn0
    assert len(history) == 9_999


@pytest.mark.parametrize("layout", LAYOUTS)
def test_three_layer_program_prints_its_six_errors(layout):
    weights = [LAYOUTS[layout](w) for w in start((3, 4), (4, 1))]
    own = list(weights)
    printed = []
    for _ in range(6):
        error = THREE_LAYERS - sigmoid_outputs(weights)
        printed.append(f"Error:{np.mean(np.abs(error)):.12g}")
        shoal.train(X, THREE_LAYERS, weights, epochs=10_000)
    assert printed == [
        "Error:0.496410031903",
        "Error:0.00858452565325",
        "Error:0.00578945986251",
        "Error:0.00462917677677",
        "Error:0.00395876528027",
        "Error:0.00351012256786",
    ]
    assert all(a is b for a, b in zip(own, weights, strict=True))
    if layout == "strided":  # what lies between the elements is not ours
        assert all((w.base == 77).sum() == w.base.size - w.size for w in weights)


@pytest.mark.parametrize(
    "given",
    [
        lambda a: a.tolist(),
        lambda a: a.astype(bool),
        lambda a: a.astype(np.uint8),
        lambda a: a.astype(np.float16),
        lambda a: a.astype(">f8"),
        lambda a: np.asfortranarray(a.astype(float)),
        lambda a: np.repeat(a.astype("f4"), 2, axis=1)[:, ::2],
    ],
)
def test_all_at_once_and_from_any_kind_of_rows(given):
    """60,000 epochs in one call have the bits of six calls; so has every dtype of X and y."""
    expected = start((3, 4), (4, 1))
    for _ in range(6):
        shoal.train(X, THREE_LAYERS, expected, epochs=10_000)
    weights = start((3, 4), (4, 1))
    history = shoal.train(given(X), given(THREE_LAYERS), weights, epochs=60_000)
    assert all((a == b).all() for a, b in zip(weights, expected, strict=True))
    outputs = sigmoid_outputs(weights)
    half_square = (0.5 * (outputs - THREE_LAYERS) ** 2).sum(axis=1).mean()
    assert history.loss[-1] == pytest.approx(half_square, rel=1e-3)
    assert history.epoch[[0, 1, -1]].tolist() == [1, 601, 60_000]


@pytest.mark.parametrize("seed", range(8))
def test_eleven_lines_from_any_start(seed):
    random = np.random.RandomState(seed)
    weights = [2 * random.random(shape) - 1 for shape in ((3, 4), (4, 1))]
    shoal.train(X, THREE_LAYERS, weights, epochs=60_000)
    assert np.abs(sigmoid_outputs(weights) - THREE_LAYERS).max() < 0.02


def test_tutorial_is_the_defaults_of_train():
    weights, same = start((3, 4), (4, 1)), start((3, 4), (4, 1))
    settings = {k: v for k, v in shoal.TUTORIAL.items() if k not in ("bias", "init")}
    shoal.train(X, THREE_LAYERS, weights, epochs=100)
    shoal.train(X, THREE_LAYERS, same, epochs=100, **settings)
    assert all((a == b).all() for a, b in zip(weights, same, strict=True))


def test_float32_weights_are_trained_in_float32():
    weights = [w.astype(np.float32) for w in start((3, 4), (4, 1))]
    expected = [w.copy() for w in weights]
    history = shoal.train(X, THREE_LAYERS, weights, epochs=2_000, record_every=1)
    losses = reference.train(X, THREE_LAYERS, expected, epochs=2_000).losses
    assert history.loss.dtype == weights[0].dtype == np.float32
    np.testing.assert_allclose(history.loss, losses, rtol=1e-4)
    for w, right in zip(weights, expected, strict=True):
        np.testing.assert_allclose(w, right, atol=1e-4 * np.abs(right).max())
