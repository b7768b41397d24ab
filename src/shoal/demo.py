"""What `shoal demo` shows: the tutorial to the digit, and a sweep of 1,000 nets on real data."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from . import network, plots, sweeps
from .inputs.settings import TUTORIAL
from .kernels.code import objects
from .results import Sweep

Floats = NDArray[Any]

X: Final = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y_TWO: Final = np.array([[0], [0], [1], [1]])
Y_THREE: Final = np.array([[0], [1], [1], [0]])
# What the tutorial's two programs print, with numpy's legacy generator at seed 1.
PRINTED_TWO: Final = ("0.00966449", "0.00786506", "0.99358898", "0.99211957")
PRINTED_THREE: Final = (
    "0.496410031903", "0.00858452565325", "0.00578945986251",
    "0.00462917677677", "0.00395876528027", "0.00351012256786",
)  # fmt: skip

GRID: dict[str, Sequence[Any]] = {
    "hidden": [(8,), (16,), (32,), (64,), (32, 32)],
    "learning_rate": [3e-4, 1e-3, 3e-3, 1e-2, 3e-2],
    "seed": range(40),
}
EPOCHS: Final = 30
BATCH: Final = 32
STARTS: Final = 100


class Program(NamedTuple):
    """One of the tutorial's programs, run by numpy and by Shoal."""

    name: str
    epochs: int
    ours: list[str]
    numpy_seconds: float
    seconds: float
    apart: float  # largest difference of the final weights


class Digits(NamedTuple):
    """Handwritten digits in three parts: to train on, to choose by, to report on."""

    train: tuple[Floats, Floats]
    validation: tuple[Floats, Floats]
    test: tuple[Floats, Floats]


def check_extras() -> None:
    """Raise an ImportError that names the extra if an optional library is missing."""
    needed = {"sklearn": ("scikit-learn", "sklearn"), "matplotlib": ("matplotlib", "plot")}
    missing = [needed[module] for module in needed if find_spec(module) is None]
    if missing:
        libraries = " and ".join(library for library, _ in missing)
        extras = ",".join(extra for _, extra in missing)
        raise ImportError(
            f"the demo needs {libraries}, which {'is' if len(missing) == 1 else 'are'} not "
            f'installed: pip install "shoal[{extras}]"'
        )


def _sigmoid(z: Floats) -> Floats:
    return 1 / (1 + np.exp(-z))


def _numpy_two(weights: list[Floats], epochs: int) -> list[str]:
    """Run the tutorial's two-layer loop in numpy."""
    (syn0,) = weights
    for _ in range(epochs):
        l1 = _sigmoid(X @ syn0)
        syn0 += X.T @ ((Y_TWO - l1) * l1 * (1 - l1))
    return [f"{value:.8f}" for value in l1[:, 0]]


def _shoal_two(weights: list[Floats], epochs: int) -> list[str]:
    """Do the same with Shoal: the last forward pass is the one before the last update."""
    network.train(X, Y_TWO, weights, epochs=epochs - 1)
    l1 = _sigmoid(X @ weights[0])
    network.train(X, Y_TWO, weights, epochs=1)
    return [f"{value:.8f}" for value in l1[:, 0]]


def _error(l2: Floats) -> str:
    return f"{np.mean(np.abs(Y_THREE - l2)):.12g}"


def _numpy_three(weights: list[Floats], epochs: int) -> list[str]:
    """Run the tutorial's three-layer loop in numpy."""
    syn0, syn1 = weights
    errors = []
    for epoch in range(epochs):
        l1 = _sigmoid(X @ syn0)
        l2 = _sigmoid(l1 @ syn1)
        if epoch % 10_000 == 0:
            errors.append(_error(l2))
        l2_delta = (Y_THREE - l2) * l2 * (1 - l2)
        l1_delta = (l2_delta @ syn1.T) * l1 * (1 - l1)
        syn1 += l1.T @ l2_delta
        syn0 += X.T @ l1_delta
    return errors


