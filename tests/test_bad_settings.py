"""Every wrong setting and every conflict, as a user meets it: one sentence, nothing compiled."""

import launches
import numpy as np
import pytest

import shoal
from shoal.inputs.sample_weights import split_rows
from shoal.inputs.targets import Target

generator = np.random.default_rng(0)
X = generator.normal(size=(10, 3))
NUMBERS = generator.random(10)
LABELS = np.array([0, 1] * 5)


class Launched(BaseException):
    """A kernel was about to run, so everything before it was content."""


@pytest.fixture(autouse=True)
def no_launch(monkeypatch):
    """Any launch, and so any compilation, is seen."""

    launches.forbid(monkeypatch, Launched)


def train(X, y, **given):
    weights = [np.ones((X.shape[1], 4), X.dtype), np.ones((4, 1), X.dtype)]
    try:
        return shoal.train(X, y, weights, **{"epochs": 3, **given})
    finally:
        assert all((w == 1).all() for w in weights)


def sweep_of(X, y, **given):
    """The settings in the grid, with others before and behind them."""
    alone = {
        "validation",
        "record_every",
        "dtype",
        "sample_weight",
        "progress",
        "threads",
        "epochs",
    }
    fixed = {name: given.pop(name) for name in list(given) if name in alone}
    return shoal.sweep(X, y, [{"seed": 1}, given, {"seed": 2}], **fixed)


CALLERS = {
    "fit": lambda X, y, **given: shoal.fit(X, y, **given),
    "sweep": lambda X, y, **given: shoal.sweep(X, y, {"seed": [1, 2]}, **given),
    "grid": sweep_of,
    "train": train,
}
callers = pytest.mark.parametrize("caller", CALLERS)
not_train = pytest.mark.parametrize("caller", ["fit", "sweep", "grid"])


def refused(caller, given, error, message):
    """The call raises this error, whose message begins so and is one line."""
    given = {"X": X, "y": NUMBERS} | given
    with pytest.raises((TypeError, ValueError)) as caught:
        CALLERS[caller](given.pop("X"), given.pop("y"), **given)
    said = str(caught.value)
    told = said.removeprefix("grid[1] is the settings of one net: ")
    assert told.startswith(message), said
    assert "\n" not in said and len(said) < 600
    assert type(caught.value) is error


# -------------------------------------------------------------------------------- wrong by itself

PART = "must be a number >= 0 and < 1"
RATE = "must be a finite number >= 0"
POSITIVE = "must be a finite number > 0"
WRONG = {
    "loss": [("hinge", "must be one of auto, squared_error, absolute_error, huber, poisson, quan")],
    "huber_delta": [(0, POSITIVE), (np.inf, POSITIVE), (-1.0, POSITIVE)],
    "quantile": [(0, "must be a number > 0 and < 1"), (1.0, "must be a number > 0 and < 1")],
    "optimizer": [("lbfgs", "must be one of sgd, rmsprop, adagrad, adam, adamw, rprop")],
    "schedule": [("linear", "must be one of constant, step, exponential, cosine, invscaling, ada")],
    "warmup_epochs": [(-1, "must be an integer from 0 to 2147483647")],
    "step_size": [(0, "must be an integer from 1 to 2147483647")],
    "gamma": [(0.0, "must be a number > 0 and <= 1"), (1.5, "must be a number > 0 and <= 1")],
    "min_learning_rate": [(-1e-9, RATE), (np.inf, RATE)],
    "power": [(-0.5, RATE), (np.nan, RATE)],
    "rho": [(1, PART), (-0.1, PART), (np.nan, PART)],
    "l1": [(-1, RATE), (np.inf, RATE)],
    "l2": [(-1, RATE), (np.nan, RATE)],
    "weight_decay": [(-1, RATE), (np.inf, RATE)],
    "dropout": [(1, PART), (-0.1, PART), (np.nan, PART)],
    "clip_delta": [(0, POSITIVE), (np.inf, POSITIVE)],
    "clip_norm": [(0, POSITIVE), (-1.0, POSITIVE)],
    "validation": [
        (0, "must be a fraction of the rows, > 0 and < 1, a pair (X, y), or None"),
        (1.0, "must be a fraction of the rows, > 0 and < 1, a pair (X, y), or None"),
        (np.nan, "must be a fraction of the rows, > 0 and < 1, a pair (X, y), or None"),
    ],
    "patience": [(0, "must be an integer from 1 to 2147483647, or None (never stops early)")],
    "tolerance": [(-1e-4, RATE), (np.inf, RATE)],
    "class_weight": [("even", "must be 'balanced', None, or a dict from label (a str, int or boo")],
}
TYPES = {
    **dict.fromkeys(
        ("huber_delta", "quantile", "gamma", "min_learning_rate", "power", "rho", "l1", "l2",
         "weight_decay", "dropout", "clip_delta", "clip_norm", "tolerance", "warmup_epochs",
         "step_size", "patience"),
        ["1", True, 1j, {}],
    ),
    **dict.fromkeys(("loss", "optimizer", "schedule"), [1, None, ["step"]]),
    "validation": ["0.2", True, {}],
    "class_weight": [1, ["balanced"], {None: 1}, {0.5: 1}],
    "batch_norm": [1, "yes", None],
}  # fmt: skip


