"""Reads a few small images from a video, for an overview."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from ...core.errors import VideoGenError
from ..color import to_rgb
from ..foreign.containers import decode_frames, open_media
from ..foreign.display import find_video, pixel_aspect, shown_size
from ..foreign.verdict import decoding

#: JPEG qualities that are tried in order until all thumbnails fit the budget.
_QUALITIES = (80, 70, 58, 45, 32, 20)


@dataclass(frozen=True)
class Thumbnail:
    """A frame as a small JPEG: its time in the video in seconds, and its size in pixels."""

    seconds: float
    width: int
    height: int
    jpeg: bytes


def read_thumbnails(path: Path, count: int = 5, *, box: int = 320, budget: int = 52_000) -> tuple[Thumbnail, ...]:
    """Evenly spaced frames of a video, from the first to the last; fewer for a shorter video.

    Only keyframes are decoded where they are close enough, which is ten times faster with 8 s of 1080p.

    Args:
        box: longest side of the images in pixels.
        budget: bytes of all of them together; their quality is reduced to fit.

    Raises:
        VideoGenError: `media-broken`.
    """
    with decoding(path):
        with open_media(path) as container:
            stream = _need_video(container, path)
            base = stream.time_base or Fraction(1, av.time_base)  # a frame decoded by itself does not know its own
            aspect = pixel_aspect(stream)
            packets = [
                (packet.pts, packet.is_keyframe)
                for packet in container.demux(stream)
                if packet.size and not packet.is_discard
            ]
            stamps = sorted(pts for pts, _ in packets if pts is not None)
            targets = pick_evenly(stamps, count)
            keys = nearest_keys(targets, sorted(pts for pts, is_key in packets if is_key and pts is not None))
            frames = [_decode_key(container, stream, key) for key in keys] if keys else []
        if not frames or None in frames:
            frames = list(_decode_exactly(path, targets))
        found = [
            (float(((frame.pts or 0) - stamps[0]) * base), _shrink(frame, aspect, box, str(path)))
            for frame in frames
            if frame is not None
        ]
    if not found:
        raise VideoGenError("media-broken", f"{path} has no frames")
    for quality in _QUALITIES:
        jpegs = [_encode(image, quality) for _, image in found]
        if sum(map(len, jpegs)) <= budget:
            break
    return tuple(
        Thumbnail(round(seconds, 3), image.width, image.height, jpeg)
        for (seconds, image), jpeg in zip(found, jpegs, strict=True)
    )


def read_thumbnail_at(path: Path, share: float, *, box: int = 320) -> Thumbnail:
    """The frame at a fraction (0 to 1) of a video's length.

    Raises:
        VideoGenError: `media-broken`.
    """
    with decoding(path):
        with open_media(path) as container:
            stream = _need_video(container, path)
            base, aspect = stream.time_base or Fraction(1, av.time_base), pixel_aspect(stream)
            stamps = sorted(
                packet.pts
                for packet in container.demux(stream)
                if packet.size and packet.pts is not None and not packet.is_discard
            )
        stamp = stamps[min(len(stamps) - 1, max(0, int(share * len(stamps))))]
        image = _shrink(_decode_exactly(path, [stamp])[0], aspect, box, str(path))
    return Thumbnail(round(float((stamp - stamps[0]) * base), 3), image.width, image.height, _encode(image, 70))


def pick_evenly(stamps: Sequence[int], count: int) -> list[int]:
    """`count` of the stamps from the first to the last, or all of them when there are fewer."""
    if len(stamps) <= count:
        return list(stamps)
    return [stamps[round(index * (len(stamps) - 1) / (count - 1))] for index in range(count)]


def nearest_keys(targets: Sequence[int], keys: Sequence[int]) -> list[int]:
    """The keyframe nearest to each target; empty when one of them is too far away to replace it."""
    if len(targets) < 2 or len(keys) < len(targets):
        return []
    spacing = (targets[-1] - targets[0]) / (len(targets) - 1)
    nearest = [min(keys, key=lambda key, target=target: abs(key - target)) for target in targets]  # type: ignore[misc]
    close = all(abs(key - target) <= 0.6 * spacing for key, target in zip(nearest, targets, strict=True))
    return nearest if close and len(set(nearest)) == len(nearest) else []


def _decode_key(container: av.container.InputContainer, stream: av.VideoStream, stamp: int) -> av.VideoFrame | None:
    context = stream.codec_context
    container.seek(stamp, stream=stream, backward=True)
    for packet in container.demux(stream):
        if packet.is_keyframe and packet.size:
            frames = [*context.decode(packet), *context.decode(None)]
            context.flush_buffers()
            return frames[0] if frames else None
    return None


def _decode_exactly(path: Path, targets: Sequence[int]) -> list[av.VideoFrame]:
    wanted = set(targets)
    with open_media(path) as container:
        stream = _need_video(container, path)
        return [frame for frame in decode_frames(container, stream) if frame.pts in wanted]


def _need_video(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    stream = find_video(container)
    if stream is None:
        raise VideoGenError("media-broken", f"{path} has no video stream")
    return stream


def _shrink(frame: av.VideoFrame, aspect: Fraction, box: int, name: str) -> Image.Image:
    size = shown_size(frame, aspect)
    scale = min(1.0, box / max(size))
    width, height = (max(1, round(side * scale)) for side in size)
    return Image.fromarray(to_rgb(frame, name, (width, height)))


def _encode(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality, optimize=True, progressive=True)
    return file.getvalue()
