"""asv: sweeps, warm."""

from .warmed import warmed
from .work import Minibatch, Tutorial

ADAM = {"optimizer": "adam", "learning_rate": 1e-3, "dropout": 0.2}
SWEEPS = {
    "4,096 x 3-4-1": Tutorial(4096, 200, "float32"),
    "512 x 4-8-3": Minibatch(512, 1, widths=(4, 8, 3)),
    "256 x 30-16-2": Minibatch(256, 1, widths=(30, 16, 2)),
    "128 x 64-32-10": Minibatch(128, 1),
    "128 x 64-32-10, adam, dropout": Minibatch(128, 1, **ADAM),
    "128 x 64-32-10, adam, dropout, own orders": Minibatch(128, 1, own_order=True, **ADAM),
}


class ManyNets:
    """Float32: 200 epochs of 4 rows, full batch, or one epoch of 1,024 rows, batch 32."""

    params = [list(SWEEPS), [1, 2]]
    param_names = ["nets", "threads"]
    repeat = (5, 20, 1.0)

    def setup(self, nets, threads):
        self.run = warmed(SWEEPS[nets], threads)

    def time_sweep(self, nets, threads):
        self.run()


class TutorialNets:
    """Nets 3-4-1, 200 epochs, one thread."""

    params = [[64, 1024], ["float32", "float64"]]
    param_names = ["nets", "dtype"]
    repeat = (5, 20, 1.0)

    def setup(self, nets, dtype):
        self.run = warmed(Tutorial(nets, 200, dtype))

    def time_sweep(self, nets, dtype):
        self.run()


class Classifiers:
    """Nets 64-32-10, few enough for rows in lanes or many enough for nets in lanes, one thread."""

    params = [[4, 32], ["float32", "float64"]]
    param_names = ["nets", "dtype"]
    repeat = (5, 20, 1.0)

    def setup(self, nets, dtype):
        self.run = warmed(Minibatch(nets, 1, dtype=dtype))

    def time_sweep(self, nets, dtype):
        self.run()
