"""Clips: segments as sequences of film frames, whatever file they come from."""

from __future__ import annotations

import bisect
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from ...core.errors import VideoGenError
from ...core.video.quality import VideoFormat, place_image
from ..color import colors_of, to_film_yuv
from ..foreign.containers import decode_frames, open_media
from ..foreign.display import UPRIGHT, find_video, pixel_aspect, read_orientation, shown_size
from .sound import can_be_heard

#: Codecs that are copied into an mp4 as they are.
_COPIED = ("h264", "hevc", "av1", "vp9")


class Clip(Protocol):
    """A segment as a sequence of film frames.

    Attributes:
        frames: its number of frames in the film.
        codec: its codec, or "" when it has none.
        header: the decoder's headers and the colors' tags, for a file in the film's format and colors; None otherwise.
        keyframes: frames at which its packets can be cut.
        has_sound: whether its file has sound.
    """

    frames: int
    codec: str
    header: bytes | None
    keyframes: tuple[int, ...]
    has_sound: bool

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
        with open_media(path, "cannot be read as a video") as container:
            stream = find_video(container)
            if stream is None:
                raise VideoGenError("media-broken", f"{path} has no video stream")
            assert stream.time_base is not None
            self._time_base = stream.time_base
            self.has_sound = can_be_heard(container)
            self._aspect = pixel_aspect(stream)
            packets: list[tuple[int, bool]] = []
            left_out, first_key = 0, None
            for packet in container.demux(stream):
                if packet.is_discard:  # an edit list leaves out what is only needed to decode others
                    left_out += 1
                elif packet.size and packet.pts is not None:
                    packets.append((packet.pts, packet.is_keyframe))
                    first_key = packet if first_key is None and packet.is_keyframe else first_key
            context = stream.codec_context
            self.codec = context.name
            self.source_fps = Fraction(stream.average_rate or stream.guessed_rate or film.fps)
            self.colors = colors_of(context, str(path))
            same_image = (
                (context.width, context.height, context.pix_fmt) == (*film.size, "yuv420p")
                and (self.codec in _COPIED and self._aspect == 1 and not left_out)
                and (first_key is not None and _is_upright(context, first_key))
            )
            # Packets of one track share its tags, too.
            tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
            header = bytes(context.extradata or b"") + bytes(map(int, tags))
        if not packets:
            raise VideoGenError("media-broken", f"{path} has no frames")
        stamps = sorted({pts for pts, _ in packets})
        self._origin = stamps[0]
        self._order = {pts: place for place, pts in enumerate(stamps)}
        self._times = self._find_times(stamps)
        self.source_frames = round((stamps[-1] - self._origin) * self._time_base * self.source_fps) + 1
        # A file with gaps has fewer packets than frames.
        if (
            same_image
            and self.colors.fits_film
            and self.source_fps == film.fps
            and len(self._order) == len(packets) == self.source_frames == frames
        ):
            self.header = header
            self.keyframes = tuple(sorted(self._order[pts] for pts, key in packets if key))

    def read_frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """See `Clip.read_frames`."""
        wanted = start
        shown: av.VideoFrame | None = None
        image: np.ndarray | None = None
        for index, frame in self._decode(self._source_index(start)):
            # A film frame shows the source frame that is on screen at its time: in a gap, the last one before it.
            while shown is not None and wanted < stop and self._source_index(wanted) < index:
                image = self._to_yuv(shown) if image is None else image
                yield image
                wanted += 1
            shown, image = frame, None
            while wanted < stop and self._source_index(wanted) == index:
                image = self._to_yuv(shown) if image is None else image
                yield image
                wanted += 1
            if wanted >= stop:
                return
        if shown is None:
            raise VideoGenError("media-broken", f"{self.path} does not decode")
        image = self._to_yuv(shown)
        for _ in range(wanted, stop):
            yield image

    def _to_yuv(self, frame: av.VideoFrame) -> np.ndarray:
        return _to_yuv(frame, self.film.size, str(self.path), self._aspect)

    def _find_times(self, stamps: list[int]) -> list[Fraction]:
        """When each frame begins, in seconds from the first one.

        Stamps are rounded to their unit. Where they are those of a regular rate, the times are exact; else they may be one unit
        earlier than they say.
        """
        seconds = [(pts - self._origin) * self._time_base for pts in stamps]
        places = [round(time * self.source_fps) for time in seconds]
        regular = len(set(places)) == len(places) and all(
            abs(place / self.source_fps - time) <= self._time_base for place, time in zip(places, seconds, strict=True)
        )
        if regular:
            return [place / self.source_fps for place in places]
        return [max(Fraction(0), time - self._time_base) for time in seconds]

    def _source_index(self, frame: int) -> int:
        """The source frame that is on screen at the time of a film frame."""
        return max(0, bisect.bisect_right(self._times, Fraction(frame, self.film.fps)) - 1)

    def _decode(self, start: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Source frames with their index, beginning at the nearest keyframe before `start`."""
        frames = self._decode_from(start)
        first = next(frames, None)
        if start and (first is None or first[0] > start):  # a seek in a transport stream can go too far
            frames.close()
            frames = self._decode_from(0)
            first = next(frames, None)
        if first is not None:
            yield first
            yield from frames

    def _decode_from(self, start: int) -> Generator[tuple[int, av.VideoFrame]]:
        with open_media(self.path) as container:
            stream = find_video(container)
            assert stream is not None
            stamps = list(self._order)
            if start:
                container.seek(stamps[start], stream=stream, backward=True)
            for frame in decode_frames(container, stream):
                if frame.pts is not None:
                    yield bisect.bisect_right(stamps, frame.pts) - 1, frame


def _is_upright(context: av.VideoCodecContext, key: av.Packet) -> bool:
    """Whether frames are shown as they are stored; only a decoded one tells."""
    return all(read_orientation(frame) == UPRIGHT for frame in (*context.decode(key), *context.decode(None)))


class ImageClip:
    """A still RGB image (uint8, shape (height, width, 3)) of the film's size, held for `frames` frames."""

    codec = ""
    header: bytes | None = None
    keyframes: tuple[int, ...] = ()
    has_sound = False

    def __init__(self, image: np.ndarray, frames: int, size: tuple[int, int]) -> None:
        self.frames = frames
        self._image = _to_yuv(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"), size, "a slate")

    def read_frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """See `Clip.read_frames`."""
        for _ in range(start, stop):
            yield self._image


def _to_yuv(frame: av.VideoFrame, size: tuple[int, int], name: str, aspect: Fraction = Fraction(1)) -> np.ndarray:
    width, height, x, y = place_image(shown_size(frame, aspect), size)
    image = to_film_yuv(frame, name, width, height)
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
