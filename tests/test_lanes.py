"""Nets or rows in lanes, and threads that share a net: the bits of the scalar oracle."""

from contextlib import contextmanager
from threading import Timer

import numpy as np
import oracle
import pytest
from test_every_setting import check, random_net, right

import shoal
from shoal.kernels.rows_in_lanes import team
from shoal.planning import cost_model, plan
from shoal.running import workspaces
from shoal.running.teams import Team

pytestmark = pytest.mark.kernels

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
SIZES = [(38, 1, 2), (130, 6, 3), (600, 18, 5)]


def choose(monkeypatch, rows_in_lanes):
    """Let lanes be rows, or nets, whatever the nets."""
    monkeypatch.setattr(cost_model, "prefers_rows_in_lanes", lambda *given: rows_in_lanes)


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
@pytest.mark.parametrize("rows_in_lanes", [False, True], ids=["lanes are nets", "lanes are rows"])
@pytest.mark.parametrize("how", ["plain", "weighted and validated"])
@pytest.mark.parametrize("rows, inputs, outputs", SIZES)
def test_lanes(rows, inputs, outputs, how, rows_in_lanes, dtype, monkeypatch):
    choose(monkeypatch, rows_in_lanes)
    X, y, given, training = rows_of(rows, inputs, outputs, how, dtype)
    generator = np.random.default_rng(rows)
    check(X, y, (wide_net(generator, training) for _ in range(25)), **given)


@dtypes
@pytest.mark.parametrize("how", ["plain", "weighted and validated"])
@pytest.mark.parametrize("rows, inputs, outputs", SIZES)
def test_threads_that_share_a_net(rows, inputs, outputs, how, dtype, monkeypatch):
    choose(monkeypatch, True)
    monkeypatch.setattr(
        cost_model, "worth_a_team", lambda architecture, *given: not architecture.batch_norm
    )
    X, y, given, training = rows_of(rows, inputs, outputs, how, dtype)
    generator, shared = np.random.default_rng(rows), 0
    for k in range(15):
        # one block or several in a round; blocks that stay where they were loaded or do not
        monkeypatch.setattr(workspaces, "_MOST_BLOCKS", (1, 8)[k % 2])
        monkeypatch.setattr(plan, "_MOST_LOADED", (2**23, 0)[k % 4 // 2])
        # epochs that are recorded are measured, block by block in one thread
        settings = wide_net(generator, training) | {"record_every": 5}
        if k % 3 == 0:
            settings |= {"batch_size": None, "patience": None, "schedule": "constant"}
        model = shoal.fit(X, y, threads=3, progress=False, **given, **settings)
        alone = {"sample_weight": given.get("sample_weight")}
        oracle.assert_same_bits(model, right(model, X, y, **alone), f"of {settings}")
        shared += not settings["batch_norm"]
    assert shared > 3


@pytest.mark.parametrize("milliseconds", [0, 1, 3, 10, 30])
@pytest.mark.parametrize("batch_size", [64, 700])
def test_a_leader_that_waits_too_long_goes_on_alone(batch_size, milliseconds, monkeypatch):
    """Other processes have the cores: told to the leader at some moment of its training."""
    monkeypatch.setattr(cost_model, "worth_a_team", lambda *given: True)
    choose(monkeypatch, True)
    X, y = oracle.problem(1500, 30, 3, "float32")
    settings = {"hidden": (64, 32), "batch_size": batch_size, "epochs": 60, "progress": False}
    settings["record_every"] = 60
    alone = shoal.fit(X, y, threads=1, **settings)
    teams = []

    following = Team.following

    @contextmanager
    def following_for_a_while(self, group):
        with following(self, group):
            teams.append(self.team)
            timer = Timer(milliseconds / 1e3, self.team.__setitem__, (team.WAITED, 10**12))
            timer.start()
            yield

    monkeypatch.setattr(Team, "following", following_for_a_while)
    shared = shoal.fit(X, y, threads=3, **settings)
    assert teams
    oracle.assert_same_bits(shared, alone)
