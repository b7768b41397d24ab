"""The random numbers of the reference: known answers, moments, permutations, masks."""

import numpy as np
import pytest

from shoal import reference

# Counter, key and answer of philox4x32 with 10 rounds, from the kat_vectors of Random123
KNOWN_ANSWERS = [
    "00000000 00000000 00000000 00000000 00000000 00000000 6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    "ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff 408f276d 41c83b0e a20bc7c6 6d5451fd",
    "243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0 d16cfe09 94fdcceb 5001e420 24126ea1",
]


@pytest.mark.parametrize("line", KNOWN_ANSWERS)
def test_philox_known_answers(line):
    *counter, low, high, r0, r1, r2, r3 = (int(word, 16) for word in line.split())
    words = reference.philox(counter, low + (high << 32))
    assert words.tolist() == [r0, r1, r2, r3]


def test_philox_of_arrays_is_philox_of_each():
    words = reference.philox((np.arange(5), 7, np.arange(3)[:, None], 1), key=2**64 - 1)
    assert words.shape == (4, 3, 5)
    assert words[:, 2, 4].tolist() == reference.philox((4, 7, 2, 1), 2**64 - 1).tolist()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 9, 100, 1025])
def test_row_orders_are_permutations(n):
    orders = [reference.row_order(seed, epoch, n) for seed in (0, 2**64 - 1) for epoch in range(3)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(n))
    if n >= 100:
        assert len({tuple(order) for order in orders}) == len(orders)


@pytest.mark.parametrize("vary", ["seed", "epoch"])
def test_row_orders_look_uniform(vary):
    """Chi-square of the 24 orders of 4 rows, and of 6 rows x 6 positions, 1200 draws each.

    Its expectation is the degrees of freedom d, its standard deviation sqrt(2 d): 4 are allowed.
    """
    draws = 1200
    given = [{"seed": 0, "epoch": 0, vary: k} for k in range(draws)]
    fours = [tuple(reference.row_order(**g, n=4)) for g in given]
    counts = np.unique(fours, axis=0, return_counts=True)[1]
    expected = draws / 24
    assert len(counts) == 24
    assert abs(((counts - expected) ** 2 / expected).sum() - 23) < 4 * np.sqrt(2 * 23)
    sixes = np.array([reference.row_order(**g, n=6) for g in given])
    counts = np.stack([np.bincount(column, minlength=6) for column in sixes.T])
    expected = draws / 6
    assert abs(((counts - expected) ** 2 / expected).sum() - 25) < 4 * np.sqrt(2 * 25)


WIDTHS = (60, 40, 25)


def scale(init, inputs, units):
    """Half width of a uniform kind, standard deviation of a normal kind."""
    return {
        "uniform": 1.0,
        "glorot_uniform": np.sqrt(6 / (inputs + units)),
        "glorot_normal": np.sqrt(2 / (inputs + units)),
        "he_uniform": np.sqrt(6 / inputs),
        "he_normal": np.sqrt(2 / inputs),
        "lecun_normal": np.sqrt(1 / inputs),
    }[init]


@pytest.mark.parametrize("init", reference.INITS)
def test_initial_weights_have_their_moments(init):
    """Mean, variance and fourth moment within 4 standard errors, and the range."""
    weights, biases = reference.initial_weights(WIDTHS, init, seed=3)
    for w, b, inputs, units in zip(weights, biases, WIDTHS, WIDTHS[1:], strict=False):
        assert w.shape == (inputs, units) and not b.any() and b.shape == (units,)
        x = w.ravel() / scale(init, inputs, units)
        normal = init.endswith("normal")
        moments = {2: 1, 4: 3, 8: 105} if normal else {2: 1 / 3, 4: 1 / 5, 8: 1 / 9}
        error = 4 / np.sqrt(x.size)
        assert abs(x.mean()) < error * np.sqrt(moments[2])
        for k in (2, 4):
            deviation = np.sqrt(moments[2 * k] - moments[k] ** 2)
            assert abs((x**k).mean() - moments[k]) < error * deviation
        if normal:
            assert 2.5 < np.abs(x).max() < 6
        else:
            assert 0.99 < np.abs(x).max() <= 1
        neighbours = np.corrcoef(x[:-1], x[1:])[0, 1]
        assert abs(neighbours) < error


