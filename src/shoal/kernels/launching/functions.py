"""What the kernels do: device functions of a lane group and a named tuple of arguments."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..arguments import Group, State
from ..code.compilation import device_function
from ..epoch.group import evaluate_group, train_group
from ..lanes.floating_point import IEEE, exchange_control
from ..lanes.shapes import net_of
from ..layout import INPUTS, UNITS, WEIGHTS
from ..nets_in_lanes import tile as nets_in_lanes
from ..rows_in_lanes import tile as rows_in_lanes
from ..rows_in_lanes.team import nanoseconds
from ..step.mersenne_twister import permute, temper
from ..step.random import initial_weights, shuffle
from .slices import CALL, DEADLINE, NANOSECONDS, START, START_TILE, STATUS, STOP, STOP_TILE, STOPPED

# Nanoseconds after the deadline in which the last slices, one a thread, are still taken: where one
# is left for a launch of its own, one thread works. 16 nets 784-128-10 on two: 1.1x.
_GRACE = 50_000_000
_INT64 = ir.IntType(64)


@device_function
def _group(a, g):
    """Group g of a block."""
    nets = a.nets
    state = State(
        nets.params[g],
        nets.optimizer_state[g],
        nets.best[g],
        nets.rates[g],
        nets.dropout[g],
        nets.schedule[g],
        nets.monitor[g],
        nets.seeds[g],
        nets.order_seeds[g],
        nets.alive[g],
        nets.progress[g],
        nets.losses[g],
        nets.scores[g],
        nets.val_losses[g],
        nets.learning_rates[g],
    )
    return Group(a.task, a.layers, a.ordering, a.data, state, a.work)


@device_function(inline="always")
def _train_groups(lane, tile_lane, train_rows, validate_rows, a):
    for g in range(a.slice.start, a.slice.stop):
        group = _group(a, g)
        if a.evaluating:
            evaluate_group(lane, tile_lane, validate_rows, group)
        else:
            train_group(
                lane, tile_lane, train_rows, validate_rows, group, a.slice.start_tile,
                a.slice.stop_tile,
            )  # fmt: skip


@device_function(inline="always")
def _train(lane, tile_lane, train_rows, validate_rows, a):
    """Train groups through tiles.

    Where ``evaluating``, write their mean loss and what the score counts on the rows of ``data`` to
    ``nets.losses`` and ``nets.scores`` instead: one kernel, as most of its code is the same.
    """
    before = exchange_control(IEEE)
    _train_groups(lane, tile_lane, train_rows, validate_rows, a)
    exchange_control(before)


@device_function(inline="always")
def train_nets_in_lanes(lane, a):
    """Train groups of L nets, or evaluate them."""
    _train(lane, lane, nets_in_lanes.train_rows, nets_in_lanes.validate_rows, a)


@device_function(inline="always")
def train_net(lane, a):
    """Train one net, in a thread of a GPU. lane : of one net.

    A GPU has no control word: each of its operations says how it rounds.
    """
    _train_groups(lane, lane, nets_in_lanes.train_rows, nets_in_lanes.validate_rows, a)


@device_function(inline="always")
def train_rows_in_lanes(lane, a):
    """Train groups of one net, whose rows are in lanes, or evaluate them."""
    _train(net_of(lane), lane, rows_in_lanes.train_rows, rows_in_lanes.validate_rows, a)


@device_function(inline="always")
def follow(lane, a):
    """Take part ``slice.start_tile`` of each tile of group ``slice.start``, which
    `train_rows_in_lanes` trains meanwhile."""
    before = exchange_control(IEEE)
    rows_in_lanes.follow(lane, _group(a, a.slice.start), a.slice.start_tile)
    exchange_control(before)


@device_function(inline="always")
def predict(lane, a):
    """Outputs of one net for rows."""
    before = exchange_control(IEEE)
    rows_in_lanes.predict_rows(
        lane, a.task, a.layers, a.X, a.params, a.work, a.outputs, a.slice.start, a.slice.stop
    )
    exchange_control(before)


@device_function(inline="always")
def initialise(lane, a):
    """Initial weights of groups. lane : one of the weights' dtype."""
    before = exchange_control(IEEE)
    for g in range(a.slice.start, a.slice.stop):
        for q in range(a.params.shape[2]):
            for k in range(len(a.layers)):
                layer = a.layers[k]
                initial_weights(
                    a.params[g], q, layer[WEIGHTS], layer[INPUTS], layer[UNITS], k,
                    a.seeds[g, q], a.kinds[k], a.factors[k],
                )  # fmt: skip
    exchange_control(before)


@device_function(inline="always")
def row_orders(lane, a):
    """Row orders of epochs, each in the row of ``orders`` that is its number modulo theirs."""
    for epoch in range(a.slice.start, a.slice.stop):
        shuffle(a.orders[epoch % len(a.orders)], a.seeds[0], epoch, a.words)


@device_function(inline="always")
def permute_rows(lane, a):
    """Row orders of epochs ``slice.start_tile`` to ``slice.stop_tile``: each is the one before it,
    shuffled as numpy's `RandomState` does."""
    epochs = len(a.orders) // len(a.rows)
    for s in range(a.slice.start, a.slice.stop):
        temper(a.states[s], a.words)
        for epoch in range(a.slice.start_tile, a.slice.stop_tile):
            a.positions[s] = permute(a.rows[s], a.states[s], a.positions[s], a.words)
            order = a.orders[s * epochs + epoch % epochs]
            for i in range(len(order)):
                order[i] = a.rows[s, i]


@intrinsic
def _take(tc: Any, control: Any) -> Any:
    """The next number of a counter that threads share. control : (CONTROL_SIZE,) int64."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(_INT64, 1), "monotonic")

    return types.int64(control), codegen


@intrinsic
def _call(tc: Any, address: Any, block: Any, start: Any, stop: Any, first: Any, end: Any) -> Any:
    """Call the kernel at an address with the words at another, and this slice: see `Slice`."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        words = builder.inttoptr(args[1], _INT64.as_pointer())
        for position, number in enumerate(args[2:], 1):
            builder.store(number, builder.gep(words, [ir.Constant(_INT64, position)]))
        kind = ir.FunctionType(ir.IntType(32), [words.type])
        status = builder.call(builder.inttoptr(args[0], kind.as_pointer()), [words])
        return builder.sext(status, _INT64)

    return types.int64(*[types.int64] * 6), codegen


@device_function(inline="always")
def take_slices(lane, a):
    """Take slices and run them, until there are no more, or no more are to be taken."""
    k, taken, deadline = _take(a.control), 0, a.control[DEADLINE]
    # a thread takes one in any case, so that each launch does something
    while (
        k < len(a.slices) and a.control[STOPPED] == 0 and (taken == 0 or nanoseconds() < deadline)
    ):
        call = a.slices[k, CALL]
        begin = nanoseconds()
        a.outcome[k, STATUS] = _call(
            a.addresses[call], a.blocks[call, a.thread], a.slices[k, START], a.slices[k, STOP],
            a.slices[k, START_TILE], a.slices[k, STOP_TILE],
        )  # fmt: skip
        a.outcome[k, NANOSECONDS] = nanoseconds() - begin
        k, taken = _take(a.control), taken + 1
        if k + a.blocks.shape[1] >= len(a.slices):
            deadline = a.control[DEADLINE] + _GRACE
