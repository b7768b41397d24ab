"""Learning rates by epoch: one net at a time, in float64, so that both dtypes follow one curve."""

from ..code.compilation import device_function
from ..codes import ADAPTIVE, COSINE, EXPONENTIAL, INVSCALING, STEP
from ..lanes.elementary import circle, exp, log
from ..lanes.primitives import fma
from ..lanes.shapes import lane_range
from ..layout import (
    ADAPTED,
    BASE,
    FIRST,
    GAMMA,
    KIND,
    MINIMUM,
    POWER,
    RATE,
    SEEN,
    STEP_EPOCHS,
    TOTAL,
    WARMUP,
)


@device_function
def _power(factor, k):
    """factor**k by squaring."""
    result = 1.0
    while k > 0:
        if k % 2 == 1:
            result *= factor
        factor *= factor
        k //= 2
    return result


@device_function(inline="never")
def learning_rate(schedule, monitor, q, epoch, rows):
    """Of net q in an epoch. schedule : (SCHEDULE_FIELDS, L). monitor : (MONITOR_FIELDS, L)."""
    kind, base = int(schedule[KIND, q]), schedule[BASE, q]
    warmup = int(schedule[WARMUP, q])
    t = epoch - warmup
    if t < 0:
        return base * (float(epoch + 1) / float(warmup + 1))
    if kind == ADAPTIVE:
        return monitor[ADAPTED, q]
    if kind == STEP:
        return base * _power(schedule[GAMMA, q], t // int(schedule[STEP_EPOCHS, q]))
    if kind == EXPONENTIAL:
        return base * _power(schedule[GAMMA, q], t)
    if kind == COSINE:
        last = max(1, int(schedule[TOTAL, q]) - warmup)
        cosine, _ = circle(float(t) / (2.0 * float(last)))
        minimum = schedule[MINIMUM, q]
        return fma(base - minimum, fma(0.5, cosine, 0.5), minimum)
    if kind == INVSCALING:
        if t == 0:
            return schedule[FIRST, q]
        seen = schedule[SEEN, q] + float(t) * float(rows)
        return base * exp(-schedule[POWER, q] * log(1.0 + seen))
    return base


@device_function(inline="never")
def set_rates(lane, rates, schedule, monitor, epoch, rows):
    """Learning rates of an epoch, rounded to the dtype of ``rates`` (RATE_FIELDS, L)."""
    for q in lane_range(lane, schedule):
        rates[RATE, q] = learning_rate(schedule, monitor, q, epoch, rows)
