"""The images of segments in the report, read from their files and kept in ``thumbnails.json``."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.foreign.pictures import open_picture
from custom_nodes.videogen.media.images.thumbnails import Thumbnail, read_thumbnails
from custom_nodes.videogen.media.os_errors import explain_os_error
from custom_nodes.videogen.media.probe import has_hash

from ..state.record_files import read_json
from ..state.run_directory import write_json_whole

THUMBNAILS_FILE = "thumbnails.json"
#: Bytes of images in the whole file, and how many bytes one segment may take of them.
MAX_BYTES, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES = 1_750_000, 52_000, 16_000
#: Segments beyond these have no images.
MAX_THUMBNAILS = 300
#: Longest side in pixels of the first frame, which the player shows, and of the other frames next to it.
POSTER, FRAME = 512, 256
#: Width in pixels of a thumbnail in the contact sheet, landscape and portrait. The style sheet shows them about 85 and 58
#: pixels wide, so that they are sharp on a phone with three device pixels to a pixel.
THUMB_LANDSCAPE, THUMB_PORTRAIT = 256, 176
#: JPEG qualities; the first one is taken at which a segment's images fit its budget.
_QUALITIES = (80, 70, 60, 50, 40, 30, 20)
_FORMAT = 2
_WORK_THREADS = 2


@dataclass(frozen=True)
class Strip:
    """Images of a segment.

    Attributes:
        images: frames from the first to the last, the first one larger.
        thumb: the middle frame for the contact sheet.
        problem: why there are no images.
        badge: the same in a few words.
    """

    images: tuple[Thumbnail, ...] = ()
    thumb: Thumbnail | None = None
    problem: str = ""
    badge: str = "file does not decode"


_REPLACED = Strip(
    problem="The file is not the one that was rendered and verified: it was replaced or damaged since.",
    badge="file was replaced",
)


def load_strips(path: Path, segments: Sequence[dict[str, Any]]) -> dict[int, Strip]:
    """Images of segments whose files exist; those of unchanged files come from ``thumbnails.json``.

    Returns:
        Number of the segment → its images.
    """
    segments = segments[:MAX_THUMBNAILS]
    budget = max(MIN_SEGMENT_BYTES, min(MAX_SEGMENT_BYTES, MAX_BYTES // max(1, len(segments))))
    cache_file = path / THUMBNAILS_FILE
    cached = _read_cache(cache_file, budget)

    def load(segment: dict[str, Any]) -> Strip:
        found = cached.get(segment.get("sha256", ""))
        if found is not None:
            return found
        try:
            # What is shown, and kept under that hash, is what was verified.
            if segment.get("sha256") and not has_hash(path / segment["file"], segment["sha256"], segment.get("bytes")):
                return _REPLACED
            # Nearly lossless here; `_fit` decides about the final quality of all sizes together.
            return _fit(read_thumbnails(path / segment["file"], box=POSTER, budget=1_000_000), budget)
        except VideoGenError as error:
            return Strip(problem=error.message)
        except OSError as error:
            return Strip(problem=explain_os_error(error, path / segment["file"]).message)

    with ThreadPoolExecutor(_WORK_THREADS) as pool:
        strips = {s["number"]: strip for s, strip in zip(segments, pool.map(load, segments), strict=True)}
    wanted = {s["sha256"]: strips[s["number"]] for s in segments if s.get("sha256") and strips[s["number"]].images}
    if wanted != cached:
        # It only saves time; without space for it the report is still written.
        with contextlib.suppress(VideoGenError):
            write_json_whole(cache_file, {"format": _FORMAT, "budget": budget, "strips": _pack(wanted)})
    return strips


def _fit(frames: Sequence[Thumbnail], budget: int) -> Strip:
    """Scale the frames to the sizes that the page shows, at the best quality that fits.

    Args:
        frames: at least one, with `POSTER` as their longest side.
        budget: bytes that all images of the segment may take together.
    """
    pixels = [open_picture(frame.jpeg).convert("RGB") for frame in frames]
    middle = pixels[len(pixels) // 2]
    thumb_width = THUMB_LANDSCAPE if middle.width >= middle.height else THUMB_PORTRAIT
    scaled = [pixels[0], *(_scale(image, FRAME / max(image.size)) for image in pixels[1:])]
    scaled.append(_scale(middle, thumb_width / middle.width))
    jpegs = _encode_within(scaled, budget)
    times = [*(frame.seconds for frame in frames), frames[len(frames) // 2].seconds]
    *images, thumb = [
        Thumbnail(seconds, image.width, image.height, jpeg)
        for seconds, image, jpeg in zip(times, scaled, jpegs, strict=True)
    ]
    return Strip(tuple(images), thumb)


def _scale(image: Image.Image, factor: float) -> Image.Image:
    """The image scaled down; a factor above 1 leaves it as it is."""
    if factor >= 1:
        return image
    return image.resize(
        (max(1, round(image.width * factor)), max(1, round(image.height * factor))), Image.Resampling.LANCZOS
    )


def _encode_within(images: Sequence[Image.Image], budget: int) -> list[bytes]:
    """Encode images at the best quality at which all of them together have at most `budget` bytes; noise, which is too large at
    the lowest, as smaller images."""
    low, high = 0, len(_QUALITIES) - 1
    found: dict[int, list[bytes]] = {}
    while low < high:
        middle = (low + high) // 2
        found[middle] = [_encode(image, _QUALITIES[middle]) for image in images]
        if sum(map(len, found[middle])) <= budget:
            high = middle
        else:
            low = middle + 1
    jpegs = found.get(low) or [_encode(image, _QUALITIES[low]) for image in images]
    while sum(map(len, jpegs)) > budget and max(max(image.size) for image in images) > 8:
        images = [_scale(image, 0.5) for image in images]
        jpegs = [_encode(image, _QUALITIES[low]) for image in images]
    return jpegs


def _encode(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality, optimize=True, progressive=True)
    return file.getvalue()


def _pack(strips: dict[str, Strip]) -> dict[str, Any]:
    return {
        sha256: [
            [image.seconds, image.width, image.height, base64.b64encode(image.jpeg).decode()]
            for image in (*strip.images, strip.thumb)
            if image is not None
        ]
        for sha256, strip in strips.items()
    }


def _read_cache(file: Path, budget: int) -> dict[str, Strip]:
    try:
        data = read_json(file)
        if data["format"] != _FORMAT or data["budget"] != budget:
            return {}
        strips = {}
        for sha256, packed in data["strips"].items():
            *images, thumb = [
                Thumbnail(float(t), int(w), int(h), base64.b64decode(jpeg, validate=True)) for t, w, h, jpeg in packed
            ]
            strips[sha256] = Strip(tuple(images), thumb)
        return strips
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # a cache that cannot be read is made again
