"""Location, called as ComfyUI calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.needs import require_comfy

require_comfy()

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.frame_seeds import entity_seed
from custom_nodes.videogen.core.segment.references import FIRST_FRAME_ANCHOR, REFERENCE
from custom_nodes.videogen.nodes.frames.color_match import VideoGenColorMatch
from custom_nodes.videogen.nodes.frames.location import VideoGenLocation
from custom_nodes.videogen.tensor.color_space import srgb_to_lab
from runner.bench.models.hidden_inputs import in_graph
from tests.nodes.frames.field_story import make_frames, make_plan, save


def mean_lab(image: Tensor) -> Tensor:
    return srgb_to_lab(image[..., :3].double()).mean(dim=(-3, -2))


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
        VideoGenColorMatch.execute(frames, FIRST_FRAME_ANCHOR, "clamped", 1.0)
    with pytest.raises(VideoGenError, match="frame 3 of `reference` has values"):
        VideoGenColorMatch.execute(make_frames(), REFERENCE, "clamped", 1.0, reference=frames)
    with pytest.raises(VideoGenError, match="frame 1 of `image` has values"):
        VideoGenLocation.execute(make_plan(), image=frames[2:])
