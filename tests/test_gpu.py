"""backend="cuda" without a GPU: the code of a thread runs on this processor, thread by thread."""

import random
import signal

import golden_bits
import numpy as np
import pytest
from emulated_gpu import EmulatedDevice

import shoal
from shoal.gpu import device as devices
from shoal.gpu.errors import GpuError, OutOfMemory
from shoal.kernels.code import machine_code
from shoal.kernels.launching import threads_of_gpu
from shoal.kernels.launching.thread_entry import FIELD, LAYOUT
from shoal.kernels.launching.words import listing
from shoal.running import on_gpu, scheduler

pytestmark = [
    pytest.mark.kernels,
    pytest.mark.skipif(not machine_code.has_passes(), reason="llvmlite 0.44 has not the passes"),
]

RECORDED = golden_bits.read()
X = np.random.default_rng(0).random((30, 3))
Y = np.arange(30) % 2
SEEDS = {"seed": range(40)}
TILES_OF_AN_EPOCH = 8  # 30 rows in batches of 8, in tiles of 4


@pytest.fixture
def gpu(monkeypatch):
    """A function that makes an emulated GPU the first."""

    def begin(*arguments, **settings):
        device = EmulatedDevice(*arguments, **settings)
        monkeypatch.setitem(devices._devices, None, device)
        return device

    return begin


def sweep(**settings):
    given = {"grid": SEEDS, "hidden": 4, "epochs": 6, "batch_size": 8, "progress": False}
    given |= settings
    if "hidden" in given["grid"]:
        del given["hidden"]
    return shoal.sweep(X, Y, given.pop("grid"), **given)


def bits(trained):
    """All that training has left."""
    return [
        array.tobytes()
        for model in trained
        for array in (
            *model.weights, *(model.biases or ()), model.history.loss, model.history.score,
            np.float64([model.results["loss"], model.results["epochs"]]),
        )
    ]  # fmt: skip


@pytest.mark.parametrize("order", ["forwards", "backwards", "interleaved"])
@pytest.mark.parametrize("most_local", [0, threads_of_gpu.MOST_LOCAL], ids=["general", "special"])
@pytest.mark.parametrize("dtype", golden_bits.DTYPES)
def test_bits_are_the_recorded_ones(dtype, most_local, order, gpu, monkeypatch, whole):
    """Of all settings, in both kinds of code."""
    monkeypatch.setattr(threads_of_gpu, "MOST_LOCAL", most_local)
    gpu(order)
    few = 2 if most_local else 8
    nets = RECORDED if whole else random.Random(f"{dtype} {order}").sample(RECORDED, few)
    found = golden_bits.digests(nets, dtype, 2, backend="cuda")
    assert [(d, n["settings"]) for d, n in zip(found, nets, strict=True)] == [
        (n[dtype], n["settings"]) for n in nets
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shuffle_seed": 3},
        {"batch_size": None, "optimizer": "sgd"},
        {"hidden": 30},
        {"validation": 0.3, "patience": 2, "learning_rate": 0.1, "epochs": 20},
    ],
    ids=["own orders", "one order", "full batches", "general code", "patience"],
)
def test_where_slices_are_cut_changes_no_bit(settings, gpu, monkeypatch):
    """One tile a launch: epochs and batches are cut."""
    expected = bits(sweep(**settings))
    monkeypatch.setattr(on_gpu.GpuScheduler, "_stop_of", lambda self, active, s: active.tile + 1)
    device = gpu()
    assert bits(sweep(backend="cuda", **settings)) == expected
    assert device.launches > 12
    assert all(bool(code.local) == (settings.get("hidden") != 30) for code in device.codes)


def test_heterogeneous_sweeps_and_large_ones(gpu):
    grid = {"hidden": [(3,), (4, 3)], "optimizer": ["sgd", "adam"], "seed": range(5)}
    expected = bits(sweep(grid=grid))
    gpu()
    assert bits(sweep(grid=grid, backend="cuda")) == expected


