"""Benchmarks that need torch and ComfyUI's modules: programs of their own, in the Python of the ComfyUI that is set up."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from custom_nodes.videogen.core.errors import VideoGenError

from ..comfyui.installation import PROJECT, find_installation


def bench_in_comfyui(subject: str, arguments: Sequence[str]) -> int:
    """Run ``tests/bench/<subject>.py``; gives its exit status. It prints its own table and writes its own result.

    Raises:
        VideoGenError: `not-installed`, for ComfyUI or for the benchmarks, which only the repository has.
    """
    installation = find_installation()
    if not (PROJECT / "tests" / "bench" / f"{subject}.py").exists():
        raise VideoGenError(
            "not-installed", f"{PROJECT} has no tests/bench/{subject}.py", "Run it in a clone of the repository."
        )
    command = [str(installation.python), "-m", f"tests.bench.{subject}", *arguments]
    return subprocess.run(command, cwd=PROJECT, check=False).returncode
