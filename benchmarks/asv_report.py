"""What has become of asv's benchmarks: python -m benchmarks.asv_report FOLDER

asv keeps NaN for a benchmark that raised NotImplementedError in its setup, as those do whose rival
is not installed, and null for one that raised anything else, crashed or timed out. How fast the
others were does not matter here.
"""

import itertools
import json
import math
import sys
from pathlib import Path

import click


def values(known, found):
    """Yield the name, with parameters, and the value of each benchmark: None where it broke.

    Parameters
    ----------
    known, found : dicts
        From a benchmark's name to what asv tells of it in ``benchmarks.json``, and to the columns
        of its results. One that is known and not found has left nothing: it broke.
    """
    for name, told in known.items():
        measured, *_ = found.get(name) or [None]
        combinations = list(itertools.product(*told["params"]))
        for chosen, value in zip(combinations, measured or [None] * len(combinations), strict=True):
            yield f"{name}({', '.join(chosen)})" if chosen else name, value


def kind(value):
    """Return broken, skipped or ran."""
    if value is None:
        return "broken"
    return "skipped" if math.isnan(value) else "ran"


def sorted_out(folder):
    """Return the names of benchmarks by their kind, from all results in asv's results folder."""
    names = {"ran": [], "skipped": [], "broken": []}
    known = _read(folder / "benchmarks.json") if (folder / "benchmarks.json").exists() else {}
    known.pop("version", None)
    for path in sorted(folder.glob("*/*.json")):
        if path.name != "machine.json":
            for name, value in values(known, _read(path)["results"]):
                names[kind(value)].append(name)
    return names


def _read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder):
    """Count the benchmarks in a results FOLDER of asv that ran, were skipped, and broke.

    The exit status is 1 when one broke or none ran.
    """
    names = sorted_out(folder)
    for told in ("skipped", "broken"):
        for name in names[told]:
            click.echo(f"{told}: {name}")
    click.echo(", ".join(f"{len(those)} {told}" for told, those in names.items()))
    if not names["ran"]:
        click.echo("no benchmark ran")
    sys.exit(int(bool(names["broken"]) or not names["ran"]))


if __name__ == "__main__":
    main()