def test_memory_that_is_too_small_is_shared_out(gpu, capsys):
    expected = bits(sweep())
    device = gpu(memory=2_500_000)
    grid = {"seed": range(40), "learning_rate": [0.001, 0.01, 0.1]}
    large = sweep(grid=grid, epochs=3)
    assert bits(sweep(grid=grid, epochs=3, backend="cuda", verbose=True)) == bits(large)
    assert device.launches == 1
    plenty = capsys.readouterr().out
    assert "one a thread of the GPU" in plenty and "halving" not in plenty
    device = gpu(memory=400_000)
    assert bits(sweep(grid=grid, epochs=3, backend="cuda", verbose=True)) == bits(large)
    assert device.launches > 1
    assert "halving" in capsys.readouterr().out
    gpu(memory=10_000)
    with pytest.raises(OutOfMemory, match="is too small: .* nets of this shape take"):
        sweep(backend="cuda")
    gpu()
    assert bits(sweep(backend="cuda")) == expected


def test_a_launch_that_fails_keeps_what_was_finished(gpu, monkeypatch):
    monkeypatch.setattr(on_gpu.GpuScheduler, "_stop_of", lambda self, active, s: active.last_tile)
    grid = {"hidden": [(3,), (4,)], "seed": range(5)}
    expected = sweep(grid=grid)
    monkeypatch.setattr(EmulatedDevice, "free_memory", lambda device: 400_000)
    monkeypatch.setattr(on_gpu, "bytes_of", lambda trained, groups: 300_000)
    device = gpu()
    device.fails_at = 2
    # one block is in the memory at a time
    monkeypatch.setattr(
        on_gpu.GpuCalls, "begin", one_at_a_time(on_gpu.GpuCalls.begin), raising=True
    )
    with pytest.warns(RuntimeWarning, match="the GPU fell off the bus; the sweep was interrupted"):
        found = sweep(grid=grid, backend="cuda")
    finished = [k for k, status in enumerate(found.results["status"]) if status == "finished"]
    assert len(finished) == 5
    assert bits(found[k] for k in finished) == bits(expected[k] for k in finished)
    assert sorted(found.results["epochs"].tolist()) == [0] * 5 + [6] * 5


def one_at_a_time(begin):
    def begin_one(calls, piece):
        if calls.shards and piece not in calls.shards:
            raise OutOfMemory("another one is there")
        begin(calls, piece)

    return begin_one


def test_a_launch_that_fails_at_once_raises(gpu):
    gpu().fails_at = 1
    with pytest.raises(GpuError, match="fell off the bus"):
        sweep(backend="cuda")


