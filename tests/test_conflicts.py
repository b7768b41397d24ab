"""Settings together, and with the rows: what goes with what, and the sentence if it does not."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.inputs.grid import _INTERACT
from shoal.inputs.settings import (
    OPTIMIZERS,
    SCHEDULES,
    SETTINGS,
    check_rows,
    check_together,
    dropout_rates,
    resolve,
)

RPROP = {"optimizer": "rprop", "batch_size": None}


@pytest.mark.parametrize(
    ("hidden", "activation", "expected"),
    [
        ((), "relu", ()),
        ((), [], ()),
        ((8, 4), "tanh", ("tanh", "tanh")),
        ((8, 4), ["relu", "tanh"], ("relu", "tanh")),
    ],
)
def test_one_activation_for_each_hidden_layer(hidden, activation, expected):
    settings = resolve({"hidden": hidden, "activation": activation})
    together = check_together(settings)
    assert together["activation"] == expected
    assert check_together(together) == together
    assert list(together) == list(SETTINGS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"hidden": 8, "activation": ["relu", "tanh"]},
            "activation = ('relu', 'tanh') has 2 names and hidden = (8,) has 1 layer",
        ),
        (
            {"hidden": (8, 8), "activation": ["relu"]},
            "activation = ('relu',) has 1 name and hidden = (8, 8) has 2 layers",
        ),
        (
            {"nesterov": True, "optimizer": "sgd"},
            "nesterov = True needs momentum > 0, but momentum = 0.0",
        ),
        (
            {"nesterov": True},
            "nesterov = True needs optimizer = 'sgd', but optimizer = 'adam'",
        ),
        (
            {"momentum": 0.9},
            "momentum = 0.9 needs optimizer = 'sgd', but optimizer = 'adam'",
        ),
        *[
            (
                {name: value, "optimizer": optimizer},
                f"{name} = {value} needs optimizer = 'sgd', but optimizer = '{optimizer}'",
            )
            for name, value in (("momentum", 0.9), ("nesterov", True))
            for optimizer in OPTIMIZERS
            if optimizer != "sgd"
        ],
        (
            {"weight_decay": 0.01},
            "weight_decay = 0.01 must be 0 where optimizer = 'adam': use adamw (decoupled) or l2 "
            "(in the gradient)",
        ),
        (
            {"weight_decay": 0.01, **RPROP},
            "weight_decay = 0.01 must be 0 where optimizer = 'rprop': use l2",
        ),
        *[
            (
                {"schedule": schedule, **RPROP},
                f"schedule = '{schedule}' must be 'constant' where optimizer = 'rprop'",
            )
            for schedule in SCHEDULES[1:]
        ],
        (
            {"warmup_epochs": 1, **RPROP},
            "warmup_epochs = 1 must be 0 where optimizer = 'rprop'",
        ),
        (
            {"schedule": "cosine", "min_learning_rate": 1, "learning_rate": 0.01},
            "min_learning_rate = 1.0 must be at most learning_rate = 0.01 where schedule = 'cosi",
        ),
        *[
            (
                {"loss": "poisson", "output": output},
                f"output = '{output}' must be exp or auto where loss = 'poisson'",
            )
            for output in ("identity", "sigmoid", "softmax")
        ],
        *[
            (
                {"hidden": hidden, "dropout": dropout},
                f"dropout = {dropout} has {rates} and hidden = {hidden} has {layers}: give one "
                "number, or a list of one for the inputs and one a hidden layer",
            )
            for hidden, dropout, rates, layers in (
                ((8,), (0.5,), "1 rate", "1 layer"),
                ((8, 4), (0.5, 0.5), "2 rates", "2 layers"),
                ((), (), "0 rates", "0 layers"),
                ((), (0.0, 0.5), "2 rates", "0 layers"),
            )
        ],
    ],
)
def test_conflict_names_both_settings(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_together(resolve(given))


@pytest.mark.parametrize(
    "given",
    [
        *[
            {"weight_decay": 0.1, "optimizer": name}
            for name in ("sgd", "rmsprop", "adagrad", "adamw")
        ],
        *[{"schedule": schedule, "warmup_epochs": 5} for schedule in SCHEDULES],
        *[{"min_learning_rate": 1, "schedule": name} for name in SCHEDULES if name != "cosine"],
        {"schedule": "cosine", "min_learning_rate": 0.1, "learning_rate": 0.1},
        {"loss": "poisson", "output": "exp"},
        {"loss": "poisson"},
        {"nesterov": True, "momentum": 0.9, "optimizer": "sgd"},
        {"hidden": (), "dropout": [0.5]},
        {"hidden": (), "dropout": 0.5, "batch_norm": True},
        {"l1": 0.1, "l2": 0.1, "clip_norm": 1, "clip_delta": 1, **RPROP},
    ],
)
def test_what_goes_together(given):
    check_together(resolve(given))


@pytest.mark.parametrize(
    ("hidden", "dropout", "rates"),
    [
        ((), 0.5, (0.0,)),
        ((), [0.5], (0.5,)),
        ((8, 4), 0, (0.0, 0.0, 0.0)),
        ((8, 4), 0.5, (0.0, 0.5, 0.5)),
        ((8, 4), [0.1, 0, 0.3], (0.1, 0.0, 0.3)),
    ],
)
def test_one_dropout_rate_for_the_inputs_and_each_hidden_layer(hidden, dropout, rates):
    settings = resolve({"hidden": hidden, "dropout": dropout})
    assert dropout_rates(settings) == rates
    assert all(type(rate) is float for rate in dropout_rates(settings))
    assert check_together(settings)["dropout"] == settings["dropout"]


class Watched(dict):
    """Settings that know which of them were looked at."""

    def __init__(self, settings):
        super().__init__(settings)
        self.seen = set()

    def __getitem__(self, name):
        self.seen.add(name)
        return super().__getitem__(name)


def test_a_sweep_knows_which_settings_interact():
    seen = set()
    for chosen in (
        {},
        {"schedule": "cosine", "optimizer": "sgd", "nesterov": True, "momentum": 0.5},
        RPROP,
        {"loss": "poisson", "weight_decay": 0.1, "optimizer": "adamw"},
    ):
        settings = Watched(resolve(chosen))
        check_together(settings)
        seen |= settings.seen
    assert seen == {*_INTERACT, "learning_rate", "min_learning_rate"}


BATCHES_OF_ONE = "batch_norm = True needs at least two rows in each batch, but "


@pytest.mark.parametrize(
    ("given", "rows", "message"),
    [
        *[
            (
                {"optimizer": "rprop", "batch_size": batch_size},
                150,
                f"batch_size = {batch_size} must be None (full batch), or at least the 150 rows, "
                "where optimizer = 'rprop'",
            )
            for batch_size in (1, 32, 149)
        ],
        *[
            ({"batch_norm": True, "batch_size": batch_size}, 1, BATCHES_OF_ONE + "X has 1 row")
            for batch_size in (None, 1, 32)
        ],
        ({"batch_norm": True, "batch_size": 1}, 9, BATCHES_OF_ONE + "batch_size = 1"),
    ],
)
def test_conflict_with_the_number_of_rows_names_both(given, rows, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_rows(resolve(given), rows)


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        *[({"optimizer": "rprop", "batch_size": size}, 150) for size in (None, 150, 151)],
        ({"optimizer": "rprop"}, 32),
        ({"optimizer": "rprop"}, 1),
        *[({"batch_norm": True, "batch_size": size}, 33) for size in (None, 2, 3, 31, 32, 33, 34)],
        ({"batch_norm": True, "batch_size": 2}, 2),
        *[({"batch_norm": True, "hidden": (), "batch_size": size}, 33) for size in (1, 32)],
        ({"batch_size": 1}, 1),
    ],
)
def test_what_goes_with_the_number_of_rows(given, rows):
    check_rows(resolve(given), rows)


@given(st.integers(1, 50), st.none() | st.integers(1, 60))
def test_batch_norm_is_refused_just_where_no_batch_has_two_rows(rows, batch_size):
    step = batch_size or rows
    batches = [len(range(rows)[start : start + step]) for start in range(0, rows, step)]
    for chosen, wrong in (
        ({"batch_norm": True}, max(batches) == 1),
        ({"optimizer": "rprop"}, len(batches) > 1),
    ):
        try:
            check_rows(resolve({**chosen, "batch_size": batch_size}), rows)
        except ValueError:
            assert wrong
        else:
            assert not wrong
