"""asv: training beside the machine's peak of multiply-adds (see `peak`), on one core."""

from .confine import keep_to
from .rows import Peak
from .work import Minibatch

WORKS = {
    "128 x 64-32-10": Minibatch(128, 2),
    "16 x 784-128-10": Minibatch(16, 1, batch_size=64, widths=(784, 128, 10)),
    "one 784-128-10": Minibatch(1, 5, batch_size=64, widths=(784, 128, 10)),
}
TURNS = 3


class Peaks:
    """A training's whole time over that of its matrix products at the peak: less is better."""

    params = [list(WORKS)]
    param_names = ["nets"]
    unit = "times the time at the FMA peak"

    def setup(self, nets):
        keep_to(1)

    def track_time(self, nets):
        share = Peak(WORKS[nets], None).measure(TURNS)
        return 100 / share.value
