"""Few cores for a process, so that what is measured does not hang on how many are idle."""

import contextlib
import os

from .machine import cores


def keep_to(count):
    """Leave this process ``count`` cores, and as many threads to every library.

    It comes before numba, JAX and torch are imported: they count the cores then. Where there are
    fewer it raises NotImplementedError, for which asv shows n/a.
    """
    if cores() < count:
        raise NotImplementedError(f"{count} cores are needed")
    os.environ["NUMBA_NUM_THREADS"] = str(count)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    with contextlib.suppress(ImportError):  # it comes with scikit-learn
        from threadpoolctl import threadpool_limits

        threadpool_limits(count)  # of numpy, which has counted the cores long before
