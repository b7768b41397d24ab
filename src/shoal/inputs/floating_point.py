"""numpy's floating-point errors: ``np.seterr(all="raise")`` is not meant for what Shoal computes,
where values that overflow or vanish are ordinary."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def without_floating_point_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator of what users call: numpy neither warns nor raises in it.

    Examples
    --------
    >>> with np.errstate(all="raise"):
    ...     without_floating_point_errors(lambda: np.float32(1e-30) ** 2)()
    np.float32(0.0)
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return call
