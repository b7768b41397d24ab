"""What is said about who trained a net."""

import logging
import os
import warnings
import weakref
from typing import Any, Final

log: Final = logging.getLogger("shoal.sklearn")
_said: set[str] = set()
# By net what was said of its last training: not an attribute, so that pickles are scikit-learn's.
_of_nets: "weakref.WeakKeyDictionary[Any, str]" = weakref.WeakKeyDictionary()


class FallbackWarning(UserWarning):
    """A net is trained by scikit-learn's arithmetic, not by Shoal's."""


def strict() -> bool:
    """Whether it is an error that scikit-learn trains: ``SHOAL_STRICT=1``."""
    return os.environ.get("SHOAL_STRICT", "") not in ("", "0")


def note(net: Any, text: str) -> None:
    """Log who trained a net, for `explain` too."""
    log.info("%s: %s", type(net).__name__, text)
    _of_nets[net] = text


def explanation(net: Any) -> str | None:
    """What `note` was told."""
    return _of_nets.get(net)


def fall_back(net: Any, kind: str, reason: str) -> None:
    """Say that scikit-learn trains a net: by a warning the first time for a reason of this kind.

    kind : of which there are few. reason : with the numbers of this net.
    """
    text = f"trained by scikit-learn: {reason}"
    if strict():
        raise RuntimeError(f"{type(net).__name__} would be {text}, and SHOAL_STRICT is set")
    note(net, text)
    if kind not in _said:
        _said.add(kind)
        warnings.warn(f"{type(net).__name__} is {text}", FallbackWarning, stacklevel=3)
