"""VideoGenReference and VideoGenApplyCharacters: a story's cast on a real, tiny model."""

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

from custom_nodes.videogen.comfyui import cast_images
from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.core.errors import ProblemList, VideoGenError
from custom_nodes.videogen.media.images.image_files import FileWatch
from custom_nodes.videogen.nodes.characters import apply_characters
from custom_nodes.videogen.nodes.characters.apply_characters import VideoGenApplyCharacters
from custom_nodes.videogen.nodes.characters.reference import VideoGenReference
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.tiny_encoders import CountingEncoder
from tests.nodes.characters.garden_story import STORY, look, pixels, plain, sample, segment

# ------------------------------------------------------------------ two people in one shot


def test_each_image_acts_in_its_half_only(apply: Any, folder: Path) -> None:
    before = look(apply(segment(1))[0])
    Image.fromarray(pixels(77)).save(folder / "anna.png")
    changed = (look(apply(segment(1))[0]) - before).abs().amax(-1)
    # 16 of 32 columns are hers, and half the feather (1 column) on either side of the border may be anybody's.
    assert bool((changed[:, :15] > 0).all())
    assert bool((changed[:, 17:] == 0).all())


def test_the_masks_of_two_people_add_up_to_one(apply: Any) -> None:
    masks = apply(segment(1), location_weight=0.0)[1]
    assert masks.shape == (2, 256, 512)
    assert torch.equal(masks.sum(0), torch.ones(256, 512))


def test_two_people_leave_no_room_for_the_place(apply: Any) -> None:
    _, masks, _, report = apply(segment(1))
    assert not bool(masks[2].any())
    assert report.splitlines() == [
        "character anna: weight 0.8, 50% of the frame, 1 picture from anna.png",
        "character ben: weight 0.6, 50% of the frame, 2 pictures from ben.png, people/ben2.png",
        "location garden: weight 0.3, no room left by the others, 1 picture from garden.png",
    ]


# ------------------------------------------------------------------ others


def test_who_is_alone_without_a_region_is_everywhere_and_the_place_too(apply: Any, model: Any, adapter: Any) -> None:
    patched, masks, images, _ = apply(segment(3))
    assert bool((masks == 1).all())
    assert images.shape == (3, 336, 336, 3)
    # Both act in full: the same as one by one, and not half of each.
    by_hand = apply(segment(3), character_weight=0.0)[0]
    only_ben = apply(segment(3), location_weight=0.0)[0]
    both = look(by_hand) + look(only_ben) - plain(model)
    assert torch.allclose(look(patched), both, atol=1e-5)


def test_kinds_beside_a_region_act_in_full(apply: Any, model: Any) -> None:
    together = look(apply(segment(2))[0])
    parts = [
        look(apply(segment(2), **weights)[0]) - plain(model)
        for weights in (
            {"object_weight": 0.0, "location_weight": 0.0},
            {"character_weight": 0.0, "location_weight": 0.0},
            {"character_weight": 0.0, "object_weight": 0.0},
        )
    ]
    right = plain(model)[:, 26:] + sum(part[:, 26:] for part in parts)
    assert torch.allclose(together[:, 26:], right, atol=1e-5)


def test_a_segment_without_anybody_leaves_the_model_alone(apply: Any, model: Any) -> None:
    patched, masks, images, report = apply(segment(4))
    assert patched is model
    assert (masks.shape, images.shape, report) == ((1, 256, 512), (1, 336, 336, 3), "no reference pictures")


def test_all_of_it_samples(apply: Any, model: Any) -> None:
    results = [sample(apply(segment(number))[0], frames=2) for number in (1, 2, 3)]
    without = sample(model, frames=2)
    for result in results:
        assert bool(torch.isfinite(result).all())
        assert float((result - without).abs().max()) > 1e-3


