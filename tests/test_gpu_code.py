"""Code for GPUs: what is in its PTX, that it links, and what is said where there is no GPU."""

import os
import random
import re
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from emulated_gpu import EmulatedDevice

import shoal
from shoal.gpu import device as devices
from shoal.gpu import numba_cuda
from shoal.gpu.errors import GpuError, OutOfMemory
from shoal.kernels.code import machine_code
from shoal.kernels.launching import threads_of_gpu

pytestmark = pytest.mark.skipif(
    not machine_code.has_passes(), reason="llvmlite 0.44 has not the passes"
)

CAPABILITIES = [(7, 5), (8, 0), (9, 0), (10, 0)]
TUTORIAL = {
    "hidden": 4, "activation": "sigmoid", "output": "sigmoid", "loss": "squared_error",
    "bias": False, "batch_size": None, "optimizer": "sgd",
}  # fmt: skip
EVERYTHING = {
    "hidden": 3, "batch_size": 4, "batch_norm": True, "dropout": 0.2, "l1": 0.01, "l2": 0.01,
    "clip_delta": 0.5, "clip_norm": 1.0, "schedule": "cosine", "warmup_epochs": 2, "patience": 2,
    "validation": 0.2,
}  # fmt: skip
# (rows, inputs, settings) of specialised kernels
SHAPES = {
    "3-4-1": (4, 3, TUTORIAL),
    "3-4-1, momentum": (4, 3, {**TUTORIAL, "momentum": 0.9}),
    "3-1": (4, 3, {**TUTORIAL, "hidden": ()}),
    "3-4-1, adam": (4, 3, {"hidden": 4, "batch_size": None}),
    "4-8-3, batches of 32": (150, 4, {"hidden": 8, "batch_size": 32}),
    "2-8-1, tanh, own orders": (20, 2, {"hidden": 8, "activation": "tanh", "batch_size": 5}),
    "2-4-4-1, gelu": (20, 2, {"hidden": (4, 4), "activation": "gelu", "optimizer": "rmsprop"}),
    "1-6-1, selu, one order": (20, 1, {"hidden": 6, "activation": "selu", "shuffle_seed": 1}),
    "2-3-1, everything": (20, 2, EVERYTHING),
    "3-5-1, rprop": (8, 3, {"hidden": 5, "optimizer": "rprop", "batch_size": None}),
}
# Bounds of a thread's registers and of the bytes of its stack, by ptxas of CUDA 13.5.
BOUNDS = {
    "general": (128, 3000),
    "3-4-1": (128, 600),
    "3-4-1, adam": (128, 800),
    "4-8-3, batches of 32": (128, 2300),
}


class Stop(Exception):
    """The code is known."""


def code_of(name, dtype, monkeypatch):
    """The code of a thread for nets of a shape, or the general one."""
    if name == "general":
        return threads_of_gpu.Code(np.dtype(dtype))
    rows, inputs, settings = SHAPES[name]
    device = EmulatedDevice()

    def stop(code):
        device.codes.append(code)
        raise Stop

    device.prepare = stop
    monkeypatch.setitem(devices._devices, None, device)
    X = np.random.default_rng(0).random((rows, inputs)).astype(dtype)
    y = np.arange(rows) % (3 if name.startswith("4-8-3") else 2)
    with pytest.raises(Stop):
        shoal.sweep(X, y, {"seed": range(64)}, backend="cuda", epochs=9, progress=False, **settings)
    (code,) = device.codes
    assert code.local
    return code


def cases(whole):
    every = [
        (name, dtype, capability)
        for name in SHAPES
        for dtype in ("float32", "float64")
        for capability in CAPABILITIES
    ]
    return every if whole else random.Random("ptx").sample(every, 3)


def check_ptx(ptx):
    """Each float operation says how it rounds; none is approximate, or flushes subnormals."""
    operations = re.findall(
        r"\s((?:add|sub|mul|div|fma|mad|sqrt|rcp|rsqrt)\.[.\w]*f(?:32|64))", ptx
    )
    assert len(operations) > 50
    assert {each.split(".")[1] for each in operations} == {"rn"}
    wrong = r"\.ftz|\.approx|\bex2|\blg2|\bsin\b|\bcos\b|\btanh\.|\.full\."
    assert not re.search(wrong, re.sub(r"//.*", "", ptx))
    called = set(re.findall(r"call\.uni\s+(?:\(\w+\),\s*)?\s*(\w+)", ptx))
    assert all(name.startswith(("function_", "shoal_")) for name in called)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_general_ptx(dtype, monkeypatch, whole):
    code = code_of("general", dtype, monkeypatch)
    for capability in CAPABILITIES if whole else CAPABILITIES[::3]:
        check_ptx(code.ptx(capability))


def test_specialised_ptx(monkeypatch, whole):
    for name, dtype, capability in cases(whole):
        check_ptx(code_of(name, dtype, monkeypatch).ptx(capability))


