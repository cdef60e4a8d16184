"""Tiny IP-Adapters for the UNets of `tiny_models`, and outputs of an encoder for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from .random_weights.adapters import lay_out_full_face, lay_out_plain, lay_out_plus
from .random_weights.layout import Layout, draw_weights
from .random_weights.unets import UNet

EMBED_WIDTH = 24
#: Hidden states of an image, in place of the 257 of CLIP.
HIDDEN_STATES = 10

#: The kinds of adapters.
LAY_OUT: dict[str, Callable[[UNet], Layout]] = {
    "plain": lambda unet: lay_out_plain(unet.attention_widths, unet.context_width, embed_width=EMBED_WIDTH),
    "plus": lambda unet: lay_out_plus(
        unet.attention_widths, unet.context_width, embed_width=EMBED_WIDTH, tokens=6, width=32, heads=2
    ),
    "full-face": lambda unet: lay_out_full_face(unet.attention_widths, unet.context_width, embed_width=EMBED_WIDTH),
}


@lru_cache(maxsize=32)
def draw_adapter(kind: str, unet: UNet, *, name: str = "") -> Mapping[str, Tensor]:
    """Random weights of an adapter ("plain", "plus", "full-face"), under the names of published files, float32; not to be
    written into.

    Args:
        name: other names, other numbers.
    """
    return draw_weights(LAY_OUT[kind](unet), name=f"{kind} {name}")


def draw_embeds(kind: str, images: int = 1, *, seed: int = 0, width: int = EMBED_WIDTH) -> tuple[Tensor, Tensor]:
    """An encoder's output for so many images, and for the negative prompt: (images, …) and (1, …), float64.

    For plain adapters the negative one is zeros; for the others it is the encoder's output for an image of CLIP's mean
    color, here just other numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (width,) if kind == "plain" else (HIDDEN_STATES, width)
    embeds = torch.randn(images, *shape, generator=generator).double()
    if kind == "plain":
        return embeds, torch.zeros(1, *shape).double()
    return embeds, torch.randn(1, *shape, generator=generator).double()
