"""Reads the last frame of a video, from which the next segment continues."""

from __future__ import annotations

import io
from pathlib import Path

import av

from ...core.errors import VideoGenError


def read_last_frame(path: Path) -> bytes:
    """The last frame as a PNG.

    Raises:
        VideoGenError: `media-broken`.
    """
    last = None
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if stream.duration:
                # From the last keyframe on, or from the beginning when a container has no duration.
                container.seek((stream.start_time or 0) + stream.duration, stream=stream, backward=True)
            for frame in container.decode(stream):
                last = frame
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise VideoGenError("media-broken", f"{path} does not decode: {error}") from None
    if last is None:
        raise VideoGenError("media-broken", f"{path} has no frames")
    image = io.BytesIO()
    last.to_image().save(image, format="PNG")
    return image.getvalue()
