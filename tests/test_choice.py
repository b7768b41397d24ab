"""Which engine is chosen: a rule about speed alone, so these are plain cases, and what is told."""

import numpy as np
import pytest

import shoal
from shoal import choice
from shoal.structure import Structure

DTYPES = ("float32", "float64")


def structure(*widths, batch=32, **more):
    return Structure(
        widths=widths, activations=("relu",) * (len(widths) - 2), output="sigmoid",
        loss="squared_error", bias=True, init="auto", every=1, batch=batch, shuffle=True,
        mean=True, optimizer=0, **more,
    )  # fmt: skip


def chosen(nets, *widths, rows=1024, dtype="float32", threads=2, alone=True, **more):
    lanes = choice.lane_width(dtype, 64).lanes
    return choice.choose(structure(*widths, **more), nets, rows, dtype, threads, lanes, alone)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "nets, widths, dense",
    [
        (1, (64, 32, 10), True),
        (1, (784, 128, 10), True),
        (16, (784, 128, 10), True),  # one group of lanes would keep one thread waiting
        (4096, (3, 4, 1), False),
        (512, (4, 8, 3), False),
        (256, (30, 16, 2), False),
        (256, (64, 32, 10), False),
    ],
)
def test_plain_cases(nets, widths, dense, dtype):
    told = chosen(nets, *widths, dtype=dtype)
    assert told.dense == dense
    assert 0 < told.seconds < told.other


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nets, dense", [(1, True), (2, True), (4096, False)])
def test_the_tutorial_s_net(nets, dense, dtype):
    """Its steps are on the same four rows, which the dense engine brings only once."""
    assert chosen(nets, 3, 4, 1, batch=4, rows=4, dtype=dtype).dense == dense


def test_threads_count_where_nets_are_alone():
    """Twenty nets fill one group, which one thread trains while others would wait."""
    assert chosen(20, 64, 32, 10, threads=16).dense
    assert not chosen(32, 8, 8, 2, threads=1).dense


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_more_work_is_estimated_to_take_longer(dtype, dense):
    small, rows, lanes = structure(8, 8, 2), 32, 16
    seconds = choice.seconds_of_step(small, dense, rows, dtype, lanes)
    assert seconds > 0
    assert choice.seconds_of_step(small, dense, 2 * rows, dtype, lanes) > seconds
    for wider in (structure(16, 8, 2), structure(8, 16, 2), structure(8, 8, 8, 2)):
        assert choice.seconds_of_step(wider, dense, rows, dtype, lanes) > seconds
    normalised = structure(8, 8, 2, batch_norm=True)
    assert choice.seconds_of_step(normalised, True, rows, dtype, lanes) > choice.seconds_of_step(
        small, True, rows, dtype, lanes
    )


def test_a_team_is_for_large_steps_or_many_chunks():
    assert choice.worth_a_team(structure(784, 128, 10), True, 64)
    assert choice.worth_a_team(structure(8, 32, 1), True, 1000)
    assert not choice.worth_a_team(structure(64, 32, 10), True, 32)
    assert not choice.worth_a_team(structure(784, 128, 10, batch_norm=True), True, 64)
    assert not choice.worth_a_team(structure(784, 128, 10), False, 64)


X, Y = np.linspace(-1, 1, 400).reshape(200, 2), np.arange(200) % 2


def test_verbose_tells_of_each_block(capsys):
    grid = {"hidden": [3, 200], "seed": range(4)}
    shoal.sweep(X, Y, grid, epochs=0, threads=2, progress=False, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("4 nets 2-3-1, batches of 32: ")
    assert lines[1].startswith("4 nets 2-200-1, batches of 32: one by one")
    assert all("estimated" in line for line in lines)


def test_verbose_tells_of_one_net(capsys):
    shoal.sweep(X, Y, {"seed": [1]}, hidden=64, epochs=0, batch_size=None, verbose=True)
    assert capsys.readouterr().out.startswith("1 net 2-64-1, batches of 200: one by one")


def test_nothing_is_told_unasked(capsys):
    shoal.sweep(X, Y, {"seed": [1]}, epochs=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("wrong", [1, "yes", None])
def test_wrong_verbose(wrong):
    with pytest.raises(TypeError, match=rf"verbose = {wrong!r} must be True or False"):
        shoal.sweep(X, Y, {"seed": [1]}, verbose=wrong)
