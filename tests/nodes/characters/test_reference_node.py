"""References of the graph, through Apply Characters."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import numpy as np
import torch
from PIL import Image

from custom_nodes.videogen.comfyui.reference_images import References
from custom_nodes.videogen.comfyui.sockets import need_references
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.nodes.characters.reference import VideoGenReference
from tests.nodes.characters.garden_story import STORY, look, pixels, segment


def refer(name: str, seed: int = 50, **more: Any) -> References:
    image = torch.from_numpy(pixels(seed)).float()[None] / 255
    return VideoGenReference.execute(name, **{"image": image, **more}).result[0]


def test_an_image_of_the_graph_stands_in_for_the_story_s_files(apply: Any, folder: Path) -> None:
    (folder / "anna.png").unlink()
    (folder / "ben.png").unlink()
    given = refer("ben", 2, references=refer("anna", 1))
    report = apply(segment(1), references=given)[3]
    assert "anna: weight 0.8, 50% of the frame, 1 picture from the workflow" in report
    assert "ben: weight 0.6, 50% of the frame, 1 picture from the workflow" in report


def test_the_same_image_from_the_graph_does_the_same(apply: Any) -> None:
    story = {"anna": STORY["characters"]["anna"]}
    by_file = look(apply(segment(1, characters=story), location_weight=0.0)[0])
    by_graph = look(apply(segment(1, characters=story), location_weight=0.0, references=refer("anna", 1))[0])
    assert torch.allclose(by_file, by_graph, atol=1e-5)


def test_a_batch_and_a_chain_are_several_images() -> None:
    images = torch.rand(2, 8, 8, 3)
    given = refer("anna", image=images, references=refer("anna", references=refer("ben")))
    assert given.names == ("ben", "anna")
    assert [len(given.of(name)) for name in ("anna", "ben", "cleo")] == [3, 1, 0]


def test_a_location_without_a_reference_can_be_given_one(apply: Any) -> None:
    places = {"garden": {"segments": "1-3"}}
    assert "garden" not in apply(segment(3, locations=places))[3]
    assert "location garden" in apply(segment(3, locations=places), references=refer("garden"))[3]


def test_who_is_not_in_the_segment_is_not_used(apply: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        report = apply(segment(1), references=refer("tree", references=refer("bem")))[3]
    assert "tree" not in report
    assert "shows 'bem', who is not in segment 1 (did you mean 'ben'?)" in caplog.text
    assert [record.levelname for record in caplog.records if "`references` shows" in record.message] == [
        "WARNING",
        "INFO",
    ]


def test_the_mask_of_a_reference_is_its_figure(apply: Any) -> None:
    image = torch.rand(1, 100, 200, 3)
    image[:, 20:40, 100:120] = 0.25
    mask = torch.zeros(1, 50, 100)
    mask[:, 10:20, 50:60] = 1
    story = {"anna": STORY["characters"]["anna"]}
    given = refer("anna", image=image, mask=mask)
    whole = apply(segment(1, characters=story), location_weight=0.0, references=given)[2]
    crop = apply(segment(1, characters=story), location_weight=0.0, references=given, crop_to_figure=True)[2]
    quarter = lambda images: float(((images - 0.25).abs() < 0.02).all(-1).float().mean())  # noqa: E731
    assert quarter(whole) < 0.05
    assert quarter(crop) > 0.5


def test_an_empty_mask_counts_as_none() -> None:
    given = refer("anna", mask=torch.zeros(1, 64, 64))
    assert given.of("anna")[0].figure is None


def test_transparency_is_the_figure_of_a_file(apply: Any, folder: Path) -> None:
    rgba = np.zeros((100, 100, 4), dtype=np.uint8)
    rgba[40:60, 10:30] = 255
    Image.fromarray(rgba).save(folder / "anna.png")
    story = {"anna": STORY["characters"]["anna"]}
    crop = apply(segment(1, characters=story), location_weight=0.0, crop_to_figure=True)[2]
    assert float((crop > 0.98).all(-1).float().mean()) > 0.5


@pytest.mark.parametrize(
    ("inputs", "code", "said"),
    [
        ({"name": "  "}, "widget-invalid", "`name` is empty"),
        ({"image": torch.zeros(0, 8, 8, 3)}, "image-invalid", "0 pictures"),
        ({"image": torch.full((1, 8, 8, 3), float("nan"))}, "image-invalid", "not numbers"),
        ({"image": torch.zeros(8, 8, 3)}, "image-invalid", r"shape \(8, 8, 3\)"),
        ({"mask": torch.ones(3, 48, 40)}, "mask-invalid", "3 masks for 1 picture"),
        (
            {"mask": torch.ones(1, 48, 80)},
            "mask-invalid",
            "`mask` is 80×48 and `image` 40×48: the mask has another shape",
        ),
        ({"references": {"anna": 1}}, "socket-invalid", "`references` got dict"),
    ],
)
def test_a_reference_that_cannot_be_used(inputs: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(VideoGenError, match=said) as caught:
        refer(**{"name": "anna", **inputs})
    assert caught.value.code == code


def test_nothing_connected_is_no_reference() -> None:
    assert need_references(None) == References()
