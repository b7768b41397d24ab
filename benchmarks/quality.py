"""Test scores on real data, Shoal beside scikit-learn's MLP: python -m benchmarks.quality

Both get the same settings, so that only chance should tell them apart:

- ``init="glorot_uniform"``: scikit-learn's relu nets draw their weights from the same. (Their
  biases too; Shoal's start at 0.)
- scikit-learn divides its L2 term by the rows of the batch, as it does the summed loss; Shoal's l2
  goes into the mean gradient as it is. So l2 is alpha times the mean over an epoch's batches of
  1 / rows: as much in an epoch. (Not alpha / 32: 353 rows of diabetes end in a batch of one, in
  which scikit-learn penalises 32 times as much as in each of the 11 others.)
- scikit-learn never stops early: ``tol=0``, and ``n_iter_no_change`` is the number of epochs.

Inputs are standardised by the training rows of each fold, and so is y where it is a number. The
folds are the same for all seeds and both libraries. The seeds are not: seed 3 of one library has
nothing to do with seed 3 of the other.
"""

import datetime
import importlib.metadata
import os
import platform
import sys
import time
import warnings
from dataclasses import dataclass

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import shoal

from .compare import processor

FOLDS = 5
BATCH = 32
ALPHA = 0.1  # scikit-learn's
OPTIMIZERS = {
    "adam": {"learning_rate": 0.01},
    "sgd": {"learning_rate": 0.01, "momentum": 0.9, "nesterov": False},
}


@dataclass(frozen=True)
class Problem:
    """One of scikit-learn's bundled sets, and the net for it."""

    data: str  # of sklearn.datasets.load_*
    hidden: tuple[int, ...]
    epochs: int
    numbers: bool = False  # whether y is numbers, else labels

    def load(self):
        from sklearn import datasets

        X, y = getattr(datasets, f"load_{self.data}")(return_X_y=True)
        return X, y.astype(float) if self.numbers else y

    def folds(self):
        """Yield each fold's X, y of the training and X, y of the test rows, standardised."""
        from sklearn.model_selection import KFold, StratifiedKFold
        from sklearn.preprocessing import StandardScaler

        X, y = self.load()
        kind = KFold if self.numbers else StratifiedKFold
        for train, test in kind(FOLDS, shuffle=True, random_state=0).split(X, y):
            scaler = StandardScaler().fit(X[train])
            told, asked = y[train], y[test]
            if self.numbers:
                mean, deviation = told.mean(), told.std()
                told, asked = (told - mean) / deviation, (asked - mean) / deviation
            yield scaler.transform(X[train]), told, scaler.transform(X[test]), asked


PROBLEMS = {
    problem.data: problem
    for problem in (
        Problem("iris", (8,), 100),
        Problem("wine", (16,), 100),
        Problem("breast_cancer", (16,), 100),
        Problem("digits", (32,), 40),
        Problem("diabetes", (16,), 100, numbers=True),
    )
}


def settings_of(problem, optimizer, rows):
    """Return Shoal's settings for a number of training rows."""
    batches = [min(BATCH, rows - first) for first in range(0, rows, BATCH)]
    return {
        "hidden": problem.hidden,
        "activation": "relu",
        "init": "glorot_uniform",
        "epochs": problem.epochs,
        "batch_size": batches[0],
        "optimizer": optimizer,
        "l2": ALPHA * float(np.mean([1 / batch for batch in batches])),
        **OPTIMIZERS[optimizer],
    }


def rival(problem, optimizer, rows, seed):
    """Return scikit-learn's estimator with the same settings."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPRegressor if problem.numbers else MLPClassifier
    rates = OPTIMIZERS[optimizer]
    return kind(
        hidden_layer_sizes=problem.hidden,
        activation="relu",
        solver=optimizer,
        alpha=ALPHA,
        batch_size=min(BATCH, rows),
        learning_rate_init=rates["learning_rate"],
        momentum=rates.get("momentum", 0.9),  # which adam does not look at
        nesterovs_momentum=rates.get("nesterov", False),
        max_iter=problem.epochs,
        tol=0,
        n_iter_no_change=problem.epochs,
        random_state=seed,
    )


@dataclass(frozen=True)
class Result:
    """Test scores (seeds, folds) of both libraries, and how long all training took."""

    ours: np.ndarray
    theirs: np.ndarray
    our_seconds: float
    their_seconds: float

    @property
    def difference(self):
        """Shoal's mean less scikit-learn's."""
        return self.ours.mean() - self.theirs.mean()

    @property
    def standard_error(self):
        """Of the difference: from each seed's difference of the means over the folds."""
        apart = self.ours.mean(axis=1) - self.theirs.mean(axis=1)
        return apart.std(ddof=1) / np.sqrt(len(apart))

    @property
    def good(self):
        """Whether Shoal is within two standard errors of scikit-learn, or better."""
        return bool(self.difference >= -2 * self.standard_error - 1e-12)


