"""Who computes a layer's attention where several nodes want to: ours on top of others', in any order of the nodes.

ComfyUI calls one patch a layer: the one under the layer's key, else the one under the block's. A node after ours that sets the
layer's key has removed ours; one that sets the block's is never called. Some do so for a single call of the model, as
PerturbedAttentionGuidance does. So the order is settled at each call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor

from .unet_blocks import BlockKey

Patch = Callable[..., Tensor]
Options = Mapping[str, Any]


P = TypeVar("P", bound="ChainedPatch[Any]")


class ChainedPatch(Protocol[P]):
    """A patch of ours, which calls another one below it."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor: ...

    @property
    def below(self) -> Patch | None:
        """What it calls instead of ComfyUI's attention."""

    def over(self, below: Patch | None) -> P:
        """Return the same patch on top of another one."""

    def holds(self, other: P) -> bool:
        """Whether it does already what `other` does, itself or in what it calls."""


def patch_of(replaced: Mapping[Any, Patch], key: BlockKey) -> Patch | None:
    """The patch that ComfyUI calls for a layer."""
    return replaced.get(key, replaced.get(key[:2]))


class PatchChain(Generic[P]):
    """The patches of one of our nodes.

    Args:
        kind: "attn1" or "attn2".
        ours: for each layer, without anything below.
        family: the class of `ours` patches.
    """

    def __init__(self, kind: str, ours: Mapping[BlockKey, P], family: type[P]) -> None:
        self.kind, self.ours, self.family = kind, dict(ours), family
        self._last: tuple[list[Any], dict[BlockKey, Patch]] | None = None

    def settle(self, options: Options) -> Options:
        """Return the options of a call of the model with ours on top of each layer; the same object where they are already."""
        replaced = options.get("patches_replace", {}).get(self.kind, {})
        found = [(replaced.get(key), replaced.get(key[:2])) for key in self.ours]
        last = self._last  # another thread may replace it: each of several cards has its own call
        if last is not None and _are_same(last[0], found):
            # Compiled models are compiled again for other objects.
            changed = last[1]
        else:
            changed = {
                key: patch
                for (key, ours), (layer, block) in zip(self.ours.items(), found, strict=True)
                if (patch := self._put_on_top(ours, layer, block)) is not layer
            }
            self._last = (found, changed)
        if not changed:
            return options
        patches = {**options.get("patches_replace", {}), self.kind: {**replaced, **changed}}
        return {**options, "patches_replace": patches}

    def _put_on_top(self, ours: P, layer: Patch | None, block: Patch | None) -> Patch:
        if not isinstance(layer, self.family):
            return ours.over(block if layer is None else layer)
        on_top = layer if layer.holds(ours) else ours.over(layer)
        return self._add_below(on_top, block)

    def _add_below(self, patch: P, block: Patch | None) -> P:
        """Under ours there is what the block has, unless the layer had something."""
        if patch.below is None:
            return patch if block is None else patch.over(block)
        if not isinstance(patch.below, self.family):
            return patch
        below = self._add_below(patch.below, block)
        return patch if below is patch.below else patch.over(below)


def _are_same(found: list[Any], others: list[Any]) -> bool:
    return all(a is b for one, other in zip(found, others, strict=True) for a, b in zip(one, other, strict=True))
