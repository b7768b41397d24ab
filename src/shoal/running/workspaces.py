"""Scratch arrays of a thread: what kernels write to and nobody reads afterwards."""

import functools
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import layout
from ..kernels.arguments import RowByRow, SharedRows, Task, Workspace
from ..kernels.layout import (
    ACCUMULATION_BLOCK,
    OWN_ORDER,
    PARTIALS,
    SHARED_ORDER,
)
from ..kernels.memory import aligned, aligned_all
from ..kernels.teams import new_team
from ..planning.architecture import Architecture
from ..planning.cost_model import LaneWidth
from ..planning.plan import Block

_OF_NETS = (
    "deviations", "gradient", "total", "sums", "partials", "snapshot", "marks", "step", "tail_sums",
)  # fmt: skip

_SHARED = ("shared_inputs", "shared_targets", "shared_weights")
# Arrays whose shapes are not a number of rows
_OTHERS = ("order", "words", "own", "team", "loaded", "starts", "rows_of_lanes")
_OF_ROWS = {
    own: [name for name in (*Workspace._fields, *own._fields) if name not in _OTHERS]
    for own in (RowByRow, SharedRows)
}
_OF_THE_NET = ("total", "sums", "step", "order", "snapshot", "marks")
_LOADED = ("lane_inputs", "lane_targets", "lane_weights")
# Accumulation blocks that a thread of a team takes until the gradients of all are added, so that
# threads seldom wait for each other, as long as these stay in the L1 cache.
_MOST_BLOCKS, _BLOCK_NUMBERS = 8, 8192


def _sums(task: Task) -> int:
    return layout.SCORES + layout.SCORE_FIELDS * task.counts


@functools.cache  # a fit of iris takes 0.97 of the time
def _none(own: Any, nets: int, lanes: int, dtype: np.dtype[Any]) -> Mapping[str, NDArray[Any]]:
    """Arrays without a row."""
    return {
        name: np.empty((0,) if name in _SHARED else (0, nets if name in _OF_NETS else lanes), dtype)
        for name in _OF_ROWS[own]
    }


def _workspace(
    dtype: Any,
    width: LaneWidth,
    rows: Mapping[str, int],
    order: tuple[int, int] = (0, 0),
    slots: int = 1,
    tile: int = 0,
) -> Workspace:
    """Arrays of so many rows each, +0; of those that are not named, none. slots : of tiles."""
    own, lanes = RowByRow if width.rows_in_lanes else SharedRows, width.rows or width.lanes
    none = _none(own, width.lanes, lanes, np.dtype(dtype))
    shapes = {name: (count, *none[name].shape[1:]) for name, count in rows.items()}
    arrays = {**none, **aligned_all(shapes, dtype)}
    arrays["order"] = np.zeros(order, np.int32)
    arrays["words"] = np.zeros(4 * layout.RUN, np.uint32)
    if width.rows_in_lanes:
        arrays["team"], arrays["loaded"] = new_team(1), np.full(slots, -1, np.int64)
        arrays["starts"] = np.zeros(tile, np.int64)
    else:
        arrays["rows_of_lanes"] = np.zeros((tile, lanes), np.int32)
    own_arrays = own(**{name: arrays.pop(name) for name in own._fields})
    return Workspace(own=own_arrays, **arrays)


def training_workspace(block: Block, dtype: Any) -> Workspace:
    """For training one group of a block."""
    task, architecture, L = block.task, block.architecture, block.width.lanes
    snapshot = block.layers.size + block.state_size
    if block.width.rows_in_lanes:
        return _rows_in_lanes_workspace(
            task, architecture, block.width, task.parameters, snapshot, block.slots, dtype
        )
    units, widest = sum(architecture.widths[1:]), max(architecture.widths)
    P, stride = task.parameters, task.stride
    rows = {
        "values": units * stride,
        "deltas": units * stride,
        "gradient": block.width.tile[0] * widest + widest if task.fused else P,
        "total": P if task.longest_batch > ACCUMULATION_BLOCK else 0,
        "sums": _sums(task),
        "partials": PARTIALS,
        "snapshot": snapshot,
        "marks": layout.MARK_FIELDS,
        "step": layout.STEP_FIELDS,
        "shared_inputs": task.tile * task.inputs,
        "shared_targets": task.tile * task.outputs,
        "shared_weights": task.tile,
    }
    if architecture.batch_norm:
        rows |= {"normalised": units * stride, "deviations": units}
    if task.loads_rows:
        rows |= {
            "lane_inputs": task.inputs * stride,
            "lane_targets": task.outputs * stride,
            "lane_weights": stride,
        }
    orders = {OWN_ORDER: L, SHARED_ORDER: 1}.get(block.ordering, 0)
    tile = task.tile if block.ordering == OWN_ORDER else 0
    return _workspace(dtype, block.width, rows, (orders, task.rows), tile=tile)


