"""Images on a model: which models, layers, rows and frames see them, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.supported_models
import torch
from comfy.ldm.flux.model import FluxParams
from comfy.model_patcher import ModelPatcher

from custom_nodes.videogen.comfyui.attention.adapter_fit import require_fit
from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.comfyui.attention.unet_blocks import cross_attention_keys, cross_attentions
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.random_weights.unets import TINY_SD15, TINY_SDXL, UNet
from tests.support.models.seeing_models import (
    NEGATIVE,
    POSITIVE,
    distance,
    draw_model,
    load_adapter,
    make_condition,
    make_latents,
    make_tokens,
    predict,
)

EXACT, DIFFERENT = 1e-12, 1e-4
UNETS = pytest.mark.parametrize("unet", [TINY_SD15, TINY_SDXL], ids=["sd15", "sdxl"])
SD15 = TINY_SD15


def replaced(model: Any) -> dict[Any, Any]:
    return model.model_options["transformer_options"].get("patches_replace", {}).get("attn2", {})


# ------------------------------------------------------------------ layers


def test_layers_are_numbered_input_output_middle() -> None:
    keys = cross_attention_keys(draw_model(SD15).model.diffusion_model)
    inputs, outputs = [1, 2, 4, 5, 7, 8], range(3, 12)
    assert keys == [("input", n, 0) for n in inputs] + [("output", n, 0) for n in outputs] + [("middle", 0, 0)]


def test_sdxl_has_seventy_of_them() -> None:
    network = draw_model(TINY_SDXL).model.diffusion_model
    depths = {("input", 4): 2, ("input", 5): 2, ("input", 7): 10, ("input", 8): 10}
    depths |= {("output", n): 10 for n in (0, 1, 2)} | {("output", n): 2 for n in (3, 4, 5)} | {("middle", 0): 10}
    assert cross_attention_keys(network) == [(*block, i) for block, depth in depths.items() for i in range(depth)]
    assert tuple(layer.heads * layer.dim_head for _, layer in cross_attentions(network)) == TINY_SDXL.attention_widths


@UNETS
def test_every_layer_has_its_own_key_and_is_reached(unet: UNet) -> None:
    """Without the keys of one layer, the middle block's among them, the image is another one."""
    model, latents = draw_model(unet), make_latents(1)
    condition = make_condition(unet)
    whole = predict(apply_image_conditions(model, [condition]), unet, latents)
    count = len(condition.weights)
    for layer in range(count) if unet is SD15 else (0, count // 2, count - 1):
        weights = tuple(float(number != layer) for number in range(count))
        part = apply_image_conditions(model, [make_condition(unet, weights=weights)])
        assert len(replaced(part)) == count - 1
        assert distance(predict(part, unet, latents), whole) > 1e-6


def test_the_middle_block_uses_the_last_keys_of_the_file() -> None:
    state = dict(load_adapter(SD15)._state)
    model, latents = draw_model(SD15), make_latents(1)
    weights = (0.0,) * 15 + (1.0,)
    whole = predict(apply_image_conditions(model, [make_condition(SD15, weights=weights)]), SD15, latents)
    for number, expected in ((31, True), (29, False), (15, False)):
        changed = {**state, f"ip_adapter.{number}.to_k_ip.weight": state[f"ip_adapter.{number}.to_k_ip.weight"] * -1}
        adapter = IPAdapter.from_state(changed, "changed").to(torch.float64)
        other = apply_image_conditions(model, [make_condition(SD15, weights=weights, adapter=adapter)])
        assert (distance(predict(other, SD15, latents), whole) > 1e-6) == expected


# ------------------------------------------------------------------ which models


@UNETS
def test_an_adapter_fits_its_own_model(unet: UNet) -> None:
    require_fit(load_adapter(unet), draw_model(unet))


@pytest.mark.parametrize(("unet", "other"), [(TINY_SD15, TINY_SDXL), (TINY_SDXL, TINY_SD15)])
def test_an_adapter_of_another_model_names_both_sides(unet: UNet, other: UNet) -> None:
    with pytest.raises(VideoGenError) as caught:
        require_fit(load_adapter(other), draw_model(unet))
    assert caught.value.code == "adapter-mismatch"
    assert "\n" not in caught.value.message
    for part in (
        "plain.safetensors is an adapter for",
        f"the model is {unet.family} ({len(unet.attention_widths)} cross-attentions",
        f"({len(other.attention_widths)} cross-attentions",
        f"text tokens {unet.context_width} wide",
    ):
        assert part in caught.value.message
    assert unet.family in caught.value.hint


def test_one_layer_of_another_width_is_enough() -> None:
    state = dict(load_adapter(SD15)._state)
    for part in "kv":
        key = f"ip_adapter.31.to_{part}_ip.weight"
        state[key] = torch.cat([state[key], state[key]])
    with pytest.raises(VideoGenError, match="is an adapter for"):
        require_fit(IPAdapter.from_state(state, "odd"), draw_model(SD15))


FLUX = {
    "image_model": "flux",
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "vec_in_dim": 8,
    "context_in_dim": 8,
    "hidden_size": 32,
    "mlp_ratio": 2.0,
    "num_heads": 2,
    "depth": 1,
    "depth_single_blocks": 1,
    "axes_dim": [4, 6, 6],
    "theta": 10000,
    "qkv_bias": True,
    "guidance_embed": False,
    # Newer versions of ComfyUI need it, older ones do not know it.
    **({"txt_ids_dims": []} if "txt_ids_dims" in {field.name for field in fields(FluxParams)} else {}),
}
SVD = {
    "image_size": 32,
    "in_channels": 8,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 2],
    "transformer_depth": [1, 1],
    "transformer_depth_output": [1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": 64,
    "num_head_channels": 8,
    "num_heads": -1,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "use_temporal_attention": True,
    "use_temporal_resblock": True,
    "legacy": False,
    "num_classes": "sequential",
    "adm_in_channels": 768,
    "extra_ff_mix_layer": True,
    "use_spatial_context": True,
    "merge_strategy": "learned_with_images",
    "merge_factor": 0.0,
    "video_kernel_size": [3, 1, 1],
}


@pytest.mark.parametrize(
    ("kind", "config"),
    [(comfy.supported_models.Flux, FLUX), (comfy.supported_models.SVD_img2vid, SVD)],
    ids=["flux", "svd"],
)
def test_transformers_and_video_models_name_what_works(kind: Any, config: dict[str, Any]) -> None:
    made = kind(dict(config))
    made.set_inference_dtype(torch.float32, None)
    device = torch.device("meta")
    model = ModelPatcher(made.get_model({}, device=device), load_device=device, offload_device=device)
    with pytest.raises(
        VideoGenError, match=f"works with SD 1.5, SD 2 and SDXL models .* this model is {kind.__name__}"
    ) as caught:
        require_fit(load_adapter(SD15), model)
    assert caught.value.code == "model-unsupported"


# ------------------------------------------------------------------ nothing where nothing is to be seen


@pytest.mark.parametrize("changes", [{"weight": 0.0}, {"start": 0.5, "end": 0.5}, {"start": 0.9, "end": 0.1}])
def test_a_condition_without_effect_leaves_the_model_alone(changes: dict[str, Any]) -> None:
    model = draw_model(SD15)
    assert apply_image_conditions(model, [make_condition(SD15, **changes)]) is model
    assert apply_image_conditions(model, []) is model


@UNETS
def test_outside_its_span_a_step_is_the_same_bit_by_bit(unet: UNet) -> None:
    model, latents = draw_model(unet), make_latents(2)
    patched = apply_image_conditions(model, [make_condition(unet, start=0.2, end=0.6)])
    sigma = model.get_model_object("model_sampling").percent_to_sigma
    chunks = (NEGATIVE, POSITIVE)
    plain = predict(model, unet, latents, chunks=chunks)
    for percent, acts in [(0.1, False), (0.2, True), (0.4, True), (0.6, True), (0.7, False)]:
        found = predict(patched, unet, latents, chunks=chunks, sigma=float(sigma(percent)))
        assert torch.equal(found, plain) != acts


def test_only_layers_with_a_weight_are_patched() -> None:
    weights = [0.0] * 16
    weights[2], weights[15] = 1.0, -0.5
    patched = apply_image_conditions(draw_model(SD15), [make_condition(SD15, weights=tuple(weights))])
    assert set(replaced(patched)) == {("input", 4, 0), ("middle", 0, 0)}
    assert not replaced(draw_model(SD15))


# ------------------------------------------------------------------ rows


@UNETS
@pytest.mark.parametrize("chunks", [(0, 1), (1, 0), (0,), (1,), (0, 0, 1), (1, 0, 0, 1), (2, 1, 0)])
def test_each_prompt_sees_its_own_in_any_order(unet: UNet, chunks: Sequence[int]) -> None:
    """Whatever else is in the batch: a chunk's rows are as if they were alone."""
    model, latents = draw_model(unet), make_latents(2)
    condition = make_condition(unet)
    together = predict(apply_image_conditions(model, [condition]), unet, latents, chunks=chunks)
    for number, found in zip(chunks, together.chunk(len(chunks)), strict=True):
        tokens = condition.tokens if number == POSITIVE else condition.negative_tokens
        sees = apply_image_conditions(model, [make_condition(unet, tokens=tokens, negative_tokens=tokens)])
        assert distance(found, predict(sees, unet, latents, chunks=(number,))) < EXACT
        blind = predict(model, unet, latents, chunks=(number,))
        assert distance(found, blind) > DIFFERENT


@pytest.mark.parametrize("masked", [False, True])
def test_a_frame_sees_its_own_image_and_mask(masked: bool) -> None:
    model, latents = draw_model(SD15), make_latents(4)
    tokens = make_tokens(SD15, 3)  # the fourth frame sees the third's
    mask = torch.rand(2, 8, 12, generator=torch.Generator().manual_seed(5)) if masked else None
    condition = make_condition(SD15, tokens=tokens, per_frame=True, mask=mask)
    found = predict(apply_image_conditions(model, [condition]), SD15, latents, chunks=(NEGATIVE, POSITIVE))
    for frame in range(4):
        own_mask = None if mask is None else mask[min(frame, 1)][None]
        alone = make_condition(SD15, tokens=tokens[min(frame, 2)][None], mask=own_mask)
        expected = predict(
            apply_image_conditions(model, [alone]), SD15, latents[frame : frame + 1], chunks=(NEGATIVE, POSITIVE)
        )
        assert distance(found[[frame, 4 + frame]], expected) < EXACT
        if not masked and frame != 2:
            other = make_condition(SD15, tokens=tokens[2][None])
            wrong = predict(apply_image_conditions(model, [other]), SD15, latents[frame : frame + 1])
            assert (distance(found[4 + frame][None], wrong) > DIFFERENT) == (frame < 2)


def test_parts_of_a_batch_see_what_their_frames_see() -> None:
    model, latents = draw_model(SD15), make_latents(4)
    mask = torch.rand(4, 8, 12, generator=torch.Generator().manual_seed(5))
    patched = apply_image_conditions(
        model, [make_condition(SD15, tokens=make_tokens(SD15, 4), per_frame=True, mask=mask)]
    )
    whole = predict(patched, SD15, latents)
    for frames in ([2, 3], [3, 0], [1]):
        part = predict(patched, SD15, latents[frames], options={"videogen_frames": frames})
        assert distance(part, whole[frames]) < EXACT


def test_both_products_and_fused_attention_do_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU takes the other way through all of this."""
    from custom_nodes.videogen.tensor.ip_adapter.attention import RowPlan

    model, latents = draw_model(SD15), make_latents(3)
    mask = torch.rand(3, 8, 12, generator=torch.Generator().manual_seed(5))
    conditions = [
        make_condition(SD15, tokens=make_tokens(SD15, 3), per_frame=True, mask=mask),
        make_condition(SD15, seed=1, weight=0.5, name="b", mask=mask[:1]),
    ]
    thin = predict(apply_image_conditions(model, conditions), SD15, latents, chunks=(1, 0, 1))
    add_to = RowPlan.add_to
    monkeypatch.setattr(RowPlan, "add_to", lambda plan, out, query: add_to(plan, out, query, fused=True))
    fused = predict(apply_image_conditions(model, conditions), SD15, latents, chunks=(1, 0, 1))
    assert distance(fused, thin) < EXACT


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_every_precision_of_the_model(dtype: torch.dtype) -> None:
    latents, conditions = (
        make_latents(2),
        [make_condition(SD15), make_condition(SD15, name="b", mask=torch.rand(1, 8, 12))],
    )
    exact = predict(apply_image_conditions(draw_model(SD15), conditions), SD15, latents, chunks=(1, 0))
    found = predict(apply_image_conditions(draw_model(SD15, dtype), conditions), SD15, latents, chunks=(1, 0))
    plain = predict(draw_model(SD15, dtype), SD15, latents, chunks=(1, 0))
    assert found.dtype == dtype
    without = distance(plain, predict(draw_model(SD15), SD15, latents, chunks=(1, 0)))
    assert distance(found, exact) < 1.5 * without + 1e-7
