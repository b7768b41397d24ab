"""Whether lanes are nets or rows: a rule about speed alone, so these are plain cases."""

import numpy as np
import pytest

import shoal
from shoal.planning import cost_model
from shoal.planning.architecture import Architecture

DTYPES = ("float32", "float64")


def architecture(*widths, batch=32, **more):
    return Architecture(
        widths=widths, activations=("relu",) * (len(widths) - 2), output="sigmoid",
        loss="squared_error", bias=True, init="auto", every=1, batch=batch, shuffle=True,
        mean=True, optimizer=0, **more,
    )  # fmt: skip


def chosen(nets, *widths, rows=1024, dtype="float32", threads=2, alone=True, **more):
    lanes = cost_model.lane_width(dtype, 64).lanes
    return cost_model.choose(
        architecture(*widths, **more), nets, rows, dtype, threads, lanes, alone
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "nets, widths, rows_in_lanes",
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
def test_plain_cases(nets, widths, rows_in_lanes, dtype):
    told = chosen(nets, *widths, dtype=dtype)
    assert told.rows_in_lanes == rows_in_lanes
    assert 0 < told.seconds < told.other


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nets, rows_in_lanes", [(1, True), (2, True), (4096, False)])
def test_the_tutorial_s_net(nets, rows_in_lanes, dtype):
    """Its steps are on the same four rows, which rows in lanes load only once."""
    assert chosen(nets, 3, 4, 1, batch=4, rows=4, dtype=dtype).rows_in_lanes == rows_in_lanes


def test_threads_count_where_nets_are_alone():
    """Twenty nets fill one group, which one thread trains while others would wait."""
    assert chosen(20, 64, 32, 10, threads=16).rows_in_lanes
    assert not chosen(32, 8, 8, 2, threads=1).rows_in_lanes


@pytest.mark.parametrize("rows_in_lanes", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_more_work_is_estimated_to_take_longer(dtype, rows_in_lanes):
    small, rows, lanes = architecture(8, 8, 2), 32, 16
    seconds = cost_model.seconds_of_step(small, rows_in_lanes, rows, dtype, lanes)
    assert seconds > 0
    assert cost_model.seconds_of_step(small, rows_in_lanes, 2 * rows, dtype, lanes) > seconds
    for wider in (architecture(16, 8, 2), architecture(8, 16, 2), architecture(8, 8, 8, 2)):
        assert cost_model.seconds_of_step(wider, rows_in_lanes, rows, dtype, lanes) > seconds
    normalised = architecture(8, 8, 2, batch_norm=True)
    assert cost_model.seconds_of_step(
        normalised, True, rows, dtype, lanes
    ) > cost_model.seconds_of_step(small, True, rows, dtype, lanes)


def test_a_team_is_for_large_steps_or_many_chunks():
    assert cost_model.worth_a_team(architecture(784, 128, 10), True, 64)
    assert cost_model.worth_a_team(architecture(8, 32, 1), True, 1000)
    assert not cost_model.worth_a_team(architecture(64, 32, 10), True, 32)
    assert not cost_model.worth_a_team(architecture(784, 128, 10, batch_norm=True), True, 64)
    assert not cost_model.worth_a_team(architecture(784, 128, 10), False, 64)


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
