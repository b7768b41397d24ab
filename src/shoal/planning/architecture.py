"""What all nets of a block have in common, and how their numbers are laid out."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..inputs.settings import check_rows, check_together, dropout_rates
from ..inputs.targets import Target
from ..kernels import codes, layout

ACTIVATION_CODES = {
    "identity": codes.IDENTITY,
    "sigmoid": codes.SIGMOID,
    "tanh": codes.TANH,
    "relu": codes.RELU,
    "leaky_relu": codes.LEAKY_RELU,
    "elu": codes.ELU,
    "selu": codes.SELU,
    "gelu": codes.GELU,
    "silu": codes.SILU,
    "softplus": codes.SOFTPLUS,
    "exp": codes.EXP,
    "softmax": codes.SOFTMAX,
}
LOSS_CODES = {
    "squared_error": codes.SQUARED_ERROR,
    "absolute_error": codes.ABSOLUTE_ERROR,
    "huber": codes.HUBER,
    "quantile": codes.QUANTILE,
    "cross_entropy": codes.CROSS_ENTROPY,
    "poisson": codes.POISSON,
}
OPTIMIZER_CODES = {
    "sgd": codes.SGD,
    "rmsprop": codes.RMSPROP,
    "adagrad": codes.ADAGRAD,
    "adam": codes.ADAM,
    "adamw": codes.ADAM,
    "rprop": codes.RPROP,
}
SCHEDULE_CODES = {
    "constant": codes.CONSTANT,
    "step": codes.STEP,
    "exponential": codes.EXPONENTIAL,
    "cosine": codes.COSINE,
    "invscaling": codes.INVSCALING,
    "adaptive": codes.ADAPTIVE,
}
RELU_LIKE = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus")


def every_of(epochs: int, record_every: int | None) -> int:
    """Epochs between records."""
    return record_every or max(1, -(-epochs // 100))


def _given(value: Any) -> bool:
    return value is not None


def _itself(value: Any) -> Any:
    return value


def _drops(dropout: float | tuple[float, ...]) -> tuple[bool, bool]:
    """Whether inputs, and whether hidden units, are dropped."""
    if isinstance(dropout, tuple):
        return dropout[0] > 0, any(rate > 0 for rate in dropout[1:])
    return False, dropout > 0


# What makes two nets of one block: all but the scalars and the seeds, which may differ by lane. Of
# scalars that a net may do without, whether it does: 0 * w is another operation than none.
STRUCTURAL: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(
        ("hidden", "activation", "output", "loss", "bias", "init", "batch_size", "shuffle",
         "reduction", "optimizer", "nesterov", "batch_norm", "class_weight"),
        _itself,
    ),
    "dropout": _drops,
    "momentum": bool,
    "l1": bool,
    "l2": bool,
    "weight_decay": bool,
    "clip_delta": _given,
    "clip_norm": _given,
    "patience": _given,
    "schedule": lambda value: (value == "adaptive", value == "constant"),
    "warmup_epochs": bool,
}  # fmt: skip


class Rules(NamedTuple):
    """What nets go by besides their settings: details in which libraries differ.

    Attributes
    ----------
    ties_improve : bool
        Whether a monitored loss that equals the best one less the tolerance is an improvement.
    penalty_by_batch : bool
        Whether a penalty is added to the batch's sum of gradients, before that is divided.
    epsilon_first : bool
        Whether adam adds epsilon before its bias correction.
    whole_losses : bool
        Whether training losses have their penalty, and batches count by their rows.
    watched : int
        What patience goes by: a code.
    keeps_best : bool
        Whether a net that has patience ends with its best weights.
    given_orders : bool
        Whether rows are given in the order of each epoch.
    """

    ties_improve: bool = False
    penalty_by_batch: bool = False
    epsilon_first: bool = False
    whole_losses: bool = False
    watched: int = codes.VALIDATION_LOSS
    keeps_best: bool = True
    given_orders: bool = False


SHOAL = Rules()


class Architecture(NamedTuple):
    """What all nets of a block have in common."""

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    output: str
    loss: str
    bias: bool
    init: str
    every: int  # epochs between records
    batch: int
    shuffle: bool
    mean: bool
    optimizer: int
    batch_norm: bool = False
    class_weight: Any = None
    penalised: bool = False
    decays: bool = False
    clips_deltas: bool = False
    clips_norm: bool = False
    drops: bool = False
    drops_inputs: bool = False
    scheduled: bool = False
    monitored: bool = False  # whether the losses of its epochs have consequences
    keeps_best: bool = False
    rules: Rules = SHOAL

    def longest_batch(self, rows: int) -> int:
        """Rows of the largest batch: with batch norm, which needs two rows, a single one that would
        be left over joins the batch before."""
        return self.batch + int(self.batch_norm and rows > self.batch and rows % self.batch == 1)

    @classmethod
    def of(
        cls,
        settings: dict[str, Any],
        target: Target,
        rows: int,
        inputs: int,
        rules: Rules = SHOAL,
    ) -> "Architecture":
        """Architecture of one net with these settings on data of this size."""
        settings = check_together(settings)
        check_rows(settings, rows)
        output, loss, outputs = target.resolve(settings["output"], settings["loss"])
        batch = min(settings["batch_size"] or rows, rows)
        batch_norm = settings["batch_norm"] and len(settings["hidden"]) > 0
        if batch_norm and rows == batch + 1:  # a single row joins the batch before
            batch = rows
        optimizer = OPTIMIZER_CODES[settings["optimizer"]]
        if settings["momentum"]:
            optimizer = codes.NESTEROV if settings["nesterov"] else codes.MOMENTUM
        drops_inputs, drops = _drops(dropout_rates(settings))
        return cls(
            widths=(inputs, *settings["hidden"], outputs),
            activations=settings["activation"],
            output=output,
            loss=loss,
            bias=settings["bias"],
            init=settings["init"],
            every=every_of(settings["epochs"], settings["record_every"]),
            batch=batch,
            shuffle=rules.given_orders or (settings["shuffle"] and batch < rows),
            mean=settings["reduction"] == "mean",
            optimizer=optimizer,
            batch_norm=batch_norm,
            class_weight=settings["class_weight"],
            penalised=settings["l1"] > 0 or settings["l2"] > 0,
            decays=settings["weight_decay"] > 0,
            clips_deltas=settings["clip_delta"] is not None,
            clips_norm=settings["clip_norm"] is not None,
            drops=drops,
            drops_inputs=drops_inputs,
            scheduled=settings["schedule"] != "constant" or settings["warmup_epochs"] > 0,
            monitored=settings["schedule"] == "adaptive" or settings["patience"] is not None,
            keeps_best=settings["patience"] is not None and rules.keeps_best,
            rules=rules,
        )


class Layers(NamedTuple):
    """Where a net's parameters stand."""

    table: NDArray[np.int64]  # (layers, COLUMNS), which kernels read
    parameters: int  # P, that are trained
    statistics: int  # running ones of batch norm, behind them

    @property
    def size(self) -> int:
        """Numbers of a net."""
        return self.parameters + self.statistics


