"""Rivals: what a user would write instead. Shoal itself stands beside them, in ``itself``.

Each module has the same four names:

NAME
    What it is called in tables.
missing()
    Why it cannot run here, in a few words, or None.
PREPARE
    From a kind of work to a function: ``PREPARE[type(work)](work)`` gives a function without
    arguments that does the work once, from start to finish; compilation is over after one call.
final(result)
    The final weight arrays, nets first, of what that function returned.
"""
