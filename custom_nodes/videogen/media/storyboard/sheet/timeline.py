"""The bar at the bottom of a frame: the whole film, the segment in it, and the playhead."""

from __future__ import annotations

from fractions import Fraction

from PIL import Image

from ....core.segment.plan import SegmentPlan
from ....core.timing import format_timecode
from ..drawing.canvas import Canvas
from ..drawing.colors import RGB, mix
from ..drawing.theme import ACCENT, BACKGROUND, LINE, WARNING, WHITE, type_style
from ..drawing.typeset import draw_digits
from .layout import Layout

_PAST: RGB = mix(ACCENT, BACKGROUND, 0.62)


def segment_spans(plan: SegmentPlan) -> list[tuple[Fraction, Fraction]]:
    """Start and end in seconds of every segment; the plan's own is exact, the others divide the rest evenly."""
    before, after = plan.number - 1, plan.count - plan.number
    end = plan.start + plan.duration
    rest = max(Fraction(0), plan.film_duration - end)
    spans = [(plan.start * index / before, plan.start * (index + 1) / before) for index in range(before)]
    spans.append((plan.start, end))
    return spans + [(end + rest * index / after, end + rest * (index + 1) / after) for index in range(after)]


def draw_timeline(image: Image.Image, layout: Layout, plan: SegmentPlan, *, missing: bool = False) -> None:
    """Draw the static part of the timeline."""
    left, top, right, bottom = _bar(layout)
    corner = (max(0, int(left) - 8), max(0, int(top - (bottom - top)) - 2))
    reach = (int(right) + 8, int(bottom + (bottom - top)) + 3)
    canvas = Canvas((reach[0] - corner[0], reach[1] - corner[1]), 1.0, (-corner[0], -corner[1]))
    gap = max(1.0, min(5 * layout.unit, (right - left) / max(1, plan.count) * 0.22))
    # Ticks narrower than this would be a gray haze: one plain bar instead.
    ticked = (right - left) / max(1, plan.count) >= 5 and layout.mode != "minimal"
    radius = (bottom - top) / 2 if layout.mode != "minimal" else 0
    current = _span(plan, left, right)
    if ticked:
        for number, (start, end) in enumerate(segment_spans(plan), 1):
            if number == plan.number:
                continue
            x0, x1 = _x(start, plan, left, right), _x(end, plan, left, right)
            canvas.box(
                x0, top, max(x0 + 1, x1 - gap), bottom, _PAST if number < plan.number else LINE, radius=radius * 0.6
            )
    else:
        canvas.box(left, top, right, bottom, LINE, radius=radius)
        canvas.box(left, top, max(left, current[0]), bottom, _PAST, radius=radius)
    grow = (bottom - top) * 0.3 if layout.mode != "minimal" else 0
    trim = gap if ticked else 0
    color = mix(WARNING if missing else ACCENT, BACKGROUND, 0.0 if missing else 0.55)
    canvas.box(
        current[0], top - grow, max(current[0] + 2, current[1] - trim), bottom + grow, color, radius=radius * 0.7
    )
    layer = canvas.finish()
    image.paste(layer, corner, layer)
    if layout.mode == "full":
        style = type_style("small", layout.unit)
        y = bottom + 8 * layout.unit
        draw_digits(image, left, y, "00:00", style)
        draw_digits(image, right, y, format_timecode(plan.film_duration), style, "r")
        # The segment's own times, where they do not overlap those of the film.
        text = f"{format_timecode(plan.start)} – {format_timecode(plan.start + plan.duration)}"
        half = style.width(text) / 2
        middle = (current[0] + current[1]) / 2
        room = style.width("00:00:00") + 24 * layout.unit
        if left + room < middle - half and middle + half < right - room:
            draw_digits(
                image, middle, y, text, type_style("small", layout.unit, ACCENT if not missing else WARNING), "m"
            )


def draw_playhead(image: Image.Image, layout: Layout, plan: SegmentPlan, moment: Fraction) -> None:
    """Draw the moving part of the timeline; `moment` is in seconds from the film's start."""
    left, top, right, bottom = _bar(layout)
    start = _span(plan, left, right)[0]
    x = _x(moment, plan, left, right)
    grow = (bottom - top) * 0.3 if layout.mode != "minimal" else 0.0
    knob = (bottom - top) * 0.95
    x0, y0 = max(0, int(start - knob) - 2), max(0, int(top - knob) - 2)
    size = (max(1, min(image.width, int(x + knob) + 4) - x0), max(1, min(image.height, int(bottom + knob) + 4) - y0))
    canvas = Canvas(size, 1.0, (-x0, -y0))
    if x > start:
        canvas.box(
            start, top - grow, x, bottom + grow, ACCENT, radius=(bottom - top) * 0.35 if layout.mode != "minimal" else 0
        )
    if layout.mode != "minimal":
        middle = (top + bottom) / 2
        canvas.ellipse(x, middle, knob, knob, BACKGROUND)
        canvas.ellipse(x, middle, knob * 0.72, knob * 0.72, WHITE)
    layer = canvas.finish()
    image.paste(layer, (x0, y0), layer)


def _bar(layout: Layout) -> tuple[float, float, float, float]:
    left, top, right, bottom = layout.timeline
    if layout.mode == "minimal":
        return left, top, right, bottom
    thick = max(3.0, 10 * layout.unit)
    middle = top + (bottom - top) * (0.28 if layout.mode == "full" else 0.5)
    return left, middle - thick / 2, right, middle + thick / 2


def _x(moment: Fraction, plan: SegmentPlan, left: float, right: float) -> float:
    share = float(moment / plan.film_duration) if plan.film_duration > 0 else 0.0
    return left + (right - left) * min(1.0, max(0.0, share))


def _span(plan: SegmentPlan, left: float, right: float) -> tuple[float, float]:
    return _x(plan.start, plan, left, right), _x(plan.start + plan.duration, plan, left, right)
