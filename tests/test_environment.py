"""The floating-point environment of the caller does not reach the kernels."""

import platform

import numpy as np
import pytest
from numba import njit

import shoal
from shoal.kernels.lanes.floating_point import IEEE, exchange_control

pytestmark = [
    pytest.mark.kernels,
    pytest.mark.skipif(
        platform.machine() not in ("x86_64", "AMD64"), reason="the control word is x86-64's"
    ),
]

FLUSH_SUBNORMALS = IEEE | 0x8040
ROUND_UP = IEEE | 0x4000


@njit
def set_control(control):
    return exchange_control(control)


@pytest.fixture
def control():
    before = set_control(IEEE)
    yield set_control
    set_control(before)


def train_on_subnormal_gradients():
    """Gradients of about 1e-40 times a learning rate of 1e38."""
    X = np.array([[1e-20], [3e-20]], np.float32)
    weights = [np.array([[0.5]], np.float32)]
    shoal.train(X, 2 * X, weights, epochs=3, output="identity", learning_rate=1e38, progress=False)
    return weights[0][0, 0]


@pytest.mark.parametrize("changed", [FLUSH_SUBNORMALS, ROUND_UP])
def test_bits_do_not_depend_on_the_callers_control_word(control, changed):
    expected = train_on_subnormal_gradients()
    assert expected not in (0.5, 2.0)  # subnormal gradients count
    control(changed)
    changed_value = np.float32(1e-20) * np.float32(1e-20)
    result = train_on_subnormal_gradients()
    assert control(changed) & 0xFFC0 == changed & 0xFFC0  # the caller's is put back
    control(IEEE)
    assert result == expected
    assert changed != FLUSH_SUBNORMALS or changed_value == 0  # it was in force