def _shoal_three(weights: list[Floats], epochs: int) -> list[str]:
    """Do the same with Shoal, which stops to look every 10,000 epochs."""
    syn0, syn1 = weights
    errors = []
    for _ in range(0, epochs, 10_000):
        errors.append(_error(_sigmoid(_sigmoid(X @ syn0) @ syn1)))
        network.train(X, Y_THREE, [syn0, syn1], epochs=10_000)
    return errors


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def _program(
    name: str,
    epochs: int,
    by_numpy: Callable[[list[Floats], int], list[str]],
    by_shoal: Callable[[list[Floats], int], list[str]],
    start: list[Floats],
) -> Program:
    theirs, ours = [w.copy() for w in start], [w.copy() for w in start]
    printed, seconds = _timed(lambda: by_shoal(ours, epochs))
    _, numpy_seconds = _timed(lambda: by_numpy(theirs, epochs))
    apart = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
    return Program(name, epochs, printed, numpy_seconds, seconds, apart)


def tutorial() -> list[Program]:
    """Run the tutorial's three programs, by numpy and by Shoal, from equal weights."""
    legacy = np.random.RandomState(1)
    two = [2 * legacy.random_sample((3, 1)) - 1]
    legacy = np.random.RandomState(1)
    three = [2 * legacy.random_sample(shape) - 1 for shape in ((3, 4), (4, 1))]
    fresh = np.random.default_rng()
    eleven = [2 * fresh.random(shape) - 1 for shape in ((3, 4), (4, 1))]
    return [
        _program("two layers", 10_000, _numpy_two, _shoal_two, two),
        _program("three layers", 60_000, _numpy_three, _shoal_three, three),
        _program("eleven lines", 60_000, _numpy_three, _shoal_three, eleven),
    ]


