"""VideoGenApplyIPAdapter: what it does to a model, and what it says before that samples."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.sample
import comfy.samplers
import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.frames.mask_check import check_mask
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.nodes.characters.ip_adapter import VideoGenApplyIPAdapter, group_tokens
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.random_weights.unets import TINY_SD15, TINY_SDXL, UNet
from runner.bench.models.tiny_adapters import draw_adapter
from runner.bench.models.tiny_encoders import TINY_TOWER, CountingEncoder, build_encoder
from runner.bench.models.tiny_models import build_comfy_model, draw_unet, make_context

FRAMES, HEIGHT, WIDTH = 3, 64, 96  # pixels; 8 × 12 latent cells
WIDGETS = {
    "weight": 0.8,
    "weight_type": "linear",
    "start_at": 0.0,
    "end_at": 1.0,
    "combine": "concat",
    "crop": "center",
}
SAME, DIFFERENT = 1e-5, 1e-3  # relative L2


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> CountingEncoder:
    return build_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def model() -> Any:
    return _model(TINY_SD15)


def _model(unet: UNet) -> Any:
    return build_comfy_model(unet, draw_unet(unet), dtype=torch.float32)


def _adapter(kind: str = "plain", unet: UNet = TINY_SD15) -> IPAdapter:
    return IPAdapter.from_state(draw_adapter(kind, unet), f"{kind}.safetensors")


def _images(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 40, 60, 3, generator=torch.Generator().manual_seed(seed))


def _apply(model: Any, encoder: Any, **changes: Any) -> Any:
    """The patched model, with the node's defaults for what does not change."""
    inputs = {
        "model": model,
        "ipadapter": _adapter(),
        "clip_vision": encoder,
        "image": _images(1),
        **WIDGETS,
    }
    return VideoGenApplyIPAdapter.execute(**{**inputs, **changes}).result[0]


