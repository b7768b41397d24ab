"""Run a program in which Shoal trains scikit-learn's nets.

python -m shoal.sklearn script.py [arguments]
python -m shoal.sklearn -m module [arguments]
"""

import runpy
import sys

from .patching import patch


def main(arguments: list[str]) -> None:
    """The command."""
    is_module = arguments[:1] == ["-m"]
    target = arguments[int(is_module) :]
    if not target or target[0].startswith("-"):
        sys.exit(__doc__)
    patch()
    sys.argv = target
    if is_module:
        runpy.run_module(target[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = target[0].rpartition("/")[0] or "."
        runpy.run_path(target[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
