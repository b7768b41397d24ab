"""What the tests of the reference share: nets with rows that suit them, and ways to compare."""

from types import SimpleNamespace

import numpy as np
import pytest

from shoal import reference

DTYPES = ("float32", "float64")
# Pairs of output and loss that have a meaning
PAIRS = (
    *((output, loss) for output in reference.OUTPUTS for loss in reference.LOSSES),
    *((output, loss) for loss in reference.CANONICAL for output in reference.CANONICAL[loss]),
)
pairs = pytest.mark.parametrize("output, loss", PAIRS, ids=["-".join(pair) for pair in PAIRS])
activations = pytest.mark.parametrize("activation", reference.ACTIVATIONS)

# Other values than the settings' own, so that a default which is used in their place is seen
OF_LOSS = {"huber_delta": 0.7, "quantile": 0.8}
FROM_A_KINK = 1e-3


def random_targets(generator, n, O, output, loss):
    """Targets that suit a pair: numbers, counts, probabilities, or rows that sum to 1."""
    if loss == "poisson":
        return generator.poisson(1.5, size=(n, O)).astype(float)
    if loss != "cross_entropy":
        return generator.normal(size=(n, O))
    if output == "softmax":
        return generator.dirichlet(np.ones(O), n)
    return generator.uniform(size=(n, O))


def random_problem(
    activation, output, loss, *, n=7, widths=(3, 5, 4, 3), seed=0, bias=True, batch_norm=False,
    dropout=None,
):  # fmt: skip
    """A net and rows for it, in float64, away from the kinks of its activations and its loss."""
    generator = np.random.default_rng(seed)
    while True:
        weights = [
            generator.normal(size=shape) / np.sqrt(shape[0])
            for shape in zip(widths[:-1], widths[1:], strict=True)
        ]
        biases = [generator.normal(size=units) / 2 for units in widths[1:]] if bias else None
        X = generator.normal(size=(n, widths[0]))
        y = random_targets(generator, n, widths[-1], output, loss)
        norms = masks = None
        if batch_norm:
            norms = [
                reference.BatchNorm(
                    generator.uniform(0.5, 2, units), generator.normal(size=units),
                    generator.normal(size=units), generator.uniform(0.5, 2, units),
                )
                for units in widths[1:-1]
            ]  # fmt: skip
        if dropout:
            masks = reference.dropout_masks(dropout, widths[:-1], seed, 0, np.arange(n))
        told = {"batch_norms": norms, "masks": masks}
        sums, layers = reference.propagate(
            X, weights, biases, activation, output, **told, training=True
        )
        if norms is not None:
            pairs_of = zip(sums, norms, strict=False)
            sums = [reference.normalise(z, norm, training=True)[0] for z, norm in pairs_of]
        error = np.abs(layers[-1] - y)
        distances = [np.abs(z) for z in sums[: len(widths) - 2]]
        distances += [error, np.abs(error - OF_LOSS["huber_delta"])]
        distances += [np.abs(w) for w in weights]  # the kink of an l1 penalty
        if min(d.min() for d in distances) > FROM_A_KINK:
            break
    return SimpleNamespace(
        X=X,
        y=y,
        weights=weights,
        biases=biases,
        norms=norms,
        masks=masks,
        widths=widths,
        network={"activations": activation, "output": output},
        pair={"output": output, "loss": loss},
    )


def copies(arrays, dtype=None):
    return [np.array(a, dtype) for a in arrays]


def copied_norms(norms, dtype=None):
    """Batch normalisations of their own arrays; None stays None."""
    if norms is None:
        return None
    return [
        reference.BatchNorm(*copies([b.scale, b.shift, b.mean, b.variance], dtype)) for b in norms
    ]


def norm_arrays(norms):
    return [a for b in norms or () for a in (b.scale, b.shift, b.mean, b.variance)]


def relative_error(got, right):
    """Largest error of each array relative to its largest element; the largest of these."""
    return max(np.abs(g - r).max() / np.abs(r).max() for g, r in zip(got, right, strict=True))


def train(p, dtype=None, **settings):
    """Train copies of a problem's parameters: its history, and all parameters and statistics."""
    weights, norms = copies(p.weights, dtype), copied_norms(p.norms, dtype)
    biases = None if p.biases is None else copies(p.biases, dtype)
    history = reference.train(
        p.X, p.y, weights, biases, batch_norms=norms, activations=p.network["activations"],
        **{**p.pair, **OF_LOSS, **settings},
    )  # fmt: skip
    return history, [*weights, *(biases or ()), *norm_arrays(norms)]
