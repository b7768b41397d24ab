"""The kernels: arrays and scalars in, arrays out. They know nothing of the rest of the package.

Rooms, from the bottom up; each imports from those before it:

* `code`: how functions are compiled and kept on the disk (`machine_code`, `specialising` and, for
  GPUs, `nvptx` are LLVM's part, and `numba_internals` has what numba does not publish),
* `layout`, `codes`, `lane_group`, `teams`: where things are in arrays, and numbers that stand for
  names,
* `lanes`: vectors, the primitives on them, elementary functions made of these,
* `arguments`: the named tuples that carry arrays,
* `step`: the parts of one training step,
* `nets_in_lanes`, `rows_in_lanes`: a tile of rows, where lanes are nets, or rows of one net,
* `epoch`: the epochs of a group of nets, written once for both, and what ends them,
* `launching`: `kernels` are what is launched, `functions` what they do, `words` what they are
  handed, `parallel` on which threads, `specialised` which of them are for nets of one shape,
  `thread_entry` and `threads_of_gpu` how a thread of a GPU comes to its own net.

Where a kernel's machine code is kept, nothing that needs numba is imported: `functions` and all
that it is made of, `compiling`, and `loop`, for launches on numba's threads.

Words
-----
lane
    A net, or a row of one net: what is computed side by side in a vector. L lanes are a group.
vector
    Numbers in a SIMD register, one a lane.
primitive
    An operation on vectors: a name with one meaning in machine code and in plain Python.
device function
    A function of primitives that is compiled into kernels; Python does not call it.
kernel, entry
    What is launched: a device function of a lane group and a named tuple. Its entry is the C
    function that reads the tuple from a block of 64-bit words.
specialised
    Of a kernel: with words of its block as constants, which tell the shape of the nets.
launch, slice
    A launch is 0.15 s of training, in which threads take slices: some groups through some tiles.
architecture
    What nets must share to be trained side by side: widths, activations, loss, and flags.
block, group
    The nets of one architecture are a block, cut into groups of L nets (or of one, whose rows are
    the lanes).
batch, tile
    A batch is the rows of one step. It is cut into tiles, whose rows go forward and back together.
register tile
    Vectors of a few units by a few rows (or inputs) that are summed in registers.
accumulation block
    256 rows of a batch, whose gradient is summed by itself and then added to the batch's.
load, gather
    From memory into lanes; to gather is to load from a place of its own for each lane or vector.
broadcast
    One number to all lanes.
transpose
    Of a square of numbers in registers: what was along memory is then across vectors.
panel
    Weights of L units, packed input by input, so that the units are in lanes.
slot
    Where the rows of a tile are stored in a workspace.
fused
    A gradient is fused with the step of its parameters where it is complete after one tile.
snapshot, roll back
    Parameters and optimizer state are copied, and taken back for nets that have diverged or
    stopped.
status
    Whether a net runs, or why it does not: finished, stopped, diverged, interrupted.
monitored loss
    What early stopping and the adaptive rate go by: the validation loss, or the training loss.
optimizer state
    What an optimizer keeps from step to step, such as moments and velocities.
team, share, barrier
    Threads that train one net are a team. Each has a share of the work; at a barrier they wait for
    each other.

Layouts
-------
Nets of one architecture are stored in groups of L lanes: element p of net l of a group is
``a[p, l]``, so that a vector holds the same element of L nets. Parameters of a net are laid out
layer by layer: the weights, unit-major (weight of input i into unit u at ``u * inputs + i``), the
biases, and with batch norm the scales and the shifts; behind all layers the running means and
variances. Values and deltas of a tile of rows are unit-major: unit u of row s at
``u * stride + s``. Where lanes are rows the parameters of a net are shared by the lanes, and "row"
means L rows.

The order of arithmetic, version 1
----------------------------------
Every sum has one order, whoever computes it; lanes, tiles and threads run along indices that the
sum does not reduce over. A release that changes the order says so.

1. A unit's weighted sum starts from its bias (or +0) and adds its inputs in ascending order, one
   fma each.
2. A delta passed back adds the next layer's units in ascending order, one fma each, from +0; it is
   multiplied by the activation's slope, then clipped. Sums within a row (softmax denominator, a
   row's loss) ascend over the outputs, from +0.
3. A gradient (of weights, biases, scales and shifts) adds the batch's rows in ascending position,
   one fma each, from +0, in accumulation blocks of 256 rows; their sums are added in order.
4. Other long sums are 16 partial sums, item k added to number k mod 16, combined pairwise (0 + 8,
   1 + 9, ..., then 0 + 4, ...): over a batch's rows its loss, its score, its row weights, and batch
   norm's mean and then variance; over the parameters the gradient's squares, for its norm. An
   epoch's loss, score and weights add its batches in order from +0. An evaluation is one batch.
5. The reduction "mean" multiplies a gradient by 1 / rows (or 1 / their weights), rounded once. An
   update is ``w = fma(-rate, g, w)`` or the optimizer's formula in `optimizers`. Everything
   elementwise is a written formula of IEEE operations and explicit fma: no fast-math, no
   contraction, no approximate reciprocal, no flush to zero. exp, log, tanh and the like are the
   polynomials in `elementary`. Learning rates of a schedule are float64 until they are rounded to
   the dtype; monitored losses are compared in float64.
6. NaN that leaves a kernel is the one canonical NaN.

Products that feed a sum are explicit fma, so that no compiler can contract them differently.

What a net does without (penalties, weight decay, clipping, row weights, dropout) is no operation
with a neutral number, but none: 0 * w + g is not always g.
"""
