"""Shoal beside its rivals on small work, each held to the reference first: pytest benchmarks/"""

import functools

import pytest

from . import rivals
from .real import RealData
from .rivals import (
    c_tutorial,
    fann_tutorial,
    itself,
    jax_by_hand,
    jax_devices,
    jax_vmap,
    numpy_tutorial,
    sklearn_mlp,
    torch_batched,
    torch_func,
)
from .work import Minibatch, Tutorial, error

SINGLE = [itself, jax_vmap, torch_batched]
SEVERAL = [*SINGLE, torch_func]
ADAM = {"optimizer": "adam", "learning_rate": 1e-3}
MATCHES = [
    (Tutorial(1, 2_000, "float64"), [itself, numpy_tutorial, c_tutorial]),
    (Tutorial(1, 2_000, "float64", momentum=0.5), [itself, c_tutorial]),
    (Tutorial(1, 2_000, "float64", widths=(3, 1), specialise=True), [itself, c_tutorial]),
    (Tutorial(1, 20_000, "float64"), [fann_tutorial]),
    (Tutorial(256, 200, "float32"), [*SEVERAL, jax_by_hand, jax_devices]),
    (Tutorial(64, 200, "float64"), [itself, jax_vmap, jax_by_hand]),
    (Minibatch(64, 1), SEVERAL),
    (Minibatch(32, 1, widths=(4, 8, 3)), [*SEVERAL, jax_by_hand]),
    (Minibatch(32, 1, widths=(30, 16, 2)), [*SEVERAL, jax_devices]),
    (Minibatch(4, 1, widths=(20, 16, 8, 3), **ADAM), SEVERAL),
    (Minibatch(8, 2, dropout=0.2, **ADAM), SEVERAL),
    (Minibatch(8, 2, dropout=0.2, own_order=True, **ADAM), [itself]),
    (Minibatch(1, 2), SINGLE),
    (Minibatch(1, 2, dropout=0.2, **ADAM), SINGLE),
    (Minibatch(1, 5, rows=500, batch_size=None, widths=(4, 32, 16, 4), **ADAM), SINGLE),
    (RealData("iris", (8,)), [itself, sklearn_mlp]),
    (RealData("breast_cancer", (16,), epochs=10), [itself, sklearn_mlp]),
]
PAIRS = [(work, contender) for work, contenders in MATCHES for contender in contenders]
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}


@pytest.fixture(autouse=True)
def short_trials(monkeypatch):
    """Torch's compiled forms run as they are written: compiling them all takes minutes."""
    monkeypatch.setattr(torch_batched, "compiled_step", lambda step: step)
    monkeypatch.setattr(rivals, "_lowest", functools.partial(rivals._lowest, calls=1))


@pytest.mark.parametrize("work, contender", PAIRS, ids=[f"{w}: {c.NAME}" for w, c in PAIRS])
def test_side_by_side(benchmark, work, contender):
    if reason := contender.missing():
        pytest.skip(reason)
    benchmark.group = str(work)
    run = contender.PREPARE[type(work)](work)
    exact = work.same_step and not hasattr(contender, "outputs")
    tolerance = TOLERANCE[work.dtype] if exact else work.tolerance
    assert error(contender, run(), work) < tolerance
    benchmark.pedantic(run, rounds=3)
