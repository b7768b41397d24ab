"""Every setting at the door: what comes in, its one normal form, the sentence if it is wrong."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.settings import MOST, SETTINGS, TUTORIAL, check_together, find, resolve, show

FLAGS = ("bias", "shuffle", "nesterov")
PARTS = ("momentum", "beta_1", "beta_2")

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
        ("validation", ["X", "y"], ("X", "y")),
    ],
)
def test_values_become_their_normal_form(name, value, expected):
    assert same(SETTINGS[name].check(value), expected)


def test_negative_zero_becomes_zero():
    assert math.copysign(1, SETTINGS["learning_rate"].check(-0.0)) == 1


INTEGER = f"must be an integer from {{}} to {MOST}"
SEED = "must be an integer from 0 to 2**64 - 1"
RATE = "must be a finite number >= 0"
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
    ("output", "linear", ValueError, "must be one of auto, identity, sigmoid, softmax, exp"),
    ("loss", "mse", ValueError, "must be one of auto, squared_error, cross_entropy"),
    ("loss", ["auto"], TypeError, "must be one of auto, squared_error, cross_entropy"),
    ("reduction", "none", ValueError, "must be one of mean, sum"),
    ("optimizer", "rmsprop", ValueError, "must be one of sgd, adam"),
    *[("seed", value, ValueError, SEED) for value in (-1, 2**64)],
    *[("seed", value, TypeError, SEED) for value in (1.0, "1", True, None)],
    ("shuffle_seed", -1, ValueError, SEED + ", or None (that of seed)"),
    ("seed", np.random.RandomState(0), TypeError, SEED),
    ("epochs", -1, ValueError, INTEGER.format(0)),
    ("epochs", 1e3, TypeError, INTEGER.format(0)),
    ("epochs", None, TypeError, INTEGER.format(0)),
    ("epochs", 2**31, ValueError, INTEGER.format(0)),
    ("batch_size", 0, ValueError, INTEGER.format(1) + ", or None (full batch)"),
    ("batch_size", "auto", TypeError, INTEGER.format(1) + ", or None (full batch)"),
    ("record_every", 0, ValueError, INTEGER.format(1) + ", or None (about 100 records)"),
    *[("learning_rate", value, ValueError, RATE) for value in (-1, math.nan, math.inf, 10**400)],
    *[("learning_rate", value, TypeError, RATE) for value in ("0.1", None, True, 1j, [0.1])],
    *[(name, value, ValueError, ">= 0 and < 1") for name in PARTS for value in (-0.1, 1, math.nan)],
    ("epsilon", 0, ValueError, "must be a finite number > 0"),
    *[(name, value, TypeError, "must be True or False") for name in FLAGS for value in (1, "True")],
    ("dtype", "float16", ValueError, "must be float32, float64 or None (that of X)"),
    ("dtype", int, ValueError, "must be float32, float64 or None (that of X)"),
    ("dtype", np.arange(2), TypeError, "must be float32, float64 or None (that of X)"),
    ("validation", 0.2, TypeError, "must be a pair (X, y) or None"),
    ("validation", (1, 2, 3), ValueError, "must be a pair (X, y) or None"),
]


@pytest.mark.parametrize(("name", "value", "error", "right"), WRONG)
def test_wrong_value_is_one_clear_sentence(name, value, error, right):
    with pytest.raises(error) as caught:
        SETTINGS[name].check(value)
    message = str(caught.value)
    assert message.startswith(f"{name} = {show(value)} must be ")
    assert message.endswith(right)


def test_wrong_activation_of_one_layer_names_the_layer():
    with pytest.raises(ValueError, match=re.escape(f"activation[1] = 'rellu' {ACTIVATION}")):
        resolve({"activation": ["relu", "rellu"]})


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
        if name != "validation":
            assert same(SETTINGS[name].check(normal), normal)
            hash(normal)


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
    with pytest.raises(TypeError):
        TUTORIAL["bias"] = True


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
    ],
)
def test_unknown_setting_suggests_the_nearest(name, near):
    message = f"{name} = [1, 2] is no setting: did you mean {near}?"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        resolve({name: [1, 2]})


@pytest.mark.parametrize("name", ["dropout", "xyz", "", 3, None])
def test_unknown_setting_far_from_all_lists_them(name):
    with pytest.raises(TypeError, match="is no setting: the settings are hidden, activation, "):
        resolve({name: 1})


def test_refused_setting_says_why():
    message = "hidden = (8,) is refused: the weights say it"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        resolve({"hidden": (8,)}, refused={"hidden": "the weights say it"})


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
    ],
)
def test_conflict_names_both_settings(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_together(resolve(given))


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
