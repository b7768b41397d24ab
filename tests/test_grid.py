"""The three forms of a grid, against plain loops over dicts."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.inputs.grid import MOST_NETS, expand
from shoal.inputs.settings import SETTINGS, check_together, resolve

CANDIDATES = {
    "hidden": st.sampled_from([4, (4,), [8, 8], (), np.array([3, 2])]),
    "activation": st.sampled_from(["relu", "tanh"]),
    "learning_rate": st.floats(0, 10),
    "seed": st.integers(0, 2**64 - 1),
    "shuffle_seed": st.none() | st.integers(0, 9),
    "batch_size": st.none() | st.integers(1, 9),
    "epochs": st.integers(0, 9),
    "bias": st.booleans(),
    "dropout": st.sampled_from([0, 0.5, np.float32(0.5)]),
    "class_weight": st.sampled_from([None, "balanced", {"a": 2}, [("a", 2.0)], {1: 1, 0: 3}]),
    "clip_norm": st.none() | st.floats(0, 10, exclude_min=True),
    "patience": st.none() | st.integers(1, 9),
}
names = st.lists(st.sampled_from(list(CANDIDATES)), unique=True, min_size=1, max_size=3)
a_grid = names.flatmap(
    lambda chosen: st.fixed_dictionaries(
        {name: st.lists(CANDIDATES[name], min_size=1, max_size=3) for name in chosen}
    )
)
a_net = st.fixed_dictionaries({}, optional=CANDIDATES)


def combinations(grid):
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def check_equal(grid, nets, fixed):
    """Every way to look at the grid agrees with one dict a net."""
    expected = [resolve({**fixed, **net}) for net in nets]
    assert len(grid) == len(expected)
    assert [grid.settings(i) for i in range(len(grid))] == expected
    assert grid.varied == tuple(dict.fromkeys(name for net in nets for name in net))
    for name in SETTINGS:
        column = grid.column(name)
        assert column.shape == (len(grid),)
        assert column.tolist() == [net[name] for net in expected]
    for name, index in grid.index.items():
        assert index.dtype == np.int32
        assert len(set(grid.candidates[name])) == len(grid.candidates[name])


@given(grid=a_grid)
def test_dict_is_all_combinations_with_the_last_key_fastest(grid):
    fixed = {"momentum": 0.5, "optimizer": "sgd"}
    check_equal(expand(grid, fixed), combinations(grid), fixed)


@given(grids=st.lists(a_grid, min_size=1, max_size=3))
def test_list_of_dicts_is_one_grid_after_the_other(grids):
    check_equal(expand(grids, {}), [net for grid in grids for net in combinations(grid)], {})


@given(nets=st.lists(a_net, min_size=1, max_size=5))
def test_iterable_has_one_dict_a_net(nets):
    check_equal(expand(iter(nets), {"loss": "squared_error"}), nets, {"loss": "squared_error"})


@given(grid=a_grid, data=st.data())
def test_groups_agree_in_the_named_settings_and_no_two_do(grid, data):
    chosen = data.draw(st.lists(st.sampled_from(list(CANDIDATES)), unique=True))
    expanded = expand(grid, {})
    first, group = expanded.groups(chosen)
    key = [tuple(expanded.settings(i)[name] for name in chosen) for i in range(len(expanded))]
    assert [key[i] for i in first[group]] == key
    assert len(first) == len(set(key))
    assert all(group[:i].tolist().count(group[i]) == 0 for i in first)


def test_groups_of_more_combinations_than_64_bits_count():
    many = {"seed": np.arange(2000), "learning_rate": np.arange(2000), "epsilon": range(1, 2001)}
    many |= {name: np.arange(2000) / 2000 for name in ("beta_1", "beta_2")}
    many |= {"epochs": range(2000)}
    nets = [dict(zip(many, values, strict=True)) for values in zip(*many.values(), strict=True)]
    first, group = expand(nets, {}).groups(many)
    assert first[group].tolist() == list(range(2000))


@pytest.mark.parametrize(
    ("grid", "nets"),
    [
        ([{"seed": [1, 2]}, {"hidden": [[8, 8]]}], 3),
        (({"seed": [1, 2]},), 2),
        ([{"seed": 1, "hidden": [8, 8]}, {"hidden": [4]}], 2),  # seed = 1: these are nets
        ([{}, {"seed": 1}], 2),
        (({"hidden": [8, 8]} for _ in range(3)), 3),  # a generator gives nets
        ({"seed": range(3), "learning_rate": np.logspace(-3, -1, 3)}, 9),
        ({"hidden": [[8, 8], 4], "activation": [["relu"], "tanh"]}, None),
        ({"seed": (1, 1, 1)}, 3),
        ({"hidden": [4], "dropout": [[0.1, 0.2], 0.3, (0, 0)]}, 3),
        ({"class_weight": [{"a": 2}, "balanced", None]}, 3),
        ([{"class_weight": {"a": 2}, "seed": 1}] * 2, 2),  # a dict is no list: these are nets
    ],
)
def test_which_form_a_grid_has(grid, nets):
    if nets is None:
        with pytest.raises(ValueError, match=r"activation = \('relu',\) has 1 name"):
            expand(grid, {})
    else:
        assert len(expand(grid, {})) == nets


@pytest.mark.parametrize(
    ("name", "values", "dtype"),
    [
        ("seed", [1, 2**64 - 1], np.uint64),
        ("shuffle_seed", [1, 2], np.uint64),
        ("shuffle_seed", [None, 2], object),
        ("epochs", [1, 2], np.int64),
        ("learning_rate", [1, 0.5], np.float64),
        ("bias", [True, False], np.bool_),
        ("loss", ["auto", "squared_error"], np.dtype("<U13")),
        ("hidden", [4, (4,)], object),
        ("activation", ["relu", ("tanh",)], object),
        ("dropout", [0, 0.5], np.float64),
        ("dropout", [0, (0.5, 0.5)], object),
        ("dropout", [(0.5, 0.5), (0.0, 0.5)], object),
        ("class_weight", ["balanced", None], object),
        ("class_weight", [{"a": 1}, {"b": 1}], object),
        ("patience", [1, 2], np.int64),
        ("patience", [1, None], object),
        ("schedule", ["cosine", "constant"], np.dtype("<U8")),
    ],
)
def test_columns_have_the_natural_dtype(name, values, dtype):
    grid = expand({name: values}, {"hidden": 4} if name in ("activation", "dropout") else {})
    assert grid.column(name).dtype == dtype
    assert grid.column("validation").dtype == object


def test_fixed_pair_of_arrays_is_one_value():
    pair = (np.eye(2), np.arange(2))
    column = expand({"seed": range(3)}, {"validation": pair}).column("validation")
    assert column.shape == (3,)
    assert all(value is column[0] and value[0] is pair[0] for value in column)


def test_a_net_that_is_not_there_is_an_index_error():
    grid = expand({"seed": range(3)}, {})
    assert grid.settings(-1)["seed"] == 2
    with pytest.raises(IndexError):
        grid.settings(3)


def test_a_million_nets_share_their_candidates():
    rates = np.logspace(-4, 0, 50)
    grid = expand({"hidden": [4, 8], "learning_rate": rates, "seed": range(10_000)}, {})
    assert len(grid) == 1_000_000
    assert sum(map(len, grid.candidates.values())) < 10_100
    assert grid.column("seed")[[0, 1, 10_000, -1]].tolist() == [0, 1, 0, 9999]


@pytest.mark.parametrize(
    ("grid", "fixed", "error", "message"),
    [
        ({}, {}, ValueError, "grid = {} must name a setting to vary"),
        ([{"seed": [1]}, {}], {}, ValueError, "grid[1] = {} must name a setting to vary"),
        ([], {}, ValueError, "grid = [] must hold at least one net"),
        (iter(()), {}, ValueError, "grid = [] must hold at least one net"),
        (5, {}, TypeError, "grid = 5 must be a dict of lists, or an iterable of dicts"),
        ("seed", {}, TypeError, "grid = 'seed' must be a dict of lists, or an iterable of dicts"),
        ([1, 2], {}, TypeError, "grid[0] = 1 must be a dict of settings"),
        ({"seed": []}, {}, ValueError, "seed = [] must list at least one candidate"),
        ({"seed": range(0)}, {}, ValueError, "seed = [] must list at least one candidate"),
        *[
            ({"activation": value}, {}, TypeError, f"activation = {value!r} must be a list of cand")
            for value in ("relu", {"relu"}, None, 3, {"relu": 1})
        ],
        ({"seed": np.eye(2)}, {}, TypeError, "must be a list of candidates (a list of one for one"),
        ({"sed": [1]}, {}, TypeError, "sed = [1] is no setting: did you mean seed?"),
        ({1: [1]}, {}, TypeError, "1 = [1] is no setting: the settings are hidden, "),
        ({"sed": 1}, {}, TypeError, "sed = 1 is no setting: did you mean seed?"),
        ({"seed": [1]}, {"epoch": 1}, TypeError, "epoch = 1 is no setting: did you mean epochs?"),
        (
            {"learning_rate": [0.1, -1]},
            {},
            ValueError,
            "learning_rate = -1 must be a finite number >= 0",
        ),
        (
            {"seed": [1]},
            {"seed": 2},
            TypeError,
            "seed = [1] is in grid, and seed = 2 in the keyword settings: give it in one of them",
        ),
        *[
            (
                {name: [1]},
                {},
                ValueError,
                f"{name} = [1] must not be in grid: a sweep has one {name}",
            )
            for name in ("validation", "dtype", "record_every")
        ],
        (
            [{"seed": [1]}, {"seed": 2}],
            {},
            TypeError,
            "grid[0] is the settings of one net: seed = [1] must be an integer",
        ),
        ({"seed": range(10**30)}, {}, ValueError, f"must make at most {MOST_NETS} nets"),
        (
            {"seed": range(10**4), "epochs": range(10**4)},
            {},
            ValueError,
            f"must make at most {MOST_NETS} nets, not 100000000",
        ),
        (
            {"dropout": [[0.5, 0.5], [0.1]], "hidden": [4, (4, 4)]},
            {},
            ValueError,
            "dropout = (0.5, 0.5) has 2 rates and hidden = (4, 4) has 2 layers",
        ),
        ({"dropout": [0.5, 1]}, {}, ValueError, "dropout = 1 must be a number >= 0 and < 1, or"),
        (
            {"class_weight": {"a": 1}},
            {},
            TypeError,
            "class_weight = {'a': 1} must be a list of can",
        ),
        (
            {"learning_rate": [0.1, 0.01], "schedule": ["constant", "cosine"]},
            {"min_learning_rate": 0.05},
            ValueError,
            "min_learning_rate = 0.05 must be at most learning_rate = 0.01 where schedule = 'cos",
        ),
        (
            {"momentum": [0, 0.9], "optimizer": ["sgd", "adam"]},
            {},
            ValueError,
            "momentum = 0.9 needs optimizer = 'sgd', but optimizer = 'adam'",
        ),
    ],
)
def test_wrong_grid_is_one_clear_sentence(grid, fixed, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        expand(grid, fixed)
    assert "\n" not in str(caught.value)


INTERACTING = {
    "hidden": st.sampled_from([(), (4,), (4, 4)]),
    "activation": st.sampled_from(["relu", ("relu",), ("relu", "tanh")]),
    "dropout": st.sampled_from([0, 0.5, (0,), (0, 0.5), (0, 0.5, 0.5)]),
    "loss": st.sampled_from(["auto", "poisson"]),
    "output": st.sampled_from(["auto", "exp", "sigmoid"]),
    "optimizer": st.sampled_from(["sgd", "adam", "adamw", "rprop"]),
    "schedule": st.sampled_from(["constant", "step", "cosine"]),
    "warmup_epochs": st.integers(0, 2),
    "weight_decay": st.sampled_from([0, 0.1, 0.2]),
    "momentum": st.sampled_from([0, 0.1, 0.2]),
    "nesterov": st.booleans(),
    "learning_rate": st.sampled_from([0.1, 0.2]),
    "min_learning_rate": st.sampled_from([0, 0.1, 0.2]),
}


def conflicts(nets):
    found = set()
    for net in nets:
        try:
            check_together(resolve(net))
        except ValueError as error:
            found.add(str(error))
    return found


@given(nets=st.lists(st.fixed_dictionaries({}, optional=INTERACTING), min_size=1, max_size=6))
def test_a_sweep_has_a_conflict_just_where_a_net_has_one(nets):
    expected = conflicts(nets)
    try:
        expand(iter(nets), {})
    except ValueError as error:
        assert str(error) in expected
    else:
        assert not expected


def test_a_random_search_is_checked_once_a_case(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "shoal.inputs.grid.check_together", lambda s: calls.append(s) or check_together(s)
    )
    random = np.random.default_rng(0)
    names = ("learning_rate", "min_learning_rate", "weight_decay", "l2", "dropout", "momentum")
    nets = [dict(zip(names, row, strict=True)) for row in random.random((500, 6)).tolist()]
    expand(iter(nets), {"optimizer": "sgd"})
    assert len(calls) == 2


def test_endless_iterable_ends(monkeypatch):
    monkeypatch.setattr("shoal.inputs.grid.MOST_NETS", 100)
    with pytest.raises(ValueError, match="must make at most 100 nets"):
        expand(({"seed": seed} for seed in itertools.count()), {})


def test_checks_run_once_a_candidate_and_conflicts_once_a_combination(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "shoal.inputs.grid.check_together", lambda s: calls.append(s) or check_together(s)
    )
    expand({"hidden": [4, (4,), 8], "seed": range(100)}, {})
    assert [settings["hidden"] for settings in calls] == [(4,)]
    calls.clear()
    expand({"hidden": [4, (4,), (8, 8)], "momentum": [0, 0.5, 0.9]}, {"optimizer": "sgd"})
    assert len(calls) == 4


def test_the_grid_is_not_changed():
    grid = {"hidden": [[8, 8]], "seed": np.arange(3)}
    expand(grid, {})
    assert grid["hidden"] == [[8, 8]]
    assert grid["seed"].tolist() == [0, 1, 2]
