"""GPUs: what Shoal needs of one, and who provides it.

`device` says what a GPU does for Shoal, `numba_cuda` lets NVIDIA's do it, `simulator` numba's
simulator of them. Nothing here is imported before ``backend="cuda"`` is asked for, and the driver
is not touched before that.
"""
