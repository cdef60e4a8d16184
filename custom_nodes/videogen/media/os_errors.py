"""Operating system errors about files, as errors that a user can act on."""

from __future__ import annotations

import errno
from pathlib import Path

from ..core.errors import DiskFullError, VideoGenError


def disk_full(path: Path) -> DiskFullError:
    """The error for a full disk, with the path that could not be written."""
    return DiskFullError(
        f"no space is left for {path}",
        "Free some space, or choose another folder with --out; the same command resumes where it stopped.",
    )


def explain_os_error(error: Exception, path: Path) -> VideoGenError:
    """`disk-full` or `path-invalid`, with the path that could not be written."""
    # PyAV's errors have the operating system's number and text too, but not all of them are OSErrors.
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path)
    return VideoGenError("path-invalid", f"{path} cannot be written: {getattr(error, 'strerror', None) or error}")
