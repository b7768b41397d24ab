"""What users of scikit-learn's nets meet besides numbers: generators, messages, errors, pickles."""

import contextlib
import io
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn import datasets, neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import shoal.sklearn
from shoal.sklearn import telling, theirs

X, y = datasets.load_iris(return_X_y=True)
X = scale(X)
SHORT = {"hidden_layer_sizes": (5,), "max_iter": 6, "random_state": 0}
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def _nothing_said_before(monkeypatch):
    monkeypatch.setattr(telling, "_said", set())


def both(kind="MLPClassifier", **settings):
    """A net of each library."""
    return [
        getattr(module, kind)(**{**SHORT, **settings}) for module in (shoal.sklearn, neural_network)
    ]


@quiet
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"shuffle": False}])
def test_generators_end_where_scikit_learn_leaves_them(settings):
    ends = []
    for net in both(**settings):
        generator = np.random.RandomState(7)
        net.set_params(random_state=generator).fit(X, y)
        np.random.seed(3)
        clone(net).set_params(random_state=None).fit(X, y)
        ends.append((generator.randint(1 << 30), np.random.randint(1 << 30)))
    assert ends[0] == ends[1]


@quiet
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tol": 1e-2, "n_iter_no_change": 2, "max_iter": 60},
        {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 60},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 1e-2, "n_iter_no_change": 1,
         "max_iter": 200},
    ],
)  # fmt: skip
@pytest.mark.parametrize("fused", [False, True])
def test_what_verbose_prints_is_what_scikit_learn_prints(settings, fused):
    def told(net):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            net.set_params(verbose=True).fit(X, y)
        return out.getvalue()

    ours, theirs_ = both(**settings)
    right = told(theirs_)
    if fused:
        import joblib

        with shoal.sklearn.fused():
            (found,) = joblib.Parallel()([joblib.delayed(told)(ours)])
        assert found == right
    else:
        assert told(ours) == right


def test_warnings_are_those_of_scikit_learn():
    for net in both(batch_size=1000):
        with pytest.warns() as caught:
            net.fit(X, y)
        kinds = {(str(each.message), each.category) for each in caught}
        assert kinds == {
            (
                "Got `batch_size` less than 1 or larger than sample size. It is going to be "
                "clipped",
                UserWarning,
            ),
            (
                "Stochastic Optimizer: Maximum iterations (6) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
            ),
        }


@quiet
@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({"hidden_layer_sizes": (0,)}, 150),
        ({"alpha": -1}, 150),
        ({"solver": "newton"}, 150),
        ({"early_stopping": True, "validation_fraction": 0.01}, 60),
        ({"learning_rate_init": 1e300, "solver": "sgd", "max_iter": 3}, 150),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_errors_are_those_of_scikit_learn(settings, rows):
    texts = []
    for net in both(**settings):
        with pytest.raises(ValueError) as error:
            net.fit(X[:rows], y[:rows])
        texts.append((type(error.value), str(error.value)[:60]))
    assert texts[0][0] is texts[1][0]
    assert texts[0][1].split()[:3] == texts[1][1].split()[:3]


def test_partial_fit_refuses_early_stopping():
    for net in both(early_stopping=True):
        with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
            net.partial_fit(X, y, classes=[0, 1, 2])


@quiet
def test_sparse_rows_are_trained_on():
    ours, theirs_ = both()
    rows = scipy.sparse.csr_array(np.where(X > 0, X, 0))
    np.testing.assert_allclose(
        ours.fit(rows, y).coefs_[0], theirs_.fit(rows, y).coefs_[0], rtol=1e-9, atol=1e-15
    )
    assert telling.explain(ours).startswith("MLPClassifier is trained by Shoal")


class OwnScore(shoal.sklearn.MLPClassifier):
    def _score(self, X, y, sample_weight=None):
        return super()._score(X, y, sample_weight) / 2


