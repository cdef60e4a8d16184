"""A run directory: the whole state of a run, from which the same command resumes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.backups import find_free_name, keep_previous
from custom_nodes.videogen.media.os_errors import explain_os_error

from .journal import Journal
from .run_lock import LOCK_FILES, RunLock


class RunDirectory:
    """Opens or creates a run directory; a context manager that holds its lock.

    Args:
        path: the folder.
        title: the story's.
        fresh: start again; rendered files are kept in ``previous/``.

    Raises:
        VideoGenError: `run-directory-busy`, `run-directory-invalid`, `path-invalid`, `disk-full`.
    """

    def __init__(self, path: Path, title: str, *, fresh: bool = False) -> None:
        self.path = path.absolute()
        self.segments = self.path / "segments"
        self.film = self.path / "film.mp4"
        self.server_folder = self.path / "server"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = RunLock(self.path)
            try:
                self.run_id = self._open(title, fresh)
            except BaseException:
                self.close()
                raise
        except OSError as error:
            raise explain_os_error(error, self.path) from None

    def write_json(self, name: str, data: Any) -> Path:
        """Write a file of the run directory, completely or not at all."""
        return write_json_whole(self.path / name, data)

    def remove_leftovers(self) -> None:
        """Remove partial files of an earlier runner that was killed."""
        for leftover in [*self.path.rglob(".*.part"), *self.segments.glob(".*.mp4")]:
            leftover.unlink(missing_ok=True)
        for scratch in self.path.glob(".film-*"):
            shutil.rmtree(scratch, ignore_errors=True)

    def _open(self, title: str, fresh: bool) -> str:
        journal_path = self.path / "journal.jsonl"
        try:
            record = read_run(self.path)
        except VideoGenError:
            if not fresh:
                raise
            record = None
        if record is None and not journal_path.exists():
            self._refuse_other_things()
        self.segments.mkdir(exist_ok=True)
        if fresh:
            self._keep_everything(journal_path)
            record = None
        if record and record.get("title") != title:
            raise VideoGenError(
                "run-directory-invalid",
                f"{self.path} holds a run of {record.get('title')!r}, this one is {title!r}",
                "Choose another folder with --out, or start again with --fresh; earlier files are kept in previous/.",
            )
        self.journal = Journal(journal_path)
        return str(record["run_id"]) if record and record.get("run_id") else uuid.uuid4().hex

    def _refuse_other_things(self) -> None:
        ours = LOCK_FILES | {"segments", "takes", "scores", "previous", "server"}
        for path in self.path.iterdir():
            if path.name not in ours and not (path.name.startswith(".") and path.name.endswith(".part")):
                raise VideoGenError(
                    "run-directory-invalid",
                    f"{self.path} is not a run directory and not empty (it has {path.name!r})",
                    "Choose an empty folder with --out.",
                )

    def _keep_everything(self, journal_path: Path) -> None:
        """Move rendered files and their journal into ``previous/``."""
        if journal_path.exists():
            journal_path.rename(find_free_name(self.path / "previous", journal_path))
        for file in [*sorted(self.segments.glob("segment_*")), *sorted(self.path.glob("takes/segment_*")), self.film]:
            keep_previous(file)
            file.unlink(missing_ok=True)

    def close(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
        self._lock.release()

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_json_whole(path: Path, data: Any) -> Path:
    """Write JSON under a temporary name, and rename it once it is on disk.

    Raises:
        VideoGenError: `disk-full`, `path-invalid`.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(data, file, ensure_ascii=False, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise explain_os_error(error, path) from None
    return path


def read_run(path: Path) -> dict[str, Any] | None:
    """``run.json`` of a run directory, or None when there is none.

    Raises:
        VideoGenError: `run-directory-invalid`, when it exists and cannot be read.
    """
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise VideoGenError(
            "run-directory-invalid",
            f"{path / 'run.json'} cannot be read: {error}",
            "Start again with --fresh; rendered files are kept in previous/.",
        ) from None
    if not isinstance(record, dict) or not isinstance(record.get("story"), dict):
        raise VideoGenError("run-directory-invalid", f"{path / 'run.json'} is not the record of a run")
    return record


def check_space(path: Path, needed: int) -> None:
    """Refuse a run that needs more space than the disk has.

    Args:
        needed: bytes.

    Raises:
        VideoGenError: `disk-full`.
    """
    free = shutil.disk_usage(path).free
    if free < needed:
        raise VideoGenError(
            "disk-full",
            f"{path} has {free / 1e6:,.0f} MB free, this run needs about {needed / 1e6:,.0f} MB",
            "Free some space, choose another folder with --out, or a lower --quality.",
        )
