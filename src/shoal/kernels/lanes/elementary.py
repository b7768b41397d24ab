"""Elementary functions of vectors, from polynomials and one rational: the same bits everywhere.

Each is written once in primitives, for a vector of lanes, a compiled float32 or
float64, or a Python number. Bits depend on IEEE arithmetic alone, whatever the machine:

* every product that is part of a sum is an explicit `fma`. No product, named or not, is an operand
  of ``+`` or ``-``, and none is returned (`fma` with +0 is in its place), so that a compiler which
  contracts ``a * b + c``, as CUDA's does, finds nothing here or in a caller to contract;
* no fast-math flag, no approximate reciprocal or division, no reliance on flushing to zero;
* rounding to an integer adds 1.5 * 2**23 (float32) or 1.5 * 2**52 (float64).

NaN comes out as NaN. Errors are given in ulp, the unit in the last place of the exact result; where
that is subnormal, in units of the smallest number. They hold in float32 and float64.
``tools/coefficients.py`` prints every literal and says where it comes from.
"""

from ..code.compilation import device_function
from .primitives import (
    absolute,
    by_dtype,
    clamp,
    fma,
    like,
    maximum,
    polynomial,
    power_of_two,
    select,
    split_exponent,
)

# 1.5 * 2**(bits of the fraction): added to a number, it leaves the nearest integer in the low bits
ROUND_SINGLE, ROUND_DOUBLE = 12582912.0, 6755399441055744.0
LOG2_E = 1.4426950408889634
INFINITY, NAN = float("inf"), float("nan")

# exp(r) = 1 + r + r**2 P(r), |r| <= log(2) / 2
EXP_SINGLE = (
    0.4999999701976776,
    0.1666654348373413,
    0.04166720062494278,
    0.008366529829800129,
    0.0013882521307095885,
)
EXP_DOUBLE = (
    0.5000000000000006,
    0.16666666666666588,
    0.04166666666657665,
    0.008333333333389632,
    0.0013888888931602057,
    0.00019841269718868848,
    2.4801505226189764e-05,
    2.755740762366631e-06,
    2.7626057820126857e-07,
    2.50537656257922e-08,
)
# log(2) in two parts; k times the high one is exact for every exponent k
LOG_2_HIGH_SINGLE = 0.693145751953125
LOG_2_LOW_SINGLE = 1.428606765330187e-06
LOG_2_HIGH_DOUBLE = 0.6931471805598903
LOG_2_LOW_DOUBLE = 5.497923018708371e-14

# log(1 + f) = 2 s + s z P(z), where s = f / (2 + f), z = s**2, 0 <= z <= 1/9
LOG_SINGLE = (
    0.6666667461395264,
    0.39998888969421387,
    0.2861659824848175,
    0.21430739760398865,
    0.24289561808109283,
)
LOG_DOUBLE = (
    0.6666666666666631,
    0.40000000000155117,
    0.28571428548118094,
    0.22222223953641634,
    0.1818174447921611,
    0.153865483902788,
    0.1330112140162419,
    0.1210494480312804,
    0.08344971589638708,
    0.17009757115597746,
)

# upper tail of the normal distribution = exp(-a**2 / 2) P(a) / Q(a); all terms are positive
TAIL_SINGLE = (
    0.9375,
    0.8236557245254517,
    0.344941645860672,
    0.07665195316076279,
    0.007787282578647137,
)
TAIL_BELOW_SINGLE = (
    1.875,
    3.143345832824707,
    2.2604010105133057,
    0.8838900327682495,
    0.19214941561222076,
    0.019519614055752754,
)
TAIL_DOUBLE = (
    0.9375,
    1.5523966888230978,
    1.2743277841243705,
    0.6700700223454634,
    0.24761096366783017,
    0.0668856226695712,
    0.013357499143221997,
    0.001949838232526258,
    0.00019986903813784705,
    1.3083422082869683e-05,
    4.204753295379655e-07,
)
TAIL_BELOW_DOUBLE = (
    1.875,
    4.600826929151569,
    5.282084341944821,
    3.7528979759134846,
    1.8378270341766598,
    0.6531594591076813,
    0.1724793225910387,
    0.033981174445347206,
    0.004920314920711656,
    0.0005020513575634997,
    3.279527572190871e-05,
    1.0539753498044111e-06,
)
DENSITY_SINGLE = 0.3989422917366028
DENSITY_DOUBLE = 0.3989422804014327

