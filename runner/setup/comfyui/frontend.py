"""A newer editor than ComfyUI's own, for the tests that drive it: users update the two at different times."""

from __future__ import annotations

from pathlib import Path

from ..steps import Step
from ..versions import Wheel
from ..workspace import Workspace
from .wheels import unpack_for_tests

FRONTEND = "1.58.1"
FRONTEND_SHA256 = "37912597537a731a8f421179618a736c24184c5bdbfa327f38b2fb7c291852d9"
_WHEEL = Wheel(f"comfyui-frontend-package=={FRONTEND}", FRONTEND_SHA256, "comfyui_frontend_package/static/")


def folder_of(workspace: Workspace) -> Path:
    """Where the editor's files are, for ComfyUI's ``--front-end-root``."""
    return workspace.folder / "frontends" / FRONTEND


def plan_frontend(workspace: Workspace) -> Step:
    """The editor of PyPI that the browser tests also run with."""

    def is_whole() -> bool:
        return (folder_of(workspace) / "index.html").exists()

    return Step(
        "frontend", f"editor {FRONTEND}, for the tests", lambda: get_frontend(workspace), is_whole, gigabytes=0.15
    )


def get_frontend(workspace: Workspace) -> str:
    """Download the package, and unpack the editor in it.

    Raises:
        Skipped: it cannot be had; outside of CI the tests can do without.
        SetupError: the same under CI.
    """
    target = folder_of(workspace)
    unpack_for_tests(
        workspace,
        _WHEEL,
        target,
        "frontend.txt",
        "index.html",
        required=f"No editor {FRONTEND}; under CI the browser tests must run with it.",
        without="so the browser tests run with ComfyUI's own editor only",
    )
    for source_map in target.rglob("*.map"):  # two thirds of it, for people who debug the editor
        source_map.unlink()
    return "from PyPI"
