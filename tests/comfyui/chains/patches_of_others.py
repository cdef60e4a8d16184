"""Nodes of others that change a model, as ComfyUI has them; and stand-ins for packs, which patch as the public ones do.

Call `require_comfy` before this module is imported. The stand-ins were written for these tests.
"""

from __future__ import annotations

import inspect
from types import MethodType
from typing import Any

import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.ldm.modules.diffusionmodules.openaimodel import forward_timestep_embed, timestep_embedding
from comfy_extras import (
    nodes_context_windows,
    nodes_easycache,
    nodes_freelunch,
    nodes_hypertile,
    nodes_model_advanced,
    nodes_model_downscale,
    nodes_pag,
    nodes_sag,
    nodes_slg,
    nodes_tcfg,
    nodes_tomesd,
)
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.unet_blocks import cross_attentions
from tests.comfyui.chains.chained_sampling import Patch, text


def node(kind: Any, **inputs: Any) -> Patch:
    """A node's function with its inputs; what a newer ComfyUI asks for in addition has its default."""
    if hasattr(kind, "define_schema"):
        known = {item.id: getattr(item, "default", None) for item in kind.define_schema().inputs if item.id != "model"}
        missing = set(inspect.signature(kind.execute).parameters) & set(known) - set(inputs)
        return lambda model: kind.execute(model, **inputs, **{name: known[name] for name in missing})[0]
    return lambda model: getattr(kind(), kind.FUNCTION)(model, **inputs)[0]


# ------------------------------------------------------------------ stand-ins: normalized attention guidance


def guide_attention(seen: Tensor, negative: Tensor, *, scale: float, limit: float, share: float) -> Tensor:
    """Attention moved away from the negative prompt's, no longer than `limit` times its own length, and blended in."""
    moved = seen + scale * (seen - negative)
    ratio = moved.norm(p=1, dim=-1, keepdim=True) / seen.norm(p=1, dim=-1, keepdim=True)
    return torch.lerp(seen, moved * ratio.clamp(max=limit) / ratio, share)


class NagPatch:
    """In place of a cross-attention, on top of what it has found there."""

    def __init__(self, keys: Tensor, values: Tensor, below: Any) -> None:
        self.keys, self.values, self.below = keys, values, below

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        heads = extra_options["n_heads"]
        plain = optimized_attention(q, k, v, heads) if self.below is None else self.below(q, k, v, extra_options)
        numbers = extra_options["cond_or_uncond"]
        parts, queries = list(plain.chunk(len(numbers))), q.chunk(len(numbers))
        for place, number in enumerate(numbers):
            if number == 0:
                rows = len(queries[place])
                keys, values = (x.expand(rows, -1, -1).contiguous() for x in (self.keys, self.values))
                away = optimized_attention(queries[place], keys, values, heads)
                parts[place] = guide_attention(parts[place], away, scale=2.0, limit=2.5, share=0.5)
        return torch.cat(parts)


@torch.no_grad()
def nag_in_place(model: Any) -> Any:
    """As Normalized Attention Guidance of sd-perturbed-attention: a patch for each layer, which calls the one before."""
    patched = model.clone()
    replaced = model.model_options["transformer_options"].get("patches_replace", {}).get("attn2", {})
    negative = text(4)[0][0]
    for key, layer in cross_attentions(model.get_model_object("diffusion_model")):
        below = replaced.get(key[:2], replaced.get(key))
        patched.set_model_attn2_replace(NagPatch(layer.to_k(negative), layer.to_v(negative), below), *key)
    return patched


def nag_of_output(model: Any) -> Any:
    """As NAGuidance of newer cores: a patch of all self-attentions' outputs."""

    def guide(out: Tensor, extra_options: dict[str, Any]) -> Tensor:
        numbers = extra_options["cond_or_uncond"]
        if set(numbers) != {0, 1}:
            return out
        parts = list(out.chunk(len(numbers)))
        negative = parts[numbers.index(1)]
        place = numbers.index(0)
        parts[place] = guide_attention(parts[place], negative, scale=4.0, limit=1.5, share=0.5)
        return torch.cat(parts)

    patched = model.clone()
    patched.set_model_attn1_output_patch(guide)
    return patched


