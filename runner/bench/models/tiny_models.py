"""The same UNet as ComfyUI's model and as diffusers', with the same random weights.

Call `require_comfy` (and `require_diffusers` for `build_diffusers_unet`) before this module is imported. Any `UNet` of
`random_weights.unets` can be built; TINY_SD15 and TINY_SDXL have all the blocks and attentions of the real ones and take
tenths of a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.model_patcher
import comfy.supported_models
import comfy.utils
import torch

from .random_weights.layout import draw_weights
from .random_weights.unets import RESIDUALS, UNet, lay_out_unet

LATENT_CHANNELS = 4
_COMFY_KINDS = {
    "SD 1.5": comfy.supported_models.SD15,
    "SD 2": comfy.supported_models.SD20,
    "SDXL": comfy.supported_models.SDXL,
}
#: By how far these weights are spread ComfyUI tells an SD 2 that predicts velocity, such as 2.1 (768-v), from one that
#: predicts noise.
_VELOCITY = {"output_blocks.11.1.transformer_blocks.0.norm1.bias": torch.linspace(-1, 1, 32)}
#: SDXL is told six sizes, each of them as so many numbers.
SIZES = 6


def draw_unet(unet: UNet, *, name: str = "", dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Random weights of a UNet, under the names of single-file checkpoints.

    Whatever the dtype of a model is, draw them in float32: only then is the float64 model the same as the float32 one.
    """
    return draw_weights(lay_out_unet(unet), name=name, dtype=dtype)


def build_comfy_model(
    unet: UNet, weights: Mapping[str, torch.Tensor], *, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> comfy.model_patcher.ModelPatcher:
    """Build a checkpoint loader's MODEL. The dtype is that of all its layers; nothing is cast in between."""
    config = _COMFY_KINDS[unet.family](_describe_for_comfy(unet))
    config.set_inference_dtype(dtype, None)
    # Patches of the model's own weights are made on the device on which it rests.
    model = config.get_model(_VELOCITY if unet.family == "SD 2" else {}, device=torch.device(device))
    model.diffusion_model.load_state_dict(dict(weights))  # strict: ComfyUI leaves what is not loaded uninitialized
    model.diffusion_model.to(dtype)
    return comfy.model_patcher.ModelPatcher(
        model, load_device=torch.device(device), offload_device=torch.device(device)
    )


def build_diffusers_unet(
    unet: UNet, weights: Mapping[str, torch.Tensor], *, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> Any:
    """diffusers' ``UNet2DConditionModel`` with the weights of a checkpoint."""
    from diffusers import UNet2DConditionModel

    names = comfy.utils.unet_to_diffusers(_describe_for_comfy(unet))
    with torch.device("meta"):  # its own weights are never drawn
        model = UNet2DConditionModel(**_describe_for_diffusers(unet))
    expected = model.state_dict()
    converted = {name: weights[key] for name, key in names.items() if name in expected}
    model.load_state_dict(converted, assign=True)
    return model.to(device=device, dtype=dtype).eval()


def make_context(
    unet: UNet, rows: int, *, tokens: int = 77, seed: int = 0, dtype: torch.dtype = torch.float64
) -> torch.Tensor:
    """Random text tokens, (rows, tokens, context width)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, tokens, unet.context_width, generator=generator).to(dtype)


def make_sizes(unet: UNet, rows: int, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """SDXL's inputs in addition to the text, for diffusers' ``added_cond_kwargs``: `text_embeds` (rows, pooled width) and
    `time_ids` (rows, 6); nothing for SD 1.5."""
    if unet.vector_width is None:
        return {}
    generator = torch.Generator().manual_seed(seed + 1)
    pooled = torch.randn(rows, _pooled_width(unet), generator=generator).to(dtype)
    sizes = torch.tensor([[512.0, 640.0, 0.0, 32.0, 512.0, 640.0]], dtype=dtype).expand(rows, SIZES)
    return {"text_embeds": pooled, "time_ids": sizes}


def join_sizes(unet: UNet, sizes: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """The same as one vector a row, as ComfyUI passes it to its UNet (`y`)."""
    if unet.vector_width is None:
        return None
    from comfy.ldm.modules.diffusionmodules.util import timestep_embedding

    rows = len(sizes["time_ids"])
    numbers = timestep_embedding(sizes["time_ids"].flatten(), _size_width(unet)).to(sizes["text_embeds"].dtype)
    return torch.cat([sizes["text_embeds"], numbers.reshape(rows, -1)], dim=1)


def _size_width(unet: UNet) -> int:
    """Numbers a size: 256 in SDXL, 8 in the tiny one."""
    return 256 if unet.vector_width == 2816 else 8


def _pooled_width(unet: UNet) -> int:
    assert unet.vector_width is not None
    return unet.vector_width - SIZES * _size_width(unet)


def _describe_for_comfy(unet: UNet) -> dict[str, Any]:
    levels = len(unet.depths)
    return {
        "image_size": 32,
        "in_channels": LATENT_CHANNELS,
        "out_channels": LATENT_CHANNELS,
        "model_channels": unet.width,
        "num_res_blocks": [RESIDUALS] * levels,
        "channel_mult": list(unet.multipliers),
        "transformer_depth": [depth for depth in unet.depths for _ in range(RESIDUALS)],
        "transformer_depth_output": [depth for depth in unet.depths for _ in range(RESIDUALS + 1)],
        "transformer_depth_middle": unet.middle_depth,
        "context_dim": unet.context_width,
        "num_heads": unet.heads or -1,
        "num_head_channels": unet.head_width or -1,
        "use_spatial_transformer": True,
        "use_linear_in_transformer": unet.linear,
        "use_temporal_attention": False,
        "legacy": False,
        "num_classes": None if unet.vector_width is None else "sequential",
        "adm_in_channels": unet.vector_width,
    }


def _describe_for_diffusers(unet: UNet) -> dict[str, Any]:
    attended = [bool(depth) for depth in unet.depths]
    config: dict[str, Any] = {
        "sample_size": 32,
        "in_channels": LATENT_CHANNELS,
        "out_channels": LATENT_CHANNELS,
        "block_out_channels": unet.widths,
        "layers_per_block": RESIDUALS,
        "down_block_types": ["CrossAttnDownBlock2D" if yes else "DownBlock2D" for yes in attended],
        "up_block_types": ["CrossAttnUpBlock2D" if yes else "UpBlock2D" for yes in reversed(attended)],
        "transformer_layers_per_block": [max(depth, 1) for depth in unet.depths[:-1]] + [unet.middle_depth],
        "cross_attention_dim": unet.context_width,
        # The number of heads, in spite of its name.
        "attention_head_dim": [unet.heads or width // (unet.head_width or 1) for width in unet.widths],
        "use_linear_projection": unet.linear,
        # As published, and as ComfyUI computes it: half precision is too narrow for its attention.
        "upcast_attention": unet.family == "SD 2",
    }
    if unet.vector_width is not None:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": _size_width(unet),
            "projection_class_embeddings_input_dim": unet.vector_width,
        }
    return config


class TinyText:
    """The part of a CLIP that CLIPTextEncode needs: the same text is encoded to the same numbers."""

    def __init__(self, unet: UNet) -> None:
        self.unet = unet
        self.texts: list[str] = []

    def tokenize(self, text: str) -> str:
        self.texts.append(text)
        return text

    def encode_from_tokens_scheduled(self, text: str) -> list[Any]:
        generator = torch.Generator().manual_seed(len(text))
        tokens = torch.randn(1, 77, self.unet.context_width, generator=generator)
        return [[tokens, {"pooled_output": torch.randn(1, 1280, generator=generator)}]]
