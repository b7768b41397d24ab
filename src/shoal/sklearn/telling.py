"""What is said about who trained a net."""

import logging
import os
import warnings
import weakref
from collections.abc import Iterator
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


def explain(estimator: Any) -> str:
    """Who trained a net, or the nets of a search or of another estimator, and how.

    Parameters
    ----------
    estimator : estimator
        A net, or what holds nets.

    Returns
    -------
    str
        A line a net that is held: its place, and what is known of its last training in this
        process.

    Examples
    --------
    >>> from shoal.sklearn import MLPClassifier, explain
    >>> net = MLPClassifier((4,), tol=0.1, n_iter_no_change=4, random_state=0)
    >>> explain(net.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]))
    'MLPClassifier is trained by Shoal: 6 epochs'
    """
    lines = [f"{place}{type(each).__name__} {_of_nets[each]}" for place, each in _held(estimator)]
    return "\n".join(lines) or f"{type(estimator).__name__}: nothing is known of its training"


def _held(estimator: Any, place: str = "", depth: int = 3) -> Iterator[tuple[str, Any]]:
    """(place, estimator) of what is known, inside an estimator."""
    try:
        known = estimator in _of_nets
    except TypeError:  # no hash, or no weak reference
        return
    if known:
        yield place, estimator
    if depth == 0 or not hasattr(estimator, "get_params"):
        return
    for name, value in vars(estimator).items():
        items = value if isinstance(value, list | tuple) else [value]
        for item in items:
            part = item[-1] if isinstance(item, tuple) and item else item
            if hasattr(part, "get_params"):
                yield from _held(part, f"{place}{name}: ", depth - 1)


def fall_back(net: Any, kind: str, reason: str, what: str = "is trained by scikit-learn") -> None:
    """Say that scikit-learn trains a net: by a warning the first time for a reason of this kind.

    kind : of which there are few. reason : with the numbers of this net.
    """
    text = f"{what}: {reason}"
    if strict():
        raise RuntimeError(f"{type(net).__name__} {text}, but SHOAL_STRICT is set")
    note(net, text)
    if kind not in _said:
        _said.add(kind)
        warnings.warn(f"{type(net).__name__} {text}", FallbackWarning, stacklevel=3)
