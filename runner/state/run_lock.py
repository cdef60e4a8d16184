"""The lock of a run directory: one runner at a time, and a dead runner's lock counts for nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path

import psutil
from filelock import FileLock, SoftFileLock, Timeout

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.openers import private

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK_FILE, OWNER_FILE, SOFT_LOCK_FILE = "runner.lock", "runner.pid", "runner.softlock"
#: Every file that a lock leaves in a run directory when its owner is killed.
LOCK_FILES = frozenset({LOCK_FILE, OWNER_FILE, SOFT_LOCK_FILE})
#: Errors of file systems without locks, or that have none left. There an existing file is the lock; the library recognizes a
#: dead owner's.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO})
#: Seconds by which two readings of one process's start may differ.
_SAME_START = 2.0

#: Permissions of its files.
_MODE = 0o600
#: Seconds to wait for the lock: a report that asks whether it is free holds it for an instant.
MAX_WAIT = 0.2


class RunLock:
    """Locks a run directory for this process until `release`.

    The system holds the lock and drops it with the process, however that ends: a ``runner.lock`` that an earlier runner left
    does not block, whichever version wrote it. The owner's process number is in a file of its own, for the message to others:
    the lock file's content belongs to the library.

    Args:
        folder: the run directory.

    Raises:
        VideoGenError: `run-directory-busy`, when another runner works there.
        OSError: the lock file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._owner_file = folder, folder / OWNER_FILE
        # A run may be closed by another thread than the one that opened it.
        # Nobody else may open it: who can read a file can lock it.
        self._lock: FileLock | SoftFileLock = FileLock(
            folder / LOCK_FILE, MAX_WAIT, _MODE, poll_interval=0.02, thread_local=False, fallback_to_soft=False
        )
        try:
            _withdraw(folder / LOCK_FILE)
            try:
                self._lock.acquire()
            except Timeout:
                raise
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise  # a file that cannot be opened may be the lock of another user's runner
                self._lock_softly()
        except Timeout:
            raise _explain_busy(folder, _read_owner(self._owner_file)) from None
        try:
            self._claim()
        except BaseException:
            self._lock.release()
            raise

    def _lock_softly(self) -> None:
        """On a file system without locks, a file that exists is the lock, with its owner's number in it."""
        # Its library removes a dead owner's file first, and takes the lock at its next try.
        self._lock = SoftFileLock(
            self._folder / SOFT_LOCK_FILE, MAX_WAIT, _MODE, poll_interval=0.02, thread_local=False
        )
        self._lock.acquire()

    def _claim(self) -> None:
        """Write the owner's file, or give way to a live owner: one may have the other kind of lock.

        A network's file system may run out of locks while another runner holds one.
        """
        text = f"{os.getpid()} {psutil.Process().create_time()}\n"
        for _ in range(2):
            try:
                with open(self._owner_file, "x", encoding="utf-8", opener=private) as file:
                    file.write(text)
                return
            except FileExistsError:
                if (owner := _read_owner(self._owner_file)) is not None:
                    raise _explain_busy(self._folder, owner) from None
                self._owner_file.unlink(missing_ok=True)
            except OSError:
                self._owner_file.unlink(missing_ok=True)  # on a full disk it is there, and empty
                raise
        raise _explain_busy(self._folder, None)

    def release(self) -> None:
        """Remove the lock's files and release the lock."""
        self._owner_file.unlink(missing_ok=True)
        # While it is still held: a runner that has opened it already notices that it is gone, and makes another.
        with contextlib.suppress(PermissionError):  # Windows removes no open file
            for name in (LOCK_FILE, SOFT_LOCK_FILE):
                (self._folder / name).unlink(missing_ok=True)
        self._lock.release()


def is_runner_at_work(path: Path) -> bool:
    """Whether a live process holds the lock of a run directory.

    Where the system can lock files, it answers: a dead runner's lock counts for nothing. Elsewhere the process whose number
    the owner has left is looked up.
    """
    try:
        with open(path / LOCK_FILE, "rb", opener=private) as file:
            if fcntl is not None:
                # Shared and for an instant only: another report may ask at the same time.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if not (path / SOFT_LOCK_FILE).exists():
                    return False
    except BlockingIOError:
        return True
    except OSError:
        pass  # there is no such file, or the file system has no locks
    return _find_owner(path / OWNER_FILE) is not None


def _withdraw(path: Path) -> None:
    """Take a lock file that an earlier version left from other users."""
    with contextlib.suppress(OSError):  # there is none, or it is another's
        if os.name != "nt" and path.stat(follow_symlinks=False).st_mode & 0o077:
            os.chmod(path, _MODE, follow_symlinks=os.chmod not in os.supports_follow_symlinks)


def _find_owner(path: Path) -> int | None:
    """The process number of the lock's owner, or None when it does not live."""
    try:
        number, started = path.read_text(encoding="utf-8").split()
        process = psutil.Process(int(number))
        # Process numbers are used again; the time of its start tells whether it is the same process.
        return process.pid if abs(process.create_time() - float(started)) < _SAME_START else None
    except (OSError, ValueError, OverflowError, psutil.Error):
        return None


def _read_owner(path: Path) -> int | None:
    """The process number of the lock's owner, or None when that cannot be told."""
    for _ in range(10):  # for an instant it is not written yet, or still a dead runner's
        if (owner := _find_owner(path)) is not None:
            return owner
        time.sleep(0.02)
    return None


def _explain_busy(folder: Path, owner: int | None) -> VideoGenError:
    who = f"a runner with process number {owner}" if owner else "another runner"
    return VideoGenError(
        "run-directory-busy",
        f"{who} is working in {folder}",
        "Wait for it, stop it, or choose another folder with --out.",
    )
