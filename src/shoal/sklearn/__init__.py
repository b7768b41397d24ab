"""scikit-learn's nets, trained by Shoal."""

from . import requirements  # noqa: F401  (first: says what is missing)
from .fusion import fused
from .nets import MLPClassifier, MLPRegressor
from .patching import (
    is_patched,
    load_ipython_extension,
    patch,
    patched,
    unload_ipython_extension,
    unpatch,
)
from .searches import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from .telling import FallbackWarning, explain

__all__ = [
    "FallbackWarning",
    "GridSearchCV",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "MLPClassifier",
    "MLPRegressor",
    "RandomizedSearchCV",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "explain",
    "fused",
    "is_patched",
    "load_ipython_extension",
    "patch",
    "patched",
    "unload_ipython_extension",
    "unpatch",
]