def nag_in_the_network(model: Any) -> Any:
    """As KSamplerWithNAG of ComfyUI-NAG: another prompt's rows in the text, and other functions in the attentions."""
    patched = model.clone()
    unet = model.get_model_object("diffusion_model")
    negative = text(4)[0][0]

    def attend(layer: Any, x: Tensor, context: Tensor, value: Any = None, mask: Any = None, **_: Any) -> Tensor:
        rows = len(x)
        queries, keys, values = layer.to_q(x), layer.to_k(context), layer.to_v(context)
        seen = optimized_attention(queries, keys[:rows], values[:rows], layer.heads)
        away = optimized_attention(queries, keys[rows:], values[rows:], layer.heads)
        return layer.to_out(guide_attention(seen, away, scale=2.0, limit=2.5, share=0.5))

    def forward(self: Any, x: Tensor, timesteps: Any = None, context: Any = None, *others: Any, **named: Any) -> Tensor:
        layers = [layer for _, layer in cross_attentions(self)]
        for layer in layers:
            layer.forward = MethodType(attend, layer)
        try:
            return type(self).forward(
                self, x, timesteps, torch.cat([context, negative.expand_as(context)]), *others, **named
            )
        finally:
            for layer in layers:
                del layer.forward

    patched.add_object_patch("diffusion_model.forward", MethodType(forward, unet))
    return patched


# ------------------------------------------------------------------ stand-ins: others in place of a layer


