"""Which frames of a film are copied, and which are encoded again."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from custom_nodes.videogen.core.video.timeline import (
    Blend,
    ClipFrames,
    Copied,
    Encoded,
    blend_at,
    count_blend_frames,
    dissolve_weight,
    plan_pieces,
)


@st.composite
def films(draw: st.DrawFn) -> tuple[list[ClipFrames], list[Blend]]:
    """Clips with keyframes anywhere (or none), and transitions for which every clip has room."""
    clips = []
    for _ in range(draw(st.integers(1, 6))):
        frames = draw(st.integers(1, 40))
        copyable = draw(st.booleans())
        later = draw(st.sets(st.integers(1, frames), max_size=6)) - {frames}
        clips.append(ClipFrames(frames, (0, *sorted(later)) if copyable else ()))
    room = [clip.frames for clip in clips]
    blends = []
    for after in range(len(clips) - 1):
        most = min(2 * room[after] + 1, 2 * room[after + 1])
        if most >= 2 and draw(st.booleans()):
            blend = Blend(after, "dissolve", draw(st.integers(2, most)))
            if blend.frames_before <= room[after] and blend.frames_after <= room[after + 1]:
                blends.append(blend)
                room[after + 1] -= blend.frames_after
    return clips, blends


def frames_of(piece: Copied | Encoded) -> list[tuple[int, int]]:
    spans = [(piece.clip, piece.start, piece.stop)] if isinstance(piece, Copied) else piece.spans
    return [(clip, frame) for clip, start, stop in spans for frame in range(start, stop)]


@given(films())
def test_the_pieces_hold_each_frame_of_each_clip_once_and_in_order(film: tuple[list[ClipFrames], list[Blend]]) -> None:
    clips, blends = film
    planned = [frame for piece in plan_pieces(clips, blends) for frame in frames_of(piece)]
    assert planned == [(index, frame) for index, clip in enumerate(clips) for frame in range(clip.frames)]


@given(films())
def test_what_is_copied_begins_at_a_keyframe_and_ends_before_one_or_with_the_file(
    film: tuple[list[ClipFrames], list[Blend]],
) -> None:
    clips, blends = film
    for piece in plan_pieces(clips, blends):
        if isinstance(piece, Copied):
            clip = clips[piece.clip]
            assert piece.start in clip.keyframes
            assert piece.stop in (*clip.keyframes, clip.frames)
            assert piece.start < piece.stop


@given(films())
def test_a_frame_that_a_transition_touches_is_never_copied(film: tuple[list[ClipFrames], list[Blend]]) -> None:
    clips, blends = film
    for piece in plan_pieces(clips, blends):
        if isinstance(piece, Copied):
            assert all(blend_at(blends, clips, clip, frame) is None for clip, frame in frames_of(piece))


@given(films())
def test_as_much_is_copied_as_keyframes_allow(film: tuple[list[ClipFrames], list[Blend]]) -> None:
    """A frame of a copyable clip is encoded only when its group of pictures has a touched frame in it."""
    clips, blends = film
    for piece in plan_pieces(clips, blends):
        for clip, frame in frames_of(piece) if isinstance(piece, Encoded) else ():
            keyframes = clips[clip].keyframes
            if keyframes:
                group_start = max(key for key in keyframes if key <= frame)
                group_stop = min((key for key in keyframes if key > frame), default=clips[clip].frames)
                assert any(blend_at(blends, clips, clip, other) for other in range(group_start, group_stop))


@given(films())
def test_no_two_pieces_that_follow_each_other_are_both_encoded(film: tuple[list[ClipFrames], list[Blend]]) -> None:
    pieces = plan_pieces(*film)
    assert all(isinstance(a, Copied) or isinstance(b, Copied) for a, b in pairwise(pieces))


@given(films())
def test_a_transition_has_each_of_its_places_once(film: tuple[list[ClipFrames], list[Blend]]) -> None:
    clips, blends = film
    found = [blend_at(blends, clips, index, frame) for index, clip in enumerate(clips) for frame in range(clip.frames)]
    places = [hit for hit in found if hit is not None]
    assert places == [(blend, place) for blend in blends for place in range(blend.frames)]


def test_the_apple_tree_s_dissolve_costs_two_groups_of_images() -> None:
    """2 s between two segments of 8 s at 30 frames a second: 30 frames before the cut, 30 after it."""
    clip = ClipFrames(240, tuple(range(0, 240, 30)))
    pieces = plan_pieces([clip, clip], [Blend(0, "dissolve", 60)])
    assert pieces == [Copied(0, 0, 210), Encoded(((0, 210, 240), (1, 0, 30))), Copied(1, 30, 240)]


def test_a_clip_that_cannot_be_copied_is_encoded_with_what_touches_it() -> None:
    clip = ClipFrames(8, (0, 4))
    pieces = plan_pieces([clip, ClipFrames(5, ()), clip], [Blend(1, "dissolve", 2)])
    assert pieces == [Copied(0, 0, 8), Encoded(((1, 0, 5), (2, 0, 4))), Copied(2, 4, 8)]


@given(st.integers(2, 500))
@example(2)
def test_a_dissolve_rises_and_is_symmetric(frames: int) -> None:
    weights = [dissolve_weight(place, frames) for place in range(frames)]
    assert 0 < weights[0] < weights[-1] < 1
    assert weights == sorted(weights)
    assert all(a + b == pytest.approx(1) for a, b in zip(weights, reversed(weights), strict=True))


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"), [(Fraction(2), 30, 60), (Fraction(1, 100), 30, 2), (Fraction(1, 2), 25, 13)]
)
def test_a_transition_has_at_least_a_frame_on_each_side(seconds: Fraction, fps: int, frames: int) -> None:
    assert count_blend_frames(seconds, fps) == frames
