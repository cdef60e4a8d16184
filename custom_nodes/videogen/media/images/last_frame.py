"""Reads the last frame of a video, from which the next segment continues."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from ...core.errors import VideoGenError
from ..color import to_rgb
from ..foreign.containers import decode_frames, open_media
from ..foreign.display import find_video, pixel_aspect


def read_last_frame(path: Path) -> bytes:
    """The last frame as a PNG, as it is shown: turned as the file says, with square pixels.

    Raises:
        VideoGenError: `media-broken`.
    """
    # A seek in a transport stream can end behind the last keyframe, where nothing can be decoded.
    last = _decode_last(path, from_the_end=True) or _decode_last(path, from_the_end=False)
    if last is None:
        raise VideoGenError("media-broken", f"{path} has no frames")
    frame, aspect = last
    image = io.BytesIO()
    Image.fromarray(to_rgb(frame, str(path), aspect=aspect)).save(image, format="PNG")
    return image.getvalue()


def _decode_last(path: Path, *, from_the_end: bool) -> tuple[av.VideoFrame, Fraction] | None:
    """The last frame and the shape of its pixels, or None when there is none.

    Args:
        from_the_end: decode from the last keyframe on; or from the beginning when a container has no duration.
    """
    last = None
    with open_media(path) as container:
        stream = find_video(container)
        if stream is None:
            raise VideoGenError("media-broken", f"{path} has no video stream")
        aspect = pixel_aspect(stream)
        if stream.duration and from_the_end:
            container.seek((stream.start_time or 0) + stream.duration, stream=stream, backward=True)
        for frame in decode_frames(container, stream):
            last = frame
    return None if last is None else (last, aspect)
