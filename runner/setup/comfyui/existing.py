"""A ComfyUI that the user already has: found, checked, and given what the pack lacks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from custom_nodes.videogen.media.programs import find_program, python_probe

from ..errors import SetupError
from ..requirements import canonical, read_requirements
from ..steps import Step
from ..versions import COMFYUI_AT_LEAST, read_version
from ..workspace import Workspace, python_of

PROBE_PACKAGES = """
import json, sys
from importlib import metadata
found = {}
for d in metadata.distributions():
    found.setdefault(d.metadata["Name"] or "", d.version)
print(json.dumps([sys.version_info[:2], found]))
"""
PYTHON_HINT = "Give the Python that runs this ComfyUI: --python EXE"


@dataclass
class Existing:
    """A ComfyUI that the user has installed."""

    path: Path
    python: str
    version: str
    installed: dict[str, str]  # {canonical package name: version} in its Python


def choose_comfyui(workspace: Workspace, path: str | None, python: str | None, embedded: bool) -> Existing | None:
    """Return the ComfyUI that was asked for, else the one of last time; None: the one in .videogen/."""
    recorded = workspace.record if workspace.record.get("source") == "existing" else {}
    if path:
        same = recorded.get("comfyui") == str(absolute(path))
        return inspect_comfyui(path, python or (recorded["python"] if same else None))
    if embedded or not recorded:
        return None
    note = f"Using the ComfyUI in {recorded['comfyui']}, as last time (--embedded: the one in .videogen/)."
    print(note, file=sys.stderr)  # with --run, stdout may be the runner's JSON
    return inspect_comfyui(recorded["comfyui"], recorded["python"])


def inspect_comfyui(path: str, python: str | None) -> Existing:
    """Check that a path is a ComfyUI that can run the pack, and look into its Python."""
    comfyui = absolute(path)
    lacking = [name for name in ("main.py", "server.py", "custom_nodes") if not (comfyui / name).exists()]
    if lacking:
        what = f"is not a ComfyUI, it has no {' and no '.join(lacking)}" if comfyui.exists() else "does not exist"
        hint = "Give the folder that holds ComfyUI's main.py. With --embedded a new one is set up in .videogen/."
        raise SetupError(f"--comfyui: {comfyui} {what}.", hint)
    version = read_version(comfyui)
    if is_older(version, COMFYUI_AT_LEAST):
        what = f"is ComfyUI {version}" if version else "has no comfyui_version.py, so it is an old ComfyUI"
        hint = "Update it, or set up a new one in .videogen/: --embedded"
        raise SetupError(f"--comfyui: {comfyui} {what}; the pack needs {COMFYUI_AT_LEAST} or newer.", hint)
    python = python or find_python(comfyui)
    # Never resolved: the python of a virtual environment is a link, and by its place it finds its packages.
    python = str(absolute(python)) if absolute(python).exists() else find_program(python) or python
    installed = list_packages(python)
    if "torch" not in installed:
        raise SetupError(f"{python} has no torch, so it is not what runs the ComfyUI in {comfyui}.", PYTHON_HINT)
    return Existing(comfyui, python, version, installed)


def find_python(comfyui: Path) -> str:
    """The Python that most likely runs this ComfyUI."""
    portable = [comfyui.parent / folder / "python.exe" for folder in ("python_embeded", "python_embedded")]
    inside = [python_of(comfyui / "venv"), python_of(comfyui / ".venv")]
    places = [*inside, *portable, python_of(comfyui.parent / "venv")]
    for python in places:
        if python.is_file():
            return str(python)
    looked = "".join(f"\nthere is no {python}" for python in places)
    raise SetupError(f"Cannot tell which Python runs the ComfyUI in {comfyui}:{looked}", PYTHON_HINT)


def list_packages(python: str) -> dict[str, str]:
    """{canonical name: version} of what a Python has."""
    try:
        probe = subprocess.run(
            **python_probe(python, PROBE_PACKAGES), capture_output=True, text=True, timeout=120, check=False
        )
        version, found = json.loads(probe.stdout.splitlines()[-1])
    except OSError as error:
        raise SetupError(f"{python} cannot be started: {error.strerror}.", PYTHON_HINT) from error
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        raise SetupError(f"{python} does not answer like a Python.", PYTHON_HINT) from error
    if version < [3, 10]:
        raise SetupError(f"{python} is Python {version[0]}.{version[1]}; the pack needs 3.10 or newer.", PYTHON_HINT)
    return {canonical(name): version for name, version in found.items()}


def plan_packages(workspace: Workspace, existing: Existing, extras: list[str]) -> Step:
    """Install the packages that the pack lacks in the Python of an existing ComfyUI.

    Args:
        extras: requirements of packages that only some nodes need, and the user has asked for.
    """
    path = workspace.pack / "requirements.txt"
    wanted = read_requirements(path.read_text("utf-8") if path.exists() else "")
    wanted |= read_requirements("\n".join(extras))

    def install_missing() -> str:
        missing = [requirement for name, requirement in wanted.items() if name not in existing.installed]
        # Installed packages stay exactly as they are, even if a new package prefers another version.
        constraints = workspace.folder / "constraints-existing.txt"
        pins = [f"{name}=={version}\n" for name, version in existing.installed.items() if version[:1].isdigit()]
        constraints.write_text("".join(pins), "utf-8")
        arguments = ["install", "--progress-bar", "off", "-c", str(constraints), *missing]
        if "pip" in existing.installed:
            workspace.pip(*arguments, python=existing.python)
        else:  # environments made by uv have none
            workspace.pip("--python", existing.python, *arguments)
        existing.installed = list_packages(existing.python)
        return f"installed {', '.join(missing)}"

    def has_all() -> bool:
        return set(wanted) <= set(existing.installed)

    return Step("packages", f"the pack's packages into {existing.python}", install_missing, has_all, gigabytes=0.3)


def is_older(version: str, minimum: str) -> bool:
    one, other = ([int(number) for number in re.findall(r"\d+", text)[:3]] for text in (version, minimum))
    return one < other


def absolute(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))
