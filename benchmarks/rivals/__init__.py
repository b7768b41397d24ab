"""Rivals: what a user would write instead. Shoal itself stands beside them, in ``itself``.

Each module has the same four names:

NAME
    What it is called in tables.
missing()
    Why it cannot run here, in a few words, or None.
PREPARE
    From a kind of work to a function: ``PREPARE[type(work)](work)`` gives a function without
    arguments that does the work once, from start to finish; compilation is over after one call.
    It raises `Unsuited` for work of that kind which the rival cannot do.
final(result)
    The final weight arrays, nets first, of what that function returned.

A rival whose step cannot be the work's own has, in place of ``final``, ``outputs(result)``: what
its net answers for the work's rows.
"""

import math
import time
from dataclasses import replace


class Unsuited(ValueError):
    """The rival cannot do this work; the message says why."""


def fastest(forms, work):
    """Prepare the fastest of a rival's forms, found by trial on an eighth of the work.

    Parameters
    ----------
    forms : dict
        From a form's name to its ``prepare(work)``. One that cannot run here is passed over, unless
        all are like it: torch.compile, for one, needs a C++ compiler.

    Returns
    -------
    function
        Its attribute ``form`` is the name.
    """
    trial = replace(work, epochs=max(1, work.epochs // 8))
    seconds, failure = {}, None
    for name, prepare in forms.items():
        try:
            seconds[name] = _lowest(prepare(trial))
        except Exception as problem:
            failure = problem
    if not seconds:
        raise failure
    best = min(seconds, key=seconds.get)
    run = forms[best](work)
    run.form = best
    return run


def _lowest(run, calls=3):
    """Return the least time of some calls, after one that compiles."""
    run()
    least = math.inf
    for _ in range(calls):
        start = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - start)
    return least
