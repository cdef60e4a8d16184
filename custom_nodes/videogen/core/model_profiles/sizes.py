"""The size that a model renders, for a film of some shape."""

from __future__ import annotations

import math
from fractions import Fraction

from .model import Profile, SizeRule
from .schema import MAX_SIDE

#: Weight of a wrong shape against a wrong number of pixels: frames of another shape than the film's are cropped or get bars.
_SHAPE_COUNTS = 3.0


def fit_size(profile: Profile, aspect: Fraction, wanted: tuple[int, int] | None = None) -> tuple[int, int]:
    """Width and height for a model: multiples that it takes, of nearly that shape, and not larger than it can.

    Args:
        aspect: width by height of the film, above 0.
        wanted: a size whose number of pixels is wanted, such as the one that a workflow has, or a draft's. Without it the
            model's native one, or 1 megapixel.
    """
    rule = profile.size or SizeRule(multiple=8, least=16)
    size = wanted or rule.native
    area = size[0] * size[1] if size else 1_000_000
    if rule.area is not None:
        area = min(area, rule.area)
    if aspect < 1:
        # Exactly the turned size for a turned film, however two equally good candidates compare.
        height, width = _fit(rule, 1 / aspect, area)
        return width, height
    return _fit(rule, aspect, area)


def _fit(rule: SizeRule, aspect: Fraction, area: int) -> tuple[int, int]:
    multiple = rule.multiple
    shortest = math.ceil(rule.least / multiple) * multiple
    ideal = max(float(shortest), math.sqrt(area / aspect))
    best: tuple[float, int, int] | None = None
    for height in range(shortest, min(MAX_SIDE, int(ideal * 1.3) + multiple) + 1, multiple):
        for width in _multiples_near(float(height * aspect), multiple, shortest):
            if rule.area is not None and width * height > rule.area and (width, height) != (shortest, shortest):
                continue
            shape = abs(math.log(width / height / float(aspect)))
            cost = _SHAPE_COUNTS * shape + abs(math.log(width * height / area))
            if best is None or cost < best[0]:
                best = cost, width, height
    return (best[1], best[2]) if best else (shortest, shortest)


def _multiples_near(side: float, multiple: int, shortest: int) -> set[int]:
    below = int(side // multiple) * multiple
    return {min(MAX_SIDE, max(shortest, number)) for number in (below, below + multiple)}