@callers
@pytest.mark.parametrize(
    "name, value, right",
    [(name, *case) for name, cases in WRONG.items() for case in cases],
    ids=str,
)
def test_wrong_values(caller, name, value, right):
    refused(caller, {name: value}, ValueError, f"{name} = {value!r} {right}")


@callers
@pytest.mark.parametrize(
    "name, value", [(name, value) for name, values in TYPES.items() for value in values], ids=str
)
def test_wrong_types(caller, name, value):
    if caller == "train" and name == "batch_norm":
        refused(caller, {name: value}, TypeError, f"{name} = {value!r} is refused: its statistics")
    else:
        refused(caller, {name: value}, TypeError, f"{name} = {value!r} must be ")


@pytest.mark.parametrize("caller", ["fit", "sweep", "grid"])
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            {"dropout": [0.1, 1.0], "hidden": 4},
            ValueError,
            "dropout[1] = 1.0 must be a number >= 0",
        ),
        ({"dropout": [0.1, None]}, TypeError, "dropout[1] = None must be a number >= 0 and < 1"),
        (
            {"class_weight": {0: -1}},
            ValueError,
            "class_weight[0] = -1 must be a finite number >= 0",
        ),
        ({"class_weight": {0: "1"}}, TypeError, "class_weight[0] = '1' must be a finite number >="),
        ({"validation": (X,)}, ValueError, "validation = (array("),
        ({"validation": (X, NUMBERS, NUMBERS)}, ValueError, "validation = (array("),
    ],
)
def test_wrong_parts_of_values(caller, given, error, message):
    refused(caller, given, error, message)


# ------------------------------------------------------------------------------- wrong together

RPROP = {"optimizer": "rprop", "batch_size": None}


@callers
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"optimizer": "rprop", "batch_size": 4},
            "batch_size = 4 must be None (full batch), or at l",
        ),
        (
            {**RPROP, "schedule": "step"},
            "schedule = 'step' must be 'constant' where optimizer = 'rp",
        ),
        ({**RPROP, "warmup_epochs": 2}, "warmup_epochs = 2 must be 0 where optimizer = 'rprop'"),
        (
            {**RPROP, "weight_decay": 0.1},
            "weight_decay = 0.1 must be 0 where optimizer = 'rprop': u",
        ),
        (
            {"optimizer": "adam", "weight_decay": 0.1},
            "weight_decay = 0.1 must be 0 where optimizer = 'adam': use adamw (decoupled) or l2",
        ),
        (
            {"optimizer": "rmsprop", "momentum": 0.5},
            "momentum = 0.5 needs optimizer = 'sgd', but op",
        ),
        (
            {"schedule": "cosine", "learning_rate": 0.01, "min_learning_rate": 0.1},
            "min_learning_rate = 0.1 must be at most learning_rate = 0.01 where schedule = 'cosi",
        ),
        (
            {"loss": "poisson", "output": "sigmoid"},
            "output = 'sigmoid' must be exp or auto where l",
        ),
        (
            {"loss": "cross_entropy", "output": "exp"},
            "output = 'exp' must be sigmoid or softmax wh",
        ),
        ({"output": "softmax"}, "output = 'softmax' must have at least two outputs"),
        ({"dropout": [0.1]}, "dropout = (0.1,) has 1 rate and hidden = "),
        ({"loss": "poisson", "output": "exp", "y": -NUMBERS}, "y[0] = -0."),
        (
            {"class_weight": "balanced"},
            "class_weight = 'balanced' needs a y of class labels, but y ",
        ),
        (
            {"validation": 0.04},
            "validation = 0.04 must leave a validation row, but X has only 10 r",
        ),
        (
            {"validation": 0.97},
            "validation = 0.97 must leave a training row, but X has only 10 row",
        ),
        (
            {"validation": (X[:, :2], NUMBERS)},
            "validation[0].shape = (10, 2) must have a column for each input of the net: 3",
        ),
        (
            {"validation": (X, NUMBERS[:3])},
            "validation[1].shape = (3,) must have as many rows as its X: 10",
        ),
        (
            {"validation": (X, np.c_[NUMBERS, NUMBERS])},
            "validation[1].shape = (10, 2) must have a column for each output of the net: 1",
        ),
        (
            {"validation": (X * np.nan, NUMBERS)},
            "validation[0][0, 0] = nan must be a finite float64",
        ),
        ({"validation": (X, NUMBERS * np.inf)}, "validation[1][0] = inf must be a finite number"),
    ],
)
def test_conflicts(caller, given, message):
    refused(caller, given, ValueError, message)


