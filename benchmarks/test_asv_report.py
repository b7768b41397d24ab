"""The report tells benchmarks that broke from those that were skipped, as asv writes them."""

import json

import pytest
from click.testing import CliRunner

from . import asv_report

NAN, MACHINE = float("nan"), "machine"
ONE, SEVERAL = {"params": []}, {"params": [["'a'", "'b'"], ["1", "2"]]}
NUMBERS = [0.1, 0.2, 0.3, 0.4]


def report(folder, known, results):
    """Return what the report says of results as asv writes them, and its exit status."""
    place = folder / MACHINE
    place.mkdir()
    (folder / "benchmarks.json").write_text(json.dumps(known | {"version": 2}))
    (place / "machine.json").write_text('{"ram": ""}')
    if results is not None:
        told = {"results": {name: [values, []] for name, values in results.items()}}
        (place / "sources-existing.json").write_text(json.dumps(told))
    done = CliRunner().invoke(asv_report.main, [str(folder)])
    return done.output.splitlines(), done.exit_code


@pytest.mark.parametrize(
    "known, results, lines, status",
    [
        ({"x": ONE}, {"x": [0.1]}, ["1 ran, 0 skipped, 0 broken"], 0),
        ({"x": SEVERAL}, {"x": NUMBERS}, ["4 ran, 0 skipped, 0 broken"], 0),
        (
            {"x": SEVERAL},
            {"x": [0.1, NAN, None, 0.4]},
            ["skipped: x('a', 2)", "broken: x('b', 1)", "2 ran, 1 skipped, 1 broken"],
            1,
        ),
        (
            {"x": ONE, "y": ONE},
            {"x": [0.1], "y": [NAN]},
            ["skipped: y", "1 ran, 1 skipped, 0 broken"],
            0,
        ),
        ({"x": ONE, "y": ONE}, {"x": [0.1], "y": None}, ["broken: y"], 1),  # all is lost
        ({"x": ONE, "y": ONE}, {"x": [0.1]}, ["broken: y"], 1),  # not even begun
        ({"x": ONE}, {"x": [NAN]}, ["no benchmark ran"], 1),
        ({}, {}, ["0 ran, 0 skipped, 0 broken", "no benchmark ran"], 1),
        ({"x": ONE}, None, ["no benchmark ran"], 1),
    ],
)
def test_report(tmp_path, known, results, lines, status):
    said, exit_status = report(tmp_path, known, results)
    assert set(lines) <= set(said) and exit_status == status


def test_an_empty_folder(tmp_path):
    done = CliRunner().invoke(asv_report.main, [str(tmp_path)])
    assert done.exit_code == 1 and "no benchmark ran" in done.output
