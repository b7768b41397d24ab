"""The reference's gradients against central differences, losses and slopes at their edges."""

import numpy as np
import pytest
from problems import (
    DTYPES,
    FROM_A_KINK,
    OF_LOSS,
    PAIRS,
    activations,
    pairs,
    random_problem,
)

from shoal import reference
from shoal.reference import backpropagation

# ------------------------------------------------------------------------------------- gradients

# A central difference at step h errs by about h^2 |f'''| / 6, cut off, and eps |f| / h, rounded:
# 6e-12 and 4e-11 at h = 6e-6, the cube root of eps. Third derivatives and losses up to 100 leave it
# under 1e-8 of the largest gradient, while a wrong formula is wrong in the first digits.
STEP, TOLERANCE = 6e-6, 1e-8
assert FROM_A_KINK > 100 * STEP


def gradient_error(p, reduction="sum", row_weights=None, l1=0.0, l2=0.0):
    """Largest difference of `gradients` from central differences, relative to the largest one."""
    told = {"batch_norms": p.norms, "masks": p.masks}
    w = np.ones(len(p.X)) if row_weights is None else row_weights

    def total():
        sums, _ = reference.propagate(p.X, p.weights, p.biases, **p.network, **told, training=True)
        losses = w @ reference.row_losses(sums[-1], p.y, **p.pair, **OF_LOSS)
        penalty = sum(l1 * np.abs(m).sum() + l2 * (m**2).sum() / 2 for m in p.weights)
        return (losses / w.sum() if reduction == "mean" else losses) + penalty

    found = reference.gradients(
        p.X, p.y, p.weights, p.biases, p.network["activations"], **p.pair, reduction=reduction,
        row_weights=row_weights, l1=l1, l2=l2, **told, **OF_LOSS,
    )  # fmt: skip
    norms = p.norms or []
    parameters = [
        *p.weights,
        *(p.biases or []),
        *(b.scale for b in norms),
        *(b.shift for b in norms),
    ]
    gradients = [*found.weights, *(found.biases if p.biases else []), *found.scales, *found.shifts]
    differences = []
    for w_ in parameters:
        difference = np.empty_like(w_)
        for index in np.ndindex(w_.shape):
            kept = w_[index]
            w_[index] = kept + STEP
            above = total()
            w_[index] = kept - STEP
            difference[index] = (above - total()) / (2 * STEP)
            w_[index] = kept
        differences.append(difference)
    largest = max(np.abs(d).max() for d in differences)
    return max(np.abs(g - d).max() for g, d in zip(gradients, differences, strict=True)) / largest


@activations
@pytest.mark.parametrize("pair", [*PAIRS[::4], *PAIRS[-3:]], ids="-".join)
def test_gradients_of_activations(activation, pair):
    assert gradient_error(random_problem(activation, *pair)) < TOLERANCE


@pairs
def test_gradients_of_losses(output, loss):
    assert gradient_error(random_problem("tanh", output, loss)) < TOLERANCE
    assert gradient_error(random_problem("tanh", output, loss), "mean") < TOLERANCE
    assert gradient_error(random_problem("tanh", output, loss, bias=False)) < TOLERANCE
    assert gradient_error(random_problem([], output, loss, widths=(3, 4))) < TOLERANCE


def test_gradients_of_layers_that_differ():
    assert gradient_error(random_problem(["elu", "gelu"], "exp", "squared_error")) < TOLERANCE


ROW_WEIGHTS = np.array([0.5, 0, 2, 1, 0.1, 3, 0])


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pairs
def test_gradients_of_weighted_rows_with_penalties(output, loss, reduction):
    problem = random_problem("tanh", output, loss)
    told = {"reduction": reduction, "row_weights": ROW_WEIGHTS}
    assert gradient_error(problem, **told) < TOLERANCE
    assert gradient_error(problem, **told, l1=0.3) < TOLERANCE
    assert gradient_error(problem, **told, l1=0.3, l2=0.7) < TOLERANCE


@activations
def test_gradients_through_batch_norm(activation):
    problem = random_problem(activation, "identity", "squared_error", batch_norm=True)
    assert gradient_error(problem) < TOLERANCE
    problem = random_problem(activation, "softmax", "cross_entropy", batch_norm=True, bias=False)
    assert gradient_error(problem, "mean", ROW_WEIGHTS, l2=0.1) < TOLERANCE