@pytest.mark.parametrize("launches", [1, 2], ids=["after an epoch", "inside an epoch"])
@pytest.mark.parametrize("shuffle_seed", [None, 3])
@pytest.mark.parametrize("hidden", [4, 30])
def test_ctrl_c_leaves_the_last_whole_epoch(launches, shuffle_seed, hidden, gpu, monkeypatch):
    settings = {"shuffle_seed": shuffle_seed, "record_every": 1, "hidden": hidden}
    expected = sweep(epochs=1, **settings)
    stops = {0: TILES_OF_AN_EPOCH, TILES_OF_AN_EPOCH: TILES_OF_AN_EPOCH + 3}
    monkeypatch.setattr(on_gpu.GpuScheduler, "_stop_of", lambda self, active, s: stops[active.tile])
    device, launch = gpu(), EmulatedDevice.launch

    def interrupted(device, *arguments):
        launch(device, *arguments)
        if device.launches == launches:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(EmulatedDevice, "launch", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        found = sweep(epochs=9, backend="cuda", **settings)
    assert device.launches == launches
    assert set(found.results["status"]) == {"interrupted"}
    assert set(found.results["epochs"]) == {1}
    for model, other in zip(found, expected, strict=True):
        assert model.weights[0].tobytes() == other.weights[0].tobytes()
        assert model.history.loss[:1].tobytes() == other.history.loss.tobytes()
        assert np.isnan(model.history.loss[1:]).all()


def test_training_goes_on_elsewhere(gpu):
    """To the same bits, whichever backend trains which part."""
    gpu()
    settings = {"hidden": 4, "batch_size": 8, "progress": False}
    expected = bits([shoal.fit(X, Y, epochs=7, **settings)])
    for first, second in (("cpu", "cuda"), ("cuda", "cpu")):
        model = shoal.fit(X, Y, epochs=3, backend=first, **settings)
        model = shoal.fit(X, Y, epochs=4, warm_start=model, backend=second, **settings)
        assert bits([model])[:-3] == expected[:-3]


def test_train_and_traces(gpu):
    gpu()
    found = {}
    for backend in ("cpu", "cuda"):
        model = shoal.fit(X, Y, hidden=3, epochs=5, trace=[2, 5], backend=backend, progress=False)
        weights = [np.full((3, 2), 0.1), np.full((2, 1), 0.3)]
        shoal.train(X, Y, weights, epochs=4, backend=backend, progress=False)
        traced = [trace.outputs[0].tobytes() for trace in model.history.trace]
        found[backend] = [*traced, *(array.tobytes() for array in weights)]
    assert found["cuda"] == found["cpu"]


def test_a_gpu_is_asked_for_by_number_or_uuid(gpu, monkeypatch):
    asked = []
    monkeypatch.setattr(devices, "_devices", {})
    monkeypatch.setattr(devices, "_opened", lambda which: asked.append(which) or EmulatedDevice())
    for device in (None, 1, np.int64(1), "GPU-1234"):
        sweep(backend="cuda", device=device)
    assert asked == [None, 1, "GPU-1234"]


@pytest.mark.parametrize(
    "given, error, message",
    [
        ({"backend": "gpu"}, ValueError, "backend = 'gpu': did you mean 'cuda'?"),
        ({"backend": "tpu"}, ValueError, "backend = 'tpu': it must be 'cpu' or 'cuda'"),
        ({"backend": None}, TypeError, "backend = None: it must be 'cpu' or 'cuda'"),
        ({"device": 0}, ValueError, "device = 0 needs backend = 'cuda': it names a GPU"),
        (
            {"backend": "cuda", "device": 1.5},
            TypeError,
            "device = 1.5 must be the number or the UUID of a GPU, or None",
        ),
        (
            {"backend": "cuda", "device": True},
            TypeError,
            "device = True must be the number or the UUID of a GPU, or None",
        ),
    ],
)
def test_what_is_no_backend_or_device(given, error, message):
    with pytest.raises(error) as raised:
        sweep(**given)
    assert str(raised.value) == message


def test_words_of_a_launch_are_those_that_threads_read():
    lines, at = listing(FIELD), 0
    for path, each in LAYOUT:
        word, words = (each.word, 1 + each.outer) if hasattr(each, "word") else (each, 1)
        assert word == 1 + at
        for line in lines[at : at + words]:
            assert line.removeprefix(f"{FIELD.name}.").partition(":")[0] == path
        at += words
    assert at == len(lines) == FIELD.words


def test_the_first_slice_is_short(gpu, monkeypatch):
    """As nobody knows how fast a GPU is."""
    stops = []
    stop_of = scheduler.Scheduler._stop_of

    def noted(self, active, seconds):
        stop = stop_of(self, active, seconds)
        stops.append(stop - active.tile)
        return stop

    monkeypatch.setattr(scheduler.Scheduler, "_stop_of", noted)
    gpu()
    sweep(epochs=2000, backend="cuda")
    assert stops[0] <= 24
    assert sum(stops) == 2000 * TILES_OF_AN_EPOCH
