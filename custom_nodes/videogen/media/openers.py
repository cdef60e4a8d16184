"""Openers for `open`: files that are ours are opened as themselves, never through a link that another has put there."""

from __future__ import annotations

import os

_OWN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)


def no_follow(path: str, flags: int) -> int:
    """Open a file, but no link to one; a new file has the permissions that the umask leaves.

    Raises:
        OSError: ELOOP for a link, where the system has O_NOFOLLOW.
    """
    return os.open(path, flags | _OWN, 0o666)


def private(path: str, flags: int) -> int:
    """The same; a new file belongs to its user alone."""
    return os.open(path, flags | _OWN, 0o600)
