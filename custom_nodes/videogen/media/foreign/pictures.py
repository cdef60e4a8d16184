"""Opens pictures: the only place that does, with formats that are only pictures, and a limit on their size before decoding.

Pillow finds out a file's format by its content, and knows 40 of them. Of an EPS file, under any name, it runs Ghostscript.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from .verdict import TooLargeError

#: Pillow's names of the formats that are read.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
#: More pixels than any camera has; decoding more would take gigabytes.
MAX_PIXELS = 120_000_000
#: The same of WebP, whose decoder takes three canvases of four bytes a pixel as soon as the file is opened.
MAX_WEBP_PIXELS = 40_000_000
#: Frames of an animation: those of the longest segment.
MAX_FRAMES = 10_000


def open_picture(source: Path | bytes, most: int = MAX_PIXELS) -> Image.Image:
    """Open a picture in `decoding`; only its header is read until it is decoded. To be used as a context manager.

    Args:
        source: a file, or the bytes of one.
        most: pixels that it may have, at most `MAX_PIXELS`.

    Raises:
        TooLargeError: it has more.
        Exception: whatever Pillow raises when it is missing or broken, or of another format than `FORMATS`.
    """
    with source.open("rb") if isinstance(source, Path) else BytesIO(source) as file:
        _require_small_webp(file.read(30), min(most, MAX_WEBP_PIXELS))
    with warnings.catch_warnings():
        # Pillow's own limit warns at 90 megapixels and refuses at 180; ours is between the two.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(source if isinstance(source, Path) else BytesIO(source), formats=FORMATS)
        except UnidentifiedImageError:
            raise UnidentifiedImageError(f"cannot identify image file; read are {', '.join(FORMATS)}") from None
        except Image.DecompressionBombError:
            raise TooLargeError(f"at most {most // 10**6} megapixels are read") from None
    if image.width * image.height > most:
        image.close()
        raise TooLargeError(f"it is {image.width}×{image.height}, at most {most // 10**6} megapixels are read")
    return image


def _require_small_webp(head: bytes, most: int) -> None:
    """Refuse a WebP by the size that its first 30 bytes say."""
    kind = head[12:16] if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else b""
    if kind == b"VP8X":
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        sides = int.from_bytes(head[21:25], "little")
        width, height = (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    else:
        return
    if width * height > most:
        raise TooLargeError(f"it is {width}×{height}, at most {most // 10**6} megapixels of a WebP are read")


def count_frames(image: Image.Image) -> int:
    """The number of frames of a picture that is open in `decoding`: 1, or more for an animation.

    Raises:
        TooLargeError: it has more than `MAX_FRAMES`.
        Exception: whatever Pillow raises when its frames cannot be found.
    """
    count = int(getattr(image, "n_frames", 1))
    if count > MAX_FRAMES:
        raise TooLargeError(f"it has {count:,} frames, at most {MAX_FRAMES:,} are read")
    return count


def to_8_bits(image: Image.Image) -> Image.Image:
    """An open picture, in `decoding`, in one of the modes L, LA, RGB and RGBA: whatever the file has, everything reads the same.

    16 bits a channel are scaled, where Pillow's own `convert` clips all but the darkest 256 levels to white. Only a picture
    that is or may be transparent somewhere has an alpha channel. Its EXIF data stay, for `ImageOps.exif_transpose`.

    Raises:
        ValueError: it has floating-point values, whose white may be anywhere.
        Exception: whatever Pillow raises for damaged bytes.
    """
    exif = image.getexif()
    transparent = image.info.get("transparency")
    if image.mode == "F":
        raise ValueError("it has floating-point values")
    if image.mode.startswith("I"):
        import numpy as np  # whoever only opens pictures need not wait for it

        # In place: a picture of the largest size takes half a gigabyte like this, and two with a copy for each step.
        levels = np.array(image, dtype=np.float32)
        alpha = levels != transparent if isinstance(transparent, int) else None
        levels *= np.float32(255 / 65535)
        gray = Image.fromarray(levels.round(out=levels).clip(0, 255, out=levels).astype(np.uint8))
        if alpha is not None:
            gray.putalpha(Image.fromarray(alpha.astype(np.uint8) * np.uint8(255)))
        image = gray
    elif image.mode in ("PA", "La", "RGBa") or transparent is not None:
        image = image.convert("RGBA")
    elif image.mode == "P":
        image = image.convert("RGBA" if image.palette is not None and image.palette.mode == "RGBA" else "RGB")
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    else:
        image.load()
    # ImageOps reads the orientation from the image that it turns.
    image.info["exif"] = exif.tobytes()
    return image


def require_picture(data: bytes) -> None:
    """Decode the first frame of a picture in `decoding`, and forget it.

    Raises:
        Exception: see `open_picture`.
    """
    with open_picture(data) as image:
        image.load()
