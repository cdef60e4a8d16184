"""Masks of image conditions at the resolutions of a UNet's attentions, and in parts of the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Size = tuple[int, int]

#: A UNet has four resolutions, each area and each tile of a step has its own; beyond this the oldest go.
MAX_KEPT = 128
#: Of torch's bicubic interpolation.
_CUBIC = -0.75


@dataclass(frozen=True)
class Crop:
    """A part of a picture, in cells of its latents.

    Attributes:
        rows, columns: the picture's rows and columns that it has, from the top and the left; context windows may have them
            with gaps or in another order.
        whole: height and width of the picture.
    """

    rows: Sequence[int]
    columns: Sequence[int]
    whole: Size

    @classmethod
    def of(cls, rows: Sequence[int], columns: Sequence[int], whole: Size) -> Crop:
        """The part with these rows and columns; equal parts compare equal."""
        return cls(_as_range(rows), _as_range(columns), whole)

    @classmethod
    def everything(cls, whole: Size) -> Crop:
        """All of a picture."""
        return cls(range(whole[0]), range(whole[1]), whole)

    @property
    def size(self) -> Size:
        return len(self.rows), len(self.columns)

    @property
    def is_everything(self) -> bool:
        return self == Crop.everything(self.whole)

    def cut(self, top: int, left: int, height: int, width: int) -> Crop:
        """A part of this part."""
        return Crop.of(self.rows[top : top + height], self.columns[left : left + width], self.whole)


class MaskStack:
    """The masks of several conditions, each resized once a resolution.

    Args:
        masks: (1 or frames, height, width) for each condition, 0…1, of any sizes; None is everywhere.
        normalize: keep the sum over all conditions at or below 1: ``m_i = clamp(m_i, 0, 1) / max(1, Σ clamp(m_j, 0, 1))``.
    """

    def __init__(self, masks: Sequence[Tensor | None], *, normalize: bool = False) -> None:
        self._masks = tuple(masks)
        self.is_normalized = normalize and len(self._masks) > 0
        self._kept: dict[tuple[Size, Crop | None, torch.device, torch.dtype], tuple[Tensor | None, ...]] = {}

    @property
    def frames(self) -> tuple[int, ...]:
        """The number of frames for which each condition's mask differs; 1 for one that is the same in all."""
        return tuple(1 if mask is None else len(mask) for mask in self._masks)

    def at(
        self, size: Size, device: torch.device, dtype: torch.dtype, crop: Crop | None = None
    ) -> tuple[Tensor | None, ...]:
        """For each condition its mask as (1 or frames, height × width); None is everywhere.

        Args:
            size: height and width of the result.
            crop: the part of the picture that the result shows; None is all of it.
        """
        key = (size, crop, device, dtype)
        if key not in self._kept:
            while len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            resized = [None if mask is None else resize_mask(mask.to(device), size, crop) for mask in self._masks]
            if self.is_normalized:
                resized = list(normalize_masks(resized, size, device))
            self._kept[key] = tuple(None if mask is None else mask.flatten(1).to(dtype) for mask in resized)
        return self._kept[key]

    def clear(self) -> None:
        """Forget the resized masks."""
        self._kept.clear()


def resize_mask(mask: Tensor, size: Size, crop: Crop | None = None) -> Tensor:
    """Masks (n, height, width) at another size, bicubically and not clamped.

    A part of the picture is cut out before it is resized: nothing outside of it counts, as if it were a picture of its own.
    Its edges may be anywhere in the mask's pixels.

    The same as diffusers' ``IPAdapterMaskProcessor.downsample``, which guesses the size from the mask's own shape; this is
    the attention's true one. Like there, the result may leave 0…1 by a little next to edges.
    """
    if not mask.is_floating_point():
        mask = mask.float()
    if crop is not None:
        down = _cubic_weights(mask.shape[-2], crop.rows, crop.whole[0], size[0]).to(mask)
        across = _cubic_weights(mask.shape[-1], crop.columns, crop.whole[1], size[1]).to(mask)
        return down @ mask @ across.T
    return functional.interpolate(mask[:, None], size=size, mode="bicubic")[:, 0]


def normalize_masks(masks: Sequence[Tensor | None], size: Size, device: torch.device) -> tuple[Tensor, ...]:
    """Masks of one size that nowhere add up to more than 1; see `MaskStack`."""
    everywhere = torch.ones(1, *size, device=device)
    clamped = [everywhere if mask is None else mask.clamp(0, 1) for mask in masks]
    total = everywhere.new_zeros(1, *size)
    for mask in clamped:
        total = total + mask
    return tuple(mask / total.clamp(min=1) for mask in clamped)


def _as_range(numbers: Sequence[int]) -> Sequence[int]:
    first = numbers[0] if len(numbers) else 0
    consecutive = range(first, first + len(numbers))
    return consecutive if all(map(int.__eq__, numbers, consecutive)) else tuple(numbers)


def _cubic_weights(pixels: int, cells: Sequence[int], whole: int, count: int) -> Tensor:
    """What each pixel of a mask's side counts for each of `count` points, (points, pixels): bicubic interpolation.

    Args:
        pixels: the mask's side.
        cells: the latent cells of the part, of `whole` along the picture's side; the points are spread evenly over them.
    """
    scale = pixels / whole
    # Where consecutive cells begin and end: a point of one run never counts pixels of another.
    starts = [i for i in range(len(cells)) if i == 0 or cells[i] != cells[i - 1] + 1]
    weights = torch.zeros(count, pixels, dtype=torch.float64)
    for point in range(count):
        center = (point + 0.5) * len(cells) / count
        cell = min(int(center), len(cells) - 1)
        first = max(start for start in starts if start <= cell)
        last = min((start for start in starts if start > cell), default=len(cells)) - 1
        lowest, highest = math.floor(cells[first] * scale), math.ceil((cells[last] + 1) * scale) - 1
        position = (cells[cell] + center - cell) * scale - 0.5
        base = math.floor(position)
        for pixel in range(base - 1, base + 3):
            weights[point, min(max(pixel, lowest), highest)] += _cubic(abs(position - pixel))
    return weights


def _cubic(distance: float) -> float:
    if distance <= 1:
        return ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance * distance + 1
    if distance < 2:
        return ((_CUBIC * distance - 5 * _CUBIC) * distance + 8 * _CUBIC) * distance - 4 * _CUBIC
    return 0.0
