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
    assert len(plain) == len(compiled) > 50
    for ours, theirs in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
