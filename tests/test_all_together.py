"""With every setting switched on: what a net's bits do not depend on, and nets that diverge."""

import multiprocessing
import os
from functools import cache

import numpy as np
import oracle
import pytest
from launches import Launches, set_seconds

import shoal
from shoal.inputs.sample_weights import split_rows
from shoal.inputs.settings import ACTIVATIONS
from shoal.kernels import layout
from shoal.planning import cost_model
from shoal.planning.cost_model import LaneWidth
from shoal.running import repacking, run, scheduler
from shoal.running.scores import variation

pytestmark = pytest.mark.kernels

DTYPES = ("float32", "float64")
dtypes = pytest.mark.parametrize("dtype", DTYPES)

N, I, O = 160, 5, 3
FRACTION = 0.25  # of validation rows: 120 are trained on

EVERYTHING = {
    "hidden": (6, 5),
    "activation": "tanh",
    "loss": "huber",
    "huber_delta": 0.3,
    "epochs": 9,
    "batch_size": 25,
    "learning_rate": 0.02,
    "schedule": "exponential",
    "gamma": 0.8,
    "warmup_epochs": 2,
    "optimizer": "adam",
    "l1": 1e-3,
    "l2": 1e-2,
    "dropout": (0.1, 0.2, 0.3),
    "batch_norm": True,
    "clip_delta": 0.2,
    "clip_norm": 0.5,
    "patience": 3,
    "tolerance": 1e-3,
}


def nets():
    """Settings of nets in many blocks, every setting on in each of them."""
    sgd = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01}
    schedules = ("step", "exponential", "cosine", "invscaling", "adaptive", "constant")

    def one(seed, **told):
        own = {"seed": seed, "epochs": 3 + 7 * seed % 11, "patience": 1 + seed % 4}
        own |= {"learning_rate": 0.003 * (1 + seed % 5), "dropout": (0.1, 0.05 * (seed % 7), 0.3)}
        return {**EVERYTHING, **own, "l1": 1e-4 * (1 + seed % 3), **told}

    yield from (one(k) for k in range(37))
    yield from (one(k, shuffle_seed=5, schedule=schedules[k % 4]) for k in range(37))
    yield from (one(k, schedule="adaptive", tolerance=0.01, **sgd) for k in range(19))
    yield from (one(k, shuffle=False, batch_norm=False, clip_norm=None) for k in range(5))
    yield from (one(k, activation=name) for k, name in enumerate(ACTIVATIONS))
    for k, batch_size in enumerate((40, 120, None)):
        for optimizer in ("rmsprop", "adagrad", "adamw"):
            yield one(k, batch_size=batch_size, optimizer=optimizer, schedule=schedules[k])
        yield one(k, batch_size=batch_size, batch_norm=False, reduction="sum", **sgd)
    yield from (
        one(k, batch_size=None, optimizer="rprop", schedule="constant", warmup_epochs=0)
        for k in range(3)
    )
    # (output, loss) of every kind; a net without bias, hidden layers, one of many
    yield one(1, output="softmax", loss="cross_entropy", bias=False)
    yield one(2, output="exp", loss="poisson", nesterov=True, **sgd)
    yield one(3, output="sigmoid", loss="quantile", quantile=0.7, hidden=(), dropout=(0.3,))
    yield one(4, output="softmax", loss="absolute_error", hidden=(33, 2, 9), dropout=0.2)
    # Nets that diverge sooner or later, and one that is like another
    for rate in (1e6, 3e38, 30.0):
        plain = {"activation": "leaky_relu", "clip_delta": None, "clip_norm": None, **sgd}
        plain |= {"output": "identity", "loss": "squared_error", "reduction": "sum"}
        yield one(1, learning_rate=rate, **plain)
        yield one(2, learning_rate=rate, **plain, batch_norm=False, shuffle_seed=5)
    yield one(0)


@cache
def data(dtype):
    """X, y and the rows' weights."""
    generator = np.random.default_rng(4)
    return *oracle.problem(N, I, O, dtype), generator.choice([0.0, 0.5, 1.0, 2.5], N)


def print_of(model):
    """All that is promised of a net, as text."""
    history, resume, results = model.history, model.resume, model.results
    parts = [*model.weights, *(model.biases or []), *(a for n in model.batch_norm or [] for a in n)]
    parts += [history.epoch, history.loss, history.val_loss, history.score, history.learning_rate]
    parts += [*resume[1:], np.float64(results["loss"]), np.float64(results["score"])]
    parts += [np.float64(results["val_loss"])]
    told = f"{model.status} {results['epochs']} {resume.epochs}"
    return told + "".join(" " + part.tobytes().hex() for part in parts)


def swept(dtype, grid, **how):
    X, y, weights = data(dtype)
    return shoal.sweep(
        X, y, grid, sample_weight=weights, validation=FRACTION, record_every=2, progress=False,
        **how,
    )  # fmt: skip


def prints(dtype, order=None, **how):
    """Prints of the nets of one sweep, in the order of `nets`."""
    chosen = list(nets())
    order = range(len(chosen)) if order is None else order
    sweep = swept(dtype, [chosen[k] for k in order], **how)
    found = {k: print_of(sweep[i]) for i, k in enumerate(order)}
    return [found[k] for k in sorted(found)]


