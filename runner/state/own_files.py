"""What a run directory may consist of: files and folders of its own, nothing that leads out of it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.os_errors import explain_os_error

#: Folders that a server of ours fills, and whose contents are removed before it starts: custom nodes may link there.
_OF_THE_SERVER = frozenset({"output", "temp", "user", "input"})
_REPARSE_POINT = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0x400)


def require_own_files(folder: Path) -> None:
    """Refuse a run directory in which a link leads out of it, or something is neither a file nor a folder.

    It may come from somebody else. Through a link it would have files written, cut off or removed that are not the run's, or
    read into a report; a named pipe would wait forever. The folder itself may be a link, to another disk for example.

    Raises:
        VideoGenError: `run-directory-invalid`, with what is in the way; `path-invalid`.
    """
    if not folder.is_dir():
        return  # whoever opens it says so
    try:
        root = folder.resolve()
        for entry in _walk(root):
            if _is_link(entry):
                path = Path(entry.path)
                if not path.resolve().is_relative_to(root):
                    raise _refuse(folder, path.relative_to(root), f"a link to {_target(path)}, out of that folder")
            elif not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
                raise _refuse(folder, Path(entry.path).relative_to(root), "neither a file nor a folder")
    except (OSError, RuntimeError) as error:  # a circle of links
        raise explain_os_error(error, folder) from None


def can_others_write(folder: Path) -> bool:
    """Whether any user of the machine can put files into a run directory. One that a run creates is its user's alone."""
    return os.name != "nt" and bool(folder.stat().st_mode & stat.S_IWOTH)


def _walk(folder: Path, above: str = "") -> Iterator[os.DirEntry[str]]:
    """Everything in a folder and below; links are not followed.

    Args:
        above: the folder's own name, below the run directory.
    """
    with contextlib.ExitStack() as stack:
        try:
            entries = stack.enter_context(os.scandir(folder))
        except FileNotFoundError:  # a runner at work there has removed it
            return
        for entry in entries:
            yield entry
            of_the_server = above == "server" and entry.name in _OF_THE_SERVER
            if entry.is_dir(follow_symlinks=False) and not _is_link(entry) and not of_the_server:
                yield from _walk(Path(entry.path), f"{above}/{entry.name}" if above else entry.name)


def _is_link(entry: os.DirEntry[str]) -> bool:
    if os.name != "nt" or entry.is_symlink():
        return entry.is_symlink()
    # A junction of Windows is a folder that leads elsewhere.
    return bool(getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0) & _REPARSE_POINT)


def _target(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return "another place"


def _refuse(folder: Path, name: Path, what: str) -> VideoGenError:
    return VideoGenError(
        "run-directory-invalid",
        f"{folder} has {name.as_posix()!r}, which is {what}",
        "A run directory has only files of its own. Remove it there, or choose another folder with --out.",
    )
