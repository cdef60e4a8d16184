"""How many frames a model renders for a segment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from ..timing import count_rendered_frames
from .model import FrameRule, Profile


@dataclass(frozen=True)
class FramePlan:
    """The frames that one pass of a model renders for a segment.

    Attributes:
        frames: number of frames to render, of the model's rule.
        needed: number of frames that cover the segment.
        fps: frames a second, of both.
        note: in a sentence, what is unusual about it, or "".
    """

    frames: int
    needed: int
    fps: Fraction
    note: str = ""

    @property
    def cut(self) -> int:
        """Frames at the end that are more than the segment has."""
        return max(0, self.frames - self.needed)

    @property
    def held(self) -> int:
        """Frames that the model cannot make: the last one is held instead."""
        return max(0, self.needed - self.frames)


def snap_frames(profile: Profile, seconds: Fraction, fps: Fraction) -> int:
    """The number of frames that a model renders for a segment: of its rule, and never shorter than the segment where it can.

    Args:
        seconds: of the segment, above 0.
        fps: frames a second that the clip is made with, above 0.
    """
    return snap_count(profile.frames or FrameRule(), count_rendered_frames(seconds, fps))


def snap_count(rule: FrameRule, needed: int) -> int:
    """The smallest number of a rule that is not less than `needed`; the rule's largest where all are."""
    needed = max(needed, rule.least)
    snapped = needed + (rule.offset - needed) % rule.step
    return snapped if rule.most is None or snapped <= rule.most else rule.most


def plan_frames(profile: Profile, seconds: Fraction, fps: Fraction) -> FramePlan:
    """`snap_frames` with what has to be cut or held, and a note on lengths that the model was not trained for."""
    needed = count_rendered_frames(seconds, fps)
    rule = profile.frames or FrameRule()
    frames = snap_count(rule, needed)
    note = ""
    if frames < needed:
        most = float(Fraction(frames) / fps)
        note = (
            f"{profile.title} makes at most {frames} frames in one pass ({most:.2f} s at {float(fps):g} fps) of the"
            f" {needed} that the segment needs: its last frame is held for {float((needed - frames) / fps):.2f} s"
        )
    elif rule.trained and not rule.trained[0] <= frames <= rule.trained[1]:
        low, high = rule.trained
        side = "shorter" if frames < low else "longer"
        note = f"{frames} frames are {side} than {profile.title} was trained for ({low} to {high} frames)"
    return FramePlan(frames, needed, fps, note)


def longest_seconds(profile: Profile, fps: Fraction) -> Fraction | None:
    """Seconds of the longest clip that a model makes in one pass; None where no limit is known."""
    most = profile.frames.most if profile.frames else None
    return None if most is None else Fraction(most) / fps


@dataclass(frozen=True)
class DurationRule:
    """The seconds that a partner's node offers: some choices, or a range.

    Attributes:
        choices: seconds and the value of the widget that means them, ascending; empty for a range.
    """

    choices: tuple[tuple[Fraction, object], ...] = ()
    low: Fraction = Fraction(0)
    high: Fraction | None = None
    step: Fraction = Fraction(1)
    whole: bool = True

    def snap(self, seconds: Fraction) -> tuple[object, Fraction]:
        """The widget's value for a segment, and the seconds that it means: not shorter than the segment where it can."""
        if self.choices:
            fitting = [choice for choice in self.choices if choice[0] >= seconds]
            length, value = fitting[0] if fitting else self.choices[-1]
            return value, length
        steps = math.ceil(max(Fraction(0), seconds - self.low) / self.step)
        length = self.low + steps * self.step
        if self.high is not None and length > self.high:
            length = self.high
        return (int(length) if self.whole else float(length)), length
