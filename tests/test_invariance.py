"""What a net's bits do not depend on, and what they must equal."""

import json
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import oracle
import pytest
import test_all_together as together
from launches import Launches, set_seconds
from llvmlite import binding as llvm
from numba import njit

import shoal
from shoal import reference
from shoal.inputs.settings import ACTIVATIONS
from shoal.kernels.step import random
from shoal.planning import cost_model
from shoal.planning.cost_model import LaneWidth
from shoal.running import prediction

pytestmark = pytest.mark.kernels

DTYPES = ("float32", "float64")
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def nets():
    """Settings of nets in many blocks: all ways of ordering rows, cutting batches, stepping."""
    base = {"hidden": (5,), "epochs": 4, "batch_size": 32, "learning_rate": 0.01}
    sgd = {"optimizer": "sgd", "momentum": 0.9}
    yield from ({**base, "shuffle_seed": 5, "seed": seed} for seed in range(19))
    yield from ({**base, "seed": seed, "learning_rate": 0.003 * seed} for seed in range(1, 6))
    yield from ({**base, "shuffle": False, "seed": seed} for seed in range(3))
    yield from ({**base, "activation": name, "hidden": (7, 2)} for name in ACTIVATIONS)
    for batch_size in (1, 100, 257, 290, None):
        yield {**base, "batch_size": batch_size, "hidden": ()}
        yield {**base, "batch_size": batch_size, "hidden": (33, 9), "reduction": "sum", **sgd}
        yield {**base, "batch_size": batch_size, "bias": False, **sgd, "nesterov": True}
    yield {**base, "learning_rate": 1e6, "optimizer": "sgd", "activation": "identity"}
    yield {**base, "loss": "cross_entropy", "output": "softmax"}
    yield {**base, "loss": "cross_entropy", "output": "sigmoid", "epochs": 7}


@cache
def data(dtype):
    return oracle.problem(300, 4, 3, dtype)


def print_of(model):
    """All that is promised of a net, as text."""
    parts = [*model.weights, *(model.biases or []), model.history.loss]
    return model.status + "".join(" " + part.tobytes().hex() for part in parts)


def prints(dtype, order=None, **how):
    """Prints of the nets of one sweep, in the order of `nets`."""
    chosen = list(nets())
    order = range(len(chosen)) if order is None else order
    sweep = shoal.sweep(*data(dtype), [chosen[k] for k in order], progress=False, **how)
    scores = sweep.results["score"]
    found = {k: print_of(sweep[i]) + f" {scores[i].tobytes().hex()}" for i, k in enumerate(order)}
    return [found[k] for k in sorted(found)]


@cache
def right(dtype):
    """The prints that all others must equal; `test_bits` says what they must be."""
    return prints(dtype)


RUNS_HASWELL = all(llvm.get_host_cpu_features().get(name) for name in ("avx2", "fma", "bmi2"))


