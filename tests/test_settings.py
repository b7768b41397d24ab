"""Every setting at the door: what comes in, its one normal form, the sentence if it is wrong."""

import json
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.inputs.checks import MOST, show
from shoal.inputs.settings import (
    _ELSEWHERE,
    ACTIVATIONS,
    INITS,
    LOSSES,
    OPTIMIZERS,
    OUTPUTS,
    SCHEDULES,
    SETTINGS,
    TUTORIAL,
    UNSET,
    find,
    resolve,
)

FLAGS = ("bias", "shuffle", "nesterov", "batch_norm")
PARTS = ("momentum", "rho", "beta_1", "beta_2")
RATES = ("learning_rate", "min_learning_rate", "power", "l1", "l2", "weight_decay", "tolerance")
POSITIVES = ("huber_delta", "epsilon")
CLIPS = ("clip_delta", "clip_norm")
COUNTS = {"epochs": 0, "warmup_epochs": 0, "step_size": 1}  # with the least one
COUNTS_OR_NONE = {
    "batch_size": "full batch",
    "patience": "never stops early",
    "record_every": "about 100 records",
}
CHOICES = {
    "output": OUTPUTS,
    "loss": LOSSES,
    "init": INITS,
    "reduction": ("mean", "sum"),
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=5)
    | st.binary(max_size=3)
    | st.sampled_from([np.float32(2.5), np.int8(3), np.array(7), np.arange(3), np.eye(2)])
    | st.sampled_from(
        [np.datetime64(5, "ns"), np.str_("relu"), np.True_, int, np.float16, object()]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)


def same(a, b):
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)
def test_defaults_are_in_their_normal_form(setting):
    assert same(setting.check(setting.default), setting.default)
    if setting.name in TUTORIAL:
        assert same(setting.check(TUTORIAL[setting.name]), TUTORIAL[setting.name])
    assert setting.meaning


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("hidden", 8, (8,)),
        ("hidden", np.int16(8), (8,)),
        ("hidden", np.array(8), (8,)),
        ("hidden", [16, np.uint8(8)], (16, 8)),
        ("hidden", np.array([4, 4, 4]), (4, 4, 4)),
        ("hidden", [], ()),
        ("activation", "tanh", "tanh"),
        ("activation", np.str_("tanh"), "tanh"),
        ("activation", ["tanh", "relu"], ("tanh", "relu")),
        ("activation", np.array(["tanh"]), ("tanh",)),
        ("epochs", 0, 0),
        ("epochs", np.int64(5), 5),
        ("batch_size", None, None),
        ("seed", 2**64 - 1, 2**64 - 1),
        ("seed", np.uint64(2**64 - 1), 2**64 - 1),
        ("shuffle_seed", None, None),
        ("learning_rate", 1, 1.0),
        ("learning_rate", 0, 0.0),
        ("learning_rate", np.array(0.5), 0.5),
        ("learning_rate", Fraction(1, 4), 0.25),
        ("momentum", np.float32(0.5), 0.5),
        ("shuffle", np.False_, False),
        ("dtype", np.float32, "float32"),
        ("dtype", np.dtype("float64"), "float64"),
        ("dtype", np.dtype(">f4"), "float32"),
        *[(name, choice, choice) for name, choices in CHOICES.items() for choice in choices],
        *[(name, np.str_(choices[-1]), choices[-1]) for name, choices in CHOICES.items()],
        *[
            (name, value, float(value))
            for name in RATES
            for value in (0, 5e-324, np.int8(9), 1e308)
        ],
        *[
            (name, value, float(value))
            for name in PARTS
            for value in (0, np.float16(0.5), 1 - 1e-16)
        ],
        *[(name, value, float(value)) for name in POSITIVES + CLIPS for value in (5e-324, 7)],
        *[(name, None, None) for name in (*CLIPS, *COUNTS_OR_NONE)],
        *[(name, value, int(value)) for name in COUNTS_OR_NONE for value in (1, np.int8(3), MOST)],
        *[(name, value, value) for name, least in COUNTS.items() for value in (least, MOST)],
        *[(name, np.bool_(flag), flag) for name in FLAGS for flag in (True, False)],
        ("gamma", 1, 1.0),
        ("gamma", 5e-324, 5e-324),
        ("quantile", Fraction(1, 4), 0.25),
        ("dropout", 0, 0.0),
        ("dropout", np.float32(0.5), 0.5),
        ("dropout", [0, 0.5], (0.0, 0.5)),
        ("dropout", np.array([0.25, 0.5]), (0.25, 0.5)),
        ("dropout", (), ()),
        ("validation", ["X", "y"], ("X", "y")),
        ("validation", 0.25, 0.25),
        ("validation", np.float32(0.5), 0.5),
        ("validation", Fraction(1, 4), 0.25),
        ("class_weight", None, None),
        ("class_weight", "balanced", "balanced"),
        ("class_weight", np.str_("balanced"), "balanced"),
        ("class_weight", {}, ()),
        ("class_weight", {"b": 2, "a": 0}, (("a", 0.0), ("b", 2.0))),
        ("class_weight", {2: 1, -1: np.float32(0.5)}, ((-1, 0.5), (2, 1.0))),
        ("class_weight", {True: 2, False: 1}, ((False, 1.0), (True, 2.0))),
        ("class_weight", {"a": 1, 3: 1, True: 1}, ((True, 1.0), (3, 1.0), ("a", 1.0))),
        ("class_weight", {np.int8(3): 1, np.str_("a"): 1}, ((3, 1.0), ("a", 1.0))),
        ("class_weight", [["b", 2], ["a", 1]], (("a", 1.0), ("b", 2.0))),
    ],
)
def test_values_become_their_normal_form(name, value, expected):
    assert same(SETTINGS[name].check(value), expected)


