"""The segmentation network in ComfyUI's model folders, which finds people in frames without a mask."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import folder_paths

from ..core.continuity.mask_files import FOLDER
from ..metrics.masks.mask_network import MaskNetwork, open_mask_network


def find_mask_network() -> tuple[MaskNetwork | None, list[str]]:
    """The network in `models/videogen`, read again when its files change; and why it is not there, or another one.

    A broken file must not cost a night's segment: it is a note.
    """
    folder = Path(folder_paths.models_dir) / FOLDER
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return _open(folder, tuple((file.name, file.stat().st_mtime_ns) for file in files if file.is_file()))


@lru_cache(maxsize=1)
def _open(folder: Path, _: tuple[tuple[str, int], ...]) -> tuple[MaskNetwork | None, list[str]]:
    return open_mask_network(folder)
