"""Keyframe Motion, called as ComfyUI calls it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.model_management
import torch

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.camera_path import camera_path
from custom_nodes.videogen.nodes.frames.keyframe_motion import VideoGenKeyframeMotion
from custom_nodes.videogen.tensor.keyframe_motion import look_at
from runner.bench.models.hidden_inputs import in_graph
from tests.nodes.frames.field_story import FRAMES, make_frames, make_plan


def move(*, wanted: Sequence[int] = (), **inputs: Any) -> tuple[Any, Any]:
    """The node in a graph in which these outputs are connected."""
    return (
        in_graph(VideoGenKeyframeMotion, wanted)
        .execute(**{"move": "pan-left", "reach": 0.25, "border": "mirror", "frames": FRAMES, **inputs})
        .result
    )


def test_the_story_moves_the_image() -> None:
    image = make_frames(1)
    images, latent = move(move="segment", segment=make_plan(), images=image, frames=99)
    views = camera_path("pan-left", 1.0, 0.25, FRAMES)
    expected = torch.stack([look_at(image[0], view, (0, 1)).clamp(0, 1) for view in views])
    assert torch.equal(images, expected)
    assert torch.equal(images[0], image[0])
    # The camera goes to the left: what was at the left edge is a quarter further right.
    torch.testing.assert_close(images[-1, :, 24:], image[0, :, :72], rtol=0, atol=1e-5)
    assert latent is None


def test_frames_are_moved_each_by_its_place() -> None:
    frames = make_frames(5)
    images, _ = move(images=frames)
    assert len(images) == 5
    views = camera_path("pan-left", 1.0, 0.25, 5)
    torch.testing.assert_close(images[3], look_at(frames[3], views[3], (0, 1)).clamp(0, 1))


def test_a_latent_goes_the_same_way_with_its_mask() -> None:
    samples = torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 64, 128)
    mask[:, :, :32] = 1
    images, latent = move(latent={"samples": samples, "noise_mask": mask, "batch_index": [0]})
    assert images is None
    assert latent["samples"].shape == (FRAMES, 4, 8, 16)
    assert "batch_index" not in latent
    torch.testing.assert_close(latent["samples"][-1, :, :, 4:], samples[0, :, :, :12], rtol=0, atol=1e-5)
    assert latent["noise_mask"].shape == (FRAMES, 64, 128)
    assert latent["noise_mask"][-1, :, 33:63].min() > 0.99


@pytest.mark.parametrize(
    "inputs", [{"move": "static"}, {"reach": 0.0}, {"move": "segment", "segment": make_plan(technical="statisch")}]
)
def test_a_still_camera_changes_nothing(inputs: dict[str, Any]) -> None:
    frames = make_frames()
    samples = torch.randn(FRAMES, 4, 8, 16)
    images, latent = move(**inputs, images=frames, latent={"samples": samples})
    assert images is frames
    assert latent["samples"] is samples
    single, _ = move(**inputs, images=frames[:1])
    assert torch.equal(single, frames[:1].expand(FRAMES, -1, -1, -1))


@pytest.mark.parametrize("border", ["mirror", "crop"])
@pytest.mark.parametrize("kind", ["pan-left", "pan-right", "tilt-up", "tilt-down", "zoom-in", "zoom-out", "track"])
def test_no_black_edges(kind: str, border: str) -> None:
    images, _ = move(move=kind, border=border, reach=0.8, images=make_frames(1) * 0.3 + 0.6)
    assert images.min() > 0.55
    assert images.max() <= 1


def test_alpha_moves_along() -> None:
    images, _ = move(images=make_frames(1, channels=4))
    assert images.shape == (FRAMES, 56, 96, 4)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "neither `images` nor `latent` is connected"),
        ({"move": "segment", "images": make_frames(1)}, "no segment is connected"),
        ({"latent": {"samples": torch.zeros(1, 16, 5, 8, 8)}}, "is the latent of a video model"),
        ({"images": torch.zeros(0, 8, 8, 3)}, "`images` has shape"),
        ({"images": make_frames(1), "wanted": [1]}, "has no `latent` to output"),
        ({"latent": {"samples": torch.zeros(1, 4, 8, 8)}, "wanted": [0]}, "has no `images` to output"),
    ],
)
def test_what_cannot_be_moved(inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(VideoGenError, match=words):
        move(**inputs)


def test_one_frame() -> None:
    image = make_frames(1)
    images, _ = move(images=image, frames=1)
    assert torch.equal(images, image)


def test_fields_refuse_numbers_of_frames_that_cannot_be() -> None:
    schema: Callable[[], Any] = VideoGenKeyframeMotion.define_schema
    frames = next(field for field in schema().inputs if field.id == "frames")
    assert (frames.min, frames.max) == (1, 10_000)


def test_an_interruption_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Exception):
        pass

    def interrupt() -> None:
        raise Interrupted

    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", interrupt)
    with pytest.raises(Interrupted):
        move(images=make_frames())


@pytest.mark.parametrize("direction", ["static", "pan-left"])
def test_hdr_is_clipped_with_and_without_a_move(direction: str) -> None:
    frames = make_frames(3) * 4 - 0.2
    images, _ = move(move=direction, images=frames)
    assert torch.equal(images[0], frames[0].clamp(0, 1))
    assert all(float(image.max()) <= 1 and float(image.min()) >= 0 for image in images)
