"""A run directory: the whole state of a run, so that the same command carries on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TextIO

import psutil

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.backups import find_free_name, keep_previous
from custom_nodes.videogen.media.os_errors import explain_os_error

from .journal import Journal

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class RunDirectory:
    """Opens a run directory, or makes one; a context manager that holds its lock.

    Args:
        path: the folder.
        title: the story's.
        fresh: forget what is done; the files that were rendered are kept in ``previous/``.

    Raises:
        VideoGenError: `run-directory-busy`, `run-directory-invalid`, `path-invalid`, `disk-full`.
    """

    def __init__(self, path: Path, title: str, *, fresh: bool = False) -> None:
        self.path = path.absolute()
        self.segments = self.path / "segments"
        self.film = self.path / "film.mp4"
        self.server_folder = self.path / "server"
        self._lock_file = self.path / "runner.lock"
        self._held: TextIO | None = None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock()
            try:
                self.run_id = self._open(title, fresh)
            except BaseException:
                self.close()
                raise
        except OSError as error:
            raise explain_os_error(error, self.path) from None

    def write_json(self, name: str, data: Any) -> Path:
        """Write a file of the run directory whole or not at all."""
        return write_json_whole(self.path / name, data)

    def remove_leftovers(self) -> None:
        """Remove what was half-written when an earlier runner ended."""
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
                "Choose another folder with --out, or start this one anew with --fresh; what is there is kept.",
            )
        self.journal = Journal(journal_path)
        return str(record["run_id"]) if record and record.get("run_id") else uuid.uuid4().hex

    def _refuse_other_things(self) -> None:
        ours = ("segments", "takes", "scores", "runner.lock", "previous", "server")
        for path in self.path.iterdir():
            if path.name not in ours and not (path.name.startswith(".") and path.name.endswith(".part")):
                raise VideoGenError(
                    "run-directory-invalid",
                    f"{self.path} is not a run directory and not empty (it has {path.name!r})",
                    "Choose an empty folder with --out.",
                )

    def _keep_everything(self, journal_path: Path) -> None:
        """Put what was rendered into ``previous/``, and the journal that tells of it."""
        if journal_path.exists():
            journal_path.rename(find_free_name(self.path / "previous", journal_path))
        for file in [*sorted(self.segments.glob("segment_*")), *sorted(self.path.glob("takes/segment_*")), self.film]:
            keep_previous(file)
            file.unlink(missing_ok=True)

    def _lock(self) -> None:
        """Take the lock, unless a live runner has it; a lock whose owner is dead counts for nothing.

        Where the system can lock files, that decides: two runners that find a dead one's lock in the same instant cannot
        both take it over, and a clock that jumps does not make a live owner look dead.
        """
        for _ in range(5):
            if self._take_lock_file() if fcntl is not None else self._take_lock_by_pid():
                return
        raise VideoGenError(
            "run-directory-busy", f"{self._lock_file} cannot be taken", "Remove it, if no runner works there."
        )

    def _take_lock_file(self) -> bool:
        """Lock the lock file; False when it is to be tried again."""
        file = self._lock_file.open("a+", encoding="utf-8")
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._refuse(self._read_pid())
            except OSError:  # a file system without locks
                file.close()
                if self._lock_file.stat().st_size == 0:
                    self._lock_file.unlink()
                return self._take_lock_by_pid()
            if not self._is_same_file(file.fileno()):
                file.close()  # its owner ended, and removed it, between our opening and our locking it
                return False
            if self._lock_file.stat().st_size and (owner := self._owner()) is not None:
                self._refuse(owner)
            file.truncate(0)
            self._write_owner(file)
        except BaseException:
            file.close()
            raise
        self._held = file
        return True

    def _take_lock_by_pid(self) -> bool:
        try:
            with self._lock_file.open("x", encoding="utf-8") as file:
                self._write_owner(file)
            return True
        except FileExistsError:
            owner = self._owner()
            if owner is not None:
                self._refuse(owner)
            self._lock_file.unlink(missing_ok=True)
            return False

    @staticmethod
    def _write_owner(file: TextIO) -> None:
        json.dump({"pid": os.getpid(), "started": psutil.Process().create_time()}, file)
        file.flush()

    def _is_same_file(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._lock_file.stat())
        except FileNotFoundError:
            return False

    def _refuse(self, owner: int | None) -> NoReturn:
        who = f"a runner with process number {owner}" if owner and owner > 0 else "another runner"
        raise VideoGenError(
            "run-directory-busy",
            f"{who} is working in {self.path}",
            "Wait for it, stop it, or choose another folder with --out.",
        ) from None

    def _read_pid(self) -> int | None:
        for _ in range(10):  # it is empty for an instant, while its owner writes into it
            try:
                return int(json.loads(self._lock_file.read_text(encoding="utf-8"))["pid"])
            except (OSError, ValueError, KeyError, TypeError):
                time.sleep(0.02)
        return None

    def _owner(self) -> int | None:
        try:
            record = json.loads(self._lock_file.read_text(encoding="utf-8"))
            process = psutil.Process(int(record["pid"]))
            # Process numbers are used again; the time of its start tells whether it is the same process.
            return process.pid if abs(process.create_time() - float(record["started"])) < 2 else None
        except (OSError, psutil.Error, TypeError, KeyError):
            return None
        except ValueError:
            # A lock that is just being written is empty for an instant.
            time.sleep(0.2)
            return -1 if self._lock_file.exists() and time.time() - self._lock_file.stat().st_mtime < 1 else None

    def close(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
        self._lock_file.unlink(missing_ok=True)
        if self._held is not None:
            self._held.close()

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
        VideoGenError: `run-directory-invalid`, when it is there and cannot be read.
    """
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise VideoGenError(
            "run-directory-invalid",
            f"{path / 'run.json'} cannot be read: {error}",
            "Start anew with --fresh; what was rendered is kept in previous/.",
        ) from None
    if not isinstance(record, dict) or not isinstance(record.get("story"), dict):
        raise VideoGenError("run-directory-invalid", f"{path / 'run.json'} is not the record of a run")
    return record


def check_space(path: Path, needed: int) -> None:
    """Refuse to begin what the disk will not hold.

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
