"""Tiny models that see images: conditions without an encoder, and the UNet called as ComfyUI's samplers call it.

Call `require_comfy` before this module is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.image_condition import ImageCondition
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.random_weights.unets import UNet
from runner.bench.models.tiny_adapters import draw_adapter
from runner.bench.models.tiny_models import build_comfy_model, draw_unet, make_context

#: Latent cells; not square.
HEIGHT, WIDTH = 8, 16
POSITIVE, NEGATIVE = 0, 1


@cache
def draw_model(unet: UNet, dtype: torch.dtype = torch.float64) -> Any:
    """A MODEL with random weights; the same one for all tests, which never change it."""
    return build_comfy_model(unet, draw_unet(unet), dtype=dtype)


@cache
def load_adapter(unet: UNet, kind: str = "plain", name: str = "") -> IPAdapter:
    return IPAdapter.from_state(draw_adapter(kind, unet, name=name), f"{kind}{name}.safetensors").to(torch.float64)


def make_tokens(unet: UNet, rows: int = 1, *, tokens: int = 3, seed: int = 0) -> Tensor:
    """Random image tokens (rows, tokens, context width)."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return torch.randn(rows, tokens, unet.context_width, generator=generator, dtype=torch.float64)


def make_condition(unet: UNet, *, weight: float = 1.0, seed: int = 0, name: str = "", **others: Any) -> ImageCondition:
    """A condition of random tokens, of the same weight in all layers."""
    adapter = load_adapter(unet, "plain", name)
    given = {
        "adapter": adapter,
        "tokens": make_tokens(unet, seed=seed),
        "negative_tokens": make_tokens(unet, tokens=2, seed=500),
        "weights": (weight,) * len(adapter.info.layer_widths),
    }
    return ImageCondition(**{**given, **others})


def make_latents(frames: int, *, seed: int = 0) -> Tensor:
    return torch.randn(frames, 4, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@torch.inference_mode()
def predict(
    model: Any,
    unet: UNet,
    latents: Tensor,
    *,
    chunks: Sequence[int] = (POSITIVE,),
    sigma: float = 5.0,
    options: Mapping[str, Any] | None = None,
) -> Tensor:
    """The UNet's prediction for the latents, once for each prompt of `chunks` ("cond_or_uncond"): (chunks × frames, …)."""
    network = model.model.diffusion_model
    dtype = next(network.parameters()).dtype
    contexts = {number: make_context(unet, 1, seed=number, dtype=dtype) for number in set(chunks)}
    frames = len(latents)
    return network(
        latents.to(dtype).repeat(len(chunks), 1, 1, 1),
        torch.full((frames * len(chunks),), 500.0),
        context=torch.cat([contexts[number].expand(frames, -1, -1) for number in chunks]),
        y=None if unet.vector_width is None else torch.zeros(frames * len(chunks), unet.vector_width, dtype=dtype),
        transformer_options={
            **model.model_options["transformer_options"],
            "cond_or_uncond": list(chunks),
            "sigmas": torch.full((frames,), sigma),
            **(options or {}),
        },
    )


def distance(found: Tensor, expected: Tensor) -> float:
    """Relative L2."""
    return float((found.double() - expected.double()).norm() / expected.double().norm())
