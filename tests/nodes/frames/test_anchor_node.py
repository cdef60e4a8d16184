"""Anchor Attention: its formula, and together with other nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.sample
import comfy.samplers
import comfy.supported_models
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.unet_blocks import attention_levels, choose_blocks
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.nodes.frames.anchor_attention import VideoGenAnchorAttention, anchor_frames
from custom_nodes.videogen.tensor.frame_noise import make_frame_noise
from runner.bench.models.predictions import NEGATIVE, POSITIVE, make_step, predict_with_comfy, relative_difference
from runner.bench.models.random_weights.unets import TINY_SD15, TINY_SDXL, UNet
from runner.bench.models.tiny_models import build_comfy_model, draw_unet
from tests.nodes.frames.anchored_models import EXACT, HEIGHT, WIDTH, WRONG
from tests.support.models.other_models import small_flux

PROMPTS = (NEGATIVE, POSITIVE)


# ------------------------------------------------------------------ the formula


def write_out(model: Any, strength: float, previous: bool, blocks: str = "all") -> Any:
    """The formula as a patch of its own: all logits as a matrix, weighted one by one."""

    def patch(q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> Tensor:
        heads, chunks = options["n_heads"], len(options["cond_or_uncond"])
        rows = q.shape[0]
        frames = rows // chunks
        split = [x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v)]
        out = []
        for row in range(rows):
            first = row - row % frames
            seen = [(row, 1 - strength), (first, strength)]
            if previous:
                seen.append((max(first, row - 1), strength))
            keys, values = (torch.cat([split[part][other] for other, _ in seen], dim=1) for part in (1, 2))
            logits = split[0][row] @ keys.transpose(1, 2) / math.sqrt(split[0].shape[-1])
            shares = torch.tensor([share for _, share in seen], dtype=q.dtype).repeat_interleave(k.shape[1])
            weights = shares * torch.exp(logits - logits.amax(dim=-1, keepdim=True))
            out.append((weights / weights.sum(dim=-1, keepdim=True)) @ values)
        return torch.stack(out).transpose(1, 2).flatten(-2)

    clone = model.clone()
    for key in choose_blocks(model.get_model_object("diffusion_model"), blocks):
        clone.set_model_attn1_replace(patch, *key)
    return clone


@pytest.mark.parametrize("previous", [False, True])
@pytest.mark.parametrize("strength", [0.2, 0.5, 1.0])
def test_equals_the_formula(unet: UNet, model: Any, strength: float, previous: bool) -> None:
    step = make_step(unet, 3, HEIGHT, WIDTH)
    found = predict_with_comfy(anchor_frames(model, strength=strength, previous=previous), step)
    assert relative_difference(found, predict_with_comfy(write_out(model, strength, previous), step)) < EXACT
    nearly = predict_with_comfy(anchor_frames(model, strength=strength - 0.05, previous=previous), step)
    assert relative_difference(found, nearly) > WRONG


@pytest.mark.parametrize("passes", [(PROMPTS[::-1],), ((NEGATIVE,), (POSITIVE,))])
def test_prompts_in_any_order_and_split(sd15: Any, passes: tuple[tuple[int, ...], ...]) -> None:
    step = make_step(TINY_SD15, 3, HEIGHT, WIDTH)
    anchored = anchor_frames(sd15, strength=0.4, previous=True)
    expected = predict_with_comfy(anchored, step, passes=(PROMPTS,))
    assert relative_difference(predict_with_comfy(anchored, step, passes=passes), expected) < EXACT


@pytest.mark.parametrize("blocks", ["all but the finest", "output", "output but the finest", "input", "middle"])
def test_only_the_chosen_blocks(sd15: Any, blocks: str) -> None:
    step = make_step(TINY_SD15, 2, HEIGHT, WIDTH)
    found = predict_with_comfy(anchor_frames(sd15, blocks=blocks), step)
    assert relative_difference(found, predict_with_comfy(write_out(sd15, 0.5, False, blocks), step)) < EXACT
    assert relative_difference(found, predict_with_comfy(anchor_frames(sd15), step)) > WRONG


def test_blocks_of_sd15_and_sdxl() -> None:
    levels = {
        unet.family: attention_levels(
            build_comfy_model(unet, draw_unet(unet), dtype=torch.float32).get_model_object("diffusion_model")
        )
        for unet in (TINY_SD15, TINY_SDXL)
    }
    sd15 = levels["SD 1.5"]
    assert [key[:2] for key, level in sd15.items() if level == 0] == [
        ("input", 1),
        ("input", 2),
        ("output", 9),
        ("output", 10),
        ("output", 11),
    ]
    assert (len(sd15), sd15["middle", 0, 0], sd15["output", 3, 0], sd15["input", 7, 0]) == (16, 3, 2, 2)
    sdxl = levels["SDXL"]
    assert len(sdxl) == 70
    assert sum(level == 1 for level in sdxl.values()) == 10
    assert set(sdxl.values()) == {1, 2}


def test_strength_0_is_the_model_itself(sd15: Any) -> None:
    step = make_step(TINY_SD15, 3, HEIGHT, WIDTH)
    plain = predict_with_comfy(sd15, step)
    assert anchor_frames(sd15, strength=0.0) is sd15
    result = VideoGenAnchorAttention.execute(sd15, 0.0, "first", 0.0, 1.0, "all", 2)[0]
    assert not result.model_options["transformer_options"].get("patches_replace")
    assert torch.equal(predict_with_comfy(result, step), plain)


def test_the_model_that_goes_in_stays_as_it_is(sd15: Any) -> None:
    step = make_step(TINY_SD15, 2, HEIGHT, WIDTH)
    before = predict_with_comfy(sd15, step)
    patched = anchor_frames(sd15, strength=1.0, frames_per_pass=1)
    assert torch.equal(predict_with_comfy(sd15, step), before)
    assert relative_difference(predict_with_comfy(patched.clone(), step), before) > WRONG


@pytest.mark.parametrize("seed", [0, 1])
def test_frames_come_closer_as_strength_grows(sd15: Any, seed: int) -> None:
    frames = 4
    step = make_step(TINY_SD15, frames, 16, 16, seed=seed)
    # Frames that are alike to begin with: with random weights a layer that is asked different things answers differently.
    noise = make_frame_noise((4, 16, 16), range(frames), seed=seed, drift=0.35).double()
    step = replace(step, latents=noise * (step.sigma**2 + 1) ** 0.5)

    def look(strength: float) -> tuple[float, float]:
        """How much neighbors differ: in the layers' outputs, on average, and in the prediction."""
        answers: list[Tensor] = []
        model = anchor_frames(sd15, strength=strength).clone()
        model.set_model_attn1_output_patch(lambda answer, options: (answers.append(answer.clone()), answer)[1])
        predicted = predict_with_comfy(model, step)
        apart = [relative_difference(x[1:frames], x[: frames - 1]) for x in (*answers, predicted)]
        return sum(apart[:-1]) / len(answers), apart[-1]

    found = [look(strength) for strength in (0.0, 0.25, 0.5, 0.75, 1.0)]
    layers = [layer for layer, _ in found]
    assert layers == sorted(layers, reverse=True)
    assert layers[-1] < 0.8 * layers[0]
    assert found[-1][1] < found[0][1]