@activations
@pytest.mark.parametrize("rates", [(0, 0.4, 0.4), (0.3, 0, 0.5)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_through_a_mask(activation, rates, batch_norm):
    problem = random_problem(
        activation, "sigmoid", "huber", widths=(6, 5, 4, 3), dropout=rates, batch_norm=batch_norm
    )
    dropped = [mask for mask in problem.masks if mask is not None]
    assert all((mask == 0).any() and (mask > 1).any() for mask in dropped)
    assert gradient_error(problem) < TOLERANCE
    assert gradient_error(problem, "mean", ROW_WEIGHTS) < TOLERANCE


# Whatever is wrong by 1 in 10,000 is seen.


@activations
def test_a_broken_slope_is_seen(activation, monkeypatch):
    function, slope = reference.ACTIVATIONS[activation]
    broken = (function, lambda z, a: slope(z, a) * 1.0001)
    monkeypatch.setitem(reference.ACTIVATIONS, activation, broken)
    problem = random_problem(activation, "identity", "squared_error")
    assert gradient_error(problem) > 100 * TOLERANCE


@pairs
def test_a_broken_output_delta_is_seen(output, loss, monkeypatch):
    whole = reference.output_delta
    monkeypatch.setattr(backpropagation, "output_delta", lambda *given: whole(*given) * 1.0001)
    assert gradient_error(random_problem("tanh", output, loss)) > 100 * TOLERANCE


@pytest.mark.parametrize("output", reference.OUTPUTS)
@pytest.mark.parametrize("loss", reference.LOSSES)
@pytest.mark.parametrize("part", [0, 1])
def test_a_broken_loss_is_seen(output, loss, part, monkeypatch):
    parts = list(reference.LOSSES[loss])
    whole = parts[part]
    parts[part] = lambda *given: whole(*given) * 1.0001
    monkeypatch.setitem(reference.LOSSES, loss, tuple(parts))
    assert gradient_error(random_problem("tanh", output, loss)) > 100 * TOLERANCE


def test_the_diagonal_of_the_softmax_alone_is_seen(monkeypatch):
    monkeypatch.setattr(
        backpropagation, "output_delta", lambda z, a, y, *others: (a - y) * a * (1 - a)
    )
    problem = random_problem("tanh", "softmax", "squared_error")
    assert gradient_error(problem) > 100 * TOLERANCE


BROKEN_NORMS = {
    "of a root that is wrong": lambda z, n, r: (z, n, r * 1.0001),
    "without the term of n": lambda z, n, r: (z, np.zeros_like(n), r),
    "of n that is wrong": lambda z, n, r: (z, n * 1.0001, r),
}


@pytest.mark.parametrize("broken", BROKEN_NORMS.values(), ids=BROKEN_NORMS)
def test_a_broken_batch_norm_is_seen(broken, monkeypatch):
    whole = reference.normalise
    monkeypatch.setattr(
        backpropagation, "normalise", lambda z, norm, training: broken(*whole(z, norm, training))
    )
    problem = random_problem("tanh", "identity", "squared_error", batch_norm=True)
    assert gradient_error(problem) > 100 * TOLERANCE


def test_statistics_that_are_no_part_of_the_gradient_are_seen(monkeypatch):
    """As if the mean and the variance of the batch were constants: delta = scale r d."""

    class Constant(np.ndarray):
        def mean(self, axis=None):
            return np.zeros(self.shape[1])

    tanh, slope = reference.ACTIVATIONS["tanh"]
    broken = (tanh, lambda z, a: slope(z, a).view(Constant))
    problem = random_problem("tanh", "identity", "squared_error", batch_norm=True)
    monkeypatch.setitem(reference.ACTIVATIONS, "tanh", broken)
    assert gradient_error(problem) > 100 * TOLERANCE


def test_a_mask_that_the_way_back_forgets_is_seen(monkeypatch):
    problem = random_problem("tanh", "identity", "squared_error", dropout=(0, 0.4, 0.4))
    monkeypatch.setattr(backpropagation, "dropped", lambda values, masks, layer: values)
    assert gradient_error(problem) > 100 * TOLERANCE


@pytest.mark.parametrize("given", [{"l1": 0.3}, {"l2": 0.3}, {"row_weights": ROW_WEIGHTS}])
def test_a_broken_penalty_or_weight_is_seen(given, monkeypatch):
    """The gradients of other penalties and weights than the loss has."""
    whole = reference.gradients

    def broken(*args, **told):
        for name in given:
            told[name] = told[name] * (1.0001 if name != "row_weights" else 1 + ROW_WEIGHTS / 1e4)
        return whole(*args, **told)

    monkeypatch.setattr(reference, "gradients", broken)
    problem = random_problem("tanh", "identity", "squared_error")
    assert gradient_error(problem, **given) > 100 * TOLERANCE


# ------------------------------------------------------------------------- look, and clip_delta


def test_a_look_is_the_gradients():
    problem = random_problem("tanh", "identity", "huber", batch_norm=True)
    told = {"row_weights": ROW_WEIGHTS, "clip_delta": 0.3, "batch_norms": problem.norms, **OF_LOSS}
    given = problem.X, problem.y, problem.weights, problem.biases, "tanh"
    seen = reference.look(*given, **problem.pair, **told)
    found = reference.gradients(*given, **problem.pair, **told)
    for k, (w, b) in enumerate(zip(found.weights, found.biases, strict=True)):
        x = problem.X if k == 0 else seen.outputs[k - 1]
        assert np.array_equal(x.T @ seen.deltas[k], w)
        assert np.array_equal(seen.deltas[k].sum(axis=0), b)


def test_errors_of_a_look_are_derivatives_by_the_outputs():
    problem = random_problem(["sigmoid", "tanh"], "exp", "huber")
    X, y, weights, biases = problem.X, problem.y, problem.weights, problem.biases
    seen = reference.look(X, y, weights, biases, ["sigmoid", "tanh"], **problem.pair, **OF_LOSS)

    def total(k, a):  # from the outputs a of hidden layer k on
        rest = weights[k + 1 :], biases[k + 1 :], ["sigmoid", "tanh"][k + 1 :], "exp"
        z = reference.propagate(a, *rest)[0][-1]
        return reference.row_losses(z, y, **problem.pair, **OF_LOSS).sum()

    for k in range(2):
        for index in np.ndindex(seen.outputs[k].shape):
            h = np.zeros_like(seen.outputs[k])
            h[index] = STEP
            above, below = total(k, seen.outputs[k] + h), total(k, seen.outputs[k] - h)
            assert seen.errors[k][index] == pytest.approx((above - below) / (2 * STEP), abs=1e-7)
    assert np.array_equal(seen.errors[2], np.clip(seen.outputs[2] - y, -0.7, 0.7))


def test_deltas_are_clipped_one_by_one():
    """Two rows of weights 1 and 2 through one tanh unit, written out."""
    X, y, w = np.array([[1.0], [0.5]]), np.array([[9.0], [0.0]]), np.array([1.0, 2.0])
    weights = [np.array([[0.5]]), np.array([[-3.0]])]
    a = np.tanh(np.array([[0.5], [0.25]]))
    output = np.clip(-3 * a - y, -0.4, 0.4) * [[1], [2]]
    assert output.tolist() == [[-0.4], [-0.8]]  # both beyond 0.4
    hidden = np.clip(output * -3 * (1 - a * a), [[-0.4], [-0.8]], [[0.4], [0.8]])
    assert hidden.tolist() == [[0.4], [0.8]]  # the weight of a row widens its limits
    found = reference.gradients(X, y, weights, None, "tanh", "identity", "squared_error",
                                row_weights=w, clip_delta=0.4)  # fmt: skip
    np.testing.assert_allclose(found.weights[1], a.T @ output, rtol=1e-15)
    np.testing.assert_allclose(found.weights[0], X.T @ hidden, rtol=1e-15)


def test_a_batch_of_weight_zero_has_no_gradient_but_penalties():
    problem = random_problem("tanh", "identity", "squared_error")
    for reduction in ("mean", "sum"):
        found = reference.gradients(
            problem.X, problem.y, problem.weights, problem.biases, "tanh", **problem.pair,
            reduction=reduction, row_weights=np.zeros(7), l2=0.5,
        )  # fmt: skip
        for w, g, b in zip(problem.weights, found.weights, found.biases, strict=True):
            assert np.array_equal(g, w / 2) and not b.any()


# ----------------------------------------------------------------------------------------- at edges


@pytest.mark.parametrize(
    "activation, slope",
    {
        "relu": 0,
        "leaky_relu": 0.01,
        "elu": 1,
        "selu": 1.0507009873554805 * 1.6732632423543772,
    }.items(),
)
def test_slopes_at_zero(activation, slope):
    zero = np.zeros(1)
    function, derivative = reference.ACTIVATIONS[activation]
    assert function(zero) == 0
    assert derivative(zero, function(zero)) == slope


@pytest.mark.parametrize("loss", reference.LOSSES)
def test_a_loss_is_least_where_outputs_are_right(loss):
    y = np.array([[-1.0, 0.0, 2.0]])
    assert reference.row_losses(y, y, "identity", loss) == 0
    assert not reference.output_error(y, y, loss).any()
    assert reference.row_losses(y + 0.1, y, "identity", loss) > 0
    assert reference.row_losses(y - 0.1, y, "identity", loss) > 0
    nan = reference.output_error(np.array([[np.nan]]), np.array([[0.0]]), loss)
    assert np.isnan(nan).all()  # a net whose outputs are lost has to show it


# (loss, its own number, errors a - y, losses, derivatives)
BY_HAND = [
    ("squared_error", {}, [-2, 3], [2, 4.5], [-2, 3]),
    ("absolute_error", {}, [-2, 3], [2, 3], [-1, 1]),
    ("huber", {"huber_delta": 2}, [-1, 2, 3, -5], [0.5, 2, 4, 8], [-1, 2, 2, -2]),
    ("quantile", {"quantile": 0.25}, [-4, 4], [1, 3], [-0.25, 0.75]),
]


@pytest.mark.parametrize("loss, own, errors, losses, slopes", BY_HAND)
def test_losses_by_hand(loss, own, errors, losses, slopes):
    y = np.arange(len(errors), dtype=float)[:, None]
    a = np.array(errors, float)[:, None] + y
    assert reference.row_losses(a, y, "identity", loss, **own).tolist() == losses
    assert reference.output_error(a, y, loss, **own).ravel().tolist() == slopes
    # a loss sums over a row's outputs
    assert reference.row_losses(a.T, y.T, "identity", loss, **own) == sum(losses)


def test_poisson_is_half_the_deviance():
    y, a = np.array([[0.0], [1.0], [3.0]]), np.array([[2.0], [1.0], [4.0]])
    right = [2, 0, 3 * np.log(3 / 4) + 1]
    found = reference.row_losses(np.log(a), y, "exp", "poisson")
    np.testing.assert_allclose(found, right, rtol=1e-15, atol=1e-15)


# ---------------------------------------------------------------- far out, and the dtype it is in

FAR = np.array([-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4])


@pytest.mark.parametrize("dtype", DTYPES)
@activations
def test_activations_far_out(activation, dtype):
    z = FAR.astype(dtype)
    function, derivative = reference.ACTIVATIONS[activation]
    a = function(z)
    slopes = derivative(z, a)
    assert a.dtype == slopes.dtype == dtype
    assert np.isfinite(a).all() and np.isfinite(slopes).all()
    assert np.isnan(function(np.array([np.nan], dtype))).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output, y", [("sigmoid", [[1, 0]]), ("softmax", [[0, 1]])])
def test_cross_entropy_far_out(output, y, dtype):
    z, y = np.array([[-1e4, 1e4]], dtype), np.array(y, dtype)
    wrong, right = reference.row_losses(np.concatenate([z, -z]), np.tile(y, (2, 1)), output,
                                        "cross_entropy")  # fmt: skip
    if output == "softmax":
        wrong, right = right, wrong
    assert (wrong, right) == (2e4, 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_losses_are_finite_wherever_their_true_value_is(dtype):
    """At the largest numbers there are; an overflow would be a warning, which fails a test."""
    most, dtype_two = np.finfo(dtype).max, np.array(2, dtype)

    def loss(z, y, *pair, **own):
        losses = reference.row_losses(np.array([z], dtype), np.array([y], dtype), *pair, **own)
        assert losses.dtype == dtype
        return losses[0]

    with np.errstate(over="ignore"):  # the distance of two logits may be infinite, their loss not
        assert loss([most, -most], [1, 0], "softmax", "cross_entropy") == 0
        assert loss([most, -most, 0], [1, 0, 0], "softmax", "cross_entropy") == 0
        assert loss([most, most], [0, 1], "softmax", "cross_entropy") == np.log(dtype_two)
        assert loss([most / 4, -most / 4], [0, 1], "softmax", "cross_entropy") == most / 2
        assert loss([-most / 2, most / 2], [0, 1], "softmax", "cross_entropy") == 0
        assert loss([-most, most], [1, 0], "softmax", "absolute_error") == 2
    assert loss([most], [1], "sigmoid", "cross_entropy") == 0
    assert loss([-most], [0], "sigmoid", "cross_entropy") == 0
    assert loss([-most], [1], "sigmoid", "cross_entropy") == most
    assert loss([most], [0], "sigmoid", "cross_entropy") == most
    assert loss([-most], [0], "exp", "poisson") == 0
    assert loss([-most], [1], "exp", "poisson") == most
    assert loss([most], [0], "identity", "absolute_error") == most
    assert loss([most], [0], "identity", "huber", huber_delta=1.0) == most
    assert loss([-most], [0], "identity", "quantile", quantile=0.5) == most / 2
    assert loss([-most], [0.5], "sigmoid", "squared_error") == 0.125


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_of_a_sure_output_is_not_rounded_to_zero(dtype):
    z = np.array([[40.0]], dtype)
    found = reference.row_losses(z, np.ones((1, 1), dtype), "sigmoid", "cross_entropy")
    assert found == pytest.approx(np.exp(-40), rel=1e-6)
