"""The prompt for an empty location and its light."""

from __future__ import annotations

import re

from .plan import SegmentPlan
from .prompts import join_sentences

_KELVIN = re.compile(r"\d\s*K(?:elvin)?\b")


def describe_location(plan: SegmentPlan) -> str:
    """The prompt for an image of a segment's location: its description, the story's light, the light's color temperature.

    The temperature is left out where the lighting already states one. Empty when the story has none of these.
    """
    place = plan.location
    words = "" if place is None else place.description or place.label
    return join_sentences([words, plan.lighting, "" if _KELVIN.search(plan.lighting) else describe_kelvin(plan.kelvin)])


def describe_kelvin(kelvin: tuple[int, int] | None) -> str:
    """``(5500, 6000)``: ``"neutral colour temperature of 5500 to 6000 K"``."""
    if kelvin is None:
        return ""
    low, high = kelvin
    # Daylight is about 5500 K; what most people call neutral is around it.
    middle = (low + high) / 2
    tone = "warm" if middle < 4500 else "cool" if middle > 7000 else "neutral"
    return f"{tone} colour temperature of {low} K" if low == high else f"{tone} colour temperature of {low} to {high} K"
