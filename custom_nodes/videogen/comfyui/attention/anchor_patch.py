"""Anchor Attention in place of a layer's self-attention, on top of what other nodes have put there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import comfy.ldm.modules.attention
from torch import Tensor

from ...core.errors import VideoGenError
from ...tensor.anchor_attention import attend_with_anchors, keep_anchors
from ..frames.frame_batches import BATCH_KEY, FrameBatch, count_prompts
from .patch_chain import Options, Patch, PatchChain
from .prompt_rows import ROWS_KEY, PromptRows
from .unet_blocks import BlockKey

#: In a patch's `extra_options`: the keys have the anchors' already; a patch of ours that another one calls adds none.
_JOINT_KEY = "videogen.joint_keys"


@dataclass(frozen=True)
class AnchorPatch:
    """Replaces one layer's self-attention.

    Attributes:
        is_active: whether a step is between the node's `start` and `end`, by the options of the model's call.
        below: another node's patch of the layer; it is called with the joint keys instead of ComfyUI's attention. One that
            does not attend, and returns the values (PerturbedAttentionGuidance), is left as it is. Afterwards it is called
            with the frames' own keys: what it keeps of a layer (SelfAttentionGuidance) is about the frames alone.
    """

    key: BlockKey
    strength: float
    previous: bool
    is_active: Callable[[Options], bool]
    below: Patch | None = None

    def over(self, below: Patch | None) -> AnchorPatch:
        return replace(self, below=below)

    def holds(self, other: AnchorPatch) -> bool:
        return True  # there is one Anchor Attention a model: a later one takes the place of an earlier

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        attend = functools.partial(self._attend, extra_options=extra_options)
        if _JOINT_KEY in extra_options:
            return attend(q, k, v)
        # Packs that call the UNet by themselves, as some with a cache do, do not pass through `FrameBatches`.
        batch: FrameBatch | None = extra_options.get(BATCH_KEY)
        if batch is None:
            batch = FrameBatch(active=self.is_active(extra_options), chunks=count_chunks(extra_options, q.shape[0]))
        is_joint = batch.active and (self.key in batch.kept or q.shape[0] > batch.chunks)
        try:
            out = self._attend_to_anchors(q, k, v, extra_options, batch) if batch.active else attend(q, k, v)
        except _NoAttentionError:
            return attend(q, k, v)
        finally:
            if batch.active:
                self._keep(k, v, batch)
        if self.below is not None and (is_joint or batch.divided):
            batch.show_whole(self.below, q, k, v, extra_options)
        return out

    def _attend_to_anchors(
        self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any], batch: FrameBatch
    ) -> Tensor:
        _check_rows(q, k, extra_options)

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            out = self._attend(q, k, v, {**extra_options, _JOINT_KEY: True})
            if self.below is not None and (out is v or out.shape[:2] != q.shape[:2]):
                raise _NoAttentionError
            return out

        return attend_with_anchors(
            q,
            k,
            v,
            heads=extra_options["n_heads"],
            chunks=batch.chunks,
            strength=self.strength,
            previous=self.previous,
            attend=attend,
            kept=batch.kept.get(self.key),
            whole=self.below is not None,
        )

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        heads = extra_options["n_heads"]
        if self.below is not None:
            return self.below(q, k, v, {**extra_options, "dim_head": q.shape[-1] // heads})
        return comfy.ldm.modules.attention.optimized_attention(
            q, k, v, heads, attn_precision=extra_options.get("attn_precision"), transformer_options=extra_options
        )

    def _keep(self, k: Tensor, v: Tensor, batch: FrameBatch) -> None:
        kept = batch.kept.pop(self.key, None)
        after = keep_anchors(k, v, chunks=batch.chunks, previous=self.previous, kept=kept, last_batch=batch.last)
        if after is not None:
            batch.kept[self.key] = after


def count_chunks(options: Options, rows: int) -> int:
    """How many parts with all frames the rows of a call of the model have: the prompts, of each tile where another node samples
    several tiles in a call."""
    prompts = count_prompts(options, rows)
    asked: PromptRows | None = options.get(ROWS_KEY)
    return prompts if asked is None or rows % (prompts * asked.rows) else rows // asked.rows


class AnchorChain:
    """Anchor Attention's patches on top of others', at each call of a model."""

    def __init__(self, patches: Mapping[BlockKey, AnchorPatch]) -> None:
        self._chain = PatchChain("attn1", patches, AnchorPatch)

    def settle(self, options: Options, divided: bool) -> Options:
        """Return the options for a call of the model.

        Args:
            divided: whether the frames come in several batches; other nodes' patches see them all, after the last one.
        """
        options = self._chain.settle(options)
        replaced = options.get("patches_replace", {}).get("attn1", {})
        others = {key: _Shown(patch) for key, patch in replaced.items() if not isinstance(patch, AnchorPatch)}
        if not divided or not others:
            return options
        return {**options, "patches_replace": {**options["patches_replace"], "attn1": {**replaced, **others}}}


@dataclass(frozen=True)
class _Shown:
    """Another node's patch of a layer without anchors, in batches of frames."""

    patch: Patch

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        out = self.patch(q, k, v, extra_options)
        batch: FrameBatch = extra_options[BATCH_KEY]
        if out is not v:
            batch.show_whole(self.patch, q, k, v, extra_options)
        return out


class _NoAttentionError(Exception):
    """A patch that was given joint keys has not attended to them."""


def _check_rows(q: Tensor, k: Tensor, options: Options) -> None:
    """Refuse rows that are not the frames of each prompt.

    Raises:
        VideoGenError: `model-unsupported`.
    """
    whole = options.get("activations_shape", q.shape)[0]
    if not q.shape[0] == k.shape[0] == whole:
        raise VideoGenError(
            "model-unsupported",
            f"Anchor Attention got {q.shape[0]} rows of queries and {k.shape[0]} rows of keys for a batch of {whole}: another"
            " node, such as HyperTile, cuts the pictures into tiles",
            "Remove that node, or Anchor Attention.",
        )
