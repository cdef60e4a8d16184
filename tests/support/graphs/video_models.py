"""Graphs in API format of current video models, for tests of roles, and the schemas of their nodes."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

_SCHEMAS = Path(__file__).parents[2] / "data" / "object_info_0.33.json.xz"


def read_schemas() -> dict[str, Any]:
    """What ComfyUI 0.33 answers to /object_info, of the nodes in video templates."""
    return json.loads(lzma.decompress(_SCHEMAS.read_bytes()))


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": {name.replace("__", "."): value for name, value in inputs.items()}}


def wan(**changes: dict[str, Any]) -> dict[str, Any]:
    """A text-to-video graph in two stages of noise, with some nodes replaced or added."""
    return {
        "save": node("SaveVideo", filename_prefix="a", format="auto", video=["video", 0]),
        "video": node("CreateVideo", images=["decode", 0], fps=16.0),
        "decode": node("VAEDecode", samples=["low", 0], vae=["vae", 0]),
        "low": sampler(["high", 0], add_noise="disable", noise_seed=0),
        "high": sampler(["latent", 0], add_noise="enable", noise_seed=7),
        "latent": node("EmptyHunyuanLatentVideo", width=640, height=480, length=81, batch_size=1),
        "positive": node("CLIPTextEncode", text="a tree", clip=["clip", 0]),
        "negative": node("CLIPTextEncode", text="ugly", clip=["clip", 0]),
        "clip": node("CLIPLoader", clip_name="umt5.safetensors", type="wan"),
        "vae": node("VAELoader", vae_name="wan.safetensors"),
        "model": node("UNETLoader", unet_name="wan.safetensors", weight_dtype="default"),
        **changes,
    }


def sampler(latent: list[Any], **inputs: Any) -> dict[str, Any]:
    linked = {"model": ["model", 0], "positive": ["positive", 0], "negative": ["negative", 0], "latent_image": latent}
    return node("KSamplerAdvanced", **{**linked, **inputs})
