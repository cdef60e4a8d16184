"""Backups of rendered files that would be overwritten."""

from __future__ import annotations

import shutil
from pathlib import Path

#: Next to the files that it keeps.
PREVIOUS_FOLDER = "previous"


def keep_previous(path: Path) -> Path:
    """Back up the file at `path`, if there is one, in the folder ``previous/`` next to it, under the next free number.

    A hard link where the file system has them: it costs nothing, and the file stays in place until the new one is whole.

    Returns:
        `path`.
    """
    if path.exists():
        kept = find_free_name(path.parent / PREVIOUS_FOLDER, path)
        try:
            kept.hardlink_to(path)
        except OSError:
            shutil.copy2(path, kept)
    return path


def find_free_name(folder: Path, path: Path) -> Path:
    """``folder/name_001.mp4``, with the first free number; the folder is created."""
    folder.mkdir(exist_ok=True)
    number = 1
    while (free := folder / f"{path.stem}_{number:03d}{path.suffix}").exists():
        number += 1
    return free
