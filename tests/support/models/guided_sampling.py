"""Samplings with ComfyUI's guiders and prompts as its nodes make them, of tiny models that see images.

Call `require_comfy` before this module is imported.
"""

from __future__ import annotations

from typing import Any

import comfy.samplers
import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from runner.bench.models.random_weights.unets import TINY_SD15
from runner.bench.models.tiny_models import make_context
from tests.support.models.seeing_models import HEIGHT, WIDTH, draw_model, make_condition, make_latents

UNET = TINY_SD15
Prompt = list[Any]


def bare_model() -> Any:
    """In double precision, so that what ComfyUI rounds to single precision is the same bits in a batch of any size: in single
    precision the unpatched model itself differs by 2e-6 with and without an area."""
    return draw_model(UNET, torch.float64)


def model_of(**changes: Any) -> Any:
    """A model that sees one picture; `changes` are those of `make_condition`."""
    return apply_image_conditions(bare_model(), [make_condition(UNET, **changes)])


def text(seed: int, rows: int = 1, **values: Any) -> Prompt:
    """A CONDITIONING of one entry, with what ComfyUI's nodes set on it."""
    return [[make_context(UNET, rows, seed=seed, dtype=torch.float32), values]]


def area(height: int, width: int, top: int = 0, left: int = 0, strength: float = 1.0) -> dict[str, Any]:
    """As ConditioningSetArea sets it."""
    return {"area": (height, width, top, left), "strength": strength, "set_area_to_bounds": False}


def share(height: float, width: float, top: float = 0.0, left: float = 0.0) -> dict[str, Any]:
    """As ConditioningSetAreaPercentage sets it."""
    return {"area": ("percentage", height, width, top, left), "strength": 1.0, "set_area_to_bounds": False}


def bounds(top: int, left: int, height: int, width: int) -> dict[str, Any]:
    """As ConditioningSetMask sets it with "mask bounds"; the mask in pixels."""
    mask = torch.zeros(1, 8 * HEIGHT, 8 * WIDTH)
    mask[:, 8 * top : 8 * (top + height), 8 * left : 8 * (left + width)] = 1.0
    return {"mask": mask, "set_area_to_bounds": True, "mask_strength": 1.0}


def sample(
    model: Any,
    positive: Prompt,
    negative: Prompt,
    *,
    cfg: float = 4.0,
    steps: int = 2,
    sampler: str = "euler",
    noise: Tensor | None = None,
) -> Tensor:
    """Latents out of ComfyUI's own sampler; both prompts are predicted whatever `cfg` is.

    Args:
        noise: by default one frame for each row of the positive prompt.
    """
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    noise = make_latents(len(positive[0][0])).float() if noise is None else noise
    return run(guider, steps=steps, sampler=sampler, noise=noise)


def run(guider: Any, *, steps: int = 2, sampler: str = "euler", noise: Tensor | None = None) -> Tensor:
    """The same with a guider that has its prompts."""
    guider.model_options["disable_cfg1_optimization"] = True
    sigmas = comfy.samplers.calculate_sigmas(guider.model_patcher.get_model_object("model_sampling"), "normal", steps)
    noise = make_latents(1).float() if noise is None else noise
    sampling = comfy.samplers.sampler_object(sampler)
    return guider.sample(noise, torch.zeros_like(noise), sampling, sigmas, disable_pbar=True, seed=1)
