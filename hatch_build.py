"""Kernels that come compiled: a wheel has them for the processor of the machine that builds it, or
for the levels of x86-64 that SHOAL_PREBUILD names ("x86-64-v3 x86-64-v4"; "none": for none), a
source distribution as the bitcode that these are made of."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
CARRIED = ROOT / "src" / "shoal" / "kernels" / "prebuilt"  # by the source distribution


class Prebuild(BuildHookInterface):
    """Puts files of kernels into distributions, but not into editable installs, which compile when
    needed."""

    def initialize(self, version, build_data):
        """Compile before the files of a distribution are gathered."""
        levels = os.environ.get("SHOAL_PREBUILD", "").split() or [None]
        is_wheel = self.target_name == "wheel"
        carried = list(CARRIED.rglob("*.bitcode"))
        if version == "editable" or levels == ["none"] or (carried and not is_wheel):
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
        made = Path(self.folder.name, "shoal")
        there = {path.relative_to(CARRIED) for path in carried}
        for path in made.rglob("*.*"):
            if path.relative_to(made) in there or not (is_wheel or path.suffix == ".bitcode"):
                path.unlink()
        package = "shoal" if is_wheel else "src/shoal"
        build_data["force_include"][str(made)] = f"{package}/kernels/prebuilt"
        if is_wheel:
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"