def test_start_and_end_reach_the_model(apply: Any, model: Any) -> None:
    assert torch.equal(sample(apply(segment(1), end_at=0.0)[0]), sample(model))
    late = sample(apply(segment(1), start_at=0.9)[0])
    assert not torch.equal(late, sample(apply(segment(1))[0]))


def test_images_of_one_character_share_its_weight(apply: Any, folder: Path) -> None:
    (folder / "people" / "ben2.png").write_bytes((folder / "ben.png").read_bytes())
    twice = look(apply(segment(3), location_weight=0.0)[0])
    story = {**STORY["characters"], "ben": {"segments": "3", "reference": "ben.png", "weight": 0.6}}
    once = look(apply(segment(3, characters=story), location_weight=0.0)[0])
    assert torch.allclose(twice, once, atol=1e-5)


def test_images_are_encoded_once_for_all_segments(apply: Any, encoder: CountingEncoder, folder: Path) -> None:
    Image.fromarray(pixels(991)).save(folder / "anna.png")
    Image.fromarray(pixels(992)).save(folder / "videogen/garden/tree.png")
    before = encoder.images
    for _ in range(3):
        apply(segment(1))
        apply(segment(2))
    assert encoder.images - before <= 2 + 3  # the two that are new, and those that no test before has seen


# ------------------------------------------------------------------ mask images


def test_a_mask_image_says_where_somebody_is(apply: Any, folder: Path) -> None:
    drawn = np.zeros((32, 64), dtype=np.uint8)
    drawn[:, 48:] = 255
    Image.fromarray(drawn).save(folder / "right.png")
    people = {"anna": {**STORY["characters"]["anna"], "region": "right.png"}, "ben": STORY["characters"]["ben"]}
    masks = apply(segment(1, characters=people), location_weight=0.0)[1]
    assert float(masks[0, 128, 500]) == 1
    assert bool((masks[0, :, :360] == 0).all())
    assert torch.allclose(masks[1], 1 - masks[0])


def test_a_mask_of_another_shape_is_refused(apply: Any, folder: Path) -> None:
    Image.new("L", (64, 64), 255).save(folder / "square.png")
    people = {"anna": {**STORY["characters"]["anna"], "region": "square.png"}}
    with pytest.raises(VideoGenError, match=r"'square.png' is 64×64, .* 128×64") as caught:
        apply(segment(1, characters=people))
    assert caught.value.code == "mask-invalid"


# ------------------------------------------------------------------ what is missing


def test_all_missing_images_are_named_at_once(apply: Any, folder: Path) -> None:
    people = {**STORY["characters"], "anna": {**STORY["characters"]["anna"], "region": "nowhere.png"}}
    for name in ("anna.png", "people/ben2.png", "garden.png"):
        (folder / name).unlink()
    with pytest.raises(ProblemList) as caught:
        apply(segment(1, characters=people))
    assert caught.value.code == "reference-missing"
    assert [str(problem) for problem in caught.value.problems] == [
        "characters.anna: its picture 'anna.png' is not in ComfyUI's input folder",
        "characters.ben: its picture 'people/ben2.png' is not in ComfyUI's input folder",
        "locations.garden: its picture 'garden.png' is not in ComfyUI's input folder",
        "characters.anna: the mask 'nowhere.png' of its region is not in ComfyUI's input folder",
    ]
    assert "workflows/character_references.json" in caught.value.hint


def test_going_on_without_somebody_leaves_the_place_empty(
    apply: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "anna.png").unlink()
    with caplog.at_level(logging.WARNING):
        _, masks, _, report = apply(segment(1), missing="go on without")
    assert "segment 1 continues without: characters.anna" in caplog.text
    assert masks.shape[0] == 2
    assert bool((masks[0, :, :220] == 0).all()), "Ben does not take Anna's half"
    assert report.splitlines()[-1].startswith("without characters.anna: its picture 'anna.png'")