@quiet
@pytest.mark.parametrize(
    ("make", "fit", "reason"),
    [
        (lambda: OwnScore(**SHORT), {}, "_score is not scikit-learn's"),
        (
            lambda: shoal.sklearn.MLPClassifier(
                **{**SHORT, "random_state": np.random.RandomState(np.random.PCG64(3))}
            ),
            {},
            "its random_state is no Mersenne Twister",
        ),
        (
            lambda: shoal.sklearn.MLPClassifier(**SHORT, batch_size=10),
            {"sample_weight": np.repeat([0.0, 1.0], 75)},
            "a batch may have no weight at all",
        ),
    ],
)
def test_what_shoal_cannot_train_scikit_learn_trains_and_that_is_said_once(
    make, fit, reason, monkeypatch, caplog
):
    with pytest.warns(shoal.sklearn.FallbackWarning, match=reason):
        try:
            net = make().fit(X, y, **fit)
        except ZeroDivisionError:  # of a batch without weight, as it is in scikit-learn
            net = None
    if net is not None:
        assert reason in shoal.sklearn.explain(net)
        with caplog.at_level(logging.INFO, "shoal.sklearn"):
            make().fit(X, y, **fit)  # without a warning
        assert reason in caplog.text
    monkeypatch.setenv("SHOAL_STRICT", "1")
    with pytest.raises(RuntimeError, match="SHOAL_STRICT is set"):
        make().fit(X, y, **fit)


def test_an_unknown_scikit_learn_trains_its_nets(monkeypatch):
    monkeypatch.setattr(theirs, "unknown", lambda: "_fit_stochastic of its nets has other rules")
    with pytest.warns(shoal.sklearn.FallbackWarning, match="has other rules"):
        shoal.sklearn.patch()
    assert not shoal.sklearn.is_patched()


@quiet
def test_explain_tells_of_nets_inside():
    net = make_pipeline(StandardScaler(), shoal.sklearn.MLPClassifier(**SHORT)).fit(X, y)
    assert "MLPClassifier is trained by Shoal: 6 epochs" in shoal.sklearn.explain(net)
    search = shoal.sklearn.GridSearchCV(
        shoal.sklearn.MLPClassifier(**SHORT), {"alpha": [0.1, 1]}
    ).fit(X, y)
    assert "best_estimator_: MLPClassifier is trained by Shoal" in shoal.sklearn.explain(search)
    assert "nothing is known" in shoal.sklearn.explain(StandardScaler())


@quiet
def test_patching_is_of_the_method_and_can_be_undone():
    before = theirs.Base._fit_stochastic
    net = neural_network.MLPClassifier(**SHORT)
    with shoal.sklearn.patched():
        shoal.sklearn.patch()  # twice is once
        assert shoal.sklearn.is_patched()
        net.fit(X, y)
        assert type(net) is neural_network.MLPClassifier
    assert not shoal.sklearn.is_patched()
    assert theirs.Base._fit_stochastic is before
    right = neural_network.MLPClassifier(**SHORT).fit(X, y)
    assert set(vars(net)) == set(vars(right))
    np.testing.assert_allclose(net.coefs_[0], right.coefs_[0], rtol=1e-9, atol=1e-15)


