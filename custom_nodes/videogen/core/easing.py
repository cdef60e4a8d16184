"""The easing curve of transitions and camera moves."""

from __future__ import annotations


def smoothstep(t: float) -> float:
    """3t² - 2t³ (Perlin 1985): from 0 at t = 0 to 1 at t = 1, level at both ends."""
    return t * t * (3 - 2 * t)
