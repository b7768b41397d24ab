"""What the comparison makes of rivals that are missing, slow, wrong or broken: tiny work."""

import os
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from . import compare, report
from .rivals import numpy_tutorial
from .rows import Race, Within
from .work import Tutorial

WORK = Tutorial(1, 50, "float64")


def _broken(work):
    raise OSError("it broke")


def _idle(work):
    return lambda: work.start


def rival(name, **changes):
    told = {"missing": numpy_tutorial.missing, "PREPARE": numpy_tutorial.PREPARE}
    return SimpleNamespace(NAME=name, final=numpy_tutorial.final, **told | changes)


BROKEN = rival("Broken", PREPARE={Tutorial: _broken})
WRONG = rival("Wrong", PREPARE={Tutorial: _idle})
MISSING = rival("Missing", missing=lambda: "it is not here")


@pytest.mark.parametrize(
    "rivals, goal, status",
    [
        ((numpy_tutorial,), 0, "met"),
        ((numpy_tutorial,), 1e9, "missed"),
        ((numpy_tutorial,), None, ""),
        ((MISSING,), 1, "skipped"),
        ((numpy_tutorial, MISSING), 0, "met"),
        ((numpy_tutorial, BROKEN), 0, "error"),
        ((numpy_tutorial, WRONG), 0, "error"),
    ],
)
def test_status(rivals, goal, status):
    outcome = Race(WORK, rivals, goal).measure(2)
    assert outcome.status == status
    assert (outcome.value is None) == (status == "skipped")
    for line in report.cells(outcome):
        assert len(line) == len(report.HEADINGS)


def test_the_fastest_rival_decides():
    slower = {Tutorial: lambda work: lambda: [numpy_tutorial.tutorial(work)() for _ in range(3)][0]}
    outcome = Race(WORK, (numpy_tutorial, rival("Slower", PREPARE=slower)), None).measure(3)
    assert outcome.decided_by == "numpy" and outcome.value == outcome.ratios["numpy"]


def test_times_are_those_of_a_step():
    within = Within("long / short", Tutorial(1, 20_000, "float64"), WORK, 1)
    assert within.measure(2).value < 1  # a call's own cost is shared by more steps


@pytest.mark.parametrize(
    "rivals, goal, status",
    [((numpy_tutorial,), 0, 0), ((numpy_tutorial,), 1e9, 1), ((numpy_tutorial, BROKEN), 1e9, 2)],
)
def test_exit_status(monkeypatch, tmp_path, rivals, goal, status):
    monkeypatch.setattr(compare, "GOALS", [Race(WORK, rivals, goal)])
    monkeypatch.setattr(compare, "apart", lambda call, *arguments: call(*arguments))
    saved = tmp_path / "saved.json"
    done = CliRunner().invoke(compare.main, ["--markdown", "--only", "numpy", "--save", str(saved)])
    assert done.exit_code == status, done.output
    assert '"seconds"' in saved.read_text() and "| numpy |" in done.output


def test_a_row_is_measured_in_a_new_process():
    assert compare.apart(os.getpid) != os.getpid()


def test_a_process_that_dies(monkeypatch):
    apart = compare.apart
    monkeypatch.setattr(compare, "GOALS", [Race(WORK, (numpy_tutorial,), 0)])
    monkeypatch.setattr(compare, "apart", lambda *call: apart(os._exit, 1))
    done = CliRunner().invoke(compare.main)
    assert done.exit_code == 2 and "BrokenProcessPool" in done.output


def test_no_such_row():
    done = CliRunner().invoke(compare.main, ["--only", "nothing like it"])
    assert done.exit_code == 2 and "There are:" in done.output
