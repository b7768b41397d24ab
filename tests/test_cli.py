"""The command line: info, and the demo on fewer nets."""

import importlib.metadata
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

import shoal
from shoal import demo, plots
from shoal.cli import main

SMALL = {"hidden": [(4,), (8, 4)], "learning_rate": [0.01, 0.1], "seed": range(3)}
PNG = b"\x89PNG\r\n\x1a\n"


def run(*arguments, **environment):
    return CliRunner().invoke(main, arguments, env=environment)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo, "GRID", SMALL)
    monkeypatch.setattr(demo, "EPOCHS", 3)
    monkeypatch.setattr(demo, "STARTS", 5)


def test_help_and_version():
    assert "demo" in run("--help").output and "info" in run("--help").output
    assert run("--version").output == f"shoal, version {shoal.__version__}\n"


def test_the_command_line_starts_light():
    heavy = {"numba", "rich", "sklearn", "matplotlib", "numpy"}
    program = f"import sys, shoal.cli; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_info_says_what_is_here():
    result = run("info", COLUMNS="200")
    assert result.exit_code == 0
    for word in (
        shoal.__version__, np.__version__, importlib.metadata.version("numba"), "threads",
        "threading layer", "bits", "float32", "cache", "GPU", "CPU",
    ):  # fmt: skip
        assert word in result.output


@pytest.mark.parametrize(
    "mode, said", [(0o700, "empty"), (0o777, "other users may write"), (0o500, "cannot be written")]
)
def test_info_tells_the_state_of_the_cache(tmp_path, monkeypatch, mode, said):
    from shoal.kernels.code import cache

    if mode == 0o500 and os.geteuid() == 0:  # who may write anywhere
        monkeypatch.setattr(os, "access", lambda path, asked: not asked & os.W_OK)
    monkeypatch.setenv("SHOAL_CACHE_DIR", str(tmp_path))
    cache.directory().mkdir(parents=True)
    cache.directory().chmod(mode)
    assert said in run("info", COLUMNS="200").output


def test_info_says_that_the_cache_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    output = run("info", SHOAL_CACHE_DIR=str(tmp_path / "file"), COLUMNS="200").output
    assert "cannot be made" in output


@pytest.mark.kernels
@pytest.mark.parametrize("charset, mark", [("utf-8", "✓"), ("ascii", "ok")])
def test_demo(tmp_path, small, charset, mark):
    picture = tmp_path / "demo.png"
    runner = CliRunner(charset=charset, env={"COLUMNS": "100"})
    result = runner.invoke(main, ["demo", "--output", str(picture)])
    assert result.exit_code == 0, result.output
    for printed in demo.PRINTED_TWO + demo.PRINTED_THREE:
        (line,) = [line for line in result.output.splitlines() if printed in line]
        assert line.count(printed) == 2 and line.rstrip().endswith(mark)
    assert "12 nets in" in result.output and "of 360 held-out digits right" in result.output
    assert str(picture) in result.output.replace("\n", "")
    assert picture.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    "missing, extra",
    [
        (["sklearn"], 'scikit-learn, which is not installed: pip install "shoal[sklearn]"'),
        (["matplotlib"], 'matplotlib, which is not installed: pip install "shoal[plot]"'),
        (["sklearn", "matplotlib"], 'are not installed: pip install "shoal[sklearn,plot]"'),
    ],
)
def test_a_missing_extra_is_named_before_the_work(tmp_path, monkeypatch, missing, extra):
    for module in missing:
        monkeypatch.setitem(sys.modules, module, None)
    picture = tmp_path / "demo.png"
    result = run("demo", "--output", str(picture))
    assert result.exit_code == 1 and extra in result.output
    assert "tutorial" not in result.output and not picture.exists()


@pytest.mark.parametrize("where, said", [("none/demo.png", "does not exist"), (".", "directory")])
def test_a_picture_that_cannot_be_saved_is_refused_before_the_work(tmp_path, where, said):
    result = run("demo", "--output", str(tmp_path / where))
    assert result.exit_code == 2 and said in result.output and "tutorial" not in result.output


