"""Reads reference images and mask images, and detects that files have changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ...core.errors import VideoGenError
from ..foreign.pictures import MAX_PIXELS, open_picture, to_8_bits
from ..foreign.verdict import decoding
from ..path_inside import path_inside
from ..probe import hash_file

#: Longer side to which images are reduced: encoders see 224 to 336 pixels of it.
LONG_SIDE = 2048
#: Background of transparent images: neutral, as they say nothing about it.
_GRAY = 0.5
#: Tolerance of a mask's aspect ratio against the frame's.
_SHAPE_SLACK = 0.03


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image.

    Attributes:
        rgb: (height, width, 3), float32 in 0…1; gray where it is transparent.
        alpha: (height, width), float32, 1 where it is opaque; None when all of it is.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32] | None


def find_file(folder: Path, name: str, *, links_may_leave: bool = False) -> Path | None:
    """The file of that name in a folder or below it, or None.

    Args:
        links_may_leave: links are followed wherever they lead: those in ComfyUI's own folders were made by the owner of the
            machine. A folder with a story may come from somebody else, and its files are sent to servers.

    Raises:
        VideoGenError: `path-invalid` when the name points outside the folder.
    """
    path = path_inside(folder, name)
    if not links_may_leave and not path.resolve().is_relative_to(folder.resolve()):
        raise VideoGenError("path-invalid", f"{name!r} is outside {folder}", "Copy the picture into that folder.")
    return path if path.is_file() else None


def read_reference_image(path: Path, name: str, most: int = MAX_PIXELS) -> DecodedImage:
    """Read a reference image: the first frame of an animation, turned upright as its EXIF says, reduced to `LONG_SIDE`.

    Args:
        name: its name in messages.
        most: pixels that it may have; decoding takes ten bytes for each.

    Raises:
        VideoGenError: `image-invalid`, when it is not an image, broken, too large, or fully transparent.
    """
    image = _open(path, name, most)
    rgba = _levels(image.convert("RGBA"))
    rgb, alpha = rgba[..., :3], rgba[..., 3]
    if alpha.min() == 1:
        return DecodedImage(np.ascontiguousarray(rgb), None)
    if alpha.max() < 0.05:
        raise VideoGenError("image-invalid", f"the picture {name!r} is fully transparent", "Choose another picture.")
    opaque = alpha[..., None]
    return DecodedImage((rgb * opaque + _GRAY * (1 - opaque)).astype(np.float32), alpha)


def read_mask(path: Path, name: str, frame: tuple[int, int]) -> NDArray[np.float32]:
    """Read a mask image: (height, width), float32 in 0…1, its brightness, and 0 where it is transparent.

    Args:
        frame: width and height of the frames, whose shape the mask must have.

    Raises:
        VideoGenError: `image-invalid` like `read_reference_image`; `mask-invalid` when it has another aspect ratio than the
            frames, or is all black.
    """
    image = _open(path, name)
    width, height = image.size
    if abs(width / height / (frame[0] / frame[1]) - 1) > _SHAPE_SLACK + 1 / min(width, height):
        raise VideoGenError(
            "mask-invalid",
            f"the mask {name!r} is {width}×{height}, and the story's frames are {frame[0]}×{frame[1]}: another shape",
            "Make the mask in the frames' size, or in another one of the same shape.",
        )
    levels = _levels(image.convert("LA"))
    mask: NDArray[np.float32] = levels[..., 0] * levels[..., 1]
    if mask.max() < 0.02:
        raise VideoGenError("mask-invalid", f"the mask {name!r} is all black, expected white where its character is")
    return mask


def _levels(image: Image.Image) -> NDArray[np.float32]:
    """Channels last, 0…1."""
    levels: NDArray[np.float32] = np.asarray(image, dtype=np.float32) / np.float32(255)
    return levels


def _open(path: Path, name: str, most: int = MAX_PIXELS) -> Image.Image:
    hint = "Save it again as PNG, JPEG or WebP."
    with decoding(f"the picture {name!r}", "cannot be read", code="image-invalid", hint=hint):
        with open_picture(path, most) as image:
            image.seek(0)
            turned = ImageOps.exif_transpose(to_8_bits(image))
        turned.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return turned


class FileWatch:
    """Counts how often files that were read have changed since.

    A node's result stays valid until a file changes; only then may the count, and so the node's fingerprint, change. A file
    that was merely touched has not changed.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int] | None, str]] = {}
        self._changes = 0

    def note(self, path: Path) -> None:
        """Record a file's current state, also of a file that does not exist yet. To be called before reading it."""
        state = _state(path)
        content = _hash_readable(path) if state else ""
        if path in self._known and self._known[path][1] != content:
            self._changes += 1
        self._known[path] = (state, content)

    def count_changes(self) -> int:
        """Number of changes of all files so far."""
        for path, (state, content) in self._known.items():
            now = _state(path)
            if now != state:
                content_now = _hash_readable(path) if now else ""
                self._changes += content_now != content
                self._known[path] = (now, content_now)
        return self._changes


def _hash_readable(path: Path) -> str:
    """`hash_file`, or "" when the file cannot be read."""
    try:
        return hash_file(path)
    except OSError:
        return ""


def _state(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns
