"""scikit-learn's callbacks (from 1.9 on): told of the fit, and of each epoch in it."""

from typing import Any

from .fits import Parameters
from .training import Training

try:
    from sklearn.callback import AutoPropagatedCallback, CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9 has none

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing."""


__all__ = ["CallbackSupportMixin", "Epochs"]


class Epochs:
    """The epochs of one fit, as tasks that callbacks are told of.

    Parameters
    ----------
    net : MLPClassifier or MLPRegressor
    X, y : array-like
        As `fit` was given them.
    metadata : dict or None
        The sample weights, if there are any.
    """

    def __init__(self, net: Any, X: Any, y: Any, metadata: dict[str, Any] | None) -> None:
        self._net, self._data = net, {"X": X, "y": y, "metadata": metadata}
        tasks = 0 if net.solver == "lbfgs" else net.max_iter
        self._fit = net._init_callback_context(max_subtasks=tasks)
        self._epoch: Any = None
        self._fit.call_on_fit_task_begin(estimator=net, **self._data)

    @property
    def can_wait(self) -> bool:
        """Whether all callbacks are those of a search or of another estimator around the net, which
        see no net and may be told of its epochs once it is trained."""
        return all(isinstance(each, AutoPropagatedCallback) for each in self._net._skl_callbacks)

    def begin(self) -> None:
        """An epoch begins."""
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self._net, **self._data)

    def end(self, parameters: Parameters | None = None) -> bool:
        """An epoch has ended; return whether a callback wants no more of them."""
        attributes: dict[str, Any] | None = None
        if parameters is not None:
            attributes = {"coefs_": parameters.coefs, "intercepts_": parameters.intercepts}
            if parameters.norms is not None:
                attributes["batch_norms_"] = parameters.norms
        stop: bool = self._epoch.call_on_fit_task_end(
            estimator=self._net, **self._data, reconstruction_attributes=attributes
        )
        return stop

    def look(self, training: Training) -> bool:
        """After each epoch of the net's training."""
        stop = self.end(training.parameters(0))
        if training.is_running(0) and not stop:
            self.begin()
        return stop

    def tell(self, epochs: int) -> None:
        """After the training, of all epochs."""
        for _ in range(epochs):
            self.begin()
            self.end()

    def finish(self) -> None:
        """The fit has ended well."""
        self._fit.call_on_fit_task_end(
            estimator=self._net, **self._data, reconstruction_attributes={}
        )