def test_labels_and_weights_of_classes_are_python_values():
    pairs = SETTINGS["class_weight"].check({np.int8(3): np.int8(1), np.str_("a"): 1, np.True_: 1})
    assert [type(label) for label, _ in pairs] == [bool, int, str]
    assert {type(weight) for _, weight in pairs} == {float}


@pytest.mark.parametrize("name", [*RATES, *PARTS, "dropout"])
def test_negative_zero_becomes_zero(name):
    assert math.copysign(1, SETTINGS[name].check(-0.0)) == 1


def test_every_choice_stands_in_its_meaning():
    for name, choices in {**CHOICES, "activation": ACTIVATIONS}.items():
        words = re.findall(r"\w+", SETTINGS[name].meaning)
        assert set(choices) - {"auto"} <= set(words)
        assert ("auto" in choices) == ("auto" in words)


INTEGER = f"must be an integer from {{}} to {MOST}"
SEED = "must be an integer from 0 to 2**64 - 1"
RATE = "must be a finite number >= 0"
POSITIVE = "must be a finite number > 0"
RATES_LIST = (
    "must be a number >= 0 and < 1, or a list of such: for the inputs, then each hidden layer"
)
VALIDATION = "must be a fraction of the rows, > 0 and < 1, a pair (X, y), or None"
WEIGHTS = "must be 'balanced', None, or a dict from label (a str, int or bool) to weight"
UNITS = f"must be the units of each hidden layer: integers from 1 to {MOST}, as in (16, 8)"
ACTIVATION = (
    "must be one of sigmoid, tanh, relu, leaky_relu, elu, selu, gelu, silu, softplus, identity"
)

