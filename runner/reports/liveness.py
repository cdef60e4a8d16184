"""Whether a runner is working in a run directory, found out without disturbing it."""

from __future__ import annotations

import json
from pathlib import Path

import psutil

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = "runner.lock"


def is_runner_at_work(path: Path) -> bool:
    """Whether a live process holds the lock of a run directory.

    The owner that the lock file names is looked up first: asking the system for the lock takes it for an instant, in which
    a runner that is just starting would be refused.
    """
    try:
        with (path / LOCK_FILE).open("rb") as file:
            if _is_alive(file.read(1_000)):
                return True
            if fcntl is None:
                return False
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False
    except PermissionError:
        return True  # Windows refuses to read a file that is locked
    except OSError:
        return False  # there is no lock, or the file system has none


def _is_alive(record: bytes) -> bool:
    """Whether the process exists that a lock file names: ``{"pid": …, "started": …}``."""
    try:
        owner = json.loads(record)
        # Process numbers are used again; the time of its start tells whether it is the same process.
        return abs(psutil.Process(int(owner["pid"])).create_time() - float(owner["started"])) < 2
    except (ValueError, TypeError, KeyError, psutil.Error):
        return False
