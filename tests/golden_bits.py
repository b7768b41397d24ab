"""The bits of 200 nets with settings of every kind, kept in ``golden_bits.json``.

`test_golden_bits.py` holds the code against that file: other oracles are rewritten together with
the code, these bits are of the day on which they were recorded.

    python tests/golden_bits.py

records them anew, and names the nets whose bits are no longer those of the file. That is legitimate
where the order of arithmetic has a new version, which ``shoal.kernels`` writes down and the release
announces, and never to make a failing test pass. Where nets are added, for a new setting say, they
come behind the others, whose lines must stay as they are.

Settings are drawn from `random.Random.random`, whose stream Python promises to keep, and stand in
the file, from which the test reads them. Rows are made of integers: no machine's mathematical
library, and no version of numpy's generators, has a part in them.
"""

import hashlib
import json
from collections import Counter
from itertools import product
from pathlib import Path
from random import Random
from unittest import mock

import numpy as np

import shoal
from shoal.inputs import targets
from shoal.inputs.settings import ACTIVATIONS, INITS, OPTIMIZERS, SETTINGS

FILE = Path(__file__).with_suffix(".json")
DTYPES = ("float32", "float64")
NETS = 200

# ------------------------------------------------------------------------------------------- rows

CLASSES = {2: [False, True], 3: ["cat", "cow", "dog"], 5: [2, 3, 5, 7, 11]}


def problem(name, first=0):
    """X (n, I) and y of a problem such as "shares 130x6x3": what y is, and n x I x outputs.

    numbers are of any sign; shares of a row sum to 1, which suits every loss; labels are bools,
    strings or ints; marks are multi-label, choices such with a single one in each row.

    first : the number of the first row; others have other rows of the same kind.
    """
    kind, shape = name.split()
    n, inputs, outputs = map(int, shape.split("x"))
    i = np.arange(first, first + n, dtype=np.int64)[:, np.newaxis]
    j, k = np.arange(inputs, dtype=np.int64), np.arange(outputs, dtype=np.int64)
    X = (7919 * i + 104729 * j + i * i * (31 * j + 17)) % 1021 - 510
    y = (X @ ((5 * j[:, np.newaxis] + 3 * k + j[:, np.newaxis] * k) % 7 - 3)) // inputs
    y += (i * i * (k + 3)) % 101 - 50
    if kind == "numbers":
        y = y / 512
    elif kind == "shares":
        ends = np.full_like(i, 256)
        parts = np.hstack([0 * ends, np.sort(y[:, 1:] % 257, axis=1), ends])
        y = np.diff(parts) / 256 if outputs > 1 else y % 257 / 256
    elif kind == "labels":
        y = np.array(CLASSES[outputs])[y.argmax(axis=1)]
    elif kind == "marks":
        y = (y > 0).astype(np.int64)
    else:
        y = (y.argmax(axis=1)[:, np.newaxis] == k).astype(np.int64)
    return X / 256, y