WRONG = [
    *[("hidden", value, ValueError, UNITS) for value in (0, -3, (8, 0), [8, -1], 2**31, 10**30)],
    *[("hidden", value, TypeError, UNITS) for value in ("8", 8.0, True, [8.5], None, {8}, [[8]])],
    *[("hidden", value, TypeError, UNITS) for value in (np.array([1.0]), np.eye(2, dtype=int))],
    ("activation", "rellu", ValueError, ACTIVATION),
    ("activation", "auto", ValueError, ACTIVATION),
    *[("activation", value, TypeError, ACTIVATION) for value in (None, 3, {"relu": 1})],
    *[
        (name, value, ValueError, f"must be one of {', '.join(choices)}")
        for name, choices in CHOICES.items()
        for value in ("mse", "", choices[0].upper())
    ],
    *[
        (name, value, TypeError, f"must be one of {', '.join(choices)}")
        for name, choices in CHOICES.items()
        for value in (None, True, 1, [choices[0]])
    ],
    *[("seed", value, ValueError, SEED) for value in (-1, 2**64)],
    *[("seed", value, TypeError, SEED) for value in (1.0, "1", True, None)],
    ("shuffle_seed", -1, ValueError, SEED + ", or None (that of seed)"),
    ("seed", np.random.RandomState(0), TypeError, SEED),
    *[
        (name, value, ValueError, INTEGER.format(least))
        for name, least in COUNTS.items()
        for value in (least - 1, MOST + 1)
    ],
    *[
        (name, value, TypeError, INTEGER.format(least))
        for name, least in COUNTS.items()
        for value in (1e3, None, True, "1", [1])
    ],
    *[
        (name, value, ValueError, f"{INTEGER.format(1)}, or None ({meaning})")
        for name, meaning in COUNTS_OR_NONE.items()
        for value in (0, -1, MOST + 1)
    ],
    *[
        (name, value, TypeError, f"{INTEGER.format(1)}, or None ({meaning})")
        for name, meaning in COUNTS_OR_NONE.items()
        for value in (1.0, True, "auto")
    ],
    *[
        (name, value, error, right)
        for names, right in (
            (RATES, RATE),
            (PARTS, "must be a number >= 0 and < 1"),
            (POSITIVES, POSITIVE),
            (CLIPS, POSITIVE + ", or None (no clipping)"),
            (["gamma"], "must be a number > 0 and <= 1"),
            (["quantile"], "must be a number > 0 and < 1"),
        )
        for name in names
        for value, error in [
            *[(value, ValueError) for value in (-1, -5e-324, math.nan, math.inf, 10**400)],
            *[(value, TypeError) for value in ("0.1", True, 1j, [0.1], {})],
        ]
    ],
    *[(name, None, TypeError, RATE) for name in RATES],
    *[(name, 1, ValueError, "must be a number >= 0 and < 1") for name in PARTS],
    *[(name, 0, ValueError, POSITIVE) for name in POSITIVES],
    *[(name, 0.0, ValueError, POSITIVE + ", or None (no clipping)") for name in CLIPS],
    *[("gamma", value, ValueError, "must be a number > 0 and <= 1") for value in (0, 1 + 1e-15)],
    *[("quantile", value, ValueError, "must be a number > 0 and < 1") for value in (0, 1)],
    *[(name, value, TypeError, "must be True or False") for name in FLAGS for value in (1, "True")],
    *[("dropout", value, ValueError, RATES_LIST) for value in (1, -0.1, math.nan, 10**400)],
    *[("dropout", value, TypeError, RATES_LIST) for value in ("0.5", None, True, {}, np.eye(2))],
    *[("validation", value, ValueError, VALIDATION) for value in (0, 1, 0.0, 1.0, 20, math.nan)],
    *[("validation", value, ValueError, VALIDATION) for value in ((1, 2, 3), [])],
    *[("validation", value, TypeError, VALIDATION) for value in (True, "0.2", {}, np.eye(2))],
    ("class_weight", "balance", ValueError, WEIGHTS),
    *[("class_weight", value, TypeError, WEIGHTS) for value in (1, True, ["balanced"], [1, 2])],
    *[("class_weight", value, TypeError, WEIGHTS) for value in ([["a"]], np.eye(2), {"a"}, ["ab"])],
    *[("class_weight", {label: 1}, TypeError, WEIGHTS) for label in (None, 1.0, b"a", ("a",))],
    (
        "class_weight",
        [["a", 1], ["a", 2]],
        ValueError,
        "must be a weight a label, but 'a' has two",
    ),
    ("class_weight", [[True, 1], [1, 2]], ValueError, "must be a weight a label, but 1 has two"),
    ("dtype", "float16", ValueError, "must be float32, float64 or None (that of X)"),
    ("dtype", int, ValueError, "must be float32, float64 or None (that of X)"),
    ("dtype", np.arange(2), TypeError, "must be float32, float64 or None (that of X)"),
]


