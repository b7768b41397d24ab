"""Kernels with their arguments: the arrays of a run, and a workspace for each thread."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from ..kernels.arguments import Data, State, Task, Workspace
from ..kernels.code.objects import Function
from ..kernels.lane_group import LaneGroup
from ..kernels.launching import kernels
from ..kernels.launching.entries import Call, Kernel, Slice
from ..kernels.launching.kernels import Training
from ..kernels.launching.specialised import function_of, least_worth
from ..kernels.memory import aligned_all
from ..planning import cost_model
from ..planning.architecture import initial_factors
from ..planning.plan import Block
from .dataset import Dataset
from .state import Trained
from .teams import Team
from .workspaces import evaluation_workspace, team_workspaces, training_workspace

_NO_SLICE = Slice(0, 0)  # who launches says which
_WORTH_A_TEAM = 0.0025  # seconds of a training: its threads take 1.2 ms to be there


def kernel_of(block: Block) -> Kernel:
    """What trains and evaluates a block."""
    if block.width.rows_in_lanes:
        return kernels.TRAIN_ROWS_IN_LANES
    return kernels.TRAIN_NETS_IN_LANES


def _arguments(
    block: Block, task: Task, data: Data, state: State, work: Workspace, evaluating: bool = False
) -> Training:
    table, ordering = block.layers.table, block.ordering
    return Training(_NO_SLICE, task, ordering, int(evaluating), table, data, state, work)


def _of_threads(threads: int, block: Block, new: Callable[[], Workspace]) -> list[Workspace]:
    """Workspaces for threads, any of which may take a slice: a block of one group, which has one
    slice at a time, needs one."""
    return [new()] * threads if block.groups == 1 else [new() for _ in range(threads)]


class TrainingCalls:
    """The calls that train the blocks of a run, made when they are first asked for.

    Parameters
    ----------
    trained : sequence of Trained
    data : sequence of Data
        What the nets of each are trained on.
    threads : int
    specialise : bool or None
        Whether to use machine code for the nets' shapes; None: where that is worth it.
    seconds : float, optional
        That a training of one net takes, roughly; None: as estimated.
    """

    def __init__(
        self,
        trained: Sequence[Trained],
        data: Sequence[Data],
        threads: int,
        specialise: bool | None = None,
        seconds: float | None = None,
    ) -> None:
        self.trained, self.data, self.threads = trained, data, threads
        self.specialise = specialise
        self.team: Team | None = None
        self._shared: dict[int, Call] = {}
        self._private: dict[int, list[Call]] = {}
        self._functions: dict[int, Function | None] = {}  # for the shapes of blocks
        block = trained[0].block
        if seconds is None:
            seconds = block.seconds_of_epoch * (block.last_epoch - block.first_epoch)
        if len(trained) == 1 and block.groups == 1 and seconds > _WORTH_A_TEAM:
            parts = min(threads, block.most_threads)
            if parts > 1:
                leader, *followers = team_workspaces(block, block.dtype, parts)
                self._shared[0] = self._call(0, [leader])
                self.team = Team(self._call(0, followers, kernels.FOLLOW), leader.own.team)

    def _call(
        self, number: int, workspaces: Sequence[Workspace], kernel: Kernel | None = None
    ) -> Call:
        block, function = self.trained[number].block, self._functions.get(number)
        arguments = [self._arguments(number, work) for work in workspaces]
        kernel, lane = kernel or kernel_of(block), block.width.group(block.dtype)
        return kernel.bind(lane, arguments, function)

    def _arguments(self, number: int, work: Workspace) -> Training:
        block, state = self.trained[number].block, self.trained[number].state
        return _arguments(block, block.task, self.data[number], state, work)

    def compile(self) -> None:
        """Compile or load what trains the blocks. To be called once, before all others."""
        for number, trained in enumerate(self.trained):
            block = trained.block
            kernel, lane = kernel_of(block), block.width.group(block.dtype)
            kernel.prepare(lane)
            if self.team is not None:
                kernels.FOLLOW.prepare(lane)
            saved = block.seconds_saved / min(self.threads, block.groups)
            if self.specialise is not None:
                saved = math.inf if self.specialise else 0.0
            if saved < least_worth():
                continue
            if number in self._shared:
                call = self._shared[number]
                function = function_of(kernel, lane, call.arguments[0], saved)
                self._shared[number] = call._replace(function=function or call.function)
            else:
                work = training_workspace(block, block.dtype)
                self._functions[number] = function_of(
                    kernel, lane, self._arguments(number, work), saved
                )

    def shared(self, number: int) -> Call:
        """The call of a block's slices that end with an epoch: workspaces are the threads'."""
        if number not in self._shared:
            block = self.trained[number].block
            alone = len(self.trained) == 1
            threads = min(self.threads, block.groups) if alone else self.threads
            works = _of_threads(threads, block, lambda: training_workspace(block, block.dtype))
            self._shared[number] = self._call(number, works)
        return self._shared[number]

    def take_private(self, number: int) -> Call:
        """A call for a piece that is cut inside an epoch: what the epoch has come to stays in its
        workspace until the next slice, whichever thread takes that."""
        if self.team is not None:
            return self._shared[number]
        free = self._private.setdefault(number, [])
        if free:
            return free.pop()
        block = self.trained[number].block
        work = training_workspace(block, block.dtype)
        return self._call(number, [work] * self.threads)

    def give_back(self, number: int, call: Call) -> None:
        """Where a piece is at the end of an epoch again."""
        self._private.setdefault(number, []).append(call)

    def release(self, number: int) -> None:
        """Forget the workspaces of a block that is done."""
        self._shared.pop(number, None)
        self._private.pop(number, None)

    def following(self) -> AbstractContextManager[None]:
        """Threads of a team are there in the block, if there is one."""
        return nullcontext() if self.team is None else self.team.following(0)

    def after_launch(self) -> None:
        """To be called between launches."""
        if self.team is not None:
            self.team.after_launch()


def evaluation_call(trained: Trained, dataset: Dataset, threads: int) -> Call:
    """The call that writes final losses and score counts to new arrays of ``trained``."""
    block, state, rows = trained.block, trained.state, dataset.scored
    n, L, dtype = len(rows.X), block.width.lanes, block.dtype
    tile, stride = cost_model.tile_of(block.architecture, block.width, n, dtype, trains=False)
    task = block.task._replace(
        rows=n,
        batch=n,
        longest_batch=n,
        tile=tile,
        stride=stride,
        weighted=int(rows.weights is not None),
        panels=0,
    )
    shapes = {"loss": (block.groups, 1, L), "counts": (block.groups, task.counts + 1, L)}
    trained.loss, trained.counts = aligned_all(shapes, dtype).values()
    state = state._replace(params=trained.params, losses=trained.loss, scores=trained.counts)
    data = dataset.scored_data(block.architecture)
    works = _of_threads(threads, block, lambda: evaluation_workspace(block, task, dtype))
    arguments = [_arguments(block, task, data, state, work, evaluating=True) for work in works]
    return kernel_of(block).bind(block.width.group(block.dtype), arguments)


def initialisation_call(trained: Trained, threads: int) -> Call:
    """The call that draws a block's initial weights."""
    block, state = trained.block, trained.state
    arguments = kernels.Initialisation(
        _NO_SLICE, block.layers.table, state.params, state.seeds,
        *initial_factors(block.architecture),
    )  # fmt: skip
    return kernels.INITIALISE.bind(LaneGroup(block.dtype, 1), [arguments] * threads)
