"""Work on scikit-learn's bundled sets: one fit of a classifier, as users write it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .work import loss_of, starts


@dataclass(frozen=True)
class RealData:
    """One classifier with relu and adam on standardised rows, batches of 32, 1e-3.

    Contenders draw their own weights and row orders, from the same distributions.
    """

    name: str  # of sklearn.datasets.load_*
    hidden: tuple[int, ...]
    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    dtype: str = "float32"

    nets = 1
    tolerance = 0.2
    same_step = False

    def __str__(self):
        shape = "-".join(map(str, self.hidden))
        return (
            f"one fit of {self.name}, hidden {shape}, batch {self.batch_size}, adam, {self.dtype}, "
            f"{self.epochs} epochs"
        )

    @property
    def steps(self):
        return self.epochs * -(-len(self.data[0]) // self.batch_size)

    @cached_property
    def data(self):
        """Standardised rows, and labels from 0."""
        from sklearn import datasets
        from sklearn.preprocessing import StandardScaler

        X, y = getattr(datasets, f"load_{self.name}")(return_X_y=True)
        return StandardScaler().fit_transform(X).astype(self.dtype), y

    @property
    def targets(self):
        """What the outputs are held to: one column for two classes, else one a class."""
        y = self.data[1]
        return y[:, np.newaxis].astype(self.dtype) if y.max() == 1 else np.eye(y.max() + 1)[y]

    @property
    def output(self):
        return "softmax" if self.targets.shape[1] > 1 else "sigmoid"

    @cached_property
    def expected(self):
        """Weights before the training of Shoal's seed 0 and after it, by the reference."""
        from shoal import reference

        widths = (self.data[0].shape[1], *self.hidden, self.targets.shape[1])
        weights, biases = starts(1, widths, "glorot_uniform", self.dtype)
        before = [array[0] for pair in zip(weights, biases, strict=True) for array in pair]
        after = [array.copy() for array in before]
        reference.train(
            self.data[0],
            self.targets,
            after[0::2],
            after[1::2],
            activations="relu",
            output=self.output,
            loss="cross_entropy",
            epochs=self.epochs,
            batch_size=self.batch_size,
            shuffle=True,
            reduction="mean",
            optimizer="adam",
            learning_rate=self.learning_rate,
        )
        return before, after

    def error(self, final):
        """Distance of the training loss from the reference's, relative to that at the start."""
        told = (self.data[0], self.targets, self.output)
        before, after = (loss_of(net, *told) for net in self.expected)
        return abs(loss_of([array[0] for array in final], *told) - after) / before
