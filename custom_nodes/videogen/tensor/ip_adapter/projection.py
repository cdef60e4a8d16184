"""Image projections: from a CLIP vision encoder's output to image tokens.

The submodules have the names of published files, so that a file's tensors are the module's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Channels of one head in the Resampler of every published file.
HEAD_WIDTH = 64


class LinearProjection(nn.Module):
    """Plain: one Linear to all tokens, and a LayerNorm (Ye et al. 2023, section 3.2.1).

    Args:
        embed_width: of the encoder's image embedding.
        tokens, context_width: how many image tokens, and how wide.
    """

    def __init__(self, embed_width: int, tokens: int, context_width: int) -> None:
        super().__init__()
        self.tokens, self.context_width = tokens, context_width
        self.proj = nn.Linear(embed_width, tokens * context_width)
        self.norm = nn.LayerNorm(context_width)

    def forward(self, embeds: Tensor) -> Tensor:
        """(n, embed width) → (n, tokens, context width)"""
        return self.norm(self.proj(embeds).reshape(len(embeds), self.tokens, self.context_width))


class FullFaceMLP(nn.Module):
    """Full-face: a two-layer MLP on each of the encoder's hidden states, one token a patch."""

    def __init__(self, embed_width: int, inner_width: int, context_width: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(
            nn.Linear(embed_width, inner_width),
            nn.GELU(),
            nn.Linear(inner_width, context_width),
            nn.LayerNorm(context_width),
        )

    def forward(self, embeds: Tensor) -> Tensor:
        """(n, patches, embed width) → (n, patches, context width)"""
        return self.proj(embeds)


@dataclass(frozen=True)
class ResamplerSize:
    """The inner size of a Resampler.

    Attributes:
        width: channels of a latent.
        inner_width: of all heads of an attention together.
        feed_forward: hidden channels of a feed-forward network.
        depth: number of layers.
    """

    width: int
    inner_width: int
    feed_forward: int
    depth: int


class PerceiverAttention(nn.Module):
    """Attention of the latents to the image features and to themselves (Alayrac et al. 2022, Flamingo, section 3.1.1)."""

    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__()
        self.heads = inner_width // HEAD_WIDTH
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner_width, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner_width, bias=False)
        self.to_out = nn.Linear(inner_width, width, bias=False)

    def forward(self, features: Tensor, latents: Tensor) -> Tensor:
        features, latents = self.norm1(features), self.norm2(latents)
        key, value = self.to_kv(torch.cat([features, latents], dim=1)).chunk(2, dim=-1)
        query, key, value = (
            x.unflatten(-1, (self.heads, HEAD_WIDTH)).transpose(1, 2) for x in (self.to_q(latents), key, value)
        )
        return self.to_out(functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class ResamplerLayer(nn.ModuleList):
    """Attention, then a feed-forward network, both with a residual; published files number these two 0 and 1."""

    def __init__(self, size: ResamplerSize) -> None:
        feed_forward = nn.Sequential(
            nn.LayerNorm(size.width),
            nn.Linear(size.width, size.feed_forward, bias=False),
            nn.GELU(),
            nn.Linear(size.feed_forward, size.width, bias=False),
        )
        super().__init__([PerceiverAttention(size.width, size.inner_width), feed_forward])

    def forward(self, features: Tensor, latents: Tensor) -> Tensor:
        latents = self[0](features, latents) + latents
        return self[1](latents) + latents


class Resampler(nn.Module):
    """Plus: a Perceiver Resampler that draws `tokens` tokens out of all hidden states of the encoder."""

    def __init__(self, embed_width: int, tokens: int, context_width: int, size: ResamplerSize) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.empty(1, tokens, size.width))
        self.proj_in = nn.Linear(embed_width, size.width)
        self.proj_out = nn.Linear(size.width, context_width)
        self.norm_out = nn.LayerNorm(context_width)
        self.layers = nn.ModuleList(ResamplerLayer(size) for _ in range(size.depth))

    def forward(self, embeds: Tensor) -> Tensor:
        """(n, hidden states, embed width) → (n, tokens, context width)"""
        features = self.proj_in(embeds)
        latents = self.latents.expand(len(embeds), -1, -1)
        for layer in self.layers:
            latents = layer(features, latents)
        return self.norm_out(self.proj_out(latents))


def build_projection(weights: Mapping[str, Tensor], projection: str, tokens: int, context_width: int) -> nn.Module:
    """The module of a projection on the `meta` device, sized after its weights (without the ``image_proj.`` of their names)."""
    with torch.device("meta"):
        if projection == "plain":
            return LinearProjection(weights["proj.weight"].shape[1], tokens, context_width)
        if projection == "full-face":
            inner_width, embed_width = weights["proj.0.weight"].shape
            return FullFaceMLP(embed_width, inner_width, context_width)
        width, embed_width = weights["proj_in.weight"].shape
        depth = len({key.split(".")[1] for key in weights if key.startswith("layers.")})
        inner_width, feed_forward = weights["layers.0.0.to_q.weight"].shape[0], weights["layers.0.1.1.weight"].shape[0]
        size = ResamplerSize(width, inner_width, feed_forward, depth)
        return Resampler(embed_width, tokens, context_width, size)
