"""Nets of sweeps against the scalar oracle: every weight, bias and loss, to the last bit."""

import hashlib

import numpy as np
import oracle
import pytest

import shoal
from shoal import reference
from shoal.inputs.settings import ACTIVATIONS

pytestmark = pytest.mark.kernels

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

PAIRS = (
    ("identity", "squared_error"),
    ("sigmoid", "squared_error"),
    ("softmax", "squared_error"),
    ("exp", "squared_error"),
    ("sigmoid", "cross_entropy"),
    ("softmax", "cross_entropy"),
)


def pairs(single=False):
    """A grid for each pair of output and loss; softmax needs several outputs."""
    return [
        {"output": [output], "loss": [loss]}
        for output, loss in PAIRS
        if not single or output != "softmax"
    ]


def each(grids, **more):
    return [{**grid, **more} for grid in grids]


OPTIMIZERS = [
    {"optimizer": ["sgd"], "momentum": [0.0, 0.5, 0.9]},
    {"optimizer": ["sgd"], "momentum": [0.5, 0.9], "nesterov": [True]},
    {"optimizer": ["adam"], "beta_1": [0.0, 0.9], "beta_2": [0.5, 0.999], "epsilon": [1e-8, 0.1]},
]

# name: (rows, outputs, grid, settings of all nets). Register tiles are 2 units x 4 rows, tiles of
# rows 256 rows (64 where layers are wide), blocks 256 rows.
CASES = {
    "activations": (23, 3, {"activation": ACTIVATIONS}, {"hidden": (7, 9), "batch_size": 5}),
    "a layer its own": (
        23,
        2,
        {"activation": [("tanh", "relu", "gelu"), ("elu", "identity", "softplus")]},
        {"hidden": (4, 3, 5), "batch_size": 8, "learning_rate": 0.01},
    ),
    "outputs and losses": (
        23,
        3,
        each(pairs(), hidden=[(5,), (), (2, 2)]),
        {"activation": "tanh", "batch_size": 6, "learning_rate": 0.05},
    ),
    "one output": (10, 1, each(pairs(single=True), hidden=[(3,), ()]), {"batch_size": 4}),
    "nine outputs": (10, 9, each(pairs(), hidden=[(3,), ()]), {"batch_size": 4}),
    "optimizers": (
        17,
        2,
        each(OPTIMIZERS, reduction=["mean", "sum"], batch_size=[1, 4, 5, 16, 17, None]),
        {"hidden": (5,), "learning_rate": 0.02, "activation": "tanh"},
    ),
    "widths": (
        21,
        2,
        {
            "hidden": [(), 1, 2, 3, 4, 7, 8, 9, 33, (33, 2), (1, 1, 1), (16, 7), (2, 33, 5)],
            "batch_size": [1, 3, 7, None],
        },
        {"activation": "silu", "learning_rate": 0.01},
    ),
    "blocks": (
        613,
        2,
        {
            "batch_size": [64, 65, 100, 255, 256, 257, 300, 512, 513, 612, 613, None],
            "hidden": [3, 9, 40],
            "optimizer": ["sgd", "adam"],
        },
        {"activation": "tanh", "epochs": 3, "learning_rate": 0.01},
    ),
    "300 rows at once": (
        300,
        2,
        each(OPTIMIZERS, hidden=[(9,), (33,)]),
        {"batch_size": None, "reduction": "sum", "learning_rate": 1e-3},
    ),
    "not shuffled": (
        23,
        3,
        {"shuffle": [False, True], "batch_size": [4, 23], "seed": range(3)},
        {"hidden": (4,)},
    ),
    "row orders": (  # whole groups that share one, groups of leftovers that do not
        13,
        2,
        [
            {"shuffle_seed": [7], "seed": range(19)},
            {"shuffle_seed": [None], "seed": [7, 2**64 - 1, 2**32]},
            {"shuffle_seed": [8, 2**40 + 1], "seed": range(3)},
        ],
        {"hidden": (3,), "batch_size": 4, "learning_rate": 0.05},
    ),
    "one row order": (13, 2, {"seed": range(21)}, {"shuffle_seed": 3, "batch_size": 4}),
    "no bias": (9, 2, {"hidden": [(), (3,), (5, 4)], "batch_size": [2, None]}, {"bias": False}),
    "inits": (
        9,
        2,
        {
            "init": ["auto", "uniform", "glorot_uniform", "he_uniform"],
            "activation": ["relu", "tanh"],
        },
        {"hidden": (5, 4), "batch_size": 4},
    ),
    "records": (5, 2, {"seed": range(3)}, {"epochs": 11, "record_every": 4, "batch_size": 2}),
    "records of 100": (5, 2, {"epochs": [1, 2, 100, 101, 250]}, {"batch_size": None}),
    "no epochs": (5, 2, {"seed": range(3)}, {"epochs": 0}),
    "one row": (1, 2, {"batch_size": [1, None], "seed": range(3)}, {}),
}


