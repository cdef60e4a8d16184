"""ComfyUIs that the environment variable VIDEOGEN_COMFYUI_DIRS names: found, copied, and recorded as install.py records one.

Nothing is ever written into a named folder: servers and tests use a copy of its program, with the pack linked into it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from custom_nodes.videogen.core.continuity.mask_files import FILE, FOLDER
from runner.comfyui.installation import PROJECT
from runner.setup.comfyui.existing import find_python, list_packages
from runner.setup.comfyui.pack_link import link_pack
from runner.setup.errors import SetupError
from runner.setup.requirements import read_dependencies, read_requirements
from runner.setup.versions import read_version

NAMED = "VIDEOGEN_COMFYUI_DIRS"
PACK = PROJECT / "custom_nodes" / "videogen"
#: That our own set-up has fetched: without it strangers are only warned about.
NETWORK = PROJECT / ".videogen" / "comfyui" / "models" / FOLDER / FILE
#: What is the user's in a ComfyUI, and what is not needed to run it.
_LEFT_OUT = frozenset({"custom_nodes", "input", "models", "output", "temp", "tests", "tests-unit", "user", "venv"})


@dataclass(frozen=True)
class Core:
    """A ComfyUI: its folder, its version and the Python that runs it."""

    folder: Path
    version: str
    python: Path


def named_folders() -> list[Path]:
    """The folders that the variable names, separated as in PATH."""
    return [Path(name).absolute() for name in os.environ.get(NAMED, "").split(os.pathsep) if name]


def find_core(folder: Path) -> Core:
    """A named ComfyUI with its Python: a virtual environment in its folder or beside it.

    Raises:
        SetupError: it is none, or has no Python.
    """
    version = read_version(folder)
    if not version or not (folder / "main.py").is_file():
        raise SetupError(f"{NAMED} names {folder}, which has no ComfyUI.", "Name folders with ComfyUI's main.py.")
    return Core(folder, version, Path(find_python(folder)))


def packages_lacking(python: Path) -> list[str]:
    """Requirements of the runner, the pack and the tests that a Python has no package for; its versions may differ."""
    pyproject = (PROJECT / "pyproject.toml").read_text("utf-8")
    wanted = read_requirements((PACK / "requirements.txt").read_text("utf-8"))
    for key in ("dependencies", "test", "diffusers"):
        wanted.update(read_requirements("\n".join(read_dependencies(pyproject, key))))
    there = list_packages(str(python))
    return sorted(requirement for name, requirement in wanted.items() if name not in there)


def copy_core(core: Core, target: Path) -> Core:
    """Copy a ComfyUI's program to `target`, with our pack as the only one, and no models but the network that finds people."""

    def left_out(folder: str, names: list[str]) -> Collection[str]:
        if Path(folder) == core.folder:
            return {name for name in names if name in _LEFT_OUT or name.startswith(".")}
        return {"__pycache__"} & set(names)

    shutil.copytree(core.folder, target, ignore=left_out)
    for name in ("custom_nodes", "input", "output"):
        (target / name).mkdir()
    for path in (core.folder / "custom_nodes").glob("*.py"):  # those that come with it
        shutil.copy(path, target / "custom_nodes")
    for path in (core.folder / "models").iterdir():
        if path.is_dir():
            (target / "models" / path.name).mkdir(parents=True)
    if NETWORK.is_file():
        (target / "models" / FOLDER).mkdir(exist_ok=True)
        shutil.copy(NETWORK, target / "models" / FOLDER)
    link_pack(target / "custom_nodes" / "videogen", PACK)
    return Core(target, core.version, core.python)


def write_record(core: Core, path: Path, arguments: list[str]) -> Path:
    """Write what install.py would have written; VIDEOGEN_INSTALL_FILE names it to runner and tests."""
    record = {"comfyui": str(core.folder), "python": str(core.python), "args": arguments, "version": core.version}
    path.write_text(json.dumps({**record, "source": "existing"}), "utf-8")
    return path
