"""Elementary functions: stated errors, special values, equal bits, nothing to contract."""

import math
import os
import subprocess
import sys
import textwrap

import mpmath
import numpy as np
import pytest
from numba import njit

from shoal.kernels.lane_group import LaneGroup
from shoal.kernels.lanes.access import load, store
from shoal.kernels.lanes.elementary import (
    circle,
    exp,
    expm1,
    log,
    log1p_unit,
    normal_cdf_density,
    sigmoid,
    softplus,
    tanh,
)

pytestmark = pytest.mark.kernels

NAMES = (
    "exp", "expm1", "log", "log1p_unit", "sigmoid", "tanh", "softplus", "cdf", "density",
    "cosine", "sine",
)  # fmt: skip
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@njit(error_model="numpy")
def _evaluate(lane, x, out):
    n = x.shape[0]
    for i in range(n):
        v = load(lane, x, i)
        store(lane, out, i, exp(v))
        store(lane, out, n + i, expm1(v))
        store(lane, out, 2 * n + i, log(v))
        store(lane, out, 3 * n + i, log1p_unit(v))
        store(lane, out, 4 * n + i, sigmoid(v))
        store(lane, out, 5 * n + i, tanh(v))
        store(lane, out, 6 * n + i, softplus(v))
        cdf, density = normal_cdf_density(v)
        store(lane, out, 7 * n + i, cdf)
        store(lane, out, 8 * n + i, density)
        cosine, sine = circle(v)
        store(lane, out, 9 * n + i, cosine)
        store(lane, out, 10 * n + i, sine)


