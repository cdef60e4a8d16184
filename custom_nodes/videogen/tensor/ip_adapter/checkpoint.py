"""Recognizes IP-Adapter files, from the names and shapes of its tensors.

Published names (github.com/tencent-ailab/IP-Adapter): ``image_proj.…`` is the image projection, and
``ip_adapter.1.to_k_ip.weight``, ``ip_adapter.1.to_v_ip.weight``, ``ip_adapter.3.…`` are the keys and values of the
cross-attentions; the numbers run over input blocks, output blocks and the middle block, self-attentions counted in between.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.errors import VideoGenError
from .file_kinds import name_file_kind

State = dict[str, Tensor]

#: (input of the projection, its width) → the encoder that it needs.
ENCODERS: dict[tuple[str, int], str] = {
    ("image_embeds", 768): "CLIP ViT-L/14",
    ("image_embeds", 1024): "CLIP ViT-H/14",
    ("image_embeds", 1280): "CLIP ViT-bigG/14",
    ("penultimate_hidden_states", 1024): "CLIP ViT-L/14",
    ("penultimate_hidden_states", 1280): "CLIP ViT-H/14",
    ("penultimate_hidden_states", 1664): "CLIP ViT-bigG/14",
}

#: Base models by the width of their text tokens.
FAMILIES = {768: "SD 1.5", 1024: "SD 2", 2048: "SDXL"}

#: Base models by the number of their cross-attentions, for widths that no published model has.
FAMILIES_BY_LAYERS = {16: "SD 1.5", 70: "SDXL"}

#: Tokens of a full-face image: ViT-H/14 at 224 px has 16 × 16 patches and the class token.
FULL_FACE_TOKENS = 257

#: Other spellings of the same tensors: what the authors' training script saves, and diffusers' modules.
RENAMED = (
    (re.compile(r"^image_proj_model\."), "image_proj."),
    (re.compile(r"^adapter_modules\."), "ip_adapter."),
    (re.compile(r"^(image_proj\.layers\.\d+)\.ln0\."), r"\1.0.norm1."),
    (re.compile(r"^(image_proj\.layers\.\d+)\.ln1\."), r"\1.0.norm2."),
    (re.compile(r"^(image_proj\.layers\.\d+)\.attn\.to_out\.0\."), r"\1.0.to_out."),
    (re.compile(r"^(image_proj\.layers\.\d+)\.attn\."), r"\1.0."),
    (re.compile(r"^(image_proj\.layers\.\d+)\.ff\.0\."), r"\1.1.0."),
    (re.compile(r"^(image_proj\.layers\.\d+)\.ff\.1\.net\.0\.proj\."), r"\1.1.1."),
    (re.compile(r"^(image_proj\.layers\.\d+)\.ff\.1\.net\.2\."), r"\1.1.3."),
)

_LAYER_KEY = re.compile(r"ip_adapter\.(\d+)\.to_([kv])_ip\.weight")
GET_ONE = "Choose one for SD 1.5 or SDXL, such as ip-adapter-plus_sd15.safetensors, in models/ipadapter."


@dataclass(frozen=True)
class AdapterInfo:
    """The kind of an IP-Adapter file.

    Attributes:
        family: "SD 1.5", "SD 2" or "SDXL".
        projection: "plain" (one Linear), "plus" (Resampler) or "full-face" (MLP over the patches).
        tokens: image tokens of one image.
        context_width: width of a token, that of the base model's text tokens.
        embed_source: which of the encoder's outputs it takes: "image_embeds" or "penultimate_hidden_states".
        embed_width: how wide that output must be.
        encoder: the name of the encoder that has this width.
        layer_widths: width of every cross-attention, in the file's numbering: inputs, outputs, middle.
        layer_numbers: the numbers of these layers in the file's names.
    """

    family: str
    projection: str
    tokens: int
    context_width: int
    embed_source: str
    embed_width: int
    encoder: str
    layer_widths: tuple[int, ...]
    layer_numbers: tuple[int, ...]


# ------------------------------------------------------------------ names


def published_names(state: Mapping[str, Tensor]) -> State:
    """The same tensors under the names that published files have (see `RENAMED`); the parts of ``to_kv`` joined."""
    renamed: State = {}
    for key, value in state.items():
        for pattern, name in RENAMED:
            key = pattern.sub(name, key)
        renamed[key] = value
    for key in [key for key in renamed if re.fullmatch(r"image_proj\.layers\.\d+\.0\.to_k\.weight", key)]:
        value_key = key.replace("to_k", "to_v")
        if value_key in renamed:
            renamed[key.replace("to_k", "to_kv")] = torch.cat([renamed.pop(key), renamed.pop(value_key)])
    return renamed


# ------------------------------------------------------------------ recognizing


def recognize(state: Mapping[str, Tensor], name: str) -> AdapterInfo:
    """Recognize an adapter by the shapes of its tensors (on any device, also `meta`); its file's name is for messages only.

    Raises:
        VideoGenError: `adapter-invalid`, for another kind of file, or shapes that do not go together.
    """
    foreign = name_file_kind(state)
    layers = {int(match[1]) for key in state if (match := _LAYER_KEY.fullmatch(key))}
    has_projection = any(key.startswith("image_proj.") for key in state)
    if foreign is not None:
        raise VideoGenError("adapter-invalid", f"{name} is {foreign[0]}, not an IP-Adapter of images: {foreign[1]}")
    if not layers or not has_projection:
        missing = "neither `image_proj` nor `ip_adapter`"
        if layers or has_projection:
            missing = "`ip_adapter` but no `image_proj`" if layers else "`image_proj` but no `ip_adapter`"
        raise VideoGenError("adapter-invalid", f"{name} is not an IP-Adapter: it has {missing} tensors", GET_ONE)
    numbers = tuple(sorted(layers))
    widths, context = _layer_widths(state, numbers, name)
    projection, tokens, source, embed_width = _recognize_projection(state, context, name)
    return AdapterInfo(
        family=FAMILIES.get(context)
        or FAMILIES_BY_LAYERS.get(len(widths), f"a base model with {context}-wide text tokens"),
        projection=projection,
        tokens=tokens,
        context_width=context,
        embed_source=source,
        embed_width=embed_width,
        encoder=ENCODERS.get((source, embed_width), f"an encoder {embed_width} wide"),
        layer_widths=widths,
        layer_numbers=numbers,
    )


def _layer_widths(state: Mapping[str, Tensor], numbers: tuple[int, ...], name: str) -> tuple[tuple[int, ...], int]:
    if numbers != tuple(range(1, 2 * len(numbers), 2)):
        found = ", ".join(map(str, numbers[:6])) + (" …" if len(numbers) > 6 else "")
        raise _odd(name, f"its layers are numbered {found}, expected 1, 3, 5 … without a gap")
    widths, contexts = [], set()
    for number in numbers:
        pair = [state.get(f"ip_adapter.{number}.to_{kind}_ip.weight") for kind in "kv"]
        if pair[0] is None or pair[1] is None:
            raise _odd(name, f"layer {number} has only one of to_k_ip and to_v_ip")
        if pair[0].ndim != 2 or pair[0].shape != pair[1].shape:
            raise _odd(
                name, f"layer {number} has keys of shape {tuple(pair[0].shape)} and values of {tuple(pair[1].shape)}"
            )
        widths.append(pair[0].shape[0])
        contexts.add(pair[0].shape[1])
    if len(contexts) != 1:
        raise _odd(name, f"its layers take tokens of different widths: {sorted(contexts)}")
    return tuple(widths), contexts.pop()


def _recognize_projection(state: Mapping[str, Tensor], context: int, name: str) -> tuple[str, int, str, int]:
    """``(projection, tokens, embed_source, embed_width)``."""

    def shape(key: str, dimensions: int = 2) -> tuple[int, ...]:
        tensor = state.get(f"image_proj.{key}")
        if tensor is None or tensor.ndim != dimensions:
            found = "is missing" if tensor is None else f"has shape {tuple(tensor.shape)}"
            raise _odd(name, f"image_proj.{key} {found}")
        return tuple(tensor.shape)

    if "image_proj.latents" in state:
        tokens, inner = shape("latents", 3)[1:]
        width, out = shape("proj_in.weight"), shape("proj_out.weight")
        _same(name, "proj_out", out, (context, inner))
        _same(name, "proj_in", width, (inner, width[1]))
        heads_width = shape("layers.0.0.to_q.weight")[0]
        if heads_width % 64:
            raise _odd(name, f"its Resampler's queries are {heads_width} wide, expected a multiple of 64")
        return "plus", tokens, "penultimate_hidden_states", width[1]
    if "image_proj.proj.3.weight" in state:
        width = shape("proj.0.weight")
        _same(name, "proj.2", shape("proj.2.weight"), (context, width[0]))
        return "full-face", FULL_FACE_TOKENS, "penultimate_hidden_states", width[1]
    if "image_proj.proj.weight" in state:
        values, width_in = shape("proj.weight")
        if values % context:
            raise _odd(name, f"image_proj.proj outputs {values} values, expected a multiple of its tokens' {context}")
        return "plain", values // context, "image_embeds", width_in
    raise _odd(name, "its image projection is none of the published kinds (plain, plus, full-face)")


def _same(name: str, what: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise _odd(name, f"image_proj.{what} has shape {found}, expected {expected}")


def _odd(name: str, reason: str) -> VideoGenError:
    return VideoGenError("adapter-invalid", f"{name} is not an IP-Adapter that can be used: {reason}", GET_ONE)
