"""Options of image conditions in ComfyUI's UNets and samplers: scaling, reversed layers, weights frame by frame."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.context_windows
import comfy.sample
import comfy.samplers
import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.comfyui.frames.frame_batches import FrameBatches
from custom_nodes.videogen.tensor.ip_adapter.embeds_scaling import SCALINGS
from runner.bench.models.random_weights.unets import TINY_SD15, TINY_SDXL, UNet
from runner.bench.models.tiny_models import make_context
from tests.support.models.seeing_models import (
    NEGATIVE,
    POSITIVE,
    distance,
    draw_model,
    make_condition,
    make_latents,
    make_tokens,
    predict,
)

BOTH = (POSITIVE, NEGATIVE)
LAYERS = {16: TINY_SD15, 70: TINY_SDXL}
SAME, DIFFERENT = 1e-12, 1e-3


def seen(unet: UNet, latents: Tensor, condition: Any, **more: Any) -> Tensor:
    return predict(apply_image_conditions(draw_model(unet), [condition]), unet, latents, **more)


def mask_of(rows: int) -> Tensor:
    return torch.rand(rows, 8, 16, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


@pytest.mark.parametrize("unet", [TINY_SD15, TINY_SDXL], ids=["SD 1.5", "SDXL"])
@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("masked", [False, True])
def test_each_frame_is_as_if_it_had_its_weight_alone(unet: UNet, scaling: str, masked: bool) -> None:
    latents, weights = make_latents(3), (1.5, 0.0, -0.4)
    mask = mask_of(1) if masked else None
    condition = make_condition(unet, scaling=scaling, frame_weights=weights, mask=mask)
    found = seen(unet, latents, condition, chunks=BOTH)
    for frame, weight in enumerate(weights):
        alone = make_condition(unet, scaling=scaling, weight=weight, mask=mask)
        expected = seen(unet, latents[frame : frame + 1], alone, chunks=BOTH)
        assert distance(found[[frame, frame + 3]], expected) < SAME


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_last_weight_is_that_of_further_frames(scaling: str) -> None:
    latents = make_latents(4)
    short, long = (
        seen(TINY_SD15, latents, make_condition(TINY_SD15, scaling=scaling, frame_weights=weights))
        for weights in ((1.0, 0.2), (1.0, 0.2, 0.2, 0.2, 3.0))
    )
    assert torch.equal(short, long)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_frames_of_their_own_with_weights_of_their_own(scaling: str) -> None:
    latents, weights, tokens = make_latents(3), (0.3, 1.0, 0.6), make_tokens(TINY_SD15, 3)
    condition = make_condition(TINY_SD15, tokens=tokens, per_frame=True, scaling=scaling, frame_weights=weights)
    found = seen(TINY_SD15, latents, condition, chunks=BOTH)
    for frame, weight in enumerate(weights):
        alone = make_condition(TINY_SD15, tokens=tokens[frame : frame + 1], scaling=scaling, weight=weight)
        expected = seen(TINY_SD15, latents[frame : frame + 1], alone, chunks=BOTH)
        assert distance(found[[frame, frame + 3]], expected) < SAME


def test_scalings_differ_but_v_only_is_what_it_was() -> None:
    latents = make_latents(1)
    plain = seen(TINY_SD15, latents, make_condition(TINY_SD15, weight=0.7))
    results = [seen(TINY_SD15, latents, make_condition(TINY_SD15, weight=0.7, scaling=one)) for one in SCALINGS]
    assert torch.equal(results[0], plain)
    for number, one in enumerate(results):
        for other in results[number + 1 :]:
            assert distance(one, other) > 1e-5


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_reversed_layer_shows_the_images_to_the_negative_prompt_alone(scaling: str) -> None:
    """In all layers: the positive rows are those of the unpatched model, and the negative ones see the images."""
    latents = make_latents(2)
    condition = make_condition(TINY_SD15, weight=0.8, scaling=scaling, reversed=(True,) * 16)
    found = seen(TINY_SD15, latents, condition, chunks=BOTH)
    plain = predict(draw_model(TINY_SD15), TINY_SD15, latents, chunks=BOTH)
    assert distance(found[:2], plain[:2]) < SAME
    usual = dataclasses.replace(condition, reversed=(), negative_tokens=condition.tokens)
    assert distance(found[2:], seen(TINY_SD15, latents, usual, chunks=BOTH)[2:]) < SAME
    assert distance(found[2:], plain[2:]) > DIFFERENT


def test_reversed_layers_with_an_image_for_each_frame() -> None:
    latents, tokens = make_latents(2), make_tokens(TINY_SD15, 2)
    flags = tuple(layer % 2 == 0 for layer in range(16))
    condition = make_condition(TINY_SD15, tokens=tokens, per_frame=True, reversed=flags)
    found = seen(TINY_SD15, latents, condition, chunks=BOTH)
    for frame in range(2):
        alone = make_condition(TINY_SD15, tokens=tokens[frame : frame + 1], reversed=flags)
        expected = seen(TINY_SD15, latents[frame : frame + 1], alone, chunks=BOTH)
        assert distance(found[[frame, frame + 2]], expected) < SAME


# ------------------------------------------------------------------ in ComfyUI's samplers


def sample(model: Any, frames: int) -> Tensor:
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(*([[make_context(TINY_SD15, 1, seed=seed, dtype=torch.float32), {}]] for seed in (1, 2)))
    guider.set_cfg(4.0)
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", 3)
    noise = make_latents(frames).float()
    sampler = comfy.samplers.sampler_object("euler")
    return guider.sample(noise, torch.zeros_like(noise), sampler, sigmas, disable_pbar=True, seed=1)


def weighted(scaling: str, weights: tuple[float, ...]) -> Any:
    condition = make_condition(TINY_SD15, scaling=scaling, frame_weights=weights)
    return apply_image_conditions(draw_model(TINY_SD15, torch.float32), [condition])


@pytest.mark.parametrize("scaling", SCALINGS)
def test_context_windows_use_the_weights_of_their_own_frames(scaling: str) -> None:
    patched = weighted(scaling, (1.0, 0.0, 0.3, 2.0))
    whole = sample(patched, 4)
    windowed = patched.clone()
    windowed.model_options["context_handler"] = comfy.context_windows.IndexListContextHandler(
        comfy.context_windows.get_matching_context_schedule("standard_static"),
        comfy.context_windows.get_matching_fuse_method("flat"),
        context_length=2,
    )
    assert distance(sample(windowed, 4), whole) < 1e-5
    assert distance(sample(weighted(scaling, (1.0, 0.0, 1.0, 0.0)), 4), whole) > DIFFERENT


@pytest.mark.parametrize("scaling", SCALINGS)
def test_frame_batches_use_the_weights_of_their_own_frames(scaling: str) -> None:
    patched = weighted(scaling, (1.0, 0.0, 0.3, 2.0, 0.1))
    whole = sample(patched, 5)
    divided = patched.clone()
    FrameBatches(frames_per_pass=2).attach(divided)
    assert distance(sample(divided, 5), whole) < 1e-5


def test_a_condition_without_weight_in_any_frame_is_none() -> None:
    model = draw_model(TINY_SD15)
    assert apply_image_conditions(model, [make_condition(TINY_SD15, frame_weights=(0.0, 0.0))]) is model
