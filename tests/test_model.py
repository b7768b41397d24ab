"""Model: its file, whole or not at all, and every way in which a file may be wrong."""

import copy
import json
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pandas
import pytest
from safetensors.numpy import save_file

import shoal
from shoal.model import _checksum

pytestmark = pytest.mark.kernels

rng = np.random.default_rng(0)
X = rng.random((20, 3))
TARGETS = {
    "two labels": rng.integers(0, 2, 20),
    "three labels": np.uint8([3, 7, 255] * 7)[:20],
    "strings": np.array(["cat", "dog", "å\n\0b"] * 7)[:20],
    "booleans": rng.random(20) < 0.5,
    "huge labels": np.array([0, 2**64 - 1] * 10, np.uint64),
    "multi-label": rng.integers(0, 2, (20, 3)),
    "number": rng.random(20),
    "column": rng.random((20, 1)),
    "numbers": rng.random((20, 2)),
}


def fit(y="three labels", **more):
    return shoal.fit(X, TARGETS[y], **{"hidden": (4, 3), "epochs": 3, **more})


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    fit().save(path)
    return path


# ----------------------------------------------------------------------------------- round trip


@pytest.mark.parametrize("y", TARGETS)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"hidden": ()},
        {"bias": False, "dtype": "float32"},
        {"activation": ["relu", "gelu"], "batch_size": None, "shuffle_seed": 2**64 - 1},
        {"epochs": 0},
        {"batch_norm": True, "dropout": [0.1, 0.2, 0], "patience": 1, "validation": 0.3},
        {"optimizer": "sgd", "learning_rate": 1e30, "epochs": 9, "loss": "squared_error"},
    ],
)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_model_comes_back(tmp_path, y, more, kind):
    model = fit(y, **more)
    path = kind(tmp_path / "a model")
    model.save(path)
    again = shoal.load(path)
    for X_ in (X, X.astype("f4")):
        np.testing.assert_array_equal(again(X_), model(X_))
        assert again.predict(X_).dtype == model.predict(X_).dtype
        np.testing.assert_array_equal(again.predict(X_), model.predict(X_))
        if model.classes is not None and model.settings["output"] != "identity":
            np.testing.assert_array_equal(again.predict_proba(X_), model.predict_proba(X_))
    assert again.settings == model.settings
    assert again.status == model.status
    assert again.dtype == model.dtype
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again.history.epoch, model.history.epoch)
    for name in ("loss", "val_loss", "score", "learning_rate"):
        np.testing.assert_array_equal(getattr(again.history, name), getattr(model.history, name))
    assert again.resume.epochs == model.resume.epochs
    for a, b in zip(again.resume[1:], model.resume[1:], strict=True):
        np.testing.assert_array_equal(a, b)
    assert os.listdir(tmp_path) == ["a model"]
    again.save(path)  # over itself
    np.testing.assert_array_equal(shoal.load(path)(X), model(X))


def test_models_of_a_sweep_are_saved(tmp_path):
    sweep = shoal.sweep(X, TARGETS["strings"], {"hidden": [4, ()], "seed": range(2)}, epochs=2)
    for i, model in enumerate(sweep):
        model.save(tmp_path / str(i))
        np.testing.assert_array_equal(shoal.load(tmp_path / str(i)).predict(X), model.predict(X))


def test_models_are_copied_and_pickled():
    model = fit()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other(X), model(X))


def test_file_has_the_permissions_of_any_file(saved):
    plain = saved.with_name("plain")
    plain.touch()
    assert saved.stat().st_mode == plain.stat().st_mode


def test_pickle_is_nowhere_near(tmp_path, monkeypatch):
    def fail(*arguments, **more):
        raise AssertionError("pickle was used")

    model = fit("strings")
    for name in ("dump", "dumps", "load", "loads", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, name, fail)
    model.save(tmp_path / "model")
    shoal.load(tmp_path / "model")


