"""Launchers on the CPU: ranges of groups, in whatever Python thread calls them.

They release the GIL and hold no lock: Python threads run them side by side, each with a workspace
of its own. (numba's parallel loops would need a threading layer, of which one aborts the process
when entered twice and another kills a forked child.)
"""

from . import dense
from . import nets as of_nets
from .block import evaluate_group, train_group
from .environment import IEEE, exchange_control
from .jit import body, launcher
from .lanes import net_of
from .layout import INPUTS, UNITS, WEIGHTS, State
from .random import initial_weights


@body
def _state(nets, g):
    """State of one group of a block."""
    return State(
        nets.params[g],
        nets.moments[g],
        nets.best[g],
        nets.rates[g],
        nets.dropout[g],
        nets.schedule[g],
        nets.watch[g],
        nets.seeds[g],
        nets.order_seeds[g],
        nets.alive[g],
        nets.progress[g],
        nets.losses[g],
        nets.scores[g],
        nets.val_losses[g],
        nets.learning_rates[g],
    )


@launcher
def train(lane, task, layers, ordering, data, nets, work, first, last, start, stop, evaluating):
    """Train the groups ``first`` to ``last`` of a block through tiles ``start`` to ``stop``.

    Where ``evaluating``, write their mean loss and what the score counts on the rows of ``data`` to
    ``nets.losses`` and ``nets.scores`` instead: one launcher, as most of its code is the same.

    layers : (layers, COLUMNS). nets : a block's State.
    """
    before = exchange_control(IEEE)
    for g in range(first, last):
        state = _state(nets, g)
        if evaluating:
            evaluate_group(lane, lane, of_nets.validate_rows, task, layers, data, state, work)
        else:
            train_group(
                lane, lane, of_nets.train_rows, of_nets.validate_rows, task, layers, ordering,
                data, state, work, start, stop,
            )  # fmt: skip
    exchange_control(before)


@launcher
def train_dense(
    lane, task, layers, ordering, data, nets, work, first, last, start, stop, evaluating
):
    """`train` of groups of one net, whose rows are the lanes."""
    before = exchange_control(IEEE)
    for g in range(first, last):
        state = _state(nets, g)
        if evaluating:
            evaluate_group(net_of(lane), lane, dense.validate_rows, task, layers, data, state, work)
        else:
            train_group(
                net_of(lane), lane, dense.train_rows, dense.validate_rows, task, layers, ordering,
                data, state, work, start, stop,
            )  # fmt: skip
    exchange_control(before)


@launcher
def follow(lane, task, layers, ordering, data, nets, work, g, part):
    """Take a part of each tile of group g, which `train_dense` trains meanwhile."""
    before = exchange_control(IEEE)
    dense.follow(lane, task, layers, ordering, data, _state(nets, g), work, part)
    exchange_control(before)


@launcher
def predict(lane, task, layers, X, params, work, outputs, first, last):
    """Outputs of one net for rows ``first`` to ``last``. X : (n * I,). params : shared."""
    before = exchange_control(IEEE)
    dense.predict_rows(lane, task, layers, X, params, work, outputs, first, last)
    exchange_control(before)


@launcher
def initialise(params, layers, seeds, kinds, factors, first, last):
    """Initial weights of the groups ``first`` to ``last``.

    params : (groups, P and statistics, L). layers : (layers, COLUMNS). seeds : (groups, L) uint64.
    kinds, factors : (layers,).
    """
    before = exchange_control(IEEE)
    for g in range(first, last):
        for q in range(params.shape[2]):
            for k in range(len(layers)):
                layer = layers[k]
                initial_weights(
                    params[g], q, layer[WEIGHTS], layer[INPUTS], layer[UNITS], k,
                    seeds[g, q], kinds[k], factors[k],
                )  # fmt: skip
    exchange_control(before)
