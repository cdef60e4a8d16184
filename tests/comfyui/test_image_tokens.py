"""Images to image tokens: what is encoded, how, and how often. A real, tiny encoder."""

from __future__ import annotations

import gc
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.needs import require_comfy

require_comfy()

import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.attention import image_encoder, image_tokens
from custom_nodes.videogen.comfyui.attention.image_encoder import read_encoder
from custom_nodes.videogen.comfyui.attention.image_tokens import CROPS, encode_images, pad_to_square, require_rgb_images
from custom_nodes.videogen.comfyui.attention.tensor_hash import hash_tensor
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.lru_cache import SizedLRUCache
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.random_weights.unets import TINY_SD15
from runner.bench.models.tiny_adapters import draw_adapter
from runner.bench.models.tiny_encoders import TINY_TOWER, CountingEncoder, build_encoder, build_siglip

KINDS = ("plain", "plus", "full-face")


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_tokens, "_cache", SizedLRUCache(image_tokens.CACHE_BYTES))


@pytest.fixture
def encoder(tmp_path: Path) -> CountingEncoder:
    return build_encoder(tmp_path)


def _adapter(kind: str = "plain", name: str = "") -> IPAdapter:
    return IPAdapter.from_state(draw_adapter(kind, TINY_SD15, name=name), f"{kind}.safetensors")


def _images(count: int, height: int = 40, width: int = 60, seed: int = 0) -> Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------ what comes out


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_those_of_comfyuis_own_encoder(encoder: CountingEncoder, kind: str) -> None:
    adapter, images = _adapter(kind), _images(2)
    tokens, negative = encode_images(adapter, encoder, images)
    given = encoder.encode_image(images, crop=True)
    expected = adapter.project(given["image_embeds"] if kind == "plain" else given["penultimate_hidden_states"])
    assert tokens.shape == expected.shape
    torch.testing.assert_close(tokens, expected)
    assert negative.shape == (1, *tokens.shape[1:])
    assert not tokens.requires_grad


def test_plain_sees_no_image_in_the_negative_prompt(encoder: CountingEncoder) -> None:
    adapter = _adapter()
    _, negative = encode_images(adapter, encoder, _images(1))
    assert torch.equal(negative, adapter.project(torch.zeros(1, adapter.info.embed_width)))


@pytest.mark.parametrize("kind", ["plus", "full-face"])
def test_plus_sees_pixels_that_are_exactly_zero_in_the_negative_prompt(encoder: CountingEncoder, kind: str) -> None:
    """`torch.zeros_like` of the preprocessed image; a black image, which others take, is not the same."""
    adapter = _adapter(kind)
    _, negative = encode_images(adapter, encoder, _images(1))
    states = encoder.model(pixel_values=torch.zeros(1, 3, 224, 224), intermediate_output=-2)[1]
    torch.testing.assert_close(negative, adapter.project(states.detach()))
    black = encoder.encode_image(torch.zeros(1, 224, 224, 3))["penultimate_hidden_states"]
    assert (negative - adapter.project(black)).abs().max() > 1e-3


def test_a_wide_image_becomes_a_square_in_three_ways(encoder: CountingEncoder) -> None:
    adapter, wide = _adapter(), _images(1, 224, 448)
    middle = wide[:, :, 112:336]
    tokens = {crop: encode_images(adapter, encoder, wide, crop=crop)[0] for crop in CROPS}
    cut = encode_images(adapter, encoder, middle)[0]
    torch.testing.assert_close(tokens["center"], cut)
    stretched = adapter.project(encoder.encode_image(wide, crop=False)["image_embeds"])
    torch.testing.assert_close(tokens["stretch"], stretched)
    padded = pad_to_square(wide, encoder.image_mean)
    torch.testing.assert_close(tokens["pad"], adapter.project(encoder.encode_image(padded)["image_embeds"]))
    for one, other in (("center", "stretch"), ("center", "pad"), ("stretch", "pad")):
        assert (tokens[one] - tokens[other]).abs().max() > 5e-2


