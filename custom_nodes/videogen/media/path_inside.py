"""Paths that a workflow or a story names inside a folder: they must not leave it, and the folder's own links are followed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..core.errors import VideoGenError

_DRIVE = re.compile(r"[A-Za-z]:")


def path_inside(folder: Path, name: str, what: str = "") -> Path:
    """The path of a file or folder that is named relative to a folder.

    Only the name decides whether it leaves the folder. A link inside it was made by the owner of the machine, to another disk
    for example, and is followed, as ComfyUI does; so the result begins with `folder`, and a link in it is not resolved.

    Args:
        name: with forward slashes or backslashes; "" is the folder itself.
        what: names the input in the message, such as "`folder`".

    Raises:
        VideoGenError: `path-invalid` for an absolute path, a drive letter, and a path that leads out by "..".
    """
    folder = Path(os.path.abspath(folder))
    text = name.replace("\\", "/")
    relative = os.path.normpath(text or ".")
    leaves = relative == ".." or relative.startswith((f"..{os.sep}", "../"))
    if leaves or "\0" in text or text.startswith("/") or _DRIVE.match(text) or _DRIVE.match(relative):
        subject = f"{what} is {name!r}" if what else f"{name!r} is outside {folder}"
        raise VideoGenError("path-invalid", f"{subject}, expected a name inside {folder}")
    return folder / relative


def suggest_slashes(path: Path) -> str:
    """The rest of a sentence about a path that was not found, where it has Windows' separators and this system has others."""
    if os.sep == "\\" or "\\" not in str(path):
        return ""
    return f" (folders are separated by / on this system: {str(path).replace(chr(92), '/')!r})"


def name_inside(folder: Path, path: Path) -> str:
    """The name of a path of `path_inside`, relative to its folder and with forward slashes; "" for the folder itself."""
    name = Path(os.path.abspath(path)).relative_to(os.path.abspath(folder)).as_posix()
    return "" if name == "." else name


def walk_files(folder: Path) -> Iterator[Path]:
    """All files in a folder and below, links to folders included; each folder once, so that a link to itself ends."""
    seen = {os.path.realpath(folder)}
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not _was_seen(os.path.join(place, name), seen))
        yield from (Path(place, name) for name in sorted(files))


def _was_seen(folder: str, seen: set[str]) -> bool:
    real = os.path.realpath(folder)
    known = real in seen
    seen.add(real)
    return known
