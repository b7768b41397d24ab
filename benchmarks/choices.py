"""Does the plan choose well between nets and rows in lanes? python -m benchmarks.choices"""

import statistics
import sys
import time

import click
import numpy as np
from rich.console import Console
from rich.table import Table

# Widths, rows of a batch (None: all), rows in all
SHAPES = [
    ((3, 4, 1), None, 4),
    ((4, 8, 3), 32, 1024),
    ((30, 16, 2), 32, 1024),
    ((64, 32, 10), 32, 1024),
    ((784, 128, 10), 64, 1024),
    ((4, 32, 16, 4), None, 10_000),
]
NETS = (1, 2, 4, 8, 16, 32, 64, 128)
ALLOWED = 1.15  # how much slower than the other a choice may be
SECONDS = 0.05  # that a run should take at least, by the plan's own estimate


def training(widths, batch, rows, nets, dtype):
    """Return a function that trains so many nets once, and says which the plan chose."""
    import shoal
    from shoal.planning import cost_model

    generator = np.random.default_rng(0)
    X = generator.normal(size=(rows, widths[0])).astype(dtype)
    y = np.eye(widths[-1], dtype=int)[generator.integers(0, widths[-1], rows)]
    settings = {
        "hidden": widths[1:-1], "output": "sigmoid", "optimizer": "sgd", "learning_rate": 1e-3,
        "batch_size": batch, "shuffle_seed": 0, "progress": False,
    }  # fmt: skip
    rule, chosen = cost_model.prefers_rows_in_lanes, {}

    def sweep(epochs, rows_in_lanes=None):
        def decide(*estimates):
            chosen["rows_in_lanes"], chosen["seconds"] = rule(*estimates), min(estimates)
            return chosen["rows_in_lanes"] if rows_in_lanes is None else rows_in_lanes

        cost_model.prefers_rows_in_lanes = decide
        try:
            shoal.sweep(X, y, {"seed": range(nets)}, epochs=epochs, record_every=epochs, **settings)
        finally:
            cost_model.prefers_rows_in_lanes = rule

    return sweep, chosen


def compared(shape, nets, dtype, turns):
    """Return (whether rows are in lanes by choice, its seconds, the other's)."""
    sweep, chosen = training(*shape, nets, dtype)
    for rows_in_lanes in (None, False, True):  # compiles
        sweep(1, rows_in_lanes)
    _, batch, rows = shape
    steps = rows // (batch or rows)
    epochs = max(2, int(SECONDS / (chosen["seconds"] * steps)))
    seconds = {False: [], True: []}
    for _ in range(turns):
        for rows_in_lanes, mine in seconds.items():
            start = time.perf_counter()
            sweep(epochs, rows_in_lanes)
            mine.append(time.perf_counter() - start)
    choice = chosen["rows_in_lanes"]
    return choice, statistics.median(seconds[choice]), statistics.median(seconds[not choice])


@click.command()
@click.option("--turns", type=click.IntRange(min=3), default=5, show_default=True)
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32")
def main(turns, dtype):
    """Time both; the exit status is 1 where a choice is more than 15% slower."""
    table = Table("nets", "shape", "chosen: in the lanes are", "its time", "the other's", "ratio")
    worst = 0.0
    for shape in SHAPES:
        for nets in NETS:
            rows_in_lanes, ours, other = compared(shape, nets, dtype, turns)
            worst = max(worst, ours / other)
            table.add_row(
                f"{nets}", "-".join(map(str, shape[0])), "rows" if rows_in_lanes else "nets",
                f"{ours * 1e3:.3g} ms", f"{other * 1e3:.3g} ms", f"{ours / other:.2f}",
            )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    click.echo(f"worst: {worst:.2f} times the other's time; allowed: {ALLOWED}")
    sys.exit(int(worst > ALLOWED))


if __name__ == "__main__":
    main()
