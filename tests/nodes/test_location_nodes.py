"""Location, Color Match and Keyframe Motion, called as ComfyUI calls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.model_management
import folder_paths
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.camera_path import camera_path
from custom_nodes.videogen.core.segment.frame_seeds import entity_seed
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.nodes.frames.keyframe_motion import VideoGenKeyframeMotion
from custom_nodes.videogen.nodes.frames.location import (
    AVERAGE,
    FIRST_FRAME,
    REFERENCE,
    REFERENCE_OR_FIRST,
    VideoGenColorMatch,
    VideoGenLocation,
)
from custom_nodes.videogen.tensor.color_space import srgb_to_lab
from custom_nodes.videogen.tensor.keyframe_motion import look_at
from runner.bench.models.hidden_inputs import in_graph

FRAMES = 4


@pytest.fixture
def input_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folder_paths, "get_input_directory", lambda: str(tmp_path))
    return tmp_path


def make_plan(number: int = 1, technical: str = "Schwenk rechts nach links", **location: Any) -> SegmentPlan:
    story = {
        "title": "Test",
        "size": [96, 56],
        "frames": FRAMES,
        "style": {"lighting": "Soft daylight", "kelvin": [5500, 6000]},
        "locations": {"field": {"description": "A field", "segments": "1", **location}},
        "segments": [
            {"prompt": "He digs.", "seed": 7, "technical": technical},
            {"prompt": "He rests.", "seed": 8},
        ],
    }
    return plan_segment(parse_story(story), number)


def save(folder: Path, name: str, color: tuple[int, int, int], size: tuple[int, int] = (120, 120)) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


def make_frames(frames: int = FRAMES, size: tuple[int, int] = (56, 96), channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    small = torch.rand(frames, channels, 7, 12, generator=generator) * 0.4 + 0.3
    return torch.nn.functional.interpolate(small, size, mode="bicubic").clamp(0, 1).movedim(1, -1).contiguous()


def mean_lab(image: Tensor) -> Tensor:
    return srgb_to_lab(image[..., :3].double()).mean(dim=(-3, -2))


# ------------------------------------------------------------------ Location


def test_image_words_and_seed_of_a_place(input_folder: Path) -> None:
    save(input_folder, "videogen/test/field.png", (40, 80, 120))
    image, prompt, seed = VideoGenLocation.execute(make_plan(seed=5000)).result
    assert image.shape == (1, 56, 96, 3)
    assert (image[0] * 255).round().to(torch.uint8).unique(dim=0).tolist()[0][0] == [40, 80, 120]
    assert prompt == "A field. Soft daylight. neutral colour temperature of 5500 to 6000 K."
    assert seed == 5000


def test_the_story_s_own_image_counts(input_folder: Path) -> None:
    save(input_folder, "videogen/test/field.png", (0, 0, 0))
    save(input_folder, "places/field.jpg", (255, 255, 255))
    image = VideoGenLocation.execute(make_plan(reference="places/field.jpg")).result[0]
    assert image.min() > 0.99


def test_the_middle_of_an_image_of_another_shape(input_folder: Path) -> None:
    field = np.zeros((200, 100, 3), dtype=np.uint8)
    field[90:110] = 255
    path = input_folder / "videogen" / "test" / "field.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(field).save(path)
    image = VideoGenLocation.execute(make_plan()).result[0][0, :, :, 0]
    assert image[28].min() > 0.9
    assert image[[0, -1]].max() < 0.1
    torch.testing.assert_close(image, image.flip(0), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("wanted", "size"), [({}, (56, 96)), ({"width": 50, "height": 33}, (32, 48)), ({"width": 3}, (56, 8))]
)
def test_sizes_that_a_model_takes(input_folder: Path, wanted: dict[str, int], size: tuple[int, int]) -> None:
    image = VideoGenLocation.execute(make_plan(), image=make_frames(1, (40, 40)), **wanted).result[0]
    assert tuple(image.shape) == (1, *size, 3)


def test_a_connected_image_takes_its_place(input_folder: Path) -> None:
    save(input_folder, "videogen/test/field.png", (0, 0, 0))
    for channels in (1, 3, 4):
        image = VideoGenLocation.execute(make_plan(), image=torch.full((2, 56, 96, channels), 0.5)).result[0]
        torch.testing.assert_close(image, torch.full((1, 56, 96, 3), 0.5), rtol=0, atol=1e-6)


def test_without_an_image_only_who_wants_it_is_stopped(input_folder: Path) -> None:
    plan = make_plan()
    image, prompt, seed = in_graph(VideoGenLocation, [1, 2]).execute(plan).result
    assert image is None
    with pytest.raises(
        VideoGenError, match=r"locations\.field: .*'videogen/test/field\.png' is not in ComfyUI's input"
    ):
        in_graph(VideoGenLocation, [0]).execute(plan)
    assert prompt.startswith("A field.")
    assert plan.location is not None
    assert seed == entity_seed(plan.location, "test")


def test_in_a_graph_that_is_not_known_everything_is_wanted(input_folder: Path) -> None:
    node = in_graph(VideoGenLocation)
    assert node.execute(make_plan())[0] is None
    node.hidden.unique_id = "7.0.0.3"
    with pytest.raises(VideoGenError, match=r"locations\.field"):
        node.execute(make_plan())


def test_nowhere(input_folder: Path) -> None:
    _, prompt, seed = in_graph(VideoGenLocation, [1]).execute(make_plan(2)).result
    with pytest.raises(VideoGenError, match="segment 2 has no location"):
        VideoGenLocation.execute(make_plan(2))
    assert prompt == "Soft daylight. neutral colour temperature of 5500 to 6000 K."
    assert seed == 8


def test_an_image_that_changes_is_noticed(input_folder: Path) -> None:
    save(input_folder, "videogen/test/field.png", (40, 80, 120))
    in_graph(VideoGenLocation, [0]).execute(make_plan())
    before = VideoGenLocation.fingerprint_inputs()
    assert VideoGenLocation.fingerprint_inputs() == before
    save(input_folder, "videogen/test/field.png", (41, 80, 120))
    assert VideoGenColorMatch.fingerprint_inputs() != before


def test_a_damaged_image_and_one_outside(input_folder: Path) -> None:
    path = input_folder / "field.png"
    path.write_bytes(b"no picture")
    with pytest.raises(VideoGenError, match=r"the picture 'field.png' cannot be read"):
        VideoGenLocation.execute(make_plan(reference="field.png"))


def test_values_that_are_no_numbers() -> None:
    frames = make_frames()
    frames[2, 3, 4, 1] = float("nan")
    with pytest.raises(VideoGenError, match="frame 3 of `images` has values that are not numbers"):
        VideoGenColorMatch.execute(frames, FIRST_FRAME, "clamped", 1.0)
    with pytest.raises(VideoGenError, match="frame 3 of `reference` has values"):
        VideoGenColorMatch.execute(make_frames(), REFERENCE, "clamped", 1.0, reference=frames)
    with pytest.raises(VideoGenError, match="frame 1 of `image` has values"):
        VideoGenLocation.execute(make_plan(), image=frames[2:])


# ------------------------------------------------------------------ Color Match


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
        spread_of(VideoGenColorMatch.execute(drifted, FIRST_FRAME, method, strength)[0]) for strength in (0, 0.5, 1)
    ]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < 0.05 * spreads[0]
    matched = VideoGenColorMatch.execute(drifted, FIRST_FRAME, method, 1.0)[0]
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
    expected = VideoGenColorMatch.execute(frames, FIRST_FRAME, "clamped", 1.0)[0]
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
    frames[1, :, :48] = 1.0  # somebody in white steps into the image
    mask = torch.zeros(1, 28, 48)
    mask[:, :, 25:] = 1
    matched = VideoGenColorMatch.execute(frames, FIRST_FRAME, "mean and spread", 1.0, mask=mask)[0]
    assert (matched[1, :, 52:] - frames[0, :, 52:]).abs().mean() < 0.02
    without = VideoGenColorMatch.execute(frames, FIRST_FRAME, "mean and spread", 1.0)[0]
    assert (without[1, :, 52:] - frames[0, :, 52:]).abs().mean() > 0.05


def test_masks_that_cannot_be_used() -> None:
    frames = make_frames()
    with pytest.raises(VideoGenError, match="`mask` has 3 masks for 4 frames, expected 1 or 4"):
        VideoGenColorMatch.execute(frames, FIRST_FRAME, "clamped", 1.0, mask=torch.ones(3, 56, 96))
    with pytest.raises(VideoGenError, match="nothing of picture 1 of `images` can be measured"):
        VideoGenColorMatch.execute(frames, FIRST_FRAME, "clamped", 1.0, mask=torch.zeros(1, 56, 96))
    black_later = torch.ones(4, 56, 96)
    black_later[2] = 0
    with pytest.raises(VideoGenError, match="frame 3 has no pixel"):
        VideoGenColorMatch.execute(frames, FIRST_FRAME, "clamped", 1.0, mask=black_later)


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
    assert torch.equal(VideoGenColorMatch.execute(frame, FIRST_FRAME, "clamped", 1.0)[0], frame)
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
    with pytest.raises(Interrupted):
        move(images=make_frames())


# ------------------------------------------------------------------ Keyframe Motion


def move(*, wanted: Sequence[int] = (), **inputs: Any) -> tuple[Any, Any]:
    """The node in a graph in which somebody wants these outputs."""
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
        ({"images": make_frames(1), "wanted": [1]}, "has no `latent` to give"),
        ({"latent": {"samples": torch.zeros(1, 4, 8, 8)}, "wanted": [0]}, "has no `images` to give"),
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