def halve_blocks(model: Any) -> Any:
    """As PLADIS: a patch under the keys of whole blocks, whatever is there already."""

    def halved(q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        return optimized_attention(q, k, v, extra_options["n_heads"]) / 2

    patched = model.clone()
    for key, _ in cross_attentions(model.get_model_object("diffusion_model")):
        for kind in ("attn1", "attn2"):
            patched.set_model_patch_replace(halved, kind, *key[:2])
    return patched


def halve_layers(model: Any) -> Any:
    """The same under the keys of layers: what is there is removed."""

    def halved(q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        return optimized_attention(q, k, v, extra_options["n_heads"]) / 2

    patched = model.clone()
    for key, _ in cross_attentions(model.get_model_object("diffusion_model")):
        for kind in ("attn1", "attn2"):
            patched.set_model_patch_replace(halved, kind, *key)
    return patched


# ------------------------------------------------------------------ stand-ins: caches


def cache_outputs(model: Any) -> Any:
    """Every second call of the model for a prompt is the one before, moved with the latents."""
    patched, kept, calls = model.clone(), {}, {}

    def call(apply_model: Any, args: dict[str, Any]) -> Tensor:
        x, asked = args["input"], tuple(args["cond_or_uncond"])
        calls[asked] = calls.get(asked, -1) + 1
        if calls[asked] % 2:
            return kept[asked] + x
        out = apply_model(x, args["timestep"], **args["c"])
        kept[asked] = out - x
        return out

    patched.set_model_unet_function_wrapper(call)
    return patched


def cache_inner_blocks(model: Any, depth: int = 3) -> Any:
    """As DeepCache: every second step computes the outer blocks alone. The blocks are called one by one, without ComfyUI's
    own function around them."""
    patched, kept, steps = model.clone(), {}, {}
    base, unet = model.model, model.get_model_object("diffusion_model")
    first = len(unet.output_blocks) - depth - 1

    def call(_: Any, args: dict[str, Any]) -> Tensor:
        x, sigma, given = args["input"], args["timestep"], args["c"]
        asked = tuple(args["cond_or_uncond"])
        steps[asked] = steps.get(asked, -1) + 1
        skips = bool(steps[asked] % 2)
        options = given["transformer_options"]
        h = base.model_sampling.calculate_input(sigma, x)
        options["original_shape"] = list(h.shape)
        context = given["c_crossattn"]
        emb = unet.time_embed(timestep_embedding(base.model_sampling.timestep(sigma).float(), unet.model_channels))
        skipped: list[Tensor] = []
        for number, block in enumerate(unet.input_blocks):
            options["block"] = ("input", number)
            h = forward_timestep_embed(block, h, emb, context, options)
            skipped.append(h)
            if skips and number == depth:
                break
        if not skips:
            options["block"] = ("middle", 0)
            h = forward_timestep_embed(unet.middle_block, h, emb, context, options)
        for number, block in enumerate(unet.output_blocks):
            if number < first and skips:
                continue
            if number == first:
                h = kept[asked] if skips else h
                kept[asked] = h
            options["block"] = ("output", number)
            h = torch.cat([h, skipped.pop()], dim=1)
            h = forward_timestep_embed(block, h, emb, context, options, skipped[-1].shape if skipped else None)
        return base.model_sampling.calculate_denoised(sigma, unet.out(h), x)

    patched.set_model_unet_function_wrapper(call)
    return patched


# ------------------------------------------------------------------ stand-ins: tiles


def sample_halves(model: Any, together: bool) -> Any:
    """As Tiled Diffusion: the model is called for the left and the right half, or once for both, one after the other along
    the rows, each with all prompts."""
    patched = model.clone()

    def call(apply_model: Any, args: dict[str, Any]) -> Tensor:
        halves = args["input"].chunk(2, dim=-1)
        if not together:
            return torch.cat([apply_model(half, args["timestep"], **args["c"]) for half in halves], dim=-1)
        inputs = {
            name: torch.cat([value, value]) if isinstance(value, Tensor) else value for name, value in args["c"].items()
        }
        done = apply_model(torch.cat(halves), torch.cat([args["timestep"]] * 2), **inputs)
        return torch.cat(done.chunk(2), dim=-1)

    patched.set_model_unet_function_wrapper(call)
    return patched


# ------------------------------------------------------------------ the table


THEIRS: dict[str, Patch] = {
    "PerturbedAttentionGuidance": node(nodes_pag.PerturbedAttentionGuidance, scale=3.0),
    "SelfAttentionGuidance": node(nodes_sag.SelfAttentionGuidance, scale=0.8, blur_sigma=2.0),
    "FreeU": node(nodes_freelunch.FreeU, b1=1.1, b2=1.2, s1=0.9, s2=0.2),
    "FreeU_V2": node(nodes_freelunch.FreeU_V2, b1=1.3, b2=1.4, s1=0.9, s2=0.2),
    "TomePatchModel": node(nodes_tomesd.TomePatchModel, ratio=0.5),
    "PatchModelAddDownscale": node(
        nodes_model_downscale.PatchModelAddDownscale,
        block_number=3,
        downscale_factor=2.0,
        start_percent=0.0,
        end_percent=0.6,
        downscale_after_skip=True,
        downscale_method="bicubic",
        upscale_method="bicubic",
    ),
    "TCFG": node(nodes_tcfg.TCFG),
    "RescaleCFG": node(nodes_model_advanced.RescaleCFG, multiplier=0.7),
    "EasyCache": node(
        nodes_easycache.EasyCacheNode, reuse_threshold=3.0, start_percent=0.0, end_percent=1.0, verbose=False
    ),
    "LazyCache": node(
        nodes_easycache.LazyCacheNode, reuse_threshold=3.0, start_percent=0.0, end_percent=1.0, verbose=False
    ),
    "cache of outputs": cache_outputs,
    "DeepCache": cache_inner_blocks,
    "NAG in place": nag_in_place,
    "NAG of the output": nag_of_output,
    "patches of blocks": halve_blocks,
    "patches of layers": halve_layers,
}

HYPERTILE = node(nodes_hypertile.HyperTile, tile_size=32, swap_size=2, max_depth=0, scale_depth=False)
CONTEXT_WINDOWS = node(
    nodes_context_windows.ContextWindowsManualNode,
    context_length=2,
    context_overlap=0,
    context_schedule="standard_static",
    context_stride=1,
    closed_loop=False,
    fuse_method="flat",
    dim=0,
)
SKIP_LAYERS = node(
    nodes_slg.SkipLayerGuidanceDiT,
    double_layers="7, 8, 9",
    single_layers="7, 8, 9",
    scale=3.0,
    start_percent=0.01,
    end_percent=0.5,
    rescaling_scale=0.0,
)
