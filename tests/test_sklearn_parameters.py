"""The parameters of `shoal.sklearn`'s nets that scikit-learn's nets lack."""

import inspect
import pickle
import warnings

import numpy as np
import pytest
import sklearn
from sklearn import datasets, neural_network
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.class_weight import compute_sample_weight

import shoal
import shoal.sklearn
from shoal.sklearn import extensions, fusion

X, labels = datasets.load_iris(return_X_y=True)
X = scale(X)
numbers = X @ [0.5, -1.0, 2.0, 0.3] + np.sin(3 * X[:, 0])
SHORT = {"hidden_layer_sizes": (5,), "max_iter": 6, "random_state": 0}
KINDS = ("MLPClassifier", "MLPRegressor")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def net_of(kind="MLPClassifier", **settings):
    return getattr(shoal.sklearn, kind)(**{**SHORT, **settings})


def data_of(kind):
    return (X, labels) if kind == "MLPClassifier" else (X, numbers)


def same(one, other):
    """Whether two nets have the same bits."""
    arrays = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    return all(np.array_equal(a, b) for a, b in arrays)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_those_of_scikit_learn_and_then_shoals(kind):
    ours, theirs = (
        inspect.signature(getattr(module, kind).__init__).parameters
        for module in (shoal.sklearn, neural_network)
    )
    assert list(ours)[: len(theirs)] == list(theirs)
    assert all(ours[name].default == theirs[name].default for name in list(theirs)[1:])
    own = {name: ours[name] for name in list(ours)[len(theirs) :]}
    known = "CLASSIFIER" if kind == "MLPClassifier" else "REGRESSOR"
    defaults = getattr(extensions, f"DEFAULTS_OF_{known}")
    assert {name: each.default for name, each in own.items()} == defaults
    assert {each.kind for each in own.values()} == {inspect.Parameter.KEYWORD_ONLY}


