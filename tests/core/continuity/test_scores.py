"""Scores go through JSON and come back."""

from __future__ import annotations

import dataclasses
import json

import pytest

from custom_nodes.videogen.core.continuity.scores import SegmentScore, TemporalScore
from tests.support.scores import CASES, GOOD


@pytest.mark.parametrize("score", [GOOD, *(case[0] for case in CASES.values())])
def test_scores_go_through_json_and_come_back(score: SegmentScore) -> None:
    data = json.loads(json.dumps(score.to_dict(), allow_nan=False))
    assert SegmentScore.from_dict(data) == score
    assert SegmentScore.from_dict({**data, "something new": 1}) == score


def test_what_is_no_number_becomes_null() -> None:
    score = dataclasses.replace(GOOD, temporal=TemporalScore(float("nan")))
    assert score.to_dict()["temporal"]["score"] is None
