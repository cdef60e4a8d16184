"""The animatic: a segment as a moving storyboard, without any model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from ...core.segment.plan import SegmentPlan
from .drawing.canvas import Canvas
from .drawing.theme import BACKGROUND, WHITE
from .scene.scene_image import SceneImage
from .sheet.layout import Layout, lay_out
from .sheet.panel import draw_clock, draw_words
from .sheet.timeline import draw_playhead, draw_timeline


def draw_frames(plan: SegmentPlan) -> Iterator[np.ndarray]:
    """Draw the storyboard frames of a segment, one at a time.

    The image shows the place, its people and things, and the moving camera frame; around it are the segment's number,
    timecode, description, cast, prompt, and the film's timeline.

    Yields:
        `plan.frames` arrays of shape (height, width, 3), uint8, RGB, for `plan.size`. The same plan always yields the
        same bytes, with the same fonts and Pillow.
    """
    layout = lay_out(plan.size)
    left, top, right, bottom = layout.image
    image = SceneImage(plan, (right - left, bottom - top), layout.unit)
    base = Image.new("RGB", plan.size, BACKGROUND)
    draw_words(base, layout, plan)
    draw_timeline(base, layout, plan)
    mask = rounded_mask(layout)

    def compose(index: int) -> np.ndarray:
        # A function of its own, so that nothing of one frame stays in memory while the next is drawn.
        since = index / plan.fps
        frame = base.copy()
        frame.paste(image.draw(float(since), index / max(1, plan.frames - 1)), (left, top), mask)
        draw_clock(frame, layout, plan, plan.start + since)
        draw_playhead(frame, layout, plan, plan.start + since)
        return np.array(frame)

    for index in range(plan.frames):
        yield compose(index)


def rounded_mask(layout: Layout) -> Image.Image | None:
    """A mask of the image's area with rounded corners, or None where it fills the frame."""
    if layout.mode == "minimal":
        return None
    left, top, right, bottom = layout.image
    width, height = right - left, bottom - top
    radius = min(round(12 * layout.unit), width // 2, height // 2)
    mask = Image.new("L", (width, height), 255)
    if radius < 1:
        return mask
    disc = Canvas((2 * radius, 2 * radius), radius)
    disc.ellipse(1, 1, 1, 1, WHITE)
    corners = disc.finish().getchannel("A")
    for x in (0, 1):
        for y in (0, 1):
            piece = corners.crop((x * radius, y * radius, (x + 1) * radius, (y + 1) * radius))
            mask.paste(piece, (x * (width - radius), y * (height - radius)))
    return mask