# parameter: (a value that is right, one that is wrong)
VALUES = {
    "activation": (["gelu"], "gleu"),
    "solver": ("rmsprop", "adamax"),
    "learning_rate": ("cosine", "linear"),
    "early_stopping": ("loss", "score"),
    "dropout": ([0.1, 0.2], 1.0),
    "batch_norm": (True, "yes"),
    "weight_decay": (0.0, -1.0),
    "clip_norm": (1.0, 0.0),
    "warmup_epochs": (2, -1),
    "step_size": (3, 0),
    "gamma": (0.5, 1.5),
    "min_learning_rate": (1e-4, -1e-4),
    "rho": (0.8, 1.0),
    "n_jobs": (2, 1.5),
    "class_weight": ({0: 2.0}, "even"),
    "huber_delta": (2.0, 0.0),
    "quantile": (0.1, 1.0),
    "loss": ("huber", "hinge"),
    "output_activation": ("logistic", "relu"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_parameter_is_one_like_scikit_learns(name):
    right, wrong = VALUES[name]
    kind = "MLPRegressor" if name in ("huber_delta", "quantile", "loss") else "MLPClassifier"
    net, (X, y) = net_of(kind), data_of(kind)
    copied = clone(net.set_params(**{name: right}))
    assert copied.get_params()[name] == right
    assert f"{name}={right!r}" in repr(copied) or right in (False, 0.0)
    assert copied.fit(X, y).predict(X).shape == y.shape
    assert not hasattr(net, "coefs_") and net.get_params()[name] == right
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        net.set_params(**{name: wrong}).fit(X, y)


@pytest.mark.parametrize(
    ("kind", "settings", "named"),
    [
        ("MLPClassifier", {"activation": ["relu", "tanh"]}, "1 hidden layers"),
        ("MLPClassifier", {"activation": ["relish"]}, "must have names out of"),
        ("MLPClassifier", {"dropout": [0.1]}, "or 2: of the inputs"),
        ("MLPClassifier", {"dropout": [0.1, 1.0]}, "< 1"),
        ("MLPClassifier", {"weight_decay": 0.1}, "use solver = 'adamw'"),
        ("MLPClassifier", {"solver": "rprop", "batch_size": 32}, "the 150 rows"),
        ("MLPClassifier", {"solver": "rprop", "learning_rate": "cosine"}, "'constant'"),
        ("MLPClassifier", {"solver": "rprop", "warmup_epochs": 1}, "must be 0"),
        ("MLPClassifier", {"solver": "lbfgs", "dropout": 0.1}, "other than 'lbfgs'"),
        ("MLPClassifier", {"solver": "lbfgs", "early_stopping": "loss"}, "other than 'lbfgs'"),
        ("MLPClassifier", {"batch_norm": True, "batch_size": 1}, "at least 2"),
        ("MLPClassifier", {"learning_rate": "cosine", "min_learning_rate": 1}, "at most"),
        ("MLPClassifier", {"n_jobs": 0}, "n_jobs = 0"),
        ("MLPRegressor", {"output_activation": "softmax"}, "where there is one output"),
        ("MLPRegressor", {"loss": "poisson", "output_activation": "identity"}, "'exp' or 'auto'"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(kind, settings, named):
    X, y = data_of(kind)
    with pytest.raises(ValueError, match=named):
        net_of(kind, **settings).fit(X, y)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"learning_rate": "cosine"}, "knows no number of epochs"),
        ({"warmup_epochs": 2}, "knows no first epoch"),
        ({"class_weight": "balanced"}, "must be a dict"),
    ],
)
def test_partial_fit_refuses_what_needs_to_know_all_epochs(settings, named):
    with pytest.raises(ValueError, match=named):
        net_of(**settings).partial_fit(X, labels, classes=[0, 1, 2])
    assert not hasattr(net_of(solver="lbfgs"), "partial_fit")


# settings of a net here, and of `shoal.train`; where the latter is None, they are the same
TRAJECTORIES = [
    ("MLPRegressor", {"loss": "absolute_error"}, None),
    ("MLPRegressor", {"loss": "huber", "huber_delta": 0.5}, None),
    ("MLPRegressor", {"loss": "quantile", "quantile": 0.2}, None),
    ("MLPRegressor", {"output_activation": "exp"}, {"output": "exp"}),
    ("MLPClassifier", {"output_activation": "logistic"}, {"output": "sigmoid"}),
    ("MLPClassifier", {"activation": ["gelu"]}, {"activation": "gelu"}),
    ("MLPClassifier", {"solver": "rmsprop", "rho": 0.7}, None),
    ("MLPClassifier", {"solver": "adagrad"}, None),
    ("MLPClassifier", {"solver": "adamw", "weight_decay": 0.1}, None),
    ("MLPClassifier", {"solver": "rprop", "batch_size": 150}, None),
    ("MLPClassifier", {"learning_rate": "cosine", "min_learning_rate": 1e-3},
     {"schedule": "cosine", "min_learning_rate": 1e-3}),
    ("MLPClassifier", {"learning_rate": "step", "step_size": 2, "gamma": 0.5},
     {"schedule": "step", "step_size": 2, "gamma": 0.5}),
    ("MLPClassifier", {"solver": "rmsprop", "learning_rate": "exponential", "gamma": 0.7},
     {"schedule": "exponential", "gamma": 0.7}),
    ("MLPClassifier", {"warmup_epochs": 3}, None),
    ("MLPClassifier", {"solver": "sgd", "momentum": 0.0, "clip_norm": 0.05}, {"clip_norm": 0.05}),
    ("MLPClassifier", {"dropout": [0.1, 0.4]}, {"dropout": [0.1, 0.4]}),
]  # fmt: skip


def initial(kind):
    """A net that has its initial weights."""
    rate = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 1e-300}
    return net_of(kind, max_iter=1, shuffle=False, **rate).fit(*data_of(kind))


