"""The temporal score: every way in which a clip can be unsteady costs something."""

from __future__ import annotations

import numpy as np
import pytest

from custom_nodes.videogen.core.continuity.policy import Thresholds
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.metrics import temporal
from custom_nodes.videogen.metrics.temporal import STATIC_CAP, score_temporal, tv_l1_variance
from runner.bench.footage.footage import film, grainy, with_gamma

CLIP = film("tom", "field", frames=16).frames
ORDER = np.random.default_rng(3).permutation(16)
WORSE = {
    "frozen": np.repeat(CLIP[:1], 16, axis=0),
    "frozen, with grain": grainy(np.repeat(CLIP[:1], 16, axis=0), 6),
    "shuffled": CLIP[ORDER],
    "noisy": grainy(CLIP, 12),
    "flickering": np.stack([with_gamma(frame, 1.25 if number % 2 else 0.8) for number, frame in enumerate(CLIP)]),
    "stuttering": CLIP[np.arange(16) // 2 * 2],
    "one frame twice": CLIP[[0, 1, 2, 3, 4, 5, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15]],
    "with a cut": np.concatenate([CLIP[:8], film("ole", "room", frames=8).frames]),
}


@pytest.mark.parametrize("kind", WORSE)
def test_an_unsteady_clip_scores_below_its_original(kind: str) -> None:
    original, worse = score_temporal(CLIP), score_temporal(WORSE[kind])
    assert original.score is not None
    assert worse.score is not None
    assert original.score > 0.85
    assert worse.score < original.score - 0.03


def test_noise_costs_the_more_there_is_of_it() -> None:
    scores = [score_temporal(grainy(CLIP, sigma)).score for sigma in (0, 3, 6, 12, 24)]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]


def test_a_frozen_clip_is_worth_nothing_and_says_why() -> None:
    score = score_temporal(WORSE["frozen"])
    assert score.score == 0
    assert score.duplicates == 1
    assert "100% of the frames show the same" in score.because


def test_where_nothing_moves_the_score_is_capped_and_flagged() -> None:
    still = film("tom", "field", frames=8, speed=1.5, pan=0).frames
    score = score_temporal(still)
    assert score.static
    assert score.median_flow is not None
    assert score.median_flow < 0.3
    assert score.mean is not None
    assert score.mean > STATIC_CAP
    assert score.score == STATIC_CAP


def test_the_flow_is_measured_in_pixels_a_frame() -> None:
    score = score_temporal(film("tom", "field", frames=6, speed=3.0, pan=3.0).frames)
    assert score.median_flow == pytest.approx(3.0, abs=0.3)


def test_the_place_of_a_jump_is_found() -> None:
    score = score_temporal(WORSE["with a cut"])
    assert score.worst_pair == 7
    assert score.because == ": there is a jump between frames 8 and 9"


def test_one_frame_has_no_motion_and_that_is_a_sentence() -> None:
    score = score_temporal(CLIP[:1])
    assert score.score is None
    assert score.note == "there are no two frames to compare: the segment has a single frame"


def test_frames_of_different_sizes_have_no_score() -> None:
    score = score_temporal([CLIP[0], CLIP[1][:200]])
    assert score.score is None
    assert "480×200, 480×270" in score.note


def test_a_smooth_sky_that_moves_is_no_frozen_clip() -> None:
    rows, columns = np.mgrid[:270, :480].astype(np.float32)
    frames = [
        np.repeat((128 + 60 * np.sin((columns + 1.5 * n) / 90) + rows / 9)[..., None], 3, 2).astype(np.uint8)
        for n in range(6)
    ]
    score = score_temporal(frames)
    assert score.duplicates == 0
    assert score.score is not None
    assert score.score > 0.5


def test_a_change_of_color_at_the_same_brightness_is_a_change() -> None:
    one, other = np.zeros((2, 120, 160, 3), np.uint8)
    one[...], other[...] = (120, 120, 120), (200, 90, 70)  # the same luma
    assert score_temporal([one, other, one]).duplicates == 0


def test_frames_without_numbers_are_left_out() -> None:
    frames = list(CLIP[:6].astype(np.float32) / 255)
    frames[2] = np.full_like(frames[2], np.nan)
    score = score_temporal(frames)
    assert len(score.curve) == 3
    assert "1 frames were left out" in score.note


def test_thumbnails_are_too_small_for_flow_and_still_compared() -> None:
    tiny = np.zeros((4, 8, 8, 3), np.uint8)
    tiny[2:] = 255
    score = score_temporal(tiny)
    assert score.score is not None
    assert score.worst_pair == 1


def test_the_usual_recipe_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "skimage.registration", None)
    monkeypatch.delattr(temporal.cv2, "optflow", raising=False)
    with pytest.raises(VideoGenError, match="scikit-image or opencv-contrib") as caught:
        tv_l1_variance(CLIP[:3])
    assert caught.value.code == "metric-missing"


def test_the_usual_recipe_gives_a_frozen_clip_full_marks() -> None:
    assert tv_l1_variance(WORSE["frozen"][:4], side=96) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["noisy", "flickering", "stuttering", "shuffled"])
def test_spoiled_footage_falls_below_the_threshold(kind: str) -> None:
    score = score_temporal(WORSE[kind])
    assert score.score is not None
    assert score.score < Thresholds().temporal


@pytest.mark.parametrize("speed", [6.0, 12.0, 24.0])
def test_quick_motion_and_few_frames_do_not(speed: float) -> None:
    quick = film("tom", "field", frames=12, speed=speed, pan=speed / 3).frames
    for frames in (quick, quick[::2]):
        score = score_temporal(frames)
        assert score.score is not None
        assert score.score >= Thresholds().temporal


def test_frames_out_of_order_are_said_to_be() -> None:
    swapped = CLIP[[0, 3, 1, 5, 2, 7, 4, 9, 6, 11, 8, 13, 10, 15, 12, 14]]
    score = score_temporal(swapped)
    assert score.direction is not None
    assert score.direction < -0.05
    assert score.because == ": the motion turns round from frame to frame, as if they were out of order"
    straight = score_temporal(CLIP)
    assert straight.direction is not None
    assert straight.direction > 0.5


def test_two_frames_have_no_order() -> None:
    score = score_temporal(CLIP[:2])
    assert score.direction is None
    assert score.score is not None
    assert score.score > 0.85
