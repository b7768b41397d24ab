"""What training means, in plain numpy: the oracle of the kernels, written to be read as a lesson.

It starts from the smallest neural network there is. Two layers of weights, four rows of data,
the sigmoid, and back-propagation by hand:

>>> import numpy as np
>>> X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
>>> y = np.array([[0], [1], [1], [0]])
>>> w0, w1 = initial_weights((3, 4, 1), "uniform", seed=1)[0]
>>> for epoch in range(5000):
...     a1 = 1 / (1 + np.exp(-(X @ w0)))        # forward: weighted sums, then the sigmoid
...     a2 = 1 / (1 + np.exp(-(a1 @ w1)))
...     d2 = (a2 - y) * a2 * (1 - a2)           # delta: d loss / d weighted sum
...     d1 = d2 @ w1.T * a1 * (1 - a1)          # passed back through the weights
...     w1 -= a1.T @ d2                         # a step against the gradient
...     w0 -= X.T @ d1
>>> (a2 > 0.5).astype(int).T
array([[0, 1, 1, 0]])

The files of this package grow from these lines. In the order of reading:

- ``layers``: `ACTIVATIONS` and `OUTPUTS` put other functions in the sigmoid's place, `propagate`
  takes any number of layers, with batch normalisation and dropout;
- ``losses``: `row_losses` says how wrong the outputs are, `output_delta` what d2 is then, `score`
  how good they are;
- ``backpropagation``: `pass_back` is the line of d1, `backward` the gradients, `look` shows all of
  them;
- ``optimizers``: `sgd_step`, `adam_step` and the other ways to take a step, and
  `learning_rate_of_epoch`, its size;
- ``training``: `train` is the loop, with batches of rows, a monitored loss, and an end;
- ``random``: `philox` draws the starting weights, the order of the rows and who is dropped out, by
  position: the same numbers on every machine and in any order.

With its defaults `train` *is* the program above:

>>> start, _ = initial_weights((3, 4, 1), "uniform", seed=1)
>>> history = train(X, y, start, epochs=5000)
>>> [bool(np.allclose(a, b)) for a, b in zip(start, [w0, w1])]
[True, True]

Shapes: n rows, B rows of a batch, I inputs and O outputs. X is (n, I), y (n, O), the weights of a
layer (inputs, units), its biases (units,). One row is one example, so a layer is ``b + x @ W``.
Everything is computed in the dtype of the weights. Arguments are not checked here.
"""

from .backpropagation import Gradients, Look, backward, gradients, look, pass_back
from .layers import (
    ACTIVATIONS,
    LEAKY_SLOPE,
    OUTPUT_SLOPES,
    OUTPUTS,
    SELU_ALPHA,
    SELU_SCALE,
    Array,
    BatchNorm,
    Names,
    dropped,
    elu,
    forward,
    gelu_slope,
    layer_names,
    normal_cdf,
    normalise,
    propagate,
    selu,
    sigmoid,
    silu_slope,
    softmax,
    softplus,
)
from .losses import (
    CANONICAL,
    LOSSES,
    mean_loss,
    output_delta,
    output_error,
    row_losses,
    score,
)
from .optimizers import (
    adagrad_step,
    adam_step,
    clip_gradients,
    learning_rate_of_epoch,
    optimizer_step,
    rmsprop_step,
    rprop_step,
    sgd_step,
)
from .random import (
    DROPOUT,
    INITIAL_WEIGHTS,
    INITS,
    RELU_LIKE,
    ROW_ORDER,
    dropout_mask,
    dropout_masks,
    dropout_rates,
    initial_weights,
    philox,
    row_order,
)
from .training import History, Watch, evaluate, train

__all__ = [
    "ACTIVATIONS",
    "CANONICAL",
    "DROPOUT",
    "INITIAL_WEIGHTS",
    "INITS",
    "LEAKY_SLOPE",
    "LOSSES",
    "OUTPUTS",
    "OUTPUT_SLOPES",
    "RELU_LIKE",
    "ROW_ORDER",
    "SELU_ALPHA",
    "SELU_SCALE",
    "Array",
    "BatchNorm",
    "Gradients",
    "History",
    "Look",
    "Names",
    "Watch",
    "adagrad_step",
    "adam_step",
    "backward",
    "clip_gradients",
    "dropout_mask",
    "dropout_masks",
    "dropout_rates",
    "dropped",
    "elu",
    "evaluate",
    "forward",
    "gelu_slope",
    "gradients",
    "initial_weights",
    "layer_names",
    "learning_rate_of_epoch",
    "look",
    "mean_loss",
    "normal_cdf",
    "normalise",
    "optimizer_step",
    "output_delta",
    "output_error",
    "pass_back",
    "philox",
    "propagate",
    "rmsprop_step",
    "row_losses",
    "row_order",
    "rprop_step",
    "score",
    "selu",
    "sgd_step",
    "sigmoid",
    "silu_slope",
    "softmax",
    "softplus",
    "train",
]