@pytest.mark.parametrize(("name", "value", "error", "right"), WRONG)
def test_wrong_value_is_one_clear_sentence(name, value, error, right):
    with pytest.raises(error) as caught:
        SETTINGS[name].check(value)
    message = str(caught.value)
    assert message.startswith(f"{name} = {show(value)} must be ")
    assert message.endswith(right)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("activation", ["relu", "rellu"], ValueError, f"activation[1] = 'rellu' {ACTIVATION}"),
        ("dropout", [0, 1], ValueError, "dropout[1] = 1 must be a number >= 0 and < 1"),
        ("dropout", ["a"], TypeError, "dropout[0] = 'a' must be a number >= 0 and < 1"),
        ("dropout", [[0.5]], TypeError, "dropout[0] = [0.5] must be a number >= 0 and < 1"),
        ("class_weight", {"a": -1}, ValueError, f"class_weight['a'] = -1 {RATE}"),
        ("class_weight", {3: math.inf}, ValueError, f"class_weight[3] = inf {RATE}"),
        ("class_weight", {3: math.nan}, ValueError, f"class_weight[3] = nan {RATE}"),
        ("class_weight", {True: "1"}, TypeError, f"class_weight[True] = '1' {RATE}"),
        ("class_weight", {"a": None}, TypeError, f"class_weight['a'] = None {RATE}"),
    ],
)
def test_wrong_part_of_a_value_is_named(name, value, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        resolve({name: value})


@given(value=anything)
@pytest.mark.parametrize("name", SETTINGS)
def test_any_value_is_normalised_once_or_refused_in_one_line(name, value):
    try:
        normal = SETTINGS[name].check(value)
    except (TypeError, ValueError) as error:
        message = str(error)
        assert message.startswith(name)
        assert "\n" not in message
        assert len(message) < 300
    else:
        if name == "validation" and isinstance(normal, tuple):
            assert normal[0] is value[0]
            assert normal[1] is value[1]
        else:
            assert same(SETTINGS[name].check(normal), normal)
            hash(normal)
            assert same(SETTINGS[name].check(json.loads(json.dumps(normal))), normal)


part = st.floats(0, 1, exclude_max=True)
weights = st.dictionaries(
    st.booleans() | st.integers() | st.text(max_size=3), st.floats(0, allow_infinity=False)
)


@given(st.sampled_from([None, "balanced"]) | weights)
def test_class_weight_comes_back_from_json(value):
    normal = SETTINGS["class_weight"].check(value)
    if isinstance(value, dict):
        assert dict(normal) == value
        backwards = dict(reversed(value.items()))
        assert repr(SETTINGS["class_weight"].check(backwards)) == repr(normal)
    again = SETTINGS["class_weight"].check(json.loads(json.dumps(normal)))
    assert repr(again) == repr(normal)
    assert hash(again) == hash(normal)


labels = st.booleans() | st.integers() | st.text(max_size=3)
labels |= st.sampled_from([None, 1.0, b"a", ("a", 1), np.int8(1), np.float32(1), np.str_("a")])
pairs = st.tuples(labels, st.floats() | st.integers() | st.text(max_size=2))


@given(st.dictionaries(labels, st.floats(-1) | st.none()) | st.lists(pairs) | st.lists(labels))
def test_any_class_weight_is_normalised_once_or_refused_in_one_line(value):
    try:
        normal = SETTINGS["class_weight"].check(value)
    except (TypeError, ValueError) as error:
        assert str(error).startswith("class_weight")
        assert "\n" not in str(error)
        assert len(str(error)) < 300
    else:
        assert repr(SETTINGS["class_weight"].check(normal)) == repr(normal)
        assert all(type(label) in (bool, int, str) for label, _ in normal)
        assert all(type(weight) is float and 0 <= weight < math.inf for _, weight in normal)
        assert dict(normal) == dict(value)


@given(part | st.lists(part))
def test_dropout_comes_back_from_json(value):
    normal = SETTINGS["dropout"].check(value)
    assert normal == (tuple(value) if isinstance(value, list) else value)
    assert same(SETTINGS["dropout"].check(json.loads(json.dumps(normal))), normal)


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_every_fraction_keeps_its_value(fraction):
    assert SETTINGS["validation"].check(fraction) == fraction


@given(st.integers(0, 2**64 - 1))
def test_every_seed_keeps_its_value(seed):
    assert SETTINGS["seed"].check(seed) == seed == SETTINGS["seed"].check(np.uint64(seed))


@given(st.floats(0, allow_infinity=False))
def test_every_finite_rate_keeps_its_value(rate):
    assert SETTINGS["learning_rate"].check(rate) == rate


def test_resolve_prefers_given_to_defaults_to_the_settings_own():
    settings = resolve({"learning_rate": 0.5, "epochs": np.int8(7)}, defaults=TUTORIAL)
    assert list(settings) == list(SETTINGS)
    assert settings["learning_rate"] == 0.5
    assert same(settings["epochs"], 7)
    assert settings["optimizer"] == "sgd"
    assert settings["beta_1"] == 0.9


def test_tutorial_is_read_only_and_works_as_keywords():
    assert TUTORIAL == {
        "activation": "sigmoid",
        "output": "sigmoid",
        "loss": "squared_error",
        "bias": False,
        "init": "uniform",
        "batch_size": None,
        "shuffle": False,
        "reduction": "sum",
        "optimizer": "sgd",
        "learning_rate": 1.0,
        "momentum": 0.0,
    }
    assert dict(**TUTORIAL) == TUTORIAL
    assert all((SETTINGS[name].tutorial is UNSET) == (name not in TUTORIAL) for name in SETTINGS)
    with pytest.raises(TypeError):
        TUTORIAL["bias"] = True


def test_the_order_and_the_defaults_of_settings():
    defaults = {
        "hidden": (32,),
        "activation": "relu",
        "output": "auto",
        "loss": "auto",
        "huber_delta": 1.0,
        "quantile": 0.5,
        "bias": True,
        "init": "auto",
        "seed": 0,
        "shuffle_seed": None,
        "epochs": 100,
        "batch_size": 32,
        "shuffle": True,
        "reduction": "mean",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup_epochs": 0,
        "step_size": 10,
        "gamma": 0.9,
        "min_learning_rate": 0.0,
        "power": 0.5,
        "momentum": 0.0,
        "nesterov": False,
        "rho": 0.9,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-8,
        "l1": 0.0,
        "l2": 0.0,
        "weight_decay": 0.0,
        "dropout": 0.0,
        "batch_norm": False,
        "clip_delta": None,
        "clip_norm": None,
        "validation": None,
        "patience": None,
        "tolerance": 1e-4,
        "class_weight": None,
        "record_every": None,
        "dtype": None,
    }
    assert list(defaults.items()) == [(name, s.default) for name, s in SETTINGS.items()]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("learnig_rate", "learning_rate"),
        ("Learning_Rate", "learning_rate"),
        ("lr", "learning_rate"),
        ("alpha", "learning_rate"),
        ("hiden", "hidden"),
        ("hidden_layer_sizes", "hidden"),
        ("max_iter", "epochs"),
        ("epoch", "epochs"),
        ("random_state", "seed"),
        ("batchsize", "batch_size"),
        ("beta1", "beta_1"),
        *_ELSEWHERE.items(),
    ],
)
def test_unknown_setting_suggests_the_nearest(name, near):
    message = f"{name} = [1, 2] is no setting: did you mean {near}?"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        resolve({name: [1, 2]})


