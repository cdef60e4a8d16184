"""Masks of image conditions at the resolutions of a UNet's attentions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

Size = tuple[int, int]

#: A UNet has four resolutions, a step in tiles has more; beyond this the oldest go.
MAX_KEPT = 32


class MaskStack:
    """The masks of several conditions, each resized once a resolution.

    Args:
        masks: (1 or frames, height, width) for each condition, 0…1, of any sizes; None is everywhere.
        normalize: keep the sum over all conditions at or below 1: ``m_i = clamp(m_i, 0, 1) / max(1, Σ clamp(m_j, 0, 1))``.
    """

    def __init__(self, masks: Sequence[Tensor | None], *, normalize: bool = False) -> None:
        self._masks = tuple(masks)
        self.is_normalized = normalize and len(self._masks) > 0
        self._kept: dict[tuple[Size, torch.device, torch.dtype], tuple[Tensor | None, ...]] = {}

    @property
    def frames(self) -> tuple[int, ...]:
        """The number of frames for which each condition's mask differs; 1 for one that is the same in all."""
        return tuple(1 if mask is None else len(mask) for mask in self._masks)

    def at(self, size: Size, device: torch.device, dtype: torch.dtype) -> tuple[Tensor | None, ...]:
        """For each condition its mask as (1 or frames, height × width); None is everywhere."""
        key = (size, device, dtype)
        if key not in self._kept:
            while len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            resized = [None if mask is None else resize_mask(mask.to(device), size) for mask in self._masks]
            if self.is_normalized:
                resized = list(normalize_masks(resized, size, device))
            self._kept[key] = tuple(None if mask is None else mask.flatten(1).to(dtype) for mask in resized)
        return self._kept[key]

    def clear(self) -> None:
        """Forget the resized masks."""
        self._kept.clear()


def resize_mask(mask: Tensor, size: Size) -> Tensor:
    """Masks (n, height, width) at another size, bicubically and not clamped.

    The same as diffusers' ``IPAdapterMaskProcessor.downsample``, which guesses the size from the mask's own shape; this is
    the attention's true one. Like there, the result may leave 0…1 by a little next to edges.
    """
    if not mask.is_floating_point():
        mask = mask.float()
    return functional.interpolate(mask[:, None], size=size, mode="bicubic")[:, 0]


def normalize_masks(masks: Sequence[Tensor | None], size: Size, device: torch.device) -> tuple[Tensor, ...]:
    """Masks of one size that nowhere add up to more than 1; see `MaskStack`."""
    everywhere = torch.ones(1, *size, device=device)
    clamped = [everywhere if mask is None else mask.clamp(0, 1) for mask in masks]
    total = everywhere.new_zeros(1, *size)
    for mask in clamped:
        total = total + mask
    return tuple(mask / total.clamp(min=1) for mask in clamped)
