"""Color Match, called as ComfyUI calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.model_management
import torch
from torch import Tensor

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.references import AVERAGE, FIRST_FRAME_ANCHOR, REFERENCE, REFERENCE_OR_FIRST
from custom_nodes.videogen.nodes.frames.color_match import VideoGenColorMatch
from custom_nodes.videogen.tensor.color_space import srgb_to_lab
from tests.nodes.frames.field_story import FRAMES, make_frames, make_plan, save


def mean_lab(image: Tensor) -> Tensor:
    return srgb_to_lab(image[..., :3].double()).mean(dim=(-3, -2))


def drift(frames: Tensor) -> Tensor:
    """Frames that get darker and warmer, as they do when each is made from the one before."""
    steps = torch.arange(len(frames), dtype=frames.dtype)[:, None, None, None]
    return (frames * (1 - 0.05 * steps) + torch.tensor([0.02, 0.0, -0.02]) * steps).clamp(0, 1)


def spread_of(frames: Tensor) -> float:
    return mean_lab(frames).std(dim=0).norm().item()


@pytest.mark.parametrize("method", ["clamped", "mean and spread", "covariance"])
def test_colors_that_drift_are_brought_back(method: str) -> None:
    frames = make_frames(1).expand(FRAMES, -1, -1, -1)
    drifted = drift(frames)
    spreads = [
        spread_of(VideoGenColorMatch.execute(drifted, FIRST_FRAME_ANCHOR, method, strength)[0])
        for strength in (0, 0.5, 1)
    ]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < 0.05 * spreads[0]
    matched = VideoGenColorMatch.execute(drifted, FIRST_FRAME_ANCHOR, method, 1.0)[0]
    assert torch.equal(matched[0], drifted[0])
    assert (matched - frames).abs().mean() < 0.1 * (drifted - frames).abs().mean()


def test_strength_0_gives_the_frames_themselves() -> None:
    frames = drift(make_frames())
    assert VideoGenColorMatch.execute(frames, REFERENCE, "covariance", 0.0)[0] is frames


def test_the_average_of_the_frames() -> None:
    frames = drift(make_frames(1).expand(FRAMES, -1, -1, -1))
    matched = VideoGenColorMatch.execute(frames, AVERAGE, "mean and spread", 1.0)[0]
    torch.testing.assert_close(mean_lab(matched), mean_lab(frames).mean(dim=0).expand(FRAMES, -1), rtol=0, atol=0.05)


def test_a_reference_of_the_graph_or_of_the_place(input_folder: Path) -> None:
    frames = make_frames()
    goal = torch.full((1, 10, 10, 3), 0.5) + torch.tensor([0.05, 0.0, -0.05])
    matched = VideoGenColorMatch.execute(frames, REFERENCE, "mean and spread", 1.0, reference=goal)[0]
    torch.testing.assert_close(mean_lab(matched), mean_lab(goal).expand(FRAMES, -1), rtol=0, atol=0.1)
    save(input_folder, "videogen/test/field.png", (140, 128, 115))
    placed = VideoGenColorMatch.execute(frames, REFERENCE_OR_FIRST, "mean and spread", 1.0, segment=make_plan())[0]
    torch.testing.assert_close(mean_lab(placed), mean_lab(matched), rtol=0, atol=0.5)


def test_without_a_reference_the_first_frame_counts_or_a_sentence_says_so(input_folder: Path) -> None:
    frames = drift(make_frames())
    expected = VideoGenColorMatch.execute(frames, FIRST_FRAME_ANCHOR, "clamped", 1.0)[0]
    for segment in (None, make_plan(), make_plan(2)):
        found = VideoGenColorMatch.execute(frames, REFERENCE_OR_FIRST, "clamped", 1.0, segment=segment)[0]
        assert torch.equal(found, expected)
    for segment, words in (
        (None, "neither `reference` nor `segment`"),
        (make_plan(), "locations.field"),
        (make_plan(2), "no location"),
    ):
        with pytest.raises(VideoGenError, match=words) as caught:
            VideoGenColorMatch.execute(frames, REFERENCE, "clamped", 1.0, segment=segment)
        assert caught.value.code == "reference-missing"


def test_only_what_the_mask_shows_is_compared() -> None:
    frames = make_frames(1).repeat(2, 1, 1, 1)
    frames[1] = (frames[1] * 0.8).clamp(0, 1)
    frames[1, :, :48] = 1.0  # a person in white steps into the image
    mask = torch.zeros(1, 28, 48)
    mask[:, :, 25:] = 1
    matched = VideoGenColorMatch.execute(frames, FIRST_FRAME_ANCHOR, "mean and spread", 1.0, mask=mask)[0]
    assert (matched[1, :, 52:] - frames[0, :, 52:]).abs().mean() < 0.02
    without = VideoGenColorMatch.execute(frames, FIRST_FRAME_ANCHOR, "mean and spread", 1.0)[0]
    assert (without[1, :, 52:] - frames[0, :, 52:]).abs().mean() > 0.05


def test_masks_that_cannot_be_used() -> None:
    frames = make_frames()
    with pytest.raises(VideoGenError, match="`mask` has 3 masks for 4 frames, expected 1 or 4"):
        VideoGenColorMatch.execute(frames, FIRST_FRAME_ANCHOR, "clamped", 1.0, mask=torch.ones(3, 56, 96))
    with pytest.raises(VideoGenError, match="nothing of picture 1 of `images` can be measured"):
        VideoGenColorMatch.execute(frames, FIRST_FRAME_ANCHOR, "clamped", 1.0, mask=torch.zeros(1, 56, 96))
    black_later = torch.ones(4, 56, 96)
    black_later[2] = 0
    with pytest.raises(VideoGenError, match="frame 3 has no pixel"):
        VideoGenColorMatch.execute(frames, FIRST_FRAME_ANCHOR, "clamped", 1.0, mask=black_later)


@pytest.mark.parametrize("channels", [1, 4])
def test_gray_and_alpha(channels: int) -> None:
    frames = drift(make_frames(channels=3))[..., :1] if channels == 1 else make_frames(channels=4)
    matched = VideoGenColorMatch.execute(frames, AVERAGE, "covariance", 1.0)[0]
    assert matched.shape == frames.shape
    assert torch.isfinite(matched).all()
    if channels == 4:
        assert torch.equal(matched[..., 3], frames[..., 3])


def test_one_frame_and_its_own_colors() -> None:
    frame = make_frames(1)
    assert torch.equal(VideoGenColorMatch.execute(frame, FIRST_FRAME_ANCHOR, "clamped", 1.0)[0], frame)
    matched = VideoGenColorMatch.execute(frame, AVERAGE, "covariance", 1.0)[0]
    torch.testing.assert_close(matched, frame, rtol=0, atol=1e-3)


def test_an_interruption_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Exception):
        pass

    def interrupt() -> None:
        raise Interrupted

    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", interrupt)
    with pytest.raises(Interrupted):
        VideoGenColorMatch.execute(make_frames(), AVERAGE, "clamped", 1.0)


# ------------------------------------------------------------------ transparent frames, HDR


def with_alpha(frames: Tensor, transparent: int) -> Tensor:
    alpha = torch.ones(*frames.shape[:3], 1)
    alpha[transparent] = 0
    return torch.cat([frames, alpha], dim=-1)


@pytest.mark.parametrize("transparent", [0, 2, FRAMES - 1])
@pytest.mark.parametrize("anchor", [FIRST_FRAME_ANCHOR, AVERAGE])
def test_a_transparent_frame_stays_as_it_is(anchor: str, transparent: int) -> None:
    """It has no colors; the others are matched as if it was not there."""
    frames = drift(make_frames())
    matched = VideoGenColorMatch.execute(with_alpha(frames, transparent), anchor, "clamped", 1.0)[0]
    assert torch.equal(matched[transparent], with_alpha(frames, transparent)[transparent])
    others = [index for index in range(FRAMES) if index != transparent]
    alone = VideoGenColorMatch.execute(frames[others], anchor, "clamped", 1.0)[0]
    torch.testing.assert_close(matched[others, ..., :3], alone, rtol=0, atol=1e-6)


def test_a_shot_that_is_all_transparent_stays_as_it_is() -> None:
    frames = torch.cat([make_frames(), torch.zeros(FRAMES, 56, 96, 1)], dim=-1)
    assert torch.equal(VideoGenColorMatch.execute(frames, AVERAGE, "clamped", 1.0)[0], frames)


def test_a_transparent_reference_is_named_and_one_of_several_does_not_count() -> None:
    frames, goal = make_frames(), torch.full((2, 10, 10, 4), 0.5)
    goal[0, ..., 3] = 0
    with pytest.raises(VideoGenError, match="the picture on `reference` is fully transparent") as caught:
        VideoGenColorMatch.execute(frames, REFERENCE, "clamped", 1.0, reference=goal[:1])
    assert caught.value.code == "image-invalid"
    both = VideoGenColorMatch.execute(frames, REFERENCE, "clamped", 1.0, reference=goal)[0]
    assert torch.equal(both, VideoGenColorMatch.execute(frames, REFERENCE, "clamped", 1.0, reference=goal[1:])[0])


def test_a_mask_is_blamed_only_where_one_is_connected() -> None:
    frames = with_alpha(make_frames(), 1)
    frames[:, :, 48:, 3] = 0
    mask = torch.zeros(1, 56, 96)
    mask[:, :, 48:] = 1
    with pytest.raises(VideoGenError, match="its mask is black, or white only where the picture is transparent"):
        VideoGenColorMatch.execute(frames, FIRST_FRAME_ANCHOR, "clamped", 1.0, mask=mask)
    mask[:, :, :8] = 1
    assert VideoGenColorMatch.execute(frames, FIRST_FRAME_ANCHOR, "clamped", 1.0, mask=mask)[0].shape == frames.shape


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_hdr_is_clipped_in_every_frame(strength: float) -> None:
    frames = make_frames() * 4 - 0.2
    matched = VideoGenColorMatch.execute(frames, FIRST_FRAME_ANCHOR, "clamped", strength)[0]
    assert all(float(frame.max()) <= 1 and float(frame.min()) >= 0 for frame in matched)
    assert torch.equal(matched[0], frames[0].clamp(0, 1))
