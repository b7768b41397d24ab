"""asv: one net, warm."""

from .real import RealData
from .warmed import warmed
from .work import Minibatch, Tutorial

SMALL = {
    "3-4-1 by train": Tutorial(1, 20_000, "float64"),
    "3-4-1 by train, specialised": Tutorial(1, 20_000, "float64", specialise=True),
    "iris": RealData("iris", (8,)),
    "breast cancer": RealData("breast_cancer", (16,), epochs=20),
    "digits": RealData("digits", (32,), epochs=10),
    "64-32-10": Minibatch(1, 5),
}
LARGE = {
    "784-128-10": Minibatch(1, 2, batch_size=64, widths=(784, 128, 10)),
    "4-32-16-4, full batch of 10,000": Minibatch(
        1, 5, rows=10_000, batch_size=None, learning_rate=0.01, widths=(4, 32, 16, 4),
        optimizer="adam",
    ),
}  # fmt: skip


class SmallNet:
    """Nets that one thread trains."""

    params = [list(SMALL)]
    param_names = ["net"]
    repeat = (5, 20, 1.0)

    def setup(self, net):
        self.run = warmed(SMALL[net])

    def time_fit(self, net):
        self.run()


class LargeNet:
    """Nets that threads share."""

    params = [list(LARGE), [1, 2]]
    param_names = ["net", "threads"]
    repeat = (5, 20, 1.0)

    def setup(self, net, threads):
        self.run = warmed(LARGE[net], threads)

    def time_fit(self, net, threads):
        self.run()
