"""``GET /videogen/model-hash``: the hash of a model file, so that a new file under an old name is noticed from afar."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..media.file_hashes import FileHashes, Place, find_model_files, hash_model_files

#: Seconds until an answer, if only that it takes longer.
PATIENCE = 2.0


class ModelHashes:
    """Hashes files of the models folders, one after the other on a thread of its own.

    Args:
        store: remembers the hashes.
    """

    def __init__(self, store: Path | None) -> None:
        self._hashes = FileHashes(store)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="videogen model hash")
        self._jobs: dict[tuple[Path, ...], tuple[Future[str], list[int]]] = {}
        self._lock = threading.Lock()

    async def ask(self, paths: list[Path]) -> dict[str, Any]:
        """``sha256`` ("" without a file), ``size`` and ``mtime``; or ``hashed`` and ``size`` while it is being read."""
        if not paths:
            return {"sha256": ""}
        key = tuple(paths)
        with self._lock:
            if key not in self._jobs:
                read = [0, 0]

                def note(done: int, size: int) -> None:
                    read[:] = done, size

                self._jobs[key] = self._pool.submit(hash_model_files, self._hashes, paths, note), read
            job, read = self._jobs[key]
        try:
            sha256 = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(job)), PATIENCE)
        except asyncio.TimeoutError:
            return {"hashed": read[0], "size": read[1]}
        except OSError:
            return {"sha256": ""}
        finally:
            if job.done():
                with self._lock:
                    self._jobs.pop(key, None)
        stat = paths[0].stat()
        return {"sha256": sha256, "size": stat.st_size, "mtime": stat.st_mtime}


def model_places() -> list[Place]:
    """ComfyUI's folders of model files."""
    import folder_paths

    return [
        (name, Path(place))
        for name, (places, suffixes) in folder_paths.folder_names_and_paths.items()
        if suffixes and name != "custom_nodes"
        for place in places
    ]


def find_files(folder: str, name: str) -> list[Path]:
    """The model files of a name; nothing else in those folders, and nothing outside them."""
    import folder_paths

    suffixes = {suffix for _, of_folder in folder_paths.folder_names_and_paths.values() for suffix in of_folder}
    return find_model_files(model_places(), folder, name) if Path(name).suffix.lower() in suffixes - {""} else []