def test_a_weight_is_drawn_by_its_position():
    weights, _ = reference.initial_weights((3, 5, 2), "uniform", seed=2**40 + 9)
    for layer, w in enumerate(weights):
        for p in range(w.size):
            words = [int(word) for word in reference.philox((p // 2, layer, 0, 0), 2**40 + 9)]
            high, low = words[2 * (p % 2) : 2 * (p % 2) + 2]
            u = ((high >> 5) * 2**26 + (low >> 6)) / 2**53
            assert w.ravel()[p] == 2 * u - 1


def test_box_and_muller():
    (w,), _ = reference.initial_weights((3, 3), "lecun_normal", seed=4)  # 9: the last has no pair
    (u,), _ = reference.initial_weights((5, 2), "uniform", seed=4)
    u = (u.ravel() + 1) / 2
    for p, value in enumerate(w.ravel() * np.sqrt(3)):
        even, odd = u[p // 2 * 2], u[p // 2 * 2 + 1]
        turn = np.exp(2j * np.pi * odd) * np.sqrt(-2 * np.log(1 - even))
        assert value == pytest.approx(turn.imag if p % 2 else turn.real, abs=1e-14)


@pytest.mark.parametrize("init", reference.INITS)
def test_dtypes_start_alike_and_seeds_apart(init):
    double, _ = reference.initial_weights(WIDTHS, init, 1, "float64")
    single, biases = reference.initial_weights(WIDTHS, init, 1, "float32")
    other, _ = reference.initial_weights(WIDTHS, init, 1 + 2**32, "float64")
    for d, s, b, o in zip(double, single, biases, other, strict=True):
        assert s.dtype == b.dtype == np.float32
        assert np.array_equal(d.astype(np.float32), s)
        assert not np.isin(d, o).any()


def test_init_auto():
    net = (4, 6, 5, 3), "auto", 2
    weights, _ = reference.initial_weights(*net, activations=["relu", "tanh"])
    he, _ = reference.initial_weights((4, 6, 5, 3), "he_uniform", 2)
    glorot, _ = reference.initial_weights((4, 6, 5, 3), "glorot_uniform", 2)
    for got, right in zip(weights, [he[0], glorot[1], glorot[2]], strict=True):
        assert np.array_equal(got, right)
    (got,), _ = reference.initial_weights((4, 3), "auto", 2)
    (right,), _ = reference.initial_weights((4, 3), "glorot_uniform", 2)
    assert np.array_equal(got, right)


def test_a_unit_is_dropped_by_its_position():
    """One word at a time; the second batch of an epoch goes on where the first one ended."""
    seed, epoch, layer, rate = 2**40 + 9, 5, 3, 0.3
    mask = reference.dropout_mask(seed, epoch, layer, np.arange(2, 9), units=6, rate=rate)
    for row, position in enumerate(range(2, 9)):
        for unit in range(6):
            words = reference.philox((position, unit // 4, epoch, 2 + 256 * layer), seed)
            u = (int(words[unit % 4]) >> 8) / 2**24
            assert mask[row, unit] == (1 / 0.7 if u >= rate else 0)


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.9])
def test_masks_keep_the_mean(rate):
    """The share of zeros within 4 standard errors, their pattern different wherever it must be."""
    told = {"seed": 1, "epoch": 2, "layer": 1, "positions": np.arange(200), "units": 101}
    mask = reference.dropout_mask(**told, rate=rate)
    assert set(np.unique(mask)) == {0, 1 / (1 - rate)}
    error = 4 * np.sqrt(rate * (1 - rate) / mask.size)
    assert abs((mask == 0).mean() - rate) < error
    for other in ({"seed": 2}, {"epoch": 3}, {"layer": 2}, {"positions": np.arange(200, 400)}):
        kept, now = mask > 0, reference.dropout_mask(**{**told, **other}, rate=rate) > 0
        agreement = rate**2 + (1 - rate) ** 2
        error = 4 * np.sqrt(agreement * (1 - agreement) / mask.size)
        assert abs((kept == now).mean() - agreement) < error


def test_masks_of_a_net():
    masks = reference.dropout_masks((0.2, 0, 0.5), (3, 4, 5), 1, 0, np.arange(6), "float32")
    assert masks[1] is None and masks[0].shape == (6, 3) and masks[2].shape == (6, 5)
    assert masks[0].dtype == np.float32
    right = reference.dropout_mask(1, 0, 2, np.arange(6), units=5, rate=0.5)
    assert np.array_equal(masks[2], right.astype("float32"))