def test_names_of_other_libraries_are_none_of_ours():
    names = [name for name in _ELSEWHERE.values() if not name.startswith("the argument ")]
    assert set(names) <= set(SETTINGS)
    assert not set(_ELSEWHERE) & set(SETTINGS)
    assert all(name == name.lower() for name in _ELSEWHERE)


@pytest.mark.parametrize("name", ["kernel", "xyz", "", 3, None])
def test_unknown_setting_far_from_all_lists_them(name):
    with pytest.raises(TypeError, match="is no setting: the settings are hidden, activation, "):
        resolve({name: 1})


def test_refused_setting_says_why():
    message = "hidden = (8,) is refused: the weights say it"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        resolve({"hidden": (8,)}, refused={"hidden": "the weights say it"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0.5), "0.5"),
        (np.array(3), "3"),
        (np.eye(2), "array([[1., 0.], [0., 1.]])"),
        pytest.param(10**5000, "<int>", id="more digits than Python prints"),
        ("a\nb", r"'a\nb'"),
    ],
)
def test_values_are_shown_on_one_line(value, text):
    assert show(value) == text


def test_an_unknown_name_is_echoed_on_one_line():
    with pytest.raises(TypeError, match=r"^'\\n' = None is no setting: [^\n]*$"):
        find("\n", None)
