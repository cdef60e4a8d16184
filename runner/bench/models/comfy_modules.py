"""ComfyUI's modules in this process: ``import comfy`` without a server."""

from __future__ import annotations

import importlib.util
import os
import sys

from ...comfyui.installation import Installation


def has_diffusers() -> bool:
    """Whether diffusers can be imported."""
    # Otherwise it looks for newer versions and models on the net.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return importlib.util.find_spec("diffusers") is not None


def enable_comfy(installation: Installation, *, device: str) -> None:
    """Append ComfyUI's folder to the import path and fix its device ("cpu" or "cuda").

    Appended, because ComfyUI has generic top-level names (``tests``, ``utils``, ``app``, ``custom_nodes``): ours are found
    first. Our ``tests`` only if it is imported before: it is a namespace package, ComfyUI's a regular one.

    Raises:
        RuntimeError: this process has imported ComfyUI for another device.
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
