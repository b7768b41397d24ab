"""README.md and docs/ say what the code does (their examples run as doctests)."""

import inspect
import re
from pathlib import Path

import pytest
from sklearn.pipeline import Pipeline

import shoal
import shoal.sklearn
from shoal import plots
from shoal.inputs.settings import SETTINGS, UNSET

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/*.md"))}
FUNCTIONS = (
    shoal.fit, shoal.sweep, shoal.train, plots.plot_losses, plots.plot_scores,
    shoal.sklearn.MLPClassifier, shoal.sklearn.MLPRegressor, shoal.sklearn.MLPRegressor.fit,
    Pipeline,
)  # fmt: skip


def code(value):
    if value is UNSET:
        return ""
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def table():
    """The settings table, as the page must have it."""
    rows = ["| setting | default | TUTORIAL | meaning |", "| --- | --- | --- | --- |"]
    for name, setting in SETTINGS.items():
        cells = (f"`{name}`", code(setting.default), code(setting.tutorial), setting.meaning)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def test_the_settings_table_is_that_of_the_code():
    assert table() in PAGES["settings.md"]


def test_the_two_commands_stand_there_to_the_letter():
    lines = README.splitlines()
    assert 'pip install ".[all]" && shoal demo' in lines
    assert 'pip install -e ".[test]" && pytest' in lines


def test_the_readme_is_one_screen():
    assert len(README.split()) <= 1000


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_keywords_are_those_that_functions_take(page):
    text = PAGES.get(page) or (ROOT / page).read_text(encoding="utf-8")
    known = {name for function in FUNCTIONS for name in inspect.signature(function).parameters}
    named = set(re.findall(r"`(?:shoal\.)?(?:\w+\([^`]*?)?\b([a-z]\w*)=", text))
    for call in re.findall(r"shoal\.(?:fit|sweep|train)\((.*)\)", text):
        named |= set(re.findall(r"\b([a-z]\w*)=", call))
    assert named - known <= {"lr"}  # the one that is refused


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_links_lead_somewhere(page):
    folder = ROOT / "docs" if page in PAGES else ROOT
    text = PAGES.get(page) or (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert target.startswith("https://") or (folder / target).exists(), target
    for target in re.findall(r"\{doc\}`(\w+)`", text):
        assert f"{target}.md" in PAGES or target == "tutorial", target  # a notebook of examples/


def test_every_public_name_has_an_entry_in_the_reference():
    entries = set(re.findall(r"\.\. auto\w+:: ([\w.]+)", PAGES["reference.md"]))
    assert set(shoal.__all__) <= entries
    assert {"shoal.plots", "shoal.reference"} <= entries


def test_words_of_the_kernels_are_in_the_glossary():
    import shoal.kernels

    section = shoal.kernels.__doc__.split("\nWords\n")[1].split("\nLayouts\n")[0]
    words = {w.strip() for line in re.findall(r"^(\w.*)$", section, re.M) for w in line.split(",")}
    terms = re.findall(r"^(\w.*)$", PAGES["glossary.md"], re.M)
    listed = {w.strip() for line in terms for w in line.split(",")}
    assert words - listed <= {"entry", "load", "gather", "transpose", "slot", "fused"}  # inside
