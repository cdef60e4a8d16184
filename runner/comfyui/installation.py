"""The ComfyUI that install.py has set up, and the project's own folders."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError

PROJECT = Path(__file__).resolve().parents[2]
INSTALL_FILE = PROJECT / ".videogen" / "install.json"
#: Names another such file, for a ComfyUI that is to be used once: the tests do so for ComfyUIs of other versions.
INSTALL_VARIABLE = "VIDEOGEN_INSTALL_FILE"
DEFAULT_STORY = PROJECT / "stories" / "apple_tree.json"
DEFAULT_WORKFLOW = PROJECT / "workflows" / "preview.json"


@dataclass(frozen=True)
class Installation:
    """A ComfyUI on this machine: its folder, its Python, and the arguments it needs here (``--cpu``)."""

    comfyui: Path
    python: Path
    arguments: tuple[str, ...]
    version: str


def find_installation() -> Installation:
    """The ComfyUI that install.py recorded, or the one in the file that VIDEOGEN_INSTALL_FILE names.

    Raises:
        VideoGenError: `not-installed`, with the command that sets it up.
    """
    setup = f"Run `python3 install.py` in {PROJECT}, or name a running ComfyUI with --server URL."
    file = Path(os.environ.get(INSTALL_VARIABLE) or INSTALL_FILE)
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        found = Installation(
            Path(record["comfyui"]), Path(record["python"]), tuple(record["args"]), str(record["version"])
        )
    except FileNotFoundError:
        what = (
            "no ComfyUI is set up to start"
            if file == INSTALL_FILE
            else f"{INSTALL_VARIABLE} names {file}, which does not exist"
        )
        raise VideoGenError("not-installed", what, setup) from None
    except (ValueError, KeyError, TypeError):
        raise VideoGenError("not-installed", f"{file} cannot be read", setup) from None
    for path in (found.comfyui / "main.py", found.python):
        if not path.exists():
            raise VideoGenError("not-installed", f"{path} is missing, though {file.name} names it", setup)
    return found
