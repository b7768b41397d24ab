"""Whether this process is the fork of one that had imported Shoal.

GNU OpenMP ends a forked child that enters it, and threads of other layers are gone there. `shoal`
imports this module at once, as a fork may come before the first training.
"""

import os

is_child = False


def _note() -> None:
    global is_child
    is_child = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note)
