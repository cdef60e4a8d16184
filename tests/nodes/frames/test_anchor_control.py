"""Anchor Attention with a real ControlNet (tiny, random weights), through ComfyUI's own nodes and sampler."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.controlnet
import comfy.sample
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import Timestep
from nodes import ControlNetApplyAdvanced
from torch import Tensor

from custom_nodes.videogen.nodes.frames.anchor_attention import anchor_frames
from runner.bench.models.predictions import relative_difference
from runner.bench.models.random_weights.unets import TINY_SD15, TINY_SDXL, UNet
from runner.bench.models.tiny_models import build_comfy_model, draw_unet
from tests.support.models.other_networks import draw_control_net

FRAMES, HEIGHT, WIDTH = 4, 8, 16
#: Of what a sampler puts out in single precision; see anchored_models.py.
ROUNDING, WRONG = 5e-6, 1e-4
SIZE_NUMBERS = 8  # that the tiny SDXL is told of each size


@pytest.fixture(scope="module", params=[TINY_SD15, TINY_SDXL], ids=["sd15", "sdxl"])
def unet(request: pytest.FixtureRequest) -> UNet:
    return request.param


@pytest.fixture(scope="module")
def model(unet: UNet) -> Any:
    patcher = build_comfy_model(unet, draw_unet(unet), dtype=torch.float32)
    if unet is TINY_SDXL:
        patcher.model.embedder = Timestep(SIZE_NUMBERS)
    return patcher


@pytest.fixture(scope="module")
def control_net(unet: UNet) -> comfy.controlnet.ControlNet:
    """What Load ControlNet Model puts out."""
    return draw_control_net(unet)


def sample(model: Any, unet: UNet, control_net: Any, images: int, strength: float = 0.2) -> Tensor:
    """Latents of the frames, under guidance, with ControlNetApplyAdvanced in front of the sampler."""
    generator = torch.Generator().manual_seed(4)
    hints = torch.rand(FRAMES, 8 * HEIGHT, 8 * WIDTH, 3, generator=generator)
    noise = torch.randn(FRAMES, 4, HEIGHT, WIDTH, generator=generator)
    prompts = []
    for _ in range(2):
        more = {} if unet.vector_width is None else {"pooled_output": torch.randn(1, 16, generator=generator)}
        prompts.append([[torch.randn(1, 7, unet.context_width, generator=generator), more]])
    prompts = ControlNetApplyAdvanced().apply_controlnet(*prompts, control_net, hints[:images], strength, 0.0, 1.0)
    return comfy.sample.sample(
        model, noise, 3, 3.0, "euler", "normal", *prompts, torch.zeros_like(noise), seed=1, disable_pbar=True
    )


@pytest.mark.parametrize("images", [1, FRAMES], ids=["one picture", "a picture a frame"])
def test_passes_equal_the_whole(model: Any, unet: UNet, control_net: Any, images: int) -> None:
    whole = sample(anchor_frames(model), unet, control_net, images)
    passes = sample(anchor_frames(model, frames_per_pass=2), unet, control_net, images)
    assert whole.isfinite().all()
    assert relative_difference(passes, whole) < ROUNDING
    # Both are at work: the ControlNet, and the anchor.
    assert relative_difference(sample(anchor_frames(model), unet, control_net, images, 0.0), whole) > WRONG
    assert relative_difference(sample(model, unet, control_net, images), whole) > WRONG


def test_each_frame_has_the_control_of_its_own_image(model: Any, unet: UNet, control_net: Any) -> None:
    """In batches, a frame that took another one's control would go unnoticed where all images are the same."""
    own = sample(anchor_frames(model, frames_per_pass=2), unet, control_net, FRAMES)
    shared = sample(anchor_frames(model, frames_per_pass=2), unet, control_net, 1)
    # The first image is the same in both; the others see other ones.
    assert relative_difference(own[0], shared[0]) < ROUNDING
    assert all(relative_difference(own[frame], shared[frame]) > WRONG for frame in range(1, FRAMES))
