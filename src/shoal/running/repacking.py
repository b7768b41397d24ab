"""Nets that are done make room: those that still run move together, so that lanes stay full."""

import numpy as np
from numpy.typing import NDArray

from ..kernels.arguments import State
from ..kernels.layout import RUNNING, SHARED_ORDER, STATUS
from ..planning.plan import Plan

# Groups that are left, of those before, at which it pays to move all of a block's numbers. 1,000
# nets 64-16-10 of random learning rates, patience 3, 29% of all epochs run: 4.9 s at 0.9, 6.5 s at
# 0.75, 14.2 s without repacking.
_WORTH = 0.9


def repack(plan: Plan, number: int, state: State) -> None:
    """Move running nets of a block to where nets were that are done, so that groups are full.

    Only between launches, and not where Ctrl-C may strike. Nets that share a row order stay among
    themselves.
    """
    block = plan.blocks[number]
    lanes = block.width.lanes
    running = state.progress[:, STATUS] == RUNNING
    groups = running.any(axis=1)
    active = int(np.flatnonzero(groups)[-1]) + 1 if groups.any() else 0
    run = np.zeros(active, np.int64)
    if block.ordering == SHARED_ORDER:
        run = np.unique(state.order_seeds[:active, 0], return_inverse=True)[1]
    needed = -(-np.bincount(run, running[:active].sum(axis=1)).astype(np.int64) // lanes)
    if active == 0 or needed.sum() > _WORTH * active:
        return
    order = _order(running[:active], run)
    to = np.flatnonzero(order != np.arange(len(order)))
    (to_group, to_lane), (group, lane) = np.divmod(to, lanes), np.divmod(order[to], lanes)
    for array in (*state, block.nets, block.epochs):
        if array.size == 0:
            continue
        if array.ndim == 3:
            array[to_group, :, to_lane] = array[group, :, lane]  # the right side is a copy
        else:
            array[to_group, to_lane] = array[group, lane]
    offset = np.arange(block.groups * lanes)
    offset[order] = np.arange(len(order))
    here = plan.block_of == number
    plan.offset_of[here] = offset[plan.offset_of[here]]


def _order(running: NDArray[np.bool_], run: NDArray[np.int64]) -> NDArray[np.int64]:
    """The old offset, group * L + lane, of each new one; most stay.

    running : (groups, L). run : (groups,), groups of equal numbers may exchange nets.
    """
    groups, lanes = running.shape
    order, alive = np.arange(groups * lanes), running.ravel()
    for which in range(int(run.max()) + 1):
        _fill(order, alive, np.flatnonzero(np.repeat(run == which, lanes)))
    filled: NDArray[np.bool_] = np.any(alive[order].reshape(groups, lanes), axis=1)
    of_groups = np.arange(groups)
    _fill(of_groups, filled, np.arange(groups))
    return order.reshape(groups, lanes)[of_groups].ravel()


def _fill(order: NDArray[np.int64], alive: NDArray[np.bool_], offsets: NDArray[np.int64]) -> None:
    """Exchange entries of ``order`` among offsets, so that what is alive comes first."""
    front = int(alive[offsets].sum())
    holes = offsets[:front][~alive[offsets[:front]]]
    behind = offsets[front:][alive[offsets[front:]]]
    order[holes], order[behind] = behind, holes
