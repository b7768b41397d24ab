"""The two engines, and threads that share a net: the same bits, those of the scalar oracle."""

import numpy as np
import oracle
import pytest
from test_every_setting import check, random_net, right

import shoal
from shoal import choice

pytestmark = pytest.mark.kernels

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
SIZES = [(38, 1, 2), (130, 6, 3), (600, 18, 5)]


def choose(monkeypatch, dense):
    """Let the plan choose one engine whatever the nets."""
    monkeypatch.setattr(choice, "is_dense", lambda *given: dense)


def wide_net(generator, rows):
    """Settings like those of `random_net`, with layers of more units than there are lanes."""
    settings = random_net(generator, rows)
    hidden = tuple(generator.integers(1, 45, len(settings["hidden"])).tolist())
    return settings | {"hidden": hidden}


def rows_of(rows, inputs, outputs, how, dtype):
    """A problem, and what more is given of it."""
    X, y = oracle.problem(rows, inputs, outputs, dtype)
    given = {}
    if how == "weighted and validated":
        given["sample_weight"] = np.random.default_rng(1).choice([0.0, 0.3, 1.0, 2.5], rows)
        given["validation"] = 0.25
    training = rows - round(0.25 * rows) if given else rows
    return X, y, given, training


@dtypes
@pytest.mark.parametrize("dense", [False, True], ids=["lanes are nets", "lanes are rows"])
@pytest.mark.parametrize("how", ["plain", "weighted and validated"])
@pytest.mark.parametrize("rows, inputs, outputs", SIZES)
def test_engines(rows, inputs, outputs, how, dense, dtype, monkeypatch):
    choose(monkeypatch, dense)
    X, y, given, training = rows_of(rows, inputs, outputs, how, dtype)
    generator = np.random.default_rng(rows)
    check(X, y, (wide_net(generator, training) for _ in range(40)), **given)


@dtypes
@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("how", ["plain", "weighted and validated"])
@pytest.mark.parametrize("rows, inputs, outputs", SIZES)
def test_threads_that_share_a_net(rows, inputs, outputs, how, threads, dtype, monkeypatch):
    choose(monkeypatch, True)
    monkeypatch.setattr(choice, "worth_a_team", lambda structure, *given: not structure.batch_norm)
    X, y, given, training = rows_of(rows, inputs, outputs, how, dtype)
    generator, shared = np.random.default_rng(rows), 0
    for _ in range(25):
        settings = wide_net(generator, training)
        model = shoal.fit(X, y, threads=threads, progress=False, **given, **settings)
        alone = {"sample_weight": given.get("sample_weight")}
        oracle.assert_same_bits(model, right(model, X, y, **alone), f"of {settings}")
        shared += not settings["batch_norm"]
    assert shared > 5
