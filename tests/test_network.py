"""train() and fit(): what they change and return, and the sentence for every bad input."""

import re
import threading

import launches
import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import shoal
from shoal import reference
from shoal.inputs.settings import SETTINGS
from shoal.kernels.launching.kernels import KERNELS

rng = np.random.default_rng(0)
X = rng.random((6, 3))
NUMBERS = rng.random(6)
LABELS = np.array([0, 1, 0, 1, 0, 1])


def net(*widths, dtype="float64", seed=0):
    random = np.random.default_rng(seed)
    shapes = zip(widths[:-1], widths[1:], strict=True)
    return [(2 * random.random(shape) - 1).astype(dtype) for shape in shapes]


class Launched(BaseException):
    """A kernel was about to run, so everything before it was content."""


@pytest.fixture
def no_launch(monkeypatch):
    """Any launch, and so any compilation, fails the test."""

    launches.forbid(monkeypatch, Launched)


# ------------------------------------------------------------------------------------ bad input

CALLERS = {
    "train": lambda X, y, **more: shoal.train(X, y, net(3, 4, 1), **{"epochs": 3, **more}),
    "fit": lambda X, y, **more: shoal.fit(X, y, **more),
    "sweep": lambda X, y, **more: shoal.sweep(X, y, {"seed": [1, 2]}, **more),
    "validation": lambda X_, y, **more: shoal.fit(X, NUMBERS, validation=(X_, y), **more),
}
callers = pytest.mark.parametrize("caller", CALLERS)


def refused(call, error, message):
    """The call raises this error, whose message has this text and is one line."""
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert message in text
    assert "\n" not in text
    assert len(text) < 600
    assert type(caught.value) is error


def place(X, value, row=4, column=1):
    X = X.copy()
    X[row, column] = value
    return X


@callers
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (X[:, 0], ValueError, ".shape = (6,) must be 2-D"),
        (X[np.newaxis], ValueError, ".shape = (1, 6, 3) must be 2-D"),
        (3.0, ValueError, ".shape = () must be 2-D"),
        (X[:0], ValueError, ".shape = (0, 3) must have at least one row"),
        (X[:, :0], ValueError, ".shape = (6, 0) must have at least one row and one column"),
        (place(X, np.nan), ValueError, "[4, 1] = nan must be a finite"),
        (place(X, -np.inf), ValueError, "[4, 1] = -inf must be a finite"),
        (place(X.astype("f4"), np.nan), ValueError, "[4, 1] = nan must be a finite"),
        (X + 1j, TypeError, ".dtype = complex128 must be numbers"),
        (X.astype(str), TypeError, ".dtype = <U32 must be numbers"),
        (X.astype("S"), TypeError, ".dtype = |S32 must be numbers"),
        (np.zeros((6, 3), "M8[s]"), TypeError, ".dtype = datetime64[s] must be numbers"),
        (scipy.sparse.csr_matrix(X), TypeError, " is a sparse matrix"),
        (scipy.sparse.csr_array(X), TypeError, " is a sparse matrix"),
        (np.ma.masked_greater(X, 0.5), ValueError, " is a masked array"),
        ([[1, 2], [3]], ValueError, " = [[1, 2], [3]] must be rectangular"),
        (None, TypeError, ".dtype = object must be numbers"),
        ({"a": 1}, TypeError, ".dtype = object must be numbers"),
        ("abc", TypeError, ".dtype = <U3 must be numbers"),
        (iter(X), TypeError, ".dtype = object must be numbers"),
    ],
)
def test_bad_X(no_launch, caller, bad, error, message):
    name = "validation[0]" if caller == "validation" else "X"
    before = bad.copy() if isinstance(bad, np.ndarray) else None
    refused(lambda: CALLERS[caller](bad, NUMBERS), error, name + message)
    if before is not None:
        assert before.tobytes() == bad.tobytes()


