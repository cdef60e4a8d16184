"""Reference image files, with a mark that distinguishes rendered ones from a user's own."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from ...core.errors import VideoGenError
from ..backups import find_free_name, keep_previous
from ..file_types import REFERENCE_FORMATS
from ..foreign.pictures import open_picture
from ..foreign.verdict import decoding
from ..os_errors import explain_os_error
from ..partial_file import partial_path

#: Key of the text chunk in a PNG; in other formats it is in the EXIF image description.
MARK = "videogen-reference"
_DESCRIPTION = 0x010E


def is_rendered(path: Path) -> bool:
    """Whether an image was written by `write_reference`; all others, including damaged files, are a user's own."""
    try:
        return read_mark(path.read_bytes()) is not None
    except OSError:
        return False


def read_mark(data: bytes) -> str | None:
    """The text that `write_reference` has stored in an image; None for all others.

    Args:
        data: the image's file.
    """
    try:
        with decoding("the picture"), open_picture(data) as image:
            texts: dict[str, str] = getattr(image, "text", None) or {}
            described = str(image.getexif().get(_DESCRIPTION, ""))
    except VideoGenError:
        return None
    if MARK in texts:
        return str(texts[MARK])
    return described.removeprefix(f"{MARK}: ") if described.startswith(MARK) else None


def require_image_suffix(path: Path) -> None:
    """Check that a reference image can be written under this name.

    Raises:
        VideoGenError: `path-invalid`.
    """
    if path.suffix.lower() not in REFERENCE_FORMATS:
        raise VideoGenError(
            "path-invalid",
            f"{path.name!r} is not a file name for a picture, expected one that ends in {', '.join(REFERENCE_FORMATS)}",
        )


def write_reference(path: Path, pixels: np.ndarray, text: str, *, spare_own: bool = True) -> Path:
    """Write a reference image.

    An older rendered image is backed up in the folder ``previous/`` next to it. A user's own image stays, and
    the new one is written under the next free name in ``previous/``; with `spare_own` false it is backed up and replaced too.

    Args:
        pixels: (height, width, 3), uint8.
        text: stored in the file with the mark, such as the prompt.

    Returns:
        The path of the written file.

    Raises:
        VideoGenError: `path-invalid`, `disk-full`.
    """
    require_image_suffix(path)
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path
        if path.exists() and spare_own and not is_rendered(path):
            target = find_free_name(path.parent / "previous", path)
        _write(partial, path.suffix.lower(), pixels, text)
        keep_previous(target)
        partial.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise explain_os_error(error, path) from None
    return target


def _write(path: Path, suffix: str, pixels: np.ndarray, text: str) -> None:
    image = Image.fromarray(pixels)
    with path.open("wb") as file:
        if suffix == ".png":
            info = PngImagePlugin.PngInfo()
            info.add_itxt(MARK, text)
            image.save(file, "PNG", pnginfo=info)
        else:
            exif = Image.Exif()
            exif[_DESCRIPTION] = f"{MARK}: {text.encode('ascii', 'replace').decode()}"
            image.save(file, REFERENCE_FORMATS[suffix], exif=exif, quality=95)
        file.flush()
        os.fsync(file.fileno())
