"""The kinds of rows: each measures one thing and gives an `Outcome`.

A row has a ``title``, and ``measure(turns)``.
"""

import statistics
from dataclasses import dataclass
from typing import Any

from . import fresh, peak
from .machine import cores
from .outcome import Outcome
from .rivals import itself
from .timing import by_turns
from .work import error

CHECKED = 10_000  # nets; of more, only smaller sweeps of their kind are checked
MEGABYTE = 1e6


def checked_run(contender, work, **options):
    """Prepare a contender, let it do the work once, and hold what it made to the reference."""
    run = contender.PREPARE[type(work)](work, **options)
    result = run()
    if work.nets <= CHECKED and not (wrong := error(contender, result, work)) < work.tolerance:
        raise ArithmeticError(f"its result is wrong by {wrong:.3g}")
    return run


@dataclass(frozen=True)
class Race:
    """Shoal and rivals on the same work: the fastest rival's time over Shoal's.

    Parameters
    ----------
    work : what is trained
    rivals : tuple of modules
        As their libraries' users write them; the goal is held to the fastest.
    goal : float or None
        None: for information.
    harder : tuple of modules
        What an expert may get out of these libraries besides; timed, and told.
    decider : module or None
        The rival that the goal names; None: the fastest.
    """

    work: Any
    rivals: tuple[Any, ...]
    goal: float | None
    harder: tuple[Any, ...] = ()
    decider: Any = None

    @property
    def title(self):
        names = [rival.NAME for rival in (*self.rivals, *self.harder)]
        return f"{self.work}: {', '.join(names)}"

    def measure(self, turns):
        told = Outcome(str(self.work), "fastest rival / Shoal", "times", True, self.goal)
        runs = {itself.NAME: checked_run(itself, self.work)}
        for rival in (*self.rivals, *self.harder):
            if reason := rival.missing():
                told.notes.append(f"{rival.NAME} skipped: {reason}")
                continue
            try:
                runs[rival.NAME] = run = checked_run(rival, self.work)
            except Exception as problem:
                told.errors.append(f"{rival.NAME}: {problem!r}")
            else:
                told.forms[rival.NAME] = getattr(run, "form", "")
        deciding = [self.decider] if self.decider else self.rivals
        deciding = [rival.NAME for rival in deciding if rival.NAME in runs]
        if deciding:
            told.seconds = by_turns(runs, turns)
            best = min(deciding, key=told.ratios.get)
            pairs = zip(told.seconds[best], told.seconds[itself.NAME], strict=True)
            told.value, told.decided_by = told.ratios[best], best
            told.each_turn = [theirs / ours for theirs, ours in pairs]
        return told


@dataclass(frozen=True)
class Within:
    """Shoal against Shoal: the time of a net's step in one work, over that in another.

    Parameters
    ----------
    about : str
        What is compared.
    above, below : works
    at_least : bool
    goal : float
    threads : (int or None, int or None)
        Of both; None: all.
    """

    about: str
    above: Any
    below: Any
    goal: float
    at_least: bool = False
    threads: tuple[int | None, int | None] = (None, None)

    @property
    def title(self):
        return f"{self.about}: {self.above}"

    def measure(self, turns):
        told = Outcome(self.title, self.about, "times", self.at_least, self.goal)
        needed = max(count or 1 for count in self.threads)
        if cores() < needed:
            told.notes.append(f"skipped: {needed} cores are needed")
            return told
        runs, works = {}, (self.above, self.below)
        for name, work, threads in zip(("above", "below"), works, self.threads, strict=True):
            options = {} if threads is None else {"threads": threads}
            runs[name] = checked_run(itself, work, **options)
        told.seconds = by_turns(runs, turns)
        share = self.below.steps / self.above.steps
        pairs = zip(told.seconds["above"], told.seconds["below"], strict=True)
        told.each_turn = [a / b * share for a, b in pairs]
        told.value = told.medians["above"] / told.medians["below"] * share
        return told


@dataclass(frozen=True)
class Peak:
    """The matrix products of a training, as a share of the machine's FMA peak in its whole time."""

    work: Any
    goal: float

    @property
    def title(self):
        return f"% of the FMA peak: {self.work}"

    def measure(self, turns):
        told = Outcome(self.title, "% of the FMA peak", "%", True, self.goal)
        rates = []
        peak.flops(self.work.dtype)
        told.seconds = by_turns(
            {
                itself.NAME: checked_run(itself, self.work),
                "peak": lambda: rates.append(peak.flops(self.work.dtype)),
            },
            turns,
        )
        ours = told.seconds[itself.NAME]
        told.each_turn = [
            100 * self.work.flops / seconds / rate
            for seconds, rate in zip(ours, rates, strict=True)
        ]
        told.value = statistics.median(told.each_turn)
        highest = statistics.median(rates) / 1e9
        told.notes.append(f"peak {highest:,.0f} GFLOP/s by {peak.method()}, {cores()} threads")
        return told


@dataclass(frozen=True)
class Memory:
    """Memory of a sweep in a new process, over that of its imports.

    The goal is twice the bytes of parameters, optimizer and columns of results, and 200 MB.
    """

    nets: int
    epochs: int

    @property
    def title(self):
        return f"memory of a new process: {self.nets:,} x 3-4-1, float32"

    def measure(self, turns):
        told = Outcome(self.title, "most memory, less that of the imports", "MB", False)
        found = {
            name: size / MEGABYTE for name, size in fresh.memory(self.nets, self.epochs).items()
        }
        told.goal = 2 * (found["weights"] + found["columns"]) + 200
        told.value = found["peak"] - found["imported"]
        told.notes.append(
            f"imports {found['imported']:.0f} MB, weights {found['weights']:.0f} MB, "
            f"columns of results {found['columns']:.0f} MB"
        )
        return told


@dataclass(frozen=True)
class FirstSweep:
    """A process from its start to its end, with one small sweep in it."""

    goal: float

    title = "first sweep of a new process, kernels on disk"

    def measure(self, turns):
        told = Outcome(self.title, "start of the process to its end", "s", False, self.goal)
        told.seconds = fresh.first_sweep(turns)
        told.each_turn = told.seconds["Shoal"]
        told.value = told.medians["Shoal"]
        told.notes.append(f"of which {told.medians['Python alone']:.3f} s are Python alone")
        return told


@dataclass(frozen=True)
class FirstSweepEver:
    """The same with an empty cache, once."""

    goal: float

    title = "first sweep ever, compiling included"

    def measure(self, turns):
        told = Outcome(self.title, "start of the process to its end", "s", False, self.goal)
        told.value = fresh.first_sweep_ever()
        told.seconds = {"Shoal": [told.value]}
        return told
