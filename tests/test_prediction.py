"""Predictions: the same bits whatever the rows beside a row, the threads and the tiles."""

import launches
import numpy as np
import pytest

import shoal
from shoal.kernels.code import forked
from shoal.running import prediction

SETTINGS = [
    {"activation": "tanh"},
    {"activation": "relu", "batch_norm": True, "hidden": (20, 5)},
    {"bias": False, "hidden": ()},
]


def net(inputs, outputs, dtype, **settings):
    generator = np.random.default_rng(inputs)
    X = generator.normal(size=(40, inputs)).astype(dtype)
    y = generator.normal(size=(40, outputs))
    return shoal.fit(X, y, **{"hidden": 17, "epochs": 3} | settings)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("inputs, outputs", [(1, 1), (3, 2), (16, 16), (17, 3), (50, 33)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_are_on_their_own(dtype, inputs, outputs, settings):
    model = net(inputs, outputs, dtype, **settings)
    X = np.random.default_rng(1).normal(size=(300, inputs)).astype(dtype)
    alone = np.concatenate([model(X[k : k + 1]) for k in range(300)])
    for count in (2, 15, 16, 17, 64, 255, 257, 300):
        assert np.array_equal(model(X[:count]), alone[:count]), count
        assert np.array_equal(model(X[300 - count :]), alone[300 - count :]), count


def test_threads_share_the_rows(monkeypatch):
    model, slices = net(30, 3, "float32", hidden=64), []
    X = np.random.default_rng(1).normal(size=(10_001, 30)).astype("float32")
    told = (X, model.weights, model.biases, ("relu",), "identity", None)
    alone = prediction.predict(*told, threads=1)

    launches.watch(monkeypatch, lambda calls, done, control: slices.extend(done))
    for is_child in (False, True):  # numba's threads, and Python's
        monkeypatch.setattr(forked, "is_child", is_child)
        slices.clear()
        assert np.array_equal(prediction.predict(*told, threads=3), alone)
        edges = [part[1:3] for part in slices]
        assert edges[0][0] == 0 and edges[-1][1] == len(X) and len(edges) > 3
        assert all(a[1] == b[0] for a, b in zip(edges[:-1], edges[1:], strict=True))


def test_a_bad_net_shows():
    model = net(4, 2, "float32")
    model.weights[0][0, 0] = np.nan
    assert np.isnan(model(np.ones((3, 4), np.float32))).all()
