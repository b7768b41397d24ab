"""Kernels without compilation: the same source run by Python, whose fma rounds twice."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.kernels

PROGRAM = """
import json
import numpy as np, shoal

X = np.arange(12.0).reshape(6, 2) % 5 - 2
told = []
for y, settings in (
    ([0, 1, 2, 0, 1, 2], {"batch_size": 4, "activation": "tanh"}),
    ([0.5, 1, 2, 0, 1, 2], {"optimizer": "sgd", "momentum": 0.5, "activation": "sigmoid"}),
    (["a", "b"] * 3, {"batch_size": None, "dtype": "float32"}),
):
    grid = {"seed": [1, 2], "hidden": [(3,), (2, 2)]}
    sweep = shoal.sweep(X, y, grid, epochs=3, learning_rate=0.1, progress=False, **settings)
    told += [w.tolist() for model in sweep for w in model.weights + model.biases]
    told += [sweep.losses.tolist(), sweep.results["score"].tolist(), sweep.best(X).tolist()]
bad = shoal.sweep(
    X, [1e3] * 6, {"learning_rate": [1e-3, 1e9]}, epochs=50, optimizer="sgd", progress=False
)
told.append([list(bad.results["status"]).index("diverged"), *bad.results["epochs"].tolist()])

# Every setting at once, then each of those that exclude each other.
X = np.sin(np.arange(36.0)).reshape(18, 2)
y, weights = np.cos(X[:, 0] * 2) + 1, 0.5 + np.arange(18) % 3
common = {
    "hidden": (3, 2), "activation": ("gelu", "silu"), "learning_rate": 0.05, "loss": "huber",
    "huber_delta": 0.4, "schedule": "cosine", "min_learning_rate": 0.01, "warmup_epochs": 1,
    "l1": 0.01, "l2": 0.02, "weight_decay": 0.1, "dropout": (0.2, 0.3, 0.4), "batch_norm": True,
    "clip_delta": 0.3, "clip_norm": 0.5, "validation": 0.3, "patience": 2, "tolerance": 0.01,
    "optimizer": "adamw", "batch_size": 5, "record_every": 1, "epochs": 6, "dtype": "float64",
}
bare = {"batch_norm": False, "weight_decay": 0.0, "schedule": "constant", "warmup_epochs": 0}
for grid in (
    {"seed": [1, 2], "learning_rate": [0.05, 0.2], "epochs": [4, 6]},
    {"schedule": ["step", "exponential", "invscaling", "adaptive"], "optimizer": ["rmsprop"]},
    {"optimizer": ["adagrad"], "loss": ["quantile", "absolute_error"], "output": ["sigmoid"]},
    {"loss": ["poisson", "squared_error"], "output": ["exp"], "shuffle_seed": [1], **{
        name: [value] for name, value in bare.items()}},
    {"optimizer": ["rprop"], "batch_size": [None], **{name: [v] for name, v in bare.items()}},
):
    settings = {name: value for name, value in common.items() if name not in grid}
    sweep = shoal.sweep(X, y, grid, sample_weight=weights, progress=False, **settings)
    for model in sweep:
        norms = [a for norm in model.batch_norm or () for a in norm]
        told += [a.tolist() for a in model.weights + model.biases + norms]
        history = model.history
        for part in (history.loss, history.val_loss, history.score, history.learning_rate):
            told.append(np.nan_to_num(part, nan=-1.0).tolist())
        told.append(model(X).tolist())
    told.append(sweep.results["epochs"].tolist())
    told.append([["finished", "stopped"].index(status) for status in sweep.results["status"]])

# A net whose first layer stands in panels.
X = np.sin(np.arange(6 * 32.0)).reshape(6, 32)
model = shoal.fit(X, y[:6], hidden=16, batch_size=4, epochs=2, progress=False)
told += [a.tolist() for a in model.weights + model.biases]
print(json.dumps(told))
"""


def run(**environment):
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_plain_python_follows_the_compiled_kernels():
    plain, compiled = run(NUMBA_DISABLE_JIT="1"), run(NUMBA_DISABLE_JIT="0")
    assert len(plain) == len(compiled) > 250
    for ours, theirs in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
