"""asv: Shoal beside its rivals, by turns in one process on one core."""

from .confine import keep_to
from .real import RealData
from .rivals import (
    c_tutorial,
    fann_tutorial,
    jax_by_hand,
    jax_vmap,
    numpy_tutorial,
    sklearn_mlp,
    torch_batched,
)
from .rows import Race
from .work import Minibatch, Tutorial

WORKS = {
    "one 3-4-1": (Tutorial(1, 10_000, "float64"), [numpy_tutorial, c_tutorial, fann_tutorial]),
    "4,096 x 3-4-1": (Tutorial(4096, 200, "float32"), [jax_by_hand, jax_vmap, torch_batched]),
    "512 x 4-8-3": (Minibatch(512, 1, widths=(4, 8, 3)), [jax_by_hand, jax_vmap, torch_batched]),
    "128 x 64-32-10": (Minibatch(128, 1), [jax_vmap, torch_batched]),
    "one 64-32-10": (Minibatch(1, 10), [jax_vmap, torch_batched]),
    "iris": (RealData("iris", (8,), epochs=100), [sklearn_mlp]),
    "breast cancer": (RealData("breast_cancer", (16,), epochs=10), [sklearn_mlp]),
    "digits": (RealData("digits", (32,), epochs=5), [sklearn_mlp]),
}
RACES = {
    f"{nets}: {rival.NAME}": Race(work, (rival,), None)
    for nets, (work, rivals) in WORKS.items()
    for rival in rivals
}
TURNS = 5


class Rivals:
    """Shoal's time over the rival's: to asv, less is better."""

    params = [list(RACES)]
    param_names = ["race"]
    unit = "of the rival's time"

    def setup(self, race):
        (rival,) = RACES[race].rivals
        if reason := rival.missing():
            raise NotImplementedError(reason)
        keep_to(1)

    def track_share(self, race):
        outcome = RACES[race].measure(TURNS)
        if outcome.errors:
            raise RuntimeError("; ".join(outcome.errors))
        return 1 / outcome.value
