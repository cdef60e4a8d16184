"""Samplings of a tiny model with patches of ours and of others, through ComfyUI's own samplers.

Call `require_comfy` before this module is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import comfy.sample
import comfy.samplers
import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.nodes.frames.anchor_attention import anchor_frames
from runner.bench.models.random_weights.unets import TINY_SD15
from runner.bench.models.tiny_models import make_context
from tests.support.models.seeing_models import distance, draw_model, make_condition

#: A function that takes a MODEL and returns a patched clone, as a node does.
Patch = Callable[[Any], Any]

UNET = TINY_SD15
FRAMES, HEIGHT, WIDTH = 3, 8, 32
#: Of what a sampler puts out in single precision: rounding, and what counts as an effect.
ROUNDING, ACTS = 2e-5, 2e-4


def plain_model() -> Any:
    """The MODEL that all patches are put on."""
    return draw_model(UNET, torch.float32)


def see_images(model: Any) -> Any:
    """An IP-Adapter whose image is seen in the left half of the picture, as Apply Characters puts it on a model."""
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, :, : WIDTH // 2] = 1
    return apply_image_conditions(model, [make_condition(UNET, mask=mask)])


def anchor(model: Any, frames_per_pass: int = 2) -> Any:
    """Anchor Attention; by default in batches of two frames and one."""
    return anchor_frames(model, strength=0.7, frames_per_pass=frames_per_pass)


OURS: dict[str, Patch] = {
    "images": see_images,
    "anchors": anchor,
    "images and anchors": lambda model: anchor(see_images(model)),
}


def text(seed: int, **more: Any) -> list[Any]:
    """A CONDITIONING."""
    return [[make_context(UNET, 1, seed=seed, dtype=torch.float32), dict(more)]]


@cache
def make_noise(frames: int, height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> Tensor:
    return torch.randn(frames, 4, height, width, generator=torch.Generator().manual_seed(seed))


def sample(
    model: Any,
    *,
    frames: int = FRAMES,
    steps: int = 2,
    cfg: float = 3.0,
    positive: Any = None,
    negative: Any = None,
    latent: Tensor | None = None,
    sampler: str = "euler",
    guider: Callable[[Any], Any] | None = None,
    denoise: float = 1.0,
) -> Tensor:
    """Latents (frames, 4, height, width) of one sampling with fixed noise; random choices of patches are seeded too."""
    torch.manual_seed(5)
    latent = torch.zeros(frames, 4, HEIGHT, WIDTH) if latent is None else latent
    noise = make_noise(len(latent), *latent.shape[2:])
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", steps)
    if denoise < 1:
        sigmas = sigmas[-1 - int(steps * denoise) :]
    if guider is None:
        guide = comfy.samplers.CFGGuider(model)
        guide.set_conds(positive or text(1), negative or text(2))
        guide.set_cfg(cfg)
    else:
        guide = guider(model)
    return guide.sample(noise, latent, comfy.samplers.sampler_object(sampler), sigmas, disable_pbar=True, seed=1)


__all__ = ["distance"]
