"""Print the literals of ``shoal/kernels/elementary.py``. Needs mpmath; takes about ten seconds.

Run ``python tools/coefficients.py``: every tuple and number printed is one of the module's, as it
stands there. A tuple comes with the largest error that its *rounded* coefficients leave, in units
of u = 2**-24 (SINGLE) or 2**-53 (DOUBLE), relative to the function it serves.

Coefficients are those of least largest relative error, found by Remez' exchange in 50 digits: solve
for an error that takes one size with alternating signs at as many points as there are unknowns,
move the points to where the error is largest, and repeat.
"""

import mpmath as mp

mp.mp.dps = 50
UNITS = {"SINGLE": mp.mpf(2) ** -24, "DOUBLE": mp.mpf(2) ** -53}


def rounded(x, dtype):
    """The nearest float32 (SINGLE) or float64 (DOUBLE)."""
    with mp.workprec(24 if dtype == "SINGLE" else 53):
        return +x


def polynomial(coefficients, x):
    """Sum of coefficients[j] * x**j."""
    return mp.polyval(coefficients[::-1], x)


def points(a, b, n, middle=None):
    """n Chebyshev points on [a, b], ends included; half of them below ``middle`` if it is given."""
    if middle is None:
        return [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * k / (n - 1)) for k in range(n)]
    image = [middle * (1 + t) / (1 - t) for t in points(-1, (b - middle) / (b + middle), n)]
    return [a, *image[1:-1], b]


def alternation(error, grid, n):
    """Where ``error`` is largest in each stretch of one sign; the n largest in a row."""
    peaks = []
    for x in grid:
        value = error(x)
        if peaks and (peaks[-1][1] > 0) == (value > 0):
            peaks[-1] = max(peaks[-1], (x, value), key=lambda peak: abs(peak[1]))
        else:
            peaks.append((x, value))
    while len(peaks) > n:
        peaks.pop(0 if abs(peaks[0][1]) < abs(peaks[-1][1]) else -1)
    assert len(peaks) == n, "the error does not alternate: take other degrees"
    return [x for x, _ in peaks]


def fit_polynomial(target, weight, degree, a, b, dtype):
    """Rounded coefficients of a polynomial, and the largest ``weight * error`` they leave."""
    target, weight = mp.memoize(target), mp.memoize(weight)
    grid, n = points(a, b, 1001), degree + 2
    reference = points(a, b, n)
    for _ in range(6):
        rows = mp.matrix(n, n)
        for i, x in enumerate(reference):
            for j in range(degree + 1):
                rows[i, j] = weight(x) * x**j
            rows[i, n - 1] = (-1) ** i
        solution = mp.lu_solve(rows, mp.matrix([weight(x) * target(x) for x in reference]))
        c = list(solution)[:-1]

        def error(x, c=c):
            return weight(x) * (polynomial(c, x) - target(x))

        reference = alternation(error, grid, n)
    c = [rounded(value, dtype) for value in c]
    return c, max(abs(error(x, c)) for x in grid)


def fit_rational(target, degree, other, b, middle, dtype):
    """Rounded coefficients of P and Q of P / Q on [0, b], and the largest relative error left.

    Q(0) = 15/8, near the end of its binade, where rounding a sum does the least relative harm.
    """
    target = mp.memoize(target)
    grid, n = points(0, b, 1001, middle), degree + other + 2
    first = mp.mpf(15) / 8
    q, reference = [first], points(0, b, n, middle)

    def error(x):
        return polynomial(p, x) / (polynomial(q, x) * target(x)) - 1

    for _ in range(10):
        for _ in range(6):  # linear once the last Q stands beside the size of the error
            rows = mp.matrix(n, n)
            for i, x in enumerate(reference):
                for j in range(degree + 1):
                    rows[i, j] = x**j / target(x)
                for j in range(1, other + 1):
                    rows[i, degree + j] = -(x**j)
                rows[i, n - 1] = (-1) ** i * polynomial(q, x)
            solution = list(mp.lu_solve(rows, mp.matrix([first] * n)))
            p, q = solution[: degree + 1], [first, *solution[degree + 1 : -1]]
        reference = alternation(error, grid, n)
    p, q = ([rounded(value, dtype) for value in c] for c in (p, q))
    return p, q, max(abs(error(x)) for x in grid)


