"""What goes wrong with GPUs: each message is one sentence."""


class GpuError(RuntimeError):
    """A GPU cannot be used, or failed while it was."""


class OutOfMemory(GpuError):
    """A GPU's memory is not enough for what was asked for."""


class FailedOnGpu(GpuError):
    """A training ended in its midst. What was finished is kept."""
