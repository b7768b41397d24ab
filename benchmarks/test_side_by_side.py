"""Shoal beside its rivals on small work, each held to the reference first: pytest benchmarks/"""

import pytest

from .rivals import c_tutorial, itself, jax_vmap, numpy_tutorial
from .work import Minibatch, Tutorial, error

MATCHES = [
    (Tutorial(1, 2_000, "float64"), [itself, numpy_tutorial, c_tutorial]),
    (Tutorial(256, 500, "float32"), [itself, jax_vmap]),
    (Minibatch(64, 1), [itself, jax_vmap]),
]
PAIRS = [(work, contender) for work, contenders in MATCHES for contender in contenders]
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}


@pytest.mark.parametrize("work, contender", PAIRS, ids=[f"{w}: {c.NAME}" for w, c in PAIRS])
def test_side_by_side(benchmark, work, contender):
    if reason := contender.missing():
        pytest.skip(reason)
    benchmark.group = str(work)
    run = contender.PREPARE[type(work)](work)
    assert error(contender.final(run()), work) < TOLERANCE[work.dtype]
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