@pytest.fixture(scope="module", autouse=True)
def elsewhere(request, tmp_path_factory):
    """A process that compiles for another processor. It works while the other tests run."""
    wanted = any(item.name == "test_another_processor" for item in request.session.items)
    if not (wanted and RUNS_HASWELL):
        yield None
        return
    folders = [str(Path(__file__).parent), str(Path(shoal.__file__).parents[1])]
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "haswell",
        "SHOAL_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "PYTHONPATH": os.pathsep.join(folders),
    }
    environment.pop("NUMBA_CPU_FEATURES", None)
    program = (
        "import json, test_all_together as together, test_invariance as test\n"
        "from shoal.kernels.code.environment import register_bytes\n"
        "single = [part.prints('float32') for part in (test, together)]\n"
        "test.use_width(test.LaneWidth(32, (2, 2)), setattr)\n"
        "double = [part.prints('float64') for part in (test, together)]\n"
        "print(json.dumps([register_bytes(), single, double]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


# ----------------------------------------------------------------------------- how the work is done


@dtypes
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads(dtype, threads):
    assert prints(dtype, threads=threads) == right(dtype)


@dtypes
def test_order_of_the_grid_and_neighbours(dtype):
    generator, count = np.random.default_rng(0), len(right(dtype))
    for order in (range(count)[::-1], generator.permutation(count), generator.permutation(count)):
        assert prints(dtype, order) == right(dtype)
    some = sorted(generator.choice(count, 9, replace=False).tolist())
    assert prints(dtype, some) == [right(dtype)[k] for k in some]


@dtypes
@pytest.mark.parametrize("tile", [1, 8, 32, 256])
@pytest.mark.parametrize("seconds", [0, 1e-4, 1e3])
def test_slices_and_tiles(dtype, tile, seconds, monkeypatch):
    monkeypatch.setattr(
        cost_model, "prefers_rows_in_lanes", lambda *estimates: False
    )  # whose tiles are whole
    expected = right(dtype)
    monkeypatch.setattr(cost_model, "LARGEST_TILE", tile)
    monkeypatch.setattr(cost_model, "SMALLEST_TILE", min(tile, 64))
    set_seconds(monkeypatch, seconds, seconds / 7, seconds)
    launches = Launches(monkeypatch)
    assert prints(dtype) == expected
    if seconds == 0:
        assert launches.inside_epochs > 10
        assert launches.inside_batches > 10
    if seconds > 1:  # the largest possible
        assert launches.all <= len(expected)


def use_width(width, set_attribute):
    set_attribute(cost_model, "lane_width", lambda dtype, register_bytes: width)


def test_lanes_and_register_tiles(monkeypatch):
    """Others than any processor is given; see `test_another_processor` too."""
    expected = right("float32")
    X, y = data("float32")
    model = shoal.fit(X, y, epochs=2)
    outputs = model(X)
    use_width(LaneWidth(4, (1, 1)), monkeypatch.setattr)
    assert prints("float32") == expected
    assert oracle.same_bits(model(X), outputs)


def _in_a_child(send, dtype):
    send.send(prints(dtype, threads=2))
    send.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@dtypes
def test_forked_child(dtype):
    expected = right(dtype)
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_in_a_child, args=(send, dtype))
    child.start()
    send.close()
    try:
        assert receive.poll(60), "the child hangs"
        assert receive.recv() == expected
    finally:
        child.kill()
        child.join()


def test_worker_threads():
    expected = {dtype: right(dtype) for dtype in DTYPES}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda dtype: (dtype, prints(dtype, threads=2)), DTYPES * 3))
    assert all(prints_ == expected[dtype] for dtype, prints_ in found)


# ------------------------------------------------------------------------ alone, or among thousands


@dtypes
def test_alone_by_fit(dtype):
    for settings, expected in zip(nets(), right(dtype), strict=True):
        assert print_of(shoal.fit(*data(dtype), **settings)) == expected.rpartition(" ")[0]


@dtypes
def test_alone_by_train_or_in_a_sweep_of_1000(dtype):
    X, y = oracle.problem(20, 3, 2, dtype)
    grid = {"learning_rate": np.geomspace(1e-4, 0.3, 50), "seed": range(20)}
    common = {
        "hidden": (4,),
        "activation": "tanh",
        "output": "sigmoid",
        "loss": "squared_error",
        "epochs": 6,
        "batch_size": 8,
        "init": "glorot_uniform",
    }
    sweep = shoal.sweep(X, y, grid, **common)
    assert len(sweep) == 1000
    for i in (0, 1, 19, 20, 515, 998, 999):
        settings = {**common, **{name: sweep.results[name][i] for name in grid}}
        assert print_of(shoal.fit(X, y, **settings)) == print_of(sweep[i])
        weights, biases = oracle.start_of(sweep[i].settings, 3, 2)
        given = {
            name: value
            for name, value in sweep[i].settings.items()
            if name not in ("hidden", "init", "bias", "batch_norm", "dtype")
        }
        weights[0] = np.asfortranarray(weights[0])
        history = shoal.train(X, y, weights, biases=biases, **given)
        assert oracle.same_bits(weights, sweep[i].weights)
        assert oracle.same_bits(biases, sweep[i].biases)
        assert oracle.same_bits(history.loss, sweep[i].history.loss)


