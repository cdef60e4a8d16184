"""Workflows in the metadata of pictures and videos: ComfyUI and most packs write the graph into what they save."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

#: How files of these kinds begin: PNG, RIFF (WebP, and AVI, which has no metadata of ComfyUI), JPEG.
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"RIFF", b"\xff\xd8\xff")
#: The same for videos: Matroska and WebM; MP4 and MOV say what they are after four bytes of length.
_MATROSKA, _MP4 = b"\x1aE\xdf\xa3", b"ftyp"
_EXIF_TEXTS = re.compile(r"\A(workflow|prompt):(.*)\Z", re.DOTALL | re.IGNORECASE)


def is_media(beginning: bytes) -> bool:
    """Whether a file that begins so is a picture or a video."""
    return beginning.startswith((*_PICTURES, _MATROSKA)) or beginning[4:8] == _MP4


def read_metadata(path: Path, beginning: bytes) -> dict[str, str]:
    """The texts in a picture's or a video's metadata that may be a workflow: ``workflow``, ``prompt`` and ``comment``.

    In PNG they are text chunks; in WebP and JPEG they are EXIF entries that begin with their name; in videos they are tags, and
    Video Helper Suite writes both into the comment.

    Raises:
        VideoGenError: `media-broken`.
    """
    # These take longer to import than most workflows to read.
    from custom_nodes.videogen.media.foreign.containers import open_media
    from custom_nodes.videogen.media.foreign.pictures import open_picture
    from custom_nodes.videogen.media.foreign.verdict import decoding

    if beginning.startswith(_PICTURES):
        with decoding(str(path), "cannot be read as a picture"), open_picture(path) as image:
            # Chunks before the pixels, where ComfyUI writes them: a picture need not be decoded for it. To look for EXIF data
            # behind them, Pillow decodes a PNG.
            exif = () if image.format == "PNG" else _exif_texts(image.getexif())
            found = {**dict(exif), **{str(name): text for name, text in image.info.items()}}
    else:
        with open_media(path, "cannot be read as a video") as container:
            found = dict(container.metadata)
    texts = {str(name).lower(): text for name, text in found.items() if isinstance(text, str)}
    return {name: texts[name] for name in ("workflow", "prompt", "comment") if texts.get(name)}


def _exif_texts(exif: Mapping[int, object]) -> Iterator[tuple[str, str]]:
    for text in exif.values():
        named = _EXIF_TEXTS.match(text) if isinstance(text, str) else None
        if named:
            yield named[1].lower(), named[2].rstrip("\0")
