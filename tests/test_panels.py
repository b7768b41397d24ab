"""A first layer whose units are in lanes: the same bits, and nobody outside sees its order."""

import numpy as np
import oracle
import pytest
from test_every_setting import right
from test_lanes import choose, dtypes, rows_of, wide_net

import shoal
from shoal.planning import cost_model, plan

pytestmark = pytest.mark.kernels

SIZES = [(38, 1, 2), (130, 37, 3), (600, 18, 5)]


@pytest.fixture
def panels(monkeypatch):
    """Let all nets that can stand in panels do so, and threads share them; how many did."""
    choose(monkeypatch, True)
    monkeypatch.setattr(plan, "_PANELS", 1)
    monkeypatch.setattr(
        cost_model,
        "worth_a_team",
        lambda architecture, rows_in_lanes, rows: rows_in_lanes and not architecture.batch_norm,
    )
    seen, task_of = [], plan._task

    def task(*given):
        seen.append(task_of(*given))
        return seen[-1]

    monkeypatch.setattr(plan, "_task", task)
    return seen


def net_in_panels(generator, rows):
    """Settings like those of `random_net`, with a first layer of whole panels."""
    settings = wide_net(generator, rows)
    deeper = settings["hidden"][1:]
    settings |= {"hidden": (16 * int(generator.integers(1, 5)), *deeper), "clip_norm": None}
    settings |= {"activation": (*settings["activation"], "tanh")[: 1 + len(deeper)]}
    return settings | {"dropout": float(np.max(settings["dropout"]))}


@dtypes
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("how", ["plain", "weighted and validated"])
@pytest.mark.parametrize("rows, inputs, outputs", SIZES)
def test_bits(rows, inputs, outputs, how, threads, dtype, panels, monkeypatch):
    X, y, given, training = rows_of(rows, inputs, outputs, how, dtype)
    generator = np.random.default_rng(rows)
    for k in range(12):
        # of a full batch the rows stay where they were loaded, and there are no panels, or do not
        monkeypatch.setattr(plan, "_MOST_LOADED", (0, 2**23)[k % 4 // 3])
        settings = net_in_panels(generator, training) | {"record_every": (1, 5)[k % 2]}
        model = shoal.fit(X, y, threads=threads, progress=False, **given, **settings)
        alone = {"sample_weight": given.get("sample_weight")}
        oracle.assert_same_bits(model, right(model, X, y, **alone), f"of {settings}")
    assert sum(task.panels for task in panels) > 8


@dtypes
def test_a_net_of_one_layer(dtype, panels):
    X, y = oracle.problem(70, 9, 32, dtype)
    model = shoal.fit(X, y, hidden=(), batch_size=13, epochs=3, progress=False)
    assert panels[0].panels
    oracle.assert_same_bits(model, right(model, X, y))


@pytest.mark.parametrize("settings", [{"dropout": (0.3, 0.0)}, {"clip_norm": 0.1}, {"hidden": 17}])
def test_nets_that_cannot_stand_in_panels(settings, panels):
    X, y = oracle.problem(70, 9, 2, "float32")
    model = shoal.fit(X, y, epochs=3, batch_size=16, progress=False, **{"hidden": 16} | settings)
    assert not panels[0].panels
    oracle.assert_same_bits(model, right(model, X, y))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_what_is_told_of_a_net_stands_in_its_usual_order(optimizer, panels, monkeypatch):
    """Traces, the state of the optimizer, the best weights, and what goes on from them."""
    X, y = oracle.problem(90, 20, 3, "float64")
    settings = {"hidden": (16, 5), "batch_size": 20, "epochs": 8, "optimizer": optimizer}
    settings |= {"patience": 5, "validation": 0.3, "progress": False, "trace": [0, 3, 8]}
    settings |= {"momentum": 0.9} if optimizer == "sgd" else {}
    first = shoal.fit(X, y, **settings)
    longer = shoal.fit(X, y, warm_start=first, **settings | {"trace": 10})
    assert all(task.panels for task in panels)
    choose(monkeypatch, False)
    expected = shoal.fit(X, y, **settings)
    assert not panels[-1].panels
    for ours, theirs in (
        (first, expected),
        (longer, shoal.fit(X, y, warm_start=expected, **settings | {"trace": 10})),
    ):
        oracle.assert_same_bits(ours, theirs)
        for told, right_one in zip(ours.resume, theirs.resume, strict=True):
            np.testing.assert_array_equal(told, right_one)
        for told, right_one in zip(ours.history.trace, theirs.history.trace, strict=True):
            assert oracle.same_bits(list(told.weights), list(right_one.weights))
            assert oracle.same_bits(told.outputs, right_one.outputs)