def _sample(
    model: Any, *, frames: int = FRAMES, unet: UNet = TINY_SD15, steps: int = 2, cfg: float = 4.0, callback: Any = None
) -> Tensor:
    """Latents out of ComfyUI's own sampler, with guidance."""
    latents = torch.zeros(frames, 4, HEIGHT // 8, WIDTH // 8)
    noise = comfy.sample.prepare_noise(latents, 7)
    positive, negative = ([[make_context(unet, 1, seed=seed, dtype=torch.float32), {}]] for seed in (1, 2))
    return comfy.sample.sample(
        model,
        noise,
        steps,
        cfg,
        "euler",
        "normal",
        positive,
        negative,
        latents,
        callback=callback,
        seed=7,
        disable_pbar=True,
    )


def _difference(one: Tensor, other: Tensor) -> Tensor:
    """Relative L2 distance of each frame; one of SAME is rounding."""
    return (one - other).flatten(1).norm(dim=1) / one.flatten(1).norm(dim=1)


def _assert_same(one: Tensor, other: Tensor) -> None:
    assert _difference(one, other).max() < SAME


def _assert_different(*results: Tensor) -> None:
    for one, other in itertools.combinations(results, 2):
        assert _difference(one, other).min() > DIFFERENT


# ------------------------------------------------------------------ what it does


def test_the_image_is_seen(model: Any, encoder: Any) -> None:
    plain, patched = _sample(model), _sample(_apply(model, encoder))
    _assert_different(plain, patched)
    assert torch.equal(_sample(model), plain), "the model that came in was changed"


@pytest.mark.parametrize(
    "changes", [{"weight": 0.0}, {"start_at": 0.4, "end_at": 0.4}, {"weight": 0.0, "weight_type": "composition"}]
)
def test_nothing_at_all_runs_when_nothing_would_act(model: Any, encoder: Any, changes: dict[str, Any]) -> None:
    before = encoder.images
    assert _apply(model, encoder, image=_images(1, seed=99), **changes) is model
    assert encoder.images == before


@pytest.mark.parametrize("kind", ["plain", "plus", "full-face"])
@pytest.mark.parametrize("weight_type", ["linear", "style transfer", "composition", "prompt is more important"])
def test_every_kind_and_every_spread(model: Any, encoder: Any, kind: str, weight_type: str) -> None:
    patched = _apply(model, encoder, ipadapter=_adapter(kind), weight_type=weight_type)
    _assert_different(_sample(model, steps=1), _sample(patched, steps=1))


def test_only_the_layers_of_a_weight_type_are_patched(model: Any, encoder: Any) -> None:
    def blocks(patched: Any) -> set[tuple[Any, ...]]:
        return {tuple(key[:2]) for key in patched.model_options["transformer_options"]["patches_replace"]["attn2"]}

    assert blocks(_apply(model, encoder, weight_type="style transfer")) == {("output", 3), ("output", 4), ("output", 5)}
    assert len(blocks(_apply(model, encoder))) == 16


def test_a_mask_of_one_and_of_the_other_half(model: Any, encoder: Any) -> None:
    """The rest of the UNet spreads a change, but more of it stays where the mask is."""
    left = torch.zeros(1, HEIGHT, WIDTH)
    left[:, :, : WIDTH // 2] = 1.0
    plain = _sample(model, frames=1, steps=1)
    on_the_left = []
    for mask in (left, 1 - left):
        change = (_sample(_apply(model, encoder, mask=mask), frames=1, steps=1) - plain).abs().mean(dim=(0, 1, 2))
        on_the_left.append(change[:6].sum() / change.sum())
    assert on_the_left[0] > on_the_left[1] + 0.1


def test_a_mask_of_ones_is_none(model: Any, encoder: Any) -> None:
    everywhere = _sample(_apply(model, encoder, mask=torch.ones(1, 16, 24)), steps=1)
    _assert_same(everywhere, _sample(_apply(model, encoder), steps=1))


def test_an_image_a_frame(model: Any, encoder: Any) -> None:
    """Frame n sees image n; where the images run out, the last one stays."""
    drawn = _images(3)
    alone = torch.stack([_sample(_apply(model, encoder, image=one[None]), steps=1) for one in drawn])
    _assert_different(*alone)

    def sample(images: Tensor) -> Tensor:
        return _sample(_apply(model, encoder, image=images, combine="one per frame"), steps=1)

    frames = torch.arange(FRAMES)
    _assert_same(sample(drawn), alone[frames, frames])
    _assert_same(sample(drawn[:2]), alone[[0, 1, 1], frames])
    _assert_same(sample(drawn[:1]), alone[0])


def test_a_mask_a_frame(model: Any, encoder: Any) -> None:
    masks = torch.zeros(FRAMES, HEIGHT, WIDTH)
    masks[1] = 1.0
    difference = _difference(_sample(model), _sample(_apply(model, encoder, mask=masks)))
    assert difference[1] > DIFFERENT
    assert difference[[0, 2]].max() < SAME


def test_ways_to_combine_two_images(model: Any, encoder: Any) -> None:
    def sample(images: Tensor, combine: str, weight: float = 0.8) -> Tensor:
        return _sample(_apply(model, encoder, image=images, combine=combine, weight=weight), frames=1, steps=1)

    drawn = _images(2)
    _assert_different(*(sample(drawn, combine) for combine in ("concat", "add", "average", "subtract")))
    # An image twice: concatenated and averaged, it is the image; added, it acts twice.
    twice, single = drawn[[0, 0]], sample(drawn[:1], "concat")
    _assert_same(sample(twice, "concat"), single)
    _assert_same(sample(twice, "average"), single)
    _assert_same(sample(twice, "add", weight=0.4), single)


def test_tokens_in_groups() -> None:
    tokens = torch.arange(24.0).reshape(3, 2, 4)
    (concat,) = group_tokens(tokens, "concat")
    assert concat.shape == (1, 6, 4)
    assert torch.equal(concat[0, 2:4], tokens[1])
    assert [part.shape for part in group_tokens(tokens, "add")] == [(1, 2, 4)] * 3
    (frames,) = group_tokens(tokens, "one per frame")
    assert frames is tokens


def test_a_negative_image_counts_for_the_negative_prompt_only(model: Any, encoder: Any) -> None:
    adapter, unwanted = _adapter(), _images(2, seed=5)
    without, with_it = (_apply(model, encoder, ipadapter=adapter, image_negative=image) for image in (None, unwanted))
    _assert_different(_sample(without, steps=1), _sample(with_it, steps=1))
    _assert_same(
        _sample(without, steps=1, cfg=1.0), _sample(with_it, steps=1, cfg=1.0)
    )  # no negative prompt is asked then


def test_two_adapters_one_after_the_other(model: Any, encoder: Any) -> None:
    first = _apply(model, encoder)
    both = _apply(first, encoder, ipadapter=_adapter("plus"))
    only_second = _apply(model, encoder, ipadapter=_adapter("plus"))
    _assert_different(*(_sample(one, frames=1, steps=1) for one in (model, first, only_second, both)))


def test_a_segment_later_nothing_is_encoded_again(model: Any, encoder: Any) -> None:
    state, images = draw_adapter("plus", TINY_SD15), _images(2, seed=11)
    before = encoder.images
    first = _apply(model, encoder, ipadapter=IPAdapter.from_state(state, "once"), image=images)
    assert encoder.images > before
    before = encoder.images
    again = _apply(model, encoder, ipadapter=IPAdapter.from_state(state, "again"), image=images.clone())
    assert encoder.images == before
    assert torch.equal(_sample(again, steps=1), _sample(first, steps=1))


# ------------------------------------------------------------------ what it says before it samples


def test_an_adapter_for_another_model(encoder: Any, model: Any) -> None:
    with pytest.raises(VideoGenError) as caught:
        _apply(model, encoder, ipadapter=_adapter("plain", TINY_SDXL))
    assert caught.value.code == "adapter-mismatch"
    assert "\n" not in caught.value.message
    with pytest.raises(VideoGenError) as caught:
        _apply(_model(TINY_SDXL), encoder, ipadapter=_adapter("plain", TINY_SD15))
    assert caught.value.code == "adapter-mismatch"


def test_an_encoder_for_another_adapter(model: Any, tmp_path: Path) -> None:
    wide = build_encoder(tmp_path, replace(TINY_TOWER, projection=40))
    with pytest.raises(
        VideoGenError, match=r"plain.safetensors was made for .* and `clip_vision` is a CLIP of width 24"
    ) as caught:
        _apply(model, wide)
    assert caught.value.code == "adapter-mismatch"
    assert wide.images == 0


def test_what_another_pack_calls_an_adapter(model: Any, encoder: Any) -> None:
    with pytest.raises(VideoGenError, match="`ipadapter` got dict, expected the output of VideoGenIPAdapterLoader"):
        _apply(model, encoder, ipadapter={"image_proj": {}, "ip_adapter": {}})


@pytest.mark.parametrize("weight", [1e9, -2.0, math.nan, math.inf])
def test_weights_that_cannot_be_used(model: Any, encoder: Any, weight: float) -> None:
    message = f"`weight` is {weight:g}, expected -1 to 3"
    with pytest.raises(VideoGenError) as caught:
        _apply(model, encoder, weight=weight)
    assert (caught.value.code, str(caught.value)) == ("widget-invalid", message)
    assert VideoGenApplyIPAdapter.validate_inputs(**{**WIDGETS, "weight": weight}) == message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, True),
        (dict.fromkeys(WIDGETS), True),  # all of them linked
        ({"start_at": 0.9, "end_at": None}, True),
        ({"start_at": 0.6, "end_at": 0.5}, "`start_at` is 0.6 and `end_at` 0.5: the end comes before the start"),
        ({"start_at": math.nan}, "`start_at` is nan, expected 0 to 1"),
        ({"weight": None, "end_at": 7.0}, "`end_at` is 7, expected 0 to 1"),
        (
            {"combine": "norm"},
            "`combine` is 'norm', expected one of concat, add, average, subtract, one per frame, norm average",
        ),
        ({"crop": "top"}, "`crop` is 'top', expected one of center, pad, stretch, tiles"),
        ({"weight": 1e9}, "`weight` is 1e+09, expected -1 to 3"),
    ],
)
def test_widgets_are_checked_before_the_graph_runs(
    model: Any, encoder: Any, changes: dict[str, Any], said: bool | str
) -> None:
    assert VideoGenApplyIPAdapter.validate_inputs(**{**WIDGETS, **changes}) == said
    if said is not True:  # what comes out of other nodes is checked when it is there
        with pytest.raises(VideoGenError, match=f"^{re.escape(str(said))}$"):
            _apply(model, encoder, **{name: value for name, value in changes.items() if value is not None})


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.zeros(0, 8, 8), r"`mask` has shape \(0, 8, 8\), expected \(masks, height, width\)"),
        (torch.zeros(1, 8, 8, 3), r"`mask` has shape \(1, 8, 8, 3\)"),
        (torch.full((1, 8, 8), math.nan), "`mask` has values that are not numbers"),
        ("left", "`mask` is str"),
    ],
)
def test_masks_that_are_none(model: Any, encoder: Any, mask: Any, message: str) -> None:
    with pytest.raises(VideoGenError, match=f"^{message}") as caught:
        _apply(model, encoder, mask=mask)
    assert caught.value.code == "mask-invalid"


