"""The kernels: arrays and scalars in, arrays out. They know nothing of the rest of the package.

Layouts
-------
Nets of one shape stand in groups of L lanes: element p of net l of a group is ``a[p, l]``, so that
a vector register holds the same element of L nets. Parameters of a net are laid out layer by layer:
the weights, unit-major (weight of input i into unit u at ``u * inputs + i``), then the biases.
Values and deltas of a tile of rows are unit-major: unit u of row s at ``u * stride + s``.

The order of arithmetic, version 1
----------------------------------
Every sum has one order, whoever computes it; lanes, tiles and threads run along indices that the
sum does not reduce over. A release that changes the order says so.

1. A unit's weighted sum starts from its bias (or +0) and adds its inputs in ascending order, one
   fma each.
2. A delta passed back adds the next layer's units in ascending order, one fma each, from +0, and is
   then multiplied by the activation's slope. Sums within a row (softmax denominator, a row's loss)
   ascend over the outputs, from +0.
3. A gradient adds the batch's rows in ascending position, one fma each, from +0, in chunks of 256
   rows; chunk sums are added in order.
4. A batch's loss is 16 partial sums, row s of the batch added to number s mod 16, combined pairwise
   (0 + 8, 1 + 9, ..., then 0 + 4, ...); an epoch's loss adds its batches in order from +0 and is
   divided by its rows. So are losses and scores of an evaluation, which is one batch.
5. The reduction "mean" multiplies a gradient by 1 / rows, rounded once. An update is
   ``w = fma(-rate, g, w)`` or the optimizer's formula in `optimizers`. Everything elementwise is a
   written formula of IEEE operations and explicit fma: no fast-math, no contraction, no approximate
   reciprocal, no flush to zero. exp, log, tanh and the like are the polynomials in `elementary`.
6. NaN that leaves a kernel is the one canonical NaN.

Products that feed a sum are explicit fma, so that no compiler can contract them differently.
"""
