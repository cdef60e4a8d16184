"""Measures, wraps, truncates and draws lines of text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw

from .colors import RGB
from .fonts import REGULAR, SEMIBOLD, clean, load_font, split_runs

ELLIPSIS = "…"
# Text is set this much larger and scaled down: at its own size every advance would be rounded to a whole pixel, and
# small type would look unevenly spaced.
_FINE = 3


@dataclass(frozen=True)
class TextStyle:
    """How text looks: `size` and `leading` (line to line) in pixels; `spacing` between letters in pixels."""

    size: int
    leading: int
    color: RGB
    bold: bool = False
    spacing: float = 0.0

    @property
    def font(self) -> str:
        return SEMIBOLD if self.bold else REGULAR

    def width(self, text: str) -> float:
        """Width in pixels of one line."""
        return _run_width(text, self.font, self.size) + self.spacing * len(text)


@lru_cache(maxsize=8192)
def _run_width(text: str, font: str, size: int) -> float:
    return sum(load_font(name, size * _FINE).getlength(part) for name, part in split_runs(text, font)) / _FINE


def wrap(text: str, measure: Callable[[str], float], width: float, max_lines: int) -> tuple[list[str], bool]:
    """Break `text` into lines no wider than `width`.

    Args:
        measure: the width of a line of text, in the unit of `width`.
        max_lines: text beyond these is cut, at a word boundary where there is one, with an ellipsis.

    Returns:
        The lines, and whether they contain all of the text. No line is wider than `width`; where not even a single
        character fits there are no lines.
    """
    words = clean(text).split(" ") if max_lines > 0 and width > 0 else []
    words = [word for word in words if word]
    lines: list[str] = []
    line = ""
    while words:
        word = words[0]
        candidate = f"{line} {word}" if line else word
        if measure(candidate) <= width:
            line = candidate
            words.pop(0)
            continue
        if not line:
            # A word wider than the line: as much of it as fits; the rest becomes the next word.
            length = _fitting(word, measure, width)
            if length == 0:
                return [], False
            line, words[0] = word[:length], word[length:]
        if len(lines) == max_lines - 1:
            return [*lines, *_shorten(line, measure, width)], False
        lines.append(line)
        line = ""
    return ([*lines, line] if line else lines), not clean(text) or bool(lines or line)


def fit_line(text: str, measure: Callable[[str], float], width: float) -> str:
    """The text as one line, cut with an ellipsis where it is wider than `width`; empty where nothing fits."""
    lines, _ = wrap(text, measure, width, 1)
    return lines[0] if lines else ""


def _fitting(word: str, measure: Callable[[str], float], width: float) -> int:
    low, high = 0, min(len(word), 512)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(word[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def _shorten(line: str, measure: Callable[[str], float], width: float) -> list[str]:
    while line:
        candidate = line.rstrip(" ,;:.-–—(") + ELLIPSIS
        if measure(candidate) <= width:
            return [candidate]
        head, space, _ = line.rpartition(" ")
        line = head if space else line[:-1]
    return [ELLIPSIS] if measure(ELLIPSIS) <= width else []


def draw_line(image: Image.Image, x: float, y: float, text: str, style: TextStyle, anchor: str = "l") -> float:
    """Draw one line on an RGB or RGBA image; its leading box begins at `y`. Returns its width in pixels.

    Args:
        anchor: ``l``, ``m`` or ``r``: whether `x` is the left end, the middle or the right end of the text.
    """
    width = style.width(text)
    x -= {"l": 0.0, "m": width / 2, "r": width}[anchor]
    if width <= 0 or x > image.width:
        return width
    # Room around for overhanging glyphs; the piece is pasted at the whole pixel that contains `x`.
    pad = style.size
    left, above = int(x) - pad, pad
    height = style.leading + 2 * pad
    mask = Image.new("L", ((int(width) + 2 * pad + 2) * _FINE, height * _FINE), 0)
    draw = ImageDraw.Draw(mask)
    # Inter's capitals are 0.728 of the size high: half of that puts them in the middle of the leading box.
    baseline = (above + style.leading / 2 + style.size * 0.364) * _FINE
    pen = (x - left) * _FINE
    for name, part in split_runs(text, style.font):
        font = load_font(name, style.size * _FINE)
        for piece in part if style.spacing else [part]:
            draw.text((pen, baseline), piece, font=font, fill=255, anchor="ls")
            pen += font.getlength(piece) + style.spacing * _FINE
    color = (*style.color, 255) if image.mode == "RGBA" else style.color
    image.paste(color, (left, round(y) - above), mask.reduce(_FINE))
    return width


def draw_digits(image: Image.Image, x: float, y: float, text: str, style: TextStyle, anchor: str = "l") -> float:
    """Like `draw_line`, with every digit as wide as a zero, so that a running clock does not jitter. Returns the width."""
    cell = style.width("0")
    widths = [cell if character.isdigit() else style.width(character) for character in text]
    x -= {"l": 0.0, "m": sum(widths) / 2, "r": sum(widths)}[anchor]
    for character, width in zip(text, widths, strict=True):
        draw_line(image, x + width / 2, y, character, style, "m")
        x += width
    return sum(widths)


def draw_paragraph(
    image: Image.Image, box: tuple[float, float, float, float], text: str, styles: list[TextStyle]
) -> float:
    """Wrapped text within (left, top, right, bottom), in the first of `styles` in which all of it fits, or else truncated.

    Returns:
        The y in pixels below the last line.
    """
    left, top, right, bottom = box
    for style in styles:
        lines, whole = wrap(text, style.width, right - left, int((bottom - top) // style.leading))
        if whole:
            break
    for index, line in enumerate(lines):
        draw_line(image, left, top + index * style.leading, line, style)
    return top + len(lines) * style.leading
