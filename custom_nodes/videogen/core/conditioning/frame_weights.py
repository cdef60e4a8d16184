"""The weight of an image frame by frame: a list of numbers, or a curve through a few of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from ..errors import VideoGenError
from .layer_weights import WEIGHT_RANGE

#: Timing → way from one weight (0) to the next (1). The formulas are those of ComfyUI_IPAdapter_plus's IPAdapterWeights, under
#: the names that its users know: "ease in" is its ease_in, which is fast at the beginning.
_WAYS: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "ease in": lambda t: math.sin(t * math.pi / 2),
    "ease out": lambda t: 1 - math.cos(t * math.pi / 2),
    "ease in-out": lambda t: (1 - math.cos(t * math.pi)) / 2,
}
CUSTOM = "one per frame"
#: More frames than any shot has.
MAX_FRAMES = 100_000
TIMINGS = (*_WAYS, CUSTOM)


def parse_weights(text: str, name: str = "weights") -> list[float]:
    """Numbers with commas or lines in between.

    Raises:
        VideoGenError: `widget-invalid` for anything else, no numbers, too many, or one outside `WEIGHT_RANGE`.
    """
    found = []
    for part in (part.strip() for part in re.split(r"[,;\n]", text)):
        if not part:
            continue
        try:
            found.append(float(part))
        except ValueError:
            raise VideoGenError(
                "widget-invalid",
                f"`{name}` has {part!r}, expected numbers with commas in between",
                "Write for example 1.0, 0.2.",
            ) from None
    return check_weights(found, name)


def check_weights(weights: Sequence[float], name: str = "weights") -> list[float]:
    """The weights, if there are any, and all of them are valid.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    low, high = WEIGHT_RANGE
    if not 1 <= len(weights) <= MAX_FRAMES:
        raise VideoGenError("widget-invalid", f"`{name}` has {len(weights)} weights, expected 1 to {MAX_FRAMES}")
    for number, weight in enumerate(weights, 1):
        if not low <= weight <= high:  # also NaN
            raise VideoGenError(
                "widget-invalid", f"weight {number} of `{name}` is {weight:g}, expected {low:g} to {high:g}"
            )
    return list(weights)


def spread_weights(weights: Sequence[float], timing: str, frames: int) -> list[float]:
    """One weight per frame.

    Args:
        weights: with a curve, they are at equal distances from the first frame to the last; with `CUSTOM`, each is a frame's, and
            the last one that of all further frames.
        timing: one of `TIMINGS`; a curve goes from each weight to the next.
        frames: how many frames, at least 1.
    """
    if timing == CUSTOM:
        return [weights[min(frame, len(weights) - 1)] for frame in range(frames)]
    if len(weights) == 1 or frames == 1:
        return [weights[0]] * frames
    way = _WAYS[timing]
    result = []
    for frame in range(frames):
        place = frame * (len(weights) - 1) / (frames - 1)
        before = min(int(place), len(weights) - 2)
        start, end = weights[before], weights[before + 1]
        result.append(start + (end - start) * way(place - before))
    return result
