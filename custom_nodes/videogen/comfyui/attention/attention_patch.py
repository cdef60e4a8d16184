"""Image conditions on a model: decoupled cross-attention through ComfyUI's own ``attn2`` replace API."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import comfy.ldm.modules.attention
from comfy.patcher_extension import CallbacksMP, WrappersMP
from torch import Tensor

from ...core.errors import VideoGenError
from .adapter_fit import require_fit
from .image_attention import ImageAttentionState
from .image_condition import ImageCondition
from .patch_chain import Patch, PatchChain, patch_of
from .prompt_rows import attach
from .unet_blocks import cross_attention_keys

#: The key of our wrappers and callbacks in a model.
_KEY = "videogen.images"

#: In a patch's `extra_options`: the states whose images were added below, by patches of ours that another one calls.
_ADDED_KEY = "videogen.images_added"


class ImagePatch:
    """Replaces one layer's cross-attention: computes what was there before, and adds the images' attention to it.

    Every clone of a model has its own patches (`copy_patches`). A copy of a patch shares its state with the original, which is
    never changed, and has its own list of what others add.

    Args:
        layer: 0-based, in IP-Adapter's numbering.
        previous: the patch that the layer had before.
    """

    def __init__(self, state: ImageAttentionState, layer: int, previous: Patch | None = None) -> None:
        self.state, self.layer, self.previous = state, layer, previous
        self._added: list[tuple[Patch, dict[str, Any]]] = []

    def add(self, callback: Patch, **kwargs: Any) -> None:
        """Add another pack's image attention on top, as ComfyUI_IPAdapter_plus does with any patch it finds.

        Args:
            callback: ``callback(out, q, k, v, extra_options, **kwargs)`` returns what is added to `out`.
            kwargs: `sigma_start` and `sigma_end` among them bound the noise levels at which it acts.
        """
        self._added.append((callback, kwargs))

    def __deepcopy__(self, memo: dict[int, Any]) -> ImagePatch:
        copied = ImagePatch(self.state, self.layer, self.previous)
        copied._added = list(self._added)
        return copied

    @property
    def below(self) -> Patch | None:
        return self.previous

    def over(self, below: Patch | None) -> ImagePatch:
        placed = ImagePatch(self.state, self.layer, below)
        placed._added = self._added
        return placed

    def holds(self, other: ImagePatch) -> bool:
        return self.state is other.state or (isinstance(self.previous, ImagePatch) and self.previous.holds(other))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        if len(q) != len(k):
            raise VideoGenError(
                "patch-conflict",
                f"the cross-attention got {len(k)} rows of text for {len(q)} rows of pictures: another node, such as"
                " NAGCFGGuider or KSamplerWithNAG, adds a prompt of its own there",
                "Remove that node or the IP-Adapter; NAGuidance and Normalized Attention Guidance work together with it.",
            )
        below: set[ImageAttentionState] = set()
        if self.previous is None:
            # As ComfyUI's own CrossAttention calls it: without images the result is the same, bit by bit.
            out = comfy.ldm.modules.attention.optimized_attention(
                q,
                k,
                v,
                extra_options["n_heads"],
                attn_precision=extra_options.get("attn_precision"),
                transformer_options=extra_options,
            )
        else:
            out = self.previous(q, k, v, {**extra_options, _ADDED_KEY: below})
        added = extra_options.get(_ADDED_KEY, set())
        added |= below
        if self.state in below:
            # Another node's patch has taken the place of ours, and calls it.
            return out
        added.add(self.state)
        # The output of another pack's patch may be a tensor that the pack keeps: do not write to it.
        ours = isinstance(self.previous, ImagePatch) or (
            self.previous is None and "optimized_attention_override" not in extra_options
        )
        out = self.state.add_images(out, q, self.layer, extra_options, in_place=ours)
        if self._added:
            sigma = self.state.noise_level(extra_options)
            for callback, kwargs in self._added:
                if kwargs.get("sigma_end", 0.0) <= sigma <= kwargs.get("sigma_start", float("inf")):
                    out = out + callback(out, q, k, v, extra_options, **kwargs)
        return out


def copy_patches(model: Any, clone: Any) -> None:
    """Give a clone of a model patches of its own: newer versions of ComfyUI no longer copy them with the model's options, and
    what another pack adds to the clone's would be added to the original's."""
    replaced = clone.model_options["transformer_options"].get("patches_replace", {}).get("attn2", {})
    for key, patch in list(replaced.items()):
        if isinstance(patch, ImagePatch):
            replaced[key] = copy.deepcopy(patch)


class _StayOnTop:
    """Around a call of the model: nodes after ours may have put their patches in the place of ours, or below them."""

    def __init__(self, chain: PatchChain) -> None:
        self.chain = chain

    def __call__(
        self,
        executor: Callable[..., Tensor],
        x: Tensor,
        t: Tensor,
        c_concat: Any = None,
        c_crossattn: Any = None,
        control: Any = None,
        transformer_options: Any = None,
        **others: Any,
    ) -> Tensor:
        options = self.chain.settle(transformer_options or {})
        return executor(x, t, c_concat, c_crossattn, control, options, **others)


def apply_image_conditions(model: Any, conditions: Sequence[ImageCondition], *, normalize_masks: bool = False) -> Any:
    """Return a clone of a model that is conditioned on images; the model itself when no condition has any effect.

    The images of one call share their products with the queries, and those of several calls add up. They are added to any
    patch that a layer already has. The positive prompt's rows attend to `tokens`, all others (negative, middle and empty
    prompts of guiders that have them) to `negative_tokens`.

    Args:
        model: a MODEL (ComfyUI's ModelPatcher).
        normalize_masks: divide the masks by their sum where it is above 1.

    Raises:
        VideoGenError: see `require_fit`.
    """
    for condition in conditions:
        require_fit(condition.adapter, model)
        condition.check_shapes()
    acting = [condition for condition in conditions if condition.acts()]
    if not acting:
        return model
    state = ImageAttentionState(acting, normalize_masks=normalize_masks)
    state.read_schedule(model)
    patched = model.clone()
    replaced = patched.model_options["transformer_options"].get("patches_replace", {}).get("attn2", {})
    keys = cross_attention_keys(model.get_model_object("diffusion_model"))
    patches = {key: ImagePatch(state, layer) for layer, key in enumerate(keys) if state.acts_in(layer)}
    for key, patch in patches.items():
        patched.set_model_attn2_replace(ImagePatch(state, patch.layer, patch_of(replaced, key)), *key)
    attach(patched)
    patched.add_wrapper_with_key(WrappersMP.APPLY_MODEL, _KEY, _StayOnTop(PatchChain("attn2", patches, ImagePatch)))
    if copy_patches not in patched.get_callbacks(CallbacksMP.ON_CLONE, _KEY):
        patched.add_callback_with_key(CallbacksMP.ON_CLONE, _KEY, copy_patches)
    patched.add_callback_with_key(CallbacksMP.ON_PRE_RUN, _KEY, state.read_schedule)
    patched.add_callback_with_key(CallbacksMP.ON_CLEANUP, _KEY, state.forget)
    return patched
