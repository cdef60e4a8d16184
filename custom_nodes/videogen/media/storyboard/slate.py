"""The slate: a frame that the film shows for a missing segment."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from PIL import Image, ImageFilter

from ...core.segment.plan import SegmentPlan
from ...core.segment.shots import Shot
from ...core.timing import format_timecode
from .drawing.theme import BACKGROUND, SECONDARY, SMALLEST_TYPE, WARNING, type_style
from .drawing.typeset import TextStyle, draw_line, wrap
from .frames import rounded_mask
from .scene.scene_image import SceneImage
from .sheet.icons import draw_missing_icon
from .sheet.layout import Layout, lay_out
from .sheet.panel import draw_clock, draw_words
from .sheet.timeline import draw_timeline


def draw_slate(plan: SegmentPlan, reason: str) -> np.ndarray:
    """Draw the slate of a segment.

    Args:
        reason: why it is missing, in one or two sentences; long ones are truncated.

    Returns:
        An array of shape (height, width, 3), uint8, RGB, for `plan.size`.
    """
    layout = lay_out(plan.size)
    left, top, right, bottom = layout.image
    frame = Image.new("RGB", plan.size, BACKGROUND)
    draw_words(frame, layout, plan)
    draw_clock(frame, layout, plan, plan.start)
    draw_timeline(frame, layout, plan, missing=True)
    frame.paste(_draw_card(plan, reason, (right - left, bottom - top), layout), (left, top), rounded_mask(layout))
    return np.array(frame)


def _draw_card(plan: SegmentPlan, reason: str, size: tuple[int, int], layout: Layout) -> Image.Image:
    card = _faded_place(plan, size)
    unit = layout.unit
    if layout.mode == "minimal":
        # Only the icon, and the number where it is readable.
        side = max(6, round(min(size) * 0.42))
        icon = draw_missing_icon(side, WARNING)
        card.paste(icon, ((size[0] - side) // 2, max(0, round(size[1] * 0.46 - side / 2))), icon)
        style = TextStyle(max(SMALLEST_TYPE, round(min(size) * 0.10)), max(11, round(min(size) * 0.13)), WARNING, True)
        text = f"Segment {plan.number}"
        if style.width(text) < size[0] * 0.94 and size[1] > 60:
            draw_line(card, size[0] / 2, size[1] * 0.76, text, style, "m")
        return card
    room = min(size[0] * 0.82, 900 * unit)
    lines: list[tuple[str, TextStyle]] = []
    headline = type_style("display", unit, (238, 240, 244))
    if headline.width(f"Segment {plan.number} is missing") > room:
        headline = type_style("headline", unit)
    body, small = type_style("body", unit, SECONDARY), type_style("body", unit, WARNING)
    lines += [(line, headline) for line in wrap(f"Segment {plan.number} is missing", headline.width, room, 2)[0]]
    span = f"{format_timecode(plan.start)} – {format_timecode(plan.start + plan.duration)}"
    lines += [(line, small) for line in wrap(span, small.width, room, 1)[0]]
    side = round(min(96 * unit, size[1] * 0.22))
    used = side + 24 * unit + sum(style.leading for _, style in lines) + 18 * unit
    most = max(0, min(5, math.floor((size[1] * 0.92 - used) / body.leading)))
    reasons = wrap(reason, body.width, room, most)[0]
    height = used + len(reasons) * body.leading
    y = (size[1] - height) / 2
    icon = draw_missing_icon(side, WARNING)
    card.paste(icon, ((size[0] - side) // 2, round(y)), icon)
    y += side + 24 * unit
    for line, style in lines:
        draw_line(card, size[0] / 2, y, line, style, "m")
        y += style.leading
    y += 18 * unit
    for line in reasons:
        draw_line(card, size[0] / 2, y, line, body, "m")
        y += body.leading
    return card


def _faded_place(plan: SegmentPlan, size: tuple[int, int]) -> Image.Image:
    """The place without its figures, out of focus and nearly dark: a gap still looks like part of the film."""
    empty = dataclasses.replace(plan, characters=(), objects=(), shot=Shot("wide", "static", 0.0))
    small = (max(1, size[0] // 4), max(1, size[1] // 4))
    place = SceneImage(empty, small, 0.0).scenery().filter(ImageFilter.GaussianBlur(max(0.5, small[1] * 0.02)))
    gray = place.convert("L").convert("RGB")
    muted = Image.blend(place, gray, 0.6).resize(size, Image.Resampling.BICUBIC)
    return Image.blend(muted, Image.new("RGB", size, BACKGROUND), 0.80)
