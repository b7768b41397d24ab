"""What the figures were measured on: processor, cores, versions, date."""

import datetime
import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

PACKAGES = ("numpy", "numba", "llvmlite", "jax", "torch", "scikit-learn")


def processor():
    """Return the name of the processor, as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cores():
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def versions():
    """Return the version of everything that takes part and is there, by name."""
    import shoal

    found = {"Python": platform.python_version(), "shoal": shoal.__version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    if shutil.which("gcc"):
        done = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True)
        found["gcc"] = done.stdout.strip()
    return found


def described():
    """Return all of it as a dict that JSON can hold."""
    return {
        "processor": processor(),
        "cores": cores(),
        "system": platform.platform(),
        "versions": versions(),
        "date": f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %z}",
    }
