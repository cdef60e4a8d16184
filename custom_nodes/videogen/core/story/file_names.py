"""Names of files that a story may have: inside its folder, not hidden, and with an ending that says what they are."""

from __future__ import annotations

import re

from ..file_names import explain_bad_path
from .schema import CONTROL_CHARACTERS

PICTURE_SUFFIXES = (".png", ".apng", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MASK_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")
MASTER_PROMPT_SUFFIXES = (".md", ".txt")
SEGMENTS_SUFFIXES = (".json", ".yaml", ".yml")
WORKFLOW_SUFFIXES = (".json",)
#: What ComfyUI loads from ``models/loras``.
LORA_SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin")
MAX_NAME = 255


def is_inside(name: str) -> bool:
    """Whether a file name stays inside the folder in which it is looked up, on any operating system."""
    return (
        len(name) <= MAX_NAME
        and not CONTROL_CHARACTERS.search(name)
        and not name.startswith(("/", "\\", "~"))
        and ":" not in name
        and not explain_bad_path(name)
        and ".." not in _parts(name)
    )


def is_hidden(name: str) -> bool:
    """Whether a name, or a folder in it, begins with a dot: ``.ssh/id_rsa``."""
    return any(part.startswith(".") and part != "." for part in _parts(name))


def explain_name(name: str, suffixes: tuple[str, ...]) -> str:
    """What is wrong with a name, as the rest of a sentence about it; "" when a story may have it.

    Args:
        suffixes: allowed endings, in lower case.
    """
    if not name.strip() or name.endswith(("/", "\\")):
        return "names no file"
    if not is_inside(name):
        reason = explain_bad_path(name)
        return f"is outside the story's folder{': ' + reason if reason else ''}; expected a name inside it"
    if is_hidden(name):
        return "is hidden (a name or folder that begins with a dot); expected the name of a visible file"
    if not name.lower().endswith(suffixes):
        return f"does not end in {', '.join(suffixes)}"
    return ""


def _parts(name: str) -> list[str]:
    return [part.strip() for part in re.split(r"[/\\]", name)]
