"""The attention layers of an image UNet: their keys, and the resolution of each."""

from __future__ import annotations

from typing import Any

from comfy.ldm.modules.attention import SpatialTransformer, SpatialVideoTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import Downsample, UNetModel, Upsample

from ...core.errors import VideoGenError

#: ("input" | "middle" | "output", number of the block, number of the transformer layer in it), as in ComfyUI's patches.
BlockKey = tuple[str, int, int]

#: Choices of blocks: parts of the UNet, and whether they include the finest resolution that has attention.
BLOCK_CHOICES: dict[str, tuple[tuple[str, ...], bool]] = {
    "all": (("input", "middle", "output"), True),
    "all but the finest": (("input", "middle", "output"), False),
    "output": (("output",), True),
    "output but the finest": (("output",), False),
    "input": (("input",), True),
    "middle": (("middle",), True),
}


def need_image_unet(model: Any, what: str) -> UNetModel:
    """Return the UNet of a MODEL of SD 1.5, SD 2 or SDXL.

    Args:
        what: the node's display name, for the message.

    Raises:
        VideoGenError: `model-unsupported`, for video models, DiTs and everything else.
    """
    unet = model.get_model_object("diffusion_model")
    modules = unet.modules() if isinstance(unet, UNetModel) else ()
    kinds = {type(module) for module in modules}
    if SpatialTransformer not in kinds or SpatialVideoTransformer in kinds:
        config = type(getattr(model.model, "model_config", model.model)).__name__
        raise VideoGenError(
            "model-unsupported",
            f"{what} works with image models that have a UNet: SD 1.5, SD 2.x, SDXL, SDXL-Turbo and models derived from them;"
            f" this model is {config}",
            "Video models keep their frames together by themselves: leave the node out there.",
        )
    return unet


def choose_blocks(unet: UNetModel, choice: str) -> list[BlockKey]:
    """The transformer layers of a choice of `BLOCK_CHOICES`, from the input to the output."""
    parts, with_finest = BLOCK_CHOICES[choice]
    levels = attention_levels(unet)
    finest = min(levels.values())
    return [key for key, level in levels.items() if key[0] in parts and (with_finest or level > finest)]


def attention_levels(unet: UNetModel) -> dict[BlockKey, int]:
    """Transformer layer → how often the resolution has been halved there, from the input to the output."""
    levels: dict[BlockKey, int] = {}
    level = 0

    def note(part: str, number: int, block: Any) -> None:
        layers = [layer for module in block for layer in getattr(module, "transformer_blocks", ())]
        levels.update({(part, number, index): level for index in range(len(layers))})

    for number, block in enumerate(unet.input_blocks):
        note("input", number, block)
        level += any(isinstance(module, Downsample) for module in block)
    if unet.middle_block is not None:
        note("middle", 0, unet.middle_block)
    for number, block in enumerate(unet.output_blocks):
        note("output", number, block)
        level -= any(isinstance(module, Upsample) for module in block)
    return levels


def cross_attentions(diffusion_model: Any) -> list[tuple[BlockKey, Any]]:
    """The key and the module of every cross-attention, in IP-Adapter's order: inputs, outputs, middle.

    Returns:
        an empty list for anything but a UNet for images.
    """
    middle = getattr(diffusion_model, "middle_block", None)
    parts = {
        "input": list(getattr(diffusion_model, "input_blocks", ())),
        "output": list(getattr(diffusion_model, "output_blocks", ())),
        "middle": [] if middle is None else [middle],
    }
    found = []
    for part, blocks in parts.items():
        for number, block in enumerate(blocks):
            layers = [
                layer
                for module in block.modules()
                if isinstance(module, SpatialTransformer)
                for layer in module.transformer_blocks
            ]
            found += [
                ((part, number, index), layer.attn2)
                for index, layer in enumerate(layers)
                if getattr(layer, "attn2", None) is not None
            ]
    return found


def cross_attention_keys(diffusion_model: Any) -> list[BlockKey]:
    """``(part, block, transformer index)`` of every cross-attention, in the order of `cross_attentions`."""
    return [key for key, _ in cross_attentions(diffusion_model)]
