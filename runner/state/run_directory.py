"""A run directory: the whole state of a run, from which the same command resumes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import uuid
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.redaction import SECRETS
from custom_nodes.videogen.media.backups import find_free_name, keep_previous
from custom_nodes.videogen.media.openers import private
from custom_nodes.videogen.media.os_errors import explain_os_error
from custom_nodes.videogen.media.partial_file import partial_path

from .journal import Journal
from .own_files import require_own_files
from .record_files import read_json
from .run_lock import LOCK_FILES, RunLock

#: In a run directory: results that were replaced, and come back when their key is wanted again.
RESULTS_FOLDER = "results"
#: Bytes of them that are kept, unless the user says otherwise.
KEEP_RESULTS = 2_000_000_000


class RunDirectory:
    """Opens or creates a run directory; a context manager that holds its lock.

    Args:
        path: the folder.
        title: the story's.
        fresh: start again; rendered files are kept in ``previous/``.
        keep_results: bytes of replaced results that may be kept in ``results/``.

    Raises:
        VideoGenError: `run-directory-busy`, `run-directory-invalid`, `path-invalid`, `disk-full`.
    """

    def __init__(self, path: Path, title: str, *, fresh: bool = False, keep_results: int = KEEP_RESULTS) -> None:
        self.path = path.absolute()
        self.keep_results = keep_results
        #: Held while a result is moved: nothing that is about to be used again may be removed.
        self.results_lock = threading.RLock()
        self.segments = self.path / "segments"
        self.film = self.path / "film.mp4"
        self.server_folder = self.path / "server"
        try:
            # Its own user's: a story, a prompt and what a server says are nobody else's business on a shared machine.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            require_own_files(self.path)
            self._lock = RunLock(self.path)
            try:
                self.run_id = self._open(title, fresh)
            except BaseException:
                self.close()
                raise
        except OSError as error:
            raise explain_os_error(error, self.path) from None

    def write_json(self, name: str, data: Any, *, keep: Collection[str] = ()) -> Path:
        """Write a file of the run directory, see `write_json_whole`."""
        return write_json_whole(self.path / name, data, keep=keep)

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
        ours = LOCK_FILES | {"segments", "takes", "scores", "previous", "server", RESULTS_FOLDER}
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
        rendered = [
            file
            for name in ("segments", "takes", RESULTS_FOLDER)
            for file in sorted(self.path.glob(f"{name}/segment_*"))
        ]
        for file in [*rendered, self.film]:
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


def write_json_whole(path: Path, data: Any, *, keep: Collection[str] = ()) -> Path:
    """Write JSON under a temporary name, without secrets and for this user only, and rename it once it is on disk.

    Args:
        keep: names of entries at the top that are written as they are.

    Raises:
        VideoGenError: `disk-full`, `path-invalid`.
    """
    partial = partial_path(path)
    try:
        # Lone surrogates, of file names say, are replaced.
        with open(partial, "x", encoding="utf-8", errors="replace", opener=private) as file:
            json.dump(SECRETS.hide(data, keep=keep), file, ensure_ascii=False, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise explain_os_error(error, path) from None
    return path


#: Fields of ``run.json`` that reports show, and their types.
_FIELDS = {"command": str, "settings": dict, "workflow": dict}


def read_run(path: Path) -> dict[str, Any] | None:
    """``run.json`` of a run directory, or None when there is none.

    Raises:
        VideoGenError: `run-directory-invalid`, when it exists and cannot be read.
    """
    try:
        record = read_json(path / "run.json")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise VideoGenError(
            "run-directory-invalid",
            f"{path / 'run.json'} cannot be read: {error}",
            "Start again with --fresh; rendered files are kept in previous/.",
        ) from None
    is_record = isinstance(record, dict) and isinstance(record.get("story"), dict)
    if not is_record or not all(isinstance(record.get(name) or kind(), kind) for name, kind in _FIELDS.items()):
        raise VideoGenError("run-directory-invalid", f"{path / 'run.json'} is not the record of a run")
    return record


def check_space(path: Path, needed: int, takes: int = 1) -> None:
    """Refuse a run that may need more space than the disk has.

    Args:
        needed: bytes.
        takes: how many of each segment are counted in them.

    Raises:
        VideoGenError: `disk-full`.
    """
    free = shutil.disk_usage(path).free
    if free < needed:
        counted = f", with up to {takes} takes of each segment" if takes > 1 else ""
        raise VideoGenError(
            "disk-full",
            f"{path} has {free / 1e6:,.0f} MB free, this run needs about {needed / 1e6:,.0f} MB{counted}",
            f"Free some space, choose another folder with --out, {'fewer --takes, ' if takes > 1 else ''}or a lower --quality.",
        )
