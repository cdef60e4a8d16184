"""Configurations of small models that our nodes refuse. Call `require_comfy` before this module is imported."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from comfy.ldm.flux.model import FluxParams


def small_flux() -> dict[str, Any]:
    """Flux with one block of each kind, as the ComfyUI at hand describes one."""
    config = {
        "image_model": "flux",
        "in_channels": 16,
        "out_channels": 16,
        "patch_size": 2,
        "vec_in_dim": 8,
        "context_in_dim": 8,
        "hidden_size": 32,
        "mlp_ratio": 4.0,
        "num_heads": 2,
        "depth": 1,
        "depth_single_blocks": 1,
        "axes_dim": [4, 6, 6],
        "theta": 10000,
        "qkv_bias": True,
        "guidance_embed": True,
    }
    newer = {"txt_ids_dims": []}  # later than 0.3.75
    known = {field.name for field in fields(FluxParams)}
    return config | {name: value for name, value in newer.items() if name in known}
