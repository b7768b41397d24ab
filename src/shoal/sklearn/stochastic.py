"""Training by adam and sgd, in the place of scikit-learn's method."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from ..running.row_orders import Generator
from . import extensions, theirs
from .fits import Fit, Fitted, Parameters, Rows
from .telling import fall_back, note
from .training import LOWEST_RATE, Monitor, train

# Steps of a call of partial_fit, or of a warm start, from which on Shoal is the faster one: handing
# them over takes 1 to 2 ms, a step of scikit-learn's 0.1 to 0.4 ms.
_WORTH_IT: Final = 8
_MOST_DENSE: Final = 2**30  # bytes of rows that are made dense


def reason_against(net: Any, X: Any, sample_weight: Any) -> tuple[str, str] | None:
    """(kind, reason) where Shoal does not train this net; None where it does."""
    if (name := theirs.overridden(net, extensions.Extended)) is not None:
        return "overridden", f"{name} is not scikit-learn's"
    dense = X.toarray if hasattr(X, "toarray") else None
    if dense is not None and X.shape[0] * X.shape[1] * X.dtype.itemsize > _MOST_DENSE:
        return "sparse", f"X with shape {X.shape} is too large to be made dense"
    if dense is None and not isinstance(X, np.ndarray):
        return "array", f"X is a {type(X).__name__}"
    if not isinstance(net._random_state, np.random.RandomState) or (
        net._random_state.get_state(legacy=False)["bit_generator"] != "MT19937"
    ):
        return "random_state", "its random_state is no Mersenne Twister"
    if sample_weight is not None and not (sample_weight > 0).all():
        size = X.shape[0] if net.batch_size == "auto" else net.batch_size
        last = X.shape[0] % min(size, X.shape[0]) or min(size, X.shape[0])
        if (sample_weight < 0).any() or np.count_nonzero(sample_weight == 0) >= last:
            return "sample_weight", "a batch may have no weight at all"
    if not all(a.dtype == X.dtype and a.flags.writeable for a in net.coefs_ + net.intercepts_):
        return "coefs_", f"coefs_ are no arrays of {X.dtype} that can be written to"
    return None


def fit_stochastic(
    self: Any,
    X: Any,
    y: NDArray[Any],
    sample_weight: NDArray[Any] | None,
    activations: list[Any],
    deltas: list[Any],
    coef_grads: list[Any],
    intercept_grads: list[Any],
    layer_units: Sequence[int],
    incremental: bool,
) -> None:
    """Train a net of scikit-learn's: what its `_fit_stochastic` does, with its parameters."""
    if extensions.beyond(self):
        extensions.check(self, X.shape[0], incremental)
    sample_weight = extensions.weights_of_rows(self, y, sample_weight, incremental)
    arguments = (
        X, y, sample_weight, activations, deltas, coef_grads, intercept_grads, layer_units,
        incremental,
    )  # fmt: skip
    if (incremental or self.warm_start) and not extensions.beyond(self):
        # in a search nets are all alike trained by Shoal: none of these is, then or else
        if (steps := _steps(self, X.shape[0], incremental)) < _WORTH_IT:
            theirs.FIT_STOCHASTIC(self, *arguments)
            note(self, f"is trained by scikit-learn: {steps} steps are sooner done there")
            return
    refused = reason_against(self, X, sample_weight)
    if refused is None:
        before = self._random_state.get_state(legacy=False)
        if _train(self, X, y, sample_weight, incremental):
            return
        self._random_state.set_state(before)
        refused = "diverged", "it diverged with early stopping, which goes on"
    leave_to_scikit_learn(self, *refused)
    theirs.FIT_STOCHASTIC(self, *arguments)


