"""A process that keeps to few cores has as few threads, in Shoal and in what counts cores."""

import os
import subprocess
import sys

import pytest

from .confine import keep_to

PROGRAM = """
from benchmarks.confine import keep_to
from benchmarks.machine import cores
keep_to(1)
keep_to(1)  # as asv does, before each sample
from shoal.kernels.code.environment import default_threads
print(cores(), default_threads())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_one_core():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "1"]


def test_too_few_cores():
    with pytest.raises(NotImplementedError, match="1000000 cores are needed"):
        keep_to(1_000_000)