def load_digits() -> Digits:
    """Return scikit-learn's digits, pixels from 0 to 1, in three stratified parts: 60:20:20."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    pixels = (pixels / 16).astype(np.float32)
    split = {"test_size": 360, "random_state": 0}
    X, X_test, y, y_test = train_test_split(pixels, labels, stratify=labels, **split)
    X, X_validation, y, y_validation = train_test_split(X, y, stratify=y, **split)
    return Digits((X, y), (X_validation, y_validation), (X_test, y_test))


@contextmanager
def _announced(console: Console) -> Iterator[None]:
    """Say once, before the first kernel is compiled, that this takes a while."""
    start: list[float] = []

    def announce() -> None:
        if not start:
            start.append(time.perf_counter())
            console.print(
                "Compiling Shoal's kernels for this machine. This happens once and takes "
                "30 to 60 seconds ...",
                style="dim",
            )

    objects.before_compiling.append(announce)
    try:
        yield
    finally:
        objects.before_compiling.remove(announce)
    if start:
        console.print(f"... took {time.perf_counter() - start[0]:.0f} seconds.\n", style="dim")


def warm_up(digits: Digits) -> None:
    """Compile all that the demo needs, or load it from the cache, so that timings are warm."""
    network.train(X, Y_THREE, [np.zeros((3, 4)), np.zeros((4, 1))], epochs=1, progress=False)
    many = 256  # so many that lanes are nets, as in the demo's own sweeps
    _starts(many, epochs=1)
    sweep = sweeps.sweep(
        *digits.train, {"seed": range(many)}, hidden=4, epochs=1, validation=digits.validation,
        progress=False,
    )  # fmt: skip
    sweep[0](digits.test[0])
    network.train(X, Y_TWO, [np.zeros((3, 1))], epochs=1)  # imports what shows progress too


def _starts(nets: int, epochs: int = 60_000) -> Sweep:
    """Train the eleven-line net from so many random starts at once."""
    return sweeps.sweep(
        X * 1.0, Y_THREE * 1.0, {"seed": range(nets)}, hidden=4, epochs=epochs, progress=False,
        **TUTORIAL,
    )  # fmt: skip


def _table(*columns: str, left: int = 1) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for k, column in enumerate(columns):
        table.add_column(column, justify="left" if k < left else "right")
    return table


def _heading(console: Console, text: str) -> None:
    console.print(f"\n{text}\n", style="bold cyan")


def _show_program(
    console: Console, program: Program, printed: tuple[str, ...], labels: list[str]
) -> None:
    table = _table(labels[0], "Shoal", "tutorial", "")
    same = f"[green]{'ok' if console.options.ascii_only else '✓'}[/]"
    for label, ours, theirs in zip(labels[1:], program.ours, printed, strict=True):
        table.add_row(label, ours, theirs, same if ours == theirs else "[bold red]differs[/]")
    console.print(table)


def _seconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def show_tutorial(console: Console) -> None:
    """Run the tutorial's programs and print what they print, beside the tutorial's own."""
    _heading(console, "The tutorial, to the digit")
    two, three, eleven = tutorial()
    console.print("Two layers, 10,000 epochs: the outputs of the last forward pass.\n")
    rows = [f"{row} -> {y[0]}" for row, y in zip(X.tolist(), Y_TWO.tolist(), strict=True)]
    _show_program(console, two, PRINTED_TWO, ["input -> target", *rows])
    console.print("\nThree layers, 60,000 epochs: the mean absolute error.\n")
    epochs = [f"{epoch:,}" for epoch in range(0, 60_000, 10_000)]
    _show_program(console, three, PRINTED_THREE, ["epoch", *epochs])

    console.print(
        f"\nThe eleven lines, from a new random start: the error falls from "
        f"{float(eleven.ours[0]):.3f} to {float(eleven.ours[-1]):.4f}."
    )
    starts, seconds = _timed(lambda: _starts(STARTS))
    # (output - y)**2 / 2 is at most 0.00125 where an output is within 0.05 of its target
    converged = int((starts.results["loss"] < 0.00125).sum())
    console.print(
        f"From {STARTS} random starts in one call, {_seconds(seconds)}: "
        f"{converged} of {STARTS} converge.\n"
    )
    table = _table("the same work, timed here", "numpy", "Shoal", "ratio")
    for program in (two, three, eleven):
        table.add_row(
            f"{program.name}, {program.epochs:,} epochs",
            _seconds(program.numpy_seconds),
            _seconds(program.seconds),
            f"{program.numpy_seconds / program.seconds:.0f}",
        )
    console.print(table)
    console.print(
        f"\nFinal weights differ from numpy's by at most "
        f"{max(p.apart for p in (two, three, eleven)):.1g}.",
        style="dim",
    )


def _train_digits(digits: Digits) -> tuple[Sweep, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an interruption, which is raised here
        sweep, seconds = _timed(
            lambda: sweeps.sweep(
                *digits.train, GRID, epochs=EPOCHS, batch_size=BATCH, validation=digits.validation
            )
        )
    if (sweep.results["status"] == "interrupted").any():
        raise KeyboardInterrupt
    return sweep, seconds


def show_digits(console: Console, digits: Digits, output: Path) -> None:
    """Train the sweep, print its best settings, and save its picture."""
    _heading(console, "A sweep on real data: handwritten digits")
    widths, rates, seeds = (len(GRID[name]) for name in ("hidden", "learning_rate", "seed"))
    parts = [len(y) for _, y in digits]
    console.print(
        f"{widths} widths x {rates} learning rates x {seeds} seeds = "
        f"{widths * rates * seeds:,} nets, {EPOCHS} epochs each. Of the images, 8 x 8 pixels, "
        f"{parts[0]:,} train, {parts[1]} validate (the best are chosen by them), {parts[2]} are "
        "held out to the end.\n"
    )
    sweep, seconds = _train_digits(digits)
    steps = len(sweep) * EPOCHS * -(-parts[0] // BATCH)
    console.print(
        f"[bold]{len(sweep):,} nets in {seconds:.1f} s[/]: {len(sweep) / seconds:,.0f} nets and "
        f"{steps / seconds:,.0f} steps (of {BATCH} rows) a second.\n"
    )

    cells = sweep.results["score"].reshape(-1, seeds)
    table = _table("hidden", "rate", "mean", "sd", "worst", "best", left=0)
    for k in np.argsort(-cells.mean(axis=1), kind="stable")[:8]:
        net, cell = int(k) * seeds, 100 * cells[k]
        table.add_row(
            "-".join(map(str, sweep.results["hidden"][net])),
            f"{sweep.results['learning_rate'][net]:g}",
            *(f"{value:.1f}" for value in (cell.mean(), cell.std(), cell.min(), cell.max())),
        )
    console.print(f"The best settings; validation accuracy in %, over {seeds} seeds:\n")
    console.print(table)

    best = sweep.best
    predicted = best.predict(digits.test[0])
    right = int((predicted == digits.test[1]).sum())
    console.print(
        f"\nThe best net (hidden {'-'.join(map(str, best.settings['hidden']))}, learning rate "
        f"{best.settings['learning_rate']:g}, seed {best.settings['seed']}) reads "
        f"[bold]{right} of {parts[2]}[/] held-out digits right: "
        f"[bold]{right / parts[2]:.1%}[/]."
    )
    draw(sweep, digits, output, seconds)
    console.print("\nThe picture of all this:", end=" ")
    console.print(str(output), style="bold", soft_wrap=True)


_STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": "#333333",
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "text.color": "#222222",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
}
_IMAGES: Final = 10


def draw(sweep: Sweep, digits: Digits, output: Path, seconds: float) -> None:
    """Draw losses, accuracies and the digits that the best net gets wrong, into a PNG file."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure: Any = Figure(figsize=(13, 8.4), dpi=150, layout="constrained", facecolor="white")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
        top, bottom = figure.subfigures(2, 1, height_ratios=[3.2, 1])
        figure.suptitle(
            f"{len(sweep):,} nets learn to read digits, in {seconds:.1f} seconds",
            x=0.012, ha="left", fontsize=18, fontweight="bold",
        )  # fmt: skip
        left, right = top.subplots(1, 2, width_ratios=[1, 1.25])

        plots.plot_losses(sweep, by="learning_rate", ax=left)
        left.set_title("Every net's loss; thick: the median of a learning rate")
        left.set_ylabel("training loss (cross-entropy)")
        left.grid(axis="y", color="#eeeeee")

        plots.plot_scores(sweep, "hidden", by="learning_rate", ax=right)
        right.set_title("Every net's accuracy; bar: the median over its seeds")
        right.set_xlabel("units of the hidden layers")
        right.set_ylabel("validation accuracy (stretched towards 100%)")
        _stretch(right, sweep.results["score"])
        right.grid(axis="y", color="#eeeeee")
        for axes in (left, right):
            axes.set_axisbelow(True)

        _draw_wrong(bottom, sweep, digits)
        picture = BytesIO()
        figure.savefig(picture, format="png")
    output.write_bytes(picture.getvalue())


