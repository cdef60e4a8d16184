"""The policy of continuity: calibration, thresholds, verdicts, takes, and what drifts, in words."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.continuity.calibration import (
    CALIBRATIONS,
    CHROMA_CALIBRATION,
    SAME_SUBJECT,
    find_calibration,
    fuse,
    relate_cosine,
    require_same_backend,
)
from custom_nodes.videogen.core.continuity.drift import (
    PartColor,
    average_parts,
    find_drift_start,
    name_drift,
    name_part,
    turn_of_hue,
)
from custom_nodes.videogen.core.continuity.policy import (
    Thresholds,
    choose_take,
    expected_lightness,
    judge_segment,
    mired_outside,
    score_of_take,
    wants_another_take,
)
from custom_nodes.videogen.core.continuity.scores import (
    BoundaryScore,
    Drift,
    FrameCheck,
    FrameProblem,
    LightScore,
    SampleScore,
    SegmentScore,
    SubjectScore,
    TemporalScore,
)
from custom_nodes.videogen.core.errors import VideoGenError

SUBJECT = SubjectScore(
    "character",
    "tom",
    "Tom",
    0.92,
    0.88,
    3,
    {"reference": (0.92, 0.88)},
    (SampleScore(3, "reference", 0.88, 0.9, 0.85, 0.7),),
    "classical",
    "r",
    "mask",
)
GOOD = SegmentScore((SUBJECT,), TemporalScore(0.8, 0.8, 0.8, (0.8,), 0, median_flow=2.0), FrameCheck(24, (1920, 1080)))


def with_subject(**changes: object) -> SegmentScore:
    return dataclasses.replace(GOOD, subjects=(dataclasses.replace(SUBJECT, **changes),))  # type: ignore[arg-type]


# ------------------------------------------------------------------ calibration


@pytest.mark.parametrize("calibration", [*CALIBRATIONS.values(), CHROMA_CALIBRATION, find_calibration("CLIP ViT-H/14")])
def test_every_map_puts_its_knee_at_the_same_score(calibration) -> None:  # type: ignore[no-untyped-def]
    assert calibration(calibration.knee) == pytest.approx(SAME_SUBJECT)
    assert calibration(calibration.floor) == 0
    assert calibration(-1) == 0
    assert calibration(1) == 1


@given(st.floats(-1, 1), st.floats(-1, 1), st.sampled_from([*CALIBRATIONS.values(), CHROMA_CALIBRATION]))
def test_maps_are_monotone_and_stay_in_range(first: float, second: float, calibration) -> None:  # type: ignore[no-untyped-def]
    low, high = sorted((calibration(first), calibration(second)))
    assert 0 <= low <= high <= 1
    assert (calibration(first) <= calibration(second)) or first > second


def test_a_network_that_nobody_measured_says_so() -> None:
    assert not find_calibration("CLIP ViT-H/14").measured
    assert find_calibration("CLIP ViT-H/14").label == "r 0.38 → 0.85, not measured for this backend"
    assert find_calibration("classical").label == "r 0.37 → 0.85, measured"


def test_a_cosine_is_related_to_that_of_unrelated_images() -> None:
    assert relate_cosine(0.5, 0.5) == 0
    assert relate_cosine(1.0, 0.97) == 1
    assert relate_cosine(0.2, 0.5) < 0
    assert relate_cosine(1.0, 1.0) == 0  # a network that finds all images the same tells nobody apart


def test_embedding_and_chroma_weigh_six_to_four() -> None:
    assert fuse(1.0, 0.0) == 0.6
    assert fuse(0.0, 1.0) == 0.4
    assert fuse(0.7, None) == 0.7


def test_scores_of_different_backends_are_refused() -> None:
    require_same_backend("classical", "classical")
    with pytest.raises(VideoGenError, match="'classical' and the other by 'CLIP'"):
        require_same_backend("classical", "CLIP")


# ------------------------------------------------------------------ verdicts


def test_a_good_segment_passes_without_a_word() -> None:
    assert judge_segment(GOOD, Thresholds()).to_dict() == {"level": "pass", "reasons": []}


SHIRT = Drift("shirt", "hue", 38.0, 13, 18, "shirt hue +38°, frames 14–19")
CASES = {
    "mean": (with_subject(mean=0.7), "fail", "Tom 0.70, expected 0.85"),
    "mean with what drifts": (
        with_subject(mean=0.7, drift=(SHIRT,)),
        "fail",
        "Tom 0.70, expected 0.85: shirt hue +38°, frames 14–19",
    ),
    "minimum": (with_subject(minimum=0.5), "fail", "Tom 0.50 in frame 4, expected 0.7 in every frame"),
    "hue, seen through a mask": (with_subject(drift=(SHIRT,)), "fail", "Tom: shirt hue +38°, frames 14–19"),
    "hue, guessed": (with_subject(drift=(SHIRT,), weights="ratio"), "warn", "Tom: shirt hue +38°, frames 14–19"),
    "object": (with_subject(kind="object", mean=0.3), "warn", "Tom 0.30, expected 0.75"),
    "temporal": (
        dataclasses.replace(GOOD, temporal=TemporalScore(0.4, because=": noise")),
        "fail",
        "temporal score 0.40, expected 0.6: noise",
    ),
    "static": (
        dataclasses.replace(GOOD, temporal=TemporalScore(0.6, static=True, median_flow=0.1)),
        "warn",
        "hardly anything moves (median flow 0.10 pixels)",
    ),
    "black frames": (
        dataclasses.replace(GOOD, frames=FrameCheck(24, (8, 8), (FrameProblem("black", (1,), "frame 2 black", True),))),
        "fail",
        "frame 2 black",
    ),
    "blurred frames": (
        dataclasses.replace(
            GOOD, frames=FrameCheck(24, (8, 8), (FrameProblem("blurred", (1,), "frame 2 blurred", False),))
        ),
        "warn",
        "frame 2 blurred",
    ),
    "warm light": (
        dataclasses.replace(GOOD, light=LightScore(3200.0, 50.0, (5500, 6000))),
        "warn",
        "the light looks like 3200 K, and the story says 5500 to 6000 K",
    ),
    "dark": (
        dataclasses.replace(GOOD, light=LightScore(None, 12.0, None, (30, 92))),
        "warn",
        "the picture is darker (L 12) than the story's lighting (30 to 92)",
    ),
    "small step of light": (
        dataclasses.replace(GOOD, boundary=BoundaryScore(1.5)),
        "warn",
        "the light steps by ΔE 1.5 at the cut, within one location",
    ),
    "large step of light": (
        dataclasses.replace(GOOD, boundary=BoundaryScore(2.6)),
        "fail",
        "the light steps by ΔE 2.6 at the cut, within one location",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_falls_short_is_said_in_one_sentence(case: str) -> None:
    score, level, sentence = CASES[case]
    assert judge_segment(score, Thresholds()).to_dict() == {"level": level, "reasons": [sentence]}


@pytest.mark.parametrize(
    "score",
    [
        with_subject(mean=None, minimum=None),
        dataclasses.replace(GOOD, temporal=TemporalScore(None, note="one frame")),
        dataclasses.replace(GOOD, boundary=BoundaryScore(30.0, "another location")),
        dataclasses.replace(GOOD, boundary=BoundaryScore(None)),
        dataclasses.replace(GOOD, light=LightScore(5100.0, 50.0, (5500, 6000), (30, 92))),
        with_subject(kind="location", mean=0.2, minimum=0.1),
    ],
)
def test_what_was_not_measured_or_does_not_count_fails_nobody(score: SegmentScore) -> None:
    assert judge_segment(score, Thresholds()).level == "pass"


def test_the_worst_comes_first() -> None:
    score = dataclasses.replace(with_subject(mean=0.2), boundary=BoundaryScore(1.5))
    verdict = judge_segment(score, Thresholds())
    assert verdict.level == "fail"
    assert verdict.reasons[0].startswith("Tom")
    assert len(verdict.reasons) == 2


def test_a_character_who_is_seen_nowhere_is_no_pass_and_the_worst_take() -> None:
    score = with_subject(mean=None, minimum=None, weights="", notes=("its mask is empty in every frame",))
    verdict = judge_segment(score, Thresholds())
    assert verdict.to_dict() == {
        "level": "warn",
        "reasons": ["Tom was not measured: its mask is empty in every frame"],
    }
    assert score_of_take(score) == 0 < score_of_take(with_subject(mean=0.3, minimum=0.2))


def test_a_quiet_segment_need_not_reach_what_it_cannot() -> None:
    still = dataclasses.replace(GOOD, temporal=TemporalScore(0.6, 0.9, 0.9, (0.9,), 0, static=True, median_flow=0.1))
    assert judge_segment(still, Thresholds(temporal=0.8)).level == "warn"
    moving = dataclasses.replace(GOOD, temporal=TemporalScore(0.6, 0.6, 0.6, (0.6,), 0, median_flow=2.0))
    assert judge_segment(moving, Thresholds(temporal=0.8)).level == "fail"


def test_the_mean_color_of_several_frames_knows_that_hues_go_round() -> None:
    red = [PartColor(50, 40, 350), PartColor(54, 40, 10)]
    mean = average_parts([{"upper": red[0]}, {"upper": red[1], "head": red[0]}])
    assert mean["upper"].hue % 360 == pytest.approx(0, abs=1e-6) or mean["upper"].hue == pytest.approx(360)
    assert mean["upper"].lightness == 52
    assert mean["upper"].chroma == pytest.approx(40 * math.cos(math.radians(10)))
    assert mean["head"].hue == pytest.approx(350)
    assert average_parts([]) == {}


def test_thresholds_come_out_of_a_mapping() -> None:
    thresholds = Thresholds.from_dict({"character": 0.9, "extra_takes": 1})
    assert (thresholds.character, thresholds.extra_takes, thresholds.temporal) == (0.9, 1, 0.6)
    assert judge_segment(GOOD, Thresholds.from_dict({"character": 0.95})).level == "fail"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"charakter": 0.9}, "no threshold 'charakter'; there are: character,"),
        ({"character": 1.5}, "character is 1.5, expected a number from 0 to 1"),
        ({"character": "0.9"}, "character is '0.9'"),
        ({"character": True}, "character is True"),
        ({"temporal": float("nan")}, "temporal is nan"),
        ({"extra_takes": 1.5}, "extra_takes is 1.5, expected a whole number from 0 to 5"),
        ({"hue_drift": 200}, "hue_drift is 200, expected a number from 0 to 180"),
    ],
)
def test_a_threshold_that_cannot_be_used_is_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(VideoGenError, match=words.replace(".", r"\.")) as caught:
        Thresholds.from_dict(values)
    assert caught.value.code == "threshold-invalid"


# ------------------------------------------------------------------ takes


def test_a_segment_is_rendered_again_at_most_twice_and_only_while_it_fails() -> None:
    thresholds = Thresholds()
    assert not wants_another_take(["pass"], thresholds)
    assert not wants_another_take(["warn"], thresholds)
    assert wants_another_take(["fail"], thresholds)
    assert wants_another_take(["fail", "fail"], thresholds)
    assert not wants_another_take(["fail", "pass"], thresholds)
    assert not wants_another_take(["fail", "fail", "fail"], thresholds)
    assert not wants_another_take([], thresholds)


def test_the_best_take_has_the_best_verdict_then_the_highest_score_then_came_first() -> None:
    assert choose_take(["fail", "warn", "fail"], [0.9, 0.2, 0.95]) == 1
    assert choose_take(["fail", "fail", "fail"], [0.3, 0.7, 0.7]) == 1


def test_a_take_is_as_good_as_its_worst_side() -> None:
    assert score_of_take(GOOD) == pytest.approx(0.92)
    assert score_of_take(with_subject(minimum=0.4)) == pytest.approx(0.55)
    assert score_of_take(dataclasses.replace(GOOD, temporal=TemporalScore(0.3))) == pytest.approx(0.55)
    assert score_of_take(CASES["black frames"][0]) == 0
    assert score_of_take(dataclasses.replace(GOOD, subjects=(), temporal=None)) == 1


# ------------------------------------------------------------------ light


def test_mired_outside_a_span() -> None:
    assert mired_outside(5700, (5500, 6000)) == 0
    assert mired_outside(4000, (5000, 6000)) == pytest.approx(50)
    assert mired_outside(10_000, (5000, 8000)) == pytest.approx(25)


@pytest.mark.parametrize(
    ("words", "span"),
    [
        ("Bright natural daylight through thin cloud", (30, 92)),
        ("moonlight, a cold night", (3, 45)),
        ("Dämmerung", (10, 60)),
        ("soft shadows", None),
        ("", None),
    ],
)
def test_a_story_s_words_on_light_stand_for_a_lightness(words: str, span: tuple[int, int] | None) -> None:
    assert expected_lightness(words) == span


# ------------------------------------------------------------------ drift


BLUE = PartColor(50, 40, 280)


@pytest.mark.parametrize(
    ("part", "description", "name"),
    [
        ("upper", "a man in a plain blue long-sleeved shirt and brown work trousers", "shirt"),
        ("lower", "a man in a plain blue long-sleeved shirt and brown work trousers", "trousers"),
        ("upper", "wears a long moss-green coat over a white linen shirt", "coat"),
        ("upper", "der Mann im blauen Hemd", "hemd"),
        ("lower", "sie trägt einen roten Rock", "rock"),
        ("lower", "he stands on a rock", "lower part"),
        ("head", "with short dark-blond hair", "hair"),
        ("upper", "a robot", "upper part"),
        ("whole", "a man in a shirt", "whole subject"),
    ],
)
def test_a_part_has_the_name_of_what_is_worn_there(part: str, description: str, name: str) -> None:
    assert name_part(part, description) == name


@given(st.floats(0, 360), st.floats(0, 360))
def test_hues_turn_the_shorter_way_round(before: float, after: float) -> None:
    turn = turn_of_hue(before, after)
    assert -180 <= turn <= 180
    difference = (before + turn - after) % 360
    assert min(difference, 360 - difference) < 1e-6


def test_drift_names_part_quantity_degrees_and_frames() -> None:
    frames = [(n, {"upper": PartColor(50, 40, 280 if n < 13 else 318)}) for n in range(19)]
    (drift,) = name_drift({"upper": BLUE}, frames, "a blue shirt")
    assert drift == Drift("shirt", "hue", 38.0, 13, 18, "shirt hue +38°, frames 14–19")


def test_the_largest_change_comes_first_and_small_ones_are_not_worth_a_word() -> None:
    frames = [(n, {"upper": PartColor(41, 43, 330), "lower": PartColor(53, 41, 285)}) for n in range(5)]
    named = name_drift({"upper": BLUE, "lower": BLUE}, frames)
    assert [(drift.part, drift.quantity) for drift in named] == [("upper part", "hue"), ("upper part", "lightness")]


def test_a_hue_of_something_nearly_gray_means_nothing() -> None:
    gray = PartColor(50, 4, 10)
    assert name_drift({"upper": gray}, [(0, {"upper": PartColor(50, 4, 190)})]) == ()


def test_a_part_that_is_not_seen_is_not_judged() -> None:
    assert name_drift({"lower": BLUE}, [(0, {"upper": BLUE})]) == ()


def matrix(groups: list[int], same: float = 0.95, apart: float = 0.4) -> list[list[float | None]]:
    return [[same if one == other else apart for other in groups] for one in groups]


@pytest.mark.parametrize(
    ("groups", "start"),
    [
        ([0] * 33, None),
        ([0] * 20 + [1] * 13, 20),
        ([0, 1, 1, 1], 1),
        ([0, 1], 1),
        ([0, 0, 0, 0, 1], 4),
        ([0] * 10 + [1] + [0] * 10, None),
        ([0], None),
        ([], None),
    ],
)
def test_the_segment_that_starts_a_drift_is_found(groups: list[int], start: int | None) -> None:
    assert find_drift_start(matrix(groups), SAME_SUBJECT) == start


def test_a_slow_drift_starts_where_the_two_sides_part() -> None:
    values = [[max(0.0, 1 - 0.06 * abs(i - j)) for j in range(12)] for i in range(12)]
    start = find_drift_start(values, SAME_SUBJECT)
    assert start is not None
    assert 4 <= start <= 8


def test_segments_that_were_not_measured_do_not_matter() -> None:
    values = matrix([0, 0, 0, 1, 1, 1])
    for index in range(6):
        values[2][index] = values[index][2] = None
    assert find_drift_start(values, SAME_SUBJECT) == 3
    assert find_drift_start([[None] * 4 for _ in range(4)], SAME_SUBJECT) is None


# ------------------------------------------------------------------ JSON


@pytest.mark.parametrize("score", [GOOD, *(case[0] for case in CASES.values())])
def test_scores_go_through_json_and_come_back(score: SegmentScore) -> None:
    data = json.loads(json.dumps(score.to_dict(), allow_nan=False))
    assert SegmentScore.from_dict(data) == score
    assert SegmentScore.from_dict({**data, "something new": 1}) == score


def test_what_is_no_number_becomes_null() -> None:
    score = dataclasses.replace(GOOD, temporal=TemporalScore(float("nan")))
    assert score.to_dict()["temporal"]["score"] is None