@callers
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (NUMBERS[:4], ValueError, ".shape = (4,) must have as many rows as its X: 6"),
        ([], ValueError, ".shape = (0,) must have as many rows as its X: 6"),
        (1.0, ValueError, ".shape = () must be (n,) or (n, outputs)"),
        (NUMBERS.reshape(1, 6, 1), ValueError, ".shape = (1, 6, 1) must be (n,) or (n, outputs)"),
        (np.full(6, np.nan), ValueError, "[0] = nan must be a finite number"),
        ([[0.0]] * 5 + [[np.inf]], ValueError, "[5, 0] = inf must be a finite number"),
        (NUMBERS * 1j, TypeError, ".dtype = complex128 must be numbers"),
        (np.zeros(6, "M8[s]"), TypeError, ".dtype = datetime64[s] must be numbers"),
        (scipy.sparse.csr_matrix(LABELS), TypeError, " is a sparse matrix"),
        ([[1], [1, 2]] * 3, ValueError, " = [[1], [1, 2], [1], [1, 2], [1], [1, 2]] must be rect"),
        (None, TypeError, ".dtype = object must be numbers"),
    ],
)
def test_bad_y(no_launch, caller, bad, error, message):
    name = "validation[1]" if caller == "validation" else "y"
    refused(lambda: CALLERS[caller](X, bad), error, name + message)


@pytest.mark.parametrize("caller", ["train", "fit", "sweep"])
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"lerning_rate": 1}, TypeError, "lerning_rate = 1 is no setting: did you mean learning_r"),
        ({"cv": 3}, TypeError, "cv = 3 is no setting: the settings are hidden, activation,"),
        ({"n_jobs": 3}, TypeError, "n_jobs = 3 is no setting"),
        ({"activation": "rele"}, ValueError, "activation = 'rele' must be one of sigmoid, tanh, r"),
        ({"activation": ["relu", "tanh"]}, ValueError, "activation = ('relu', 'tanh') has 2 names"),
        ({"output": "relu"}, ValueError, "output = 'relu' must be one of auto, identity, sigmoid"),
        ({"output": "softmax"}, ValueError, "output = 'softmax' must have at least two outputs"),
        ({"output": "exp", "loss": "cross_entropy"}, ValueError, "output = 'exp' must be sigmoid"),
        ({"loss": "hinge"}, ValueError, "loss = 'hinge' must be one of auto, squared_error"),
        ({"learning_rate": -1}, ValueError, "learning_rate = -1 must be a finite number >= 0"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate = nan must be a finite number >= 0"),
        ({"learning_rate": np.inf}, ValueError, "learning_rate = inf must be a finite number >= 0"),
        ({"learning_rate": "1"}, TypeError, "learning_rate = '1' must be a finite number >= 0"),
        ({"epochs": -1}, ValueError, "epochs = -1 must be an integer from 0"),
        ({"epochs": 2.5}, TypeError, "epochs = 2.5 must be an integer from 0"),
        ({"epochs": True}, TypeError, "epochs = True must be an integer from 0"),
        ({"batch_size": 0}, ValueError, "batch_size = 0 must be an integer from 1"),
        ({"record_every": 0}, ValueError, "record_every = 0 must be an integer from 1"),
        ({"seed": 2**64}, ValueError, f"seed = {2**64} must be an integer from 0 to 2**64 - 1"),
        ({"momentum": 1}, ValueError, "momentum = 1 must be a number >= 0 and < 1"),
        ({"optimizer": "adam", "momentum": 0.5}, ValueError, "momentum = 0.5 needs optimizer = "),
        ({"optimizer": "sgd", "nesterov": True}, ValueError, "nesterov = True needs momentum > 0"),
        ({"progress": 1}, TypeError, "progress = 1 must be True, False or None"),
        (
            {"epochs": 2**31 - 1, "record_every": 1},
            ValueError,
            "epochs = 2147483647 with record_every = 1 must be less: ",
        ),
    ],
)
def test_bad_settings(no_launch, caller, given, error, message):
    refused(lambda: CALLERS[caller](X, NUMBERS, **given), error, message)


