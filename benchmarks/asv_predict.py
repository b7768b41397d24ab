"""asv: the outputs of one trained net, warm."""

import functools

import numpy as np

from .confine import keep_to

NETS = {"4-8-3": (4, 8, 3), "64-32-10": (64, 32, 10), "784-128-10": (784, 128, 10)}
ROWS = 20_000
CALLS = 100


@functools.cache  # asv calls setup before each sample, in one process
def trained(net, rows, threads=1):
    """Return a net that has answered once, and the rows."""
    keep_to(threads)
    import shoal

    inputs, *hidden, outputs = NETS[net]
    X = np.random.default_rng(0).normal(size=(rows, inputs)).astype(np.float32)
    model = shoal.fit(X[:1].repeat(outputs, axis=0), np.arange(outputs), hidden=hidden, epochs=1)
    if model(X).shape != (rows, outputs):
        raise ArithmeticError(f"outputs {model(X).shape} for {rows} rows")
    return model, X


class ManyRows:
    """20,000 rows in one call, float32."""

    params = [list(NETS), [1, 2]]
    param_names = ["net", "threads"]
    repeat = (5, 20, 1.0)

    def setup(self, net, threads):
        self.model, self.X = trained(net, ROWS, threads)

    def time_outputs(self, net, threads):
        self.model(self.X)


class OneRow:
    """A hundred calls, a row each, float32."""

    params = [list(NETS)]
    param_names = ["net"]
    repeat = (5, 20, 1.0)

    def setup(self, net):
        self.model, X = trained(net, CALLS)
        self.rows = [row[np.newaxis] for row in X]

    def time_outputs(self, net):
        for row in self.rows:
            self.model(row)