@cache
def right(dtype):
    """The prints that all others must equal."""
    return prints(dtype)


def unequal(found, expected):
    """Numbers of the nets whose prints differ: short, where a test fails."""
    assert len(found) == len(expected)
    return [k for k, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]]


def by_oracle(model, dtype, start=None):
    """What plain loops make of a model's settings."""
    X, y, weights = data(dtype)
    training, other = split_rows(model.target, y, FRACTION, N)
    return oracle.train_as(
        model.settings, X[training], y[training], start, row_weights=weights[training],
        validation=(X[other], y[other], weights[other]), score="residuals",
        variation=variation(y[other], weights[other]),
    )  # fmt: skip


@dtypes
def test_the_right_prints_are_the_oracle_s(dtype):
    """What all others must equal has the bits of plain loops; every outcome is among them."""
    chosen = list(nets())
    sweep = swept(dtype, chosen)
    assert {"finished", "stopped", "diverged"} == set(sweep.results["status"])
    assert len(set(sweep.results["epochs"])) > 8
    assert right(dtype)[-1] == right(dtype)[0]  # the same settings twice
    for k in range(0, len(chosen), 3):
        expected = by_oracle(sweep[k], dtype)
        oracle.assert_same_bits(sweep[k], expected, f"of net {k}: {chosen[k]}")
        assert sweep.results["epochs"][k] == expected.epochs


# ----------------------------------------------------------------------------- how the work is done


@dtypes
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads(dtype, threads):
    assert not unequal(prints(dtype, threads=threads), right(dtype))


@dtypes
def test_order_of_the_grid_and_neighbours(dtype):
    generator, count = np.random.default_rng(0), len(right(dtype))
    for order in (range(count)[::-1], generator.permutation(count), generator.permutation(count)):
        assert not unequal(prints(dtype, order), right(dtype))
    some = sorted(generator.choice(count, 30, replace=False).tolist())
    assert not unequal(prints(dtype, some), [right(dtype)[k] for k in some])


@dtypes
def test_alone(dtype):
    """By `fit`, and in a sweep of one."""
    X, y, weights = data(dtype)
    common = {"sample_weight": weights, "validation": FRACTION, "record_every": 2}
    found = [print_of(shoal.fit(X, y, **common, **told)) for told in nets()]
    assert not unequal(found, right(dtype))
    for k in (0, 40, 80):
        assert prints(dtype, [k]) == [right(dtype)[k]]


SLICES = {
    "a tile each": (0, 0, 0),
    "some": (1e-4, 1e-5, 0),
    "several groups in many launches": (1e3, 1e-7, 0),
    "all at once": (1e3, 1e3, 1e3),
}


@dtypes
@pytest.mark.parametrize("tile", [1, 8, 256])
@pytest.mark.parametrize("seconds", SLICES.values(), ids=SLICES)
def test_slices_and_tiles(dtype, tile, seconds, monkeypatch):
    """(With batch norm a tile is the batch.)"""
    monkeypatch.setattr(
        cost_model, "prefers_rows_in_lanes", lambda *estimates: False
    )  # whose tiles are whole
    expected = right(dtype)
    monkeypatch.setattr(cost_model, "LARGEST_TILE", tile)
    monkeypatch.setattr(cost_model, "SMALLEST_TILE", min(tile, 64))
    set_seconds(monkeypatch, *seconds)
    launches = Launches(monkeypatch)
    assert not unequal(prints(dtype, threads=1), expected)
    if seconds == SLICES["a tile each"]:
        assert launches.inside_epochs > 10
        assert launches.inside_batches > 10 or tile == 256
    if seconds == SLICES["several groups in many launches"]:
        assert launches.of_groups > 0 or dtype == "float32"  # of twice as many lanes


@dtypes
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seconds", SLICES.values(), ids=SLICES)
def test_rows_in_lanes(dtype, seconds, threads, monkeypatch):
    """The other meaning of lanes, which trains these nets one by one."""
    expected = right(dtype)
    monkeypatch.setattr(cost_model, "prefers_rows_in_lanes", lambda *estimates: True)
    set_seconds(monkeypatch, *seconds)
    assert not unequal(prints(dtype, threads=threads), expected)


def test_lanes_and_register_tiles(monkeypatch):
    """Others than any processor is given; see `test_invariance` for another processor."""
    expected = right("float32")
    monkeypatch.setattr(
        cost_model, "lane_width", lambda dtype, register_bytes: LaneWidth(4, (1, 1))
    )
    assert not unequal(prints("float32"), expected)


class Repacks:
    """Counts how often nets are moved."""

    def __init__(self, monkeypatch):
        self.count = 0
        self.order = repacking._order
        monkeypatch.setattr(repacking, "_order", self)

    def __call__(self, *given):
        self.count += 1
        return self.order(*given)


