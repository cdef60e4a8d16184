"""Reads frames as RGB images from a video, an animated image, or a folder of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageOps

from ...core.errors import VideoGenError
from ..color import to_rgb
from ..file_types import ANIMATION_SUFFIXES, READABLE_VIDEO_SUFFIXES, STILL_SUFFIXES
from ..foreign.containers import decode_frames, open_media
from ..foreign.display import find_video, pixel_aspect
from ..foreign.pictures import count_frames, open_picture, to_8_bits
from ..foreign.verdict import decoding
from ..path_inside import suggest_slashes
from ..probe import probe_video

#: Longest hold in frames, side in pixels at which frames are compared, and share of all change that may be within holds.
_MAX_HOLD, _HOLD_SIDE, _WITHIN_HOLD = 60, 64, 0.3


_NO_IMAGE = "cannot be read as a picture"


@dataclass(frozen=True)
class FrameSource:
    """A file or folder with frames.

    Attributes:
        count: number of frames that `read_frames` yields.
        fps: frames a second, where known.
        step: every how many frames of a video one is taken.
        by_time: frames are taken at regular times, ``step / fps`` apart, and not by their number; where the distances between
            frames vary, these differ.
    """

    path: Path
    count: int
    fps: Fraction | None
    step: Fraction = Fraction(1)
    by_time: bool = False


def open_source(path: Path, fps: Fraction | None = None) -> FrameSource:
    """Open a video, an animated image, an image, or a folder of images, and count its frames.

    Args:
        fps: frames a second to take of a video, instead of all of them: a film of 30 frames a second that shows each image
            ten times has three.

    Raises:
        VideoGenError: `path-invalid` when there is no such file or it has no frames, `media-broken` when it cannot be read.
    """
    if path.is_dir():
        files = list_images(path)
        if not files:
            raise VideoGenError("path-invalid", f"the folder {path} has no pictures ({', '.join(STILL_SUFFIXES)})")
        return FrameSource(path, len(files), None)
    if not path.is_file():
        raise VideoGenError("path-invalid", f"{path} does not exist{suggest_slashes(path)}")
    if path.suffix.lower() in (*STILL_SUFFIXES, *ANIMATION_SUFFIXES):
        with decoding(path, _NO_IMAGE), open_picture(path) as image:
            return FrameSource(path, count_frames(image), None)
    info = probe_video(path)
    if fps is None or fps >= info.fps:
        return FrameSource(path, info.frames, info.fps)
    return replace(slow_down(FrameSource(path, info.frames, info.fps), info.fps / fps), by_time=True)


def read_frames(source: FrameSource) -> Iterator[np.ndarray]:
    """Its frames in order, one at a time: uint8, (height, width, 3), or 4 where an image has an alpha channel.

    Raises:
        VideoGenError: `media-broken`.
    """
    if source.path.is_dir():
        for path in list_images(source.path):
            yield read_image(path)
    elif source.path.suffix.lower() in (*STILL_SUFFIXES, *ANIMATION_SUFFIXES):
        with decoding(source.path, _NO_IMAGE):
            image = open_picture(source.path)
        with image:
            # In order: webp and gif frames are differences to those before them.
            for number in range(source.count):
                with decoding(f"frame {number + 1} of {source.path}"):
                    image.seek(number)
                    frame = _to_array(image)
                yield frame
    else:
        yield from _decode(source)


def count_holds(source: FrameSource) -> int:
    """How many frames of a video show each image, when that is regular; otherwise 1.

    A segment of 24 images in a video of 24 frames a second holds each for 8 frames. Encoders change held frames
    slightly, as they sharpen them: the criterion is that most of the change is at the beginnings of holds. At twice the true
    hold, half of the change is outside them, and in a video that moves all the time at least as much.

    Raises:
        VideoGenError: `media-broken`.
    """
    if source.fps is None or source.step != 1:
        return 1
    last, changes = None, []
    for frame in read_frames(source):
        small = cv2.resize(frame[..., :3], (_HOLD_SIDE, _HOLD_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        if last is not None:
            changes.append(float(np.abs(small - last).mean()))
        last = small
    return find_hold(changes)


def find_hold(changes: Sequence[float]) -> int:
    """The longest regular hold, given how much each frame but the first differs from the one before it; 1 for none."""
    step = np.array(changes)
    found = 1
    for hold in range(2, min(_MAX_HOLD, len(step) // 3) + 1):
        begins = np.arange(1, len(step) + 1) % hold == 0
        if step.sum() > 0 and step[~begins].sum() <= _WITHIN_HOLD * step.sum():
            found = hold
    return found


def slow_down(source: FrameSource, step: Fraction | int) -> FrameSource:
    """The same video with every `step`-th frame taken, so that an image held for `step` frames is read once."""
    assert source.fps is not None
    return FrameSource(
        source.path, max(1, int((source.count - 1) / Fraction(step)) + 1), source.fps / step, Fraction(step)
    )


def list_videos(folder: Path) -> list[Path]:
    """The videos in a folder, by name; for a run directory, its segments."""
    segments = folder / "segments"
    where = segments if segments.is_dir() and (folder / "run.json").is_file() else folder
    return sorted(path for path in where.iterdir() if path.suffix.lower() in READABLE_VIDEO_SUFFIXES and path.is_file())


def read_image(path: Path) -> np.ndarray:
    """An image, turned upright as its EXIF says: uint8, (height, width, 3 or 4).

    Raises:
        VideoGenError: `path-invalid` when there is no such file, `media-broken` when it is not an image.
    """
    if not path.is_file():
        what = "is a folder, expected a picture" if path.is_dir() else f"does not exist{suggest_slashes(path)}"
        raise VideoGenError("path-invalid", f"{path} {what}")
    with decoding(path, _NO_IMAGE), open_picture(path) as image:
        return _to_array(image)


def list_images(folder: Path) -> list[Path]:
    """The images in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in STILL_SUFFIXES and path.is_file())


