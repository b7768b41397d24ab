"""scikit-learn's nets, trained by Shoal."""

from .fusion import fused
from .nets import MLPClassifier, MLPRegressor
from .patching import is_patched, patch, patched, unpatch
from .telling import FallbackWarning

__all__ = [
    "FallbackWarning",
    "MLPClassifier",
    "MLPRegressor",
    "fused",
    "is_patched",
    "patch",
    "patched",
    "unpatch",
]