@pytest.mark.parametrize("crop", CROPS)
def test_a_square_is_taken_whole_in_every_way(encoder: CountingEncoder, crop: str) -> None:
    adapter, square = _adapter("plus"), _images(1, 48, 48)
    torch.testing.assert_close(
        encode_images(adapter, encoder, square, crop=crop)[0], encode_images(adapter, encoder, square)[0]
    )


def test_padding_puts_the_image_in_the_middle() -> None:
    image = torch.ones(1, 2, 5, 3)
    square = pad_to_square(image, (0.1, 0.2, 0.3))
    assert square.shape == (1, 5, 5, 3)
    assert torch.equal(square[:, 1:3], image)
    for row in (0, 3, 4):
        assert torch.equal(square[0, row], torch.tensor([0.1, 0.2, 0.3]).expand(5, 3))


def test_average_and_subtract_mix_what_the_encoder_gives(encoder: CountingEncoder) -> None:
    adapter, images = _adapter("plus"), _images(3)
    states = encoder.encode_image(images)["penultimate_hidden_states"]
    average, _ = encode_images(adapter, encoder, images, blend="average")
    torch.testing.assert_close(average, adapter.project(states.mean(dim=0, keepdim=True)))
    subtract, _ = encode_images(adapter, encoder, images, blend="subtract")
    torch.testing.assert_close(subtract, adapter.project(states[:1] - states[1:].mean(dim=0, keepdim=True)))
    one, _ = encode_images(adapter, encoder, images[:1], blend="average")
    assert torch.equal(one, encode_images(adapter, encoder, images[:1])[0])


def test_gray_and_alpha(encoder: CountingEncoder) -> None:
    adapter, gray = _adapter(), _images(1)[..., :1]
    as_color = encode_images(adapter, encoder, gray.expand(-1, -1, -1, 3))[0]
    assert torch.equal(encode_images(adapter, encoder, gray)[0], as_color)
    opaque = torch.cat([gray.expand(-1, -1, -1, 3), torch.ones(1, 40, 60, 1)], dim=-1)
    assert torch.equal(encode_images(adapter, encoder, opaque)[0], as_color)


def test_alpha_is_the_mask_of_a_picture(encoder: CountingEncoder) -> None:
    """What is transparent has the encoder's mean color, whatever the color below it is."""
    adapter, images = _adapter(), _images(2)
    alpha = torch.ones(2, 40, 60, 1)
    alpha[1, :, :40] = 0
    expected = images.clone()
    expected[1, :, :40] = torch.tensor(encoder.image_mean)
    found = encode_images(adapter, encoder, torch.cat([images, alpha], dim=-1))[0]
    torch.testing.assert_close(found, encode_images(adapter, encoder, expected)[0])
    assert torch.equal(found[0], encode_images(adapter, encoder, images[:1])[0][0])
    with pytest.raises(VideoGenError, match="picture 2 of `image` is fully transparent"):
        encode_images(
            adapter, encoder, torch.cat([images, alpha.roll(0) * torch.tensor([1.0, 0.0])[:, None, None, None]], -1)
        )


def test_hdr_is_clipped_before_it_is_resized(encoder: CountingEncoder) -> None:
    adapter, bright = _adapter(), _images(1) * 6 - 0.5
    assert torch.equal(
        encode_images(adapter, encoder, bright)[0], encode_images(adapter, encoder, bright.clamp(0, 1))[0]
    )


