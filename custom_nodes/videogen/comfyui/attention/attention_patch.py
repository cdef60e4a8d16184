"""Image conditions on a model: decoupled cross-attention through ComfyUI's own ``attn2`` replace API."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.ldm.modules.attention
from comfy.ldm.modules.attention import SpatialTransformer, SpatialVideoTransformer
from comfy.patcher_extension import CallbacksMP, WrappersMP
from torch import Tensor

from ...core.errors import VideoGenError
from ...tensor.ip_adapter.adapter import IPAdapter
from .image_attention import ImageAttentionState

BlockKey = tuple[str, int, int]
Patch = Callable[..., Tensor]

#: Under this key stand our wrappers and callbacks in a model.
_KEY = "videogen.images"

#: ComfyUI's classes of base models, in the words of their users.
_MODEL_NAMES = {"SD15": "SD 1.5", "SD20": "SD 2", "SDXL": "SDXL", "SDXLRefiner": "the SDXL refiner"}
#: family → a file to take, for hints.
_EXAMPLES = {"SD 1.5": "ip-adapter-plus_sd15.safetensors", "SDXL": "ip-adapter-plus_sdxl_vit-h.safetensors"}


@dataclass(frozen=True)
class ImageCondition:
    """What one adapter makes a model see.

    Attributes:
        tokens: (n, T, context width): n is 1, or one row a frame when `per_frame`; a frame beyond the last row sees the last.
            Several images that belong together are concatenated along T.
        negative_tokens: (1, T', context width): what the rows of the negative prompt see.
        weights: one a cross-attention, in the file's numbering; 0 leaves a layer alone.
        mask: (1 or frames, H, W), 0…1; None is everywhere. A frame beyond the last mask has the last one.
            ComfyUI does not tell where a prompt with an area stands: there the mask is laid over the area by itself.
        start, end: share of the sampling, as ComfyUI counts it.
    """

    adapter: IPAdapter
    tokens: Tensor
    negative_tokens: Tensor
    weights: tuple[float, ...]
    per_frame: bool = False
    mask: Tensor | None = None
    start: float = 0.0
    end: float = 1.0

    def acts(self) -> bool:
        """Whether it has any effect at all."""
        return any(self.weights) and self.start < self.end


# ------------------------------------------------------------------ the model's layers


def _cross_attentions(diffusion_model: Any) -> list[tuple[BlockKey, Any]]:
    """The key and the module of every cross-attention, in IP-Adapter's order; none for what is no UNet for images."""
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
    """``(part, block, transformer index)`` of every cross-attention, in IP-Adapter's order: inputs, outputs, middle."""
    return [key for key, _ in _cross_attentions(diffusion_model)]


def cross_attention_widths(diffusion_model: Any) -> list[int]:
    """Channels of every cross-attention, in the same order."""
    return [attention.heads * attention.dim_head for _, attention in _cross_attentions(diffusion_model)]


def require_fit(adapter: IPAdapter, model: Any) -> None:
    """Raise unless an adapter was made for this kind of model.

    Args:
        model: a MODEL (ComfyUI's ModelPatcher).

    Raises:
        VideoGenError: `model-unsupported` for video models and transformers, `adapter-mismatch` for another UNet.
    """
    network = model.get_model_object("diffusion_model")
    layers = _cross_attentions(network)
    name = _name_model(model)
    modules = network.modules() if hasattr(network, "modules") else ()
    if not layers or any(isinstance(module, SpatialVideoTransformer) for module in modules):
        raise VideoGenError(
            "model-unsupported",
            f"an IP-Adapter works with SD 1.5, SD 2 and SDXL models and what was made of them; this model is {name}",
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


# ------------------------------------------------------------------ patching


class ImagePatch:
    """Takes the place of one layer's cross-attention: what stood there before, and the images on top.

    ComfyUI copies a model's options deeply with every clone. A copy of a patch shares what it shows with the original,
    which is never changed, and has its own list of what others add.

    Args:
        layer: 0-based, in IP-Adapter's numbering.
        previous: the patch that has stood there.
    """

    def __init__(self, sight: ImageAttentionState, layer: int, previous: Patch | None = None) -> None:
        self.sight, self.layer, self.previous = sight, layer, previous
        self._added: list[tuple[Patch, dict[str, Any]]] = []

    def add(self, callback: Patch, **kwargs: Any) -> None:
        """Add another pack's image attention on top, as ComfyUI_IPAdapter_plus does it on whatever patch it finds.

        Args:
            callback: ``callback(out, q, k, v, extra_options, **kwargs)`` gives what is added to `out`.
            kwargs: `sigma_start` and `sigma_end` among them say when.
        """
        self._added.append((callback, kwargs))

    def __deepcopy__(self, memo: dict[int, Any]) -> ImagePatch:
        copied = ImagePatch(self.sight, self.layer, self.previous)
        copied._added = list(self._added)
        return copied

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        if self.previous is None:
            # As ComfyUI's own CrossAttention calls it: without images it is the same, bit by bit.
            out = comfy.ldm.modules.attention.optimized_attention(
                q,
                k,
                v,
                extra_options["n_heads"],
                attn_precision=extra_options.get("attn_precision"),
                transformer_options=extra_options,
            )
        else:
            out = self.previous(q, k, v, extra_options)
        # Somebody else's output may be something that they keep.
        ours = isinstance(self.previous, ImagePatch) or (
            self.previous is None and "optimized_attention_override" not in extra_options
        )
        out = self.sight.add_images(out, q, self.layer, extra_options, in_place=ours)
        if self._added:
            sigma = self.sight.noise_level(extra_options)
            for callback, kwargs in self._added:
                if kwargs.get("sigma_end", 0.0) <= sigma <= kwargs.get("sigma_start", float("inf")):
                    out = out + callback(out, q, k, v, extra_options, **kwargs)
        return out


def apply_image_conditions(model: Any, conditions: Sequence[ImageCondition], *, normalize_masks: bool = False) -> Any:
    """A clone of a model that sees images; the model itself when none of them has any effect.

    The images of one call share their products with the queries, and those of several calls add up. They come on top of
    whatever stands at a layer already, and are seen by the rows of each prompt: those of the positive one see `tokens`, all
    others (negative, middle and empty prompts of guiders that have them) see `negative_tokens`.

    Args:
        model: a MODEL (ComfyUI's ModelPatcher).
        normalize_masks: divide the masks by their sum where it is above 1.

    Raises:
        VideoGenError: see `require_fit`.
    """
    for condition in conditions:
        require_fit(condition.adapter, model)
        _check(condition)
    acting = [condition for condition in conditions if condition.acts()]
    if not acting:
        return model
    sight = ImageAttentionState(acting, normalize_masks=normalize_masks)
    sight.read_schedule(model)
    patched = model.clone()
    replaced = patched.model_options["transformer_options"].get("patches_replace", {}).get("attn2", {})
    keys = cross_attention_keys(model.get_model_object("diffusion_model"))
    for layer, key in enumerate(keys):
        if sight.acts_in(layer):
            previous = replaced.get(key, replaced.get(key[:2]))
            patched.set_model_attn2_replace(ImagePatch(sight, layer, previous), *key)
    patched.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, _KEY, sight.note_step)
    patched.add_callback_with_key(CallbacksMP.ON_PRE_RUN, _KEY, sight.read_schedule)
    patched.add_callback_with_key(CallbacksMP.ON_CLEANUP, _KEY, sight.forget)
    return patched


def _check(condition: ImageCondition) -> None:
    """Mistakes of the caller, not of a user."""
    info, tokens, negative = condition.adapter.info, condition.tokens, condition.negative_tokens
    if tokens.ndim != 3 or tokens.shape[-1] != info.context_width or not len(tokens):
        raise ValueError(f"tokens have shape {tuple(tokens.shape)}, expected (n, T, {info.context_width})")
    if negative.ndim != 3 or negative.shape[-1] != info.context_width or len(negative) != 1:
        raise ValueError(f"negative_tokens have shape {tuple(negative.shape)}, expected (1, T, {info.context_width})")
    if len(tokens) != 1 and not condition.per_frame:
        raise ValueError(f"{len(tokens)} rows of tokens, expected 1, or per_frame")
    if len(condition.weights) != len(info.layer_widths):
        raise ValueError(f"{len(condition.weights)} weights for {len(info.layer_widths)} layers")
    if condition.mask is not None and (condition.mask.ndim != 3 or not condition.mask.numel()):
        raise ValueError(f"mask has shape {tuple(condition.mask.shape)}, expected (1 or frames, height, width)")