@pytest.mark.parametrize("seconds", [0.5, 3])
def test_ctrl_c_ends_the_demo_in_one_line(tmp_path, seconds):
    program = "from shoal import cli; print('ready', flush=True); cli.main(['demo'])"
    if seconds == 3:
        program = f"from shoal import demo; demo.EPOCHS = 3000; {program}"
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    before = "held out" if seconds == 3 else "ready"
    try:
        next(line for line in process.stdout if before in line)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert errors.endswith("Stopped; no picture was saved.\n") and "Traceback" not in errors
    assert not (tmp_path / "shoal-demo.png").exists()


@pytest.fixture(scope="module")
def sweep():
    X = np.eye(4)
    return shoal.sweep(X, [0, 1, 0, 1], SMALL, epochs=4)


@pytest.fixture
def axes():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    return figure.subplots()


def test_plot_losses_draws_every_net(sweep, axes):
    assert plots.plot_losses(sweep, by="hidden", ax=axes) is axes
    lines = [path for collection in axes.collections for path in collection.get_paths()]
    assert len(lines) == len(sweep)
    drawn = sorted(float(path.vertices[-1, 1]) for path in lines)
    assert drawn == sorted(sweep.losses[:, -1].tolist())
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["4", "8-4"]


@pytest.mark.parametrize(
    ("what", "label"),
    [
        ("val_loss", "validation loss"),
        ("score", "score"),
        ("learning_rate", "learning rate"),
    ],
)
def test_plot_losses_draws_other_columns(axes, what, label):
    """A net that was stopped ends there; one that diverged counts as the worst."""
    X, y = np.eye(4), [0.0, 1.0, 2.0, 3.0]
    grid = {"learning_rate": [0.1, 0.2, 1e30], "seed": range(3)}
    sweep = shoal.sweep(X, y, grid, epochs=30, validation=(X, y), patience=2, tolerance=0.5,
                        optimizer="sgd", activation="identity")  # fmt: skip
    assert set(sweep.results["status"]) == {"stopped", "diverged"}
    plots.plot_losses(sweep, what=what, ax=axes)
    assert axes.get_ylabel() == label
    lines = [path for collection in axes.collections for path in collection.get_paths()]
    ends = [path.vertices[~np.isnan(path.vertices[:, 1])] for path in lines]
    for model, end in zip(sweep, ends, strict=True):
        column = getattr(model.history, what)
        assert end[:, 1].tolist() == column[~np.isnan(column)].tolist()
    axes.figure.canvas.draw()


def test_plot_scores_draws_every_net(sweep, axes):
    assert plots.plot_scores(sweep, "hidden", by="learning_rate", ax=axes) is axes
    dots = np.concatenate([collection.get_offsets()[:, 1] for collection in axes.collections])
    assert sorted(dots.tolist()) == sorted(sweep.results["score"].tolist())
    assert [label.get_text() for label in axes.get_xticklabels()] == ["4", "8-4"]


def test_a_diverged_net_is_drawn_without_a_warning(axes):
    grid = {"learning_rate": [0.1, 1e30], "seed": range(2)}
    sweep = shoal.sweep(
        np.eye(4), [0.0, 1, 2, 3], grid, epochs=9, activation="identity", optimizer="sgd"
    )
    assert "diverged" in sweep.results["status"]
    plots.plot_losses(sweep, by="learning_rate", ax=axes)
    axes.figure.canvas.draw()
    plots.plot_scores(sweep, "learning_rate", ax=axes.figure.subplots())


def test_plots_refuse_what_they_cannot_show(sweep, axes, monkeypatch):
    with pytest.raises(ValueError, match="by = 'loss' must be a varied setting: hidden, learn"):
        plots.plot_losses(sweep, by="loss", ax=axes)
    with pytest.raises(ValueError, match="what = 'accuracy' must be one of loss, val_loss, score"):
        plots.plot_losses(sweep, what="accuracy", ax=axes)
    many = shoal.sweep(np.eye(4), [0, 1, 0, 1], {"seed": range(13)}, hidden=4, epochs=1)
    with pytest.raises(ValueError, match="x = 'seed' has 13 values in this sweep, but must have"):
        plots.plot_scores(many, "seed", ax=axes)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "shoal\[plot\]"'):
        plots.plot_losses(sweep)
