"""How many frames a model renders for a segment, and what is cut or held."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.model_profiles.frames import (
    DurationRule,
    longest_seconds,
    plan_frames,
    snap_count,
    snap_frames,
)
from custom_nodes.videogen.core.model_profiles.model import FrameRule, Profile

H3 = Profile("h3", "h3", "H3", frames=FrameRule(17, 5, 5, 3592, (124, 362)))
WAN = Profile("wan", "wan", "Wan", frames=FrameRule(4, 1, 1, 81))


@pytest.mark.parametrize(
    ("profile", "seconds", "fps", "frames"),
    [
        (H3, "8", 24, 192),  # on the grid
        (H3, "8.01", 24, 209),  # 193 frames cover it
        (H3, "0.1", 24, 5),
        (WAN, "5", 16, 81),
        (WAN, "4", 16, 65),
        (WAN, "8", 16, 81),  # all that it makes
        (Profile("x", "x", "X", known=False), "8", 25, 200),  # nothing is known
    ],
)
def test_frames_are_of_the_rule_and_not_shorter_where_the_model_can(profile, seconds, fps, frames) -> None:
    assert snap_frames(profile, Fraction(seconds), Fraction(fps)) == frames


def test_a_plan_says_what_is_cut_and_what_is_held() -> None:
    longer = plan_frames(H3, Fraction(9), Fraction(24))
    assert (longer.frames, longer.needed, longer.cut, longer.held, longer.note) == (226, 216, 10, 0, "")
    shorter = plan_frames(WAN, Fraction(8), Fraction(16))
    assert (shorter.frames, shorter.needed, shorter.cut, shorter.held) == (81, 128, 0, 47)
    assert shorter.note == (
        "Wan makes at most 81 frames in one pass (5.06 s at 16 fps) of the 128 that the segment needs:"
        " its last frame is held for 2.94 s"
    )


@pytest.mark.parametrize(("seconds", "side"), [(2, "56 frames are shorter"), (20, "481 frames are longer")])
def test_lengths_outside_the_training_are_noted(seconds: int, side: str) -> None:
    assert (
        plan_frames(H3, Fraction(seconds), Fraction(24)).note == f"{side} than H3 was trained for (124 to 362 frames)"
    )


def test_the_longest_clip() -> None:
    assert longest_seconds(WAN, Fraction(16)) == Fraction(81, 16)
    assert longest_seconds(Profile("x", "x", "X"), Fraction(16)) is None


@given(
    step=st.integers(1, 40),
    k=st.integers(0, 40),
    least=st.integers(0, 20),
    extra=st.integers(0, 300),
    needed=st.integers(1, 9999),
)
def test_a_snapped_number_is_of_the_rule_and_the_smallest_that_fits(step, k, least, extra, needed) -> None:
    offset = k % step
    low = least * step + offset or step
    rule = FrameRule(step, offset, low, low + extra * step)
    frames = snap_count(rule, needed)
    assert frames % step == offset
    assert rule.least <= frames <= rule.most
    if frames > rule.least:
        assert frames - step < needed
    if frames < rule.most:
        assert frames >= needed


def test_a_partners_duration_is_not_shorter_than_the_segment_where_it_can_be() -> None:
    choices = DurationRule(((Fraction(5), "5"), (Fraction(10), "10")))
    assert choices.snap(Fraction(8)) == ("10", 10)
    assert choices.snap(Fraction(5)) == ("5", 5)
    assert choices.snap(Fraction(60)) == ("10", 10)
    span = DurationRule((), Fraction(4), Fraction(15))
    assert [span.snap(Fraction(seconds)) for seconds in ("1", "8", "8.2", "99")] == [(4, 4), (8, 8), (9, 9), (15, 15)]
    smooth = DurationRule((), Fraction(1), None, Fraction(1, 2), whole=False)
    assert smooth.snap(Fraction("8.2")) == (8.5, Fraction(17, 2))
