"""The reference against what does not know it: the tutorial, differences, scikit-learn, torch."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from shoal import reference

DTYPES = ("float32", "float64")
# Pairs of output and loss that have a meaning
PAIRS = (
    ("identity", "squared_error"),
    ("sigmoid", "squared_error"),
    ("softmax", "squared_error"),
    ("exp", "squared_error"),
    ("sigmoid", "cross_entropy"),
    ("softmax", "cross_entropy"),
)
pairs = pytest.mark.parametrize("output, loss", PAIRS, ids=["-".join(pair) for pair in PAIRS])
activations = pytest.mark.parametrize("activation", reference.ACTIVATIONS)


def random_targets(generator, n, O, output, loss):
    """Targets that suit a pair: numbers, probabilities, or rows that sum to 1."""
    if loss == "squared_error":
        return generator.normal(size=(n, O))
    if output == "softmax":
        return generator.dirichlet(np.ones(O), n)
    return generator.uniform(size=(n, O))


def random_problem(activation, output, loss, *, n=7, widths=(3, 5, 4, 3), seed=0, bias=True):
    """A net and rows for it, in float64; no hidden weighted sum is near the kink at 0."""
    generator = np.random.default_rng(seed)
    while True:
        weights = [
            generator.normal(size=shape) / np.sqrt(shape[0])
            for shape in zip(widths[:-1], widths[1:], strict=True)
        ]
        biases = [generator.normal(size=units) / 2 for units in widths[1:]] if bias else None
        X = generator.normal(size=(n, widths[0]))
        sums, _ = reference.propagate(X, weights, biases, activation, output)
        if len(sums) == 1 or min(np.abs(z).min() for z in sums[:-1]) > 1e-3:
            break
    return SimpleNamespace(
        X=X,
        y=random_targets(generator, n, widths[-1], output, loss),
        weights=weights,
        biases=biases,
        network={"activations": activation, "output": output},
        pair={"output": output, "loss": loss},
    )


def copies(arrays, dtype=None):
    return [np.array(a, dtype) for a in arrays]


def relative_error(got, right):
    """Largest error of each array relative to its largest element; the largest of these."""
    return max(np.abs(g - r).max() / np.abs(r).max() for g, r in zip(got, right, strict=True))


# ---------------------------------------------------------------------------------- the tutorial

INPUTS = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])


def test_tutorial_two_layers():
    np.random.seed(1)
    weights = [2 * np.random.random((3, 1)) - 1]
    y = np.array([[0], [0], [1], [1]])
    reference.train(INPUTS, y, weights, epochs=9_999)  # it prints the 10,000th forward pass
    (outputs,) = reference.forward(INPUTS, weights, None, [], "sigmoid")
    printed = ["0.00966449", "0.00786506", "0.99358898", "0.99211957"]
    assert [f"{a:.8f}" for a in outputs.ravel()] == printed


def test_tutorial_three_layers():
    np.random.seed(1)
    weights = [2 * np.random.random((3, 4)) - 1, 2 * np.random.random((4, 1)) - 1]
    y = np.array([[0], [1], [1], [0]])
    printed = (
        "0.496410031903 0.00858452565325 0.00578945986251 "
        "0.00462917677677 0.00395876528027 0.00351012256786"
    ).split()
    errors = []
    for text in printed:
        outputs = reference.forward(INPUTS, weights, None, "sigmoid", "sigmoid")[-1]
        errors.append(np.mean(np.abs(y - outputs)))
        if text != printed[-1]:
            reference.train(INPUTS, y, weights, epochs=10_000)
    # 12 significant digits, as the tutorial's Python 2 prints a float
    assert [f"{error:.12g}" for error in errors] == printed


@pytest.mark.parametrize("seed", range(3))
def test_eleven_lines_converge(seed):
    weights, _ = reference.initial_weights((3, 4, 1), "uniform", seed)
    y = np.array([[0], [1], [1], [0]])
    reference.train(INPUTS, y, weights, epochs=20_000)
    outputs = reference.forward(INPUTS, weights, None, "sigmoid", "sigmoid")[-1]
    assert np.abs(y - outputs).max() < 0.03


# ------------------------------------------------------------------------------------- gradients

# A central difference at step h errs by about h^2 |f'''| / 6, cut off, and eps |f| / h, rounded:
# 6e-12 and 4e-11 at h = 6e-6, the cube root of eps. Third derivatives and losses up to 100 leave it
# under 1e-8 of the largest gradient, while a wrong formula is wrong in the first digits.
STEP, TOLERANCE = 6e-6, 1e-8


def gradient_error(p, reduction="sum"):
    """Largest difference of `gradients` from central differences, relative to the largest one."""

    def total():
        sums, _ = reference.propagate(p.X, p.weights, p.biases, **p.network)
        losses = reference.row_losses(sums[-1], p.y, **p.pair)
        return losses.mean() if reduction == "mean" else losses.sum()

    by_weights, by_biases = reference.gradients(
        p.X, p.y, p.weights, p.biases, p.network["activations"], **p.pair, reduction=reduction
    )
    parameters = p.weights + (p.biases or [])
    found = by_weights + (by_biases if p.biases else [])
    differences = []
    for w in parameters:
        difference = np.empty_like(w)
        for index in np.ndindex(w.shape):
            kept = w[index]
            w[index] = kept + STEP
            above = total()
            w[index] = kept - STEP
            difference[index] = (above - total()) / (2 * STEP)
            w[index] = kept
        differences.append(difference)
    largest = max(np.abs(d).max() for d in differences)
    return max(np.abs(g - d).max() for g, d in zip(found, differences, strict=True)) / largest


@activations
@pairs
def test_gradients(activation, output, loss):
    assert gradient_error(random_problem(activation, output, loss)) < TOLERANCE


@pairs
def test_gradients_of_means_without_biases_and_hidden_layers(output, loss):
    assert gradient_error(random_problem("tanh", output, loss), "mean") < TOLERANCE
    assert gradient_error(random_problem("tanh", output, loss, bias=False)) < TOLERANCE
    assert gradient_error(random_problem([], output, loss, widths=(3, 4))) < TOLERANCE


def test_gradients_of_layers_that_differ():
    assert gradient_error(random_problem(["elu", "gelu"], "exp", "squared_error")) < TOLERANCE


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
    monkeypatch.setattr(reference, "output_delta", lambda *given: whole(*given) * 1.0001)
    assert gradient_error(random_problem("tanh", output, loss)) > 100 * TOLERANCE


def test_the_diagonal_of_the_softmax_alone_is_seen(monkeypatch):
    monkeypatch.setattr(
        reference, "output_delta", lambda z, a, y, output, loss: (a - y) * a * (1 - a)
    )
    problem = random_problem("tanh", "softmax", "squared_error")
    assert gradient_error(problem) > 100 * TOLERANCE


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


@pairs
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_dtype_of_the_weights_rules(output, loss, optimizer, dtype):
    p = random_problem("tanh", output, loss)
    weights, biases = copies(p.weights, dtype), copies(p.biases, dtype)
    settings = {"learning_rate": np.float64(0.01), "optimizer": optimizer, "reduction": "mean"}
    losses = reference.train(p.X, p.y, weights, biases, epochs=30, activations="tanh",
                             batch_size=3, **p.pair, **settings)  # fmt: skip
    sums, layers = reference.propagate(p.X, weights, biases, **p.network)
    found = reference.gradients(p.X, p.y, weights, biases, "tanh", **p.pair, reduction="mean")
    for array in [losses, *sums, *layers, *found[0], *found[1], *weights, *biases]:
        assert array.dtype == dtype
    again = copies(p.weights, dtype), copies(p.biases, dtype)
    reference.train(p.X.astype(dtype), p.y.astype(dtype), *again, epochs=30, activations="tanh",
                    batch_size=3, **p.pair, **settings)  # fmt: skip
    for w, same in zip(weights + biases, again[0] + again[1], strict=True):
        assert np.array_equal(w, same)
    exact = copies(p.weights), copies(p.biases)
    reference.train(p.X, p.y, *exact, epochs=30, activations="tanh", batch_size=3, **p.pair,
                    **settings)  # fmt: skip
    assert relative_error(weights + biases, exact[0] + exact[1]) < 1e-4


# ---------------------------------------------------------------------------------- the training


def test_a_batch_is_rows_of_the_order():
    """Two epochs of batches 3, 3 and 1, written out with `gradients`."""
    p = random_problem("tanh", "identity", "squared_error")
    settings = {"activations": "tanh", **p.pair, "reduction": "mean"}
    weights, biases = copies(p.weights), copies(p.biases)
    losses = reference.train(p.X, p.y, weights, biases, epochs=2, batch_size=3, shuffle=True,
                             shuffle_seed=5, learning_rate=0.1, **settings)  # fmt: skip
    own, own_biases = copies(p.weights), copies(p.biases)
    for epoch in range(2):
        order, total = reference.row_order(5, epoch, 7), 0
        for rows in (order[:3], order[3:6], order[6:]):
            X, y = p.X[rows], p.y[rows]
            z = reference.propagate(X, own, own_biases, "tanh", "identity")[0][-1]
            total += reference.row_losses(z, y, **p.pair).sum()
            found = reference.gradients(X, y, own, own_biases, **settings)
            for w, g in zip(own + own_biases, found[0] + found[1], strict=True):
                w -= 0.1 * g
        assert losses[epoch] == pytest.approx(total / 7, rel=1e-14)
    assert relative_error(weights + biases, own + own_biases) < 1e-14


def test_a_full_batch_is_never_shuffled():
    p = random_problem("tanh", "identity", "squared_error")
    ends = []
    for given in ({}, {"shuffle": True}, {"shuffle": True, "batch_size": 100}):
        ends.append(copies(p.weights))
        reference.train(p.X, p.y, ends[-1], epochs=3, learning_rate=0.01, **given)
    for a, b, c in zip(*ends, strict=True):
        assert np.array_equal(a, b) and np.array_equal(a, c)


def test_records():
    p = random_problem("tanh", "identity", "squared_error")

    def losses(epochs, every):
        return reference.train(p.X, p.y, copies(p.weights), epochs=epochs, record_every=every,
                               learning_rate=0.01)  # fmt: skip

    all_of_them = losses(11, 1)
    assert len(all_of_them) == 11
    assert losses(11, 4).tolist() == all_of_them[[0, 4, 8, 10]].tolist()
    assert losses(11, 5).tolist() == all_of_them[[0, 5, 10]].tolist()
    assert len(losses(0, 1)) == 0


def test_weights_of_any_strides_are_changed_in_place():
    p = random_problem("tanh", "identity", "squared_error")
    whole = copies(p.weights)
    strided = [np.zeros((2 * len(w), w.shape[1]), order="F")[::2] for w in whole]
    for w, s in zip(whole, strided, strict=True):
        s[...] = w
    for weights in (whole, strided):
        reference.train(p.X, p.y, weights, epochs=5, learning_rate=0.01, momentum=0.5)
    assert relative_error(strided, whole) < 1e-14
    assert relative_error(whole, p.weights) > 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_net_that_diverges_keeps_its_last_finite_weights(dtype):
    X, y = np.ones((1, 1)), np.zeros((1, 1))
    weights = [np.ones((1, 1), dtype)]
    # Each step turns w into w - 1e4 w.
    losses = reference.train(X, y, weights, epochs=200, output="identity", learning_rate=1e4)
    last = np.log(float(np.finfo(dtype).max)) // np.log(9999)
    assert np.abs(weights[0]) == pytest.approx(9999**last, rel=1e-4)
    assert np.isnan(losses[int(last) :]).all()
    assert not np.isnan(losses[: int(last)]).any()


# ---------------------------------------------------------------------------------- scikit-learn

SKLEARN_NAMES = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}


@pytest.mark.parametrize("momentum, nesterov", [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("activation", SKLEARN_NAMES)
@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax"])
def test_as_scikit_learn(output, activation, momentum, nesterov):
    """Mini-batches, the last of them short, 25 epochs. Its adam scales epsilon another way."""
    network = pytest.importorskip("sklearn.neural_network")
    generator = np.random.default_rng(1)
    X = generator.normal(size=(50, 4))
    labels = generator.integers(0, 3 if output == "softmax" else 2, 50)
    if output == "identity":
        loss, kind, y = "squared_error", network.MLPRegressor, generator.normal(size=50)
        targets = y[:, None]
    else:
        loss, kind, y = "cross_entropy", network.MLPClassifier, labels
        targets = np.eye(3)[labels] if output == "softmax" else labels[:, None]

    def fitted(epochs, learning_rate):
        estimator = kind(
            hidden_layer_sizes=(6, 5), activation=SKLEARN_NAMES[activation], solver="sgd", alpha=0,
            batch_size=16, learning_rate_init=learning_rate, momentum=momentum,
            nesterovs_momentum=nesterov, shuffle=False, random_state=0, max_iter=epochs, tol=0,
            n_iter_no_change=1000,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            return estimator.fit(X, y)

    start, end = fitted(1, 1e-300), fitted(25, 0.05)  # the first never leaves its initial weights
    weights, biases = copies(start.coefs_), copies(start.intercepts_)
    losses = reference.train(
        X, targets, weights, biases, epochs=25, activations=activation, output=output, loss=loss,
        batch_size=16, reduction="mean", learning_rate=0.05, momentum=momentum, nesterov=nesterov,
    )  # fmt: skip
    assert relative_error(end.coefs_, start.coefs_) > 1e-2
    assert relative_error(weights + biases, end.coefs_ + end.intercepts_) < 1e-10
    np.testing.assert_allclose(losses, end.loss_curve_, rtol=1e-10)


# ----------------------------------------------------------------------------------------- torch

OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.05},
    "momentum": {"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.9},
    "nesterov": {"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.9, "nesterov": True},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "adam_of_other_betas": {
        "optimizer": "adam",
        "learning_rate": 0.01,
        "beta_1": 0.5,
        "beta_2": 0.9,
        "epsilon": 1e-3,
    },
}


@pytest.fixture(scope="module")
def torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the import
        return pytest.importorskip("torch")


def torch_train(torch, p, *, epochs, batch_size, shuffle_seed, optimizer, learning_rate,
                momentum=0.0, nesterov=False, beta_1=0.9, beta_2=0.999, epsilon=1e-8):  # fmt: skip
    """The same training by autograd and torch's optimizers: final parameters, losses of epochs."""
    functional = torch.nn.functional
    act = {
        "identity": lambda z: z,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "leaky_relu": functional.leaky_relu,
        "elu": functional.elu,
        "selu": functional.selu,
        "gelu": functional.gelu,
        "silu": functional.silu,
        "softplus": functional.softplus,
    }[p.network["activations"]]

    def batch_losses(z, y):
        if p.pair["loss"] == "cross_entropy" and p.pair["output"] == "softmax":
            return functional.cross_entropy(z, y, reduction="none")
        if p.pair["loss"] == "cross_entropy":
            return functional.binary_cross_entropy_with_logits(z, y, reduction="none").sum(1)
        outputs = {
            "identity": lambda z: z,
            "sigmoid": torch.sigmoid,
            "softmax": lambda z: torch.softmax(z, 1),
            "exp": torch.exp,
        }[p.pair["output"]](z)
        return functional.mse_loss(outputs, y, reduction="none").sum(1) / 2

    X, y = torch.tensor(p.X), torch.tensor(p.y)
    weights = [torch.tensor(w, requires_grad=True) for w in p.weights]
    biases = [torch.tensor(b, requires_grad=True) for b in p.biases]
    if optimizer == "adam":
        stepper = torch.optim.Adam(weights + biases, learning_rate, (beta_1, beta_2), epsilon)
    else:
        stepper = torch.optim.SGD(weights + biases, learning_rate, momentum, nesterov=nesterov)
    losses = []
    for epoch in range(epochs):
        order, total = reference.row_order(shuffle_seed, epoch, len(X)), 0.0
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            a = X[rows]
            for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
                a = a @ w + b
                if k + 1 < len(weights):
                    a = act(a)
            of_rows = batch_losses(a, y[rows])
            total += of_rows.sum().item()
            stepper.zero_grad()
            of_rows.mean().backward()
            stepper.step()
        losses.append(total / len(X))
    return [w.detach().numpy() for w in weights + biases], losses


def check_against_torch(torch, p, settings):
    epochs, batches = 20, {"batch_size": 4, "shuffle_seed": 3}
    weights, biases = copies(p.weights), copies(p.biases)
    losses = reference.train(p.X, p.y, weights, biases, epochs=epochs, shuffle=True, **batches,
                             activations=p.network["activations"], **p.pair, reduction="mean",
                             **settings)  # fmt: skip
    right, right_losses = torch_train(torch, p, epochs=epochs, **batches, **settings)
    assert relative_error(weights, p.weights) > 1e-3
    assert relative_error(weights + biases, right) < 1e-10
    np.testing.assert_allclose(losses, right_losses, rtol=1e-10)


@activations
@pytest.mark.parametrize("settings", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_activations_as_torch(torch, activation, settings):
    problem = random_problem(activation, "softmax", "cross_entropy", n=10)
    check_against_torch(torch, problem, settings)


@pairs
@pytest.mark.parametrize("settings", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_losses_as_torch(torch, output, loss, settings):
    check_against_torch(torch, random_problem("tanh", output, loss, n=10), settings)


# -------------------------------------------------------------------------------- random numbers

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
