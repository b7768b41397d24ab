"""The speed goals: what is timed, against whom, and what Shoal is to reach."""

from dataclasses import replace

from .real import RealData
from .rivals import (
    c_tutorial,
    fann_tutorial,
    jax_by_hand,
    jax_devices,
    jax_vmap,
    numpy_tutorial,
    sklearn_mlp,
    torch_batched,
    torch_func,
)
from .rows import FirstSweep, FirstSweepEver, Memory, Peak, Race, Within
from .work import Minibatch, Tutorial

ONE = Tutorial(1, 60_000, "float64")
SPECIALISED = replace(ONE, epochs=200_000, specialise=True)
MANY = Tutorial(4096, 2_000, "float32")
DIGITS = Minibatch(128, 10)
DROPOUT = Minibatch(128, 10, optimizer="adam", learning_rate=1e-3, dropout=0.2)
OWN_ORDER = Minibatch(
    128, 10, optimizer="adam", learning_rate=1e-3, dropout=0.2, own_order=True
)  # fmt: skip
WIDE = Minibatch(16, 10, batch_size=64, widths=(784, 128, 10))
ONE_WIDE = Minibatch(1, 50, batch_size=64, widths=(784, 128, 10))
FULL_BATCH = Minibatch(
    1, 100, rows=10_000, batch_size=None, learning_rate=0.01, widths=(4, 32, 16, 4),
    optimizer="adam",
)  # fmt: skip

STACKED = (jax_vmap, torch_batched, torch_func)
SINGLE = (jax_vmap, torch_batched)
DEVICES, BY_HAND = (jax_devices,), (jax_by_hand, jax_devices)

GOALS = [
    Race(SPECIALISED, (c_tutorial,), 0.9),
    Race(replace(SPECIALISED, momentum=0.5), (c_tutorial,), 0.9),
    Race(replace(SPECIALISED, widths=(3, 1)), (c_tutorial,), 0.9),
    Race(ONE, (c_tutorial,), None),
    Race(SPECIALISED, (numpy_tutorial,), 120),
    Race(ONE, (fann_tutorial,), None),
    Race(MANY, STACKED, 8, BY_HAND, decider=jax_vmap),
    Race(Tutorial(4096, 2_000, "float64"), (jax_vmap,), 4, BY_HAND),
    Race(Minibatch(512, 20, widths=(4, 8, 3)), STACKED, 15, BY_HAND),
    Race(Minibatch(256, 20, widths=(30, 16, 2)), STACKED, 6, DEVICES),
    Race(DIGITS, STACKED, 3, DEVICES),
    Race(DROPOUT, STACKED, 3, DEVICES),
    Within("own orders / one order", OWN_ORDER, DROPOUT, 1.35),
    Race(WIDE, STACKED, 1.5, DEVICES),
    Race(Minibatch(1, 200), SINGLE, 3),
    Race(ONE_WIDE, SINGLE, 1.8),
    Race(FULL_BATCH, SINGLE, 3),
    Peak(DIGITS, 60),
    Peak(WIDE, 75),
    Peak(ONE_WIDE, 75),
    Peak(FULL_BATCH, 55),
    Race(RealData("iris", (8,)), (sklearn_mlp,), 40),
    Race(RealData("breast_cancer", (16,)), (sklearn_mlp,), 60),
    Race(RealData("digits", (32,)), (sklearn_mlp,), 45),
    Within("1 thread / 2 threads", MANY, MANY, 1.9, at_least=True, threads=(1, 2)),
    Within("1 thread / 2 threads", DIGITS, DIGITS, 1.9, at_least=True, threads=(1, 2)),
    Within("1 thread / 2 threads", ONE_WIDE, ONE_WIDE, 1.7, at_least=True, threads=(1, 2)),
    Within(
        "a net's epoch among 1,000,000 / among 10,000",
        Tutorial(1_000_000, 300, "float32"),
        Tutorial(10_000, 300, "float32"),
        1.1,
    ),
    Memory(1_000_000, 20),
    FirstSweep(0.5),
    FirstSweepEver(20),
]