@pytest.mark.parametrize("caller", ["fit", "sweep"])
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"hidden": 0}, ValueError, "hidden = 0 must be the units of each hidden layer"),
        ({"hidden": (4, -1)}, ValueError, "hidden = (4, -1) must be the units of each hidden"),
        ({"hidden": "8"}, TypeError, "hidden = '8' must be the units of each hidden layer"),
        ({"hidden": 2**31 - 1}, ValueError, "hidden = (2147483647,) must be less: this "),
        ({"hidden": [2**31 - 1] * 9}, ValueError, "must be less: this sweep needs"),
        ({"init": "x"}, ValueError, "init = 'x' must be one of auto, uniform"),
        ({"bias": 1}, TypeError, "bias = 1 must be True or False"),
        ({"dtype": "f2"}, ValueError, "dtype = 'f2' must be float32, float64 or None"),
        ({"threads": 0}, ValueError, "threads = 0 must be an integer >= 1"),
        ({"threads": 1.0}, TypeError, "threads = 1.0 must be an integer >= 1"),
        ({"validation": (X,)}, ValueError, "must be a fraction of the rows, > 0 and < 1, a pair"),
        (
            {"validation": (X[:, :2], NUMBERS)},
            ValueError,
            "validation[0].shape = (6, 2) must have a column for each input of the net: 3",
        ),
        (
            {"validation": (X, NUMBERS[:3])},
            ValueError,
            "validation[1].shape = (3,) must have as many rows as its X: 6",
        ),
        (
            {"validation": (X, np.zeros((6, 2)))},
            ValueError,
            "validation[1].shape = (6, 2) must have a column for each output of the net: 1",
        ),
    ],
)
def test_bad_settings_that_train_does_not_take(no_launch, caller, given, error, message):
    refused(lambda: CALLERS[caller](X, NUMBERS, **given), error, message)


@pytest.mark.parametrize("caller", ["fit", "sweep"])
def test_validation_has_no_labels_of_its_own(no_launch, caller):
    validation = (X, [0, 1, 2, 0, 1, 7])
    refused(
        lambda: CALLERS[caller](X, LABELS, validation=validation),
        ValueError,
        "validation[1] has labels = [2, 7] but must have only the known classes [0, 1]",
    )


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (["a"] * 6, ValueError, "must have at least two classes, not only 'a'"),
        (np.array([["a", "b"]] * 6), ValueError, "y.shape = (6, 2) with dtype <U1 must be zeros"),
        (np.arange(12).reshape(6, 2), ValueError, "must be zeros and ones to be multi-label"),
    ],
)
def test_y_that_is_no_label(no_launch, y, error, message):
    for caller in ("fit", "sweep"):
        refused(lambda caller=caller: CALLERS[caller](X, y), error, message)


@pytest.mark.parametrize("y", [["a", "b"] * 3, np.array([["a"], ["b"]] * 3)])
def test_train_takes_no_strings(no_launch, y):
    refused(lambda: CALLERS["train"](X, y), TypeError, "y.dtype = <U1 must be numbers")


@pytest.mark.parametrize("name", ["hidden", "init", "bias", "dtype", "batch_norm"])
def test_train_refuses_what_the_weights_say(no_launch, name):
    refused(lambda: CALLERS["train"](X, NUMBERS, **{name: 3}), TypeError, f"{name} = 3 is refused")


def read_only(arrays, k):
    arrays[k].setflags(write=False)
    return arrays


