"""Embeddings of images: encoded, weighed, combined, saved, loaded, and applied."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import torch
from torch import Tensor

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.nodes.characters.embeds_files import VideoGenLoadEmbeds, VideoGenSaveEmbeds
from custom_nodes.videogen.nodes.characters.image_embeds import (
    VideoGenApplyEmbeds,
    VideoGenCombineEmbeds,
    VideoGenEncodeEmbeds,
)
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.random_weights.unets import TINY_SD15
from runner.bench.models.tiny_adapters import draw_adapter
from tests.nodes.characters.test_ip_adapter_nodes import _apply, _assert_different, _assert_same, _images, _sample

KINDS = ("plain", "plus", "full-face")


def adapter_of(kind: str) -> IPAdapter:
    return IPAdapter.from_state(draw_adapter(kind, TINY_SD15), f"{kind}.safetensors")


def encode(encoder: Any, images: Tensor, kind: str = "plain", weight: Any = 1.0, **more: Any) -> tuple[Tensor, Tensor]:
    inputs = {"crop": "center", **more}
    return VideoGenEncodeEmbeds.execute(adapter_of(kind), encoder, images, weight, **inputs).result


def combine(method: str, *embeds: Tensor) -> Tensor:
    first, *others = embeds
    return VideoGenCombineEmbeds.execute(
        first, method, **{f"embeds_{number}": one for number, one in enumerate(others, 2)}
    ).result[0]


def apply_embeds(model: Any, embeds: Any, kind: str = "plain", **changes: Any) -> Any:
    inputs = {"weight": 0.8, "weight_type": "linear", "start_at": 0.0, "end_at": 1.0, "pictures": "together", **changes}
    return VideoGenApplyEmbeds.execute(model, adapter_of(kind), embeds, **inputs).result[0]


# ------------------------------------------------------------------ the same as from the pictures


@pytest.mark.parametrize("kind", KINDS)
def test_encoded_and_applied_is_apply_ip_adapter(model: Any, encoder: Any, kind: str) -> None:
    images = _images(2)
    embeds, negative = encode(encoder, images, kind)
    expected = _sample(_apply(model, encoder, ipadapter=adapter_of(kind), image=images), steps=1)
    assert torch.equal(_sample(apply_embeds(model, embeds, kind, embeds_negative=negative), steps=1), expected)
    assert torch.equal(_sample(apply_embeds(model, embeds, kind, clip_vision=encoder), steps=1), expected)


@pytest.mark.parametrize("method", ["average", "subtract", "norm average"])
def test_combined_is_the_choice_of_apply_ip_adapter(model: Any, encoder: Any, method: str) -> None:
    images = _images(3)
    parts = [encode(encoder, images[number : number + 1])[0] for number in range(3)]
    mixed = combine(method, *parts)
    assert mixed.shape == (1, *parts[0].shape[1:])
    expected = _sample(_apply(model, encoder, image=images, combine=method), steps=1)
    _assert_same(_sample(apply_embeds(model, mixed), steps=1), expected)
    _assert_different(expected, _sample(apply_embeds(model, combine("concat", *parts)), steps=1))


def test_one_per_frame(model: Any, encoder: Any) -> None:
    images = _images(3)
    embeds, _ = encode(encoder, images)
    expected = _sample(_apply(model, encoder, image=images, combine="one per frame"), steps=1)
    assert torch.equal(_sample(apply_embeds(model, embeds, pictures="one per frame"), steps=1), expected)


def test_the_negative_side_is_the_mean_of_its_pictures(model: Any, encoder: Any) -> None:
    wanted, unwanted = _images(1), _images(2, seed=5)
    expected = _sample(_apply(model, encoder, image=wanted, image_negative=unwanted), steps=1)
    found = apply_embeds(model, encode(encoder, wanted)[0], embeds_negative=encode(encoder, unwanted)[0])
    _assert_same(_sample(found, steps=1), expected)


# ------------------------------------------------------------------ weights


def test_each_picture_has_its_weight(encoder: Any) -> None:
    images = _images(2)
    plain, _ = encode(encoder, images)
    assert torch.equal(encode(encoder, images, weight=0.5)[0], plain * 0.5)
    assert torch.equal(encode(encoder, images, weight=[1.0, -0.5])[0], plain * torch.tensor([[1.0], [-0.5]]))
    with pytest.raises(VideoGenError, match="`weight` has 3 numbers for 2 pictures, expected one or 2"):
        encode(encoder, images, weight=[1.0, 1.0, 1.0])
    with pytest.raises(VideoGenError, match="expected -1 to 3"):
        encode(encoder, images, weight=4.0)


def test_a_mask_leaves_the_mean_color(encoder: Any) -> None:
    """ComfyUI_IPAdapter_plus multiplies the normalized pixels by the mask: 0 is the encoder's mean color. ComfyUI's own
    preprocessing rounds to bytes, so that it is the nearest one."""
    image, mask = torch.rand(1, 224, 224, 3), torch.zeros(1, 224, 224)
    mask[:, :, 100:] = 1
    found, _ = encode(encoder, image, mask=mask)
    mean, std = (torch.tensor(values) for values in (encoder.image_mean, encoder.image_std))
    shown = torch.where(mask[..., None] == 1, image, mean)
    pixels = ((shown * 255).round() / 255 - mean) / std
    theirs = ((image * 255).round() / 255 - mean) / std * mask[..., None]
    assert (pixels - theirs).abs().max() <= 0.5 / 255 / float(std.min())
    expected = encoder.model(pixel_values=pixels.movedim(-1, 1).float(), intermediate_output=-2)[2].detach()
    torch.testing.assert_close(found, expected)
    assert (found - encode(encoder, image)[0]).norm() / expected.norm() > 0.05
    rgba = torch.cat([image, mask[..., None]], dim=-1)
    assert torch.equal(encode(encoder, rgba)[0], found)


# ------------------------------------------------------------------ files


def test_saved_embeddings_come_back(folder: Path, encoder: Any) -> None:
    embeds, _ = encode(encoder, _images(2), "plus")
    output = VideoGenSaveEmbeds.execute(embeds, "people/anna.ipadpt")
    assert torch.equal(output.result[0], embeds)
    assert output.result[1] == output.ui["videogen"][0]["file"] == "people/anna.ipadpt"
    assert torch.equal(VideoGenLoadEmbeds.execute("people/anna.ipadpt").result[0], embeds)
    [file] = VideoGenLoadEmbeds.define_schema().inputs
    assert file.options == ["people/anna.ipadpt"]
    # A second one replaces it; the first is kept, and not offered.
    VideoGenSaveEmbeds.execute(embeds * 2, "people/anna.ipadpt")
    before = VideoGenLoadEmbeds.fingerprint_inputs("people/anna.ipadpt")
    assert torch.equal(VideoGenLoadEmbeds.execute("people/anna.ipadpt").result[0], embeds * 2)
    assert [path.name for path in (folder / "people" / "previous").iterdir()] == ["anna_001.ipadpt"]
    assert VideoGenLoadEmbeds.define_schema().inputs[0].options == ["people/anna.ipadpt"]
    VideoGenSaveEmbeds.execute(embeds, "people/anna.ipadpt")
    assert VideoGenLoadEmbeds.fingerprint_inputs("people/anna.ipadpt") != before
    assert not list(folder.rglob("*.part"))


def test_files_of_ipadapter_plus_are_read_and_ours_are_theirs(folder: Path, encoder: Any) -> None:
    """Theirs are written by `torch.save(embeds, file)`, also on a card and in half precision, and read by `torch.load`."""
    embeds, _ = encode(encoder, _images(1))
    torch.save(embeds.half(), folder / "IP_embeds_00001.ipadpt")
    found = VideoGenLoadEmbeds.execute("IP_embeds_00001.ipadpt").result[0]
    assert (found.dtype, found.device.type) == (torch.float32, "cpu")
    torch.testing.assert_close(found, embeds, rtol=1e-3, atol=1e-3)
    VideoGenSaveEmbeds.execute(embeds, "ours.ipadpt")
    assert torch.equal(torch.load(folder / "ours.ipadpt", weights_only=True).cpu(), embeds)


class Harmful:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("harm"),))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_bytes(b"hello there, no tensor at all"), "cannot be read"),
        (lambda path: torch.save({"a": torch.zeros(2)}, path), "hold 1 named tensors"),
        (lambda path: torch.save(torch.zeros(5), path), "has shape"),
        (lambda path: torch.save(torch.full((1, 4), torch.nan), path), "not numbers"),
        (lambda path: path.write_bytes(pickle.dumps(Harmful())), "contains code that loading would run"),
    ],
    ids=["empty", "text", "dictionary", "shape", "NaN", "code"],
)
def test_files_that_are_no_embeddings(folder: Path, make: Any, said: str) -> None:
    make(folder / "odd.ipadpt")
    with pytest.raises(VideoGenError, match=said) as caught:
        VideoGenLoadEmbeds.execute("odd.ipadpt")
    assert caught.value.code == "adapter-unreadable"
    assert caught.value.message.startswith("the embeddings odd.ipadpt")
    assert not Path("harm").exists()


@pytest.mark.parametrize("file", ["../out.ipadpt", "/tmp/out.ipadpt", "anna.png", "", "C:\\x.ipadpt", ".ipadpt"])
def test_names_outside_and_of_other_kinds(folder: Path, file: str) -> None:
    said = VideoGenSaveEmbeds.validate_inputs(file)
    assert isinstance(said, str)
    assert said.startswith("`file` is")
    with pytest.raises(VideoGenError):
        VideoGenSaveEmbeds.execute(torch.zeros(1, 4), file)


def test_a_file_that_is_not_there(folder: Path) -> None:
    assert "are not in" in VideoGenLoadEmbeds.validate_inputs("nobody.ipadpt")
    assert "no file is chosen" in VideoGenLoadEmbeds.validate_inputs("")


# ------------------------------------------------------------------ what does not fit


def test_embeddings_of_another_kind_are_named(model: Any, encoder: Any) -> None:
    plain, plus = encode(encoder, _images(1))[0], encode(encoder, _images(1), "plus")[0]
    with pytest.raises(VideoGenError, match=r"`embeds` has shape .* and plus\.safetensors takes") as caught:
        apply_embeds(model, plain, "plus", clip_vision=encoder)
    assert caught.value.code == "adapter-mismatch"
    assert "plus adapters need other embeddings than plain ones" in caught.value.hint
    with pytest.raises(VideoGenError, match="embeddings are of different kinds"):
        combine("concat", plain, plus)
    with pytest.raises(VideoGenError, match="subtract needs others"):
        combine("subtract", plain)
    with pytest.raises(VideoGenError, match="needs its encoder for the negative prompt"):
        apply_embeds(model, plus, "plus")
    assert apply_embeds(model, plain) is not model  # plain ones have zeros there
    for value in ("text", torch.zeros(4), torch.zeros(1, 4, dtype=torch.int64), {}):
        with pytest.raises(VideoGenError, match="`embeds`"):
            apply_embeds(model, value)