@dtypes
def test_rows_and_tiles_of_a_prediction(dtype):
    """A row's outputs do not depend on the rows beside it, nor on who computes them."""
    X, y = oracle.problem(50, 19, 3, dtype)
    model = shoal.fit(X, y, hidden=(33, 5), epochs=2)
    rows, _ = oracle.problem(4000, 19, 3, dtype, seed=1)
    outputs = model(rows)
    assert oracle.same_bits(model(rows[::-1])[::-1], outputs)
    for some in ([7], [3999, 0], range(100, 117), range(4000 - 33, 4000)):
        assert oracle.same_bits(model(rows[some]), outputs[some])
    net = (model.weights, model.biases, model.settings["activation"], model.settings["output"])
    for threads in (1, 2, 7):
        assert oracle.same_bits(prediction.predict(rows, *net, threads=threads), outputs)


# ----------------------------------------------------------------------------------- random numbers


@dtypes
@pytest.mark.parametrize("init", reference.INITS)
def test_initial_weights_are_the_reference_s(init, dtype):
    X, y = oracle.problem(4, 5, 3, dtype)
    seeds = [0, 1, 2**32, 2**63 + 5, 2**64 - 1]
    grid = {"seed": seeds, "hidden": [(), (7,), (33, 1, 2)]}
    for model in shoal.sweep(X, y, grid, init=init, epochs=0):
        weights, biases = oracle.start_of(model.settings, 5, 3)
        assert oracle.same_bits(model.biases, biases)
        if not init.endswith("normal"):
            assert oracle.same_bits(model.weights, weights)
        for w, expected in zip(model.weights, weights, strict=True):
            few = 4 * np.finfo(dtype).eps * np.abs(expected).max()
            np.testing.assert_allclose(w, expected, rtol=0, atol=few)


def test_initial_weights_of_both_dtypes_are_alike():
    X, y = oracle.problem(4, 5, 3, "float64")
    for init in ("he_normal", "auto"):
        single, double = (
            shoal.fit(X, y, init=init, epochs=0, dtype=dtype, hidden=(9, 4)) for dtype in DTYPES
        )
        for a, b in zip(single.weights, double.weights, strict=True):
            assert oracle.same_bits(a, b.astype("float32"))


@njit
def _shuffle(order, seed, epoch, words):
    random.shuffle(order, seed, epoch, words)


@njit
def _philox(counter, seed):
    return random.philox(counter[0], counter[1], counter[2], counter[3], seed)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 63, 64, 65, 66, 100, 1025])
def test_row_orders_are_the_reference_s(n):
    order, words = np.empty(n, np.int32), np.empty(4 * random.RUN, np.uint32)
    for seed in (0, 1, 2**32 - 1, 2**32, 2**64 - 1):
        for epoch in (0, 1, 12345, 2**31 - 1):
            _shuffle(order, np.uint64(seed), epoch, words)
            assert np.array_equal(order, reference.row_order(seed, epoch, n))


def test_philox_is_the_reference_s():
    generator = np.random.default_rng(0)
    for counter in generator.integers(0, 2**32, (50, 4), dtype=np.uint64):
        seed = generator.integers(2**64, dtype=np.uint64)
        words = reference.philox(counter, int(seed))
        assert list(_philox(counter, seed)) == [int(word) for word in words]


# ------------------------------------------------------------------------------------------- scores

LABELS = {
    "two labels": {},
    "two labels, one hot": {"output": "softmax"},
    "three labels": {},
    "three labels, sigmoid": {"output": "sigmoid"},
    "three labels, squared error": {"loss": "squared_error"},
    "multi-label": {},
    "multi-label, one hot": {"output": "softmax"},
    "numbers": {},
    "flat numbers": {},
    "a constant": {},
}


def targets(kind, n, generator):
    if kind.startswith("two"):
        return np.where(generator.random(n) < 0.4, "yes", "no")
    if kind.startswith("three"):
        return generator.integers(5, 8, n)
    if kind.startswith("multi"):
        columns = np.eye(3, dtype=int)[generator.integers(0, 3, n)]
        return columns if "one hot" in kind else columns | (generator.random((n, 3)) < 0.3)
    if kind == "flat numbers":
        return generator.normal(size=n)
    numbers = generator.normal(size=(n, 2))
    if kind == "a constant":
        numbers[:, 1] = 3
    return numbers


