"""What is needed besides Shoal itself."""

_NEEDED = (1, 7)
_HOW = 'shoal.sklearn needs scikit-learn 1.7: pip install "shoal[sklearn]"'

try:
    import sklearn
except ImportError:
    raise ImportError(_HOW) from None

if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < _NEEDED:
    raise ImportError(f"{_HOW} (this is {sklearn.__version__})")