def row_weights(n):
    """Weights of n rows: at first none, so that whole batches have none where rows stay put."""
    i = np.arange(n)
    weights = np.array([0.25, 1.0, 2.5, 0.0, 1.0])[(i * i + i // 3) % 5]
    weights[: n // 4] = 0
    return weights


# --------------------------------------------------------------------------------------- settings

ERRORS = ("squared_error", "absolute_error", "huber", "quantile")
PAIRS = {  # of output and loss, that go with a kind of y
    "numbers": (
        ("auto", "auto"),
        *product(("identity", "sigmoid", "softmax", "exp"), ERRORS),
    ),
    "shares": (
        ("auto", "auto"),
        ("auto", "poisson"),
        ("exp", "poisson"),
        ("auto", "cross_entropy"),
        ("sigmoid", "cross_entropy"),
        ("softmax", "cross_entropy"),
        *zip(("exp", "sigmoid", "softmax", "identity"), ERRORS, strict=True),
    ),
    "labels": (
        ("auto", "auto"),
        ("softmax", "cross_entropy"),
        ("sigmoid", "squared_error"),
        ("identity", "huber"),
        ("softmax", "absolute_error"),
        ("auto", "squared_error"),
        ("sigmoid", "cross_entropy"),
        ("exp", "squared_error"),
    ),
    "marks": (("auto", "auto"), ("sigmoid", "huber"), ("identity", "squared_error")),
    "choices": (("softmax", "cross_entropy"), ("softmax", "squared_error"), ("auto", "auto")),
}
# by the number of rows; gradients are summed in blocks of 256
BATCHES = {
    37: (5, None, 16, 1, 64, 36),
    130: (16, 40, None, 7, 129, 200),
    600: (64, 300, None, 257, 256, 512, 33),
}
MOVING = ("step", "exponential", "cosine", "invscaling")

# Sweeps: problem, whether rows are weighted, validation, record_every, and how many families of
# nets. A family is of one structure, so that its nets stand side by side in lanes.
SWEEPS = (
    ("shares 37x3x1", False, None, None, 3),
    ("numbers 37x5x2", True, 0.25, None, 3),
    ("labels 37x4x2", False, None, None, 3),
    ("labels 37x4x3", True, 0.25, 2, 3),
    ("marks 37x1x4", False, "pair", None, 2),
    ("shares 130x6x3", False, None, None, 4),
    ("shares 130x6x5", True, "pair", None, 4),
    ("numbers 130x7x1", True, None, None, 3),
    ("labels 130x6x5", False, "pair", None, 3),
    ("choices 130x5x3", False, 0.3, 3, 2),
    ("shares 130x35x4", False, None, None, 3),
    ("shares 600x3x5", True, 0.25, None, 3),
    ("shares 600x18x2", False, None, 4, 4),
    ("labels 600x40x3", True, 0.2, None, 4),
    ("numbers 600x33x2", False, "pair", None, 3),
)
MEMBERS = 3  # of a family
LARGE_FAMILY = 35  # of more nets than a group has lanes, which end at different epochs
LARGE = {
    "hidden": [7, 3], "activation": "tanh", "output": "softmax", "loss": "cross_entropy",
    "init": "glorot_normal", "batch_size": 16, "optimizer": "adamw", "weight_decay": 0.1,
    "dropout": 0.3, "batch_norm": True, "schedule": "moving", "patience": 2,
}  # fmt: skip
DIVERGING = {  # of no hidden layer: the larger the rate, the earlier
    "hidden": [], "activation": [], "output": "identity", "loss": "squared_error",
    "init": "auto", "batch_size": 7, "optimizer": "sgd", "momentum": 0.5, "reduction": "sum",
}  # fmt: skip
EDGES = (
    # losses that stay the same, while running statistics move: the first are the best
    {
        "hidden": [6], "batch_norm": True, "batch_size": None, "learning_rate": 0.0,
        "patience": 9, "epochs": 5,
    },
    {"hidden": [3, 2], "epochs": 0},
)  # fmt: skip
# Trained one by one, in turn: those of few rows are trained on, those of many large enough that
# threads share them.
ALONE = (
    "numbers 37x3x2", "shares 600x35x4", "labels 130x6x3", "numbers 600x40x1",
    "marks 130x5x2", "shares 600x30x2", "shares 37x2x3", "labels 600x20x5",
)  # fmt: skip


class Draws:
    """What is drawn at random, from one stream."""

    def __init__(self, seed):
        self.random, self.decks = Random(seed).random, {}

    def chance(self, probability):
        return self.random() < probability

    def whole(self, low, high):
        """From low to high, both included."""
        return low + int(self.random() * (high + 1 - low))

    def number(self, low, high):
        """Of three digits, to be readable."""
        return float(f"{low + self.random() * (high - low):.3g}")

    def rate(self, lowest, highest):
        """As evenly over powers of ten as no library's power is needed for."""
        return float(f"{1 + 9 * self.random():.2f}e{self.whole(lowest, highest)}")

    def pick(self, *values):
        return values[self.whole(0, len(values) - 1)]

    def deal(self, *values):
        """Like pick, but each value comes as often as any other: from a deck of cards."""
        deck = self.decks.setdefault(repr(values), [])
        if not deck:
            deck += values
        return deck.pop(self.whole(0, len(deck) - 1))


def family(draws, name, rows, panels=False):
    """What nets of one structure have in common. rows : that are trained on.

    panels : whether the first layer is such that its weights may stand in panels of units.
    """
    kind, shape = name.split()
    n, _, outputs = map(int, shape.split("x"))
    hidden = [draws.whole(1, draws.pick(4, 12, 45)) for _ in range(draws.deal(0, 1, 1, 2, 2, 3))]
    if panels:
        hidden[:1] = [draws.deal(16, 32, 48)]
    output, loss = draws.deal(*PAIRS[kind])
    if outputs == 1 and output == "softmax":
        output = "identity"
    optimizer = draws.deal(*OPTIMIZERS, "sgd")
    batch = None if optimizer == "rprop" else draws.deal(*BATCHES[n])
    if panels and (batch is None or batch >= rows):  # rows that stay where they are have none
        batch = 64
        optimizer = "adam" if optimizer == "rprop" else optimizer
    single = batch == 1 or rows % min(batch or rows, rows) == 1  # row, which has no variance
    batch_norm = bool(hidden) and draws.chance(0.4) and not single
    settings = {
        "hidden": hidden,
        "activation": [draws.deal(*ACTIVATIONS) for _ in hidden],
        "output": output,
        "loss": loss,
        "init": draws.deal(*INITS),
        "batch_size": batch,
        "optimizer": optimizer,
    }
    if len(set(settings["activation"])) == 1:
        settings["activation"] = settings["activation"][0]
    more = {
        "bias": draws.chance(0.75),
        "shuffle": draws.chance(0.75),
        "reduction": draws.deal("mean", "mean", "sum"),
        "batch_norm": batch_norm,
        "l1": 0.1 * draws.chance(0.25),
        "l2": 0.1 * draws.chance(0.25),
        "clip_delta": draws.pick(0.5, None, None),
    }
    if not panels:
        more["clip_norm"] = draws.pick(1.0, None, None)
    if optimizer not in ("adam", "rprop"):
        more["weight_decay"] = 0.1 * draws.chance(0.4)
    if optimizer == "sgd" and draws.chance(0.6):
        more |= {"momentum": 0.9, "nesterov": draws.chance(0.5)}
    if optimizer != "rprop":
        more["schedule"] = draws.deal("constant", "moving", "moving", "adaptive")
        more["warmup_epochs"] = 2 * draws.chance(0.25)
    if draws.chance(0.5):
        more["dropout"] = 0.5
        if draws.chance(0.6):
            more["dropout"] = [draws.pick(0.0, 0.5, 0.5) for _ in range(1 + len(hidden))]
            if panels:
                more["dropout"][0] = 0.0
    if draws.chance(0.4):
        more["patience"] = 2
    if kind == "labels" and draws.chance(0.5):
        classes = CLASSES[outputs]
        more["class_weight"] = draws.deal("balanced", [[classes[0], 0.5], [classes[-1], 3.0]])
    return settings | _others(more)


def _others(settings):
    """Those settings that are not their defaults."""
    defaults = {name: setting.default for name, setting in SETTINGS.items()}
    return {name: value for name, value in settings.items() if value != defaults[name]}


def member(draws, settings, most_epochs=14):
    """One net of a family: the numbers that may differ from lane to lane."""
    optimizer, net = settings["optimizer"], dict(settings)
    net["seed"] = draws.pick(draws.whole(0, 9), draws.whole(0, 2**53 - 1) * 2048 + 1)
    net["epochs"] = draws.whole(draws.pick(1, 5, 5), most_epochs)
    net["learning_rate"] = draws.rate(-4, -2)
    if draws.chance(0.2):  # as likely as not it diverges
        net["learning_rate"] = draws.rate(0, draws.pick(1, 20, 150))
    if draws.chance(0.3):
        net["shuffle_seed"] = draws.pick(1, 1, draws.whole(2, 2**40))
    if net["loss"] == "huber":
        net["huber_delta"] = draws.number(0.1, 2)
    if net["loss"] == "quantile":
        net["quantile"] = draws.number(0.1, 0.9)
    if net.get("schedule") == "moving":
        net["schedule"] = schedule = draws.deal(*MOVING)
        if schedule == "step":
            net["step_size"] = draws.whole(1, 3)
        if schedule in ("step", "exponential"):
            net["gamma"] = draws.number(0.3, 1)
        if schedule == "cosine" and draws.chance(0.7):
            net["min_learning_rate"] = float(f"{net['learning_rate'] * draws.random():.2g}")
        if schedule == "invscaling":
            net["power"] = draws.number(0, 2)
    if "warmup_epochs" in net:
        net["warmup_epochs"] = draws.whole(1, 4)
    if "momentum" in net:
        net["momentum"] = draws.number(0.1, 0.99)
    if optimizer == "rmsprop":
        net["rho"] = draws.number(0.1, 0.99)
    if optimizer in ("adam", "adamw") and draws.chance(0.6):
        net |= {"beta_1": draws.number(0.0, 0.95), "beta_2": draws.number(0.5, 0.9999)}
    if optimizer not in ("sgd", "rprop") and draws.chance(0.5):
        net["epsilon"] = draws.rate(-10, -2)
    for name, most in (("l1", 0.1), ("l2", 0.1), ("weight_decay", 0.5), ("clip_norm", 1)):
        if name in net:
            net[name] = draws.number(0.001, most)
    if "clip_delta" in net:
        net["clip_delta"] = draws.number(0.01, 0.5)
    if isinstance(net.get("dropout"), list):
        net["dropout"] = [rate and draws.number(0.05, 0.7) for rate in net["dropout"]]
    elif "dropout" in net:
        net["dropout"] = draws.number(0.05, 0.7)
    if "patience" in net:
        net["patience"] = draws.whole(1, 4)
    if "patience" in net or net.get("schedule") == "adaptive":
        net["tolerance"] = draws.pick(0.0, 0.001, 0.01, 0.1)
    return net


def nets():
    """Nets as the file has them: a problem, settings, and what more is given."""
    draws, made = Draws(11), []
    for name, weighted, validation, record_every, families in SWEEPS:
        n, inputs, _ = map(int, name.split()[1].split("x"))
        rows = n - round(validation * n) if isinstance(validation, float) else n
        fixed = _others({"validation": validation, "record_every": record_every})
        for k in range(families):
            common = family(draws, name, rows, panels=inputs >= 32 and k < 2)
            for _ in range(MEMBERS):
                settings = member(draws, common) | fixed
                made.append({"problem": name, "weighted": weighted, "settings": settings})
    for _ in range(LARGE_FAMILY):
        settings = member(draws, LARGE, 60) | {"validation": "pair"}
        made.append({"problem": "shares 37x6x2", "weighted": True, "settings": settings})
    for k in range(8):
        settings = member(draws, DIVERGING, 40) | {"learning_rate": draws.rate(k % 4 - 2, 1)}
        made.append({"problem": "numbers 37x5x2", "weighted": False, "settings": settings})
    for settings in EDGES:
        made.append({"problem": "numbers 37x5x2", "weighted": False, "settings": settings})
    for k in range(NETS - len(made)):
        name = ALONE[k % len(ALONE)]
        n = int(name.split()[1].split("x")[0])
        settings = member(draws, family(draws, name, n))
        net = {"problem": name, "weighted": draws.chance(0.3), "settings": settings}
        if n == 600:
            settings |= {"hidden": [40, 24], "activation": draws.deal(*ACTIVATIONS)}
            settings |= {"dropout": draws.pick(0.0, 0.3), "batch_norm": False}
            if settings["optimizer"] != "rprop":
                settings["batch_size"] = draws.deal(None, 512, 256)
            # threads share blocks in epochs alone whose loss nobody asks for
            settings |= {"epochs": draws.whole(7, 14), "record_every": 5, "patience": None}
            if settings.get("schedule") == "adaptive":
                settings["schedule"] = "exponential"
            net["alone"] = True
        else:
            settings["epochs"] = 50
            net["then"] = {"epochs": draws.whole(5, 60)}
            if draws.chance(0.3):
                net["then"]["learning_rate"] = draws.rate(-4, -2)
        made.append(net)
    return made


# ------------------------------------------------------------------------------- training, digests

OF_SWEEP = ("validation", "record_every")  # a sweep has one of each


# Labels were taken by these losses too when the file was made; kernels still do that.
@mock.patch.object(targets, "_LOSSES_OF_NUMBERS", ("poisson", "quantile"))
def train(nets, dtype, threads=None, **how):
    """Models of nets, and their X: those that one sweep may have together have neighbours."""
    sweeps, models = {}, [None] * len(nets)
    for k, net in enumerate(nets):
        own = k if "alone" in net or "then" in net else None
        of_sweep = (net["settings"].get(name) for name in OF_SWEEP)
        sweeps.setdefault((net["problem"], net["weighted"], *of_sweep, own), []).append(k)
    for (name, weighted, validation, record_every, own), members in sweeps.items():
        X, y = problem(name)
        given = {
            "dtype": dtype,
            "threads": threads,
            "specialise": False,
            **how,
            "progress": False,
            "record_every": record_every,
            "sample_weight": row_weights(len(X)) if weighted else None,
            "validation": problem(name, len(X)) if validation == "pair" else validation,
        }
        grid = [
            {name: value for name, value in nets[k]["settings"].items() if name not in OF_SWEEP}
            for k in members
        ]
        if own is None:
            trained = shoal.sweep(X, y, grid, **given)
        else:
            model = shoal.fit(X, y, **grid[0], **given)
            if "then" in nets[own]:
                model = shoal.fit(X, y, warm_start=model, **nets[own]["then"], **given)
            trained = [model]
        for k, model in zip(members, trained, strict=True):
            models[k] = model, X
    return models


def digest(model, X):
    """Of every bit that is told of a net, but its seconds: 16 hex digits."""
    told = hashlib.sha256()

    def tell(name, array):
        array = np.ascontiguousarray(array)
        told.update(f"{name} {array.dtype.name} {array.shape}".encode())
        told.update(array.astype(array.dtype.newbyteorder("<")).tobytes())

    for k, array in enumerate(model.weights):
        tell(f"weights[{k}]", array)
    for k, array in enumerate(model.biases or ()):
        tell(f"biases[{k}]", array)
    for k, norm in enumerate(model.batch_norm or ()):
        for name in ("scale", "shift", "mean", "variance"):
            tell(f"batch_norm[{k}].{name}", getattr(norm, name))
    for name in ("epoch", "loss", "val_loss", "score", "learning_rate"):
        # epochs from 0, as they were when the file was made
        tell(f"history.{name}", getattr(model.history, name) - (name == "epoch"))
    for name in ("loss", "score", "val_loss", "epochs"):
        tell(f"results.{name}", np.float64(model.results[name]))
    told.update(model.results["status"].encode())
    tell("outputs", model(X))
    return told.hexdigest()[:16]


def digests(nets, dtype, threads=None, **how):
    """A digest for each net. how : keywords that change no bit."""
    return [digest(*trained) for trained in train(nets, dtype, threads, **how)]


# -------------------------------------------------------------------------------------- the file


def read():
    """Nets of the file, with their digests by dtype."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def record():
    """Write the file, and say what has become of the nets and of their bits."""
    before = read() if FILE.exists() else []
    recorded = nets()
    for dtype in DTYPES:
        trained = train(recorded, dtype)
        for net, (model, X) in zip(recorded, trained, strict=True):
            net[dtype] = digest(model, X)
        print(dtype, dict(Counter(model.status for model, _ in trained)))
    lines = ",\n".join(json.dumps(net) for net in recorded)
    FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    others = [_told(net) for net in recorded[: len(before)]] != [_told(net) for net in before]
    changed = [k for k, (a, b) in enumerate(zip(before, recorded, strict=False)) if a != b]
    print(f"{len(recorded)} nets recorded; {'other nets than' if others else 'those of'} before")
    print(f"of {len(before)} lines before changed: {changed or 'none'}")


def _told(net):
    """A net of the file without its bits."""
    return {name: value for name, value in net.items() if name not in DTYPES}


if __name__ == "__main__":
    record()
