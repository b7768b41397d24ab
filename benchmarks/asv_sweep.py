"""asv: sweeps and one net, warm."""

from .rivals import itself
from .work import Minibatch, Tutorial


class _Training:
    """Compile (or load) everything in setup, so that a sample is training alone."""

    def start(self, work):
        self.run = itself.PREPARE[type(work)](work)
        self.run()


class TutorialSweep(_Training):
    """Nets 3-4-1, full batch, 200 epochs."""

    params = [[64, 4096], ["float32", "float64"]]
    param_names = ["nets", "dtype"]

    def setup(self, nets, dtype):
        self.start(Tutorial(nets, 200, dtype))

    def time_sweep(self, nets, dtype):
        self.run()

    def peakmem_sweep(self, nets, dtype):
        self.run()


class MinibatchSweep(_Training):
    """Classifiers 64-32-10, batches of 32, one epoch of 1,024 rows."""

    params = [16, 128]
    param_names = ["nets"]

    def setup(self, nets):
        self.start(Minibatch(nets, 1))

    def time_sweep(self, nets):
        self.run()


class OneNet(_Training):
    """The tutorial's own net and epochs, float64, through shoal.train."""

    def setup(self):
        self.start(Tutorial(1, 60_000, "float64"))

    def time_train(self):
        self.run()