def _steps(net: Any, rows: int, incremental: bool) -> int:
    """The most steps that a net may take."""
    size = min(200, rows) if net.batch_size == "auto" else min(net.batch_size, rows)
    return -(-rows // size) * (1 if incremental else net.max_iter)


def leave_to_scikit_learn(net: Any, kind: str, reason: str) -> None:
    """Say that scikit-learn trains a net; raise where it cannot."""
    for name, value in extensions.beyond(net).items():
        raise ValueError(
            f"{name} = {value!r} is unknown to scikit-learn, which would train: {reason}"
        )
    fall_back(net, kind, reason)


def _hold_out(
    net: Any, X: Any, y: NDArray[Any], weights: NDArray[Any] | None
) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """Rows to train on and rows to watch, as scikit-learn draws them."""
    stratify = y if isinstance(net, theirs.NETS[0]) and net.n_outputs_ == 1 else None
    arrays = (X, y) if weights is None else (X, y, weights)
    parts = train_test_split(
        *arrays, random_state=net._random_state, test_size=net.validation_fraction,
        stratify=stratify,
    )  # fmt: skip
    if weights is None:
        parts = [*parts, None, None]
    if parts[1].shape[0] < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return (parts[0], parts[2], parts[4]), (parts[1], parts[3], parts[5])


def rows_of(X: Any, y: NDArray[Any], weights: NDArray[Any] | None, dtype: Any = None) -> Rows:
    """Rows as kernels take them, of X's dtype or of another one."""
    dense = X.toarray() if hasattr(X, "toarray") else X
    dense = dense.astype(dtype or dense.dtype, copy=False)
    of_rows = None if weights is None else weights.astype(dense.dtype, copy=False)
    return Rows(dense, y.astype(dense.dtype, copy=False), of_rows)


def kind_of(net: Any) -> str:
    """What a net's targets are."""
    if not isinstance(net, theirs.NETS[0]):
        return "numbers"
    several = net._label_binarizer.y_type_ == "multilabel-indicator"
    return "multilabel" if several else "labels"


def settings_of(net: Any, rows: int) -> dict[str, Any]:
    """A net's parameters as Shoal's settings, but for the optimizer's."""
    if net.batch_size == "auto":
        size = rows if net.solver == "rprop" else min(200, rows)
    else:
        size = int(np.clip(net.batch_size, 1, rows))
    of_loss: dict[str, Any] = {
        name: float(vars(net)[name])
        for name in ("huber_delta", "quantile")
        if extensions.is_extended(net) and name in vars(net)
    }
    return {
        "hidden": tuple(len(intercept) for intercept in net.intercepts_[:-1]),
        "activation": extensions.activations_of(net),
        "output": extensions.name_of_output(net),
        "loss": "cross_entropy" if isinstance(net, theirs.NETS[0]) else net.loss,
        **of_loss,
        "bias": True,
        "batch_size": size,
        "epochs": int(net.max_iter),
        "record_every": 1,
        "shuffle": False,  # row orders are given
        "l2": float(net.alpha),
        "tolerance": float(net.tol),
        "patience": float(net.n_iter_no_change) + 1,  # one epoch later than its name says
    }


def _settings(net: Any, optimizer: Any, rows: int, incremental: bool) -> dict[str, Any]:
    settings = settings_of(net, rows)
    own = isinstance(optimizer, extensions.Optimizer)  # which keeps no parameters
    settings["optimizer"] = net.solver
    settings["learning_rate"] = float((net if own else optimizer).learning_rate_init)
    if incremental:
        settings["epochs"] = 1
    if net.solver == "sgd":
        nesterov = net.nesterovs_momentum if own else optimizer.nesterov
        of_sgd = net if own else optimizer
        settings |= {
            "schedule": net.learning_rate if own else optimizer.lr_schedule,
            "power": float(of_sgd.power_t),
            "momentum": float(of_sgd.momentum),
            "nesterov": bool(nesterov) and of_sgd.momentum > 0,
        }
    elif net.solver == "adam":
        names = ("beta_1", "beta_2", "epsilon")
        settings |= {name: float(getattr(net if own else optimizer, name)) for name in names}
    if extensions.beyond(net):
        settings |= extensions.settings_of(net)
    if settings.get("schedule") == "adaptive":  # where the rate falls, until it is too low
        settings["patience"] = math.inf
    return settings


def _train(
    net: Any, X: Any, y: NDArray[Any], weights: NDArray[Any] | None, incremental: bool
) -> bool:
    """Train a net; False where that is left to scikit-learn, and nothing has changed."""
    had = vars(net).get("_optimizer")
    if not incremental or had is None:
        net._optimizer = new_optimizer(net)
    if net.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    training, held_out = (X, y, weights), extensions.held_out_by_user(net, X)
    if net.early_stopping and held_out is None:
        training, held_out = _hold_out(net, X, y, weights)
    of_held_out = None if held_out is None else rows_of(*held_out)
    fit = prepare(net, rows_of(*training), of_held_out, incremental)
    fitted = trainer(fit, net)
    if fitted.diverged and net.early_stopping and not extensions.beyond(net):
        if had is None:
            del net._optimizer
        return False
    finish(net, fit, fitted, incremental)
    return True


def new_optimizer(net: Any) -> Any:
    """The optimizer that a net begins a training with."""
    if extensions.needs_own_optimizer(net):
        return extensions.Optimizer(net.learning_rate_init)
    return theirs.new_optimizer(net, net.coefs_ + net.intercepts_)


def _watched(net: Any) -> str:
    """What a net's patience goes by."""
    if not net.early_stopping:
        return "loss"
    return "validation loss" if net.early_stopping == "loss" else "validation score"


def prepare(
    net: Any,
    rows: Rows,
    held_out: Rows | None,
    incremental: bool = False,
    generator: Generator | None = None,
) -> Fit:
    """The training that a net asks for.

    generator : of its row orders; None: that of its random state.
    """
    n = len(rows.X)
    if net.batch_size != "auto" and net.batch_size > n:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=2,
        )
    optimizer, settings = net._optimizer, _settings(net, net._optimizer, n, incremental)
    layers = len(net.coefs_)

    def divided(arrays: Sequence[Any]) -> Parameters:
        return Parameters(list(arrays[:layers]), list(arrays[layers:]))

    own, adam = isinstance(optimizer, extensions.Optimizer), net.solver == "adam"
    if own:
        moments = optimizer.moments
    elif adam:
        moments = [divided(optimizer.ms), divided(optimizer.vs)]
    else:
        moments = [divided(optimizer.velocities)] if optimizer.momentum else []
    watched = _watched(net)
    best = net.best_validation_score_
    if watched != "validation score":
        best = np.inf if vars(net).get("best_loss_") is None else net.best_loss_
    if net.shuffle and generator is None:
        generator = Generator.of(net._random_state)
    return Fit(
        kind=kind_of(net),
        settings=settings,
        rows=rows,
        held_out=held_out,
        watched=watched,
        generator=generator if net.shuffle else None,
        start=Parameters(net.coefs_, net.intercepts_, vars(net).get("batch_norms_")),
        moments=moments,
        steps=optimizer.t if own or adam else 0,
        corrections=optimizer.corrections if own else None,
        seen=int(net.t_),
        best=float(best),
        waited=int(net._no_improvement_count),
        patience=float(net.n_iter_no_change) + 1,
        learning_rate=float(
            optimizer.learning_rate_init if adam and not own else optimizer.learning_rate
        ),
    )


