"""Quality presets, and the video format of a story's frames in a preset."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class VideoFormat:
    """The format of an encoded video: width and height in pixels, frames a second, and bits a second."""

    size: tuple[int, int]
    fps: int
    bitrate: int


@dataclass(frozen=True)
class Quality:
    """A preset: the box that frames are fitted into, frames a second, and bits a second."""

    name: str
    width: int
    height: int
    fps: int
    bitrate: int


QUALITIES: dict[str, Quality] = {
    quality.name: quality
    for quality in (
        Quality("draft", 854, 480, 24, 1_500_000),
        Quality("standard", 1280, 720, 30, 3_000_000),
        Quality("high", 1920, 1080, 30, 6_000_000),
        Quality("premium", 3840, 2160, 60, 15_000_000),
    )
}


def fit_size(size: tuple[int, int], quality: Quality) -> tuple[int, int]:
    """Width and height of the video for frames of `size`: the largest even size that fits the preset's box.

    The box is rotated for portrait frames: a story of 1080×1920 stays 1080×1920 in ``high``.
    """
    width, height = size
    box = (quality.width, quality.height) if width >= height else (quality.height, quality.width)
    scale = min(Fraction(box[0], width), Fraction(box[1], height))
    # 853.33 becomes 854: even, as yuv420p needs it, and never outside the box.
    return min(box[0], _nearest_even(width * scale)), min(box[1], _nearest_even(height * scale))


def fit_format(size: tuple[int, int], quality: Quality) -> VideoFormat:
    """Video format for frames of `size` in a preset."""
    return VideoFormat(fit_size(size, quality), quality.fps, quality.bitrate)


def place_image(source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """Fit an image into one of another shape, with bars: (width, height, x, y), all even.

    Shapes that differ by less than 1 % (rounding to whole pixels) are stretched: a bar of one pixel looks like a fault.
    """
    if abs(Fraction(source[0] * target[1], source[1] * target[0]) - 1) < Fraction(1, 100):
        return target[0], target[1], 0, 0
    scale = min(Fraction(target[0], source[0]), Fraction(target[1], source[1]))
    width = min(target[0], _nearest_even(source[0] * scale))
    height = min(target[1], _nearest_even(source[1] * scale))
    return width, height, (target[0] - width) // 4 * 2, (target[1] - height) // 4 * 2


def _nearest_even(number: Fraction) -> int:
    return max(2, 2 * round(number / 2))
