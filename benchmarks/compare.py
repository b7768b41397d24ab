"""The speed goals, Shoal and its rivals by turns in one process: python -m benchmarks.compare"""

import json
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from . import report
from .goals import GOALS
from .machine import described, processor
from .outcome import Outcome

__all__ = ["chosen", "main", "measured", "processor"]

WIDTH = 200  # of a table that no terminal shows


def chosen(texts):
    """Return the rows whose title has one of these texts in it; without texts, all."""
    rows = [row for row in GOALS if not texts or any(t.lower() in row.title.lower() for t in texts)]
    if not rows:
        titles = "\n".join(row.title for row in GOALS)
        raise click.BadParameter(f"no row has that in its title. There are:\n{titles}")
    return rows


def measured(row, turns):
    """Measure a row; what breaks is told in its outcome."""
    try:
        return row.measure(turns)
    except Exception as problem:
        return Outcome(row.title, "", "times", True, errors=[f"Shoal: {problem!r}"])


def save(path, machine, turns, outcomes):
    told = {"machine": machine, "turns": turns, "rows": [each.described() for each in outcomes]}
    path.write_text(json.dumps(told, indent=1) + "\n")


@click.command()
@click.option("--alternations", type=click.IntRange(min=5), default=5, show_default=True)
@click.option("--only", multiple=True, help="Rows with this in their title; may be repeated.")
@click.option(
    "--save", "path", type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write all that was measured as JSON.",
)  # fmt: skip
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
def main(alternations, only, path, markdown):
    """Time Shoal and its rivals.

    The exit status is 2 when a rival broke or was wrong, else 1 when a goal that ran was missed.
    """
    rows, outcomes, machine = chosen(only), [], described()
    for number, row in enumerate(rows, 1):
        start = time.perf_counter()
        outcomes.append(measured(row, alternations))
        took = f"{time.perf_counter() - start:.0f} s"
        click.echo(f"{number} of {len(rows)}, {took}: {row.title}", err=True)
        if path is not None:  # after each row, so that an end before the last loses one at most
            save(path, machine, alternations, outcomes)
    console = Console(width=None if sys.stdout.isatty() else WIDTH, soft_wrap=markdown)
    for line in report.heading(machine):
        console.print(line, highlight=False)
    if markdown:
        click.echo(report.markdown(outcomes))
    else:
        console.print(report.table(outcomes, alternations))
    statuses = {outcome.status for outcome in outcomes}
    sys.exit(2 if "error" in statuses else 1 if "missed" in statuses else 0)


if __name__ == "__main__":
    main()
