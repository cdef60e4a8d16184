"""IP-Adapters of every kind, for any UNet, under the names of the published files."""

from __future__ import annotations

from collections.abc import Sequence

from .layout import Layout

HEAD_WIDTH = 64  # of the Perceiver Resampler, in every published file
RESAMPLER_LAYERS = 4


def lay_out_plain(
    attention_widths: Sequence[int], context_width: int, *, embed_width: int = 1024, tokens: int = 4
) -> Layout:
    """``ip-adapter_sd15`` and the like: `image_embeds` → Linear → LayerNorm → tokens."""
    layout = Layout()
    layout.linear("image_proj.proj", tokens * context_width, embed_width)
    layout.norm("image_proj.norm", context_width)
    return _add_attentions(layout, attention_widths, context_width)


def lay_out_plus(
    attention_widths: Sequence[int],
    context_width: int,
    *,
    embed_width: int = 1280,
    tokens: int = 16,
    width: int = 768,
    heads: int = 12,
) -> Layout:
    """``ip-adapter-plus_sd15`` and the like: penultimate hidden states → Perceiver Resampler → tokens."""
    layout = Layout()
    inner = heads * HEAD_WIDTH
    layout.embedding("image_proj.latents", 1, tokens, width, deviation=width**-0.5)
    layout.linear("image_proj.proj_in", width, embed_width)
    layout.linear("image_proj.proj_out", context_width, width)
    layout.norm("image_proj.norm_out", context_width)
    for number in range(RESAMPLER_LAYERS):
        attention, feed_forward = f"image_proj.layers.{number}.0", f"image_proj.layers.{number}.1"
        layout.norm(f"{attention}.norm1", width)
        layout.norm(f"{attention}.norm2", width)
        layout.query_or_key(f"{attention}.to_q", inner, width)
        layout.linear(f"{attention}.to_kv", 2 * inner, width, bias=False)
        layout.linear(f"{attention}.to_out", width, inner, bias=False)
        layout.norm(f"{feed_forward}.0", width)
        layout.linear(f"{feed_forward}.1", 4 * width, width, bias=False)
        layout.linear(f"{feed_forward}.3", width, 4 * width, bias=False)
    return _add_attentions(layout, attention_widths, context_width)


def lay_out_full_face(attention_widths: Sequence[int], context_width: int, *, embed_width: int = 1280) -> Layout:
    """``ip-adapter-full-face_sd15``: penultimate hidden states → MLP → LayerNorm, a token for each of them."""
    layout = Layout()
    layout.linear("image_proj.proj.0", embed_width, embed_width)
    layout.linear("image_proj.proj.2", context_width, embed_width)
    layout.norm("image_proj.proj.3", context_width)
    return _add_attentions(layout, attention_widths, context_width)


def _add_attentions(layout: Layout, attention_widths: Sequence[int], context_width: int) -> Layout:
    """Numbered 1, 3, 5, …: the even numbers are the self-attentions, which have nothing to add."""
    for index, width in enumerate(attention_widths):
        layout.query_or_key(f"ip_adapter.{2 * index + 1}.to_k_ip", width, context_width)
        layout.linear(f"ip_adapter.{2 * index + 1}.to_v_ip", width, context_width, bias=False)
    return layout
