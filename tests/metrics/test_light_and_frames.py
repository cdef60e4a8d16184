"""Light and location, the check of frames as such, and what happens at a cut."""

from __future__ import annotations

import numpy as np
import pytest

from custom_nodes.videogen.core.continuity.policy import Thresholds, judge_segment
from custom_nodes.videogen.core.continuity.scores import FrameCheck, SegmentScore
from custom_nodes.videogen.metrics.appearance import AppearanceModel
from custom_nodes.videogen.metrics.boundary import BoundaryFrame, compare_ends
from custom_nodes.videogen.metrics.images import prepare_image
from custom_nodes.videogen.metrics.light import color_step, estimate_kelvin, mean_lab
from custom_nodes.videogen.metrics.segment_meter import SegmentRequest, appearances_of, score_segment
from custom_nodes.videogen.metrics.subject_meter import SubjectRequest
from runner.bench.footage.footage import Footage, blurred, film, warmed, with_gamma

BACKEND = AppearanceModel()
CLIP = film("tom", "street", frames=8)


def score(footage: Footage, **request: object) -> SegmentScore:
    subject = SubjectRequest("character", "tom", mask=footage.masks)
    return score_segment(footage.frames, SegmentRequest(len(footage.frames), (subject,), **request), BACKEND)  # type: ignore[arg-type]


def end_of(result: SegmentScore, side: str) -> BoundaryFrame:
    assert result.ends is not None
    return BoundaryFrame.from_dict(result.ends[side])


# ------------------------------------------------------------------ light


def gray_card(red: float, green: float, blue: float) -> float | None:
    image = prepare_image(np.tile(np.array([red, green, blue], np.float32), (8, 8, 1)))
    assert image is not None
    return estimate_kelvin(image, np.ones((8, 8), np.float32))


def test_a_neutral_image_shows_the_white_of_srgb() -> None:
    assert gray_card(0.5, 0.5, 0.5) == pytest.approx(6504, abs=40)


def test_the_temperature_of_a_card_is_the_one_of_its_light() -> None:
    # sRGB of daylight of 5000 K on gray (CIE D50: x 0.3457, y 0.3585), and of an overcast sky (D75: x 0.2990, y 0.3149).
    assert gray_card(0.5341, 0.4900, 0.4257) == pytest.approx(5000, abs=40)
    assert gray_card(0.4788, 0.4971, 0.5275) == pytest.approx(7500, abs=80)


def test_without_anything_near_gray_there_is_no_temperature_and_a_note_says_so() -> None:
    assert gray_card(0.1, 0.7, 0.1) is None
    green = Footage(np.full((3, 40, 60, 3), (20, 180, 30), np.uint8), np.zeros((3, 40, 60), np.float32))
    light = score(green).light
    assert light is not None
    assert light.kelvin is None
    assert "cannot be told" in light.note


@pytest.mark.parametrize(("amount", "kelvin", "level"), [(0.0, (5500, 7500), "pass"), (0.3, (5500, 7500), "warn")])
def test_light_that_is_too_warm_for_the_story_is_a_warning(
    amount: float, kelvin: tuple[float, float], level: str
) -> None:
    result = score(Footage(warmed(CLIP.frames, amount), CLIP.masks), kelvin=kelvin)
    reasons = [reason for reason in judge_segment(result, Thresholds()).reasons if " K, and the story says " in reason]
    assert bool(reasons) == (level == "warn")


def test_an_image_too_dark_for_the_story_is_a_warning_and_never_lowers_the_character() -> None:
    dark = Footage(with_gamma(CLIP.frames, 3.5), CLIP.masks)
    result = score(dark, lightness=(30, 92))
    assert any("darker (L" in reason for reason in judge_segment(result, Thresholds()).reasons)
    assert not any(
        "darker" in reason for reason in judge_segment(score(CLIP, lightness=(30, 92)), Thresholds()).reasons
    )


def test_the_location_is_all_that_is_no_subject() -> None:
    # Another person in the same place changes nothing about the place, and the same one elsewhere does.
    place = SubjectRequest("location", "street")
    first = appearances_of(score(CLIP, location=place), "street")
    scores = {}
    for who, where in (("ole", "street"), ("tom", "forest")):
        clip = film(who, where, frames=8)
        asked = SubjectRequest("location", "street", first=first)
        scores[who] = next(s for s in score(clip, location=asked).subjects if s.name == "street")
    assert scores["ole"].weights == "location"
    assert scores["ole"].mean is not None
    assert scores["tom"].mean is not None
    assert scores["ole"].mean > 0.9 > 0.6 > scores["tom"].mean


# ------------------------------------------------------------------ cuts


@pytest.mark.parametrize(("gamma", "level"), [(1.0, "pass"), (1.06, "warn"), (1.3, "fail")])
def test_a_step_of_light_within_one_location_is_seen_at_the_cut(gamma: float, level: str) -> None:
    before = end_of(score(CLIP), "last")
    after = film("tom", "street", frames=8)
    result = score(Footage(with_gamma(after.frames, gamma), after.masks), before=before)
    assert result.boundary is not None
    assert result.boundary.color_step is not None
    reasons = [reason for reason in judge_segment(result, Thresholds()).reasons if "at the cut" in reason]
    assert bool(reasons) == (level != "pass")
    assert (judge_segment(result, Thresholds()).level == "fail") == (level == "fail")
    assert result.boundary.color_step == pytest.approx({"pass": 0, "warn": 1.8, "fail": 8}[level], abs=0.6, rel=0.3)