def alone(fit: Fit, net: Any) -> Fitted:
    """Train one net."""
    lines, look = _Lines(net, fit) if net.verbose else None, None
    if "_epochs" in vars(net):
        net._epochs.begin()
        look = net._epochs.look
    (fitted,) = train([fit], extensions.threads_of(net), lines, look)
    note(net, f"is trained by Shoal: {fitted.epochs} epochs")
    return fitted


# What trains: `fusion` puts one there that lets nets of parallel tasks be trained together.
trainer: Callable[[Fit, Any], Fitted] = alone


def tell(net: Any, fit: Fit, fitted: Fitted) -> None:
    """Print what scikit-learn prints while it trains."""
    scores = fitted.losses if fitted.scores is None else fitted.scores
    _Lines(net, fit).tell(fitted.losses.tolist(), scores.tolist())


def finish(net: Any, fit: Fit, fitted: Fitted, incremental: bool = False) -> None:
    """Leave in a net what scikit-learn's training leaves there."""
    optimizer, epochs, n = net._optimizer, fitted.epochs, len(fit.rows.X)
    if fitted.diverged:  # scikit-learn goes on with NaN, and then finds it
        for array in net.coefs_ + net.intercepts_:
            array[...] = np.nan
        epochs = fit.settings["epochs"]
    else:
        coefs, intercepts, norms = fitted.parameters
        for array, values in zip(net.coefs_ + net.intercepts_, coefs + intercepts, strict=True):
            array[...] = values
        if norms is not None:
            net.batch_norms_ = norms
    losses = fitted.losses.tolist()
    net.n_iter_ = epochs
    net.t_ += epochs * n
    net.loss_curve_ += losses
    if losses:
        net.loss_ = losses[-1]
    if fitted.generator is not None:
        fitted.generator.put_into(net._random_state)
    moments = [[*each.coefs, *each.intercepts] for each in fitted.moments]
    if isinstance(optimizer, extensions.Optimizer):
        optimizer.moments, optimizer.corrections = fitted.moments, fitted.corrections
        optimizer.t = fitted.steps
        if fit.adapts:
            optimizer.learning_rate = fitted.learning_rate
        elif fit.settings.get("schedule") == "invscaling":
            optimizer.learning_rate = net.learning_rate_init / (net.t_ + 1) ** net.power_t
    elif net.solver == "adam":
        optimizer.ms, optimizer.vs = moments
        optimizer.t = fitted.steps
        if optimizer.t:
            optimizer.learning_rate = (
                optimizer.learning_rate_init
                * np.sqrt(1.0 - optimizer.beta_2**optimizer.t)
                / (1.0 - optimizer.beta_1**optimizer.t)
            )
    else:
        if moments:
            optimizer.velocities = moments[0]
        if fit.adapts:
            optimizer.learning_rate = fitted.learning_rate
        elif epochs:
            optimizer.iteration_ends(net.t_)
    net._no_improvement_count = fitted.waited
    if fit.watched == "loss":
        net.best_loss_ = fitted.best
    if fit.held_out is not None:
        _note_held_out(net, fit, fitted)
    if fitted.interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    elif epochs == net.max_iter and not incremental and not fitted.stopped:
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({net.max_iter}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=2,
        )
    if fit.stops_early:
        net.coefs_, net.intercepts_ = net._best_coefs, net._best_intercepts
        if "batch_norms_" in vars(net):
            net.batch_norms_ = net._best_norms