# --------------------------------------------------------------------------- a write that fails


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_file(saved, monkeypatch, call, error):
    before = saved.read_bytes()

    def fail(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(type(error)):
            fit("number").save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_where_no_file_can_be(tmp_path):
    model = fit()
    with pytest.raises(FileNotFoundError, match=r"path = '.*no/model' must be in a directory"):
        model.save(tmp_path / "no" / "model")
    for path in (tmp_path, str(tmp_path), ""):
        with pytest.raises(IsADirectoryError, match="path = .* is a directory, but must be a file"):
            model.save(path)
    for path in (None, 3):
        with pytest.raises(TypeError):
            model.save(path)
        with pytest.raises(TypeError):
            shoal.load(path)
    with pytest.raises(FileNotFoundError):
        shoal.load(tmp_path / "no")
    with pytest.raises(IsADirectoryError):
        shoal.load(tmp_path)
    assert os.listdir(tmp_path) == []


# -------------------------------------------------------------------------------- damaged files


def refused(path, match="path = '.*' is "):
    with pytest.raises(ValueError, match=match) as caught:
        shoal.load(path)
    assert type(caught.value) is ValueError
    assert "\n" not in str(caught.value)


def test_every_truncation_is_refused(saved):
    content = saved.read_bytes()
    for length in {*range(0, len(content), 97), *range(20), len(content) - 1}:
        saved.write_bytes(content[:length])
        refused(saved)
    saved.write_bytes(content + b"\0")
    refused(saved)


def test_every_flipped_bit_is_refused_or_harmless(saved):
    model, content = shoal.load(saved), bytearray(saved.read_bytes())
    for position in range(len(content)):
        bit = 1 << position % 8
        content[position] ^= bit
        saved.write_bytes(content)
        try:
            again = shoal.load(saved)
        except ValueError as error:
            assert "path = " in str(error)
        else:  # such as white space in the header
            assert again.settings == model.settings
            assert all((a == b).all() for a, b in zip(again.weights, model.weights, strict=True))
        content[position] ^= bit


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"\xff" * 100,
        b"PK\x03\x04" + b"\0" * 50,
        pickle.dumps({"weights": [1]}),
        b'{"weights": [1, 2]}',
        (2**40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (14).to_bytes(8, "little") + b'{"a":{"b":{}}}',
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }",
    ],
)
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / "model"
    path.write_bytes(content)
    refused(path)


def test_foreign_safetensors_are_refused(tmp_path):
    path = tmp_path / "model"
    for metadata in (None, {}, {"format": "pt"}, {"format": "shoal.model"}):
        save_file({"weights.0": np.zeros((3, 1))}, path, metadata)
        refused(path)


def rewritten(saved, change):
    """The file as a skilled stranger would write it: changed, and the checksum is right."""
    from safetensors import safe_open

    with safe_open(saved, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}
        about = json.loads(file.metadata()["about"])
    about = change(arrays, about) or about
    about = about if isinstance(about, str) else json.dumps(about)
    digest = _checksum(arrays, about)
    save_file(arrays, saved, {"format": "shoal.model", "about": about, "sha256": digest})


def test_a_rewritten_file_is_read(saved):
    model = shoal.load(saved)
    rewritten(saved, lambda arrays, about: None)
    np.testing.assert_array_equal(shoal.load(saved)(X), model(X))


