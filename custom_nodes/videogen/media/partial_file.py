"""Atomic writing: a file appears under its name only once it is whole."""

from __future__ import annotations

import os
from pathlib import Path


def partial_path(path: Path) -> Path:
    """The temporary name, in the same folder, under which `path` is written."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def publish(partial: Path, path: Path) -> None:
    """Flush a finished file to the disk and rename it to `path`, replacing an older file of that name."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