def test_masks_are_brought_into_shape(caplog: pytest.LogCaptureFixture) -> None:
    assert torch.equal(check_mask(torch.full((4, 6), 2.0)), torch.ones(1, 4, 6))
    assert check_mask(torch.ones(2, 1, 4, 6)).shape == (2, 4, 6)
    assert not caplog.records
    check_mask(torch.zeros(1, 4, 6))
    assert "`mask` is empty: the picture has no effect anywhere" in caplog.text


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(1, 64, 64), "`mask` is 64×64, and the frames are 96×64: the mask has another shape"),
        (torch.ones(1, 96, 64), "`mask` is 64×96, and the frames are 96×64: the mask has another shape"),
        (torch.ones(2, HEIGHT, WIDTH), "`mask` has 2 masks for 3 frames, expected one for all or one a frame"),
    ],
)
def test_masks_of_other_frames_are_refused_before_the_first_step(
    model: Any, encoder: Any, mask: Tensor, message: str
) -> None:
    steps: list[int] = []
    patched = _apply(model, encoder, mask=mask)
    calls = _count_calls(patched)
    with pytest.raises(VideoGenError, match=f"^{message}") as caught:
        _sample(patched, callback=lambda step, *rest: steps.append(step))
    assert caught.value.code == "mask-invalid"
    assert (steps, calls) == ([], [])