@pytest.mark.parametrize(("kind", "settings", "of_shoal"), TRAJECTORIES)
def test_steps_are_those_of_shoal(kind, settings, of_shoal):
    X, y = data_of(kind)
    common = {
        "batch_size": 32, "alpha": 0.0, "n_iter_no_change": np.inf, "shuffle": False,
        "learning_rate_init": 0.01, "epsilon": 1e-15,
    }  # fmt: skip
    net = net_of(kind, **{**common, **settings}).fit(X, y)
    start = initial(kind)
    weights, biases = [each.copy() for each in start.coefs_], [*map(np.copy, start.intercepts_)]
    start.t_, start.dropout = 0, 0.1
    of_train = {
        "optimizer": net.solver, "batch_size": 32, "shuffle": False, "learning_rate": 0.01,
        "epsilon": 1e-15,
        "output": "softmax" if kind == "MLPClassifier" else "identity",
        "loss": "cross_entropy" if kind == "MLPClassifier" else "squared_error",
        "activation": "relu", "reduction": "mean", "seed": extensions.settings_of(start)["seed"],
        **(settings if of_shoal is None else of_shoal),
    }  # fmt: skip
    of_train.pop("solver", None)
    targets = np.eye(3)[y] if kind == "MLPClassifier" else y[:, np.newaxis]
    shoal.train(X, targets, weights, biases=biases, epochs=6, **of_train)
    for ours, right in zip(net.coefs_ + net.intercepts_, weights + biases, strict=True):
        # scikit-learn's adam adds its epsilon elsewhere
        near = 1e-9 if net.solver == "adam" else 1e-13
        np.testing.assert_allclose(ours, right, rtol=near, atol=near)
    assert not np.allclose(net.coefs_[0], start.coefs_[0], rtol=1e-4)


@pytest.mark.parametrize("others", [{}, {"sample_weight": np.linspace(0.5, 2, 150)}])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 2: 0.25}])
def test_class_weights_are_the_sample_weights_that_they_stand_for(class_weight, solver, others):
    y = np.where(labels == 1, 0, labels)[:140]
    rows = {name: weights[:140] for name, weights in others.items()}
    by_class = net_of(class_weight=class_weight, solver=solver).fit(X[:140], y, **rows)
    weights = compute_sample_weight(class_weight, y) * rows.get("sample_weight", 1.0)
    assert same(by_class, net_of(solver=solver).fit(X[:140], y, sample_weight=weights))
    assert not same(by_class, net_of(solver=solver).fit(X[:140], y, **rows))


def test_class_weights_of_several_labels():
    several = np.c_[labels == 0, labels < 2].astype(int)
    each = [{0: 1.0, 1: 5.0}, {0: 2.0, 1: 1.0}]
    by_class = net_of(class_weight=each).fit(X, several)
    weights = compute_sample_weight(each, several)
    assert same(by_class, net_of().fit(X, several, sample_weight=weights))
    y = np.array(["a", "b", "b"])[labels]
    assert same(
        net_of(class_weight={"a": 2.0}).fit(X, y),
        net_of().fit(X, y, sample_weight=1.0 + (labels == 0)),
    )


def test_a_list_of_one_name_is_that_name():
    for name, alike in [("logistic", ["sigmoid", "logistic"]), ("tanh", ["tanh", "tanh"])]:
        one = net_of(activation=name, hidden_layer_sizes=(5, 4)).fit(X, labels)
        other = net_of(activation=alike, hidden_layer_sizes=(5, 4)).fit(X, labels)
        assert same(one, other)
        assert np.array_equal(one.predict(X), other.predict(X))
        np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize(
    "settings", [{"dropout": 0.3}, {"batch_norm": True}, {"clip_norm": 1.0}, {"n_jobs": 1}]
)
def test_weights_and_row_orders_stay_as_scikit_learn_draws_them(settings):
    ends = []
    for given in ({}, settings):
        generator = np.random.RandomState(3)
        net_of(random_state=generator, batch_size=32, **given).fit(X, labels)
        ends.append(generator.randint(1 << 30))
    assert ends[0] == ends[1]
    tiny = {"learning_rate_init": 1e-12, "max_iter": 1, "batch_size": 32}
    plain, other = net_of(**tiny).fit(X, labels), net_of(**tiny, **settings).fit(X, labels)
    for a, b in zip(plain.coefs_, other.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8)


