"""Whoever fits nets in parallel gets one sweep: a backend for joblib.

Each task of a joblib call becomes a strand: a thread that runs only while it is its turn, so that
tasks run one after the other, as without joblib. Where a net's fit is called in a strand, the
strand asks for its training and waits. When no strand can go on, all trainings that are asked for
are one sweep, and their strands go on with what came of them. Tasks of nested joblib calls are
strands of the same fusion.

The thread that called joblib gives out the turns, and trains: Ctrl-C reaches it. It starts no more
strands where those that wait hold too many bytes of rows.
"""

import contextlib
import contextvars
import functools
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

import joblib
import numpy as np
from joblib.parallel import ParallelBackendBase

from ..running.row_orders import Generator
from . import stochastic, telling, theirs, training
from .fast_path import FastPath, Unknown, Work, result_of, work_of
from .fits import Fit, Fitted

# Tasks that may wait at once, as joblib is told: more than a sweep needs, and few enough for who
# divides work by it.
_MANY: Final = 1024
_MOST_BYTES: Final = 2**29  # of rows that waiting strands hold
_LEAST: Final = 64  # trainings that a sweep has in any case, if there are so many
_current: Final = threading.local()


class _Abandoned(BaseException):
    """Ends a strand whose result nobody wants any more."""


class Task:
    """What joblib has submitted.

    Parameters
    ----------
    function : callable
        joblib's batch of calls.
    callback : callable or None
        To be called when it is done.
    """

    def __init__(self, function: Any, callback: Callable[[Any], Any] | None) -> None:
        self.function, self.callback = function, callback
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.waiter: Strand | None = None

    def finish(self) -> None:
        """Note that it is done."""
        self.is_done, self.function = True, None
        if self.waiter is not None:
            self.waiter.fusion.ready.append(self.waiter)


class Strand(Task):
    """A task in a thread of its own, which runs only while it is its turn."""

    def __init__(
        self, fusion: "Fusion", function: Any, callback: Callable[[Any], Any] | None
    ) -> None:
        super().__init__(function, callback)
        self.fusion = fusion
        self.thread: threading.Thread | None = None
        self.is_abandoned = False
        self._turn = threading.Semaphore(0)
        self._context = contextvars.copy_context()
        self._warnings = _Warnings()

    def take_turn(self) -> None:
        """Let it run until it waits or ends. To be called by the fusion's own thread."""
        before = _Warnings()
        self._warnings.restore()
        if self.thread is None:
            self.fusion.strands.append(self)
            self.thread = threading.Thread(
                target=self._context.run, args=(self._run,), daemon=True, name="shoal strand"
            )
            self.thread.start()
        else:
            self._turn.release()
        try:
            self.fusion.wait_for_turn()
        finally:
            self._warnings = _Warnings()
            before.restore()
        if self.is_done and self.thread is not None:
            self.thread.join()

    def wait(self) -> None:
        """Give up the turn until it comes again. To be called in the strand."""
        if not self.is_abandoned:
            self.fusion.give_turn_back()
            self._turn.acquire()
        if self.is_abandoned:
            raise _Abandoned

    def _run(self) -> None:
        _current.strand = self
        try:
            self.result = self.function()
        except BaseException as error:  # it is raised where the result is asked for
            self.error = error
        self.fusion.strands.remove(self)
        self.finish()
        if self.callback is not None and not self.is_abandoned:
            self.callback(self)
        self.callback = None
        self.fusion.give_turn_back()


class KnownTask(Strand):
    """A call of `_fit_and_score` that needs no thread, where all goes well."""

    def __init__(self, fusion: "Fusion", function: Any, callback: Any, work: Work) -> None:
        super().__init__(fusion, function, callback)
        self._work: Work | None = work

    def take_turn(self) -> None:
        """Ask for the training; the result follows it."""
        work, self._work = self._work, None
        if work is not None and not self.is_abandoned:
            try:
                net, fit, fold = self.fusion.fast_path.prepare(work)
            except Unknown:
                pass
            else:
                self.fusion.ask_for(self, fit, functools.partial(self._end, work, net, fit, fold))
                return
        super().take_turn()

    def _end(
        self,
        work: Work,
        net: Any,
        fit: Fit,
        fold: Any,
        outcome: Fitted | Exception,
        seconds: float,
    ) -> None:
        if isinstance(outcome, Exception) or outcome.diverged or self.is_abandoned:
            self.fusion.ready.append(self)  # scikit-learn's function, which fails in its way
            return
        try:
            self.result = [result_of(work, net, fold, fit, outcome, seconds)]
        except Exception:
            self.fusion.ready.append(self)
            return
        self.finish()
        if self.callback is not None:
            self.callback(self)
        self.callback = None


