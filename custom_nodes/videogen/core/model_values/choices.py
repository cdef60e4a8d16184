"""Choosing one of a node's options for a film: its aspect ratio, or its resolution."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

#: ``16:9``, ``1280:720 (landscape)``; ``1280x720``, ``1024 × 1792``.
_RATIO = re.compile(r"(\d{1,5}(?:\.\d{1,4})?) ?: ?(\d{1,5}(?:\.\d{1,4})?)")
_SIZE = re.compile(r"(\d{2,5}) ?[x×*] ?(\d{2,5})", re.IGNORECASE)
_WORDS = {"landscape": Fraction(16, 9), "portrait": Fraction(9, 16), "square": Fraction(1)}
#: Options that differ less in shape than this have the same one.
_SAME_SHAPE = 0.02


def choose_aspect_ratio(options: Sequence[Any], aspect: Fraction) -> Any:
    """The option whose shape is nearest to a film's; None where none of them says a shape.

    Args:
        aspect: width by height, above 0.
    """
    shapes = [(shape, option) for option in options if (shape := _read_shape(str(option))) is not None]
    return min(shapes, key=lambda one: _distance(one[0], aspect))[1] if shapes else None


def choose_size(options: Sequence[Any], aspect: Fraction, now: Any) -> Any:
    """Of options such as ``1280x720`` the one nearest in shape, and of these the one nearest in pixels to the present one.

    Args:
        now: the present option.

    Returns:
        The option; None where options say no width and height, as ``720p`` does: they are a matter of price and time.
    """
    sizes = {option: size for option in options if isinstance(option, str) and (size := _read_size(option)) is not None}
    if not sizes:
        return None
    nearest = min(_distance(Fraction(*size), aspect) for size in sizes.values())
    fitting = [one for one, size in sizes.items() if _distance(Fraction(*size), aspect) < nearest + _SAME_SHAPE]
    width, height = sizes.get(now, next(iter(sizes.values())))
    return min(fitting, key=lambda one: abs(math.log(sizes[one][0] * sizes[one][1] / (width * height))))


def _distance(shape: Fraction, aspect: Fraction) -> float:
    return abs(math.log(shape / aspect))


def _read_shape(text: str) -> Fraction | None:
    match = _RATIO.search(text)
    if match and Fraction(match[1]) > 0 and Fraction(match[2]) > 0:
        return Fraction(match[1]) / Fraction(match[2])
    size = _read_size(text)
    if size is not None:
        return Fraction(*size)
    return next((shape for word, shape in _WORDS.items() if word in text.lower()), None)


def _read_size(text: str) -> tuple[int, int] | None:
    match = _SIZE.search(text)
    return (int(match[1]), int(match[2])) if match and int(match[1]) and int(match[2]) else None
