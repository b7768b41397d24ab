"""Training by L-BFGS: scikit-learn's method, with the loss and gradient of all rows fused."""

from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import layout
from ..kernels.launching import parallel
from . import theirs
from .extensions import beyond, check, weights_of_rows
from .fits import Fit, Parameters
from .stochastic import kind_of, leave_to_scikit_learn, reason_against, rows_of, settings_of
from .telling import note
from .training import Training


class _Objective:
    """Loss and gradient of a net on some rows, as a function of its packed parameters.

    One step of a rate of -1 and without momentum leaves the gradient as its velocity.
    """

    def __init__(
        self, net: Any, X: Any, y: NDArray[Any], weights: NDArray[Any] | None, dtype: Any
    ) -> None:
        rows = rows_of(X, y, weights, dtype)
        settings = settings_of(net, len(rows.X)) | {
            "batch_size": len(rows.X),
            "epochs": 1,
            "optimizer": "sgd",
            "learning_rate": -1.0,
            "momentum": 0.5,  # for a velocity; set to 0 below
        }
        start = Parameters(net.coefs_, net.intercepts_)
        fit = Fit(
            kind=kind_of(net), settings=settings, rows=rows, held_out=None, watched="loss",
            generator=None, start=start, moments=[], steps=0, seen=0, best=np.inf, waited=0,
            patience=np.inf, learning_rate=-1.0,
        )  # fmt: skip
        self._net, self._training = net, Training([fit])
        trained = self._training.trained[0]
        self._state, task = trained.state, trained.block.task
        self._state.rates[:, layout.MOMENTUM_RATE] = 0
        self._slices = [(0, 0, 1, 0, task.epoch_tiles)]
        self._calls = self._training.calls(seconds=np.inf)
        self._call = self._calls.shared(0)
        # where the net's vector has the kernels' parameters
        numbers: list[list[NDArray[Any]]] = []
        at = 0
        for arrays in (net.coefs_, net.intercepts_):
            numbers.append([])
            for array in arrays:
                numbers[-1].append(np.arange(at, at + array.size).reshape(array.shape))
                at += array.size
        self._order = self._training.packed(
            Parameters(numbers[0], numbers[1]), trained.block, np.int64
        )

    def following(self) -> AbstractContextManager[None]:
        """Threads that share the net are there in the block, if there are any."""
        return self._calls.following()

    def __call__(self, vector: NDArray[Any], *arguments: Any) -> tuple[float, NDArray[Any]]:
        """Loss and gradient, as scikit-learn's function of these arguments returns them."""
        state = self._state
        state.params[0, :, 0] = vector[self._order]
        state.optimizer_state[...] = 0
        state.alive[0, 0, 0] = 1
        state.progress[0, layout.STATUS, 0] = layout.RUNNING
        parallel.launch([self._call], self._slices)
        if state.progress[0, layout.STATUS, 0] == layout.DIVERGED:  # and was rolled back
            if beyond(self._net):  # of which scikit-learn's function knows nothing
                return np.inf, np.zeros_like(vector)
            loss, gradient = theirs.LOSS_GRAD_LBFGS(self._net, vector, *arguments)
            return loss, gradient
        gradient = np.empty(len(vector), state.params.dtype)
        gradient[self._order] = state.optimizer_state[0, : len(vector), 0]
        return float(state.losses[0, 0, 0]), gradient


def fit_lbfgs(
    self: Any,
    X: Any,
    y: NDArray[Any],
    sample_weight: NDArray[Any] | None,
    *arguments: Any,
) -> None:
    """Train a net of scikit-learn's: its `_fit_lbfgs`, with its parameters."""
    if beyond(self):
        check(self, X.shape[0], incremental=False)
    sample_weight = weights_of_rows(self, y, sample_weight, incremental=False)
    if (refused := reason_against(self, X, sample_weight)) is not None:
        leave_to_scikit_learn(self, *refused)
        theirs.FIT_LBFGS(self, X, y, sample_weight, *arguments)
        return
    with ExitStack() as stack:
        objectives: dict[Any, _Objective] = {}

        def loss_and_gradient(vector: NDArray[Any], *others: Any) -> tuple[float, NDArray[Any]]:
            dtype = np.result_type(X, vector)  # whether that is the net's own is scipy's choice
            if dtype not in objectives:
                objectives[dtype] = _Objective(self, X, y, sample_weight, dtype)
                stack.enter_context(objectives[dtype].following())
            return objectives[dtype](vector, *others)

        self._loss_grad_lbfgs = loss_and_gradient
        stack.callback(delattr, self, "_loss_grad_lbfgs")
        theirs.FIT_LBFGS(self, X, y, sample_weight, *arguments)
    note(self, f"is trained by Shoal's loss and gradient, and scipy: {self.n_iter_} iterations")
