"""A plan is run on a data set: initial weights, training, final scores."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..gpu.errors import FailedOnGpu
from ..inputs.grid import Grid
from ..kernels.code.environment import default_threads
from ..kernels.code.telling import warn_of_result
from ..kernels.launching import parallel
from ..kernels.launching.slices import STOPPED
from ..kernels.layout import INTERRUPTED, RUNNING, STATUS
from ..planning.plan import Plan
from .calls import TrainingCalls, evaluation_call, initialisation_call
from .dataset import Dataset
from .interrupts import noting
from .progress import Monitor
from .scheduler import Scheduler
from .scores import r_squared
from .state import Trained, allocate

if TYPE_CHECKING:
    from ..gpu.device import Device

# Weights whose drawing is worth starting threads: about a millisecond's.
_MANY_WEIGHTS: Final = 100_000
# Seconds of evaluating that are worth starting threads, and that who pressed Ctrl-C waits for.
_WORTH_THREADS: Final = 0.002
_PATIENCE: Final = 0.3
# Pieces for each thread, so that threads end together.
_PIECES: Final = 8


class Run:
    """One training of all nets of a plan on one data set.

    Parameters
    ----------
    plan : Plan
        What is trained.
    grid : Grid
        The nets' settings.
    dataset : Dataset
    orders : (N,) array
        Seeds of the row orders.
    threads : int or None
        None: as many as `default_threads` says.
    monitor : Monitor, optional
    specialise : bool, optional
        Of `TrainingCalls`.
    device : Device, optional
        The GPU that trains; None: the processor does.
    verbose : bool
        Whether it is said where memory is not enough.
    """

    def __init__(
        self,
        plan: Plan,
        grid: Grid,
        dataset: Dataset,
        orders: NDArray[np.uint64],
        threads: int | None = None,
        monitor: Monitor | None = None,
        specialise: bool | None = None,
        device: "Device | None" = None,
        verbose: bool = False,
    ) -> None:
        self.device, self.verbose = device, verbose
        self.plan, self.dataset, self.specialise = plan, dataset, specialise
        self.threads = threads or default_threads()
        self.monitor = monitor or Monitor()
        self.interrupted = False
        self.trained = [
            Trained(block, allocate(block, grid, orders, dataset.dtype)) for block in plan.blocks
        ]

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: all but the progress bar and the GPU, which are this process's."""
        return {**self.__dict__, "monitor": Monitor(), "device": None}

    def initialise(self) -> None:
        """Draw the initial weights."""
        for trained in self.trained:
            state, groups = trained.state, trained.block.groups
            threads = min(self.threads, groups) if state.params.size > _MANY_WEIGHTS else 1
            with self.monitor.reporting_compilation():
                call = initialisation_call(trained, threads)
            slices = [(0, *part, 0, 0) for part in _parts(groups, _PIECES * threads)]
            with noting(_nothing) if threads > 1 else nullcontext():
                parallel.launch_all([call], slices, threads)
            if trained.block.architecture.keeps_best:
                state.best[...] = state.params

    def train(
        self, checkpoints: Sequence[int] = (), checkpoint: Callable[[int], None] | None = None
    ) -> None:
        """Train all nets; on Ctrl-C stop within a launch and mark what is not finished.

        Parameters
        ----------
        checkpoints : ascending ints
            Numbers of epochs after which ``checkpoint`` is called with that number.
        """
        try:
            self._scheduler(tuple(checkpoints), checkpoint or _nothing).run()
        except KeyboardInterrupt:
            self.interrupted = True
            raise
        finally:
            for trained in self.trained:
                status = trained.state.progress[:, STATUS]
                status[status == RUNNING] = INTERRUPTED

    def _scheduler(
        self, checkpoints: tuple[int, ...], checkpoint: Callable[[int], None]
    ) -> Scheduler:
        if self.device is not None:
            from .on_gpu import GpuCalls, GpuScheduler

            on_gpu = GpuCalls(self.device, self.trained, self.dataset, self.threads)
            return GpuScheduler(
                self.plan, self.trained, on_gpu, self.monitor, checkpoints, checkpoint, self.verbose
            )
        data = [self.dataset.training_data(block.architecture) for block in self.plan.blocks]
        calls = TrainingCalls(self.trained, data, self.threads, self.specialise)
        with self.monitor.reporting_compilation():
            calls.compile()
        return Scheduler(
            self.plan, self.trained, calls, self.threads, self.monitor, checkpoints, checkpoint
        )

    def evaluate(self) -> None:
        """Loss and score of all nets: on the validation rows, or on the training rows."""
        rows = len(self.dataset.scored.X)
        seconds = [
            trained.block.seconds_of_epoch * trained.block.groups * rows / trained.block.task.rows
            for trained in self.trained
        ]
        for trained in self.trained:
            trained.loss, trained.scores = None, None
        if self.interrupted and sum(seconds) > _PATIENCE:
            return
        is_long = sum(seconds) > _WORTH_THREADS
        threads = self.threads if is_long else 1
        calls = [evaluation_call(trained, self.dataset, threads) for trained in self.trained]
        slices = [
            (number, *part, 0, 0)
            for number, trained in enumerate(self.trained)
            for part in _parts(trained.block.groups, _PIECES * threads if threads > 1 else 1)
        ]
        control = parallel.new_control()

        def stop() -> None:
            control[STOPPED] = 1

        try:
            with noting(stop) if is_long else nullcontext():
                parallel.launch_all(calls, slices, threads, control)
        except KeyboardInterrupt:
            self.interrupted = True
            raise
        self._score()

    def train_and_evaluate(self, train: Callable[[], object], warning: str) -> None:
        """Train and evaluate. Ctrl-C ends that with a warning, and what there is is kept.

        Parameters
        ----------
        train : callable
            Calls `train` once.
        warning : str
        """
        try:
            train()
            self.evaluate()
        except KeyboardInterrupt as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # a second one, as threads ended
                raise
            self.interrupted = True
            warn_of_result(warning)
            self.evaluate()
        except FailedOnGpu as error:
            self.interrupted = True
            warn_of_result(f"{error}; {warning}", RuntimeWarning)
            self.evaluate()

    def _score(self) -> None:
        """Scores from what was counted: now, as the user's y may change later."""
        dataset = self.dataset
        variations: dict[tuple[str, str], NDArray[np.float64]] = {}
        for trained in self.trained:
            assert trained.counts is not None
            counts = trained.counts.astype(np.float64)
            if dataset.target.kind != "numbers":
                trained.scores = counts[:, 0] / counts[:, -1]
                continue
            architecture = trained.block.architecture
            key = (architecture.loss, architecture.output)
            if key not in variations:
                variations[key] = dataset.variation(architecture, dataset.scored.weights)
            trained.scores = r_squared(counts[:, :-1], variations[key])


def _parts(count: int, parts: int) -> list[tuple[int, int]]:
    """(start, stop) of at most so many equal parts of ``count`` things."""
    parts = min(count, parts)
    return list(pairwise(count * k // parts for k in range(parts + 1)))


def _nothing(epoch: int = 0) -> None:
    """Called where nobody looks."""