CHANGES = {
    "weights that do not chain": lambda a, m: a.update({"weights.1": np.zeros((9, 3))}),
    "weights of another rank": lambda a, m: a.update({"weights.1": np.zeros(12)}),
    "no units": lambda a, m: a.update(
        {"weights.0": np.zeros((3, 0)), "weights.1": np.zeros((0, 3)), "biases.0": np.zeros(0)}
    ),
    "integer weights": lambda a, m: a.update({"weights.0": np.zeros((3, 4), np.int64)}),
    "mixed dtypes": lambda a, m: a.update({"weights.1": np.zeros((4, 3), np.float32)}),
    "a missing layer": lambda a, m: a.pop("weights.2") is None or None,
    "missing biases": lambda a, m: a.pop("biases.0") is None or None,
    "long biases": lambda a, m: a.update({"biases.0": np.zeros(7)}),
    "other outputs": lambda a, m: a.update(
        {"weights.2": np.zeros((3, 1)), "biases.2": np.zeros(1)}
    ),
    "no history": lambda a, m: a.pop("history.loss") is None or None,
    "short scores": lambda a, m: a.update({"history.score": np.zeros(1)}),
    "short history": lambda a, m: a.update({"history.loss": np.zeros(1)}),
    "no layers": lambda a, m: m.update(layers=0),
    "negative layers": lambda a, m: m.update(layers=-1),
    "layers of text": lambda a, m: m.update(layers="3"),
    "other activations": lambda a, m: m["settings"].update(activation=["relu", "tan"]),
    "fewer activations": lambda a, m: m["settings"].update(activation=["relu"]),
    "no output": lambda a, m: m["settings"].pop("output") and None,
    "another output": lambda a, m: m["settings"].update(output="identity"),
    "unknown settings": lambda a, m: m["settings"].update(dropout=1),
    "settings of another type": lambda a, m: m.update(settings=[1]),
    "another target": lambda a, m: m.update(target={}),
    "a target of fewer classes": lambda a, m: m["target"].update(classes=[1, 2]),
    "no version": lambda a, m: m.pop("version") and None,
    "version of text": lambda a, m: m.update(version="1"),
    "NaN weights": lambda a, m: a["weights.1"].fill(np.nan),
    "infinite biases": lambda a, m: a["biases.1"].fill(np.inf),
    "integer biases": lambda a, m: a.update({"biases.1": np.zeros(3, np.int64)}),
    "integer losses": lambda a, m: a.update({"history.loss": a["history.epoch"]}),
    "epochs that are floats": lambda a, m: a.update({"history.epoch": a["history.loss"]}),
    "an unknown status": lambda a, m: m["results"].update(status="done"),
    "a running status": lambda a, m: m["results"].update(status="running"),
    "results of text": lambda a, m: m["results"].update(loss="0.5"),
    "epochs of text": lambda a, m: m["results"].update(epochs="5"),
    "too few feature names": lambda a, m: m.update(feature_names=["a"]),
    "feature names of numbers": lambda a, m: m.update(feature_names=[1, 2, 3]),
    "values that are a list": lambda a, m: "[1, 2]",
    "values that are no JSON": lambda a, m: "{",
    "values without end": lambda a, m: "[" * 100_000,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_with_wrong_values_is_refused(saved, change):
    rewritten(saved, CHANGES[change])
    refused(saved, "path = '.*' is no model that Shoal saved")


def test_a_type_that_numpy_does_not_have_is_refused(saved):
    content = saved.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    entry = header["weights.0"]
    entry.update(dtype="BF16", shape=[entry["shape"][0], 4 * entry["shape"][1]])
    text = json.dumps(header).encode()
    saved.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    refused(saved)


def test_a_later_version_is_refused(saved):
    rewritten(saved, lambda arrays, about: about.update(version=4))
    refused(saved, "path = '.*' has version 4, but this Shoal reads up to 3")


NEW_SETTINGS = (
    "huber_delta", "quantile", "schedule", "warmup_epochs", "step_size", "gamma",
    "min_learning_rate", "power", "rho", "l1", "l2", "weight_decay", "dropout", "batch_norm",
    "clip_delta", "clip_norm", "validation", "patience", "tolerance", "class_weight",
)  # fmt: skip


def as_version_1(arrays, about):
    """What the first version wrote: no batch norm, nothing to go on from, a history of losses."""
    for name in [*arrays]:
        if name.startswith("resume.") or name in (
            "history.val_loss", "history.score", "history.learning_rate"
        ):  # fmt: skip
            del arrays[name]
    for name in NEW_SETTINGS:
        del about["settings"][name]
    del about["batch_norm"], about["resume"]
    as_version_2(arrays, about)
    about["version"] = 1


def as_version_2(arrays, about):
    """What the second version wrote: no feature names, epochs from 0."""
    arrays["history.epoch"] -= 1
    del about["feature_names"]
    about["version"] = 2


@pytest.mark.parametrize("y", ["strings", "multi-label", "numbers"])
def test_a_file_of_version_1_is_read(tmp_path, y):
    model, path = fit(y), tmp_path / "model"
    model.save(path)
    rewritten(path, as_version_1)
    old = shoal.load(path)
    assert old.settings == model.settings
    assert old.results == {**model.results, "val_loss": old.results["val_loss"]}
    assert (old.batch_norm, old.resume) == (None, None)
    np.testing.assert_array_equal(old(X), model(X))
    np.testing.assert_array_equal(old.predict(X), model.predict(X))
    np.testing.assert_array_equal(old.history.epoch, model.history.epoch)
    np.testing.assert_array_equal(old.history.loss, model.history.loss)
    for name in ("val_loss", "score", "learning_rate"):
        column = getattr(old.history, name)
        assert column.shape == model.history.loss.shape and np.isnan(column).all()
    with pytest.raises(ValueError, match="warm_start has no optimizer state, but must be a net of"):
        shoal.fit(X, TARGETS[y], warm_start=old)
    old.save(path)  # as version 3
    again = shoal.load(path)
    assert again.settings == model.settings and again.resume is None
    np.testing.assert_array_equal(again(X), model(X))


def test_a_file_of_version_2_is_read_and_checks_no_names(tmp_path):
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    model, path = shoal.fit(frame, TARGETS["numbers"], epochs=5, record_every=2), tmp_path / "model"
    model.save(path)
    assert shoal.load(path).feature_names == ("a", "b", "c")
    rewritten(path, as_version_2)
    old = shoal.load(path)
    assert (old.feature_names, old.history.epoch.tolist()) == (None, [1, 3, 5])
    np.testing.assert_array_equal(old(frame[["c", "b", "a"]]), old(X[:, ::-1]))
    longer = shoal.fit(frame, TARGETS["numbers"], warm_start=old, epochs=2)
    assert longer.history.epoch.tolist() == [1, 3, 5, 7]
    assert longer.feature_names == ("a", "b", "c")


# -------------------------------------------------------------------------- what a file stands on


def test_a_link_is_followed(tmp_path):
    there, link, model = tmp_path / "there", tmp_path / "link", fit("number")
    for before in (b"old", None):  # a link to a file, and one to none yet
        there.unlink(missing_ok=True)
        if before:
            there.write_bytes(before)
        link.unlink(missing_ok=True)
        link.symlink_to(there)
        model.save(link)
        assert link.is_symlink()
        np.testing.assert_array_equal(shoal.load(there)(X), model(X))


def test_a_file_keeps_its_mode_and_a_new_one_has_the_usual(tmp_path):
    path, usual = tmp_path / "model", tmp_path / "usual"
    usual.touch()
    fit().save(path)
    assert path.stat().st_mode == usual.stat().st_mode
    path.chmod(0o600)
    fit().save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_no_regular_file_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, os.devnull):
        before = os.stat(path)
        with pytest.raises(FileExistsError, match="^path = .* is a device or a pipe, but must be"):
            fit().save(path)
        assert os.stat(path) == before


