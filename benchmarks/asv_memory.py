"""asv: the most memory of a process that trains, imports included."""

from .confine import keep_to
from .rivals import itself
from .work import Minibatch, Tutorial

WORKS = {
    "4,096 x 3-4-1": Tutorial(4096, 10, "float32"),
    "100,000 x 3-4-1": Tutorial(100_000, 10, "float32"),
    "128 x 64-32-10": Minibatch(128, 1),
    "one 784-128-10": Minibatch(1, 1, batch_size=64, widths=(784, 128, 10)),
}


class Training:
    """One thread, float32."""

    params = [list(WORKS)]
    param_names = ["nets"]

    def setup_cache(self):
        """Compile in a process that is not measured: that takes more memory than training."""
        keep_to(1)
        for work in WORKS.values():
            itself.PREPARE[type(work)](work)()

    def setup(self, nets):
        keep_to(1)
        self.run = itself.PREPARE[type(WORKS[nets])](WORKS[nets])

    def peakmem_training(self, nets):
        self.run()
