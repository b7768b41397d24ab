"""Shoal ready for work, for the suites of asv."""

import functools

from .confine import keep_to
from .rivals import itself
from .rows import checked_run


@functools.cache  # asv calls setup before each sample, in one process
def warmed(work, threads=1):
    """Return a function that does the work by Shoal.

    It has done it once: kernels are compiled or loaded, and its result was right.
    """
    keep_to(threads)
    return checked_run(itself, work)