def _decode(source: FrameSource) -> Iterator[np.ndarray]:
    taken = 0
    with open_media(source.path) as container:
        stream = find_video(container)
        if stream is None:
            raise VideoGenError("media-broken", f"{source.path} has no video stream")
        aspect = pixel_aspect(stream)
        frames = decode_frames(container, stream)
        for frame in _at_times(frames, source) if source.by_time else _by_number(frames, source):
            yield to_rgb(frame, str(source.path), aspect=aspect)
            taken += 1
    if not taken:
        raise VideoGenError("media-broken", f"{source.path} has no frames")


def _by_number(frames: Iterable[av.VideoFrame], source: FrameSource) -> Iterator[av.VideoFrame]:
    wanted = 0
    for number, frame in enumerate(frames):
        if number == int(wanted * source.step):
            yield frame
            wanted += 1


def _at_times(frames: Iterable[av.VideoFrame], source: FrameSource) -> Iterator[av.VideoFrame]:
    """The frame that is on screen at the time of each wanted frame; the times begin with the first frame, whatever its own."""
    assert source.fps is not None
    wanted, shown, begin = 0, None, None
    for number, frame in enumerate(frames):
        base = frame.time_base or Fraction(1)
        begin = frame.pts if begin is None else begin
        # Half a tick later than it says, as a tick may be what its time was rounded to.
        time = (frame.pts - begin - Fraction(1, 2)) * base if frame.pts is not None and begin is not None else None
        time = number * source.step / source.fps if time is None else time
        while shown is not None and wanted < source.count and wanted / source.fps < time:
            yield shown
            wanted += 1
        shown = frame
    if shown is not None:
        for _ in range(wanted, source.count):
            yield shown


def _to_array(image: Image.Image) -> np.ndarray:
    upright = ImageOps.exif_transpose(to_8_bits(image))
    return np.asarray(upright.convert("RGBA" if upright.mode in ("LA", "RGBA") else "RGB"))
