"""Continuity at a cut: the last frame of one segment against the first of the next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.continuity.scores import BoundaryScore
from ..core.errors import VideoGenError
from .appearance import Appearance, compare_appearances
from .light import color_step

#: Motion in shares of the frame's width a frame, below which there is no direction.
_MIN_MOTION = 0.001


@dataclass(frozen=True)
class BoundaryFrame:
    """Measurements of a segment's first or last frame, so that a cut can be scored without the frames.

    Attributes:
        color: mean Lab of the location.
        motion: mean motion (x, y), in shares of the frame's width a frame, positive to the right and downwards.
        subjects: name → appearance, of the visible ones.
    """

    color: tuple[float, float, float] | None = None
    motion: tuple[float, float] | None = None
    subjects: Mapping[str, Appearance] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "color": None if self.color is None else [round(value, 3) for value in self.color],
            "motion": None if self.motion is None else [round(value, 6) for value in self.motion],
            "subjects": {name: appearance.to_dict() for name, appearance in self.subjects.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BoundaryFrame:
        """Read the result of `to_dict`."""
        color, motion = data.get("color"), data.get("motion")
        return cls(
            None if color is None else (float(color[0]), float(color[1]), float(color[2])),
            None if motion is None else (float(motion[0]), float(motion[1])),
            {name: Appearance.from_dict(value) for name, value in data.get("subjects", {}).items()},
        )


def compare_ends(last: BoundaryFrame, first: BoundaryFrame, exempt: str = "") -> BoundaryScore:
    """Score a cut.

    Args:
        last, first: the last frame before it and the first one after it.
        exempt: why a step of light does not count here (``another location``, ``a dissolve``), or "".

    Returns:
        The boundary; a subject that two different models measured has no score, and a note says so.
    """
    notes = []
    step = None if last.color is None or first.color is None else color_step(last.color, first.color)
    if step is None:
        notes.append("one side of the cut shows nothing of its location: the light cannot be compared")
    subjects: dict[str, float] = {}
    for name in (each for each in last.subjects if each in first.subjects):
        try:
            subjects[name] = compare_appearances(last.subjects[name], first.subjects[name]).score
        except VideoGenError as error:  # the light of a cut is measured without a model
            notes.append(f"{name}: {error.message}")
    turn = None
    moving = [
        motion for motion in (last.motion, first.motion) if motion is not None and math.hypot(*motion) >= _MIN_MOTION
    ]
    if len(moving) == 2:
        before, after = (math.atan2(down, right) for right, down in moving)
        turn = abs((math.degrees(before - after) + 180) % 360 - 180)
        if turn > 120:
            notes.append(f"the motion turns round by {turn:.0f}° at the cut")
    return BoundaryScore(step, exempt, subjects, turn, tuple(notes))
