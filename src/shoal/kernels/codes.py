"""Numbers that stand for names in the kernels, and what optimizers keep."""

# Activations; outputs have the last two besides.
(IDENTITY, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, SELU, GELU, SILU, SOFTPLUS, EXP, SOFTMAX) = range(
    12
)
SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, QUANTILE, CROSS_ENTROPY, POISSON = range(6)
CONSTANT, STEP, EXPONENTIAL, COSINE, INVSCALING, ADAPTIVE = range(6)  # schedules
# What a score counts: right largest outputs, outputs on the right side of 1/2, squared residuals.
LARGEST, SIDES, RESIDUALS = range(3)
# What patience goes by; the first two are of the validation rows, if there are any.
VALIDATION_LOSS, VALIDATION_SCORE, TRAINING_LOSS = range(3)
# Initial weights: U(-1, 1) times a factor, or standard normal times a factor.
UNIFORM, NORMAL = range(2)

SGD, MOMENTUM, NESTEROV, ADAM, RMSPROP, ADAGRAD, RPROP = range(7)
# Numbers of state that an optimizer keeps a parameter, and besides them a net.
STATE_PER_PARAMETER = (0, 1, 1, 2, 1, 1, 2)
STATE_PER_NET = (0, 0, 0, 2, 0, 0, 0)
