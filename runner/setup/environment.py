"""The virtual environment in .videogen/venv, and the runner in it."""

from __future__ import annotations

import importlib.util
import re
import sys

from . import apt
from .errors import SetupError
from .requirements import read_requirements
from .steps import Step, fingerprint
from .workspace import Workspace


def plan_venv(workspace: Workspace) -> Step:
    def is_there() -> bool:
        return bool(workspace.look_at_venv())

    return Step("venv", "Python environment", lambda: create_venv(workspace), is_there, gigabytes=0.1)


def create_venv(workspace: Workspace) -> None:
    if importlib.util.find_spec("ensurepip") is None:  # Debian splits the standard library
        if not apt.can_apt():
            hint = "On Debian and Ubuntu: apt-get install python3-venv"
            raise SetupError("This Python cannot make virtual environments, it has no module ensurepip.", hint)
        apt.apt_install(workspace, f"python3.{sys.version_info[1]}-venv")
    workspace.environment = ""
    workspace.run_command([sys.executable, "-m", "venv", "--clear", str(workspace.venv)])


def plan_runner(workspace: Workspace, testing: bool) -> Step:
    """This project, as an editable package, with what it depends on."""

    def with_tests() -> bool:  # once the test tools are there, they are kept up to date
        return testing or "pytest" in workspace.list_installed()

    def is_there() -> bool:
        needed = ["videogen", *workspace.read_dependencies("dependencies")]
        needed += workspace.read_dependencies("test") if with_tests() else []
        return set(read_requirements("\n".join(needed))) <= set(workspace.list_installed())

    def inputs() -> str:
        tables = re.split(r"^(?=\[)", (workspace.root / "pyproject.toml").read_text("utf-8"), flags=re.MULTILINE)
        relevant = [table for table in tables if re.match(r"\[(build-system|project|tool\.setuptools)\b", table)]
        packages = (workspace.newest, workspace.read_pins())
        return fingerprint(relevant, with_tests(), str(workspace.root), workspace.look_at_venv(), packages)

    def title() -> str:
        return "runner and test tools" if with_tests() else "runner"

    def install() -> str:
        workspace.pip_install_tested("-e", ".[test]" if with_tests() else ".")
        return workspace.describe_versions()

    return Step("runner", title, install, is_there, inputs, gigabytes=0.7)