def resources(cubin):
    """(registers of the kernel, most bytes of stack of a function), from a cubin's ELF sections."""
    (sections_at,) = struct.unpack_from("<Q", cubin, 40)
    count, of_names = struct.unpack_from("<HH", cubin, 60)
    heads = [struct.unpack_from("<IIQQQQIIQQ", cubin, sections_at + 64 * k) for k in range(count)]

    def name(head, text=heads[of_names]):
        return cubin[text[4] + head[0] :].split(b"\0", 1)[0].decode()

    (info,) = (head for head in heads if name(head) == ".nv.info")
    at, end, registers, stacks = info[4], info[4] + info[5], [], []
    while at < end:
        form, kind, size = struct.unpack_from("<BBH", cubin, at)
        at += 4
        if form == 4:
            (_, number) = struct.unpack_from("<II", cubin, at) if size == 8 else (0, 0)
            at += size
            registers += [number] if kind == 0x2F else []
            stacks += [number] if kind == 0x11 else []
    return max(registers), max(stacks)


@pytest.mark.parametrize("name", BOUNDS)
def test_it_links_within_bounds(name, monkeypatch):
    pytest.importorskip("numba_cuda", reason="the extra cuda13 is not installed")
    code = code_of(name, "float32", monkeypatch)
    cubin, _ = numba_cuda.link(code, (9, 0))
    registers, stack = resources(cubin)
    print(f"{name}: {registers} registers, {stack} bytes of stack, {len(cubin)} bytes")
    assert registers <= BOUNDS[name][0]
    assert stack <= BOUNDS[name][1]


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import golden_bits, random
def work(net):
    rows, inputs, _ = map(int, net["problem"].split()[1].split("x"))
    return rows * net["settings"].get("epochs", 50) * (inputs + sum(net["settings"]["hidden"])) ** 2
quick = sorted(golden_bits.read(), key=work)[:30]
for dtype in golden_bits.DTYPES:
    nets = random.Random(dtype).sample(quick, 3)
    assert golden_bits.digests(nets, dtype, 1) == [net[dtype] for net in nets]
    assert golden_bits.digests(nets, dtype, 1, backend="cuda") == [net[dtype] for net in nets]
import shoal
assert shoal.cuda_available() and "simulator" in shoal.info()["GPU"]
print("the same")
"""


def test_numbas_simulator_has_the_recorded_bits():
    """And so has plain Python."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert told.stdout.endswith("the same\n"), told.stderr


def test_the_simulator_needs_plain_python(monkeypatch):
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    with pytest.raises(GpuError, match="needs NUMBA_DISABLE_JIT = 1"):
        devices._opened(None)


class Driver:
    """What `numba_cuda` asks of numba.cuda."""

    def __init__(self, reason=None, gpus=()):
        self.reason, self.gpus = reason, gpus

    def is_available(self):
        return self.reason is None

    def cuda_error(self):
        return self.reason

    def list_devices(self):
        return self.gpus


OLD = SimpleNamespace(
    id=0, name=b"Tesla P100", compute_capability=(6, 0), uuid="GPU-00", driver=None
)


@pytest.mark.parametrize(
    "driver, which, message",
    [
        (
            Driver("CUDA driver library cannot be found."),
            None,
            "no driver of NVIDIA's is installed",
        ),
        (
            Driver("CUDA_ERROR_INSUFFICIENT_DRIVER"),
            None,
            "the driver is older than this numba-cuda: CUDA_ERROR_INSUFFICIENT_DRIVER",
        ),
        (Driver("CUDA_ERROR_NO_DEVICE"), None, "the driver finds no GPU"),
        (Driver(gpus=[OLD]), 99, r"device = 99 must be one of 0 \(GPU-00\)"),
        (
            Driver(gpus=[OLD]),
            "GPU-00",
            "Tesla P100 has compute capability 6.0, and backend = 'cuda' needs 7.5 or more",
        ),
    ],
)
def test_what_is_missing_is_said(driver, which, message, monkeypatch):
    monkeypatch.setattr(numba_cuda, "_cuda", lambda: driver)
    monkeypatch.setattr(devices, "_devices", {})
    with pytest.raises(GpuError, match=message) as raised:
        devices.open_device(which)
    assert "\n" not in str(raised.value)
    if driver.reason:
        assert not shoal.cuda_available()
        assert message in shoal.info()["GPU"]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba_cuda", None)
    monkeypatch.setattr(devices, "_devices", {})
    with pytest.raises(
        GpuError, match=r'needs the package numba-cuda: pip install "shoal\[cuda13\]"'
    ):
        devices.open_device(None)
    assert not shoal.cuda_available()


def test_errors_of_the_driver_are_sentences():
    with pytest.raises(OutOfMemory, match="the GPU's memory is full"):
        with numba_cuda._sentences():
            raise RuntimeError("[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")
    with pytest.raises(GpuError, match="the GPU failed: RuntimeError: CUDA_ERROR_LAUNCH_FAILED"):
        with numba_cuda._sentences():
            raise RuntimeError("CUDA_ERROR_LAUNCH_FAILED")


def test_a_fork_of_a_process_with_a_gpu(monkeypatch):
    monkeypatch.setattr(devices, "_devices", {None: EmulatedDevice()})
    monkeypatch.setattr(devices, "_pid", -1)
    with pytest.raises(GpuError, match="cannot be used in a fork of a process that has used it"):
        shoal.fit([[0.0], [1.0]], [0, 1], epochs=1, backend="cuda")


def test_nothing_of_cuda_is_imported_before_it_is_asked_for():
    program = (
        "import sys, shoal; shoal.fit([[0.0], [1.0]], [0, 1], epochs=1, progress=False); "
        "print([m for m in sys.modules "
        "if m.startswith(('cuda', 'numba.cuda', 'numba_cuda', 'shoal.gpu.device'))])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout == "[]\n", told.stderr