OWN = [
    {"solver": "rmsprop"},
    {"solver": "adagrad", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    {"solver": "adamw", "weight_decay": 0.01},
    {"solver": "rprop"},
    {"batch_norm": True},
    {"batch_norm": True, "batch_size": 37},  # of 149 rows one is left over
    {"batch_norm": True, "solver": "sgd"},
    {"batch_norm": True, "solver": "adamw", "activation": ["silu"]},
]


@pytest.mark.parametrize("settings", OWN)
def test_parts_are_the_whole(settings):
    # scikit-learn orders the rows of a fit anew each epoch, from the order that they have
    ending = {"n_iter_no_change": np.inf, "batch_size": 32, "shuffle": False}
    if settings.get("solver") == "rprop":
        ending["batch_size"] = "auto"
    rows = slice(149 if settings.get("batch_size") == 37 else 150)
    settings = {**ending, **settings}
    whole = net_of(**settings).fit(X[rows], labels[rows])
    parts = net_of(**settings)
    for _ in range(6):
        parts.partial_fit(X[rows], labels[rows], classes=[0, 1, 2])
        parts = pickle.loads(pickle.dumps(parts))
    assert whole.t_ == parts.t_
    if settings.get("learning_rate") == "invscaling":  # whose rate is left as a number
        np.testing.assert_allclose(whole.loss_curve_, parts.loss_curve_, rtol=1e-12)
        return
    assert same(whole, parts) and whole.loss_curve_ == parts.loss_curve_
    assert np.array_equal(whole.predict_proba(X), parts.predict_proba(X))


def test_dropout_differs_from_part_to_part():
    net = net_of(dropout=0.5, learning_rate_init=1e-12)
    for _ in range(3):
        net.partial_fit(X, labels, classes=[0, 1, 2])
    assert len(set(np.round(net.loss_curve_, 6))) == 3


def watched(**settings):
    """A net that watches rows, and these."""
    rows = {"X_val": X[100:], "y_val": labels[100:]}
    mixed = np.random.RandomState(0).permutation(150)
    rows = {"X_val": X[mixed[100:]], "y_val": labels[mixed[100:]]}
    return net_of(**settings), X[mixed[:100]], labels[mixed[:100]], rows


@pytest.mark.parametrize("early_stopping", [False, True, "loss"])
def test_rows_that_are_given_are_watched(early_stopping):
    settings = {"max_iter": 200, "n_iter_no_change": 5, "learning_rate_init": 0.05}
    net, X, y, rows = watched(early_stopping=early_stopping, **settings)
    net.fit(X, y, **rows)
    assert len(net.validation_loss_curve_) == len(net.validation_scores_) == net.n_iter_ < 200
    assert net.t_ == 100 * net.n_iter_  # all rows are trained on
    loss = log_loss(rows["y_val"], net.predict_proba(rows["X_val"]))
    score = net.score(rows["X_val"], rows["y_val"])
    if not early_stopping:
        assert np.isclose(loss, net.validation_loss_curve_[-1], rtol=1e-12)
        assert score == net.validation_scores_[-1]
        assert same(net, net_of(**settings).fit(X, y))
    elif early_stopping == "loss":
        best = int(np.argmin(net.validation_loss_curve_))
        assert net.best_loss_ == net.validation_loss_curve_[best]
        assert np.isclose(loss, net.best_loss_, rtol=1e-12)
        assert net.best_validation_score_ == net.validation_scores_[best] == score
        assert net.n_iter_ > best + 5
    else:
        assert net.best_validation_score_ == max(net.validation_scores_) == score
    assert not hasattr(net, "_held_out")


def test_validation_loss_of_the_rows_that_early_stopping_holds_out():
    theirs = neural_network.MLPClassifier(**SHORT, early_stopping=True).fit(X, labels)
    net = net_of(early_stopping=True).fit(X, labels)
    assert net.validation_scores_ == theirs.validation_scores_
    assert len(net.validation_loss_curve_) == 6 and net_of().fit(X, labels).n_iter_ == 6
    assert net_of().fit(X, labels).validation_loss_curve_ is None
    by_loss = net_of(early_stopping="loss").fit(X, labels)
    assert by_loss.validation_loss_curve_ == net.validation_loss_curve_


def test_rows_to_watch_in_partial_fit_weights_and_numbers():
    net = net_of("MLPRegressor", loss="huber")
    weights = np.linspace(0, 1, 50)
    for _ in range(3):
        net.partial_fit(X, numbers, X_val=X[:50], y_val=numbers[:50], sample_weight_val=weights)
    off = np.abs(net.predict(X[:50]) - numbers[:50])
    losses = np.where(off <= 1, off**2 / 2, off - 0.5)
    assert np.isclose(net.validation_loss_curve_[-1], np.average(losses, weights=weights))
    right = net.score(X[:50], numbers[:50], sample_weight=weights)
    assert np.isclose(net.validation_scores_[-1], right)
    assert len(net.validation_loss_curve_) == 3


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ({"X_val": X}, "given together"),
        ({"y_val": labels}, "given together"),
        ({"sample_weight_val": labels}, "given together"),
        ({"X_val": X, "y_val": labels[1:]}, "inconsistent numbers"),
        ({"X_val": X[:, 1:], "y_val": labels}, "expecting 4 features"),
        ({"X_val": X, "y_val": labels + 1}, "y_val has 3, which is no class of y"),
        ({"X_val": X * np.nan, "y_val": labels}, "NaN"),
    ],
)
def test_wrong_rows_to_watch_are_refused(rows, named):
    with pytest.raises(ValueError, match=named):
        net_of().fit(X, labels, **rows)