square = np.ones((3, 3))


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (None, TypeError, "weights = None must be a list of arrays"),
        (np.zeros((2, 3, 4)), TypeError, "weights = array([[[0., 0., 0., 0.]"),
        ({0: 1}, TypeError, "weights = {0: 1} must be a list of arrays"),
        ("ab", TypeError, "weights = 'ab' must be a list of arrays"),
        ([], ValueError, "weights = [] must have at least one array"),
        ([[[1.0], [2.0], [3.0]]], TypeError, "weights[0] = [[1.0], [2.0], [3.0]] must be a numpy"),
        (net(3, 4) + net(5, 1), ValueError, "weights[1].shape = (5, 1) must have 4 rows"),
        (net(2, 1), ValueError, "weights[0].shape = (2, 1) must have a row for each column of X"),
        (net(3, 2), ValueError, "weights[0].shape = (3, 2) must have a column for each output"),
        ([np.ones(3)], ValueError, "weights[0].shape = (3,) must be (inputs, units)"),
        ([np.ones((3, 0)), np.ones((0, 1))], ValueError, "weights[0].shape = (3, 0) must be (in"),
        (read_only(net(3, 4, 1), 1), ValueError, "weights[1] is read-only"),
        ([np.broadcast_to(1.0, (3, 1))], ValueError, "weights[0] is read-only"),
        ([np.ones((3, 1), int)], TypeError, "weights[0].dtype = int64 must be float32 or float64"),
        ([np.ones((3, 1), "f2")], TypeError, "weights[0].dtype = float16 must be float32 or fl"),
        ([np.ones((3, 1), ">f8")], TypeError, "weights[0].dtype = >f8 must be float32 or float64"),
        ([np.ones((3, 1), "O")], TypeError, "weights[0].dtype = object must be float32 or float"),
        (
            [net(3, 4)[0], net(4, 1, dtype="f4")[0]],
            TypeError,
            "weights[1].dtype = float32 must be float64, as of weights[0]",
        ),
        ([place(np.ones((3, 1)), np.nan, 2, 0)], ValueError, "weights[0][2, 0] = nan must be"),
        ([place(np.ones((3, 1)), np.inf, 2, 0)], ValueError, "weights[0][2, 0] = inf must be"),
        ([np.ma.masked_array(np.ones((3, 1)), True)], TypeError, "weights[0] = masked_array("),
        ([square, square, np.ones((3, 1))], ValueError, "weights[1] shares memory with weights[0]"),
    ],
)
def test_bad_weights(no_launch, weights, error, message):
    refused(lambda: shoal.train(X, NUMBERS, weights, epochs=3), error, message)


@pytest.mark.parametrize(
    ("biases", "error", "message"),
    [
        (True, TypeError, "biases = True must be a list of arrays"),
        ([], ValueError, "biases = [] must have at least one array"),
        ([np.zeros(4)], ValueError, "biases has 1 arrays, but must have 2, as weights"),
        ([np.zeros(3), np.zeros(1)], ValueError, "biases[0].shape = (3,) must be (4,)"),
        ([np.zeros((4, 1)), np.zeros(1)], ValueError, "biases[0].shape = (4, 1) must be (4,)"),
        ([np.zeros(4, "f4"), np.zeros(1)], TypeError, "biases[0].dtype = float32 must be float64"),
        ([np.zeros(4, int), np.zeros(1)], TypeError, "biases[0].dtype = int64 must be float32 or"),
        ([np.zeros(4), np.full(1, np.nan)], ValueError, "biases[1][0] = nan must be a finite"),
        (read_only([np.zeros(4), np.zeros(1)], 0), ValueError, "biases[0] is read-only"),
        ([[0.0] * 4, [0.0]], TypeError, "biases[0] = [0.0, 0.0, 0.0, 0.0] must be a numpy array"),
    ],
)
def test_bad_biases(no_launch, biases, error, message):
    weights = net(3, 4, 1)
    refused(lambda: shoal.train(X, NUMBERS, weights, epochs=3, biases=biases), error, message)
    assert all((a == b).all() for a, b in zip(weights, net(3, 4, 1), strict=True))


# ----------------------------------------------------------------------- garbage, whatever it is

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.sampled_from([2**31, -(2**63), 2**64, 10**400])
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=4)
    | st.binary(max_size=4)
    | st.sampled_from(["relu", "softmax", "sgd", "adam", "auto", "sum", "cross_entropy", "exp"])
    | st.sampled_from([object(), int, len, ..., np.float32(2), np.int8(1), np.array(3)])
)
arrays = hnp.arrays(
    hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
)
garbage = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 3), inner, max_size=2)
        | st.sets(st.integers(), max_size=3)
    ),
    max_leaves=6,
)
ARGUMENTS = ("sample_weight", "warm_start", "trace", "threads", "progress")
some_settings = st.dictionaries(
    st.sampled_from([*SETTINGS, *ARGUMENTS, "lr", "cv"]), garbage, max_size=3
)
NAMES = r"|".join(["X", "y", "weights", "biases", "grid", *ARGUMENTS, *SETTINGS])


