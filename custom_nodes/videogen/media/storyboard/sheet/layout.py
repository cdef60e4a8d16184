"""Layout of storyboard frames of any size and shape."""

from __future__ import annotations

from dataclasses import dataclass

#: Left, top, right, bottom in whole pixels.
Rect = tuple[int, int, int, int]


@dataclass(frozen=True)
class Layout:
    """The areas of a frame, in pixels.

    Attributes:
        mode: ``full``; ``compact`` without the columns of text; ``minimal`` with only image and timeline.
        unit: pixels of one unit of the design.
        caption: description and shot, next to or under each other.
        columns: one or two areas for cast and prompt; none unless `mode` is ``full``.
    """

    mode: str
    unit: float
    stacked: bool
    header: Rect
    image: Rect
    caption: Rect
    columns: tuple[Rect, ...]
    timeline: Rect


def lay_out(size: tuple[int, int]) -> Layout:
    """Lay out a frame of this width and height in pixels; areas never overlap and never leave the frame."""
    width, height = size
    aspect = width / height
    if min(size) < 120 or max(size) < 200 or not 0.28 <= aspect <= 4.2:
        return _minimal(size)
    stacked = aspect < 1.25
    fitting = min(width / 1080, height / 1350) if stacked else min(width / 1920, height / 1080)
    # Small frames have proportionally larger type, or it could not be read.
    unit = max(fitting, min(0.62, fitting * 1.9))
    wide, high = width / unit, height / unit
    compact = wide < (760 if stacked else 1250) or high < (900 if stacked else 640)
    margin = max(4, round(unit * (48 if not compact else 28)))
    gap = round(28 * unit)
    left, right = margin, width - margin
    header = (left, round(margin * 0.8), right, round(margin * 0.8) + round(56 * unit))
    timeline = (left, height - round(margin * 0.85) - round(44 * unit), right, height - round(margin * 0.85))
    top = header[3] + round(18 * unit)
    if compact:
        caption = (left, timeline[1] - round(52 * unit), right, timeline[1] - round(10 * unit))
        image = (left, top, right, caption[1] - round(12 * unit))
        if image[3] - image[1] < 0.35 * height:
            return _minimal(size)
        return Layout("compact", unit, stacked, header, image, caption, (), timeline)
    if not stacked:
        panel = max(round(360 * unit), min(round(width * 0.22), round(520 * unit)))
        split = right - panel
        caption_height = round(76 * unit)
        image = (left, top, split - gap, timeline[1] - caption_height - round(34 * unit))
        caption = (left, image[3] + round(18 * unit), image[2], image[3] + round(18 * unit) + caption_height)
        return Layout("full", unit, stacked, header, image, caption, ((split, top, right, caption[3]),), timeline)
    bottom = min(
        top + round((right - left) * 1.24), top + round((timeline[1] - top) * (0.62 if aspect < 0.8 else 0.55))
    )
    image = (left, top, right, bottom)
    caption = (left, bottom + round(18 * unit), right, bottom + round((18 + 132) * unit))
    below, end = caption[3] + round(18 * unit), timeline[1] - round(20 * unit)
    middle = (left + right) // 2
    if high < 1700:
        columns: tuple[Rect, ...] = ((left, below, middle - gap // 2, end), (middle + gap // 2, below, right, end))
    else:
        columns = ((left, below, right, end),)
    return Layout("full", unit, stacked, header, image, caption, columns, timeline)


def _minimal(size: tuple[int, int]) -> Layout:
    width, height = size
    bar = max(1, min(height // 3, max(2, round(min(size) * 0.05))))
    unit = min(width, height) / 420
    timeline = (0, height - bar, width, height)
    nothing = (0, 0, 0, 0)
    return Layout("minimal", unit, False, nothing, (0, 0, width, height - bar), nothing, (), timeline)
