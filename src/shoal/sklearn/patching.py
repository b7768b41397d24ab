"""scikit-learn's own classes, trained by Shoal."""

from collections.abc import Iterator
from contextlib import contextmanager

from . import theirs
from .lbfgs import fit_lbfgs
from .stochastic import fit_stochastic


def patch() -> None:
    """Let Shoal train scikit-learn's own nets: also those of classes imported before."""
    theirs.Base._fit_stochastic = fit_stochastic
    theirs.Base._fit_lbfgs = fit_lbfgs


def unpatch() -> None:
    """Let scikit-learn train its nets again."""
    theirs.Base._fit_stochastic = theirs.FIT_STOCHASTIC
    theirs.Base._fit_lbfgs = theirs.FIT_LBFGS


def is_patched() -> bool:
    """Whether Shoal trains scikit-learn's own nets."""
    return bool(theirs.Base._fit_stochastic is fit_stochastic)


@contextmanager
def patched() -> Iterator[None]:
    """In the block, Shoal trains scikit-learn's own nets."""
    before = is_patched()
    patch()
    try:
        yield
    finally:
        if not before:
            unpatch()
