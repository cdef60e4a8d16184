"""Whether an IP-Adapter fits a model, as far as the widths of its layers can tell."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from comfy.ldm.modules.attention import SpatialVideoTransformer

from ...core.errors import VideoGenError
from ...tensor.ip_adapter.adapter import IPAdapter
from .unet_blocks import cross_attentions

#: ComfyUI's classes of base models → the names that their users know.
_MODEL_NAMES = {"SD15": "SD 1.5", "SD20": "SD 2", "SDXL": "SDXL", "SDXLRefiner": "the SDXL refiner"}
#: family → a file to use, for hints.
_EXAMPLES = {"SD 1.5": "ip-adapter-plus_sd15.safetensors", "SDXL": "ip-adapter-plus_sdxl_vit-h.safetensors"}


def require_fit(adapter: IPAdapter, model: Any) -> None:
    """Check that an adapter was made for this kind of model.

    Args:
        model: a MODEL (ComfyUI's ModelPatcher).

    Raises:
        VideoGenError: `model-unsupported` for video models and transformers, `adapter-mismatch` for another UNet.
    """
    network = model.get_model_object("diffusion_model")
    layers = cross_attentions(network)
    name = _name_model(model)
    modules = network.modules() if hasattr(network, "modules") else ()
    if not layers or any(isinstance(module, SpatialVideoTransformer) for module in modules):
        raise VideoGenError(
            "model-unsupported",
            f"an IP-Adapter works with SD 1.5, SD 2 and SDXL models and models derived from them; this model is {name}",
            "Take a checkpoint of one of these, or leave the IP-Adapter out.",
        )
    widths = tuple(attention.heads * attention.dim_head for _, attention in layers)
    contexts = {attention.to_k.in_features for _, attention in layers}
    info = adapter.info
    if contexts == {info.context_width} and widths == info.layer_widths:
        return
    example = f", such as {_EXAMPLES[name]}" if name in _EXAMPLES else ""
    raise VideoGenError(
        "adapter-mismatch",
        f"{adapter.name} is an adapter for {info.family} ({_describe(info.layer_widths, {info.context_width})}), and the"
        f" model is {name} ({_describe(widths, contexts)})",
        f"Take an adapter for {name}{example}, or a model that the adapter is for ({info.family}).",
    )


def _name_model(model: Any) -> str:
    name = type(getattr(model.model, "model_config", model.model)).__name__
    return _MODEL_NAMES.get(name, name)


def _describe(widths: Collection[int], contexts: Collection[int]) -> str:
    return f"{len(widths)} cross-attentions, {_span(widths)} wide, for text tokens {_span(contexts)} wide"


def _span(numbers: Collection[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
