"""Clips: segments as sequences of film frames, whatever file they come from."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from ...core.errors import VideoGenError
from ...core.video.quality import VideoFormat, place_image


class Clip(Protocol):
    """A segment as a sequence of film frames.

    Attributes:
        frames: its number of frames in the film.
        codec: its codec, or "" when it has none.
        header: the decoder's headers, for a file in the film's format; None otherwise.
        keyframes: frames at which its packets can be cut.
    """

    frames: int
    codec: str
    header: bytes | None
    keyframes: tuple[int, ...]

    def read_frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Film frames [start, stop) as yuv420p (BT.709, limited): uint8, shape (height * 3 / 2, width)."""
        ...


class VideoClip:
    """A video file, converted to the film's size and rate; a short one holds its last frame, a long one is cut.

    Args:
        frames: frames in the film.
        film: format of the film.
    """

    def __init__(self, path: Path, frames: int, film: VideoFormat) -> None:
        self.path, self.frames, self.film = path, frames, film
        self.header: bytes | None = None
        self.keyframes: tuple[int, ...] = ()
        try:
            with av.open(str(path)) as container:
                if not container.streams.video:
                    raise VideoGenError("media-broken", f"{path} has no video stream")
                stream = container.streams.video[0]
                assert stream.time_base is not None
                self._time_base = stream.time_base
                packets = [(p.pts, p.is_keyframe) for p in container.demux(stream) if p.size and p.pts is not None]
                context = stream.codec_context
                self.codec = context.name
                self.source_fps = Fraction(stream.average_rate or stream.guessed_rate or film.fps)
                same_image = (context.width, context.height) == film.size and context.pix_fmt == "yuv420p"
                header = bytes(context.extradata or b"")
        except (av.error.FFmpegError, OSError) as error:
            raise VideoGenError("media-broken", f"{path} cannot be read as a video: {error}") from None
        if not packets:
            raise VideoGenError("media-broken", f"{path} has no frames")
        stamps = sorted(pts for pts, _ in packets)
        self._origin = stamps[0]
        self.source_frames = self._index_at(stamps[-1]) + 1
        # A file with gaps has fewer packets than frames.
        if same_image and self.source_fps == film.fps and len(packets) == self.source_frames == frames:
            self.header = header
            order = {pts: index for index, pts in enumerate(stamps)}
            self.keyframes = tuple(sorted(order[pts] for pts, key in packets if key))

    def read_frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """See `Clip.read_frames`."""
        wanted = start
        shown: av.VideoFrame | None = None
        image: np.ndarray | None = None
        for index, frame in self._decode(self._source_index(start)):
            # A film frame shows the source frame that is on screen at its time: in a gap, the last one before it.
            while shown is not None and wanted < stop and self._source_index(wanted) < index:
                image = _to_yuv(shown, self.film.size) if image is None else image
                yield image
                wanted += 1
            shown, image = frame, None
            while wanted < stop and self._source_index(wanted) == index:
                image = _to_yuv(shown, self.film.size) if image is None else image
                yield image
                wanted += 1
            if wanted >= stop:
                return
        if shown is None:
            raise VideoGenError("media-broken", f"{self.path} does not decode")
        image = _to_yuv(shown, self.film.size)
        for _ in range(wanted, stop):
            yield image

    def _source_index(self, frame: int) -> int:
        return min(int(Fraction(frame, self.film.fps) * self.source_fps), self.source_frames - 1)

    def _index_at(self, pts: int) -> int:
        return round((pts - self._origin) * self._time_base * self.source_fps)

    def _decode(self, start: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Source frames with their index, beginning at the nearest keyframe before `start`."""
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                if start:
                    target = self._origin + int(start / self.source_fps / self._time_base)
                    container.seek(target, stream=stream, backward=True)
                for frame in container.decode(stream):
                    assert frame.pts is not None
                    yield self._index_at(frame.pts), frame
        except (av.error.FFmpegError, OSError) as error:
            raise VideoGenError("media-broken", f"{self.path} does not decode: {error}") from None


class ImageClip:
    """A still RGB image (uint8, shape (height, width, 3)) of the film's size, held for `frames` frames."""

    codec = ""
    header: bytes | None = None
    keyframes: tuple[int, ...] = ()

    def __init__(self, image: np.ndarray, frames: int, size: tuple[int, int]) -> None:
        self.frames = frames
        self._image = _to_yuv(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"), size)

    def read_frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """See `Clip.read_frames`."""
        for _ in range(start, stop):
            yield self._image


def _to_yuv(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    if frame.format.name == "yuv420p" and (frame.width, frame.height) == size:
        return frame.to_ndarray()
    width, height, x, y = place_image((frame.width, frame.height), size)
    image = frame.reformat(
        width, height, format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", interpolation="LANCZOS"
    ).to_ndarray()
    if (width, height) == size:
        return image
    return _pad(image, (width, height), size, x, y)


def _pad(image: np.ndarray, inner: tuple[int, int], size: tuple[int, int], x: int, y: int) -> np.ndarray:
    """A yuv420p image placed at (x, y) on a black one; all numbers are even."""
    planes = []
    offset = 0
    flat = image.reshape(-1)
    for divisor, black in ((1, 16), (2, 128), (2, 128)):
        width, height = inner[0] // divisor, inner[1] // divisor
        plane = np.full((size[1] // divisor, size[0] // divisor), black, np.uint8)
        plane[y // divisor : y // divisor + height, x // divisor : x // divisor + width] = flat[
            offset : offset + width * height
        ].reshape(height, width)
        offset += width * height
        planes.append(plane.reshape(-1))
    return np.concatenate(planes).reshape(size[1] * 3 // 2, size[0])
