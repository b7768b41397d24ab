"""What backend="cuda" does on the GPU of this machine: bits, times beside JAX and PyTorch, scaling.

    python -m benchmarks.gpu [--out DIRECTORY] [--dry]

Bits come first: a short run, then 1,000 nets with everything switched on, beside the CPU's. Then
the same work for all contenders on the same GPU, by turns, each waited for. It is meant to take
less than 8 minutes, and writes what it has found after each part: a table (gpu.md) and a picture of
the scaling (gpu.svg). ``--dry`` goes through all of it on the CPU, with few nets and epochs.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

import shoal

from .timing import by_turns
from .work import Tutorial

TURNS = 5
EVERYTHING = {
    "hidden": (4, 4), "activation": "gelu", "batch_size": 8, "batch_norm": True, "dropout": 0.2,
    "l1": 1e-3, "l2": 1e-3, "clip_delta": 0.5, "clip_norm": 1.0, "schedule": "cosine",
    "warmup_epochs": 2, "validation": 0.2, "patience": 5, "epochs": 30,
}  # fmt: skip


class Report:
    """Lines that are told, and kept in a file at once: a borrowed GPU may go at any time."""

    def __init__(self, path):
        self.path, self.lines = path, []

    def __call__(self, line):
        print(line, flush=True)
        self.lines.append(line)
        self.path.write_text("\n".join(self.lines) + "\n")


def same_bits(tell, name, X, y, nets, **settings):
    """Whether the GPU and the CPU train nets to the same bits."""
    given = {**settings, "progress": False}
    trained = []
    for backend in ("cpu", BACKEND):
        begin = time.perf_counter()
        trained.append(shoal.sweep(X, y, {"seed": range(nets)}, backend=backend, **given))
        tell(f"| {name}, {backend} | {time.perf_counter() - begin:.2f} s with compiling |")
    different = sum(
        any(a.tobytes() != b.tobytes() for a, b in zip(one.weights, other.weights, strict=True))
        or one.history.loss.tobytes() != other.history.loss.tobytes()
        for one, other in zip(*trained, strict=True)
    )
    tell(f"| {name} | {different} of {nets:,} nets differ |")


def bits(tell):
    """The first part."""
    tell("\n| bits | |\n| --- | --- |")
    X, y = Tutorial(1, 1, "float32").data
    tutorial = {**shoal.TUTORIAL, "hidden": 4, "epochs": 100}
    same_bits(tell, "64 nets 3-4-1", X, y[:, 0], 64, **tutorial)
    rng = np.random.default_rng(0)
    X, y = rng.random((60, 3)), np.arange(60) % 3
    for dtype in ("float32", "float64"):
        count = 64 if DRY else 1000
        same_bits(tell, f"everything on, {dtype}", X, y, count, dtype=dtype, **EVERYTHING)


def of_shoal(work, backend):
    """A run of the tutorial's nets."""
    X, y = work.data
    settings = {**shoal.TUTORIAL, "epochs": work.epochs, "record_every": work.epochs}

    def run():
        return shoal.sweep(
            X, y[:, 0], {"seed": range(work.nets)}, hidden=4, backend=backend, progress=False,
            **settings,
        )  # fmt: skip

    return run


def of_jax(work):
    """The same by ``jit(vmap(scan))``, on JAX's first device."""
    import jax

    X, y = map(jax.numpy.asarray, work.data)

    def step(weights, _):
        w0, w1 = weights
        l1 = jax.nn.sigmoid(X @ w0)
        l2 = jax.nn.sigmoid(l1 @ w1)
        delta2 = (y - l2) * l2 * (1 - l2)
        delta1 = delta2 @ w1.T * l1 * (1 - l1)
        return [w0 + X.T @ delta1, w1 + l1.T @ delta2], None

    train = jax.jit(jax.vmap(lambda w: jax.lax.scan(step, w, length=work.epochs)[0]))
    start = [jax.numpy.asarray(w) for w in work.start]
    return lambda: jax.block_until_ready(train(start))


def of_torch(work):
    """The same by batched products; on a GPU a captured graph of 50 steps is replayed."""
    import torch

    there = "cpu" if DRY else "cuda"
    X, y = (torch.from_numpy(a).to(there) for a in work.data)
    w0, w1 = (torch.from_numpy(w.copy()).to(there) for w in work.start)

    def step():
        l1 = torch.sigmoid(X @ w0)
        l2 = torch.sigmoid(l1 @ w1)
        delta2 = (y - l2) * l2 * (1 - l2)
        delta1 = delta2 @ w1.transpose(1, 2) * l1 * (1 - l1)
        w0.add_(X.T @ delta1)
        w1.add_(l1.transpose(1, 2) @ delta2)

    if DRY:
        return lambda: [step() for _ in range(work.epochs)]
    step()
    torch.cuda.synchronize()
    graph, steps = torch.cuda.CUDAGraph(), 50
    with torch.cuda.graph(graph):
        for _ in range(steps):
            step()

    def run():
        for _ in range(work.epochs // steps):
            graph.replay()
        torch.cuda.synchronize()

    return run


def beside_rivals(tell):
    """All contenders by turns, and Shoal on more and more nets."""
    tell("\n| 3-4-1, 4 rows, float32 | | ns a net and epoch | rival / Shoal |")
    tell("| --- | --- | --- | --- |")
    measured = []
    for nets in (64, 256) if DRY else (1_000, 10_000, 100_000, 1_000_000):
        work = Tutorial(nets, 100 if DRY else 2_000, "float32")
        runs = {f"Shoal, {BACKEND}": of_shoal(work, BACKEND), "Shoal, CPU": of_shoal(work, "cpu")}
        if nets <= 100_000:
            for name, make in (("JAX", of_jax), ("PyTorch", of_torch)):
                try:
                    runs[name] = make(work)
                except (ImportError, RuntimeError) as error:
                    tell(f"| {nets:,} | {name}: {error} | | |")
        first = {}
        for name, run in runs.items():  # compiled, or from the cache
            begin = time.perf_counter()
            run()
            first[name] = time.perf_counter() - begin
        seconds = by_turns(runs, TURNS)
        base = statistics.median(seconds[f"Shoal, {BACKEND}"])
        for name, times in seconds.items():
            middle = statistics.median(times)
            each = 1e9 * middle / work.steps
            tell(
                f"| {nets:,} | {name} ({first[name]:.2f} s at first) | {each:.3g} | "
                f"{middle / base:.2f} |"
            )
            measured.append((name, nets, each))
    return measured


def draw(measured, path):
    """Time a net and epoch over the number of nets."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for name in dict.fromkeys(name for name, _, _ in measured):
        points = [(nets, each) for other, nets, each in measured if other == name]
        axes.loglog(*zip(*points, strict=True), marker="o", label=name)
    axes.set(xlabel="nets 3-4-1", ylabel="ns a net and epoch")
    axes.legend(frameon=False)
    figure.savefig(path)


def main():
    """The command."""
    global BACKEND, DRY
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("."), help="where gpu.md and gpu.svg go")
    parser.add_argument("--dry", action="store_true", help="on the CPU, few nets: does it run?")
    arguments = parser.parse_args()
    DRY = arguments.dry
    BACKEND = "cpu" if DRY else "cuda"
    arguments.out.mkdir(parents=True, exist_ok=True)
    tell = Report(arguments.out / "gpu.md")
    tell(f"GPU: {shoal.info()['GPU']}")
    if not DRY and not shoal.cuda_available():
        raise SystemExit(1)
    bits(tell)
    draw(beside_rivals(tell), arguments.out / "gpu.svg")


BACKEND, DRY = "cuda", False

if __name__ == "__main__":
    main()
