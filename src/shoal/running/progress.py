"""What a run tells its user: a progress bar, and a word before the first compilation."""

import functools
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec

from ..inputs.checks import show
from ..kernels.code import cache, objects
from ..kernels.code.telling import log, tell

P = ParamSpec("P")

_SHORT = 0.05  # an estimate, in seconds: of runs that take a second none was a tenth of it


class Monitor:
    """What a run says while it runs; this one is silent."""

    def begin(self, nets: int, seconds: float) -> None:
        """A run of so many nets begins, which is estimated to take so long."""

    def advance(self, nets: float) -> None:
        """So much more is done, in nets: an epoch counts by the time that it takes."""

    def compiling(self) -> None:
        """Kernels are about to be compiled."""

    def end(self) -> None:
        """The run is over."""

    @contextmanager
    def reporting_compilation(self) -> Iterator[None]:
        """Call `compiling` where something is compiled in the block."""
        objects.before_compiling.append(self.compiling)
        try:
            yield
        finally:
            objects.before_compiling.remove(self.compiling)


def _only_telling(
    method: Callable[Concatenate["Bar", P], None],
) -> Callable[Concatenate["Bar", P], None]:
    """Decorator of what must not end a training: where it fails, the bar is silent from then on."""

    @functools.wraps(method)
    def tell(self: "Bar", *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            self._bar = None
            log.debug("the progress bar has ended: %r", error)

    return tell


class Bar(Monitor):
    """A tqdm bar of nets, in a terminal or a notebook, once a run takes more than a second.

    Parameters
    ----------
    always : bool
        Show it at once, and where standard error is no terminal too.
    """

    _said = False  # in this process
    _bar: Any = None

    def __init__(self, always: bool) -> None:
        self._always = always

    @_only_telling
    def begin(self, nets: int, seconds: float) -> None:
        """Open the bar, where the run may be long enough for one."""
        self._bar = None
        if sys.stderr is None or (not self._always and seconds < _SHORT):
            return
        with warnings.catch_warnings():
            # that a notebook has no ipywidgets: the bar is of text there
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm

        self._done = 0.0
        seen = self._always or "ipykernel" in sys.modules
        self._bar = tqdm(
            total=nets,
            desc="training",
            bar_format="{l_bar}{bar}| {n:.0f} of {total} nets [{elapsed}<{remaining}]",
            delay=0 if self._always else 1,
            disable=False if seen else None,
            leave=self._always,
        )

    @_only_telling
    def advance(self, nets: float) -> None:
        """Move the bar on."""
        if self._bar is None:
            return
        self._done += nets
        # rounded: a full bar looks full
        self._bar.update(min(round(self._done, 3), self._bar.total) - self._bar.n)

    def compiling(self) -> None:
        """Say why the first run takes longer."""
        if not Bar._said:
            Bar._said = True
            reason = cache.problem()
            where = f"happens in each process (nothing is kept in {cache.directory()}: {reason})"
            tell(
                "shoal: compiling its kernels for this machine; this "
                f"{where if reason else 'happens once'}, and takes 10 to 30 seconds",
                sys.stderr,
            )

    @_only_telling
    def end(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


def monitor(progress: bool | None) -> Monitor:
    """Monitor for a ``progress`` argument: True, False, or None for where a person looks on."""
    if progress is not None and not isinstance(progress, bool):
        raise TypeError(f"progress = {show(progress)} must be True, False or None")
    return Monitor() if progress is False else Bar(progress is True)