def check(X, y, grid, **settings):
    """Every net of a sweep has the oracle's bits."""
    grid = [grid] if isinstance(grid, dict) else list(grid)
    varied = set().union(*grid)
    given = {k: v for k, v in {"epochs": 5, "hidden": 6}.items() if k not in varied} | settings
    sweep = shoal.sweep(X, y, grid, progress=False, **given)
    for i, model in enumerate(sweep):
        right = oracle.train_as(model.settings, X, y)
        oracle.assert_same_bits(model, right, f"of net {i}: {model.settings}")
        assert sweep.results["epochs"][i] == right.epochs
    return sweep


@dtypes
@pytest.mark.parametrize("case", CASES)
def test_sweep_has_the_bits_of_the_oracle(case, dtype):
    rows, outputs, grid, settings = CASES[case]
    check(*oracle.problem(rows, 4, outputs, dtype), grid, **settings)


def random_nets(generator, nets):
    """Settings that have nothing in common; some nets diverge."""

    def pick(*values):
        return values[generator.integers(len(values))]

    for _ in range(nets):
        hidden = tuple(generator.integers(1, pick(3, 6, 12), generator.integers(4)).tolist())
        output, loss = pick(*PAIRS)
        settings = {
            "hidden": hidden,
            "activation": tuple(pick(*ACTIVATIONS) for _ in hidden),
            "output": output,
            "loss": loss,
            "bias": pick(True, True, False),
            "init": pick("auto", "uniform", "he_uniform"),
            "seed": int(generator.integers(2**64, dtype=np.uint64)),
            "shuffle_seed": pick(None, 1),
            "epochs": pick(1, 3, 6),
            "batch_size": pick(3, 16, 40, 64, 130, 256, 290, None),
            "shuffle": pick(True, True, False),
            "reduction": pick("mean", "mean", "sum"),
            "optimizer": pick("sgd", "adam"),
            "learning_rate": 10 ** generator.uniform(-4, pick(0, 0, 20)),
        }
        if settings["optimizer"] == "sgd":
            settings["momentum"] = pick(0.0, generator.uniform(0.1, 0.99))
            settings["nesterov"] = settings["momentum"] > 0 and pick(True, False)
        else:
            settings |= {"beta_1": pick(0.9, 0.5), "beta_2": pick(0.999, 0.9)}
        yield settings


@dtypes
@pytest.mark.parametrize("rows, inputs, outputs", [(37, 1, 2), (130, 6, 3), (600, 3, 5)])
def test_random_nets(rows, inputs, outputs, dtype):
    X, y = oracle.problem(rows, inputs, outputs, dtype)
    sweep = check(X, y, random_nets(np.random.default_rng(rows), 150))
    assert set(sweep.results["status"]) == {"finished", "diverged"}


@dtypes
@pytest.mark.parametrize("inputs", [1, 7, 8, 9, 15, 16, 17, 24, 33, 100])
def test_own_rows_of_many_inputs(inputs, dtype):
    """They are gathered in squares of as many elements as lanes."""
    for outputs in (2, 8, 17):
        X, y = oracle.problem(22, inputs, outputs, dtype)
        grid = {"seed": range(3), "batch_size": [5, 22], "hidden": [3, (), 17]}
        sweep = check(X, y, grid, epochs=2)
        model = sweep[0]
        net = (model.weights, model.biases, model.settings["activation"], "identity")
        assert oracle.same_bits(model(X), oracle.outputs(X, *net))


@dtypes
def test_lanes_differ_in_every_scalar(dtype):
    """One group of nets, no two of which have a number in common."""
    generator = np.random.default_rng(2)
    X, y = oracle.problem(11, 3, 2, dtype)
    names = ("learning_rate", "beta_1", "beta_2", "epsilon")
    adam = [dict(zip(names, generator.uniform(0.01, 0.99, 4), strict=True)) for _ in range(13)]
    check(X, y, [{**net, "seed": k} for k, net in enumerate(adam)], batch_size=4)
    names = ("learning_rate", "momentum")
    sgd = [dict(zip(names, generator.uniform(0.01, 0.5, 2), strict=True)) for _ in range(13)]
    check(X, y, sgd, batch_size=4, optimizer="sgd", activation="tanh")


