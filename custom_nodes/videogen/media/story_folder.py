"""The files beside a story: the only door through which a story reaches a file.

Stories are shared. One that lies in a folder of others, unpacked from an archive say, may name only what belongs to it: pictures
that are pictures, text files, and nothing that is hidden or a link. A link inside the folder can lead to any file of the user's,
also one that the user has made: such a file is copied into the folder, or the whole folder is linked from elsewhere, which is
fine.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import stat
from pathlib import Path

from ..core.errors import VideoGenError
from ..core.story.file_names import (
    MASTER_PROMPT_SUFFIXES,
    PICTURE_SUFFIXES,
    SEGMENTS_SUFFIXES,
    WORKFLOW_SUFFIXES,
    explain_name,
)
from ..core.story.schema import MAX_MASTER_PROMPT
from .foreign.pictures import require_picture
from .foreign.verdict import decoding

#: Bytes of a story, and of the file with its segments.
MAX_STORY_BYTES = 50_000_000
#: Bytes of a picture; the largest that is decoded, stored as it is, has four times as many.
MAX_PICTURE_BYTES = 100_000_000
_MASTER_PROMPT_BYTES = 4 * MAX_MASTER_PROMPT + 3  # UTF-8, with a byte order mark
_JUNCTION = 0xA0000003  # Windows' links to folders, which are no symbolic links


class StoryFolder:
    """The files in a story's folder and below it.

    Attributes:
        read: paths of the text files that were read, in this order, each once.
    """

    def __init__(self, folder: Path) -> None:
        # The folder itself may be a link: the user has named it, and not the story.
        self.folder = folder.absolute().resolve()
        self.read: dict[Path, None] = {}

    def read_text(self, name: str) -> str:
        """The text of a file that the story names: its segments, or its master prompt, by the name's ending.

        Raises:
            ValueError: with a sentence, for a name or file that is not allowed, or no UTF-8 text.
        """
        suffixes = (*SEGMENTS_SUFFIXES, *MASTER_PROMPT_SUFFIXES)
        limit = _MASTER_PROMPT_BYTES if name.lower().endswith(MASTER_PROMPT_SUFFIXES) else MAX_STORY_BYTES
        path = self._find(name, suffixes)
        if path is None:
            raise ValueError(f"there is no file {name!r} in the story's folder {self.folder}")
        try:
            text = decode(read_plain_file(path, limit))
        except OSError as error:
            raise ValueError(f"{name!r} cannot be read: {error.strerror or error}") from None
        except ValueError as error:
            raise ValueError(f"{name!r} {error}") from None
        self.read[path] = None
        return text

    def find_picture(self, name: str) -> Path | None:
        """The picture of that name, or None when there is no such file. It has not been opened.

        Raises:
            VideoGenError: `path-invalid`, when the name or the file is not allowed.
        """
        try:
            return self._find(name, PICTURE_SUFFIXES)
        except ValueError as error:
            raise VideoGenError("path-invalid", f"the picture beside the story cannot be used: {error}") from None

    def find_workflow(self, name: str) -> Path | None:
        """The workflow file of that name, or None when there is no such file. It has not been opened.

        Raises:
            ValueError: with a sentence, for a name or file that is not allowed.
        """
        path = self._find(name, WORKFLOW_SUFFIXES)
        if path is not None and not path.is_file():
            raise ValueError(f"{name!r} is not a file")
        return path

    def _find(self, name: str, suffixes: tuple[str, ...]) -> Path | None:
        problem = explain_name(name, suffixes)
        if problem:
            raise ValueError(f"{name!r} {problem}")
        path = self.folder
        try:
            for part in name.replace("\\", "/").split("/"):
                path = path / part
                found = os.lstat(path)
                if stat.S_ISLNK(found.st_mode) or getattr(found, "st_reparse_tag", 0) == _JUNCTION:
                    raise ValueError(
                        f"{name!r} is a link, or in a folder that is one ({path}); a story could lead to any file like that:"
                        " copy the file itself into the story's folder"
                    )
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ValueError(f"{name!r} cannot be read: {error.strerror or error}") from None
        return path


def read_plain_file(path: Path, limit: int) -> bytes:
    """The bytes of a file that is no link, pipe or folder.

    Raises:
        ValueError: with the rest of a sentence about it, when it is something else, or has more than `limit` bytes.
        OSError: when it cannot be read.
    """
    # Not waiting for the other end of a pipe; and a link that has come in the meantime is an error.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    if path.is_dir():  # Windows does not open one
        raise ValueError("is not a file")
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("is not a file")
        data = file.read(limit + 1)
    if len(data) > limit:
        size = max(path.stat().st_size, len(data))
        raise ValueError(f"has {size:,} bytes, at most {limit:,} are read")
    return data


def decode(data: bytes) -> str:
    """UTF-8 text, with or without a byte order mark, or UTF-16 with one, as Windows' editor calls "Unicode".

    Raises:
        ValueError: with the rest of a sentence about the file.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"is not UTF-8 text: byte {data[error.start]:#04x} in line {line}; save it as UTF-8") from None


def read_picture(path: Path) -> bytes:
    """The bytes of a picture; they are not decoded.

    Raises:
        VideoGenError: `path-invalid`, when it cannot be read, or has more than `MAX_PICTURE_BYTES`.
    """
    try:
        return read_plain_file(path, MAX_PICTURE_BYTES)
    except OSError as error:
        raise VideoGenError("path-invalid", f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise VideoGenError("path-invalid", f"{path} {error}") from None


def check_picture(path: Path, data: bytes) -> None:
    """Decode the bytes of a picture before they are sent, so that no other file goes to a server as one.

    Raises:
        VideoGenError: `image-invalid`, when it is no picture of an allowed format.
    """
    what = "is no picture that can be used, and is not sent to a server"
    with decoding(path, what, code="image-invalid", hint="Save it again as PNG, JPEG or WebP."):
        require_picture(data)
