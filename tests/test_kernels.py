"""What kernels compute, against what they mean: the reference, and differences of losses."""

from fractions import Fraction

import numpy as np
import oracle
import pytest
from numba import njit

import shoal
from shoal import reference
from shoal.inputs.settings import ACTIVATIONS
from shoal.kernels.lane_group import LaneGroup
from shoal.kernels.lanes.access import load, store
from shoal.kernels.lanes.primitives import fma
from shoal.kernels.nets_in_lanes import gathering

pytestmark = pytest.mark.kernels

PAIRS = (
    ("identity", "squared_error"),
    ("sigmoid", "squared_error"),
    ("softmax", "squared_error"),
    ("exp", "squared_error"),
    ("sigmoid", "cross_entropy"),
    ("softmax", "cross_entropy"),
)
pairs = pytest.mark.parametrize("output, loss", PAIRS, ids=["-".join(pair) for pair in PAIRS])
activations = pytest.mark.parametrize("activation", ACTIVATIONS)


def error_of(found, right):
    """Largest error of each array relative to its largest element; the largest of these."""
    pairs = zip(found, right, strict=True)
    return max(np.abs(f - r).max() / max(np.abs(r).max(), 1e-300) for f, r in pairs)


# -------------------------------------------------------------------------------- sweep = reference

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
OPTIMIZERS = (
    {"optimizer": "sgd", "learning_rate": 0.05},
    {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.8},
    {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.8, "nesterov": True},
    {"optimizer": "adam", "learning_rate": 0.003},
)
# batch size: epochs that make 200 steps of 12 rows; of 5 rows the last batch has 2
BATCHES = {1: 17, 5: 67, None: 200}

_FOR_THE_REFERENCE = (
    "output", "loss", "epochs", "batch_size", "shuffle", "reduction", "optimizer", "learning_rate",
    "momentum", "nesterov",
)  # fmt: skip


@activations
def test_sweep_follows_the_reference(activation):
    """After 200 steps, over all outputs with their losses, optimizers and batch sizes."""
    X, y = oracle.problem(12, 3, 2, "float64")
    grid = [
        {"output": output, "loss": loss, "batch_size": batch_size, "epochs": epochs, **optimizer}
        for output, loss in PAIRS
        for batch_size, epochs in BATCHES.items()
        for optimizer in OPTIMIZERS
    ]
    # A seed whose rows stay clear of the kinks of relu: one that crosses in another step than the
    # reference's is no error, but 1e-3 away.
    common = {"activation": activation, "hidden": (4, 3), "init": "glorot_uniform", "seed": 9,
              "record_every": 7, "reduction": "mean"}  # fmt: skip
    sweeps = {dtype: shoal.sweep(X, y, grid, dtype=dtype, **common) for dtype in TOLERANCE}
    for i in range(len(grid)):
        told = sweeps["float64"][i].settings
        weights, biases = oracle.start_of(told, 3, 2)
        start = [w.copy() for w in weights]
        losses = reference.train(
            X, y, weights, biases, activations=activation, shuffle_seed=9, record_every=7,
            **{name: told[name] for name in _FOR_THE_REFERENCE},
        ).losses  # fmt: skip
        assert error_of(weights, start) > 1e-3  # it has learnt something
        for dtype, tolerance in TOLERANCE.items():
            model = sweeps[dtype][i]
            assert model.status == "finished"
            assert error_of(model.weights, weights) < tolerance, grid[i]
            # Biases of all layers together: those of a softmax begin near 0, and cancel.
            found, right = np.concatenate(model.biases), np.concatenate(biases)
            assert error_of([found], [right]) < tolerance, grid[i]
            np.testing.assert_allclose(model.history.loss, losses, rtol=10 * tolerance)


# ---------------------------------------------------------------------------------------- gradients

# A central difference errs by about h^2 |f'''| / 6 + eps |f| / h: 5e-11 for h = 6e-6.
STEP, GRADIENT_TOLERANCE = 6e-6, 1e-8