ONE_IN_A_BATCH = "batch_norm = True needs at least two rows in each batch, but "
NEEDS_FLOATS = " needs a y of numbers, but y is class labels: give floats, or task='regression'"


@not_train
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"batch_norm": True, "batch_size": 1},
            ONE_IN_A_BATCH + "batch_size = 1",
        ),
        (
            {"batch_norm": True, "X": X[:1], "y": NUMBERS[:1]},
            ONE_IN_A_BATCH + "X has 1 row",
        ),
        (
            {"optimizer": "rprop", "batch_size": 6, "validation": 0.3},
            "batch_size = 6 must be None (full batch), or at least the 7 rows, where optimizer = ",
        ),
        ({"loss": "poisson", "y": LABELS}, "loss = 'poisson'" + NEEDS_FLOATS),
        ({"loss": "quantile", "y": LABELS > 0}, "loss = 'quantile'" + NEEDS_FLOATS),
        ({"loss": "poisson", "validation": (X, -NUMBERS)}, "validation[1][0] = -0."),
        ({"output": "softmax", "y": NUMBERS}, "output = 'softmax' must have at least two outputs"),
        (
            {"dropout": [0.1, 0.1], "hidden": (4, 4)},
            "dropout = (0.1, 0.1) has 2 rates and hidden =",
        ),
        (
            {"class_weight": {2: 1}, "y": LABELS},
            "class_weight has labels = [2] but must have only ",
        ),
        (
            {"class_weight": {"0": 1}, "y": LABELS},
            "class_weight has labels = ['0'] but must have o",
        ),
        (
            {"class_weight": {0: 0, 1: 0}, "y": LABELS},
            "class_weight = ((0, 0.0), (1, 0.0)) must le",
        ),
        (
            {"class_weight": "balanced", "y": np.eye(2, dtype=int)[LABELS]},
            "class_weight = 'balanced' needs a y of class labels, but y is multi-label",
        ),
        (
            {"class_weight": "balanced", "y": LABELS, "sample_weight": LABELS},
            "class_weight = 'balanced' needs each class in y, but class 0 has no row with a sample",
        ),
        (
            {"validation": 0.1, "y": LABELS},
            "validation = 0.1 must leave a validation row of each o",
        ),
        (
            {"validation": (X, LABELS + 1), "y": LABELS},
            "validation[1] has labels = [2] but must have only the known classes [0, 1]",
        ),
    ],
)
def test_conflicts_with_the_rows(caller, given, message):
    refused(caller, given, ValueError, message)


def weights_of(*values):
    return [*values, *[1.0] * (10 - len(values))]


@not_train
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (weights_of(-1), ValueError, "sample_weight[0] = -1.0 must be a finite number >= 0"),
        (weights_of(1, np.nan), ValueError, "sample_weight[1] = nan must be a finite float64"),
        (weights_of(np.inf), ValueError, "sample_weight[0] = inf must be a finite float64"),
        (
            np.zeros(10),
            ValueError,
            "sample_weight = array([0., 0., 0., 0., 0., 0., 0., 0., 0., 0.])",
        ),
        (np.ones(9), ValueError, "sample_weight.shape = (9,) must be (10,), a weight a row of X"),
        (np.ones((10, 1)), ValueError, "sample_weight.shape = (10, 1) must be (10,), a weight a r"),
        (1.0, ValueError, "sample_weight.shape = () must be (10,), a weight a row of X"),
        ("balanced", TypeError, "sample_weight.dtype = <U8 must be numbers"),
        (["1"] * 10, TypeError, "sample_weight.dtype = <U1 must be numbers"),
        ({0: 1.0}, TypeError, "sample_weight.dtype = object must be numbers"),
        (weights_of(1e308, 1e308), ValueError, "sample_weight = [1e+308, 1e+308, 1.0, 1.0, 1.0, 1"),
    ],
)
def test_bad_sample_weights(caller, given, error, message):
    refused(caller, {"sample_weight": given}, error, message)


@not_train
def test_a_fraction_must_leave_weights_on_both_sides(caller):
    for y in (NUMBERS, LABELS):
        training, rest = split_rows(Target.of(y, 10), y, 0.2, 10)
        for side in (training, rest):
            weights = np.ones(10)
            weights[side] = 0
            given = {"sample_weight": weights, "validation": 0.2, "y": y}
            refused(caller, given, ValueError, "sample_weight = ")


