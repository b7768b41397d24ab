"""Where machine code comes from: how kernels are compiled, and kept on the disk."""
