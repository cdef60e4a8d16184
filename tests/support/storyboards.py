"""A segment of an invented story, as a storyboard shows it."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np

from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.core.segment.shots import Shot
from custom_nodes.videogen.core.story.model import CAST_COLORS, Entity
from custom_nodes.videogen.media.storyboard import draw_frames
from custom_nodes.videogen.media.storyboard.sheet.layout import lay_out

HERO = Entity(
    "character", "hero", "Protagonist", "man of 45, short brown hair, blue shirt", seed=1, color=CAST_COLORS[0]
)
EXPERT = Entity("character", "expert", "Fachmann", "man with a grey beard and a hat", seed=2, color=CAST_COLORS[1])
SAPLING = Entity("object", "sapling", "Sapling", "young apple tree, 1.2 to 1.5 m", seed=3, color=CAST_COLORS[2])
GROWN = Entity("object", "grown_tree", "Grown tree", "apple tree, 3 to 4 m", seed=3, color=CAST_COLORS[3])
FIELD = Entity("location", "field", "Field", "open farmland", seed=5000, color=CAST_COLORS[4])
SMALL = (480, 270)


def make_plan(number: int = 7, **changes: Any) -> SegmentPlan:
    """Segment `number` of 33, 8 s each, two frames."""
    plan = SegmentPlan(
        title="Der Apfelbaum",
        slug="apple_tree",
        number=number,
        count=33,
        id=f"segment_{number:02d}",
        start=Fraction(8 * (number - 1)),
        duration=Fraction(8),
        film_duration=Fraction(264),
        frames=2,
        fps=Fraction(1, 4),
        size=SMALL,
        quality="high",
        seed=1000 + number,
        text="A man kneels beside the sapling.",
        prompt="",
        negative="",
        context="",
        description="Er drückt die Erde fest",
        technical="",
        continuity="Gleiches Licht wie zuvor",
        shot=Shot("medium", "static", 0.0),
        characters=(HERO,),
        objects=(SAPLING,),
        location=FIELD,
        lighting="bright daylight",
        kelvin=(5500, 6000),
    )
    return dataclasses.replace(plan, **changes)


def first_frame(plan: SegmentPlan) -> np.ndarray:
    return next(draw_frames(plan))


def image_of(frame: np.ndarray, plan: SegmentPlan) -> np.ndarray:
    left, top, right, bottom = lay_out(plan.size).image
    return frame[top:bottom, left:right]
