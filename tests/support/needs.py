"""Requirements of tests on the machine: skip or fail without them.

A test that uses ComfyUI's modules asks for them before it imports anything of ComfyUI or of the pack's ``nodes``::

    from tests.support.needs import require_comfy

    require_comfy()

    import comfy.model_patcher

    from custom_nodes.videogen.nodes import ...
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.bench.models.comfy_modules import enable_comfy, has_diffusers
from runner.comfyui.installation import Installation, find_installation


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test; with CI=true, where everything was set up to be tested, fail."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def require_comfy() -> Installation:
    """Make ``import comfy`` work in this process, on the CPU; skip or fail where it cannot."""
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
    """Skip or fail without diffusers to compare with."""
    if not has_diffusers():
        skip_or_fail(f"{sys.executable} has no diffusers; `pip install -e .[test]` brings it")


def _is_this_python(python: Path) -> bool:
    """Whether it is ours: by folder, because ``python`` and ``python3`` are two names in one folder, and unresolved, because
    a virtual environment's python is a link to the system's."""
    return python.parent.resolve() == Path(sys.executable).parent.resolve()