def _rows_in_lanes_workspace(
    task: Task,
    architecture: Architecture,
    width: LaneWidth,
    P: int,
    snapshot: int,
    slots: int,
    dtype: Any,
) -> Workspace:
    """For one net whose rows are the lanes.

    P : parameters, 0 where none are trained. snapshot : numbers of a net. slots : for
    tiles that stay where they were loaded.
    """
    L, widths, stride = width.rows, architecture.widths, task.stride
    units = sum(widths[1:]) + L  # squares may reach behind the last unit
    padded = [-(-count // L) for count in widths]  # in values
    inputs = 0 if task.panels else padded[0] * L * stride
    tile = L * stride if task.panels else 0
    rows = {
        "values": units * stride,
        "deltas": units * stride,
        "sums": _sums(task),
        "tail_sums": _sums(task),
        "lane_inputs": slots * inputs,
        "lane_targets": slots * padded[-1] * L * stride,
        "target_rows": padded[-1] * L * stride,
        "lane_weights": slots * stride,
        "input_rows": slots * inputs,
    }
    if P:
        rows |= {
            "gradient": P,
            "total": P if task.longest_batch > ACCUMULATION_BLOCK else 0,
            "partials": PARTIALS,
            "snapshot": snapshot,
            "marks": layout.MARK_FIELDS,
            "step": layout.STEP_FIELDS,
            "value_rows": sum(padded[1:]) * L * stride,
            "delta_rows": sum(padded[1:]) * L * stride,
            "transposed_gradient": max(i * L * o for i, o in pairwise(padded)),
        }
        if architecture.batch_norm:
            rows |= {"normalised": units * stride, "deviations": units}
    return _workspace(
        dtype, width, rows, (int(architecture.shuffle and P > 0), task.rows), slots, tile
    )


def evaluation_workspace(block: Block, task: Task, dtype: Any) -> Workspace:
    """For a look at one group of a block, with the rows of ``task``."""
    if block.width.rows_in_lanes:
        return _rows_in_lanes_workspace(task, block.architecture, block.width, 0, 0, 1, dtype)
    positions = sum(block.architecture.widths[1:]) * task.stride
    rows = {"values": positions, "deltas": positions, "sums": _sums(task)}
    return _workspace(dtype, block.width, rows)


def prediction_workspace(
    widths: Sequence[int], stride: int, width: LaneWidth, dtype: Any
) -> Workspace:
    """For predictions of one net, whose rows are the lanes."""
    L, units = width.rows, sum(widths[1:]) + width.rows  # as above
    inputs, outputs = (-(-count // L) * L for count in (widths[0], widths[-1]))
    rows = {
        "values": units * stride,
        "deltas": units * stride,
        "lane_inputs": inputs * stride,
        "input_rows": inputs * stride,
        "value_rows": outputs * stride,
    }
    return _workspace(dtype, width, rows)


def team_workspaces(block: Block, dtype: Any, parts: int) -> list[Workspace]:
    """For threads that share one net: they share what stands for the net as a whole, and where a
    batch is one block its values too, else rows that stay where they were loaded. What else they
    load and transpose is their own."""
    first, P = training_workspace(block, dtype), block.task.parameters
    if parts == 1:
        return [first]
    divides = block.task.longest_batch > ACCUMULATION_BLOCK
    blocks = parts * max(1, min(_MOST_BLOCKS, _BLOCK_NUMBERS // P)) if divides else 1
    shared = {name: getattr(first, name) for name in _OF_THE_NET}
    own = {"team": new_team(parts, blocks)}
    if divides:
        shared["gradient"] = aligned((blocks * P, 1), dtype)
        if block.slots > 1:
            shared |= {name: getattr(first, name) for name in _LOADED}
            own |= {"input_rows": first.own.input_rows, "loaded": first.own.loaded}
    else:
        shared |= {"values": first.values, "deltas": first.deltas}
        if block.task.clips_norm:  # else each part takes its step at once
            shared["gradient"] = first.gradient
    works = [first, *(training_workspace(block, dtype) for _ in range(parts - 1))]
    return [work._replace(own=work.own._replace(**own), **shared) for work in works]
