"""What drifts, in words, and where it begins."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.continuity.calibration import SAME_SUBJECT
from custom_nodes.videogen.core.continuity.drift import (
    PartColor,
    average_parts,
    find_drift_start,
    name_drift,
    name_part,
    turn_of_hue,
)
from custom_nodes.videogen.core.continuity.scores import Drift

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
    assert drift == Drift("shirt", "hue", 38.0, 13, 18, "shirt hue +38°, frames 14–19", 40)


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


def test_the_mean_color_of_several_frames_knows_that_hues_go_round() -> None:
    red = [PartColor(50, 40, 350), PartColor(54, 40, 10)]
    mean = average_parts([{"upper": red[0]}, {"upper": red[1], "head": red[0]}])
    assert mean["upper"].hue % 360 == pytest.approx(0, abs=1e-6) or mean["upper"].hue == pytest.approx(360)
    assert mean["upper"].lightness == 52
    assert mean["upper"].chroma == pytest.approx(40 * math.cos(math.radians(10)))
    assert mean["head"].hue == pytest.approx(350)
    assert average_parts([]) == {}