@dtypes
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seconds", SLICES.values(), ids=SLICES)
def test_repacking(dtype, threads, seconds, monkeypatch):
    """Never; after every epoch, however few nets are done; and where only the phase is short."""
    expected = right(dtype)
    with monkeypatch.context() as patched:
        patched.setattr(scheduler, "repack", lambda *given: None)
        set_seconds(patched, *seconds, 0)
        assert not unequal(prints(dtype, threads=threads), expected)
    set_seconds(monkeypatch, *seconds, 0)
    repacks = Repacks(monkeypatch)
    assert not unequal(prints(dtype, threads=threads), expected)
    some, repacks.count = repacks.count, 0
    monkeypatch.setattr(repacking, "_WORTH", 1.0)
    assert not unequal(prints(dtype, threads=threads), expected)
    assert repacks.count > max(some, 20)
    assert some > 0 or dtype == "float32"  # of which three groups hold all nets


def _in_a_child(send, dtype):
    send.send(prints(dtype, threads=2))
    send.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_child():
    expected = right("float32")
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_in_a_child, args=(send, "float32"))
    child.start()
    send.close()
    try:
        assert receive.poll(60), "the child hangs"
        assert not unequal(receive.recv(), expected)
    finally:
        child.kill()
        child.join()


# --------------------------------------------------------- nets that diverge, and those beside them

# (settings, what its initial weights are multiplied by), all of one architecture. Without limits to
# its gradients a net may grow; what decays by more than all of it grows for certain.
FREE = {"clip_delta": 1e37, "clip_norm": 1e37, "patience": 50, "epochs": 12}
CASES = [
    ({}, 1),
    ({**FREE, "learning_rate": 1e6}, 1),
    ({}, 1),
    ({**FREE, "learning_rate": 3e38}, 1),  # almost the largest of float32
    ({**FREE, "learning_rate": 0.05}, 1e30),
    ({**FREE, "learning_rate": 0.05}, 1e17),  # the square of an error overflows in float32
    ({**FREE, "learning_rate": 1e6, "weight_decay": 1e-5}, 1),
    ({**FREE, "learning_rate": 1e3, "patience": 1}, 1),
    ({"learning_rate": 1e6}, 1),  # its gradients are limited, its weights decay beyond all bounds
    ({}, 1e30),
    *(({"learning_rate": 0.003 * k}, 1) for k in range(1, 12)),
]


def cases(**told):
    """Settings of the nets of one block."""
    base = {**EVERYTHING, "activation": "leaky_relu", "loss": "squared_error", "output": "identity"}
    base |= {"optimizer": "sgd", "momentum": 0.5, "weight_decay": 0.01, "tolerance": 0.0, **told}
    return [
        {**base, "seed": k, "epochs": 5 + k % 8, "l2": 0.01 * (1 + k % 3), **own}
        for k, (own, _) in enumerate(CASES)
    ]


def start_of(model, k):
    """The initial weights of case k."""
    weights, biases = oracle.start_of(model.settings, I, O)
    return [w * w.dtype.type(CASES[k][1]) for w in weights], biases


@pytest.fixture
def grown(monkeypatch):
    """Multiplies initial weights, as no setting can."""
    whole = run.Run.initialise

    def initialise(run):
        whole(run)
        for trained in run.trained:
            factors = np.array([factor for _, factor in CASES], run.dataset.dtype)[
                trained.block.nets
            ]
            for row in trained.block.layers.table:
                first = row[layout.WEIGHTS]
                last = first + row[layout.INPUTS] * row[layout.UNITS]
                trained.state.params[:, first:last] *= factors[:, np.newaxis]
            trained.state.best[...] = trained.state.params

    monkeypatch.setattr(run.Run, "initialise", initialise)


@cache
def outcomes(dtype, batch_norm, order):
    """What the oracle says of the cases, by net."""
    sweep = swept(dtype, cases(batch_norm=batch_norm, **ROW_ORDERS[order]))
    return [by_oracle(sweep[k], dtype, start_of(sweep[k], k)) for k in range(len(CASES))]


ROW_ORDERS = {
    "own order": {},
    "shared order": {"shuffle_seed": 5},
    "in place": {"shuffle": False},
    "full batch": {"batch_size": None},
}


@dtypes
@pytest.mark.parametrize("order", ROW_ORDERS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_nets_that_diverge(dtype, order, batch_norm, grown, monkeypatch):
    """Status, epoch, last finite or best weights and all records, wherever launches are cut."""
    expected = outcomes(dtype, batch_norm, order)
    assert {"diverged", "finished"} <= {trained.status for trained in expected}
    for seconds in SLICES.values():
        for threads in (1, 2):
            set_seconds(monkeypatch, *seconds)
            told = {"batch_norm": batch_norm, **ROW_ORDERS[order]}
            sweep = swept(dtype, cases(**told), threads=threads)
            assert len(sweep._run.plan.blocks) == 1
            for k, (model, trained) in enumerate(zip(sweep, expected, strict=True)):
                oracle.assert_same_bits(model, trained, f"of case {k}: {CASES[k]}")
                assert sweep.results["epochs"][k] == trained.epochs
                assert all(np.isfinite(a).all() for a in model.weights)