class _Warnings:
    """How the process treats warnings: of each strand its own, as tasks that run one after the
    other would leave it."""

    _NAMES = ("filters", "showwarning", "_showwarnmsg_impl")

    def __init__(self) -> None:
        self._values = {name: getattr(warnings, name, None) for name in self._NAMES}

    def restore(self) -> None:
        """Set it as it was."""
        for name, value in self._values.items():
            if getattr(warnings, name, None) is not value:
                setattr(warnings, name, value)
                if name == "filters" and hasattr(warnings, "_filters_mutated"):
                    warnings._filters_mutated()


class _Asked(NamedTuple):
    """A training that a task has asked for."""

    task: Task
    fit: Fit
    deliver: Callable[[Fitted | Exception, float], None]  # its outcome and its seconds


class Fusion:
    """The strands of one outermost joblib call, and the trainings that they ask for.

    Parameters
    ----------
    threads : int or None
        Of the sweeps.
    """

    def __init__(self, threads: int | None) -> None:
        self.threads, self.fast_path = threads, FastPath()
        self.fresh: deque[Strand] = deque()
        self.ready: deque[Strand] = deque()
        self.strands: list[Strand] = []  # that have begun and not ended
        self.sweeps: list[int] = []  # how many nets each had
        self._asked: list[_Asked] = []
        self._back = threading.Semaphore(0)
        self._is_over = False

    # what strands call

    def ask(self, strand: Strand, fit: Fit) -> Fitted:
        """Have a net trained with all others."""
        outcomes: list[Fitted | Exception] = []

        def deliver(outcome: Fitted | Exception, seconds: float) -> None:
            outcomes.append(outcome)
            self.ready.append(strand)

        self.ask_for(strand, fit, deliver)
        strand.wait()
        if isinstance(outcomes[0], Exception):
            raise outcomes[0]
        return outcomes[0]

    def ask_for(
        self, task: Task, fit: Fit, deliver: Callable[[Fitted | Exception, float], None]
    ) -> None:
        """Have a net trained with all others; then ``deliver`` is called."""
        self._asked.append(_Asked(task, fit, deliver))

    def give_turn_back(self) -> None:
        """Let the fusion's thread go on."""
        if self._is_over:
            raise _Abandoned
        self._back.release()

    # what the thread of the fusion calls

    def wait_for_turn(self) -> None:
        """Wait until a strand waits or has ended; Ctrl-C is raised then, a second one at once."""
        try:
            self._back.acquire()
        except KeyboardInterrupt:
            try:
                self._back.acquire()
            except KeyboardInterrupt:
                self._is_over = True
                raise
            raise

    def run_until(self, task: Task) -> None:
        """Give turns, and train, until a task is done."""
        while not task.is_done:
            strand = self._next()
            if strand is not None:
                strand.take_turn()
            elif self._asked:
                self._train()
            else:
                raise RuntimeError("tasks of joblib wait for each other")

    def abandon(self, tasks: list[Task]) -> None:
        """Nobody wants the results of these tasks any more."""
        unwanted = set(map(id, tasks))
        self._asked = [asked for asked in self._asked if id(asked.task) not in unwanted]
        self.fresh = deque(strand for strand in self.fresh if id(strand) not in unwanted)
        for strand in self.strands:
            if id(strand) in unwanted and not strand.is_abandoned:
                strand.is_abandoned = True
                if strand not in self.ready and strand is not current_strand():
                    self.ready.append(strand)

    def end(self) -> None:
        """End all strands."""
        if self._is_over:
            return
        self.abandon([*self.fresh, *self.strands])
        while self.strands:
            self.strands[-1].take_turn()

    def _next(self) -> Strand | None:
        """The strand whose turn it is; None: trainings come first."""
        if self.ready:
            return self.ready.popleft()
        held = {id(asked.fit.rows.X): asked.fit.rows.X.nbytes for asked in self._asked}
        is_full = len(self._asked) >= _LEAST and sum(held.values()) > _MOST_BYTES
        if self.fresh and not is_full:
            return self.fresh.popleft()
        return None

    def _train(self) -> None:
        asked, self._asked = self._asked, []
        self.sweeps.append(len(asked))
        fits, begin = [each.fit for each in asked], time.perf_counter()
        try:
            outcomes: list[Any] = list(training.train(fits, self.threads))
        except Exception:  # such as too little memory: each alone, for its own error
            outcomes = [self._alone(fit) for fit in fits]
        if any(isinstance(each, Fitted) and each.interrupted for each in outcomes):
            raise KeyboardInterrupt
        seconds = time.perf_counter() - begin
        shares = np.array(
            [_work_of(fit, outcome) for fit, outcome in zip(fits, outcomes, strict=True)]
        )
        shares *= seconds / max(shares.sum(), 1)
        for each, outcome, share in zip(asked, outcomes, shares.tolist(), strict=True):
            each.deliver(outcome, share)

    def _alone(self, fit: Fit) -> Fitted | Exception:
        try:
            return training.train([fit], self.threads)[0]
        except Exception as error:
            return error