def test_train_has_no_sample_weights():
    message = "sample_weight = 1 is no setting: did you mean the argument sample_weight of fit and"
    refused("train", {"sample_weight": 1}, TypeError, message)


# ----------------------------------------------------------------------------- rounded by a dtype

NEARLY_1, NEARLY_0 = 1 - 1e-12, 1e-60
ROUNDED = [
    ({"dropout": NEARLY_1}, "dropout = 0.999999999999 must be < 1"),
    ({"dropout": [0.0, NEARLY_1], "hidden": 4}, "dropout = (0.0, 0.999999999999) must be < 1"),
    ({"rho": NEARLY_1}, "rho = 0.999999999999 must be < 1"),
    ({"quantile": NEARLY_1}, "quantile = 0.999999999999 must be < 1"),
    ({"quantile": NEARLY_0}, "quantile = 1e-60 must be > 0"),
    ({"huber_delta": NEARLY_0}, "huber_delta = 1e-60 must be > 0"),
    ({"clip_delta": NEARLY_0}, "clip_delta = 1e-60 must be > 0"),
    ({"clip_norm": NEARLY_0}, "clip_norm = 1e-60 must be > 0"),
]


@callers
@pytest.mark.parametrize(("given", "message"), ROUNDED)
def test_numbers_that_float32_rounds_out_of_their_range(caller, given, message):
    if caller == "train":
        given = {name: value for name, value in given.items() if name != "hidden"}
    rows = X.astype(np.float32)
    refused(caller, {**given, "X": rows}, ValueError, message + ", but dtype = float32 rounds it")
    with pytest.raises(Launched):
        CALLERS[caller](X, NUMBERS, **given)
    if caller != "train":
        with pytest.raises(Launched):
            CALLERS[caller](rows, NUMBERS, dtype="float64", **given)


@not_train
@pytest.mark.parametrize("weight", [1e-60, 1e60])
def test_sample_weights_that_float32_cannot_hold(caller, weight):
    rows, weights = X.astype(np.float32), np.full(10, weight)
    given = {"X": rows, "sample_weight": weights}
    right = (
        "must make row weights that are 0 or at least 1.18e-38, with a sum that dtype = float32 "
        "can hold"
    )
    refused(caller, given, ValueError, f"sample_weight of y {right}")
    with pytest.raises(Launched):
        CALLERS[caller](X, NUMBERS, sample_weight=weights)
    with pytest.raises(Launched):
        CALLERS[caller](rows, NUMBERS, sample_weight=np.append(1, weights[1:] * 0))


# --------------------------------------------------------------------------------- what is right


@callers
@pytest.mark.parametrize(
    "given",
    [
        {"loss": "huber", "huber_delta": 1e-9},
        {"loss": "quantile", "quantile": 0.01},
        {"loss": "poisson", "output": "exp"},
        {"loss": "poisson", "output": "exp", "y": np.full(10, 2.0)},
        {**RPROP, "clip_norm": 1.0},
        {"optimizer": "rprop", "batch_size": 10},
        {"optimizer": "rprop", "batch_size": 8, "validation": 0.2},
        {"schedule": "cosine", "min_learning_rate": 0.01, "learning_rate": 0.01},
        {"optimizer": "sgd", "weight_decay": 0.1, "gamma": 1.0, "patience": 1, "tolerance": 0},
        {"dropout": [0.5, 0.0], "validation": [X, NUMBERS]},
        {"validation": np.float32(0.25), "class_weight": None},
        {"clip_delta": 1e300, "clip_norm": 1e300, "huber_delta": 1e300, "loss": "huber"},
    ],
)
def test_what_goes_together(caller, given):
    settings = {"X": X, "y": NUMBERS} | given
    y = settings.pop("y")
    for rows in (settings.pop("X"), X.astype(np.float32)):
        with pytest.raises(Launched):
            CALLERS[caller](rows, y, **settings)


@not_train
@pytest.mark.parametrize(
    "given",
    [
        {"batch_norm": True, "batch_size": 4},
        {"batch_norm": True, "batch_size": 3, "validation": 0.2},
        {"batch_norm": True, "batch_size": 3, "hidden": ()},
        {"y": LABELS, "class_weight": {1: 0}},
        {"y": LABELS.astype(str), "class_weight": {"0": 2.0}},
        {"y": LABELS > 0, "class_weight": {True: 2.0}},
        {"y": 2 * LABELS.astype(float), "loss": "poisson"},
        {"sample_weight": [True, False] * 5},
        {"sample_weight": range(10)},
    ],
)
def test_what_goes_with_the_rows(caller, given):
    given = dict(given)
    with pytest.raises(Launched):
        CALLERS[caller](X, given.pop("y", NUMBERS), **given)
