"""Signatures, docstrings and types of what takes settings: the single source is SETTINGS."""

import inspect
import json
import pydoc
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import shoal
from shoal.inputs import settings
from shoal.inputs.settings import SETTINGS, TUTORIAL
from shoal.inputs.signatures import Settings, TrainSettings

TYPED_CALLS = Path(__file__).with_name("typed_calls.py")
GIVEN_BY_WEIGHTS = {"hidden", "init", "bias", "dtype", "batch_norm"}


def names_in(hint):
    """All texts of the Literals in a hint."""
    if isinstance(hint, str):
        return {hint}
    return {name for part in get_args(hint) for name in names_in(part)}


def test_the_typed_settings_are_those_of_the_table():
    hints = get_type_hints(Settings)
    assert set(hints) == set(SETTINGS)
    assert set(hints) - set(get_type_hints(TrainSettings)) == GIVEN_BY_WEIGHTS | {"epochs"}
    choices = {
        "activation": settings.ACTIVATIONS,
        "output": settings.OUTPUTS,
        "loss": settings.LOSSES,
        "init": settings.INITS,
        "reduction": settings.REDUCTIONS,
        "optimizer": settings.OPTIMIZERS,
        "schedule": settings.SCHEDULES,
    }
    for name, allowed in choices.items():
        assert names_in(hints[name]) == set(allowed)
    for name in set(SETTINGS) - set(choices):  # of another kind, and with None where it is allowed
        assert names_in(hints[name]) <= {"balanced", "float32", "float64"}
        try:
            SETTINGS[name].check(None)
        except TypeError:
            assert type(None) not in get_args(hints[name])
        else:
            assert type(None) in get_args(hints[name])


@pytest.mark.parametrize("function", [shoal.fit, shoal.sweep, shoal.train])
def test_signature_and_help_have_every_setting_with_its_default_and_meaning(function):
    parameters = inspect.signature(function).parameters
    defaults = TUTORIAL if function is shoal.train else {}
    wanted = [n for n in SETTINGS if function is not shoal.train or n not in GIVEN_BY_WEIGHTS]
    assert [name for name in parameters if name in SETTINGS and name != "epochs"] == [
        name for name in wanted if name != "epochs"
    ]
    assert all(p.kind is not p.VAR_KEYWORD for p in parameters.values())
    text = " ".join(pydoc.render_doc(function, renderer=pydoc.plaintext).split())
    for name in wanted:
        if function is shoal.train and name == "epochs":  # which has no default there
            assert parameters[name].default is inspect.Parameter.empty
            continue
        default = defaults.get(name, SETTINGS[name].default)
        assert parameters[name].default == default
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert f", default {default!r} {' '.join(SETTINGS[name].meaning.split())}" in text


def test_a_default_that_is_given_differs_from_one_that_is_not():
    """A net that is trained on has its model's settings where none are given."""
    X = [[0.0], [1.0]]
    first = shoal.fit(X, [0.0, 1.0], hidden=2, epochs=1, learning_rate=0.1)
    assert shoal.fit(X, [0.0, 1.0], warm_start=first).settings["learning_rate"] == 0.1
    default = SETTINGS["learning_rate"].default
    again = shoal.fit(X, [0.0, 1.0], warm_start=first, learning_rate=default)
    assert again.settings["learning_rate"] == default


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_type_checkers_accept_right_calls_and_refuse_wrong_ones(checker, tmp_path):
    """Each wrong call has a comment that ignores its error: one that ignores none is an error."""
    if checker == "mypy":
        options = ["--strict", "--warn-unused-ignores", f"--cache-dir={tmp_path}"]
    else:
        configuration = tmp_path / "pyrightconfig.json"
        wanted = {"include": [str(TYPED_CALLS)], "reportUnnecessaryTypeIgnoreComment": "error"}
        configuration.write_text(json.dumps({**wanted, "enableTypeIgnoreComments": True}))
        options = ["--project", str(configuration), "--pythonpath", sys.executable]
    command = [sys.executable, "-m", checker, *options]
    if checker == "mypy":
        command.append(str(TYPED_CALLS))
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