def check_garbage(call):
    try:
        call()
    except Launched:
        pass
    except (TypeError, ValueError) as error:
        message = str(error)
        assert "\n" not in message
        assert re.match(rf"({NAMES})\b", message) or " is no setting" in message, message
    else:
        raise AssertionError("garbage was trained without a launch")


fuzz = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(X=garbage, y=garbage, caller=st.sampled_from(sorted(CALLERS)))
def test_garbage_data_is_refused_in_one_line(no_launch, X, y, caller):
    check_garbage(lambda: CALLERS[caller](X, y))


@fuzz
@given(y=arrays, given_settings=some_settings, caller=st.sampled_from(["train", "fit"]))
def test_garbage_settings_are_refused_in_one_line(no_launch, y, given_settings, caller):
    check_garbage(lambda: CALLERS[caller](X, NUMBERS, **given_settings))
    check_garbage(lambda: CALLERS[caller](X[: y.shape[0] if y.ndim else 1], y, **given_settings))


@fuzz
@given(
    grid=garbage
    | st.dictionaries(st.sampled_from([*SETTINGS, "sed"]), st.lists(garbage, max_size=3) | garbage)
    | st.lists(some_settings, max_size=3),
    fixed=some_settings,
)
def test_garbage_grids_are_refused_in_one_line(no_launch, grid, fixed):
    check_garbage(lambda: shoal.sweep(X, NUMBERS, grid, **fixed))


@fuzz
@given(weights=garbage, biases=garbage)
def test_garbage_weights_are_refused_in_one_line(no_launch, weights, biases):
    check_garbage(lambda: shoal.train(X, NUMBERS, weights, epochs=1, biases=biases))
    check_garbage(lambda: shoal.train(X, NUMBERS, net(3, 1), epochs=1, biases=biases))


# ---------------------------------------------------------------------------------------- train

kernels = pytest.mark.kernels


@kernels
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", ["flat", "row", "strided"])
def test_biases_are_trained_in_place(dtype, shape):
    weights, expected = net(3, 5, 2, dtype=dtype), net(3, 5, 2, dtype=dtype)
    make = {
        "flat": lambda units: np.full(units, 0.1, dtype),
        "row": lambda units: np.full((1, units), 0.1, dtype),
        "strided": lambda units: np.full(3 * units, 0.1, dtype)[::-3],
    }[shape]
    biases, right = [make(5), make(2)], [np.full(5, 0.1, dtype), np.full(2, 0.1, dtype)]
    y = rng.random((6, 2))
    more = {"epochs": 50, "record_every": 7, "optimizer": "adam", "learning_rate": 0.01}
    history = shoal.train(X, y, weights, biases=biases, activation="tanh", **more)
    losses = reference.train(X, y, expected, right, activations="tanh", **more).losses
    tolerance = {"float32": 1e-4, "float64": 1e-10}[dtype]
    for a, b in zip(weights + biases, expected + right, strict=True):
        np.testing.assert_allclose(a.ravel(), b.ravel(), atol=tolerance * np.abs(b).max())
    assert history.epoch.tolist() == [1, 8, 15, 22, 29, 36, 43, 50]
    np.testing.assert_allclose(history.loss, losses, rtol=tolerance)


@kernels
def test_flat_y_is_one_column():
    one, other = net(3, 4, 1), net(3, 4, 1)
    shoal.train(X, NUMBERS, one, epochs=20)
    shoal.train(X, NUMBERS.reshape(-1, 1), other, epochs=20)
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


@kernels
def test_no_epochs_change_nothing():
    weights = net(3, 4, 1)
    history = shoal.train(X, NUMBERS, weights, epochs=0)
    assert all((a == b).all() for a, b in zip(weights, net(3, 4, 1), strict=True))
    assert len(history) == 0
    assert repr(history) == "History(no epochs)"


