"""Tiny CLIP vision encoders as ComfyUI loads them: its own class and its own forward pass, random weights.

Call `require_comfy` before this module is imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import comfy.clip_vision
import torch
from torch import Tensor, nn

from .random_weights.clips import VisionTower, lay_out_vision
from .random_weights.layout import draw_weights
from .tiny_adapters import EMBED_WIDTH

#: Its hidden states and its image embeddings are both as wide as the adapters of `tiny_adapters` take them; 17 hidden states.
TINY_TOWER = VisionTower(width=EMBED_WIDTH, layers=3, feed_forward=48, projection=EMBED_WIDTH, patch=56)


class CountingEncoder(comfy.clip_vision.ClipVisionModel):
    """ComfyUI's encoder, which also counts the images that go through it, in `images`."""

    def __init__(self, config: Path) -> None:
        super().__init__(str(config))
        self.images = 0
        self.model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: nn.Module, arguments: Any, keywords: dict[str, Tensor]) -> None:
        self.images += len(keywords["pixel_values"])


def build_encoder(folder: Path, tower: VisionTower = TINY_TOWER, *, name: str = "") -> CountingEncoder:
    """An encoder out of a CLIP_VISION loader.

    Args:
        folder: where its configuration is written.
        name: other names, other weights.
    """
    encoder = CountingEncoder(_write_config(folder, tower, "clip_vision_model"))
    missing, unexpected = encoder.load_sd(draw_weights(lay_out_vision(tower), name=f"encoder {name}"))
    assert (missing, unexpected) == ([], [])
    return encoder


def build_siglip(folder: Path) -> comfy.clip_vision.ClipVisionModel:
    """A SigLIP encoder, whose weights do not matter."""
    encoder = comfy.clip_vision.ClipVisionModel(str(_write_config(folder, TINY_TOWER, "siglip_vision_model")))
    with torch.no_grad():
        for parameter in encoder.model.parameters():
            parameter.zero_()  # ComfyUI leaves them uninitialized
    return encoder


def _write_config(folder: Path, tower: VisionTower, kind: str) -> Path:
    config = {
        "model_type": kind,
        "hidden_act": "gelu",
        "hidden_size": tower.width,
        "image_size": 224,
        "num_channels": 3,
        "intermediate_size": tower.feed_forward,
        "num_attention_heads": 2,
        "num_hidden_layers": tower.layers,
        "patch_size": tower.patch,
        "projection_dim": tower.projection,
    }
    path = folder / f"{kind}.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path