def _note_held_out(net: Any, fit: Fit, fitted: Fitted) -> None:
    """Leave in a net what the rows held out have shown."""
    assert fitted.scores is not None and fitted.validation_losses is not None
    scores = fitted.scores.tolist()
    net.validation_scores_ = (net.validation_scores_ or []) + scores
    if extensions.is_extended(net):
        losses = fitted.validation_losses.tolist()
        net.validation_loss_curve_ = (net.validation_loss_curve_ or []) + losses
    if fitted.best_parameters is None:
        return
    net._best_coefs, net._best_intercepts, norms = fitted.best_parameters
    if norms is not None:
        net._best_norms = norms
    if fit.watched == "validation loss":
        net.best_loss_ = fitted.best
        net.best_validation_score_ = scores[int(np.argmin(fitted.validation_losses))]
    else:
        net.best_validation_score_ = fitted.best


class _Lines(Monitor):
    """Prints what scikit-learn prints after each epoch, once a launch has ended."""

    def __init__(self, net: Any, fit: Fit) -> None:
        self._net, self._fit, self._told = net, fit, 0
        self._best, self._waited = fit.best, fit.waited
        self._rate = fit.learning_rate

    def advance(self, nets: float) -> None:
        """Tell of the epochs that are done."""
        assert self.training is not None
        self.tell(*self.training.records(0))

    def tell(self, losses: list[float], scores: list[float]) -> None:
        """Tell of the epochs that were not told of."""
        for loss, score in zip(losses[self._told :], scores[self._told :], strict=True):
            self._told += 1
            self._tell(loss, score)

    def _tell(self, loss: float, score: float) -> None:
        net, watched = self._net, self._fit.held_out is not None
        print(f"Iteration {self._told}, loss = {loss:.8f}")
        if watched:
            print(f"Validation score: {score:f}")
            worse, better = score < self._best + net.tol, score > self._best
        else:
            worse, better = loss > self._best - net.tol, loss < self._best
        self._waited = self._waited + 1 if worse else 0
        if better:
            self._best = score if watched else loss
        if self._waited <= net.n_iter_no_change:
            return
        what = "Validation score" if watched else "Training loss"
        text = (
            f"{what} did not improve more than tol={net.tol:f} for {net.n_iter_no_change} "
            "consecutive epochs."
        )
        if not self._fit.adapts:
            print(f"{text} Stopping.")
        elif self._rate <= LOWEST_RATE:
            print(f"{text} Learning rate too small. Stopping.")
        else:
            self._rate /= 5
            self._waited = 0
            print(f"{text} Setting learning rate to {self._rate:f}")
