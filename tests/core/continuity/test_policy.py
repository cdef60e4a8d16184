"""The policy: thresholds, verdicts, takes and light."""

from __future__ import annotations

import dataclasses

import pytest

from custom_nodes.videogen.core.continuity.policy import (
    Thresholds,
    choose_take,
    expected_lightness,
    judge_segment,
    mired_outside,
    score_of_take,
    wants_another_take,
)
from custom_nodes.videogen.core.continuity.scores import BoundaryScore, LightScore, SegmentScore, TemporalScore
from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.scores import CASES, GOOD, with_subject


def test_a_good_segment_passes_without_a_word() -> None:
    assert judge_segment(GOOD, Thresholds()).to_dict() == {"level": "pass", "reasons": []}


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


def test_a_character_whom_no_frame_s_mask_shows_fails_by_name() -> None:
    score = with_subject(mean=None, minimum=None, weights="", missing=True)
    assert judge_segment(score, Thresholds()).to_dict() == {
        "level": "fail",
        "reasons": ["Tom is missing: the mask of every frame is empty"],
    }
    prop = with_subject(kind="object", mean=None, minimum=None, weights="", missing=True)
    assert judge_segment(prop, Thresholds()).level == "pass"


def test_a_quiet_segment_need_not_reach_what_it_cannot() -> None:
    still = dataclasses.replace(GOOD, temporal=TemporalScore(0.6, 0.9, 0.9, (0.9,), 0, static=True, median_flow=0.1))
    assert judge_segment(still, Thresholds(temporal=0.8)).level == "warn"
    moving = dataclasses.replace(GOOD, temporal=TemporalScore(0.6, 0.6, 0.6, (0.6,), 0, median_flow=2.0))
    assert judge_segment(moving, Thresholds(temporal=0.8)).level == "fail"


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
