"""A plan is run: data and state in arrays, launches of kernels, threads, interruption, progress."""
