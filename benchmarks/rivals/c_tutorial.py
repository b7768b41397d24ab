"""The tutorial's loop in C, float64, compiled for this machine with all the shortcuts there are."""

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ..work import Tutorial

NAME = "C -Ofast"

# Sizes are constants and each loop runs over all elements of an array, which is the form that gcc
# vectorises best here: all sixteen hidden sigmoids become vector calls of the maths library.
HEAD = r"""
#include <math.h>
#include <string.h>
enum { I = 3, H = 4, R = 4 };
"""
TWO_LAYERS = r"""
void train(const double *X, const double *y, double **w, long epochs) {
    double *w0 = w[0], *w1 = w[1];
    double x[I][R], t[R], a[I][H], b[H], va[I][H] = {0}, vb[H] = {0};
    for (int r = 0; r < R; r++) for (int i = 0; i < I; i++) x[i][r] = X[r * I + i];
    memcpy(t, y, sizeof t);
    memcpy(a, w0, sizeof a);
    memcpy(b, w1, sizeof b);
    for (long epoch = 0; epoch < epochs; epoch++) {
        double l1[H * R], d1[H * R], l2[R], d2[R];
        for (int j = 0; j < H; j++)
            for (int r = 0; r < R; r++)
                l1[j * R + r] = x[0][r] * a[0][j] + x[1][r] * a[1][j] + x[2][r] * a[2][j];
        for (int k = 0; k < H * R; k++) l1[k] = 1 / (1 + exp(-l1[k]));
        for (int r = 0; r < R; r++)
            l2[r] = l1[r] * b[0] + l1[R + r] * b[1] + l1[2 * R + r] * b[2] + l1[3 * R + r] * b[3];
        for (int r = 0; r < R; r++) {
            l2[r] = 1 / (1 + exp(-l2[r]));
            d2[r] = (t[r] - l2[r]) * l2[r] * (1 - l2[r]);
        }
        for (int j = 0; j < H; j++)
            for (int r = 0; r < R; r++)
                d1[j * R + r] = d2[r] * b[j] * l1[j * R + r] * (1 - l1[j * R + r]);
        for (int j = 0; j < H; j++)
            for (int i = 0; i < I; i++)
                STEP(a[i][j], va[i][j],
                     x[i][0] * d1[j * R] + x[i][1] * d1[j * R + 1] + x[i][2] * d1[j * R + 2]
                     + x[i][3] * d1[j * R + 3]);
        for (int j = 0; j < H; j++)
            STEP(b[j], vb[j],
                 l1[j * R] * d2[0] + l1[j * R + 1] * d2[1] + l1[j * R + 2] * d2[2]
                 + l1[j * R + 3] * d2[3]);
    }
    memcpy(w0, a, sizeof a);
    memcpy(w1, b, sizeof b);
}
"""
ONE_LAYER = r"""
void train(const double *X, const double *y, double **w, long epochs) {
    double x[I][R], t[R], a[I], va[I] = {0};
    for (int r = 0; r < R; r++) for (int i = 0; i < I; i++) x[i][r] = X[r * I + i];
    memcpy(t, y, sizeof t);
    memcpy(a, w[0], sizeof a);
    for (long epoch = 0; epoch < epochs; epoch++) {
        double l1[R], d1[R];
        for (int r = 0; r < R; r++) {
            l1[r] = 1 / (1 + exp(-(x[0][r] * a[0] + x[1][r] * a[1] + x[2][r] * a[2])));
            d1[r] = (t[r] - l1[r]) * l1[r] * (1 - l1[r]);
        }
        for (int i = 0; i < I; i++)
            STEP(a[i], va[i],
                 x[i][0] * d1[0] + x[i][1] * d1[1] + x[i][2] * d1[2] + x[i][3] * d1[3]);
    }
    memcpy(w[0], a, sizeof a);
}
"""
SOURCES = {(3, 4, 1): TWO_LAYERS, (3, 1): ONE_LAYER}
STEPS = {False: "w += g", True: "v = MOMENTUM * v + (g), w += v"}


def missing():
    return None if shutil.which("gcc") else "no gcc here"


@functools.cache
def compiled(widths, momentum):
    doubles = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS")
    step = f"#define MOMENTUM {momentum}\n#define STEP(w, v, g) ({STEPS[momentum > 0]})\n"
    with tempfile.TemporaryDirectory() as folder:
        source, unit, library = (Path(folder, f"tutorial.{end}") for end in ("c", "o", "so"))
        source.write_text(HEAD + step + SOURCES[widths])
        command = ["gcc", "-Ofast", "-march=native", "-fPIC", "-c", source, "-o", unit]
        subprocess.run(command, check=True)
        # Linked without -Ofast, with which some versions of gcc add code that switches subnormal
        # numbers off in the whole process, Shoal's arithmetic included.
        subprocess.run(["gcc", "-shared", unit, "-o", library, "-lm"], check=True)
        train = ctypes.CDLL(str(library)).train
    train.argtypes = [doubles, doubles, ctypes.POINTER(ctypes.c_void_p), ctypes.c_long]
    train.restype = None
    return train


def tutorial(work):
    if work.dtype != "float64":
        raise ValueError(f"dtype = {work.dtype!r}: the C rival computes in float64")
    train, (X, y) = compiled(work.widths, work.momentum), work.data

    def run():
        weights = [w.copy() for w in work.start]
        for net in zip(*weights, strict=True):
            train(X, y, (ctypes.c_void_p * len(net))(*(w.ctypes.data for w in net)), work.epochs)
        return weights

    return run


PREPARE = {Tutorial: tutorial}


def final(result):
    return result