def _work_of(fit: Fit, outcome: Fitted | Exception) -> float:
    """How much of a sweep a training was: its epochs, rows and parameters."""
    parameters = sum(array.size for array in fit.start.coefs)
    epochs = outcome.epochs if isinstance(outcome, Fitted) else 0
    return float(epochs * len(fit.rows.X) * parameters)


def current_strand() -> Strand | None:
    """The strand that calls this."""
    return getattr(_current, "strand", None)


class FusionBackend(ParallelBackendBase):
    """joblib's backend "shoal"."""

    supports_sharedmem = uses_threads = True
    supports_retrieve_callback = supports_timeout = False
    default_n_jobs = -1

    def __init__(
        self, nesting_level: int | None = 0, fusion: Fusion | None = None, **others: Any
    ) -> None:
        super().__init__(nesting_level=nesting_level, **others)
        self.fusion = fusion
        self._owns = False
        self._threads: int | None = None
        self._tasks: list[Task] = []

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many tasks are in flight, whatever the number of threads."""
        return _MANY

    def configure(self, n_jobs: int | None = 1, parallel: Any = None, **others: Any) -> int:
        """Note how many threads are to train."""
        self.parallel = parallel
        self._threads = n_jobs if n_jobs is not None and n_jobs > 0 else None
        return _MANY

    def start_call(self) -> None:
        """A call of joblib's begins: in a strand it joins that one's fusion."""
        strand = current_strand()
        self._owns = strand is None
        self.fusion = Fusion(self._threads) if strand is None else strand.fusion
        self._tasks = []

    def stop_call(self) -> None:
        """A call of joblib's ends."""
        if self._owns and self.fusion is not None:
            self.fusion.end()
            for sweep in self.fusion.sweeps:
                telling.log.info("one sweep trained %d nets", sweep)
        self.fusion, self._tasks = None, []

    def submit(self, func: Any, callback: Callable[[Any], Any] | None = None) -> Task:
        """Add a task."""
        assert self.fusion is not None
        work = work_of(func)
        if work is None:
            strand = Strand(self.fusion, func, callback)
        else:
            strand = KnownTask(self.fusion, func, callback, work)
        self.fusion.fresh.append(strand)
        self._tasks.append(strand)
        return strand

    apply_async = submit  # its name before joblib 1.4

    def retrieve_result(self, out: Task, timeout: float | None = None) -> Any:
        """The result of a task, once it is done."""
        assert self.fusion is not None
        strand = current_strand()
        if strand is None:
            self.fusion.run_until(out)
        while not out.is_done and strand is not None:
            out.waiter = strand
            strand.wait()
        if out.error is not None:
            raise out.error
        return out.result

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Forget the tasks of this call."""
        if self.fusion is not None:
            self.fusion.abandon(self._tasks)

    def get_nested_backend(self) -> tuple[Any, int | None]:
        """For calls of joblib's in a task."""
        return FusionBackend((self.nesting_level or 0) + 1, self.fusion), None


def _train(fit: Fit, net: Any) -> Fitted:
    """Train a net: with others, where it is called in a strand."""
    strand, epochs = current_strand(), vars(net).get("_epochs")
    if strand is None or (epochs is not None and not epochs.can_wait):
        return stochastic.alone(fit, net)
    if fit.generator is not None and theirs.is_global(net._random_state):
        # numpy's own, which all nets of the sweep would draw from at once: a seed each instead
        seed = net._random_state.randint(2**31 - 1)
        own = Generator.of(np.random.RandomState(seed))
        fitted = replace(strand.fusion.ask(strand, replace(fit, generator=own)), generator=None)
    else:
        fitted = strand.fusion.ask(strand, fit)
    if net.verbose:
        stochastic.tell(net, fit, fitted)
    if epochs is not None:
        epochs.tell(fitted.epochs)
    telling.note(net, f"is trained by Shoal: {fitted.epochs} epochs, in a sweep with other nets")
    return fitted


@contextlib.contextmanager
def fused(threads: int | None = None) -> Iterator[None]:
    """In the block, nets that scikit-learn fits in parallel are trained as one sweep.

    That is whatever goes through joblib: searches, cross-validation, bagging, voting, one against
    all others, and all of these inside each other.

    Parameters
    ----------
    threads : int, optional
        That train; None: all. ``n_jobs`` of a search has the same meaning here.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from shoal.sklearn import MLPClassifier, fused
    >>> net = MLPClassifier((8,), learning_rate_init=0.01, tol=1e-3, random_state=0)
    >>> X, y = load_iris(return_X_y=True)
    >>> with fused():
    ...     scores = cross_val_score(net, X, y, cv=5)
    >>> bool(scores.mean() > 0.8)
    True
    """
    with joblib.parallel_config("shoal", n_jobs=threads or -1):
        yield


joblib.register_parallel_backend("shoal", FusionBackend)
stochastic.trainer = _train