def test_a_model_does_not_inherit_the_masks_of_what_was_made_of_it(model: Any, encoder: Any) -> None:
    first = _apply(model, encoder, mask=torch.ones(1, HEIGHT, WIDTH))
    second = _apply(first, encoder, mask=torch.ones(1, 64, 64))
    for good in (model, first):
        _sample(good, frames=1, steps=1)
    with pytest.raises(VideoGenError, match="the mask has another shape"):
        _sample(second, frames=1, steps=1)


def _count_calls(patched: Any) -> list[int]:
    """Grows with every call of the UNet."""
    calls: list[int] = []
    patched.set_model_unet_function_wrapper(
        lambda function, arguments: (
            calls.append(1) or function(arguments["input"], arguments["timestep"], **arguments["c"])
        )
    )
    return calls


def test_counting_calls_counts(model: Any, encoder: Any) -> None:
    patched = _apply(model, encoder, mask=torch.ones(1, HEIGHT, WIDTH))
    calls = _count_calls(patched)
    _sample(patched)
    assert calls


@pytest.mark.parametrize("image", [torch.zeros(0, 8, 8, 3), torch.full((1, 8, 8, 3), math.nan)])
def test_images_that_are_none(model: Any, encoder: Any, image: Tensor) -> None:
    for name in ("image", "image_negative"):
        with pytest.raises(VideoGenError, match=f"`{name}`") as caught:
            _apply(model, encoder, **{name: image})
        assert caught.value.code == "image-invalid"
