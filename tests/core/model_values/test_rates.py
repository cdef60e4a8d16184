"""Frames a second of a model that is told how many there are."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from custom_nodes.videogen.core.model_values.values import ModelValues
from custom_nodes.videogen.core.roles.table import Place, Role
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.profiles.library import shipped_profiles


def plan(fps: Any, timespan: str) -> SegmentPlan:
    return plan_segment(parse_story({"fps": fps, "segments": [{"prompt": "a tree", "timespan": timespan}]}), 1)


def values(*kinds: str) -> ModelValues:
    """LTX-2.5, with inputs for the rate of some types."""
    profile = next(one for one in shipped_profiles() if one.name == "ltx-2.5")
    places = {Role.FPS: tuple(Place(kind, "value", "PrimitiveInt", 24) for kind in kinds)}
    return ModelValues(profile, places, lambda place: [place.node, {}], (1920, 1080))


@pytest.mark.parametrize(
    ("fps", "timespan", "exact", "whole"),
    [
        (24, "0 - 8", 24, 24),
        ("30000/1001", "0 - 8.008", Fraction(30000, 1001), 30),
        (24, "0 - 7.28", Fraction(175, 1) / Fraction("7.28"), 24),
        (23.976, "0 - 8", 24, 24),
        (60, "0 - 1", 50, 50),
    ],
)
def test_an_input_for_whole_numbers_gets_the_nearest(
    fps: Any, timespan: str, exact: Fraction | int, whole: int
) -> None:
    """The templates of LTX have one. Films at 29.97, and segments whose length is not a number of frames, were refused."""
    segment = plan(fps, timespan)
    assert values("FLOAT").rate(segment) == exact
    for kinds in (("INT",), ("FLOAT", "INT")):
        assert values(*kinds).rate(segment) == whole
        make = values(*kinds).make_value(Role.FPS, Place("INT", "value", "PrimitiveInt"))
        assert make is not None
        assert (make(segment), type(make(segment))) == (whole, int)
        planned = values(*kinds).plan_frames(segment)
        assert planned.fps == whole
        assert planned.frames / planned.fps >= segment.duration, "and the clip is still long enough"
