"""A fence around a folder: what this process writes, removes or calls outside of it is noticed, by audit events of Python."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Events that change the files that their first arguments name, and how many of these there are.
_CHANGES = {
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.utime"), 1),
    **dict.fromkeys(("os.rename", "os.link"), 2),
    "shutil.rmtree": 1,
}
_state: dict[str, Any] = {"folder": None, "escapes": [], "installed": False}


@contextlib.contextmanager
def fenced_in(folder: Path) -> Iterator[None]:
    """Write in this folder alone, temporary files included.

    Raises:
        AssertionError: at the end, where something else was written or an address was called.
    """
    if not _state["installed"]:
        sys.addaudithook(_look)
        _state["installed"] = True
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    _state.update(folder=os.path.realpath(folder), escapes=[])
    try:
        yield
    finally:
        _state["folder"] = None
        tempfile.tempdir = before
    assert _state["escapes"] == [], f"outside of its folder: {_state['escapes'][:5]}"


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    folder = _state["folder"]
    if folder is None:
        return
    if event == "socket.connect":
        _state["escapes"].append((event, str(arguments[1])))
    elif event == "open":
        path, mode, flags = arguments
        changes = any(sign in str(mode or "") for sign in "wax+") or (mode is None and flags & _CHANGING)
        if changes:
            _judge(event, path, folder)
    elif event == "os.symlink":
        _judge(event, arguments[1], folder)
    elif event in _CHANGES:
        for path in arguments[: _CHANGES[event]]:
            _judge(event, path, folder)


def _judge(event: str, path: Any, folder: str) -> None:
    if not isinstance(path, (str, bytes, os.PathLike)):
        return  # a file that is open
    text = os.fsdecode(path)
    # A plain name is relative to a folder that was opened before, see `media/openers.py`.
    if os.sep not in text and text not in ("", ".."):
        return
    # The link itself is what is removed or renamed; where its folder leads counts.
    real = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(text))), os.path.basename(text))
    if event == "open":
        real = os.path.realpath(text)
    if not real.startswith(folder + os.sep) and real not in (folder, os.devnull) and "__pycache__" not in real:
        _state["escapes"].append((event, text))