def test_errors_name_the_path_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match=r"^\[Errno 28\] No space left on device: 'model'$"):
            fit().save("model")
    assert os.listdir(tmp_path) == []
    fit().save("model")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=r"Permission denied: 'model'$"):
        fit().save("model")


def no_space(number):
    raise OSError(28, "No space left on device")


def test_paths_of_bytes(tmp_path):
    path, model = os.fsencode(tmp_path / "model"), fit()
    model.save(path)
    np.testing.assert_array_equal(shoal.load(path)(X), model(X))


def test_the_directory_is_synced_after_the_rename(tmp_path, monkeypatch):
    done, sync, replace = [], os.fsync, os.replace

    def fsync(number):
        done.append("directory" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        sync(number)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("rename"), replace(*paths)))
    fit().save(tmp_path / "model")
    assert done == ["file", "rename", "directory"]


# ------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (X[:, :2], r"X.shape = \(20, 2\) must have a column for each input of the net: 3"),
        (X[:, 0], r"X.shape = \(20,\) must be 2-D"),
        (X[:0], "at least one row"),
        (np.where(X > 0.9, np.nan, X), r"X\[.*\] = nan must be a finite"),
    ],
)
@pytest.mark.parametrize("method", ["__call__", "predict", "predict_proba"])
def test_bad_X(bad, message, method):
    with pytest.raises(ValueError, match=message):
        getattr(fit(), method)(bad)


def test_weights_changed_by_hand_must_chain():
    model = fit()
    model.weights[1] = np.zeros((4, 3))
    assert model(X).shape == (20, 3)
    model.weights[1] = np.zeros((7, 3))
    with pytest.raises(ValueError, match=r"weights\[1\].shape = \(7, 3\) must be \(4, units\)"):
        model(X)
    model.weights[1] = np.zeros((4, 3))
    model.biases[0] = np.zeros(9)
    with pytest.raises(ValueError, match="biases have shapes"):
        model(X)


# --------------------------------------------------------------------------------- the score


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["two labels", "three labels", "multi-label", "numbers", "flat"])
def test_score_is_that_of_a_sweep(kind, weighted):
    """Of the same rows as validation rows, or as weighted training rows."""
    generator = np.random.default_rng(2)
    X = generator.normal(size=(40, 3))
    y = {
        "two labels": np.where(X[:, 0] > 0, "a", "b"),
        "three labels": np.digitize(X[:, 0], [-0.5, 0.5]),
        "multi-label": (X[:, :2] > 0).astype(int),
        "numbers": X[:, :2] ** 2,
        "flat": X[:, 0] ** 2,
    }[kind]
    weights = generator.choice([0.0, 1.0, 2.5], 40) if weighted else None
    model = shoal.fit(X, y, epochs=20, hidden=5, learning_rate=0.01, sample_weight=weights)
    assert model.score(X, y, weights) == pytest.approx(model.results["score"], rel=1e-12)
    if kind == "three labels":
        assert model.score(X[:3], model.predict(X[:3])) == 1


def test_score_refuses_other_rows():
    model = shoal.fit(np.eye(3), ["a", "b", "c"], epochs=1, hidden=2)
    with pytest.raises(ValueError, match="y has labels = \\['d'\\] but must have only the known"):
        model.score(np.eye(3), ["a", "b", "d"])
    with pytest.raises(ValueError, match="must have as many rows as its X: 3"):
        model.score(np.eye(3), ["a", "b"])
