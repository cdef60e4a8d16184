"""Atomic writing: a file appears under its name only once it is whole."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def partial_path(path: Path) -> Path:
    """A new temporary name, in the same folder, under which `path` is written.

    Nobody can know it before: in a folder that others can write to, a link of that name could wait there.
    """
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")


def publish(partial: Path, path: Path) -> None:
    """Flush a finished file to the disk and rename it to `path`, replacing an older file of that name."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
