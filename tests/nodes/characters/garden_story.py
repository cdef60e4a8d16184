"""A story with a cast in a garden, its pictures, and the attention of a patched model.

Call `require_comfy` before this module is imported.
"""

from __future__ import annotations

from typing import Any

from tests.support.needs import require_comfy

require_comfy()

import comfy.sample
import numpy as np
import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.unet_blocks import cross_attention_keys
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from runner.bench.models.random_weights.unets import TINY_SD15
from runner.bench.models.tiny_models import make_context

#: 1: two people, 2: Anna alone and a tree, 3: Ben without a region and the garden, 4: no one.
STORY: dict[str, Any] = {
    "title": "Garden",
    "size": [128, 64],
    "characters": {
        "anna": {"segments": "1,2", "reference": "anna.png", "region": "left"},
        "ben": {"segments": "1,3", "reference": ["ben.png", "people/ben2.png"], "weight": 0.6},
    },
    "objects": {"tree": {"segments": "2"}},
    "locations": {"garden": {"segments": "1-3", "reference": "garden.png"}},
    "segments": [{"prompt": str(number)} for number in range(1, 5)],
}
FILES = {
    "anna.png": 1,
    "ben.png": 2,
    "people/ben2.png": 3,
    "garden.png": 4,
    "videogen/garden/tree.png": 5,
}


def segment(number: int, **changes: Any) -> SegmentPlan:
    return plan_segment(parse_story({**STORY, **changes}), number)


def pixels(seed: int, height: int = 48, width: int = 40) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def sample(model: Any, frames: int = 1) -> Tensor:
    latents = torch.zeros(frames, 4, 8, 16)
    noise = comfy.sample.prepare_noise(latents, 7)
    positive, negative = ([[make_context(TINY_SD15, 1, seed=seed, dtype=torch.float32), {}]] for seed in (1, 2))
    return comfy.sample.sample(
        model, noise, 2, 4.0, "euler", "normal", positive, negative, latents, seed=7, disable_pbar=True
    )


def look(model: Any, seed: int = 0) -> Tensor:
    """The output of a patched model's first cross-attention for random queries, (height, width, channels)."""
    key = cross_attention_keys(model.model.diffusion_model)[0]
    patch = model.model_options["transformer_options"]["patches_replace"]["attn2"][key]
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(1, count, 32, generator=generator) for count in (16 * 32, 7, 7))
    options = {"n_heads": 4, "cond_or_uncond": [0], "activations_shape": (1, 32, 16, 32)}
    return patch(q, k, v, options).reshape(16, 32, 32)


def plain(model: Any) -> Tensor:
    """The output of the first cross-attention for the queries of `look` without any image."""
    from comfy.ldm.modules.attention import optimized_attention

    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, count, 32, generator=generator) for count in (16 * 32, 7, 7))
    return optimized_attention(q, k, v, 4).reshape(16, 32, 32)