# ------------------------------------------------------------------ with other nodes


def test_another_patch_of_the_layer_is_given_the_joint_keys(sd15: Any) -> None:
    rows = []

    def doubled(q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> Tensor:
        rows.append((q.shape[0], k.shape[1] // q.shape[1]))
        heads = options["n_heads"]
        assert q.shape[-1] == heads * options["dim_head"]
        return 2 * comfy.ldm.modules.attention.optimized_attention(q, k, v, heads)

    step = make_step(TINY_SD15, 3, HEIGHT, WIDTH)
    base = sd15.clone()
    base.set_model_attn1_replace(doubled, "middle", 0)  # the short key, which ComfyUI knows too
    expected = sd15.clone()
    theirs = write_out(sd15, 0.3, True, "middle").model_options["transformer_options"]["patches_replace"]["attn1"]
    expected.set_model_attn1_replace(lambda *inputs: 2 * theirs["middle", 0, 0](*inputs), "middle", 0, 0)
    found = predict_with_comfy(anchor_frames(base, strength=0.3, previous=True, blocks="middle"), step)
    assert relative_difference(found, predict_with_comfy(expected, step)) < EXACT
    # Then with their own: what it keeps of the layer is about the frames alone.
    assert rows == [(6, 3), (6, 1)]


def test_the_later_of_two_takes_the_place_of_the_earlier(sd15: Any) -> None:
    step = make_step(TINY_SD15, 3, HEIGHT, WIDTH)
    twice = anchor_frames(anchor_frames(sd15, strength=0.2, frames_per_pass=1), strength=0.7, frames_per_pass=2)
    once = anchor_frames(sd15, strength=0.7, frames_per_pass=2)
    assert torch.equal(predict_with_comfy(twice, step), predict_with_comfy(once, step))
    assert len(twice.get_all_wrappers(WrappersMP.APPLY_MODEL)) == len(once.get_all_wrappers(WrappersMP.APPLY_MODEL))


def test_token_merging_goes_together_with_it(sd15: Any) -> None:
    from comfy_extras.nodes_tomesd import TomePatchModel

    patched = TomePatchModel.execute(anchor_frames(sd15), 0.5)[0]
    assert torch.isfinite(predict_with_comfy(patched, make_step(TINY_SD15, 3, HEIGHT, WIDTH))).all()


def test_tiles_of_hypertile_are_refused_in_a_sentence(sd15: Any) -> None:
    from comfy_extras.nodes_hypertile import HyperTile

    tiled = HyperTile.execute(anchor_frames(sd15), 256, 2, 0, False)[0]
    with pytest.raises(VideoGenError, match="another node, such as HyperTile, cuts the pictures into tiles"):
        predict_with_comfy(tiled, make_step(TINY_SD15, 2, 64, 64))


@pytest.fixture
def on_meta() -> Iterator[Callable[[Any, dict[str, Any]], Any]]:
    """Models of other kinds, of their real size but without weights."""

    def build(kind: Any, config: dict[str, Any]) -> Any:
        description = kind(config)
        description.set_inference_dtype(torch.float32, None)
        device = torch.device("meta")
        network = description.get_model({}, device=device)
        return comfy.model_patcher.ModelPatcher(network, load_device=device, offload_device=device)

    return build


WAN = {
    "image_model": "wan2.1",
    "model_type": "t2v",
    "dim": 32,
    "out_dim": 16,
    "num_heads": 2,
    "ffn_dim": 64,
    "num_layers": 1,
    "patch_size": (1, 2, 2),
    "freq_dim": 32,
    "window_size": (-1, -1),
    "qk_norm": True,
    "cross_attn_norm": True,
    "eps": 1e-6,
}


@pytest.mark.parametrize(("kind", "config"), [("Flux", small_flux()), ("WAN21_T2V", WAN)])
def test_models_without_a_unet_for_images(on_meta: Any, kind: str, config: dict[str, Any]) -> None:
    other = on_meta(getattr(comfy.supported_models, kind), config)
    with pytest.raises(VideoGenError) as caught:
        anchor_frames(other)
    assert caught.value.code == "model-unsupported"
    assert f"SD 1.5, SD 2.x, SDXL, SDXL-Turbo and models derived from them; this model is {kind}" in str(caught.value)


def test_a_video_unet_is_told_apart(on_meta: Any) -> None:
    config = dict(comfy.supported_models.SVD_img2vid.unet_config, in_channels=8, context_dim=16, model_channels=32)
    config |= {
        "image_size": 32,
        "out_channels": 4,
        "num_res_blocks": [1, 1],
        "channel_mult": [1, 1],
        "transformer_depth": [1, 1],
        "transformer_depth_output": [1, 1, 1, 1],
        "transformer_depth_middle": 1,
        "num_heads": -1,
        "num_head_channels": 8,
        "use_spatial_transformer": True,
        "legacy": False,
        "num_classes": "sequential",
        "adm_in_channels": 24,
        "use_temporal_attention": True,
        "use_temporal_resblock": True,
        "extra_ff_mix_layer": True,
        "use_spatial_context": True,
        "merge_strategy": "learned_with_images",
        "merge_factor": 0.0,
        "video_kernel_size": [3, 1, 1],
    }
    with pytest.raises(VideoGenError, match="this model is SVD_img2vid"):
        anchor_frames(on_meta(comfy.supported_models.SVD_img2vid, config))


def test_widgets() -> None:
    assert VideoGenAnchorAttention.validate_inputs(0.2, 0.8) is True
    assert VideoGenAnchorAttention.validate_inputs(None, 0.8) is True
    assert VideoGenAnchorAttention.validate_inputs(0.9, 0.8) == (
        "`start` is 0.9 and `end` is 0.8, expected a `start` that is not after `end`"
    )
