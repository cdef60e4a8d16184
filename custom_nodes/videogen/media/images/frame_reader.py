"""Reads frames as RGB images from a video, an animated image, or a folder of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ...core.errors import VideoGenError
from ..file_types import ANIMATION_SUFFIXES, READABLE_VIDEO_SUFFIXES, STILL_SUFFIXES
from ..probe import probe_video

#: Longest hold in frames, side in pixels at which frames are compared, and share of all change that may be within holds.
_MAX_HOLD, _HOLD_SIDE, _WITHIN_HOLD = 60, 64, 0.3


@dataclass(frozen=True)
class FrameSource:
    """A file or folder with frames.

    Attributes:
        count: number of frames that `read_frames` yields.
        fps: frames a second, where known.
        step: every how many frames of a video one is taken.
    """

    path: Path
    count: int
    fps: Fraction | None
    step: Fraction = Fraction(1)


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
        raise VideoGenError("path-invalid", f"{path} does not exist")
    if path.suffix.lower() in (*STILL_SUFFIXES, *ANIMATION_SUFFIXES):
        with _open_image(path) as image:
            return FrameSource(path, int(getattr(image, "n_frames", 1)), None)
    info = probe_video(path)
    if fps is None or fps >= info.fps:
        return FrameSource(path, info.frames, info.fps)
    return slow_down(FrameSource(path, info.frames, info.fps), info.fps / fps)


def read_frames(source: FrameSource) -> Iterator[np.ndarray]:
    """Its frames in order, one at a time: uint8, (height, width, 3), or 4 where an image has an alpha channel.

    Raises:
        VideoGenError: `media-broken`.
    """
    if source.path.is_dir():
        for path in list_images(source.path):
            yield read_image(path)
    elif source.path.suffix.lower() in (*STILL_SUFFIXES, *ANIMATION_SUFFIXES):
        with _open_image(source.path) as image:
            # In order: webp and gif frames are differences to those before them.
            for number in range(source.count):
                try:
                    image.seek(number)
                    frame = _to_array(image)
                except (OSError, EOFError, SyntaxError) as error:
                    raise VideoGenError(
                        "media-broken", f"frame {number + 1} of {source.path} does not decode: {error}"
                    ) from None
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
        what = "is a folder, expected a picture" if path.is_dir() else "does not exist"
        raise VideoGenError("path-invalid", f"{path} {what}")
    with _open_image(path) as image:
        try:
            return _to_array(ImageOps.exif_transpose(image))
        except (OSError, SyntaxError) as error:
            raise VideoGenError("media-broken", f"{path} cannot be read as a picture: {error}") from None


def list_images(folder: Path) -> list[Path]:
    """The images in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in STILL_SUFFIXES and path.is_file())


def _decode(source: FrameSource) -> Iterator[np.ndarray]:
    wanted = 0
    try:
        with av.open(str(source.path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for number, frame in enumerate(container.decode(stream)):
                # The frame on screen at the time of each wanted frame.
                if number == int(wanted * source.step):
                    yield frame.to_ndarray(format="rgb24")
                    wanted += 1
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise VideoGenError("media-broken", f"{source.path} does not decode: {error}") from None
    if not wanted:
        raise VideoGenError("media-broken", f"{source.path} has no frames")


def _open_image(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise VideoGenError("media-broken", f"{path} cannot be read as a picture: {error}") from None


def _to_array(image: Image.Image) -> np.ndarray:
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