def show(name, dtype, coefficients):
    """Print a tuple as it stands in the module."""
    print(f"{name}_{dtype} = (")
    for c in coefficients:
        print(f"    {float(c)!r},")
    print(")")


def show_split(name, dtype, value, bits):
    """Print ``value`` as the sum of two numbers, the first of ``bits`` significant bits."""
    with mp.workprec(bits):
        high = +value
    print(f"{name}_HIGH_{dtype} = {float(high)!r}")
    print(f"{name}_LOW_{dtype} = {float(rounded(value - high, dtype))!r}")


def show_fit(name, dtype, target, weight, degree, a, b):
    c, worst = fit_polynomial(target, weight, degree, mp.mpf(a), mp.mpf(b), dtype)
    print(f"# {float(worst / UNITS[dtype]):.2g} u")
    show(name, dtype, c)


def exponential(dtype, degree, bits):
    """exp(r) = 1 + r + r**2 P(r), |r| <= log(2) / 2 and a little; relative to exp(r) - 1."""
    edge = mp.log(2) / 2 * (1 + mp.mpf(2) ** -12)

    def target(r):
        return mp.fsum(r**k / mp.factorial(k + 2) for k in range(40))

    show_fit("EXP", dtype, target, lambda r: abs(r) / (1 + r * target(r)), degree, -edge, edge)
    # k times the high part is exact for every exponent k
    show_split("LOG_2", dtype, mp.log(2), bits)


def logarithm(dtype, degree):
    """log(1 + f) = 2 s + s z P(z), where s = f / (2 + f), z = s**2, 0 <= z <= 1/9."""

    def target(z):
        return mp.fsum(2 * z**k / (2 * k + 3) for k in range(60))

    show_fit("LOG", dtype, target, lambda z: z / (2 + z * target(z)), degree, 0, mp.mpf(1) / 9)


def normal(dtype, degree, other, end):
    """Upper tail of the normal distribution over exp(-a**2 / 2) = P(a) / Q(a), 0 <= a <= end."""

    def target(a):
        return mp.erfc(a / mp.sqrt(2)) * mp.exp(a * a / 2) / 2

    p, q, worst = fit_rational(target, degree, other, mp.mpf(end), mp.mpf(3), dtype)
    print(f"# {float(worst / UNITS[dtype]):.2g} u")
    show("TAIL", dtype, p)
    show("TAIL_BELOW", dtype, q)
    print(f"DENSITY_{dtype} = {float(rounded(1 / mp.sqrt(2 * mp.pi), dtype))!r}")


def turn(dtype, degree):
    """sin(2 pi r) = r (2 pi + z P(z)), cos(2 pi r) = 1 + z P(z), where z = r**2, |r| <= 1/8."""
    full, edge = 2 * mp.pi, mp.mpf(1) / 64

    def series(z, first):
        terms = range(first, 50, 2)
        return mp.fsum(
            (-1) ** (k // 2) * full**k * z ** (k // 2 - 1) / mp.factorial(k) for k in terms
        )

    def sine(z):
        return series(z, 3)

    def cosine(z):
        return series(z, 2)

    show_fit("SINE", dtype, sine, lambda z: z / (full + z * sine(z)), degree, 0, edge)
    show_fit("COSINE", dtype, cosine, lambda z: z / (1 + z * cosine(z)), degree, 0, edge)
    show_split("TURN", dtype, full, 24 if dtype == "SINGLE" else 53)


if __name__ == "__main__":
    exponential("SINGLE", 4, 15)
    exponential("DOUBLE", 9, 42)
    logarithm("SINGLE", 4)
    logarithm("DOUBLE", 9)
    normal("SINGLE", 4, 5, 15)
    normal("DOUBLE", 10, 11, 39)
    turn("SINGLE", 3)
    turn("DOUBLE", 6)
