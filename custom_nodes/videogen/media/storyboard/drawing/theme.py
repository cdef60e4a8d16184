"""The design: colors and text styles. Lengths are in units of the layout, about 1/1080 of a film's height."""

from __future__ import annotations

from .colors import RGB, luminance
from .typeset import TextStyle

BACKGROUND: RGB = (19, 21, 26)
SURFACE: RGB = (31, 34, 42)
RAISED: RGB = (42, 46, 56)
LINE: RGB = (52, 57, 68)
TEXT: RGB = (238, 240, 244)
SECONDARY: RGB = (160, 168, 182)
FAINT: RGB = (126, 134, 148)
ACCENT: RGB = (255, 196, 84)
WARNING: RGB = (240, 122, 98)
WHITE: RGB = (255, 255, 255)
INK: RGB = (24, 28, 34)

#: name -> (size, line height, color, bold)
_TYPE: dict[str, tuple[float, float, RGB, bool]] = {
    "number": (46, 56, TEXT, True),
    "clock": (38, 56, TEXT, True),
    "display": (52, 64, TEXT, True),
    "headline": (29, 38, TEXT, True),
    "headline-small": (24, 32, TEXT, True),
    "title": (23, 32, SECONDARY, False),
    "body-large": (25, 38, TEXT, False),
    "body": (22, 33, TEXT, False),
    "body-small": (19, 28, TEXT, False),
    "body-tiny": (17, 25, TEXT, False),
    "secondary": (19, 28, SECONDARY, False),
    "secondary-small": (17, 25, SECONDARY, False),
    "chip": (19, 28, TEXT, False),
    "caption": (14, 20, FAINT, True),
    "small": (17, 24, FAINT, False),
}
#: Smallest text size in pixels; smaller text cannot be read.
SMALLEST_TYPE = 9


def ink_on(color: RGB) -> RGB:
    """The color of a letter on a surface of this color: dark on light ones, white on dark ones."""
    return INK if luminance(color) > 0.35 else WHITE


def type_style(name: str, unit: float, color: RGB | None = None) -> TextStyle:
    """A text style at a size: `unit` is the length in pixels of one unit of the layout."""
    size, leading, default, bold = _TYPE[name]
    pixels = max(SMALLEST_TYPE, round(size * unit))
    spacing = 0.09 * pixels if name == "caption" else 0.0
    return TextStyle(pixels, max(pixels + 2, round(leading * unit)), color or default, bold, spacing)