def _stretch(ax: Any, scores: Floats) -> None:
    """Scale an axis of accuracies by the logarithm of the errors: the best differ the least."""
    from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

    spare = 0.02  # so that a perfect score has its place too
    ax.set_yscale(
        "function", functions=(lambda s: -np.log(1 + spare - s), lambda t: 1 + spare - np.exp(-t))
    )
    ax.set_ylim(max(0.0, float(np.nanmin(scores)) - 0.05), 1)
    ax.yaxis.set_major_locator(FixedLocator([0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 1]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _draw_wrong(figure: Any, sweep: Sweep, digits: Digits) -> None:
    """Draw the digits that the best net reads wrong, the surest of its errors first."""
    best = sweep.best
    images, truth = digits.test
    probability = best.predict_proba(images)
    predicted = best.predict(images)
    wrong = np.flatnonzero(predicted != truth)
    shown = wrong[np.argsort(-probability[wrong].max(axis=1), kind="stable")][:_IMAGES]
    which = f"All {len(wrong)}" if len(wrong) <= _IMAGES else f"{_IMAGES} of the {len(wrong)}"
    figure.suptitle(
        f"{which} digits that the best net gets wrong, of {len(truth)} held out to the end",
        x=0.012, ha="left", fontsize=12, fontweight="bold",
    )  # fmt: skip
    axes = figure.subplots(1, _IMAGES)
    for ax in axes:
        ax.set_axis_off()
    for ax, i in zip(axes, shown, strict=False):
        ax.imshow(images[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        sure = probability[i].max()
        label = f"reads {predicted[i]}, is {truth[i]}\n{sure:.0%} sure"
        ax.set_title(label, fontsize=9, fontweight="normal", loc="center")


def run(console: Console, output: Path) -> None:
    """Run the whole demo."""
    with _announced(console):
        digits = load_digits()
        warm_up(digits)
    show_tutorial(console)
    show_digits(console, digits, output)