def test_a_change_of_location_is_exempt() -> None:
    before = end_of(score(CLIP), "last")
    result = score(film("tom", "forest", frames=8), before=before, exempt="another location")
    assert result.boundary is not None
    assert result.boundary.color_step is not None
    assert result.boundary.color_step > 10
    assert not any("cut" in reason for reason in judge_segment(result, Thresholds()).reasons)


def test_who_is_on_both_sides_of_a_cut_is_compared() -> None:
    sides = (("tom", "last"), ("tom", "first"), ("ole", "first"))
    ends = [end_of(score(film(who, "street", frames=4)), side) for who, side in sides]
    assert compare_ends(ends[0], ends[1]).subjects["tom"] > 0.9
    assert compare_ends(ends[0], ends[2]).subjects["tom"] < 0.6


@pytest.mark.parametrize(("pan", "turn"), [(3.0, 0), (-3.0, 180)])
def test_the_direction_of_motion_is_compared_across_a_cut(pan: float, turn: float) -> None:
    before = end_of(score(film("tom", "street", frames=5, pan=3.0, speed=-3.0)), "last")
    after = end_of(score(film("tom", "street", frames=5, pan=pan, speed=-pan)), "first")
    result = compare_ends(before, after)
    assert result.motion_turn == pytest.approx(turn, abs=15)
    assert bool(result.notes) == (turn == 180)


def test_a_place_that_cannot_be_seen_is_a_note_and_no_step() -> None:
    hidden = BoundaryFrame(None, (0.0, 0.0), {})
    result = compare_ends(hidden, BoundaryFrame((50.0, 0.0, 0.0), (0.1, 0.0), {}))
    assert result.color_step is None
    assert result.motion_turn is None
    assert "cannot be compared" in result.notes[0]


def test_a_frame_s_end_comes_back_through_json() -> None:
    end = end_of(score(CLIP), "last")
    assert BoundaryFrame.from_dict(end.to_dict()).to_dict() == end.to_dict()
    assert end.color is not None


def test_delta_e_is_the_distance_in_cielab() -> None:
    assert color_step((50.0, 0.0, 0.0), (50.0, 3.0, 4.0)) == 5
    image = prepare_image(np.full((4, 4, 3), 255, np.uint8))
    assert image is not None
    assert mean_lab(image, np.ones((4, 4), np.float32)) == pytest.approx((100, 0, 0), abs=0.1)
    assert mean_lab(image, np.zeros((4, 4), np.float32)) is None


# ------------------------------------------------------------------ frames


def check(frames: object, size: tuple[int, int] | None = None) -> FrameCheck:
    return score_segment(frames, SegmentRequest(len(frames), size=size), BACKEND).frames  # type: ignore[arg-type]


def test_good_frames_have_no_problem() -> None:
    assert check(CLIP.frames, (480, 270)) == FrameCheck(8, (480, 270), ())


def change(frame: int, to: np.ndarray) -> np.ndarray:
    frames = CLIP.frames.copy()
    frames[frame] = to
    return frames


PROBLEMS = {
    "black": (change(2, np.zeros_like(CLIP.frames[0])), "frame 3 black", True),
    "empty": (change(4, np.full_like(CLIP.frames[0], 120)), "frame 5 of a single color", True),
    "blurred": (change(5, blurred(CLIP.frames[5:6], 4)[0]), "frame 6 blurred against the others", False),
    "frozen": (CLIP.frames[[0, 1, 2, 2, 2, 5, 6, 7]], "frames 4–5 show the same as the frame before", False),
    "bright": (
        np.clip(CLIP.frames.astype(int) + 120, 0, 255).astype(np.uint8),
        "frames 1–8 burnt out to white over a quarter of the picture",
        False,
    ),
    "dark": (
        np.clip(CLIP.frames.astype(int) - 130, 0, 255).astype(np.uint8),
        "frames 1–8 without any detail in more than a quarter of the picture",
        False,
    ),
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_what_is_wrong_with_frames_is_named_with_their_numbers(kind: str) -> None:
    frames, sentence, severe = PROBLEMS[kind]
    found = {problem.kind: problem for problem in check(frames).problems}
    assert found[kind].sentence == sentence
    assert found[kind].severe == severe


def test_a_clip_that_stands_still_fails() -> None:
    problems = check(np.repeat(CLIP.frames[:1], 5, axis=0)).problems
    assert [(problem.sentence, problem.severe) for problem in problems] == [("all frames are the same", True)]


def test_a_segment_that_is_blurred_as_a_whole_is_named() -> None:
    assert [problem.sentence for problem in check(blurred(CLIP.frames, 9)).problems] == ["the whole segment is blurred"]


@pytest.mark.parametrize(
    ("size", "kind", "severe"),
    [((1920, 1080), "resolution", False), ((480, 480), "aspect", True), ((240, 135), None, False)],
)
def test_size_and_shape_are_held_against_the_story_s(size: tuple[int, int], kind: str | None, severe: bool) -> None:
    problems = check(CLIP.frames, size).problems
    assert [(problem.kind, problem.severe) for problem in problems] == ([(kind, severe)] if kind else [])
    assert all("480×270" in problem.sentence for problem in problems)
