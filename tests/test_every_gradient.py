"""Gradients that the kernels follow, against central differences of losses, in float64."""

import numpy as np
import pytest
from problems import OF_LOSS, copies, pairs, random_problem, random_targets

import shoal
from shoal import reference

# A central difference errs by about h^2 |f'''| / 6 + eps |f| / h: 5e-11 for h = 6e-6.
STEP, GRADIENT_TOLERANCE = 6e-6, 1e-8


def differences(total, parameters):
    """Central differences of a loss by each element of its parameters, which are changed and set
    back."""
    found = [np.empty_like(p) for p in parameters]
    for p, difference in zip(parameters, found, strict=True):
        for index in np.ndindex(p.shape):
            kept = p[index]
            p[index] = kept + STEP
            above = total()
            p[index] = kept - STEP
            difference[index] = (above - total()) / (2 * STEP)
            p[index] = kept
    return found


def assert_gradients(before, after, right):
    """A step of rate 1 has gone along the gradient."""
    largest = max(np.abs(d).max() for d in right)
    for p, q, d in zip(before, after, right, strict=True):
        assert np.abs(p - q - d).max() < GRADIENT_TOLERANCE * largest


WIDTHS = (3, 4, 3, 2)
WITH = {
    "nothing": {},
    "l1": {"l1": 0.3},
    "both penalties": {"l1": 0.3, "l2": 0.7},
    "dropout": {"dropout": (0.3, 0.4, 0.5), "seed": 4},
}


@pairs
@pytest.mark.parametrize("told", WITH.values(), ids=WITH)
def test_gradients_are_differences_of_its_own_losses(output, loss, told):
    """`shoal.train` alone: its loss of the first epoch, at weights a little to each side."""
    p = random_problem("tanh", output, loss, widths=WIDTHS, dropout=told.get("dropout"), seed=4)
    parameters, layers = [*p.weights, *p.biases], len(p.weights)
    common = {**p.pair, **OF_LOSS, **told, "activation": "tanh", "reduction": "sum", "epochs": 1}

    def trained(arrays, rate):
        return shoal.train(
            p.X, p.y, arrays[:layers], biases=arrays[layers:], learning_rate=rate, **common
        )

    def total():
        l1, l2 = told.get("l1", 0), told.get("l2", 0)
        penalty = sum(l1 * np.abs(w).sum() + l2 * (w * w).sum() / 2 for w in p.weights)
        still = {**common, "l1": 0.0, "l2": 0.0}
        history = shoal.train(p.X, p.y, p.weights, biases=p.biases, learning_rate=0.0, **still)
        return history.loss[0] * len(p.X) + penalty

    after = copies(parameters)
    trained(after, 1.0)
    assert_gradients(parameters, after, differences(total, parameters))


@pairs
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradients_are_differences_of_the_reference_s_losses(output, loss, batch_norm, reduction):
    """With batch norm and weights of the rows, which `shoal.train` does not take."""
    generator = np.random.default_rng(2)
    X, y = generator.normal(size=(7, 3)), random_targets(generator, 7, 2, output, loss)
    weights_of_rows = np.array([0.5, 0, 2, 1, 0.1, 3, 0])
    rates = (0.1, 0.3, 0.2)
    common = {
        "hidden": WIDTHS[1:-1], "activation": "tanh", "batch_norm": batch_norm, "batch_size": None,
        "reduction": reduction, "optimizer": "sgd", "learning_rate": 1.0, "seed": 6, "l2": 0.1,
        "output": output, "loss": loss, "dropout": rates, **OF_LOSS, "init": "glorot_normal",
    }  # fmt: skip
    start, after = (
        shoal.fit(X, y, epochs=epochs, sample_weight=weights_of_rows, **common) for epochs in (0, 1)
    )
    norms = None
    if batch_norm:
        norms = [reference.BatchNorm(*copies(norm)) for norm in start.batch_norm]
    masks = reference.dropout_masks(rates, WIDTHS[:-1], 6, 0, np.arange(7))

    def total():
        z = reference.propagate(
            X, start.weights, start.biases, "tanh", output, batch_norms=norms, masks=masks,
            training=True,
        )[0][-1]  # fmt: skip
        losses = weights_of_rows @ reference.row_losses(z, y, output, loss, *OF_LOSS.values())
        losses = losses / weights_of_rows.sum() if reduction == "mean" else losses
        return losses + sum(0.05 * (w * w).sum() for w in start.weights)

    before, moved = (
        [*m.weights, *m.biases, *(a for norm in of_model or () for a in (norm.scale, norm.shift))]
        for m, of_model in ((start, norms), (after, after.batch_norm))
    )
    assert_gradients(before, moved, differences(total, before))