def score_of(predicted, y):
    """Accuracy of whole rows, or the mean of the columns' R squared."""
    if y.dtype.kind != "f":
        return (predicted == y).reshape(len(y), -1).all(axis=1).mean()
    left = ((predicted - y).reshape(len(y), -1).astype(float) ** 2).sum(axis=0)
    total = ((y - y.mean(axis=0)).reshape(len(y), -1) ** 2).sum(axis=0)
    return np.where(total > 0, 1 - left / np.where(total > 0, total, 1), left == 0).mean()


@dtypes
@pytest.mark.parametrize("kind", LABELS)
def test_scores_are_numpy_s(kind, dtype):
    """Of the training rows, or of the validation rows, whatever their number."""
    generator = np.random.default_rng(1)
    tolerance = {"rel": 1e-4, "abs": 1e-5} if dtype == "float32" else {"rel": 1e-11}
    X, y = generator.normal(size=(50, 4)).astype(dtype), targets(kind, 50, generator)
    grid = {"hidden": [(), 7], "seed": range(4), "learning_rate": [0.01, 0.1]}
    for rows in (None, 9, 300):
        new, given = X, y
        if rows:
            new, given = (
                generator.normal(size=(rows, 4)).astype(dtype),
                targets(kind, rows, generator),
            )
        sweep = shoal.sweep(X, y, grid, epochs=5, activation="tanh",
                            validation=(new, given) if rows else None, **LABELS[kind])  # fmt: skip
        results = sweep.results
        scores = [score_of(model.predict(new), given) for model in sweep]
        if y.dtype.kind == "f":
            assert results["score"] == pytest.approx(np.array(scores), **tolerance)
        else:
            assert results["score"].tolist() == scores
            assert len(set(scores)) > 1
        assert np.isnan(results["val_loss"]).all() == (rows is None)
        if not rows:
            continue
        for model, val_loss in zip(sweep, results["val_loss"], strict=True):
            told = model.settings
            widths = model.widths[-1]
            encoded = model.target.encode(given, widths, dtype, told["loss"], told["output"])
            sums, _ = reference.propagate(new, model.weights, model.biases, "tanh", told["output"])
            losses = reference.row_losses(sums[-1], encoded, told["output"], told["loss"])
            assert val_loss == pytest.approx(losses.mean(), rel=tolerance["rel"])


@dtypes
def test_scores_of_ties_and_halves(dtype):
    """Of equal outputs the first counts, and 1/2 is no yes: as `predict` has it."""
    generator = np.random.default_rng(1)
    X = generator.normal(size=(60, 4)).astype(dtype) * 1000
    X[::3] = 0
    grid = {"hidden": [(), 3], "seed": range(4), "output": ["sigmoid"]}
    for kind in ("two labels", "three labels", "multi-label"):
        y = targets(kind, 60, generator)
        sweep = shoal.sweep(X, y, grid, epochs=0, bias=False, activation="tanh", init="uniform")
        outputs = np.array([model(X) for model in sweep])
        assert (outputs == 0.5).any() and (outputs == 1).any()
        expected = [score_of(model.predict(X), y) for model in sweep]
        assert sweep.results["score"].tolist() == expected


# ---------------------------------------------------------------- last: it has been at work so long


@pytest.mark.skipif(not RUNS_HASWELL, reason="code for haswell needs AVX2 and FMA")
def test_another_processor(elsewhere):
    """Compiled for haswell (AVX2); float64 in wide groups and small register tiles besides."""
    out, errors = elsewhere.communicate(timeout=600)
    assert elsewhere.returncode == 0, errors
    register_bytes, *found = json.loads(out.splitlines()[-1])
    assert register_bytes == 32
    for dtype, (prints_, of_all) in zip(DTYPES, found, strict=True):
        assert prints_ == right(dtype)
        assert of_all == together.right(dtype)
