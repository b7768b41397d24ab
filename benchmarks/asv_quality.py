"""asv: how wrong trained nets are on rows that they have not seen; the same in every run."""

from .confine import keep_to
from .quality import OPTIMIZERS, PROBLEMS, settings_of

SEEDS = 4


class TestRows:
    """The settings of `benchmarks.quality`: 5 folds, a sweep over 4 seeds on each.

    What is tracked is 1 - accuracy, or 1 - R2: to asv, less is better.
    """

    params = [list(PROBLEMS), list(OPTIMIZERS)]
    param_names = ["data", "optimizer"]
    unit = "1 - score"

    def setup(self, data, optimizer):
        keep_to(1)

    def track_shortfall(self, data, optimizer):
        import numpy as np

        import shoal

        scores = []
        for X, y, X_test, y_test in PROBLEMS[data].folds():
            settings = settings_of(PROBLEMS[data], optimizer, len(X))
            sweep = shoal.sweep(X, y, {"seed": range(SEEDS)}, **settings)
            if not (sweep.results["status"] == "finished").all():
                raise ArithmeticError("a net diverged")  # NaN would read as n/a
            scores += [net.score(X_test, y_test) for net in sweep]
        return 1 - float(np.mean(scores))
