"""Shoal trains small neural networks, one or a hundred thousand at once, from numpy arrays.

>>> import numpy as np, shoal
>>> X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
>>> sweep = shoal.sweep(X, [0, 1, 1, 0], {"seed": range(10)}, epochs=200, learning_rate=0.05)
>>> sweep.best.predict(X)
array([0, 1, 1, 0])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .kernels.code import forked as forked

if TYPE_CHECKING:
    from .about import cuda_available, info
    from .inputs.settings import TUTORIAL
    from .model import DivergenceWarning, History, Model, load
    from .network import fit, train
    from .results import Sweep
    from .sweeps import sweep

__version__ = "0.1.0.dev0"

# Names are imported when they are used: `import shoal` stays fast.
_HOME = {
    "DivergenceWarning": "model",
    "History": "model",
    "Model": "model",
    "Sweep": "results",
    "TUTORIAL": "inputs.settings",
    "cuda_available": "about",
    "fit": "network",
    "info": "about",
    "load": "model",
    "sweep": "sweeps",
    "train": "network",
}

__all__ = [
    "TUTORIAL", "DivergenceWarning", "History", "Model", "Sweep", "cuda_available", "fit", "info",
    "load", "sweep", "train",
]  # fmt: skip


if not TYPE_CHECKING:  # to a type checker a misspelt name must stay an error

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'shoal' has no attribute {name!r}")
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
