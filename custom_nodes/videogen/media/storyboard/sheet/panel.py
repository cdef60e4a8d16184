"""Text on a frame: header, caption, cast, prompt."""

from __future__ import annotations

from fractions import Fraction

from PIL import Image

from ....core.segment.plan import SegmentPlan
from ....core.segment.shots import CAMERA_MOVES, SHOT_SIZES
from ....core.timing import format_timecode
from ..drawing.theme import FAINT, SECONDARY, type_style
from ..drawing.typeset import TextStyle, draw_digits, draw_line, draw_paragraph, fit_line, wrap
from .chips import draw_chips
from .icons import draw_move_icon, draw_size_icon
from .layout import Layout, Rect


def draw_words(image: Image.Image, layout: Layout, plan: SegmentPlan) -> None:
    """Draw all text that is static during a segment, and the chips."""
    if layout.mode == "minimal":
        return
    _draw_header(image, layout, plan)
    _draw_caption(image, layout, plan)
    if layout.columns:
        _draw_columns(image, layout, plan)


def clock_area(layout: Layout, plan: SegmentPlan) -> Rect:
    """The area of the running timecode, which is drawn again for every frame."""
    style, rest = type_style("clock", layout.unit), _length_style(layout)
    right = layout.header[2] - round(rest.width(_length_text(plan)))
    widest = format_timecode(plan.start + plan.duration, tenths=True)
    left = right - round(sum(style.width("0") if each.isdigit() else style.width(each) for each in widest)) - 4
    return left, layout.header[1], right, layout.header[3]


def draw_clock(image: Image.Image, layout: Layout, plan: SegmentPlan, moment: Fraction) -> None:
    """Draw the timecode of a moment, in seconds from the film's start."""
    if layout.mode == "minimal":
        return
    area, style = clock_area(layout, plan), type_style("clock", layout.unit)
    draw_digits(
        image,
        area[2],
        area[1] + (area[3] - area[1] - style.leading) / 2,
        format_timecode(moment, tenths=True),
        style,
        "r",
    )


def _length_text(plan: SegmentPlan) -> str:
    return f"  / {format_timecode(plan.film_duration)}"


def _length_style(layout: Layout) -> TextStyle:
    return type_style("title", layout.unit, FAINT)


def _draw_header(image: Image.Image, layout: Layout, plan: SegmentPlan) -> None:
    left, top, right, bottom = layout.header
    unit = layout.unit
    number, title = type_style("number", unit), type_style("title", unit)
    # Everything in the header is on one baseline: that of the large figures.
    shift = (number.size - title.size) * 0.364
    y, small_y = top + (bottom - top - number.leading) / 2, top + (bottom - top - title.leading) / 2 + shift
    digits = max(2, len(str(plan.count)))
    x = left + draw_digits(image, left, y, f"{plan.number:0{digits}d}", number)
    x += draw_digits(image, x, small_y, f"  / {plan.count}", type_style("title", unit, FAINT))
    end = clock_area(layout, plan)[0] - 24 * unit
    length = _length_style(layout)
    draw_digits(
        image, right, small_y - (number.size - type_style("clock", unit).size) * 0.364, _length_text(plan), length, "r"
    )
    x += 32 * unit
    text = fit_line(plan.title, title.width, end - x)
    if len(text) > 1:
        draw_line(image, x, small_y, text, title)


def _draw_caption(image: Image.Image, layout: Layout, plan: SegmentPlan) -> None:
    left, top, right, bottom = layout.caption
    unit = layout.unit
    text = plan.description or plan.id
    if layout.mode == "compact":
        style = type_style("headline-small", unit)
        badges = _draw_badges(
            image, right, top + (bottom - top) / 2, plan, unit, anchor="r", most=(right - left) * 0.4, words=False
        )
        line = fit_line(text, style.width, right - left - badges - 20 * unit)
        draw_line(image, left, top + (bottom - top - style.leading) / 2, line, style)
        return
    leading, two_lines = type_style("headline", unit).leading, 2 * type_style("headline-small", unit).leading
    if layout.stacked:
        style = _caption_style(text, right - left, unit)
        end = draw_paragraph(image, (left, top, right, top + two_lines), text, [style])
        _draw_badges(image, left, end + 28 * unit, plan, unit, anchor="l", most=right - left)
        return
    middle = top + leading / 2 + 2 * unit
    badges = _draw_badges(image, right, middle, plan, unit, anchor="r", most=(right - left) * 0.5)
    room = right - left - badges - 36 * unit
    draw_paragraph(image, (left, top, left + room, top + two_lines), text, [_caption_style(text, room, unit)])