@dtypes
@pytest.mark.parametrize("scale", ["subnormal", "tiny", "large", "huge"])
def test_numbers_far_out(scale, dtype):
    """Nothing is flushed to zero; what overflows, overflows alike."""
    info = np.finfo(dtype)
    factor = {
        "subnormal": float(info.smallest_subnormal) * 100,
        "tiny": float(info.smallest_normal) ** 0.5,
        "large": float(info.max) ** 0.5,
        "huge": float(info.max) / 8,
    }[scale]
    X, y = oracle.problem(12, 3, 2, "float64")
    grid = each(pairs(), activation=ACTIVATIONS, hidden=[(3,)], bias=[False])
    settings = {"batch_size": 5, "optimizer": "sgd", "learning_rate": 0.5, "momentum": 0.5}
    sweep = check((X * factor).astype(dtype), y.astype(dtype), grid, **settings)
    if scale == "subnormal":
        X = np.full((2, 1), 3 * info.smallest_subnormal)
        weights = [np.zeros((1, 1), dtype)]
        shoal.train(X, [1.0, 1.0], weights, epochs=1, output="identity")
        assert weights[0][0, 0] == 6 * info.smallest_subnormal
    elif scale == "huge":
        assert "diverged" in sweep.results["status"]


@dtypes
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_zeros_of_both_signs(activation, dtype):
    """Rows, weights and biases of -0, +0 and small integers: kinks, ties, and signs of zeros."""
    generator = np.random.default_rng(0)
    values = np.array([-1.0, -0.0, -0.0, 0.0, 0.0, 1.0], dtype)
    X, y = generator.choice(values, (9, 3)), np.eye(3, dtype=dtype)[np.arange(9) % 3]
    for output, loss in PAIRS:
        for momentum in (0.0, 0.5):
            shapes = [(3, 4), (4, 3), (4,), (3,)]
            weights = [generator.choice(values, shape) for shape in shapes]
            start = weights[:2], weights[2:]
            settings = {
                **shoal.TUTORIAL, "activation": activation, "output": output, "loss": loss,
                "epochs": 3, "batch_size": 4, "learning_rate": 0.25, "momentum": momentum,
            }  # fmt: skip
            for name in ("init", "bias"):
                del settings[name]
            more = {"nesterov": False, "beta_1": 0.9, "beta_2": 0.9, "epsilon": 1.0}
            told = settings | more | {"activation": (activation,), "shuffle_seed": 0}
            right = oracle.train(X, y, *start, **told)
            history = shoal.train(X, y, start[0], biases=start[1], **settings)
            assert oracle.same_bits(weights, right.weights + right.biases)
            assert oracle.same_bits(history.loss, right.losses)


@dtypes
@pytest.mark.parametrize("init", ["glorot_normal", "he_normal", "lecun_normal"])
def test_normal_weights(init, dtype):
    """The start is an untrained net: numpy's logarithm and cosine are not the kernels' own."""
    X, y = oracle.problem(9, 3, 2, dtype)
    settings = {"hidden": (5,), "init": init, "seed": 3, "batch_size": 4, "epochs": 5}
    start = shoal.fit(X, y, **(settings | {"epochs": 0}))
    model = shoal.fit(X, y, **settings)
    begin = (start.weights, start.biases)
    oracle.assert_same_bits(model, oracle.train_as(model.settings, X, y, begin))


@dtypes
@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax", "exp"])
def test_outputs_and_validation_loss(output, dtype):
    X, y = oracle.problem(40, 4, 3, dtype)
    losses = ["squared_error"] + ["cross_entropy"] * (output in ("sigmoid", "softmax"))
    for rows in (1, 7, 33, 300, 1000):
        new, right = oracle.problem(rows, 4, 3, dtype, seed=rows)
        grid = {"hidden": [(), 7, (33, 2)], "loss": losses}
        sweep = shoal.sweep(X, y, grid, output=output, activation="tanh", epochs=2,
                            validation=(new, right))  # fmt: skip
        for i, model in enumerate(sweep):
            told = model.settings
            net = (model.weights, model.biases, told["activation"], output)
            assert oracle.same_bits(model(new), oracle.outputs(new, *net))
            val_loss = oracle.mean_loss(new, right, *net, told["loss"])
            assert oracle.same_bits(sweep.results["val_loss"][i], val_loss)
            assert oracle.same_bits(sweep.results["loss"][i], model.history.loss[-1])


# The order of arithmetic is part of the promise: these bits are of its version 1, on any machine.
DIGESTS = {"float32": "61c57f4dfff201ae", "float64": "a4ca6ad6cc49b9a3"}


@dtypes
def test_bits_of_version_1(dtype):
    (X, y), _ = reference.initial_weights((40, 4, 3), "uniform", seed=1, dtype=dtype)
    y = np.eye(3, dtype=dtype)[np.resize(y.argmax(axis=1), 40)]
    grid = each(pairs(), activation=ACTIVATIONS, optimizer=["sgd", "adam"])
    sweep = shoal.sweep(X, y, grid, hidden=(9, 5), init="he_normal", epochs=20, batch_size=7,
                        learning_rate=0.01)  # fmt: skip
    digest = hashlib.sha256()
    for model in sweep:
        for array in [*model.weights, *model.biases, model.history.loss]:
            digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[dtype]
