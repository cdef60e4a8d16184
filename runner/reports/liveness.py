"""Whether a runner is working in a run directory, found out without locking it."""

from __future__ import annotations

from pathlib import Path

import psutil

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK_FILE, OWNER_FILE = "runner.lock", "runner.pid"


def is_runner_at_work(path: Path) -> bool:
    """Whether a live process holds the lock of a run directory.

    Where the system can lock files, it answers: a dead runner's lock counts for nothing. Elsewhere the process whose number
    the owner has left is looked up.
    """
    try:
        with (path / LOCK_FILE).open("rb") as file:
            if fcntl is not None:
                # Shared and for an instant only: another report may ask at the same time.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return False
    except BlockingIOError:
        return True
    except OSError:
        pass  # there is no such file, or the file system has no locks
    try:
        return psutil.pid_exists(int((path / OWNER_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, OverflowError):
        return False