def test_a_pipeline_transforms_the_rows_to_watch():
    raw = datasets.load_iris().data
    with sklearn.config_context(enable_metadata_routing=True):
        net = net_of().set_fit_request(X_val=True, y_val=True)
        steps = make_pipeline(StandardScaler(), net)
        steps.set_params(transform_input=["X_val"]).fit(raw, labels, X_val=raw, y_val=labels)
    alone = net_of().fit(X, labels, X_val=X, y_val=labels)
    assert np.allclose(steps[-1].validation_loss_curve_, alone.validation_loss_curve_)


def test_activations_are_the_values_of_all_layers():
    net = net_of(hidden_layer_sizes=(5, 4), activation=["gelu", "tanh"]).fit(X, labels)
    from scipy.special import erf

    z = X @ net.coefs_[0] + net.intercepts_[0]
    first = z * (1 + erf(z / np.sqrt(2))) / 2
    second = np.tanh(first @ net.coefs_[1] + net.intercepts_[1])
    values = net.activations(X)
    for found, right in zip(values, (first, second, net.predict_proba(X)), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)
    for normed in (False, True):
        net = net_of(hidden_layer_sizes=(5, 4), batch_norm=normed).fit(X, labels)
        values = net.activations(X)
        assert [each.shape[1] for each in values] == [5, 4, 3]
        z = values[0] @ net.coefs_[1] + net.intercepts_[1]
        if normed:
            scale_, shift, mean, variance = net.batch_norms_[1]
            z = scale_ * (z - mean) / np.sqrt(variance + 1e-5) + shift
        np.testing.assert_allclose(values[1], np.maximum(z, 0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(values[-1], net.predict_proba(X), rtol=1e-12)


def test_outputs_of_one_class_each_are_made_probabilities():
    net = net_of(output_activation="sigmoid", max_iter=100, learning_rate_init=0.05)
    net.fit(X, labels, X_val=X, y_val=labels)
    proba = net.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (net.predict(X) == proba.argmax(axis=1)).all()
    assert net.validation_scores_[-1] == net.score(X, labels) > 0.9


def test_threads_change_no_bit():
    nets = [net_of(n_jobs=n_jobs).fit(X, labels) for n_jobs in (None, 1, 2, -1, -2)]
    assert all(same(nets[0], net) for net in nets)


@pytest.mark.parametrize(
    "grid",
    [
        {"dropout": [0.0, 0.2], "batch_norm": [False, True]},
        {"solver": ["adam", "rmsprop", "lbfgs"], "activation": ["relu", ["gelu"]]},
        {"class_weight": [None, "balanced"], "early_stopping": [False, True, "loss"]},
    ],
)
def test_in_a_search_nets_are_what_they_are_alone(grid, monkeypatch):
    sweeps = []
    train = fusion.training.train
    monkeypatch.setattr(
        fusion.training,
        "train",
        lambda fits, *more: (sweeps.append(len(fits)), train(fits, *more))[1],
    )
    search = shoal.sklearn.GridSearchCV(net_of(batch_size=32), grid, cv=3, refit=False)
    search.fit(X, labels)
    from sklearn.model_selection import cross_val_score

    for settings, found in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        alone = cross_val_score(net_of(batch_size=32, **settings), X, labels, cv=3)
        assert found == alone.mean()
    stochastic = [each for each in search.cv_results_["params"] if each.get("solver") != "lbfgs"]
    assert sweeps == [3 * len(stochastic)]


def test_a_net_of_shoals_own_is_not_left_to_scikit_learn():
    class Own(shoal.sklearn.MLPClassifier):
        def _backprop(self, *args):
            raise AssertionError

    with pytest.raises(ValueError, match="dropout = 0.2 is unknown to scikit-learn"):
        Own(**SHORT, dropout=0.2).fit(X, labels)
    weights = np.r_[np.zeros(100), np.ones(50)]
    with pytest.raises(ValueError, match="a batch may have no weight"):
        net_of(dropout=0.2, batch_size=10).fit(X, labels, sample_weight=weights)


def test_what_scikit_learn_can_predict_goes_there():
    net = net_of(dropout=0.2, solver="rmsprop", early_stopping="loss").fit(X, labels)
    there = net.to_sklearn()
    assert type(there) is neural_network.MLPClassifier and there.solver == "adam"
    assert np.array_equal(there.predict_proba(X), net.predict_proba(X))
    clone(there).fit(X, labels)
    for settings in ({"batch_norm": True}, {"activation": "gelu"}):
        with pytest.raises(ValueError, match=f"{next(iter(settings))} = .* is unknown"):
            net_of(**settings).fit(X, labels).to_sklearn()


@pytest.mark.skipif(not hasattr(shoal.sklearn.MLPClassifier, "set_callbacks"), reason="before 1.9")
class TestCallbacks:
    """scikit-learn's callbacks, from 1.9 on."""

    def spy(self, stop_after=100):
        told = []

        class Spy:
            def setup(self, estimator, context):
                told.append(("setup", context.max_subtasks))

            def teardown(self, estimator, context):
                told.append(("teardown",))

            def on_fit_task_begin(self, estimator, context):
                told.append(("begin", context.task_name, context.task_id))

            def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
                score = fitted_estimator.score(X, y)
                told.append(("end", context.task_name, context.task_id, score))
                return context.task_name == "epoch" and context.task_id + 1 >= stop_after

        return Spy(), told

    def test_each_epoch_is_told_of_with_its_net(self):
        spy, told = self.spy()
        net = net_of(n_iter_no_change=2, tol=0.1, max_iter=50).set_callbacks(spy)
        net.fit(X, labels, X_val=X, y_val=labels)
        assert net.n_iter_ < 50 and told[0] == ("setup", 50) and told[-1] == ("teardown",)
        epochs = [each for each in told if each[1:2] == ("epoch",)]
        assert [each[:3] for each in epochs] == [
            (what, "epoch", k) for k in range(net.n_iter_) for what in ("begin", "end")
        ]
        assert [each[3] for each in epochs[1::2]] == net.validation_scores_
        assert same(net, net_of(n_iter_no_change=2, tol=0.1, max_iter=50).fit(X, labels))

    def test_a_callback_ends_the_training(self):
        spy, told = self.spy(stop_after=3)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            net = net_of().set_callbacks(spy).fit(X, labels)
        assert net.n_iter_ == 3 and len(net.loss_curve_) == 3

    def test_a_searchs_progress_bar_keeps_it_one_sweep(self, monkeypatch, capsys):
        pytest.importorskip("rich")
        from sklearn.callback import ProgressBar

        nets = []
        train = fusion.training.train
        monkeypatch.setattr(
            fusion.training, "train",
            lambda fits, *more: (nets.append(len(fits)), train(fits, *more))[1],
        )  # fmt: skip
        search = shoal.sklearn.GridSearchCV(net_of(), {"alpha": [0.1, 1.0]}, cv=3, refit=False)
        search.set_callbacks(ProgressBar(max_propagation_depth=2)).fit(X, labels)
        assert nets == [6]

    @pytest.mark.parametrize("solver", ["lbfgs", "sgd"])
    def test_errors_end_the_callbacks(self, solver):
        spy, told = self.spy()
        with pytest.raises(ValueError, match="NaN"):
            net_of(solver=solver).set_callbacks(spy).fit(X * np.nan, labels)
        assert told[-1] == ("teardown",)
        net = net_of(solver=solver).set_callbacks(spy).fit(X, labels)
        assert told[-1] == ("teardown",) and told[-2][:2] == ("end", "fit")
        assert "_epochs" not in vars(net)
