"""The tutorial's net by FANN, the C library, in float64: ``fann_train_on_data`` with batches.

FANN's nets have bias units whether one wants them or not. So the third input, which is always 1, is
left to FANN's, and the output has a bias that the tutorial's has not; and FANN keeps a sigmoid's
slope from going below that at 0.01. The step is not the tutorial's to the digit, and what is
checked is that the net has learnt the rows. A loop over ``fann_train_epoch`` was tried, and is
slower, for the calls.
"""

import ctypes
import ctypes.util
import functools

import numpy as np

from ..work import Tutorial
from . import Unsuited

NAME = "FANN"

LAYERS = (2, 4, 1)
TRAIN_BATCH = 1  # of enum fann_train_enum
ERROR_LINEAR = 0  # of enum fann_errorfunc_enum
SIGMOID = 3  # of enum fann_activationfunc_enum; its steepness is 0.5 from the start


class Connection(ctypes.Structure):
    """struct fann_connection"""

    _fields_ = [("start", ctypes.c_uint), ("end", ctypes.c_uint), ("weight", ctypes.c_double)]


DOUBLES = ctypes.POINTER(ctypes.c_double)
GIVE_ROW = ctypes.CFUNCTYPE(
    None, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, DOUBLES, DOUBLES
)  # fmt: skip


def missing():
    return None if ctypes.util.find_library("doublefann") else "FANN is not installed"


@functools.cache
def library():
    fann = ctypes.CDLL(ctypes.util.find_library("doublefann"))
    pointer, whole, real = ctypes.c_void_p, ctypes.c_uint, ctypes.c_float
    for name, result, *arguments in (
        ("create_standard_array", pointer, whole, ctypes.POINTER(whole)),
        ("destroy", None, pointer),
        ("create_train_from_callback", pointer, whole, whole, whole, GIVE_ROW),
        ("destroy_train", None, pointer),
        ("set_training_algorithm", None, pointer, ctypes.c_int),
        ("set_train_error_function", None, pointer, ctypes.c_int),
        ("set_activation_function_hidden", None, pointer, ctypes.c_int),
        ("set_activation_function_output", None, pointer, ctypes.c_int),
        ("set_learning_rate", None, pointer, real),
        ("set_weight_array", None, pointer, ctypes.POINTER(Connection), whole),
        ("train_on_data", None, pointer, pointer, whole, whole, real),
        ("run", DOUBLES, pointer, DOUBLES),
    ):
        function = getattr(fann, f"fann_{name}")
        function.restype, function.argtypes = result, arguments
    return fann


def _connections(work):
    """The starting weights as FANN numbers them: layer after layer, its bias unit last."""
    w0, w1 = (w[0] for w in work.start)
    hidden = range(3, 7)  # 0 and 1 are inputs, 2 is their bias
    told = [(i, j, w0[i, j - 3]) for j in hidden for i in range(3)]
    told += [(j, 8, w1[j - 3, 0]) for j in hidden] + [(7, 8, 0.0)]
    return (Connection * len(told))(*told)


def _rows(work):
    """Return FANN's copy of the rows."""
    X, y = work.data

    def give(row, inputs, outputs, x, target):
        for i in range(inputs):
            x[i] = X[row, i]
        target[0] = y[row, 0]

    return library().fann_create_train_from_callback(len(X), 2, 1, GIVE_ROW(give))


def tutorial(work):
    if work.dtype != "float64" or work.nets != 1:
        raise Unsuited("one net in float64 is trained here")
    fann, rows, connections = library(), _rows(work), _connections(work)
    widths = (ctypes.c_uint * len(LAYERS))(*LAYERS)

    def run():
        net = fann.fann_create_standard_array(len(LAYERS), widths)
        fann.fann_set_training_algorithm(net, TRAIN_BATCH)
        fann.fann_set_train_error_function(net, ERROR_LINEAR)
        fann.fann_set_activation_function_hidden(net, SIGMOID)
        fann.fann_set_activation_function_output(net, SIGMOID)
        fann.fann_set_learning_rate(net, len(work.data[0]))  # FANN divides it by the rows
        fann.fann_set_weight_array(net, connections, len(connections))
        fann.fann_train_on_data(net, rows, work.epochs, 0, 0.0)
        answers = [fann.fann_run(net, (ctypes.c_double * 2)(*row[:2]))[0] for row in work.data[0]]
        fann.fann_destroy(net)
        return np.array(answers)[:, np.newaxis]

    return run


PREPARE = {Tutorial: tutorial}


def outputs(result):
    return result