# ------------------------------------------------------------------ how often


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_encoded_once(encoder: CountingEncoder, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    adapter, images = _adapter(kind), _images(3)
    extra = 0 if kind == "plain" else 1  # the negative side goes through the encoder as well, once
    with caplog.at_level(logging.INFO, logger=image_tokens.__name__):
        first = encode_images(adapter, encoder, images)
        assert encoder.images == 3 + extra
        second = encode_images(adapter, encoder, images.clone())
        assert encoder.images == 3 + extra
    # Other loggers, ComfyUI's among them, say what an earlier test lets them say.
    said = [record.message for record in caplog.records if record.name == image_tokens.__name__]
    assert [message.split(": ")[1] for message in said] == [
        "3 of 3 pictures encoded, the others were cached",
        "0 of 3 pictures encoded, the others were cached",
    ]
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_only_new_images_of_a_batch_are_encoded(encoder: CountingEncoder) -> None:
    adapter, images = _adapter(), _images(4)
    encode_images(adapter, encoder, images[1:3])
    tokens, _ = encode_images(adapter, encoder, images)
    assert encoder.images == 4
    twice, _ = encode_images(adapter, encoder, images[[2, 0, 2]])
    assert encoder.images == 4
    assert torch.equal(twice, tokens[[2, 0, 2]])


def test_company_changes_no_bit(encoder: CountingEncoder) -> None:
    """A segment must not depend on what was rendered before it, not in the last bit either."""
    adapter, images = _adapter("plus"), _images(5)
    together, _ = encode_images(adapter, encoder, images)
    image_tokens._cache.clear()
    alone = [encode_images(adapter, encoder, images[index : index + 1])[0] for index in range(5)]
    assert torch.equal(together, torch.cat(alone))


def test_blends_are_kept_too(encoder: CountingEncoder) -> None:
    adapter, images = _adapter(), _images(3)
    for blend in ("average", "subtract"):
        before = encoder.images
        one = encode_images(adapter, encoder, images, blend=blend)[0]
        assert torch.equal(one, encode_images(adapter, encoder, images, blend=blend)[0])
        assert encoder.images == before + 3
    # The order counts where the first is special.
    assert not torch.equal(one, encode_images(adapter, encoder, images.flip(0), blend="subtract")[0])


def test_what_changes_the_tokens_is_encoded_again(encoder: CountingEncoder, tmp_path: Path) -> None:
    adapter, image = _adapter(), _images(1)
    tokens = encode_images(adapter, encoder, image)[0]
    other_pixel = image.clone()
    other_pixel[0, 20, 30, 0] += 0.5
    variants = [
        encode_images(_adapter(name="other"), encoder, image),
        encode_images(adapter, encoder, other_pixel),
        encode_images(adapter, encoder, image, crop="stretch"),
        encode_images(adapter, build_encoder(tmp_path, name="other"), image),
    ]
    for variant, _ in variants:
        assert not torch.equal(variant, tokens)
    assert encoder.images == 4


def test_precision_is_no_accident_of_who_came_first(encoder: CountingEncoder) -> None:
    adapter, image = _adapter(), _images(1)
    assert encode_images(adapter, encoder, image)[0].dtype == torch.float32
    assert encode_images(adapter.to(torch.float64), encoder, image)[0].dtype == torch.float64


def test_an_encoder_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    """Its address is given to new ones, so that nothing may be remembered by it; and 2 GB must not be held by a memory."""
    gc.collect()
    known = len(image_encoder._serials)
    adapter, image = _adapter(), _images(1)
    serials, tokens = set(), []
    for number in range(3):
        encoder = build_encoder(tmp_path, name=str(number))
        serials.add(read_encoder(encoder).serial)
        tokens.append(encode_images(adapter, encoder, image)[0])
        assert encoder.images == 1
        assert len(image_encoder._serials) == known + 1
        del encoder
        gc.collect()
        assert len(image_encoder._serials) == known
    assert len(serials) == len(torch.unique(torch.cat(tokens), dim=0)) == 3


def test_the_same_encoder_keeps_its_number(encoder: CountingEncoder, tmp_path: Path) -> None:
    assert read_encoder(encoder).serial == read_encoder(encoder).serial
    assert read_encoder(encoder).serial != read_encoder(build_encoder(tmp_path)).serial


def test_the_memory_is_bounded(encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, images = _adapter(), _images(6)
    size = encode_images(adapter, encoder, images[:1])[0].nbytes
    monkeypatch.setattr(image_tokens, "_cache", SizedLRUCache(3 * size))
    tokens, _ = encode_images(adapter, encoder, images)  # more than fit, and all of them come out
    assert image_tokens._cache.bytes <= 3 * size
    assert len(tokens) == 6
    assert torch.equal(tokens, encode_images(adapter, encoder, images)[0])


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(0, 8, 8, 3), "`image` has 0 pictures, expected at least one"),
        (torch.zeros(8, 8, 3), r"`image` has shape \(8, 8, 3\), expected \(pictures, height, width, 3\)"),
        (torch.zeros(1, 4, 8, 8), r"`image` has shape \(1, 4, 8, 8\)"),
        (torch.zeros(1, 0, 8, 3), r"`image` has shape \(1, 0, 8, 3\)"),
        ([1, 2], "`image` is list"),
        (
            torch.tensor([0.0, float("nan"), 0.0]).expand(2, 8, 8, 3),
            "picture 1 of `image` has values that are not numbers",
        ),
        (torch.tensor([0.0, 1.0, float("inf")])[:, None, None, None].expand(3, 8, 8, 3), "picture 3 of `image`"),
    ],
)
def test_images_that_are_none(encoder: CountingEncoder, images: object, message: str) -> None:
    with pytest.raises(VideoGenError, match=f"^{message}") as caught:
        encode_images(_adapter(), encoder, images)  # type: ignore[arg-type]
    assert caught.value.code == "image-invalid"
    assert encoder.images == 0


