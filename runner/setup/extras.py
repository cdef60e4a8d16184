"""Packages that only some nodes need, installed on request: the extras of pyproject.toml, into the Python of ComfyUI."""

from __future__ import annotations

from .requirements import read_requirements
from .steps import Step, fingerprint
from .workspace import Workspace

#: Name in pyproject.toml → what it is for.
EXTRAS = {"diffusers": "video models through diffusers: CogVideoX, SkyReels, FramePack"}


def choose_extras(workspace: Workspace, asked_for: list[str], *, testing: bool) -> list[str]:
    """Those that are asked for now, those of last time, and for the tests all; what is asked for is remembered."""
    remembered = sorted({*workspace.record.get("extras", []), *asked_for} & set(EXTRAS))
    if remembered:
        workspace.record["extras"] = remembered
    return sorted(EXTRAS) if testing else remembered


def list_requirements(workspace: Workspace, extras: list[str]) -> list[str]:
    """The requirements of some extras."""
    return [requirement for name in extras for requirement in workspace.read_dependencies(name)]


def plan_extras(workspace: Workspace, extras: list[str]) -> Step:
    """Install them into the virtual environment.

    After torch, which some of them depend on: pip would fetch another build of it.
    """

    def is_there() -> bool:
        return set(read_requirements("\n".join(list_requirements(workspace, extras)))) <= set(
            workspace.list_installed()
        )

    def inputs() -> str:
        packages = (workspace.newest, workspace.read_pins())
        return fingerprint(list_requirements(workspace, extras), workspace.look_at_venv(), packages)

    def install() -> str:
        path = workspace.folder / "extras.txt"
        path.write_text("\n".join(list_requirements(workspace, extras)) + "\n", "utf-8")
        workspace.pip_install_tested("-r", str(path))
        return ""

    return Step("extras", f"packages for {', '.join(extras)}", install, is_there, inputs, gigabytes=0.1)
