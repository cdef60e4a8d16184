"""Reads reference images and mask images, and detects that files have changed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ...core.errors import VideoGenError
from ..probe import hash_file

#: More pixels than any camera has; decoding more would take gigabytes.
MAX_PIXELS = 120_000_000
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


def find_file(folder: Path, name: str) -> Path | None:
    """The file of that name in a folder or below it, or None.

    Raises:
        VideoGenError: `path-invalid` when the name points outside the folder.
    """
    folder = folder.resolve()
    # resolve() follows links: a link to a path outside the folder counts as outside too.
    path = (folder / name.replace("\\", "/")).resolve()
    if not path.is_relative_to(folder):
        raise VideoGenError("path-invalid", f"{name!r} is outside {folder}", "Copy the picture into that folder.")
    return path if path.is_file() else None


def read_reference_image(path: Path, name: str) -> DecodedImage:
    """Read a reference image: the first frame of an animation, turned upright as its EXIF says, reduced to `LONG_SIDE`.

    Args:
        name: its name in messages.

    Raises:
        VideoGenError: `image-invalid`, when it is not an image, broken, too large, or fully transparent.
    """
    image = _open(path, name)
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


def _open(path: Path, name: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow's own limit warns at 90 megapixels and refuses at 180; ours is between the two.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise VideoGenError(
                        "image-invalid",
                        f"the picture {name!r} is {image.width}×{image.height}, at most {MAX_PIXELS // 10**6} megapixels"
                        " are read",
                    )
                image.seek(0)
                turned = ImageOps.exif_transpose(_to_8_bits(image))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise VideoGenError(
            "image-invalid", f"the picture {name!r} cannot be read: {error}", "Save it again as PNG, JPEG or WebP."
        ) from None
    turned.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return turned


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Any image in an 8-bit mode; 16 bits a channel are scaled, which Pillow would clip."""
    exif = image.getexif()
    if image.mode == "F":
        raise ValueError("it has floating-point values")
    if image.mode.startswith("I"):
        levels = np.asarray(image, dtype=np.float64)
        image = Image.fromarray((levels * (255 / 65535)).round().clip(0, 255).astype(np.uint8))
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.mode in ("P", "PA", "La", "RGBa") else "RGB")
    elif "transparency" in image.info:
        image = image.convert("RGBA")
    else:
        image.load()
    # ImageOps reads the orientation from the image that it turns.
    image.info["exif"] = exif.tobytes()
    return image


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
