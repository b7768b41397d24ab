"""The most multiply-adds that this machine does in a second: chains of FMA in the registers.

A small C program has enough independent chains of the widest vectors to fill the pipelines, and
touches no memory. Without gcc, numpy's product of large matrices stands in for it.
"""

import ctypes
import functools
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .machine import cores

SECONDS = 0.3
CHAINS = 12

# The barrier keeps the compiler from doing the sums of all turns at once.
SOURCE = r"""
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define EACH(do) do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11)
#define START(k) lanes a##k = one * k;
#define STEP(k) a##k = a##k * x + one;
#define ADD(k) sum += a##k;
#if defined(__x86_64__)
#define KEEP(k) __asm__ volatile("" : "+x"(a##k));
#else
#define KEEP(k) __asm__ volatile("" : "+w"(a##k));
#endif

typedef REAL lanes __attribute__((vector_size(BYTES)));

int width(void) { return BYTES / sizeof(REAL); }

double chains(long turns) {
    lanes one = (lanes){0} + 1, x = one / 2, sum = one;
    EACH(START)
    for (long turn = 0; turn < turns; turn++) { EACH(STEP) EACH(KEEP) }
    EACH(ADD)
    return sum[0];
}
"""


@functools.cache
def _compiled(dtype):
    """Return the C library for a dtype, or None where there is no gcc."""
    if not shutil.which("gcc"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "peak.c"), Path(folder, "peak.so")
        source.write_text(SOURCE)
        real = "float" if dtype == "float32" else "double"
        options = ["-O3", "-march=native", "-ffp-contract=fast", f"-DREAL={real}"]
        subprocess.run(["gcc", *options, "-shared", "-fPIC", source, "-o", library], check=True)
        found = ctypes.CDLL(str(library))
    found.chains.argtypes, found.chains.restype = [ctypes.c_long], ctypes.c_double
    return found


def _by_product(dtype):
    """Return the flops a second of numpy's matrix product, on the threads that it likes."""
    a = np.ones((1024, 1024), dtype)
    start, products = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        a @ a
        products += 1
    return 2 * 1024**3 * products / (time.perf_counter() - start)


def flops(dtype="float32", threads=None):
    """Measure for about 0.3 s.

    Parameters
    ----------
    dtype : "float32" or "float64"
    threads : int, optional
        None: one for each core.

    Returns
    -------
    float
        Additions and multiplications a second, of all threads together.
    """
    library = _compiled(dtype)
    if library is None:
        return _by_product(dtype)
    threads = threads or cores()
    turns = _turns(dtype)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(library.chains, [1] * threads))  # so that all threads are there
        start = time.perf_counter()
        list(pool.map(library.chains, [turns] * threads))
        seconds = time.perf_counter() - start
    return 2 * library.width() * CHAINS * turns * threads / seconds


@functools.cache
def _turns(dtype):
    """Return how many turns of the chains last as long as a measurement should."""
    library, turns = _compiled(dtype), 100_000
    start = time.perf_counter()
    library.chains(turns)
    return max(1, int(turns * SECONDS / (time.perf_counter() - start)))


def method():
    return "FMA chains in C" if shutil.which("gcc") else "numpy's matrix product"
