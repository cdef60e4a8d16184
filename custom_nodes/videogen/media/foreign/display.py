"""How the frames of a video are shown: the track that shows them, turned or mirrored, with pixels that are not square."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from numpy.typing import NDArray

from ...core.story.schema import MAX_SIDE

#: Shapes of pixels that are believed; anamorphic film has 2 : 1, and a wrong number could ask for gigabytes.
_MAX_ASPECT = 4
_SQUARE = Fraction(1)


@dataclass(frozen=True)
class Orientation:
    """What is done to a decoded frame: rows and columns are swapped, then columns and rows are reversed."""

    transposed: bool = False
    mirrored: bool = False
    upside_down: bool = False

    def turn(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image or plane as it is shown: (height, width, …) → (height, width, …), or (width, height, …)."""
        if self == UPRIGHT:
            return image
        image = np.swapaxes(image, 0, 1) if self.transposed else image
        image = image[:, ::-1] if self.mirrored else image
        return np.ascontiguousarray(image[::-1] if self.upside_down else image)


UPRIGHT = Orientation()


def find_video(container: InputContainer) -> av.VideoStream | None:
    """The track with the video: the first one that is no cover picture; None without any."""
    tracks = container.streams.video
    films = [track for track in tracks if not track.disposition & Disposition.attached_pic]
    return next(iter(films or tracks), None)


def read_orientation(frame: av.VideoFrame) -> Orientation:
    """How a frame is turned when it is shown, as phones write it; angles other than right ones are ignored, as by players."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None or len(data := bytes(matrix)) < 36:
        return UPRIGHT
    # ISO/IEC 14496-12, 6.2.2: a point is shown at x' = a x + c y, y' = b x + d y; y runs down.
    a, b, _, c, d = struct.unpack_from("5i", data)
    if not a and not d and b and c:
        return Orientation(True, c < 0, b < 0)
    if not b and not c and a and d:
        return Orientation(False, a < 0, d < 0)
    return UPRIGHT


def pixel_aspect(stream: av.VideoStream) -> Fraction:
    """Width of a decoded frame's pixels by their height; 1 where nothing, or nothing plausible, is said."""
    aspect = stream.sample_aspect_ratio
    if not aspect or not Fraction(1, _MAX_ASPECT) <= aspect <= _MAX_ASPECT:
        return _SQUARE
    return Fraction(aspect)


def shown_size(frame: av.VideoFrame, aspect: Fraction) -> tuple[int, int]:
    """Width and height in square pixels of a frame as it is shown; pixels are made larger and not smaller."""
    width, height = frame.width, frame.height
    if aspect > 1:
        width = min(MAX_SIDE, round(width * aspect))
    elif aspect < 1:
        height = min(MAX_SIDE, round(height / aspect))
    return (height, width) if read_orientation(frame).transposed else (width, height)
