"""Checks of frames: the right size, not empty, not frozen."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..core.continuity.scores import FrameCheck, FrameProblem
from .images import MEASURE_SIDE, PreparedImage
from .light import sharpness

#: Luma below which practically all pixels of a black frame are, and which share of them.
_BLACK = 0.06
_BLACK_SHARE = 0.99
#: A frame whose pixels vary less than this (standard deviation of luma) shows nothing.
_EMPTY = 0.004
#: Sharpness of a frame against the median of its segment below which it is blurred, and below which a segment as a whole is.
_BLURRED = 0.3
_SOFT = 0.004
#: Share of pixels at the end of the range above which a frame is clipped.
_CLIPPED_SHARE = 0.25
#: How far an aspect ratio may be off.
_ASPECT = 0.02


class FrameChecker:
    """Checks the frames of a segment one after the other; keeps a few numbers of each.

    Args:
        expected: width and height that the frames should have, or None.
    """

    def __init__(self, expected: tuple[int, int] | None = None) -> None:
        self._expected = expected
        self._sizes: list[tuple[int, int] | None] = []
        self._found: dict[str, list[int]] = {kind: [] for kind in ("nan", "black", "empty", "frozen", "bright", "dark")}
        self._sharpness: list[tuple[int, float]] = []

    def add(self, image: PreparedImage | None, same_as_last: bool = False) -> None:
        """Add a frame, or None for one with NaN."""
        number = len(self._sizes)
        self._sizes.append(None if image is None else image.size)
        if image is None:
            self._found["nan"].append(number)
            return
        small = image.shrink(MEASURE_SIDE)
        gray = small.gray
        black = float((gray < _BLACK).mean()) >= _BLACK_SHARE
        empty = float(gray.std()) < _EMPTY
        if black or empty:
            self._found["black" if black else "empty"].append(number)
        else:
            self._sharpness.append((number, sharpness(small)))
            red, green, blue = cv2.split(small.rgb)
            ends = cv2.min(cv2.min(red, green), blue) >= 0.995, cv2.max(cv2.max(red, green), blue) <= 0.005
            for kind, clipped in zip(("bright", "dark"), ends, strict=True):
                if float(clipped.mean()) > _CLIPPED_SHARE:
                    self._found[kind].append(number)
        if same_as_last:
            self._found["frozen"].append(number)

    def finish(self) -> FrameCheck:
        """Return everything that was found."""
        count = len(self._sizes)
        sizes = [size for size in self._sizes if size is not None]
        size = sizes[0] if sizes else None
        if count == 0:
            return FrameCheck(0, None, (FrameProblem("none", (), "there are no frames", True),))
        problems = self._check_size(size)
        odd = tuple(number for number, each in enumerate(self._sizes) if each not in (None, size))
        if odd:
            problems.append(FrameProblem("sizes", odd, f"{_name(odd)} have another size than the first", True))
        for kind, (words, severe) in _WORDS.items():
            if self._found[kind]:
                frames = tuple(self._found[kind])
                problems.append(FrameProblem(kind, frames, words.format(frames=_name(frames)), severe))
        frozen = tuple(self._found["frozen"])
        if frozen:
            whole = count > 1 and len(frozen) == count - 1
            words = "all frames are the same" if whole else f"{_name(frozen)} show the same as the frame before"
            problems.append(FrameProblem("frozen", frozen, words, whole))
        problems += self._check_sharpness()
        return FrameCheck(count, size, tuple(problems))

    def _check_size(self, size: tuple[int, int] | None) -> list[FrameProblem]:
        if size is None or self._expected is None or size == self._expected:
            return []
        found, wanted = f"{size[0]}×{size[1]}", f"{self._expected[0]}×{self._expected[1]}"
        everywhere = tuple(range(len(self._sizes)))
        ratio = size[0] * self._expected[1] / (size[1] * self._expected[0])
        if abs(ratio - 1) > _ASPECT:
            return [
                FrameProblem(
                    "aspect", everywhere, f"the frames are {found}, another shape than the story's {wanted}", True
                )
            ]
        if size[0] * size[1] < self._expected[0] * self._expected[1]:
            return [
                FrameProblem(
                    "resolution", everywhere, f"the frames are {found}, smaller than the story's {wanted}", False
                )
            ]
        return []

    def _check_sharpness(self) -> list[FrameProblem]:
        if not self._sharpness:
            return []
        median = float(np.median([value for _, value in self._sharpness]))
        if median < _SOFT:
            return [
                FrameProblem("blurred", tuple(n for n, _ in self._sharpness), "the whole segment is blurred", False)
            ]
        blurred = tuple(number for number, value in self._sharpness if value < _BLURRED * median)
        return (
            [FrameProblem("blurred", blurred, f"{_name(blurred)} blurred against the others", False)] if blurred else []
        )


#: Kind → its sentence, and whether it fails a segment.
_WORDS = {
    "nan": ("{frames} with values that are not numbers (NaN)", True),
    "black": ("{frames} black", True),
    "empty": ("{frames} of a single color", True),
    "bright": ("{frames} burnt out to white over a quarter of the picture", False),
    "dark": ("{frames} without any detail in more than a quarter of the picture", False),
}


def _name(frames: Sequence[int]) -> str:
    """``frames 3–5, 9``: counted from 1, at most four runs."""
    runs: list[list[int]] = []
    for number in frames:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = [f"{first + 1}" if first == last else f"{first + 1}–{last + 1}" for first, last in runs[:4]]
    more = " and others" if len(runs) > 4 else ""
    return f"frame{'s' if len(frames) > 1 else ''} {', '.join(words)}{more}"
