"""ComfyUI's modules inside the tests' own process: `comfy.*` without a server.

A test file asks for them before it imports anything of ComfyUI or of the pack's ``nodes``::

    from runner.bench.models.comfy_python import require_comfy

    require_comfy()

    import comfy.model_patcher

    from custom_nodes.videogen.nodes import ...
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.needs import skip_or_fail

from ...comfyui.installation import Installation, find_installation


def require_comfy() -> Installation:
    """Make ``import comfy`` work in this process, on the CPU; skips (or fails, see `needs`) where it cannot."""
    try:
        installation = find_installation()
    except VideoGenError as error:
        skip_or_fail(str(error))
    if not _is_this_python(installation.python):
        skip_or_fail(f"ComfyUI runs in {installation.python}, these tests in {sys.executable}")
    if importlib.util.find_spec("torch") is None:
        skip_or_fail(f"{sys.executable} has no torch")
    enable_comfy(installation, device="cpu")
    return installation


def require_diffusers() -> None:
    """Skips (or fails) where there is no diffusers to compare with."""
    if not has_diffusers():
        skip_or_fail(f"{sys.executable} has no diffusers; `pip install -e .[test]` brings it")


def has_diffusers() -> bool:
    """Whether diffusers can be imported."""
    # It looks for newer versions and models on the net where nobody tells it not to.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return importlib.util.find_spec("diffusers") is not None


def enable_comfy(installation: Installation, *, device: str) -> None:
    """Put ComfyUI's folder behind everything else that can be imported, and fix its device ("cpu" or "cuda").

    Behind, because ComfyUI has generic top-level names (``tests``, ``utils``, ``app``, ``custom_nodes``); ours are found
    first, and ``tests``, which is a regular package there, has been imported by now: it keeps its place.
    """
    folder = str(installation.comfyui)
    if folder not in sys.path:
        sys.path.append(folder)
    # ComfyUI looks for its device when `comfy.model_management` is imported, and CUDA that is not there is an error.
    from comfy.cli_args import args

    if "comfy.model_management" not in sys.modules:
        args.cpu = device == "cpu"
    elif args.cpu != (device == "cpu"):
        raise RuntimeError(f"ComfyUI was imported for another device than {device} in this process")


def _is_this_python(python: Path) -> bool:
    """Whether it is ours: by folder, because ``python`` and ``python3`` stand beside each other, and unresolved, because a
    virtual environment's python is a link to the system's."""
    return python.parent.resolve() == Path(sys.executable).parent.resolve()