@kernels
def test_inputs_are_not_changed_not_even_shared_with_the_weights():
    weights = net(3, 3, 1)
    rows = weights[0]  # of the very memory that is trained
    y = np.linspace(0, 1, 3)
    expected = net(3, 3, 1)
    shoal.train(expected[0].copy(), y.copy(), expected, epochs=5)
    shoal.train(rows, y, weights, epochs=5)
    assert all((a == b).all() for a, b in zip(weights, expected, strict=True))
    assert (y == np.linspace(0, 1, 3)).all()


@kernels
def test_diverged_weights_are_the_last_finite_ones():
    weights, expected = net(3, 4, 1), net(3, 4, 1)
    more = {"epochs": 200, "learning_rate": 1e6, "output": "identity", "record_every": 1}
    with np.errstate(all="ignore"):
        losses = reference.train(
            X, NUMBERS[:, None], expected, activations="identity", **more
        ).losses
    history = shoal.train(X, NUMBERS, weights, activation="identity", **more)
    assert all(np.isfinite(w).all() for w in weights)
    assert np.isnan(history.loss).tolist() == np.isnan(losses).tolist()
    assert 0 < np.isnan(history.loss).sum() < 200


@kernels
def test_read_only_rows_compile_nothing_again():
    more = {"epochs": 2, "hidden": 3}
    shoal.fit(X.copy(), NUMBERS.copy(), **more)(X)
    before = [len(kernel._entries) for kernel in KERNELS]
    assert sum(before) > 0
    rows, y = read_only([X.copy(), NUMBERS.copy()], 0)
    y.setflags(write=False)
    model = shoal.fit(rows, y, **more)
    model(rows)
    assert [len(kernel._entries) for kernel in KERNELS] == before


# ------------------------------------------------------------------------------------------ fit


@kernels
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fit_is_train_from_the_same_weights(dtype):
    rows = X.astype(dtype)
    model = shoal.fit(rows, NUMBERS, hidden=(5, 4), activation=["tanh", "relu"], epochs=20, seed=3)
    weights, biases = reference.initial_weights(
        (3, 5, 4, 1), "auto", 3, dtype, activations=("tanh", "relu")
    )
    names = ("epochs", "batch_size", "shuffle", "reduction", "optimizer", "learning_rate", "seed")
    settings = {name: model.settings[name] for name in names}
    history = shoal.train(
        rows, NUMBERS, weights, biases=biases, activation=["tanh", "relu"], output="identity",
        **settings,
    )  # fmt: skip
    for a, b in zip(model.weights + model.biases, weights + biases, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.history.loss, history.loss)


@kernels
def test_settings_of_a_model_make_it_again():
    rows, y = rng.random((40, 3)), rng.integers(0, 3, 40)
    model = shoal.fit(rows, y, hidden=(6, 4), epochs=5, seed=2**64 - 1, batch_size=7)
    again = shoal.fit(rows, y, **model.settings)
    assert all((a == b).all() for a, b in zip(model.weights, again.weights, strict=True))
    assert again.settings == model.settings


@kernels
def test_nets_may_be_trained_in_several_threads_at_once():
    rows, y = rng.random((300, 4)), rng.random(300)
    alone = [shoal.fit(rows, y, seed=seed, epochs=30).weights for seed in range(4)]
    found = [None] * 4

    def work(seed):
        found[seed] = shoal.fit(rows, y, seed=seed, epochs=30).weights

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(alone, found, strict=True):
        assert all((v == w).all() for v, w in zip(a, b, strict=True))


@pytest.mark.parametrize(
    "name, value, settings",
    [
        ("beta_1", 1 - 1e-12, {}),
        ("beta_2", 1 - 1e-12, {}),
        ("epsilon", 1e-60, {}),
        ("momentum", 1 - 1e-12, {"optimizer": "sgd"}),
    ],
)
def test_a_number_that_its_dtype_rounds_out_of_range_is_refused(name, value, settings):
    X, y = np.eye(3, dtype=np.float32), [0.0, 1.0, 2.0]
    with pytest.raises(ValueError, match=f"^{name} = {value} must be . [01], but dtype = float32"):
        shoal.fit(X, y, epochs=1, **{name: value}, **settings)
    shoal.fit(X, y, epochs=1, dtype="float64", **{name: value}, **settings)
