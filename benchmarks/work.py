"""The work that Shoal and its rivals are timed on: data, starting weights, and the right answer.

Everybody starts from the weights that Shoal's seeds give and sees the rows in Shoal's order, so
what they end with can be compared, and is (``error``). Each kind of work has:

error(final)
    How far final weight arrays, nets first, are from the right answer.
tolerance
    The largest error at which a contender is taken to have done the work.
same_step
    Whether the step of all contenders is the same, number by number. Then the error is the largest
    one of net 0, relative to the largest element of each array; else it is that of net 0's loss.
"""

import functools
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Tutorial:
    """N nets of sigmoids on the tutorial's four rows; full batch, summed gradients, rate 1.

    specialise : of the one net that Shoal trains by ``train``.
    """

    nets: int
    epochs: int
    dtype: str
    widths: tuple = (3, 4, 1)
    momentum: float = 0.0
    specialise: bool | None = None

    tolerance = 0.05
    same_step = True

    def __str__(self):
        nets = "one net" if self.nets == 1 else f"{self.nets:,} x"
        shape = "-".join(map(str, self.widths))
        momentum = f", momentum {self.momentum}" if self.momentum else ""
        how = ", specialised" if self.specialise else ""
        return f"{nets} {shape}, {self.dtype}, {self.epochs:,} epochs of 4 rows{momentum}{how}"

    @property
    def steps(self):
        return self.nets * self.epochs

    @cached_property
    def data(self):
        X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], self.dtype)
        y = [0, 1, 1, 0] if len(self.widths) > 2 else [0, 0, 1, 1]  # which two layers can learn
        return X, np.array(y, self.dtype)[:, np.newaxis]

    @property
    def start(self):
        """The initial [(N, 3, 4), (N, 4, 1)] weights of seeds 0 to N - 1."""
        return starts(self.nets, self.widths, "uniform", self.dtype)[0]

    @cached_property
    def expected(self):
        """Final weights of net 0, by the reference."""
        from shoal import TUTORIAL, reference

        weights = [w[0].copy() for w in self.start]
        settings = {
            name: TUTORIAL[name]
            for name in ("output", "loss", "reduction", "optimizer", "learning_rate")
        }
        hidden = ["sigmoid"] * (len(self.widths) - 2)
        reference.train(
            *self.data, weights, None, activations=hidden, epochs=self.epochs,
            momentum=self.momentum, **settings,
        )  # fmt: skip
        return weights

    def error(self, final):
        return largest_error(final, self.expected)