_LOAD = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
net, X, y = pickle.load(sys.stdin.buffer)
first = net.predict_proba(X)
net.partial_fit(X, y)
assert not [name for name in sys.modules if name.startswith("shoal")]
pickle.dump((first, net.coefs_, net._optimizer.t), sys.stdout.buffer)
"""


@quiet
def test_a_patched_nets_pickle_needs_no_shoal():
    with shoal.sklearn.patched():
        net = neural_network.MLPClassifier(**SHORT).fit(X, y)
    done = subprocess.run(
        [sys.executable, "-c", _LOAD], input=pickle.dumps((net, X, y)), capture_output=True,
        check=True,
    )  # fmt: skip
    first, coefs, steps = pickle.loads(done.stdout)
    assert np.array_equal(first, net.predict_proba(X))
    with shoal.sklearn.patched():
        net.partial_fit(X, y)
    assert steps == net._optimizer.t
    np.testing.assert_allclose(coefs[0], net.coefs_[0], rtol=1e-9, atol=1e-15)


@quiet
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_nets_go_to_scikit_learn_and_back(kind):
    ours, theirs_ = both(kind)
    ours.fit(X, y)
    there = ours.to_sklearn()
    back = getattr(shoal.sklearn, kind).from_sklearn(there)
    assert type(there) is type(theirs_) and type(back) is type(ours)
    assert vars(there).keys() == vars(theirs_.fit(X, y)).keys()
    assert vars(back).keys() == vars(ours).keys()
    assert there.get_params() == theirs_.get_params() and back.get_params() == ours.get_params()
    for net in (there, back):
        assert np.array_equal(net.predict(X), ours.predict(X))
        assert net.partial_fit(X, y).t_ == ours.t_ + 150
    np.testing.assert_allclose(there.coefs_[0], back.coefs_[0], rtol=1e-9, atol=1e-15)
    assert not np.array_equal(ours.coefs_[0], back.coefs_[0])  # theirs are copies
    with pytest.raises(TypeError, match=f"must be a {kind} of scikit-learn's own class"):
        type(ours).from_sklearn(StandardScaler())


# scikit-learn repeats these with settings of its own for its own classes.
_REPEATED = {
    "MLPClassifier": {"solver": "lbfgs"},
    "MLPRegressor": {"solver": "sgd", "tol": 1e-2, "random_state": 42},
}


@quiet
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", _REPEATED)
def test_nets_pass_scikit_learns_checks(kind):
    from sklearn.utils.estimator_checks import (
        check_estimator,
        check_sample_weight_equivalence_on_dense_data,
    )

    net = getattr(shoal.sklearn, kind)
    results = check_estimator(net(), on_skip=None)
    assert {each["status"] for each in results} <= {"passed", "skipped"}
    check_sample_weight_equivalence_on_dense_data(kind, net(**_REPEATED[kind]))


@quiet
def test_ctrl_c_ends_a_fit_as_in_scikit_learn():
    net = shoal.sklearn.MLPClassifier(
        (64, 64), max_iter=10**6, tol=0, n_iter_no_change=10**6, random_state=0
    )
    threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        net.fit(X, y)
    assert 0 < net.n_iter_ == len(net.loss_curve_) < 10**6


@quiet
def test_many_epochs_are_trained_in_rounds(monkeypatch):
    settings = {"solver": "sgd", "learning_rate": "invscaling", "max_iter": 23}
    for more in ({}, settings, {"max_iter": 23, "early_stopping": True}):
        whole = shoal.sklearn.MLPClassifier(**{**SHORT, **more}).fit(X, y)
        with monkeypatch.context() as patch:
            patch.setattr(shoal.sklearn.training, "_MOST_RECORDS", 5)
            parts = shoal.sklearn.MLPClassifier(**{**SHORT, **more}).fit(X, y)
        assert whole.n_iter_ == parts.n_iter_
        for one, other in zip(whole.coefs_, parts.coefs_, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
        assert whole._random_state.randint(1 << 30) == parts._random_state.randint(1 << 30)


_PROGRAM = """
import sys
from sklearn.neural_network import MLPClassifier
from sklearn.datasets import load_iris
net = MLPClassifier((4,), tol=0.01, max_iter=500, random_state=0).fit(*load_iris(return_X_y=True))
print(sys.argv[1:], __name__, MLPClassifier.__module__, net.n_iter_, f"{net.loss_:.9f}",
      "shoal" in sys.modules)
"""


@pytest.mark.parametrize("as_module", [False, True])
def test_a_program_runs_patched(as_module, tmp_path):
    (tmp_path / "program.py").write_text(_PROGRAM)
    plain = subprocess.run(
        [sys.executable, "program.py", "a", "-b"], capture_output=True, text=True, cwd=tmp_path,
        check=True,
    )  # fmt: skip
    how = ["-m", "program"] if as_module else ["program.py"]
    patched = subprocess.run(
        [sys.executable, "-m", "shoal.sklearn", *how, "a", "-b"], capture_output=True, text=True,
        cwd=tmp_path, check=True,
    )  # fmt: skip
    assert patched.stdout == plain.stdout.replace("False", "True")


def test_without_scikit_learn_importing_says_what_is_missing(monkeypatch):
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "try:\n    import shoal.sklearn\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == 'shoal.sklearn needs scikit-learn 1.7: pip install "shoal[sklearn]"\n'


def test_importing_leaves_warnings_alone():
    program = (
        "import sklearn.neural_network, warnings; before = list(warnings.filters)\n"
        "import shoal.sklearn; print(warnings.filters == before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
    assert warnings


@pytest.mark.parametrize("warm", [False, True])
def test_a_few_steps_are_left_to_scikit_learn(warm, caplog):
    net, original = both(warm_start=warm, max_iter=1, batch_size=20)
    caplog.set_level(logging.INFO, "shoal.sklearn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        for rows, by in [(140, "scikit-learn: 7 steps"), (150, "Shoal")]:
            for each in (net, original):
                if warm:
                    each.fit(X[:rows], y[:rows])
                else:
                    each.partial_fit(X[:rows], y[:rows], classes=[0, 1, 2])
            assert by in shoal.sklearn.explain(net)
    np.testing.assert_allclose(net.coefs_[0], original.coefs_[0], rtol=1e-9)
    assert net.t_ == original.t_ and net.loss_curve_ == pytest.approx(original.loss_curve_, 1e-9)
