"""Chips of characters, objects and place: icon, color and name, the same in every segment."""

from __future__ import annotations

import math

from PIL import Image

from ....core.segment.plan import SegmentPlan
from ....core.segment.references import cast_of
from ....core.story.model import Entity
from ..drawing.canvas import Canvas
from ..drawing.theme import RAISED, SECONDARY, SURFACE, type_style
from ..drawing.typeset import draw_line, fit_line
from .icons import draw_avatar
from .layout import Rect


def draw_chips(image: Image.Image, area: Rect, plan: SegmentPlan, unit: float) -> int:
    """Draw the chips of a segment, row after row, within `area`; those that do not fit are counted in a last one.

    Returns:
        The y in pixels below the last row.
    """
    left, top, right, bottom = area
    height, gap = round(40 * unit), max(2, round(10 * unit))
    chips = [_chip(entity, plan, right - left, height, unit) for entity in cast_of(plan)]
    rows, fits = _flow(chips, right - left, gap, (bottom - top + gap) // (height + gap))
    if not fits and rows:
        rest = len(chips) - sum(len(row) for row in rows) + 1
        more = _more(rest, height, unit)
        # The last chip is replaced with "+ n".
        while rows[-1] and sum(chip.width + gap for chip in rows[-1][:-1]) + more.width > right - left:
            rows[-1].pop()
            rest += 1
        if rows[-1]:
            rows[-1].pop()
        rows[-1].append(_more(rest, height, unit))
    y = top
    for row in rows:
        x = left
        for chip in row:
            image.paste(chip, (x, y), chip)
            x += chip.width + gap
        y += height + gap
    return y - gap if rows else top


def _flow(chips: list[Image.Image], width: int, gap: int, most: int) -> tuple[list[list[Image.Image]], bool]:
    rows: list[list[Image.Image]] = []
    used = width + 1
    for chip in chips:
        if used + chip.width > width:
            if len(rows) >= most:
                return rows, False
            rows.append([])
            used = 0
        rows[-1].append(chip)
        used += chip.width + gap
    return rows, True


def _chip(entity: Entity, plan: SegmentPlan, widest: int, height: int, unit: float) -> Image.Image:
    style = type_style("chip", unit)
    inset = max(1, round(4 * unit))
    disc = height - 2 * inset
    lead, tail = inset + disc + round(10 * unit), round(16 * unit)
    label = fit_line(entity.label or entity.name, style.width, widest - lead - tail)
    width = min(widest, math.ceil(lead + style.width(label) + tail)) if label else height
    canvas = Canvas((width, height))
    canvas.box(0, 0, width, height, RAISED, radius=height / 2)
    chip = canvas.finish()
    chip.alpha_composite(draw_avatar(entity, plan, disc), (inset, inset))
    draw_line(chip, lead, (height - style.leading) / 2, label, style)
    return chip


def _more(count: int, height: int, unit: float) -> Image.Image:
    style = type_style("chip", unit, SECONDARY)
    text = f"+ {count}"
    width = math.ceil(style.width(text) + 32 * unit)
    canvas = Canvas((width, height))
    canvas.box(0, 0, width, height, SURFACE, radius=height / 2)
    chip = canvas.finish()
    draw_line(chip, width / 2, (height - style.leading) / 2, text, style, "m")
    return chip
