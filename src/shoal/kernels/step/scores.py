"""Losses and scores of a tile's rows, added to the partial sums of a batch."""

from ..code.compilation import device_function
from ..codes import CROSS_ENTROPY, LARGEST, POISSON, RESIDUALS
from ..lanes.access import load, store
from ..lanes.primitives import broadcast, fma, like, maximum, select
from ..lanes.shapes import rows_per_vector
from ..layout import SCORE_FIELDS, SCORES
from .losses import (
    add_logit_losses,
    add_output_losses,
    add_row,
    target_of,
    weight_of,
)
from .sums import partials_of


@device_function(inline="never")
def _add_scores(lane, score, outputs, sums):
    """Count the tile's right rows, or add up its squared residuals output by output.

    sums : (SCORES and SCORE_FIELDS a count, L): one count, or one an output for residuals.
    """
    zero, one = broadcast(lane, 0.0), broadcast(lane, 1.0)
    half = like(zero, 0.5)
    array, step = outputs.values.array, outputs.values.step
    start, fields = SCORES // rows_per_vector(lane), SCORE_FIELDS // rows_per_vector(lane)
    for s in range(outputs.rows):
        p = outputs.values.start + s
        k = start + (outputs.row + s) % partials_of(lane)
        if score == RESIDUALS:
            for o in range(outputs.units):
                error = load(lane, array, p + o * step) - target_of(lane, outputs, o, s)
                q = o * fields + k
                if outputs.weighted:
                    product = weight_of(lane, outputs.weights, s) * error
                    store(lane, sums, q, fma(product, error, load(lane, sums, q)))
                else:
                    store(lane, sums, q, fma(error, error, load(lane, sums, q)))
        elif score == LARGEST:
            best, hit = load(lane, array, p), target_of(lane, outputs, 0, s)
            for o in range(1, outputs.units):
                a = load(lane, array, p + o * step)
                hit = select(a > best, target_of(lane, outputs, o, s), hit)
                best = maximum(best, a)
            add_row(lane, sums, k, select(hit > half, one, zero), outputs, s)
        else:
            right = one
            for o in range(outputs.units):
                guess = load(lane, array, p + o * step) > half
                truth = target_of(lane, outputs, o, s) > half
                right = select(guess ^ truth, zero, right)
            add_row(lane, sums, k, right, outputs, s)


@device_function
def measure(lane, score, scored, before, parameter, outputs, sums):
    """Add a tile's losses and scores to the partial sums: ``before`` the weighted sums become
    outputs where the loss is one of these, else after.

    parameter : vector, huber's delta or the quantile. sums : (SCORES + ..., L).
    """
    of_sums = outputs.loss == CROSS_ENTROPY or outputs.loss == POISSON
    if before and of_sums:
        add_logit_losses(lane, outputs, sums)
    if not before and not of_sums:
        add_output_losses(lane, parameter, outputs, sums)
    if not before and scored:
        _add_scores(lane, score, outputs, sums)