def test_who_is_missing_takes_no_share_of_what_is_left(apply: Any, folder: Path) -> None:
    things = {"tree": {"segments": "2"}, "bench": {"segments": "2"}}
    masks = apply(segment(2, objects=things), missing="go on without", location_weight=0.0)[1]
    assert masks.shape[0] == 2
    assert torch.allclose(masks[1], 1 - masks[0])


def test_a_broken_image_is_named(apply: Any, folder: Path) -> None:
    (folder / "anna.png").write_bytes(b"no picture")
    with pytest.raises(VideoGenError, match=r"the picture 'anna.png' cannot be read") as caught:
        apply(segment(1))
    assert caught.value.code == "image-invalid"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("segment", {"number": 1}, "`segment` got dict"),
        ("ipadapter", {"ipadapter": 1}, "`ipadapter` got dict"),
        ("clip_vision", "encoder", "`clip_vision` got str"),
        ("references", ["picture"], "`references` got list, expected the output of VideoGenReference"),
    ],
)
def test_something_else_on_a_socket(apply: Any, name: str, value: object, said: str) -> None:
    with pytest.raises(VideoGenError, match=said) as caught:
        apply(value if name == "segment" else segment(1), **({} if name == "segment" else {name: value}))
    assert caught.value.code == "socket-invalid"


# ------------------------------------------------------------------ ComfyUI's cache


def test_an_image_that_changes_makes_the_node_run_again(
    apply: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = FileWatch()
    monkeypatch.setattr(cast_images, "files_read", watch)
    monkeypatch.setattr(apply_characters, "files_read", watch)

    def fingerprint() -> Any:
        return VideoGenApplyCharacters.fingerprint_inputs(character_weight=0.8, segment=None)

    first = fingerprint()
    apply(segment(1))
    (folder / "garden.png").touch()
    (folder / "somebody_else.png").write_bytes(b"x")
    assert fingerprint() == first
    Image.fromarray(pixels(5)).save(folder / "people" / "ben2.png")
    second = fingerprint()
    assert second != first
    apply(segment(1))
    assert fingerprint() == second


def test_an_image_that_was_missing_and_comes_makes_the_node_run_again(
    apply: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = FileWatch()
    monkeypatch.setattr(cast_images, "files_read", watch)
    monkeypatch.setattr(apply_characters, "files_read", watch)
    content = (folder / "anna.png").read_bytes()
    (folder / "anna.png").unlink()
    first = VideoGenApplyCharacters.fingerprint_inputs()
    apply(segment(1), missing="go on without")
    assert VideoGenApplyCharacters.fingerprint_inputs() == first
    (folder / "anna.png").write_bytes(content)
    assert VideoGenApplyCharacters.fingerprint_inputs() != first


# ------------------------------------------------------------------ widgets


def test_widgets_are_checked_before_anything_runs() -> None:
    assert VideoGenApplyCharacters.validate_inputs(start_at=0.2, end_at=0.8) is True
    assert VideoGenApplyCharacters.validate_inputs(start_at=None, end_at=None) is True
    assert "the end comes before the start" in str(VideoGenApplyCharacters.validate_inputs(start_at=0.8, end_at=0.2))
    assert VideoGenReference.validate_inputs(name="anna") is True
    assert VideoGenReference.validate_inputs(name=None) is True
    assert "`name` is empty" in str(VideoGenReference.validate_inputs(name=" "))


def test_conditions_chain_after_other_adapters(apply: Any, model: Any, adapter: IPAdapter) -> None:
    once = apply(segment(3), location_weight=0.0)[0]
    twice = apply(segment(3), location_weight=0.0, model=once)[0]
    assert torch.allclose(look(twice) - look(once), look(once) - plain(model), atol=1e-5)
    assert apply_image_conditions(model, []) is model


@pytest.mark.parametrize("node", [VideoGenApplyCharacters, VideoGenReference])
def test_comfyui_takes_the_schemas(node: Any) -> None:
    assert node.GET_SCHEMA().node_id == node.__name__