def evaluate(x, lanes=16):
    """Every function of the values x, by name. ``lanes`` None is compiled scalar code."""
    width = lanes or 1
    padded = np.resize(x, (-(-len(x) // width), width))
    out = np.empty((len(NAMES), *padded.shape), x.dtype)
    lane = LaneGroup(x.dtype, lanes) if lanes else 0
    _evaluate(lane, padded, out.reshape(-1, width))
    return {name: rows.reshape(-1)[: len(x)] for name, rows in zip(NAMES, out, strict=True)}


def _softplus(x):
    return max(x, 0) + mpmath.log1p(mpmath.exp(-abs(x)))


# name: exact function, largest error in ulp, in units of subnormal results, domain of each dtype
CLAIMS = {
    "exp": (mpmath.exp, 1.1, 1, (-104, 88.72), (-745, 709.78)),
    "expm1": (mpmath.expm1, 2.5, 0, (-30, 88.72), (-50, 709.78)),
    "log": (mpmath.log, 1, 0, (1e-45, 3.4e38), (5e-324, 1.79e308)),
    "log1p_unit": (mpmath.log1p, 1.5, 0, (0, 1), (0, 1)),
    "sigmoid": (lambda x: 1 / (1 + mpmath.exp(-x)), 2.5, 0, (-87.33, 30), (-708.39, 50)),
    "tanh": (mpmath.tanh, 3, 0, (-20, 20), (-30, 30)),
    "softplus": (_softplus, 2.5, 1, (-104, 200), (-745, 800)),
    "cdf": (mpmath.ncdf, 6, 2, (-14.4, 8), (-38.5, 10)),
    "density": (mpmath.npdf, 2.5, 2, (-14.5, 14.5), (-38.6, 38.6)),
    "cosine": (lambda u: mpmath.cospi(2 * u), 1.5, 0, (0, 1), (0, 1)),
    "sine": (lambda u: mpmath.sinpi(2 * u), 1.5, 0, (0, 1), (0, 1)),
}


def _samples(low, high, dtype, n, seed):
    """Values all over [low, high], near 0 and 1, and at the ends."""
    random = np.random.default_rng(seed)
    largest = max(abs(low), abs(high))
    smallest = max(low, 1e-6)
    magnitudes = np.exp(random.uniform(np.log(smallest), np.log(largest), n))
    x = np.concatenate(
        [
            random.uniform(low, high, n) if high < 1e4 else magnitudes,
            magnitudes * random.choice([-1, 1], n),
            random.uniform(-1.2, 2.2, n),
            [low, high, 0.25, 0.5, 0.75, 1.0],
        ]
    )
    x = x[(x >= low) & (x <= high)].astype(dtype)
    return x[(x >= low) & (x <= high)]


def _errors(got, exact, dtype):
    """(largest error of normal results in ulp, of subnormal results in their unit)."""
    info = np.finfo(dtype)
    normal = subnormal = 0.0
    for value, true in zip(got, exact, strict=True):
        if true == 0:
            error, is_normal = abs(float(value)), False
        else:
            exponent = mpmath.frexp(true)[1]  # true in [2**(exponent - 1), 2**exponent)
            unit = max(exponent - 1, info.minexp) - info.nmant
            error = float(abs(mpmath.mpf(float(value)) - true) * mpmath.mpf(2) ** -unit)
            is_normal = exponent - 1 >= info.minexp
        if is_normal:
            normal = max(normal, error)
        else:
            subnormal = max(subnormal, error)
    return normal, subnormal


@DTYPES
@pytest.mark.parametrize("name", NAMES)
def test_error_is_as_stated(name, dtype):
    function, ulps, units, single, double = CLAIMS[name]
    low, high = single if dtype == np.float32 else double
    x = _samples(low, high, dtype, 700, NAMES.index(name))
    with mpmath.workdps(40):
        exact = [function(mpmath.mpf(float(v))) for v in x]
        normal, subnormal = _errors(evaluate(x)[name], exact, dtype)
    assert normal <= ulps
    assert subnormal <= units


def test_error_is_as_stated_on_many_float32_values():
    """Against numpy's float64, whose own errors do not matter here."""
    exact = {
        "exp": np.exp,
        "expm1": np.expm1,
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "tanh": np.tanh,
        "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
        "cdf": lambda x: np.array([math.erfc(-v / math.sqrt(2)) / 2 for v in x]),
    }
    random = np.random.default_rng(0)
    x = random.uniform(-20, 20, 200_000).astype(np.float32)
    x[::2] *= random.random(100_000).astype(np.float32) ** 4
    got = evaluate(x)
    for name, function in exact.items():
        near = np.abs(x) < 13 if name == "cdf" else slice(None)
        true = function(x[near].astype(np.float64))
        ulp = np.ldexp(1.0, np.frexp(true)[1] - 24)
        assert np.max(np.abs(got[name][near] - true) / ulp) <= CLAIMS[name][1], name


SPECIAL = {
    # x: results in the order of NAMES; None is not promised
    np.nan: (np.nan,) * 11,
    np.inf: (np.inf, np.inf, np.inf, None, 1, 1, np.inf, 1, 0, None, None),
    -np.inf: (0, -1, np.nan, None, 0, -1, 0, 0, 0, None, None),
    0.0: (1, 0, -np.inf, 0, 0.5, 0, None, 0.5, None, 1, 0),
    1.0: (None, None, 0, None, None, None, None, None, None, 1, 0),
    0.25: (None,) * 9 + (0, 1),
    0.5: (None,) * 9 + (-1, 0),
    0.75: (None,) * 9 + (0, -1),
    -1.0: (None, None, np.nan, None, None, None, None, None, None, None, None),
    1e5: (np.inf, np.inf, None, None, 1, 1, 1e5, 1, 0, None, None),
    -1e5: (0, -1, np.nan, None, 0, -1, 0, 0, 0, None, None),
    1e30: (np.inf, np.inf, None, None, 1, 1, 1e30, 1, 0, None, None),
}


@DTYPES
@pytest.mark.parametrize("lanes", [None, 16])
def test_special_values(dtype, lanes):
    points = np.array(list(SPECIAL), dtype)
    got = evaluate(points, lanes)
    for i, expected in enumerate(SPECIAL.values()):
        for name, value in zip(NAMES, expected, strict=True):
            if value is not None:
                assert np.array_equal(got[name][i], dtype(value), equal_nan=True), (points[i], name)


@DTYPES
def test_ends_of_the_range(dtype):
    """Overflow and underflow come where they must, not a value earlier."""
    info = np.finfo(dtype)
    last = dtype(np.log(np.longdouble(info.max)))
    while np.longdouble(last) > np.log(np.longdouble(info.max)):
        last = np.nextafter(last, dtype(0))
    x = np.array([last, np.nextafter(last, dtype(np.inf))])
    for name in ("exp", "expm1"):
        assert np.isfinite(evaluate(x)[name][0]) and np.isinf(evaluate(x)[name][1])
    tiny = info.smallest_subnormal
    x = np.array([np.log(float(tiny)) + 0.1, np.log(float(tiny)) - 1], dtype)
    assert evaluate(x)["exp"].tolist() == [tiny, 0]
    x = np.array([tiny, info.smallest_normal, 1e3 * tiny], dtype)
    for name in ("expm1", "log1p_unit", "tanh"):
        np.testing.assert_allclose(evaluate(x)[name], x, rtol=0, atol=tiny, err_msg=name)


@DTYPES
def test_saturated_values(dtype):
    """They reach the ends of their range, and stay inside."""
    x = np.linspace(-1000, 1000, 20_001).astype(dtype)
    got = evaluate(x)
    for name, low, high in (("sigmoid", 0, 1), ("tanh", -1, 1), ("cdf", 0, 1), ("expm1", -1, None)):
        assert got[name].min() == low
        if high is not None:
            assert got[name].max() == high
    assert got["exp"].min() == got["softplus"].min() == got["density"].min() == 0


@DTYPES
def test_bits_do_not_depend_on_the_width(dtype):
    random = np.random.default_rng(3)
    x = np.concatenate(
        [
            np.array(list(SPECIAL), dtype),
            random.uniform(-110, 110, 500).astype(dtype),
            random.uniform(0, 1, 500).astype(dtype),
            np.exp(random.uniform(-80, 80, 500)).astype(dtype),
        ]
    )
    scalar = evaluate(x, None)
    for lanes in (4, 8, 16, 64):
        for name, values in evaluate(x, lanes).items():
            same = values.view(np.uint8) == scalar[name].view(np.uint8)
            both_nan = np.isnan(values) & np.isnan(scalar[name])
            assert np.all(same.reshape(len(x), -1).all(axis=1) | both_nan), (lanes, name)


def _in_plain_python(source):
    """Run a script without the compiler; what it prints."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@DTYPES
def test_plain_python_agrees(dtype):
    x = np.linspace(0.01, 0.99, 12)
    x = np.concatenate([x, 20 * x - 10]).astype(dtype)
    printed = _in_plain_python(
        f"""
        import numpy as np
        from shoal.kernels.lanes.elementary import *
        np.seterr(all="ignore")
        for value in [*{x.tolist()}, float("nan")]:
            x = np.{dtype.__name__}(value)
            results = [f(x) for f in (exp, expm1, log, log1p_unit, sigmoid, tanh, softplus)]
            results += [*normal_cdf_density(x), *circle(x)]
            assert all(type(r) is type(x) for r in results)
            print(*map(float, results))
        """
    )
    plain = np.array([line.split() for line in printed.splitlines()], float)
    got = evaluate(np.append(x, dtype(np.nan)))
    compiled = np.array([got[name] for name in NAMES], float).T
    tolerance = 2e-6 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(plain, compiled, rtol=tolerance, atol=1e-37)


def test_no_product_is_added():
    """What one compiler contracts to an fma and another does not would not have equal bits."""
    printed = _in_plain_python(
        """
        import numpy as np
        from shoal.kernels.lanes import elementary, primitives as lanes

        class Number(float):
            is_product = False

            def _sum(self, other, result):
                for term in (self, other):
                    if getattr(term, "is_product", False):
                        raise AssertionError("a product is added")
                return Number(result)

            def __add__(self, other):
                return self._sum(other, float(self) + float(other))

            def __sub__(self, other):
                return self._sum(other, float(self) - float(other))

            __radd__ = __add__

            def __rsub__(self, other):
                return self._sum(other, float(other) - float(self))

            def __mul__(self, other):
                product = Number(float(self) * float(other))
                product.is_product = True
                return product

            __rmul__ = __mul__

            def __neg__(self):
                negative = Number(-float(self))
                negative.is_product = self.is_product
                return negative

            def __truediv__(self, other):
                return Number(float(self) / float(other))

            def __abs__(self):
                return Number(abs(float(self)))

        NAMES = ["exp", "expm1", "log", "log1p_unit", "sigmoid", "tanh", "softplus"]
        NAMES += ["normal_cdf_density", "circle"]
        try:
            Number(2) * Number(3) + Number(1)
        except AssertionError:
            print("refused")
        elementary.power_of_two = lambda x: Number(lanes.power_of_two(np.float64(x)))
        for value in (-800.0, -30.0, -3.0, -0.1, 0.1, 0.3, 0.6, 0.9, 5.0, 30.0, 800.0):
            for name in NAMES:
                results = getattr(elementary, name)(Number(value))
                for result in results if isinstance(results, tuple) else (results,):
                    assert isinstance(result, Number) and not result.is_product, name
        print("done")
        """
    )
    assert printed.split() == ["refused", "done"]