def compare(problem, optimizer, seeds):
    """Train both on every fold, from seeds 0, 1, ..."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import accuracy_score, r2_score

    score = r2_score if problem.numbers else accuracy_score
    ours, theirs = np.empty((2, seeds, FOLDS))
    seconds = [0.0, 0.0]
    for fold, (X, y, X_test, y_test) in enumerate(problem.folds()):
        settings = settings_of(problem, optimizer, len(X))
        start = time.perf_counter()
        sweep = shoal.sweep(X, y, {"seed": range(seeds)}, progress=False, **settings)
        seconds[0] += time.perf_counter() - start
        if not (sweep.results["status"] == "finished").all():
            raise click.ClickException(f"not all nets of {problem.data} finished")
        ours[:, fold] = [score(y_test, net.predict(X_test)) for net in sweep]
        for seed in range(seeds):
            net = rival(problem, optimizer, len(X), seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                start = time.perf_counter()
                net.fit(X, y)
                seconds[1] += time.perf_counter() - start
            if net.n_iter_ != problem.epochs:
                raise click.ClickException(f"scikit-learn stopped early on {problem.data}")
            theirs[seed, fold] = score(y_test, net.predict(X_test))
    return Result(ours, theirs, *seconds)


def described(problem, optimizer):
    """Return the settings in which the rows of the table differ."""
    rates = OPTIMIZERS[optimizer]
    momentum = f", momentum {rates['momentum']:g}" if "momentum" in rates else ""
    return (
        f"hidden {', '.join(map(str, problem.hidden))}; {optimizer} {rates['learning_rate']:g}"
        f"{momentum}; {problem.epochs} epochs"
    )


def cells(problem, optimizer, result):
    """Return the table's row of one comparison."""

    def told(scores):
        return f"{scores.mean():.4f} +- {scores.std(ddof=1):.4f}"

    return (
        problem.data,
        described(problem, optimizer),
        "R2" if problem.numbers else "accuracy",
        told(result.ours),
        told(result.theirs),
        f"{result.difference:+.4f}",
        f"{result.standard_error:.4f}",
        "yes" if result.good else "no",
        f"{result.our_seconds:.2f} s, {result.their_seconds:.1f} s",
    )


def caption(seeds):
    return (
        f"Test scores over {seeds} seeds x {FOLDS} folds: mean +- standard deviation of them all. "
        f"relu, batches of {BATCH}, glorot_uniform, float64, alpha {ALPHA:g} (l2 = alpha * the "
        "mean over an epoch's batches of 1 / rows). Standard error: for each seed the mean over "
        "the folds, Shoal's less scikit-learn's; the standard deviation of these "
        f"{seeds} differences / sqrt({seeds}). It is the chance of the nets' seeds: the folds are "
        "the same for all. With 20 seeds, 3 in 100 rows would say no where nothing differs. "
        "Seconds: a remark; of training alone, one sweep a fold beside one fit a seed and fold."
    )


def versions():
    """Return 'name version' of what takes part."""
    names = ("scikit-learn", "numpy", "scipy", "numba")
    told = [f"{name} {importlib.metadata.version(name)}" for name in names]
    return ", ".join([f"Python {platform.python_version()}", f"shoal {shoal.__version__}", *told])


@click.command()
@click.option("--seeds", type=click.IntRange(min=2), default=20, show_default=True)
@click.option("--data", type=click.Choice(list(PROBLEMS)), multiple=True, help="All by default.")
def main(seeds, data):
    """Compare test scores with scikit-learn's; the exit status is 1 when Shoal is worse."""
    console = Console(width=None if sys.stdout.isatty() else 190)
    table = Table(
        "data", "settings", "score", "Shoal", "scikit-learn", "difference", "standard error",
        "within two standard errors or better", "seconds", caption=caption(seeds),
        caption_justify="left",
    )  # fmt: skip
    # so that nothing below waits for a compiler
    shoal.sweep(np.eye(4), [0, 1, 0, 1], {"seed": range(seeds)}, epochs=1, progress=False)
    worse = False
    for optimizer in OPTIMIZERS:
        for name in data or PROBLEMS:
            result = compare(PROBLEMS[name], optimizer, seeds)
            table.add_row(*cells(PROBLEMS[name], optimizer, result))
            worse |= not result.good
        table.add_section()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    console.print(f"{processor()}, {cores} cores, {platform.platform()}")
    console.print(versions())
    console.print(f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %z}")
    console.print(table)
    sys.exit(int(worse))


if __name__ == "__main__":
    main()