def _caption_style(text: str, width: float, unit: float) -> TextStyle:
    """Large where the text fits into one line, or else small, which has room for two."""
    large = type_style("headline", unit)
    return large if wrap(text, large.width, width, 1)[1] else type_style("headline-small", unit)


def _draw_badges(
    image: Image.Image,
    x: float,
    middle: float,
    plan: SegmentPlan,
    unit: float,
    *,
    anchor: str,
    most: float,
    words: bool = True,
) -> float:
    """Draw shot size and camera move with their icons. Returns the width in pixels."""
    style = type_style("secondary", unit, SECONDARY)
    pixels, gap = max(10, round(24 * unit)), 10 * unit
    parts = [
        (draw_size_icon(plan.shot, pixels, SECONDARY), SHOT_SIZES[plan.shot.size][0]),
        (draw_move_icon(plan.shot, pixels, SECONDARY), CAMERA_MOVES[plan.shot.move]),
    ]

    def width(with_words: bool) -> float:
        return sum(icon.width + (gap + style.width(label) if with_words else 0) for icon, label in parts) + 30 * unit

    words = words and width(True) <= most
    total = width(words)
    if anchor == "r":
        x -= total
    for icon, label in parts:
        image.paste(icon, (round(x), round(middle - pixels / 2)), icon)
        x += icon.width
        if words:
            x += gap + draw_line(image, x + gap, middle - style.leading / 2, label, style)
        x += 30 * unit
    return total


def _draw_columns(image: Image.Image, layout: Layout, plan: SegmentPlan) -> None:
    unit = layout.unit
    first, last = layout.columns[0], layout.columns[-1]
    left, top, right, bottom = first
    cast = bool(plan.characters or plan.objects or plan.location)
    y: float = top
    if cast:
        heading = _draw_heading(image, left, top, "In this shot", unit)
        share = 1.0 if len(layout.columns) > 1 else 0.44
        y = draw_chips(image, (left, round(heading), right, round(top + (bottom - top) * share)), plan, unit)
    if len(layout.columns) > 1:
        left, top, right, bottom = last
        y = top
    elif cast:
        y += 30 * unit
    meta = type_style("small", unit)
    facts = _facts(plan)
    if bottom - meta.leading > y + 3 * meta.leading:
        draw_line(image, left, bottom - meta.leading, fit_line(facts, meta.width, right - left), meta)
        bottom -= round(meta.leading + 14 * unit)
    _draw_prompt(image, (left, y, right, bottom), plan, unit)


def _draw_prompt(image: Image.Image, area: tuple[float, float, float, float], plan: SegmentPlan, unit: float) -> None:
    left, y, right, bottom = area
    styles = [type_style(name, unit) for name in ("body-large", "body", "body-small", "body-tiny")]
    note = [type_style("secondary", unit), type_style("secondary-small", unit)]
    caption = type_style("caption", unit).leading + 10 * unit
    if bottom - y < caption + styles[-1].leading:
        return
    # The continuity note has the space that the prompt leaves, and at least three lines when there is room for both.
    reserve = 0.0
    if plan.continuity.strip() and bottom - y > 2 * caption + 8 * styles[-1].leading:
        lines = len(wrap(plan.continuity, note[-1].width, right - left, 3)[0])
        reserve = caption + 26 * unit + lines * note[-1].leading
    if plan.text.strip():
        y = _draw_heading(image, left, y, "Prompt", unit)
        y = draw_paragraph(image, (left, y, right, bottom - reserve), plan.text, styles) + 26 * unit
    if reserve:
        y = _draw_heading(image, left, y, "Continuity", unit)
        draw_paragraph(image, (left, y, right, bottom), plan.continuity, note)


def _draw_heading(image: Image.Image, left: float, y: float, text: str, unit: float) -> float:
    style = type_style("caption", unit)
    draw_line(image, left, y, text.upper(), style)
    return y + style.leading + 10 * unit


def _facts(plan: SegmentPlan) -> str:
    fps = f"{float(plan.fps):.3f}".rstrip("0").rstrip(".")
    seconds = f"{float(plan.duration):.2f}".rstrip("0").rstrip(".")
    frames = "1 frame" if plan.frames == 1 else f"{plan.frames} frames"
    return f"{seconds} s · {frames} at {fps} fps · Seed {plan.seed}"