def gradient_error(activation, output, loss, widths=(3, 5, 4, 3)):
    """Error of the gradients that one step of sgd took, against central differences."""
    generator = np.random.default_rng(0)
    X, y = oracle.problem(7, widths[0], widths[-1], "float64")
    while True:  # until no weighted sum is near a kink
        shapes = list(zip(widths[:-1], widths[1:], strict=True))
        weights = [generator.normal(size=shape) / np.sqrt(shape[0]) for shape in shapes]
        biases = [generator.normal(size=units) / 2 for units in widths[1:]]
        sums, _ = reference.propagate(X, weights, biases, activation, output)
        if min(np.abs(z).min() for z in sums[:-1]) > 1e-3:
            break
    parameters = weights + biases
    after = [p.copy() for p in parameters]
    shoal.train(
        X, y, after[: len(weights)], biases=after[len(weights) :], epochs=1, activation=activation,
        output=output, loss=loss, learning_rate=1.0, reduction="sum",
    )  # fmt: skip

    def total():
        sums, _ = reference.propagate(X, weights, biases, activation, output)
        return reference.row_losses(sums[-1], y, output, loss).sum()

    differences = [np.empty_like(p) for p in parameters]
    for p, difference in zip(parameters, differences, strict=True):
        for index in np.ndindex(p.shape):
            kept = p[index]
            p[index] = kept + STEP
            above = total()
            p[index] = kept - STEP
            difference[index] = (above - total()) / (2 * STEP)
            p[index] = kept
    found = [p - q for p, q in zip(parameters, after, strict=True)]
    largest = max(np.abs(d).max() for d in differences)
    return max(np.abs(f - d).max() for f, d in zip(found, differences, strict=True)) / largest


@activations
@pairs
def test_gradients(activation, output, loss):
    assert gradient_error(activation, output, loss) < GRADIENT_TOLERANCE


@activations
def test_a_broken_activation_is_seen(activation, monkeypatch):
    """The same check of another function: kernels and loss disagree by 1 in 10,000."""
    function, slope = reference.ACTIVATIONS[activation]
    broken = (lambda z: function(z) * 1.0001, slope)
    monkeypatch.setitem(reference.ACTIVATIONS, activation, broken)
    assert gradient_error(activation, "identity", "squared_error") > 100 * GRADIENT_TOLERANCE


@pairs
def test_a_broken_loss_is_seen(output, loss, monkeypatch):
    whole = reference.row_losses
    monkeypatch.setattr(reference, "row_losses", lambda *given: whole(*given) * 1.0001)
    assert gradient_error("tanh", output, loss) > 100 * GRADIENT_TOLERANCE


# ------------------------------------------------------------------------------------- one rounding


@njit
def _fma(lane, x, y, z, out):
    for p in range(len(x)):
        store(lane, out, p, fma(load(lane, x, p), load(lane, y, p), load(lane, z, p)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lanes", [1, 8])
def test_fma_rounds_once(lanes, dtype):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 100, lanes)).astype(dtype)
    z = -x * y * (1 + generator.integers(-1, 2, x.shape).astype(dtype) * np.finfo(dtype).eps)
    out = np.empty_like(x)
    _fma(0 if lanes == 1 else LaneGroup(dtype, lanes), x, y, z, out)
    twice = 0
    for a, b, c, got in zip(x.flat, y.flat, z.flat, out.flat, strict=True):
        exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        error = abs(Fraction(float(got)) - exact)
        for other in (np.nextafter(got, got - 1), np.nextafter(got, got + 1)):
            assert error <= abs(Fraction(float(other)) - exact)
        twice += a * b + c != got
    assert twice > 10


@njit
def _gather(lane, source, width, rows_of_lanes, rows, a, stride):
    gathering._gather(lane, source, width, rows_of_lanes, rows, a, stride)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lanes", [1, 8, 32])
def test_rows_of_each_lane_are_gathered(lanes, dtype):
    """Rows of any width; what stands behind them in memory is not touched."""
    generator, rows, stride = np.random.default_rng(0), 5, 6
    lane = 0 if lanes == 1 else LaneGroup(dtype, lanes)
    for width in range(1, 42):
        source = generator.normal(size=(20, width)).astype(dtype)
        chosen = generator.integers(0, 20, (rows, lanes)).astype(np.int32)
        a = np.full((width * stride + 7, lanes), np.nan, dtype)
        _gather(lane, source.ravel(), width, chosen, rows, a, stride)
        right = np.full((width + 2, stride, lanes), np.nan, dtype)
        right[:width, :rows] = source[chosen].transpose(2, 0, 1)
        np.testing.assert_array_equal(a, right.reshape(-1, lanes)[: len(a)])