def test_the_input_is_named(encoder: CountingEncoder) -> None:
    with pytest.raises(VideoGenError, match="`image_negative` has 0 pictures"):
        require_rgb_images(torch.zeros(0, 8, 8, 3), "image_negative")


def test_one_image_has_nothing_to_subtract(encoder: CountingEncoder) -> None:
    with pytest.raises(VideoGenError, match="`image` has 1 picture: subtract needs others to subtract from the first"):
        encode_images(_adapter(), encoder, _images(1), blend="subtract")


@pytest.mark.parametrize(
    ("kind", "tower", "found"),
    [
        ("plain", replace(TINY_TOWER, projection=32), "expects image embeds of width 24, found 32"),
        ("plus", replace(TINY_TOWER, width=32), "expects penultimate hidden states of width 24, found 32"),
        ("full-face", replace(TINY_TOWER, width=32), "expects penultimate hidden states of width 24, found 32"),
    ],
)
def test_another_encoder_than_the_adapters(tmp_path: Path, kind: str, tower: object, found: str) -> None:
    encoder = build_encoder(tmp_path, tower)  # type: ignore[arg-type]
    with pytest.raises(VideoGenError, match=f"{kind}.safetensors was made for .* the adapter {found}") as caught:
        encode_images(_adapter(kind), encoder, _images(1))
    assert caught.value.code == "adapter-mismatch"
    assert encoder.images == 0


def test_encoders_that_no_adapter_works_with(tmp_path: Path) -> None:
    with pytest.raises(
        VideoGenError, match="`clip_vision` is an encoder of the kind SigLIP, and IP-Adapters are made for CLIP"
    ):
        encode_images(_adapter(), build_siglip(tmp_path), _images(1))
    with pytest.raises(VideoGenError, match="`clip_vision` got str, expected the output of Load CLIP Vision"):
        encode_images(_adapter(), "ViT-H", _images(1))


def test_a_crop_that_nobody_knows(encoder: CountingEncoder) -> None:
    with pytest.raises(VideoGenError, match=r"^`crop` is 'top', expected one of center, pad, stretch$"):
        encode_images(_adapter(), encoder, _images(1), crop="top")


def test_equal_pixels_of_another_shape_are_another_image() -> None:
    image = torch.zeros(8, 6, 3)
    assert hash_tensor(image) == hash_tensor(image.clone())
    assert hash_tensor(image) != hash_tensor(image.reshape(6, 8, 3))
    assert hash_tensor(image) != hash_tensor(image.half())
    strided = torch.rand(8, 8, 4)[..., :3]
    assert hash_tensor(strided) == hash_tensor(strided.contiguous())
