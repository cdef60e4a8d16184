"""What a segment writes into the inputs of a workflow that knows no story: numbers as its model and its nodes take them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ..model_profiles.frames import FramePlan, plan_frames
from ..model_profiles.graph_rules import read_duration_rule
from ..model_profiles.model import Profile
from ..model_profiles.sizes import fit_size
from ..roles.table import Place, Role
from ..segment.plan import SegmentPlan
from ..segment.plan_values import BINDABLE, whole_or_float
from ..timing import exact
from .choices import choose_aspect_ratio, choose_size

#: Of an input, its spec in ``/object_info``: type or choices, and options. None where it is not known.
ReadSpec = Callable[[Place], Any]
#: The value of a segment.
MakeValue = Callable[[SegmentPlan], Any]

_MOST_SEED = 2**64 - 1


@dataclass(frozen=True)
class ModelValues:
    """The numbers that a graph gets for a segment.

    Attributes:
        profile: of the model; one with `Profile.known` False for what its graph says.
        places: role → the inputs that have it.
        read_spec: of an input.
        story_size: width and height of the film in pixels.
        exactly: roles that the user has bound: unless the model is a known one of videos, they get the story's own value.
        shared: number of a segment → frames at its beginning that the segment that it continues shows already.
    """

    profile: Profile
    places: Mapping[Role, tuple[Place, ...]]
    read_spec: ReadSpec
    story_size: tuple[int, int]
    exactly: frozenset[Role] = frozenset()
    shared: Mapping[int, int] = field(default_factory=dict)

    def make_value(self, role: Role, place: Place) -> MakeValue | None:
        """The function that makes the value of an input; None where it stays as the workflow has it."""
        if role in (Role.PROMPT, Role.NEGATIVE):  # as the story composes them; `ModelPrompts` makes all others
            return BINDABLE[role.value]
        if role is Role.SEED:
            return self._seed(place)
        if role in self.exactly and role.value in BINDABLE and not self.is_known_video:
            return BINDABLE[role.value]  # see `_keeps_count`
        if role is Role.FRAMES:
            return lambda plan: self.plan_frames(plan).frames
        if role is Role.DURATION:
            return self._duration(place)
        if role is Role.FPS:
            return (lambda plan: whole_or_float(self.rate(plan))) if self.takes_rates or role in self.exactly else None
        if role is Role.WIDTH:
            return (lambda plan: self.size(plan)[0]) if self._has_both_sides else None
        if role is Role.HEIGHT:
            return (lambda plan: self.size(plan)[1]) if self._has_both_sides else None
        return self._choice(role, place)

    @property
    def counts_frames(self) -> bool:
        """Whether a segment decides how many frames are rendered, of a video."""
        return self.profile.video and bool(self.places.get(Role.FRAMES)) and not self._keeps_count

    @property
    def _keeps_count(self) -> bool:
        return Role.FRAMES in self.exactly and not self.is_known_video

    @property
    def knows_rate(self) -> bool:
        """Whether the frames a second of the clip are known: `rate` is a guess otherwise."""
        return self.profile.rate is not None or bool(self.places.get(Role.FPS))

    @property
    def is_known_video(self) -> bool:
        """Whether a profile knows the model, and it makes videos."""
        return self.profile.known and self.profile.video

    # ------------------------------------------------------------------ time

    @property
    def takes_rates(self) -> bool:
        """Whether the model is told the frames a second, and moves as fast as they say; others have one rate only."""
        rate = self.profile.rate
        return rate is not None and rate.least is not None and rate.most is not None

    def rate(self, plan: SegmentPlan) -> Fraction:
        """Frames a second of the clip: the film's where the model can, else the model's or the workflow's own.

        A clip of another rate than the film's is as fast as it should be: the film takes its frames by their times. So it may be
        a whole number where the film's is none, 23.976 or that of a segment with an odd length, and the input takes no other.
        """
        rule = self.profile.rate
        if rule is not None and rule.least is not None and rule.most is not None:
            rate = max(rule.least, min(rule.most, plan.fps))
            if any(self._is_whole(place) for place in self.places.get(Role.FPS, ())):
                return Fraction(max(math.ceil(rule.least), min(math.floor(rule.most), round(rate))))
            return rate
        written = self._number(Role.FPS)
        if written is not None and written > 0 and Role.FPS not in self.exactly:
            return written
        return rule.native if rule is not None else plan.fps

    def _is_whole(self, place: Place) -> bool:
        spec = self.read_spec(place)
        return isinstance(spec, (list, tuple)) and bool(spec) and spec[0] == "INT"

    def plan_frames(self, plan: SegmentPlan) -> FramePlan:
        """How many frames are rendered, and what is cut or held of them."""
        if not self.profile.video:
            return FramePlan(plan.frames, plan.frames, plan.fps)
        rate = self.rate(plan)
        return plan_frames(self.profile, plan.duration + self.shared.get(plan.number, 0) / rate, rate)

    def read_seconds(self, plan: SegmentPlan) -> Fraction | None:
        """The length of the clip that is made for a segment; None where nothing says how many frames it has."""
        if not self.places.get(Role.FRAMES):
            return None
        planned = self.plan_frames(plan)
        return planned.frames / planned.fps

    def describe_length(self, plan: SegmentPlan) -> str:
        """What is unusual about the length of a segment's clip, in a sentence; "" for nothing."""
        for place in self.places.get(Role.DURATION, ()):
            rule = read_duration_rule(self.read_spec(place))
            seconds = rule.snap(plan.duration)[1] if rule is not None else plan.duration
            if seconds < plan.duration:
                return (
                    f"{self.profile.title} makes at most {float(seconds):g} s of the {float(plan.duration):g} s that the"
                    " segment needs: its last frame is held for the rest"
                )
        return self.plan_frames(plan).note if self.places.get(Role.FRAMES) else ""

    def _duration(self, place: Place) -> MakeValue | None:
        rule = read_duration_rule(self.read_spec(place))
        return None if rule is None else lambda plan: rule.snap(plan.duration)[0]

    # ------------------------------------------------------------------ size

    def size(self, plan: SegmentPlan) -> tuple[int, int]:
        """Width and height: of the film's shape, with as many pixels as the workflow's own, or the model's.

        An attempt in a smaller size, after the memory did not suffice, gets as much smaller.
        """
        width, height = self._number(Role.WIDTH), self._number(Role.HEIGHT)
        step = Fraction(min(plan.size), min(self.story_size))
        wanted = None
        if width and height:
            wanted = (max(1, round(width * step)), max(1, round(height * step)))
        elif self.profile.size is not None and self.profile.size.native is not None:
            native = self.profile.size.native
            wanted = (max(1, round(native[0] * step)), max(1, round(native[1] * step)))
        return fit_size(self.profile, Fraction(*self.story_size), wanted)

    @property
    def _has_both_sides(self) -> bool:
        return bool(self.places.get(Role.WIDTH)) and bool(self.places.get(Role.HEIGHT))

    def _choice(self, role: Role, place: Place) -> MakeValue | None:
        options = read_choices_of(self.read_spec(place))
        aspect = Fraction(*self.story_size)
        if role is Role.ASPECT_RATIO:
            chosen = choose_aspect_ratio(options, aspect)
        elif role is Role.RESOLUTION:
            chosen = choose_size(options, aspect, place.value)
        else:
            return None
        return None if chosen is None or chosen == place.value else lambda plan: chosen

    # ------------------------------------------------------------------ others

    def _seed(self, place: Place) -> MakeValue:
        """Partner nodes take fewer seeds than there are: a story's seed begins again there."""
        options = _options(self.read_spec(place))
        most = options.get("max")
        count = (min(most, _MOST_SEED) if isinstance(most, int) and most > 0 else _MOST_SEED) + 1
        return lambda plan: plan.seed % count

    def _number(self, role: Role) -> Fraction | None:
        """What the workflow has where a role is; None where a link or nothing is there."""
        for place in self.places.get(role, ()):
            if isinstance(place.value, (int, float)) and not isinstance(place.value, bool):
                try:
                    return exact(place.value)
                except ValueError:
                    continue
        return None


def read_choices_of(spec: Any) -> list[Any]:
    """The choices of an input's spec, in both forms that servers send; none where it has none."""
    if isinstance(spec, (list, tuple)) and spec and isinstance(spec[0], (list, tuple)):
        return list(spec[0])
    options = _options(spec).get("options")
    if not isinstance(options, (list, tuple)):
        return []
    # Choices with inputs of their own are told by a key.
    return [one.get("key") if isinstance(one, dict) else one for one in options]


def _options(spec: Any) -> Mapping[str, Any]:
    return spec[1] if isinstance(spec, (list, tuple)) and len(spec) > 1 and isinstance(spec[1], dict) else {}
