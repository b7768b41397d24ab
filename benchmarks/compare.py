"""The speed goals, Shoal and its rivals by turns: python -m benchmarks.compare

Each row has a process of its own, as what other libraries leave behind, threads above all, slows
whatever comes after them.
"""

import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
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
    """Return the numbers of rows with one of these texts in their title; without texts, all."""
    titles = [row.title for row in GOALS]
    numbers = [
        number
        for number, title in enumerate(titles)
        if not texts or any(text.lower() in title.lower() for text in texts)
    ]
    if not numbers:
        lines = "\n".join(titles)
        raise click.BadParameter(f"no row has that in its title. There are:\n{lines}")
    return numbers


def broken(row, problem):
    return Outcome(row.title, "", "times", True, errors=[repr(problem)])


def measured(number, turns):
    """Measure a row; what breaks is told in its outcome."""
    row = GOALS[number]
    try:
        return row.measure(turns)
    except Exception as problem:
        return broken(row, problem)


def apart(call, *arguments):
    """Call in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


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
    numbers, outcomes, machine = chosen(only), [], described()
    for done, number in enumerate(numbers, 1):
        start = time.perf_counter()
        try:
            outcome = apart(measured, number, alternations)
        except BrokenProcessPool as problem:
            outcome = broken(GOALS[number], problem)
        outcomes.append(outcome)
        took = f"{time.perf_counter() - start:.0f} s"
        click.echo(f"{done} of {len(numbers)}, {took}: {GOALS[number].title}", err=True)
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