# sin(2 pi r) = r (2 pi + z P(z)), cos(2 pi r) = 1 + z P(z), where z = r**2, |r| <= 1/8
SINE_SINGLE = (-41.34170150756836, 81.60520935058594, -76.69829559326172, 41.484676361083984)
SINE_DOUBLE = (
    -41.34170224039976,
    81.60524927607494,
    -76.70585975300324,
    42.058693929756025,
    -15.094640465817722,
    3.819790674537724,
    -0.7116780910318062,
)
COSINE_SINGLE = (-19.739208221435547, 64.93932342529297, -85.4432373046875, 59.229244232177734)
COSINE_DOUBLE = (
    -19.739208802178716,
    64.93939402266798,
    -85.45681720652829,
    60.24464132938572,
    -26.426250927311095,
    7.9030915911001225,
    -1.696834752639189,
)
TURN_HIGH_SINGLE = 6.2831854820251465
TURN_LOW_SINGLE = -1.7484555314695172e-07
TURN_HIGH_DOUBLE = 6.283185307179586
TURN_LOW_DOUBLE = 2.4492935982947064e-16


@device_function
def _reduce(x):
    """(k + rounding constant, r): x = k log(2) + r with integer k, |r| <= log(2) / 2."""
    shift = like(x, by_dtype(x, ROUND_SINGLE, ROUND_DOUBLE))
    shifted = fma(x, like(x, LOG2_E), shift)
    k = shifted - shift
    r = fma(k, like(x, by_dtype(x, -LOG_2_HIGH_SINGLE, -LOG_2_HIGH_DOUBLE)), x)
    return shifted, fma(k, like(x, by_dtype(x, -LOG_2_LOW_SINGLE, -LOG_2_LOW_DOUBLE)), r)


@device_function
def _expm1_reduced(r):
    """exp(r) - 1 for |r| <= log(2) / 2."""
    return fma(polynomial(r, by_dtype(r, EXP_SINGLE, EXP_DOUBLE)), r * r, r)


@device_function
def _times_power(x, shifted):
    """x * 2**k for any k: in two steps, so that it overflows and underflows as IEEE numbers do."""
    shift = like(x, by_dtype(x, ROUND_SINGLE, ROUND_DOUBLE))
    first = fma(shifted - shift, like(x, 0.5), shift)
    second = shifted - (first - shift)
    return fma(x * power_of_two(first), power_of_two(second), like(x, 0.0))


@device_function
def exp(x):
    """e**x within 1.1 ulp; subnormal results within one unit; inf above, 0 below."""
    low, high = like(x, by_dtype(x, -105.0, -746.0)), like(x, by_dtype(x, 89.0, 710.0))
    shifted, r = _reduce(clamp(x, low, high))
    return _times_power(like(x, 1.0) + _expm1_reduced(r), shifted)


@device_function
def expm1(x):
    """e**x - 1 within 2.5 ulp, also near 0."""
    low, high = like(x, by_dtype(x, -20.0, -40.0)), like(x, by_dtype(x, 89.0, 710.0))
    shifted, r = _reduce(clamp(x, low, high))
    # half the power, so that the largest results do not overflow on the way
    power = power_of_two(shifted - like(x, 1.0))
    half = fma(_expm1_reduced(r), power, power - like(x, 0.5))
    return half + half


@device_function
def _shortfall(f):
    """f - log(1 + f) for 1 + f in [1/2, 2]."""
    s = f / (like(f, 2.0) + f)
    z = s * s
    half = like(f, 0.5) * f
    # f**2 / 2 - s (f**2 / 2 + z P(z))
    inner = fma(half, f, z * polynomial(z, by_dtype(f, LOG_SINGLE, LOG_DOUBLE)))
    return fma(-s, inner, half * f)


@device_function
def log(x):
    """Natural logarithm within 1 ulp, of subnormal x too; -inf at 0, NaN below."""
    zero, scale = like(x, 0.0), like(x, 18014398509481984.0)  # 2**54
    subnormal = x < like(x, by_dtype(x, 1.1754943508222875e-38, 2.2250738585072014e-308))
    root_half = by_dtype(x, 0.7071067690849304, 0.7071067811865476)
    k, m = split_exponent(select(subnormal, x * scale, x), root_half)
    k = k - select(subnormal, like(x, 54.0), zero)
    f = m - like(x, 1.0)
    low = like(x, by_dtype(x, -LOG_2_LOW_SINGLE, -LOG_2_LOW_DOUBLE))
    high = like(x, by_dtype(x, LOG_2_HIGH_SINGLE, LOG_2_HIGH_DOUBLE))
    result = fma(k, high, f - fma(k, low, _shortfall(f)))
    infinity, nothing = like(x, INFINITY), like(x, NAN)
    result = select(x == infinity, infinity, result)
    return select(x > zero, result, select(x == zero, -infinity, nothing))


