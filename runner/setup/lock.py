"""One install.py at a time."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from custom_nodes.videogen.media.openers import private

from .errors import SetupError


@contextlib.contextmanager
def hold_lock(path: Path) -> Iterator[int]:
    """Yield the descriptor of the locked file. The system drops the lock together with the last process that holds it.

    Raises:
        SetupError: another process holds it; the file says which.
    """
    # Nobody else may open it: who can read a file can lock it.
    with open(path, "a+", encoding="utf-8", opener=private) as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                file.seek(1 << 20)  # not the first bytes, which hold the pid for others to read
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            who = f"Another install.py (process {path.read_text('utf-8')}), or a pip that it started,"
            hint = "Wait until it has ended, then run the same command again."
            raise SetupError(f"{who} is at work in {path.parent}.", hint) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()
