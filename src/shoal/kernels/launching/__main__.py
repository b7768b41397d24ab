"""Lists the words of each kernel: python -m shoal.kernels.launching"""

from .kernels import KERNELS
from .words import VERSION, listing

for kernel in KERNELS:
    print(f"\n{kernel.name}\n0 version, {VERSION}")
    for position, line in enumerate(listing(kernel.field), 1):
        print(position, line.removeprefix(f"{kernel.name}."))
