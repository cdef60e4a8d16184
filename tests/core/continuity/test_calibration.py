"""Calibration: a similarity means the same whatever measured it."""

from __future__ import annotations

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
from custom_nodes.videogen.core.errors import VideoGenError


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
