"""What kernels are handed: the layout of the words is frozen by version, and bad words are refused.

A kernel that is compiled once, or by somebody else, reads what these tests say.
"""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from shoal.kernels.lane_group import LaneGroup
from shoal.kernels.launching import kernels, parallel, words
from shoal.kernels.launching.entries import Slice

pytestmark = pytest.mark.kernels

# Where a digest changes, words.VERSION is raised, and both versions are listed here.
DIGESTS = {
    1: {
        "train_nets_in_lanes": "4f255535320c8e4d",
        "train_rows_in_lanes": "aaeb2e482f7fb244",
        "follow": "7e2be9b3d7c7e90c",
        "predict": "b30994ec6b0d6443",
        "initialise": "233df03c12b99692",
    },
    2: {
        "train_nets_in_lanes": "76ca54c57e0e1358",
        "train_rows_in_lanes": "5fcbd8aef1816da9",
        "follow": "b523161a4f03ccb6",
        "predict": "7e64492a3ce39abe",
        "initialise": "233df03c12b99692",
        "take_slices": "23bc742e7aa0b4fc",
    },
    3: {
        "train_nets_in_lanes": "6eecaae21bc58c7d",
        "train_rows_in_lanes": "04ce56217340a760",
        "follow": "a5a7739cde3366e9",
        "predict": "03b2e20ffa21ba22",
        "initialise": "233df03c12b99692",
        "row_orders": "7f5ab507a4809ffc",
        "take_slices": "23bc742e7aa0b4fc",
        "train_net": "74da6e69f8ce7d19",
    },
    4: {
        "train_nets_in_lanes": "e1defd94c59b30ce",
        "train_rows_in_lanes": "0eced268b5c15413",
        "follow": "cd91fe645af2710a",
        "predict": "b9439c610d3c8489",
        "initialise": "233df03c12b99692",
        "row_orders": "7f5ab507a4809ffc",
        "permute_rows": "e8ca8be277916617",
        "take_slices": "23bc742e7aa0b4fc",
        "train_net": "4910328af94e5f78",
    },
    5: {
        "train_nets_in_lanes": "eba3bd6ab5fccf1d",
        "train_rows_in_lanes": "07c12d02440faaf7",
        "follow": "3507f6cace47b1e4",
        "predict": "36b1fe77020f1a51",
        "initialise": "233df03c12b99692",
        "row_orders": "7f5ab507a4809ffc",
        "permute_rows": "e8ca8be277916617",
        "take_slices": "23bc742e7aa0b4fc",
        "train_net": "3de195a4642996e0",
    },
}


def digest_of(kernel):
    return hashlib.sha256("\n".join(words.listing(kernel.field)).encode()).hexdigest()[:16]


def initialisation(groups=3, lanes=2):
    """A kernel of few arguments with what it takes, and the array that it writes to."""
    params = np.zeros((groups, 4, lanes))
    arguments = kernels.Initialisation(
        Slice(0, 0), np.array([[1, 4, 0, -1, 0, 0, -1, -1]]), params,
        np.arange(groups * lanes, dtype=np.uint64).reshape(groups, lanes), np.zeros(1, np.int64),
        np.ones(1),
    )  # fmt: skip
    return arguments, params


@pytest.mark.parametrize("kernel", kernels.KERNELS, ids=lambda kernel: kernel.name)
def test_layout_is_that_of_its_version(kernel):
    assert digest_of(kernel) == DIGESTS[words.VERSION][kernel.name]


def test_listing_names_each_word():
    lines = words.listing(kernels.INITIALISE.field)
    assert len(lines) == kernels.INITIALISE.field.words
    assert lines[:5] == [
        *(f"initialise.slice.{name}" for name in ("start", "stop", "start_tile", "stop_tile")),
        "initialise.layers: address of int64",
    ]
    assert "initialise.params: extent 2" in lines


def test_a_block_is_version_slice_numbers_addresses_and_extents():
    arguments, params = initialisation()
    call = kernels.INITIALISE.bind(LaneGroup(np.float64, 1), [arguments])
    block = call.words[0].tolist()
    assert block[:5] == [words.VERSION, 0, 0, 0, 0]
    assert block[8:12] == [params.ctypes.data, *params.shape]
    assert list(call.blocks) == [call.words.ctypes.data]


def test_another_version_is_refused():
    arguments, params = initialisation()
    call = kernels.INITIALISE.bind(LaneGroup(np.float64, 1), [arguments])
    call.words[0, 0] += 1
    with pytest.raises(RuntimeError, match="another version"):
        parallel.launch([call], [(0, 0, 3, 0, 0)])
    assert not params.any()
    call.words[0, 0] -= 1
    parallel.launch([call], [(0, 0, 3, 0, 0)])
    assert params.all()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda a: a._replace(params=a.params[:, ::2]),
        lambda a: a._replace(params=a.params[0]),
    ],
    ids=["strided", "too few axes"],
)
def test_arrays_that_a_kernel_cannot_read_are_refused(spoil):
    arguments, _ = initialisation()
    with pytest.raises((TypeError, BufferError)):
        kernels.INITIALISE.bind(LaneGroup(np.float64, 1), [spoil(arguments)])


LEAVES = """
import numpy as np
from shoal.kernels.arguments import Task
from shoal.kernels.launching import kernels, parallel
from shoal.kernels.launching.entries import Slice
from shoal.planning import cost_model
from shoal.running.workspaces import prediction_workspace

dtype, widths, n = np.dtype(np.float32), (3, 5, 2), 40
width = cost_model.row_width(dtype, 32)
stride = -(-n // width.rows)
task = Task(**dict.fromkeys(Task._fields, 0) | {
    "rows": n, "inputs": 3, "outputs": 2, "parameters": 25, "tile": n, "stride": stride})
layers = np.array([[3, 5, 0, -1, 1, 0, -1, -1], [5, 2, 15, -1, 1, 5, -1, -1]])
work = prediction_workspace(widths, stride, width, dtype)

def predict(params, X, outputs, stop):
    call = kernels.PREDICT.bind(
        width.group(dtype),
        [kernels.Prediction(Slice(0, 0), task, layers, X, params, work, outputs)])
    parallel.launch([call], [(0, 0, stop, 0, 0)])

def zeros(count):
    return np.zeros(count, dtype)

predict(zeros(25), zeros(3 * n), zeros(2 * n), n)
print("inside")
for short in ((24, 3 * n, 2 * n, n), (25, 3 * n - 1, 2 * n, n), (25, 3 * n, 2 * n - 1, n),
              (25, 3 * n, 2 * n, n + 1)):
    try:
        predict(zeros(short[0]), zeros(short[1]), zeros(short[2]), short[3])
    except IndexError as error:
        print(error)
"""


def test_checked_kernels_catch_what_leaves_an_array():
    """Too few parameters, inputs, outputs, and a row too many: each by one."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVES], env={**os.environ, "SHOAL_CHECKED": "1"}, text=True,
        capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["inside", *["a kernel left its array"] * 4]
