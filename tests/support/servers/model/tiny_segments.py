"""Segments as a model of ComfyUI renders them: tiny videos that say what they were rendered from."""

from __future__ import annotations

import functools
import json
import struct
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.timing import count_frames
from custom_nodes.videogen.core.video.quality import QUALITIES, fit_size
from tests.support.videos import X264, draw_code, write_video

#: Every story here has this quality.
QUALITY = QUALITIES["draft"]
_MARK = b"videogen-test:"


def render_clip(content: Mapping[str, Any], seconds: Fraction) -> bytes:
    """A segment's video: its images show the segment's number, and the file carries everything that it was rendered from."""
    size = fit_size((content["size"][0], content["size"][1]), QUALITY)
    return _encode(content["number"], size, count_frames(seconds, Fraction(QUALITY.fps))) + _pack(content)


def read_content(data: bytes) -> dict[str, Any]:
    """What a clip was rendered from."""
    return json.loads(data[data.rindex(_MARK) + len(_MARK) :])


def _pack(content: Mapping[str, Any]) -> bytes:
    """A box that players skip."""
    payload = _MARK + json.dumps(dict(content), sort_keys=True).encode()
    return struct.pack(">I4s", 8 + len(payload), b"free") + payload


@functools.cache
def _encode(number: int, size: tuple[int, int], frames: int) -> bytes:
    image = draw_code(number, size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        images = (image for _ in range(frames))
        write_video(path, images, count=frames, size=size, quality=QUALITY, encoder=X264)
        return path.read_bytes()
