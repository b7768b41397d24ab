"""The work that Shoal and its rivals are timed on: data, starting weights, and the right answer.

Everybody starts from the weights that Shoal's seeds give and sees the rows in Shoal's order, so
what they end with can be compared, and is (``error``).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Tutorial:
    """N nets 3-4-1 on the tutorial's four rows; full batch, summed gradients, learning rate 1."""

    nets: int
    epochs: int
    dtype: str

    def __str__(self):
        return f"{self.nets:,} x 3-4-1, {self.dtype}, {self.epochs:,} epochs"

    @property
    def steps(self):
        return self.nets * self.epochs

    @cached_property
    def data(self):
        X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], self.dtype)
        return X, np.array([[0], [1], [1], [0]], self.dtype)

    @cached_property
    def start(self):
        """The initial [(N, 3, 4), (N, 4, 1)] weights of seeds 0 to N - 1."""
        return _starts(self.nets, (3, 4, 1), "uniform", self.dtype)[0]

    def expected(self):
        """Final weights of net 0, by the reference."""
        from shoal import TUTORIAL, reference

        weights = [w[0].copy() for w in self.start]
        settings = {
            name: TUTORIAL[name]
            for name in ("output", "loss", "reduction", "optimizer", "learning_rate")
        }
        reference.train(
            *self.data, weights, None, activations=["sigmoid"], epochs=self.epochs, **settings
        )
        return weights


@dataclass(frozen=True)
class Minibatch:
    """N classifiers 64-32-10 with relu, softmax and sgd on one set of rows, in one row order."""

    nets: int
    epochs: int
    rows: int = 1024
    batch_size: int = 32
    learning_rate: float = 0.1
    dtype: str = "float32"
    widths = (64, 32, 10)

    def __str__(self):
        shape = "-".join(map(str, self.widths))
        return f"{self.nets:,} x {shape}, batch {self.batch_size}, {self.dtype}"

    @property
    def steps(self):
        return self.nets * self.epochs * (self.rows // self.batch_size)

    @cached_property
    def data(self):
        """Rows and their labels, all of 0 to 9 among them."""
        generator = np.random.default_rng(0)
        X = generator.normal(size=(self.rows, self.widths[0])).astype(self.dtype)
        return X, (X @ generator.normal(size=(self.widths[0], self.widths[-1]))).argmax(axis=1)

    @property
    def one_hot(self):
        return np.eye(self.widths[-1], dtype=self.dtype)[self.data[1]]

    @cached_property
    def start(self):
        """The initial [weights, biases, weights, biases], nets first."""
        weights, biases = _starts(self.nets, self.widths, "he_uniform", self.dtype)
        return [array for pair in zip(weights, biases, strict=True) for array in pair]

    @cached_property
    def orders(self):
        """The (epochs, rows) row orders of shuffle seed 0."""
        from shoal import reference

        return np.array([reference.row_order(0, e, self.rows) for e in range(self.epochs)], "int32")

    def expected(self):
        """Final weights of net 0, by the reference."""
        from shoal import reference

        final = [array[0].copy() for array in self.start]
        reference.train(
            self.data[0],
            self.one_hot,
            final[0::2],
            final[1::2],
            activations=["relu"],
            output="softmax",
            loss="cross_entropy",
            epochs=self.epochs,
            batch_size=self.batch_size,
            shuffle=True,
            shuffle_seed=0,
            reduction="mean",
            optimizer="sgd",
            learning_rate=self.learning_rate,
        )
        return final


def error(final, work):
    """Largest error of net 0, relative to the largest element of each array."""
    pairs = zip(final, work.expected(), strict=True)
    return max(np.abs(got[0] - right).max() / np.abs(right).max() for got, right in pairs)


def _starts(nets, widths, init, dtype):
    from shoal import reference

    each = [reference.initial_weights(widths, init, seed, dtype) for seed in range(nets)]
    weights = [np.stack(layer) for layer in zip(*(net[0] for net in each), strict=True)]
    biases = [np.stack(layer) for layer in zip(*(net[1] for net in each), strict=True)]
    return weights, biases
