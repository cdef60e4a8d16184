"""Start the benchmarks that need torch and ComfyUI's modules: each is a program that runs in ComfyUI's Python."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from ..comfyui.installation import PROJECT, find_installation


def bench_in_comfyui(subject: str, arguments: Sequence[str]) -> int:
    """Run ``runner.bench.programs.<subject>``, which prints a table and writes a result of its own.

    Returns:
        its exit status.

    Raises:
        VideoGenError: `not-installed`, there is no ComfyUI to run it in.
    """
    command = [str(find_installation().python), "-m", f"runner.bench.programs.{subject}", *arguments]
    # From the folder that has this package: ComfyUI's Python finds it there without having it installed.
    return subprocess.run(command, cwd=PROJECT, check=False).returncode
