"""Kernels that come compiled: a wheel has them for the processor of the machine that builds it, or
for the levels of x86-64 that SHOAL_PREBUILD names ("x86-64-v3 x86-64-v4"; "none": for none)."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent


class Prebuild(BuildHookInterface):
    """Puts object files into wheels, but not into editable installs, which compile when needed."""

    def initialize(self, version, build_data):
        """Compile before the files of a wheel are gathered."""
        levels = os.environ.get("SHOAL_PREBUILD", "").split() or [None]
        if self.target_name != "wheel" or version == "editable" or levels == ["none"]:
            return
        self.folder = tempfile.TemporaryDirectory()
        self.app.display_info("compiling Shoal's kernels: a minute, once for these sources")
        path = os.pathsep.join([str(ROOT / "src"), *filter(None, sys.path)])  # of this build
        for level in levels:
            command = [sys.executable, "-m", "shoal.prebuild", self.folder.name, level]
            done = subprocess.run(
                [part for part in command if part],
                env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            if done.returncode:  # they are then compiled where they are used
                self.app.display_warning(f"no kernels were compiled: {done.stderr[-2000:]}")
                return
        build_data["force_include"][f"{self.folder.name}/shoal"] = "shoal/kernels/prebuilt"
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