@device_function
def log1p_unit(x):
    """log(1 + x) within 1.5 ulp for x in [0, 1]."""
    return x - _shortfall(x)


@device_function
def sigmoid(x):
    """1 / (1 + e**-x) within 2.5 ulp; subnormal results may be 0."""
    one = like(x, 1.0)
    # the upper end makes the power, and so the sum, infinite: the quotient is 0
    low, high = like(x, by_dtype(x, -87.0, -708.0)), like(x, by_dtype(x, 89.0, 710.0))
    shifted, r = _reduce(clamp(-x, low, high))
    return one / fma(one + _expm1_reduced(r), power_of_two(shifted), one)


@device_function
def tanh(x):
    """Hyperbolic tangent within 3 ulp, also near 0."""
    one = like(x, 1.0)
    end = like(x, by_dtype(x, 10.0, 20.0))
    x = clamp(x, -end, end)
    shifted, r = _reduce(x + x)
    t, power = _expm1_reduced(r), power_of_two(shifted)
    # (e**2x - 1) / (e**2x + 1)
    return fma(t, power, power - one) / fma(t, power, power + one)


@device_function
def softplus(x):
    """log(1 + e**x) within 2.5 ulp; subnormal results within one unit."""
    return maximum(x, like(x, 0.0)) + log1p_unit(exp(-absolute(x)))


@device_function
def normal_cdf_density(x):
    """The normal distribution's (cumulative probability, density), within 6 and 2.5 ulp.

    The lower tail's relative accuracy is as good; subnormal results are within two units.
    """
    zero, half = like(x, 0.0), like(x, 0.5)
    a = clamp(absolute(x), zero, like(x, by_dtype(x, 15.0, 39.0)))
    square = a * a
    rest = fma(a, a, -square)  # what rounding took from the square
    shifted, r = _reduce(-half * square)
    e = _times_power(like(x, 1.0) + _expm1_reduced(fma(rest, -half, r)), shifted)
    above = polynomial(a, by_dtype(x, TAIL_SINGLE, TAIL_DOUBLE))
    ratio = above / polynomial(a, by_dtype(x, TAIL_BELOW_SINGLE, TAIL_BELOW_DOUBLE))
    upper = x > zero
    cdf = fma(select(upper, -e, e), ratio, select(upper, like(x, 1.0), zero))
    return cdf, fma(e, like(x, by_dtype(x, DENSITY_SINGLE, DENSITY_DOUBLE)), zero)


@device_function
def circle(u):
    """(cos(2 pi u), sin(2 pi u)), each within 1.5 ulp, for u in [0, 1]."""
    shift = like(u, by_dtype(u, ROUND_SINGLE, ROUND_DOUBLE))
    one = like(u, 1.0)
    quarter = fma(u, like(u, 4.0), shift) - shift  # 0 ... 4
    r = fma(quarter, like(u, -0.25), u)
    z = r * r
    high = like(u, by_dtype(u, TURN_HIGH_SINGLE, TURN_HIGH_DOUBLE))
    low = like(u, by_dtype(u, TURN_LOW_SINGLE, TURN_LOW_DOUBLE))
    cosine = fma(polynomial(z, by_dtype(u, COSINE_SINGLE, COSINE_DOUBLE)), z, one)
    sine = fma(r, high, r * fma(polynomial(z, by_dtype(u, SINE_SINGLE, SINE_DOUBLE)), z, low))
    odd = (quarter == one) | (quarter == like(u, 3.0))
    x, y = select(odd, sine, cosine), select(odd, cosine, sine)
    x = select((quarter == one) | (quarter == like(u, 2.0)), -x, x)
    y = select((quarter == like(u, 2.0)) | (quarter == like(u, 3.0)), -y, y)
    return x, y


@device_function
def sign(x):
    """1, -1, or x itself where it is a zero or NaN."""
    zero, one = like(x, 0.0), like(x, 1.0)
    return select(x > zero, one, select(x < zero, -one, x))


@device_function
def canonical(x):
    """x, or where it is NaN the one NaN that numpy has."""
    return select(x == x, x, like(x, float("nan")))
