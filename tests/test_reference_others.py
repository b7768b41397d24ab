"""The reference against scikit-learn and torch: the same weights, batch after batch."""

import warnings

import numpy as np
import pytest
from problems import (
    OF_LOSS,
    activations,
    copies,
    pairs,
    random_problem,
    relative_error,
    train,
)

from shoal import reference

# ---------------------------------------------------------------------------------- scikit-learn

SKLEARN_NAMES = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}
ROWS, BATCH = 48, 16


def compare_with_scikit_learn(
    activation, output, *, momentum=0.9, nesterov=True, theirs=None, ours=None, row_weights=None,
    batch_size=BATCH, epochs=34,
):  # fmt: skip
    """102 steps, or 34 of the full batch. Its adam scales epsilon another way: sgd only."""
    network = pytest.importorskip("sklearn.neural_network")
    rate = 0.01 if output == "exp" else 0.05
    generator = np.random.default_rng(1)
    X = generator.normal(size=(ROWS, 4))
    labels = generator.integers(0, 3 if output == "softmax" else 2, ROWS)
    if output in ("identity", "exp"):
        loss, kind = "squared_error", network.MLPRegressor
        y = generator.normal(size=ROWS)
        if output == "exp":
            loss, y = "poisson", generator.poisson(2.0, ROWS).astype(float)
            theirs = {"loss": "poisson", **(theirs or {})}
        targets = y[:, None]
    else:
        loss, kind, y = "cross_entropy", network.MLPClassifier, labels
        targets = np.eye(3)[labels] if output == "softmax" else labels[:, None]

    def fitted(epochs, learning_rate):
        estimator = kind(
            hidden_layer_sizes=(6, 5), activation=SKLEARN_NAMES[activation], solver="sgd",
            batch_size=batch_size, learning_rate_init=learning_rate, momentum=momentum,
            nesterovs_momentum=nesterov, shuffle=False, random_state=0, max_iter=epochs,
            **{"alpha": 0, "tol": 0, "n_iter_no_change": 1000, **(theirs or {})},
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            return estimator.fit(X, y, sample_weight=row_weights)

    start, end = (
        fitted(1, 1e-300),
        fitted(epochs, rate),
    )  # the first never leaves its initial weights
    weights, biases = copies(start.coefs_), copies(start.intercepts_)
    history = reference.train(
        X, targets, weights, biases, epochs=epochs, activations=activation, output=output,
        loss=loss, batch_size=batch_size, reduction="mean", learning_rate=rate, momentum=momentum,
        nesterov=nesterov, row_weights=row_weights, **(ours or {}),
    )  # fmt: skip
    assert relative_error(end.coefs_, start.coefs_) > 1e-2
    assert relative_error(weights + biases, end.coefs_ + end.intercepts_) < 1e-9
    if "alpha" not in (theirs or {}):  # its curve holds the penalty, ours does not
        np.testing.assert_allclose(history.losses, end.loss_curve_, rtol=1e-9)
    return history


@pytest.mark.parametrize("momentum, nesterov", [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("activation", SKLEARN_NAMES)
@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax", "exp"])
def test_as_scikit_learn(output, activation, momentum, nesterov):
    compare_with_scikit_learn(activation, output, momentum=momentum, nesterov=nesterov)


@pytest.mark.parametrize("momentum, nesterov", [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("power", [0.5, 0.2])
def test_as_scikit_learn_with_invscaling(power, momentum, nesterov):
    history = compare_with_scikit_learn(
        "tanh", "softmax", momentum=momentum, nesterov=nesterov,
        theirs={"learning_rate": "invscaling", "power_t": power},
        ours={"schedule": "invscaling", "power": power},
    )  # fmt: skip
    assert history.learning_rates[1] == pytest.approx(0.05 / (1 + ROWS) ** power)


@pytest.mark.parametrize("tolerance", [0.03, 0.1])
def test_as_scikit_learn_with_an_adaptive_rate(tolerance):
    """Ours always waits for 2 epochs without improvement: its n_iter_no_change = 1.

    Its training ends once the rate is below 1e-6, after 7 divisions.
    """
    history = compare_with_scikit_learn(
        "tanh", "softmax", momentum=0.5, epochs=14,
        theirs={"learning_rate": "adaptive", "tol": tolerance, "n_iter_no_change": 1},
        ours={"schedule": "adaptive", "tolerance": tolerance},
    )  # fmt: skip
    assert len(set(history.learning_rates)) > 2


@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax"])
def test_as_scikit_learn_with_l2(output):
    """Its alpha is divided by the rows of a batch, or their weights: our l2 is not."""
    alpha, w = 0.5, np.linspace(0, 3, ROWS)
    compare_with_scikit_learn("tanh", output, theirs={"alpha": alpha}, ours={"l2": alpha / BATCH})
    compare_with_scikit_learn(
        "tanh", output, theirs={"alpha": alpha}, ours={"l2": alpha / w.sum()}, row_weights=w,
        batch_size=ROWS,
    )  # fmt: skip


@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax", "exp"])
def test_as_scikit_learn_with_row_weights(output):
    """Full batch: of several batches its loss is another mean."""
    compare_with_scikit_learn("tanh", output, row_weights=np.linspace(0, 3, ROWS), batch_size=ROWS)


# ----------------------------------------------------------------------------------------- torch

OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.05},
    "slow_sgd": {"optimizer": "sgd", "learning_rate": 0.02},
    "momentum": {"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.9},
    "nesterov": {"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.9, "nesterov": True},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": 0.01},
    "rmsprop_of_other_rho": {
        "optimizer": "rmsprop", "learning_rate": 0.01, "rho": 0.5, "epsilon": 1e-3,
    },
    "adagrad": {"optimizer": "adagrad", "learning_rate": 0.05},
    "adagrad_of_other_epsilon": {"optimizer": "adagrad", "learning_rate": 0.05, "epsilon": 1e-2},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "adam_of_other_betas": {
        "optimizer": "adam", "learning_rate": 0.01, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3,
    },
    "adamw": {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.5},
    "rprop": {"optimizer": "rprop", "learning_rate": 0.01, "batch_size": None},
}  # fmt: skip
optimizers = pytest.mark.parametrize("settings", OPTIMIZERS.values(), ids=OPTIMIZERS)


@pytest.fixture(scope="module")
def torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the import
        torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # of so few numbers
    return torch


def torch_activation(torch, name):
    functional = torch.nn.functional
    return {
        "identity": lambda z: z,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "leaky_relu": functional.leaky_relu,
        "elu": functional.elu,
        "selu": functional.selu,
        "gelu": functional.gelu,
        "silu": functional.silu,
        "softplus": functional.softplus,
    }[name]


def torch_losses(torch, output, loss):
    """A function of logits and targets: the loss of each row; it may differ by a constant of y."""
    functional = torch.nn.functional
    if loss == "cross_entropy" and output == "softmax":
        return lambda z, y: functional.cross_entropy(z, y, reduction="none")
    if loss == "cross_entropy":
        each = functional.binary_cross_entropy_with_logits
        return lambda z, y: each(z, y, reduction="none").sum(1)
    if loss == "poisson":
        each = torch.nn.PoissonNLLLoss(log_input=True, reduction="none")
        return lambda z, y: each(z, y).sum(1)
    of_z = {
        "identity": lambda z: z,
        "sigmoid": torch.sigmoid,
        "softmax": lambda z: torch.softmax(z, 1),
        "exp": torch.exp,
    }[output]
    q = OF_LOSS["quantile"]
    of_a = {
        "squared_error": lambda a, y: functional.mse_loss(a, y, reduction="none") / 2,
        "absolute_error": torch.nn.L1Loss(reduction="none"),
        "huber": torch.nn.HuberLoss(reduction="none", delta=OF_LOSS["huber_delta"]),
        "quantile": lambda a, y: torch.maximum(q * (y - a), (q - 1) * (y - a)),
    }[loss]
    return lambda z, y: of_a(of_z(z), y).sum(1)


def torch_optimizer(torch, weights, others, optimizer, rate, momentum, nesterov, rho, betas,
                    epsilon, weight_decay):  # fmt: skip
    everything, optim = weights + others, torch.optim
    if optimizer == "adamw":  # it decays the weights alone
        groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others}]
        return optim.AdamW(groups, rate, betas, epsilon, weight_decay=0)
    return {
        "sgd": lambda: optim.SGD(everything, rate, momentum, nesterov=nesterov),
        "rmsprop": lambda: optim.RMSprop(everything, rate, rho, epsilon),
        "adagrad": lambda: optim.Adagrad(everything, rate, eps=epsilon),
        "adam": lambda: optim.Adam(everything, rate, betas, epsilon),
        "rprop": lambda: optim.Rprop(everything, rate),
    }[optimizer]()


def torch_schedule(torch, stepper, schedule, epochs, step_size, gamma, min_learning_rate):
    kinds = torch.optim.lr_scheduler
    return {
        "constant": lambda: kinds.ConstantLR(stepper, 1.0),
        "step": lambda: kinds.StepLR(stepper, step_size, gamma),
        "exponential": lambda: kinds.ExponentialLR(stepper, gamma),
        "cosine": lambda: kinds.CosineAnnealingLR(stepper, epochs, min_learning_rate),
    }[schedule]()


def torch_train(
    torch, p, *, epochs, batch_size, shuffle_seed=0, seed=0, reduction, optimizer, learning_rate,
    schedule="constant", step_size=10, gamma=0.9, min_learning_rate=0.0, momentum=0.0,
    nesterov=False, rho=0.9, beta_1=0.9, beta_2=0.999, epsilon=1e-8, l1=0.0, l2=0.0,
    weight_decay=0.0, dropout=(0, 0, 0), clip_delta=None, clip_norm=None, row_weights=None,
):  # fmt: skip
    """The same training by autograd, torch's optimizers, schedules and batch normalisation.

    Hooks on the gradients weigh the rows of the outputs' and clip those of each layer's.

    Returns
    -------
    parameters and running statistics, losses of the epochs, outputs of X in evaluation
    """
    act = torch_activation(torch, p.network["activations"])
    losses_of = torch_losses(torch, **p.pair)
    X, y = torch.tensor(p.X), torch.tensor(p.y)
    w = torch.ones(len(X), dtype=X.dtype) if row_weights is None else torch.tensor(row_weights)
    weights = [torch.tensor(a, requires_grad=True) for a in p.weights]
    biases = [torch.tensor(a, requires_grad=True) for a in p.biases or ()]
    norms = [torch.nn.BatchNorm1d(len(norm.scale), dtype=X.dtype) for norm in p.norms or ()]
    for norm, start in zip(norms, p.norms or (), strict=True):
        norm.weight.data, norm.bias.data = torch.tensor(start.scale), torch.tensor(start.shift)
        norm.running_mean, norm.running_var = torch.tensor(start.mean), torch.tensor(start.variance)
    others = [*biases, *(norm.weight for norm in norms), *(norm.bias for norm in norms)]
    stepper = torch_optimizer(torch, weights, others, optimizer, learning_rate, momentum, nesterov,
                              rho, (beta_1, beta_2), epsilon, weight_decay)  # fmt: skip
    scheduler = torch_schedule(torch, stepper, schedule, epochs, step_size, gamma,
                               min_learning_rate)  # fmt: skip
    batch_size = batch_size or len(X)

    def logits(a, masks, of_rows):
        for k, weight in enumerate(weights):
            a = a if masks[k] is None else a * torch.tensor(masks[k])
            a = a @ weight + biases[k] if biases else a @ weight
            last = k + 1 == len(weights)
            if norms and not last:
                a = norms[k](a)
            if of_rows is not None:
                limit = np.inf if clip_delta is None else clip_delta
                if last:
                    a.register_hook(lambda g, c=limit: g.clamp(-c, c) * of_rows)
                elif clip_delta is not None:
                    a.register_hook(lambda g, c=limit * of_rows: g.clamp(-c, c))
            a = a if last else act(a)
        return a

    losses = []
    for epoch in range(epochs):
        order, total = np.arange(len(X)), 0.0
        if batch_size < len(X):
            order = reference.row_order(shuffle_seed, epoch, len(X))
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            positions = start + np.arange(len(rows))
            masks = reference.dropout_masks(dropout, p.widths[:-1], seed, epoch, positions)
            of_rows = losses_of(logits(X[rows], masks, w[rows, None]), y[rows])
            total += (w[rows] * of_rows).sum().item()
            stepper.zero_grad()
            of_rows.sum().backward()
            with torch.no_grad():
                if reduction == "mean":
                    for parameter in weights + others:
                        parameter.grad /= w[rows].sum()
                for parameter in weights:
                    parameter.grad += l2 * parameter + l1 * torch.sign(parameter)
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(weights + others, clip_norm)
            if optimizer != "adamw":  # which decays by itself
                with torch.no_grad():
                    for parameter in weights:
                        parameter *= 1 - stepper.param_groups[0]["lr"] * weight_decay
            stepper.step()
        scheduler.step()
        losses.append(total / w.sum().item())
    for norm in norms:
        norm.eval()
    outputs = {
        "identity": lambda z: z,
        "sigmoid": torch.sigmoid,
        "softmax": lambda z: torch.softmax(z, 1),
        "exp": torch.exp,
    }[p.pair["output"]](logits(X, [None] * 3, None))
    final = weights + biases
    for norm in norms:
        final += [norm.weight, norm.bias, norm.running_mean, norm.running_var]
    return [a.detach().numpy() for a in final], losses, outputs.detach().numpy()


def compare_with_torch(torch, p, settings):
    """102 steps in batches of 4, 4 and 3 rows; 100 of the full batch."""
    given = {"batch_size": 4, "reduction": "mean", "shuffle_seed": 3, "seed": 5, **settings}
    given["epochs"] = 34 if given["batch_size"] else 100
    history, final = train(p, shuffle=True, **given)
    right, right_losses, right_outputs = torch_train(torch, p, **given)
    assert history.status == "finished"
    assert relative_error(final[:3], p.weights) > 1e-3
    assert relative_error(final, right) < 1e-9
    if p.pair["loss"] == "poisson":  # without y log y - y, which changes no gradient
        w = given.get("row_weights")
        rest = np.where(p.y > 0, p.y * np.log(np.where(p.y > 0, p.y, 1)) - p.y, 0).sum(axis=1)
        right_losses = np.array(right_losses) + np.average(rest, weights=w)
    np.testing.assert_allclose(history.losses, right_losses, rtol=1e-9)
    weights, biases, rest = final[:3], None, final[3:]
    if p.biases:
        biases, rest = rest[:3], rest[3:]
    norms = [reference.BatchNorm(*rest[:4]), reference.BatchNorm(*rest[4:])] if rest else None
    outputs = reference.forward(p.X, weights, biases, **p.network, batch_norms=norms)[-1]
    assert relative_error([outputs], [right_outputs]) < 1e-9


@activations
@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_activations_as_torch(torch, activation, optimizer):
    problem = random_problem(activation, "softmax", "cross_entropy", n=11)
    compare_with_torch(torch, problem, OPTIMIZERS[optimizer])


@pairs
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_losses_as_torch(torch, output, loss, optimizer):
    problem = random_problem("tanh", output, loss, n=11)
    compare_with_torch(torch, problem, OPTIMIZERS[optimizer])


@optimizers
@pytest.mark.parametrize(
    "pair", [("identity", "huber"), ("softmax", "cross_entropy")], ids="-".join
)
def test_optimizers_as_torch(torch, pair, settings):
    compare_with_torch(torch, random_problem("tanh", *pair, n=11), settings)


SETTINGS = {
    "sum": {"reduction": "sum"},
    "l1": {"l1": 0.005},
    "l2": {"l2": 0.03},
    "weight_decay": {"weight_decay": 0.1},
    "clip_norm": {"clip_norm": 0.5},
    "clip_delta": {"clip_delta": 0.05},
    "dropout": {"dropout": [0.1, 0.3, 0.5]},
    "row_weights": {"row_weights": np.array([1, 0, 2, 0.5, 1, 1, 3, 0.1, 0, 1, 2])},
    "step": {"schedule": "step", "step_size": 4, "gamma": 0.7},
    "exponential": {"schedule": "exponential", "gamma": 0.95},
    "cosine": {"schedule": "cosine", "min_learning_rate": 0.001},
}
SETTINGS["everything"] = {name: value for one in SETTINGS.values() for name, value in one.items()}


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(
    "name, optimizer",
    [
        *((name, optimizer) for name in SETTINGS for optimizer in ("slow_sgd", "adam")),
        *(("everything", optimizer) for optimizer in ("rmsprop", "adagrad")),
    ],
)
def test_settings_as_torch(torch, name, optimizer, batch_norm):
    """Without biases where they are normalised away: what is left of their gradients is noise.

    The penalties are small, for small weights before a batch normalisation make chaos: differences
    of 1e-16 grow to 1e-5 in 100 steps. Torch's momentum has another meaning where the rate changes.
    """
    settings = {**OPTIMIZERS[optimizer], **SETTINGS[name]}
    if "weight_decay" in settings and optimizer == "adam":
        settings["optimizer"] = "adamw"
    problem = random_problem("tanh", "identity", "huber", n=11, batch_norm=batch_norm,
                             bias=not batch_norm)  # fmt: skip
    compare_with_torch(torch, problem, settings)


@activations
def test_batch_norm_as_torch(torch, activation):
    problem = random_problem(activation, "softmax", "cross_entropy", n=11, batch_norm=True)
    compare_with_torch(torch, problem, OPTIMIZERS["nesterov"])
