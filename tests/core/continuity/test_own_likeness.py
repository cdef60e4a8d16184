"""Likeness relative to a subject's own."""

from __future__ import annotations

import pytest

from custom_nodes.videogen.core.continuity.own_likeness import (
    margin_of,
    measure_margin,
    measure_own_likeness,
    score_margin,
)


@pytest.mark.parametrize(
    ("likenesses", "own"),
    [([0.8, 0.6, 0.7], 0.7), ([0.99, 0.98], 0.9), ([0.1], 0.5), ([], 0.82)],
)
def test_a_segment_s_own_likeness_is_the_mean_of_its_pairs_within_limits(likenesses: list[float], own: float) -> None:
    assert measure_own_likeness(likenesses) == pytest.approx(own)


def test_a_frame_must_reach_three_quarters_of_it_in_the_median() -> None:
    assert measure_margin([0.1, 0.62, 0.9], own=0.8) == pytest.approx(0.02)
    assert measure_margin([0.58], own=0.8) == pytest.approx(-0.02)


def test_a_subject_that_changes_more_may_differ_more() -> None:
    steady, restless = measure_own_likeness([0.9, 0.9]), measure_own_likeness([0.7, 0.7])
    assert measure_margin([0.6], steady) < 0 < measure_margin([0.6], restless)


@pytest.mark.parametrize(
    ("margin", "score"), [(0, 0.85), (0.125, 0.925), (0.25, 1), (0.9, 1), (-0.25, 0.425), (-0.5, 0), (-0.9, 0)]
)
def test_the_score_of_a_margin(margin: float, score: float) -> None:
    assert score_margin(margin) == pytest.approx(score)


@pytest.mark.parametrize("margin", [-0.5, -0.2, -0.03, 0, 0.01, 0.2, 0.25])
def test_a_score_tells_its_margin(margin: float) -> None:
    assert margin_of(score_margin(margin)) == pytest.approx(margin)