@dataclass(frozen=True)
class Minibatch:
    """N classifiers with relu and softmax on one set of rows."""

    nets: int
    epochs: int
    rows: int = 1024
    batch_size: int | None = 32  # which divides the rows; None: all
    learning_rate: float = 0.1
    dtype: str = "float32"
    widths: tuple[int, ...] = (64, 32, 10)
    optimizer: str = "sgd"  # or adam
    dropout: float = 0.0  # of hidden layers
    own_order: bool = False  # whether each net shuffles for itself; else all nets do alike

    def __str__(self):
        nets = "one net" if self.nets == 1 else f"{self.nets:,} x"
        shape = "-".join(map(str, self.widths))
        batch = "full batch" if self.batch_size is None else f"batch {self.batch_size}"
        dropout = f", dropout {self.dropout:g}" if self.dropout else ""
        order = ", each in its own order" if self.own_order else ""
        return (
            f"{nets} {shape}, {batch}, {self.optimizer}{dropout}{order}, {self.dtype}, "
            f"{self.epochs:,} epochs of {self.rows:,} rows"
        )

    @property
    def batch(self):
        """Rows of a step."""
        return self.batch_size or self.rows

    @property
    def steps(self):
        return self.nets * self.epochs * (self.rows // self.batch)

    @property
    def flops(self):
        """Two for each multiply-add of the matrix products that training cannot do without.

        That is forward, the deltas passed back (but not to the inputs) and the gradients.
        """
        products = [a * b for a, b in zip(self.widths, self.widths[1:], strict=False)]
        return 2 * (3 * sum(products) - products[0]) * self.nets * self.epochs * self.rows

    @property
    def same_step(self):
        return self.dropout == 0 and not self.own_order

    @property
    def tolerance(self):
        return 0.05 if self.same_step else 0.2

    @cached_property
    def data(self):
        """Rows and their labels, all of 0 to the last among them."""
        generator = np.random.default_rng(0)
        X = generator.normal(size=(self.rows, self.widths[0])).astype(self.dtype)
        return X, (X @ generator.normal(size=(self.widths[0], self.widths[-1]))).argmax(axis=1)

    @property
    def one_hot(self):
        return np.eye(self.widths[-1], dtype=self.dtype)[self.data[1]]

    @property
    def start(self):
        """The initial [weights, biases, weights, biases, ...], nets first."""
        weights, biases = starts(self.nets, self.widths, "he_uniform", self.dtype)
        return [array for pair in zip(weights, biases, strict=True) for array in pair]

    @property
    def batches(self):
        """The (steps, rows of a step) numbers of rows, in the order that all nets share."""
        return row_orders(self.epochs, self.rows, self.batch_size is not None).reshape(
            -1, self.batch
        )

    @cached_property
    def expected(self):
        """Final weights of net 0, by the reference."""
        from shoal import reference

        final = [array[0].copy() for array in self.start]
        reference.train(
            self.data[0],
            self.one_hot,
            final[0::2],
            final[1::2],
            activations="relu",
            output="softmax",
            loss="cross_entropy",
            epochs=self.epochs,
            batch_size=self.batch_size,
            shuffle=self.batch_size is not None,
            shuffle_seed=0,
            reduction="mean",
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            dropout=self.dropout,
        )
        return final

    def error(self, final):
        if self.same_step:
            return largest_error(final, self.expected)
        if [array.shape for array in final] != [array.shape for array in self.start]:
            return np.inf
        told = (self.data[0], self.one_hot, "softmax")
        before = loss_of([array[0] for array in self.start], *told)
        after = loss_of([array[0] for array in final], *told)
        return abs(after - loss_of(self.expected, *told)) / before if after < before else np.inf


def error(contender, result, work):
    """How far a contender's result is from the right answer: see above, and ``rivals``."""
    if hasattr(contender, "outputs"):
        return float(np.abs(contender.outputs(result) - work.data[1]).mean())
    return float(work.error(contender.final(result)))


def largest_error(final, expected):
    """Largest error of net 0, relative to the largest element of each array."""
    pairs = zip(final, expected, strict=True)
    return max(np.abs(got[0] - right).max() / np.abs(right).max() for got, right in pairs)


def loss_of(net, X, y, output):
    """Cross-entropy of one net, [weights, biases, ...], in prediction."""
    from shoal import reference

    parts = {"weights": net[0::2], "biases": net[1::2]}
    settings = {"activations": "relu", "output": output, "loss": "cross_entropy"}
    return float(reference.evaluate(X, y, **parts, **settings)[0])


@functools.cache
def starts(nets, widths, init, dtype):
    """Initial weights and biases of seeds 0 to N - 1: a list of each, nets first."""
    from shoal import reference

    each = [reference.initial_weights(widths, init, seed, dtype) for seed in range(nets)]
    weights = [np.stack(layer) for layer in zip(*(net[0] for net in each), strict=True)]
    biases = [np.stack(layer) for layer in zip(*(net[1] for net in each), strict=True)]
    return weights, biases


@functools.cache
def row_orders(epochs, rows, shuffled):
    """The (epochs, rows) row orders of shuffle seed 0, or those of the data."""
    from shoal import reference

    if not shuffled:
        return np.tile(np.arange(rows, dtype=np.int32), (epochs, 1))
    return np.array([reference.row_order(0, epoch, rows) for epoch in range(epochs)], np.int32)