def positions(architecture: Architecture) -> Layers:
    """Lay out the parameters of nets of this architecture."""
    rows, p, v, r = [], 0, 0, 0
    names = (*architecture.activations, architecture.output)
    for k, (inputs, units) in enumerate(pairwise(architecture.widths)):
        start, biases, scales = p, -1, -1
        p += inputs * units
        if architecture.bias:
            biases, p = p, p + units
        normalised = architecture.batch_norm and k < len(architecture.activations)
        if normalised:
            scales, p = p, p + 2 * units
        statistics, r = (r, r + 2 * units) if normalised else (-1, r)
        code = ACTIVATION_CODES[names[k]]
        rows.append([inputs, units, start, biases, code, v, scales, statistics])
        v += units
    for row in rows:
        if row[layout.STATISTICS] >= 0:
            row[layout.STATISTICS] += p
    return Layers(np.array(rows, np.int64), p, r)


def initial_factors(architecture: Architecture) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Kind of random number and factor of each layer's initial weights.

    Sources: Glorot & Bengio 2010, He et al. 2015, LeCun et al. 1998.
    """
    kinds, factors = [], []
    names = (*architecture.activations, architecture.output)
    for inputs, units, name in zip(
        architecture.widths[:-1], architecture.widths[1:], names, strict=True
    ):
        init = architecture.init
        if init == "auto":
            init = "he_uniform" if name in RELU_LIKE else "glorot_uniform"
        kinds.append(codes.NORMAL if init.endswith("normal") else codes.UNIFORM)
        square = {
            "uniform": 1.0,
            "glorot_uniform": 6.0 / (inputs + units),
            "glorot_normal": 2.0 / (inputs + units),
            "he_uniform": 6.0 / inputs,
            "he_normal": 2.0 / inputs,
            "lecun_normal": 1.0 / inputs,
        }[init]
        factors.append(np.sqrt(square))
    return np.array(kinds, np.int64), np.array(factors, np.float64)
