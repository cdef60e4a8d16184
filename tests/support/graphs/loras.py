"""ComfyUI's nodes for LoRAs, as servers describe them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LORA_NODES = ("LoraLoader", "LoraLoaderModelOnly")


def with_loras(object_info: Mapping[str, Any], *files: str) -> dict[str, Any]:
    """A server's schemas with these nodes, and with loaders of a model alone, for these LoRAs in its folder."""
    strength = ["FLOAT", {"default": 1.0, "min": -100.0, "max": 100.0, "step": 0.01}]
    model_only = {"model": ["MODEL", {}], "lora_name": [list(files), {}], "strength_model": strength}
    both = {**model_only, "clip": ["CLIP", {}], "strength_clip": strength}
    nodes = {
        "LoraLoader": (both, ["MODEL", "CLIP"]),
        "LoraLoaderModelOnly": (model_only, ["MODEL"]),
        "UNETLoader": ({"unet_name": [["wan_high_noise.safetensors", "wan_low_noise.safetensors"], {}]}, ["MODEL"]),
        "CLIPLoader": ({"clip_name": [["umt5.safetensors"], {}]}, ["CLIP"]),
    }
    return {
        **object_info,
        **{
            kind: {"input": {"required": inputs}, "output": outputs, "output_name": outputs, "output_node": False}
            for kind, (inputs, outputs) in nodes.items()
        },
    }
