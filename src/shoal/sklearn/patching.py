"""scikit-learn's own classes, trained by Shoal."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import theirs
from .lbfgs import fit_lbfgs
from .searches import fusing, has_net
from .stochastic import fit_stochastic


def _call_in_parallel(self: Any, iterable: Any) -> Any:
    """What scikit-learn's `Parallel` does; where its first task has a net to fit, in `fused`."""
    tasks = iter(iterable)
    first = next(tasks, None)
    if first is None:
        return theirs.PARALLEL_CALL(self, ())
    tasks = itertools.chain([first], tasks)
    _, args, kwargs = first
    nets = [each for each in (*args, *kwargs.values()) if has_net(each)]
    if not nets:
        return theirs.PARALLEL_CALL(self, tasks)
    with fusing(nets[0]):
        # joblib has made 1 of None, which stands for all threads here
        n_jobs = None if self.n_jobs == 1 else self.n_jobs
        again = type(self)(n_jobs, verbose=self.verbose, pre_dispatch=self.pre_dispatch)
        return theirs.PARALLEL_CALL(again, tasks)


def patch(searches: bool = True) -> None:
    """Let Shoal train scikit-learn's own nets, also those of classes imported before.

    Parameters
    ----------
    searches : bool
        Whether nets that scikit-learn fits in parallel, such as in a search or in
        cross-validation, are trained as one sweep.

    Examples
    --------
    >>> import shoal.sklearn
    >>> shoal.sklearn.patch()
    >>> shoal.sklearn.is_patched()
    True
    >>> shoal.sklearn.unpatch()
    """
    if (problem := theirs.unknown()) is not None:
        theirs.warn_of_unknown(problem)
        return
    theirs.Base._fit_stochastic = fit_stochastic
    theirs.Base._fit_lbfgs = fit_lbfgs
    if searches:
        theirs.Parallel.__call__ = _call_in_parallel


def unpatch() -> None:
    """Let scikit-learn train its nets again."""
    theirs.Base._fit_stochastic = theirs.FIT_STOCHASTIC
    theirs.Base._fit_lbfgs = theirs.FIT_LBFGS
    theirs.Parallel.__call__ = theirs.PARALLEL_CALL


def is_patched() -> bool:
    """Whether Shoal trains scikit-learn's own nets."""
    return bool(theirs.Base._fit_stochastic is fit_stochastic)


@contextmanager
def patched(searches: bool = True) -> Iterator[None]:
    """In the block, Shoal trains scikit-learn's own nets. searches : of `patch`."""
    before = is_patched(), theirs.Parallel.__call__
    patch(searches)
    try:
        yield
    finally:
        if not before[0]:
            unpatch()
        theirs.Parallel.__call__ = before[1]


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext shoal.sklearn``."""
    patch()


def unload_ipython_extension(ipython: Any) -> None:
    """``%unload_ext shoal.sklearn``."""
    unpatch()
