"""Hashes of large files, such as models: each file is read once, and again only when it has changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from .partial_file import partial_path
from .probe import Progress, hash_file

#: A folder of model files: its name (``checkpoints``) and its place. A name may have several places.
Place = tuple[str, Path]

#: Nanoseconds: a file that was written just now may be written again within the resolution of its times.
_TOO_FRESH = 2_000_000_000


class FileHashes:
    """SHA-256 of whole files, remembered by path, size, times and inode; may be used by several threads.

    A gigabyte takes 0.6 s of a processor, and as long as the disk needs to read it: 1.3 s with both, on two shared cores.

    Args:
        store: the JSON file that remembers them; None: they are remembered by this object only.
    """

    def __init__(self, store: Path | None = None) -> None:
        self._store = store
        self._known: dict[str, Any] | None = None
        self._lock = threading.Lock()

    def hash(self, path: Path, progress: Progress = lambda done, size: None) -> str:
        """SHA-256 of a file, in hexadecimal digits.

        Raises:
            OSError: it cannot be read.
        """
        place = str(path.resolve())
        with self._lock:
            before = _identify(path)
            known = self._load().get(place)
            if isinstance(known, dict) and known.get("identity") == before:
                return str(known["sha256"])
            sha256 = hash_file(path, progress)
            if _identify(path) == before and time.time_ns() - max(before[1:3]) > _TOO_FRESH:
                self._remember(place, {"identity": before, "sha256": sha256})
            return sha256

    def _load(self) -> dict[str, Any]:
        if self._known is None:
            self._known = self._read_store()
        return self._known

    def _read_store(self) -> dict[str, Any]:
        try:
            found = json.loads(self._store.read_text(encoding="utf-8")) if self._store is not None else {}
        except (OSError, ValueError, RecursionError):
            found = {}
        return found if isinstance(found, dict) else {}

    def _remember(self, place: str, entry: dict[str, Any]) -> None:
        # Another process may have hashed others meanwhile. Without a place to write, they are hashed again next time.
        self._known = {**self._load(), **self._read_store(), place: entry}
        if self._store is None:
            return
        partial = partial_path(self._store)
        with contextlib.suppress(OSError):
            self._store.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(self._known, indent=1), encoding="utf-8")
            os.replace(partial, self._store)


def find_model_files(places: Iterable[Place], folder: str, name: str) -> list[Path]:
    """The files that a name may mean, in a folder of models; in all of them when it is in none of that name.

    Args:
        folder: "" when unknown.
    """
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name or not parts.parts:
        return []
    found = [(kind, path) for kind, place in places if (path := place / parts).is_file()]
    return [path for kind, path in found if kind == folder] or [path for _, path in found]


def hash_model_files(hashes: FileHashes, paths: Sequence[Path], progress: Progress = lambda done, size: None) -> str:
    """SHA-256 of a model file; of several that a name may mean, of their hashes; "" when there is none."""
    found = sorted({hashes.hash(path, progress) for path in paths})
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest() if found else ""


def _identify(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
