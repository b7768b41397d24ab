"""README.md says what the code does (its examples run as doctests)."""

from pathlib import Path

from shoal.inputs.settings import SETTINGS, UNSET

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def code(value):
    if value is UNSET:
        return ""
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def table():
    """The settings table, as the README must have it."""
    rows = ["| setting | default | TUTORIAL | meaning |", "| --- | --- | --- | --- |"]
    for name, setting in SETTINGS.items():
        cells = (f"`{name}`", code(setting.default), code(setting.tutorial), setting.meaning)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def test_the_settings_table_is_that_of_the_code():
    assert table() in README


def test_the_two_commands_stand_there_to_the_letter():
    lines = README.splitlines()
    assert 'pip install ".[all]" && shoal demo' in lines
    assert 'pip install -e ".[test]" && pytest' in lines
