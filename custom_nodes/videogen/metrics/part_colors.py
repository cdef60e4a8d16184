"""The colors of a figure's parts: what is worn on the head, above and below."""

from __future__ import annotations

import cv2
import numpy as np

from ..core.continuity.drift import PartColor
from .images import PreparedImage
from .masks.subject_weight import SubjectWeight

#: Part → from where to where it reaches, from the top of the figure to its bottom, for a whole standing figure …
_WHOLE_FIGURE = {"head": (0.0, 0.16), "upper": (0.21, 0.49), "lower": (0.55, 0.93)}
#: … and for one that the lower edge of the image cuts off.
_CUT_FIGURE = {"head": (0.0, 0.38), "upper": (0.48, 1.0)}
_HUE_BINS = 36
#: A part that is less than this share of the figure's weight is not there.
_MIN_SHARE = 0.01


def measure_parts(image: PreparedImage, weight: SubjectWeight) -> dict[str, PartColor]:
    """Part of the figure → its prevailing color; ``whole`` is always there.

    A figure is taken to stand upright. Where it is cut off below, it is a head and an upper part.
    """
    height = image.lab.shape[0]
    _, top, _, bottom = weight.box
    cut = bottom >= round(0.97 * height)
    parts = {"whole": _prevailing(image.lab, weight.values)}
    total = float(weight.values.sum())
    for name, (start, stop) in (_CUT_FIGURE if cut else _WHOLE_FIGURE).items():
        rows = slice(round(top + start * (bottom - top)), max(1, round(top + stop * (bottom - top))))
        # Only what surely belongs to the figure: at its edges the background shines through.
        sure = np.where(weight.values[rows] >= 0.35 * weight.values.max(), weight.values[rows], 0)
        if float(sure.sum()) >= _MIN_SHARE * total:
            parts[name] = _prevailing(image.lab[rows], sure)
    return parts


def _prevailing(lab: np.ndarray, weight: np.ndarray) -> PartColor:
    """The color that takes most of an area: the peak of the hues, each counting as much as it is colorful."""
    lightness, a, b = cv2.split(np.ascontiguousarray(lab))
    chroma, hue = cv2.cartToPolar(a, b, angleInDegrees=True)
    strength = weight * chroma
    counts = np.bincount((hue.ravel() * (_HUE_BINS / 360)).astype(int) % _HUE_BINS, strength.ravel(), _HUE_BINS)
    smooth = counts + np.roll(counts, 1) + np.roll(counts, -1)
    peak = (float(np.argmax(smooth)) + 0.5) * 360 / _HUE_BINS
    near = np.abs((hue - peak + 180) % 360 - 180) <= 30
    mass = strength * near
    mean_a, mean_b = (float((mass * channel).sum()) for channel in (a, b))
    inside = weight * near
    area = float(inside.sum())
    total = max(1e-9, float(weight.sum()))
    # A few stray pixels of some hue in a gray part are not its color.
    if area < 0.2 * total:
        inside, area = weight, total
    return PartColor(
        float((inside * lightness).sum() / max(1e-9, area)),
        float((inside * chroma).sum() / max(1e-9, area)),
        float(np.degrees(np.arctan2(mean_b, mean_a)) % 360),
    )
