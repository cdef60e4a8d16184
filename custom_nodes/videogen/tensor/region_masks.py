"""Soft masks for the regions of a segment's cast, which never add up above 1 where regions are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.segment.regions import Area, Box, Layer

#: Pixels of a mask's longer side: several for every position of the finest attention layer of a 1080p image.
LONG_SIDE = 512
#: Ramps have so many steps that float32 adds and multiplies two of them without rounding: neighbors add up to exactly 1.
_STEPS = 4096
_ROUNDING = 1e-5


def mask_size(frame: tuple[int, int], long_side: int = LONG_SIDE) -> tuple[int, int]:
    """Width and height in pixels of the masks for frames of this width and height: the same shape, made small."""
    scale = long_side / max(frame)
    return max(1, round(frame[0] * scale)), max(1, round(frame[1] * scale))


def make_region_masks(
    areas: Sequence[Area], size: tuple[int, int], *, feather: float = 0.06, files: Mapping[str, Tensor] | None = None
) -> list[Tensor | None]:
    """Draw one mask for each area, in 0…1; None means the whole frame.

    With ``S`` the soft shapes of a layer and ``T`` the area of earlier layers, ``M_i = S_i · min(1, (1 − T) / ΣS)`` and
    ``T ← T + ΣM``: neighbors that share an edge add up to exactly 1 on it, and where areas overlap, those of one layer share
    it and those of a later one get the rest. Areas on the layer REST get ``share · (1 − T)`` after all others.

    So masks with a region, of any kind, never add up to more than 1, and neither do those of one kind. The area without
    regions is divided within each kind separately: there, characters, objects and the location add up, each with its own
    weight. An entity without a region that is the only one of its kind covers the whole frame if there are no regions at all.

    Args:
        size: width and height in pixels of the masks.
        feather: width of the soft edges as a share of the frame's width. Half of it is on either side of the edge;
            beyond it a mask is exactly 0 or 1. An edge of the frame is hard.
        files: name → mask image, (height, width) of any size, 0…1, 1 where its area is.

    Returns:
        float32 tensors of shape (height, width).
    """
    width, height = size
    taken = torch.zeros(height, width)
    masks: list[Tensor | None] = [None] * len(areas)
    for layer in (Layer.GIVEN, Layer.PLACED, Layer.OBJECT):
        members = [index for index, area in enumerate(areas) if area.layer == layer]
        if not members:
            continue
        shapes = torch.stack([_shape(areas[index], size, feather, files or {}) for index in members])
        wanted, left = shapes.sum(0), 1 - taken
        shapes *= torch.where(wanted > left, left / wanted.clamp(min=1e-6), 1.0)
        for index, shape in zip(members, shapes, strict=True):
            masks[index] = shape
        taken = (taken + shapes.sum(0)).clamp(max=1)
    untouched = not bool(taken.any())
    for index, area in enumerate(areas):
        if area.layer == Layer.REST and not (untouched and area.share == 1):
            masks[index] = (1 - taken) * area.share
    return masks


def group_masks(masks: Sequence[Tensor | None]) -> list[list[int]]:
    """The masks, by index, in groups that add up to at most 1 each; those of the whole frame are a group of their own.

    Masks that are resized and normalized together must add up to at most 1: kinds that add up must not weaken each other.
    """
    everywhere = [index for index, mask in enumerate(masks) if mask is None]
    groups = [everywhere] if everywhere else []
    totals: list[tuple[list[int], Tensor]] = []
    for index, mask in enumerate(masks):
        if mask is None:
            continue
        for members, total in totals:
            if float((total + mask).max()) <= 1 + _ROUNDING:
                members.append(index)
                total += mask
                break
        else:
            totals.append(([index], mask.clone()))
    return [*groups, *(members for members, _ in totals)]


def soft_box(box: Box, size: tuple[int, int], feather: float) -> Tensor:
    """A box with soft edges, (height, width): boxes that share an edge add up to exactly 1 along it.

    Args:
        feather: width of the edges as a share of the frame's width; both ways the same number of pixels.
    """
    width, height = size
    x, y, box_width, box_height = box
    across = _ramp(width, x, feather) - _ramp(width, x + box_width, feather)
    down_feather = feather * width / height
    down = _ramp(height, y, down_feather) - _ramp(height, y + box_height, down_feather)
    return down[:, None] * across[None, :]


def soften(mask: Tensor, feather_pixels: float) -> Tensor:
    """A mask (height, width) with its edges made as soft as those of boxes.

    A box's edge is a step convolved with ``6 t (1 − t)``, whose integral is the smoothstep; here the mask is convolved with
    it, both ways. The mask is continued beyond the frame's edge with the values at the edge.
    """
    for dimension in (0, 1):
        radius = min(int(feather_pixels / 2), mask.shape[dimension] - 1)
        if radius < 1:
            continue
        t = (torch.arange(-radius, radius + 1) + radius + 1) / (2 * radius + 2)
        kernel = t * (1 - t)
        kernel /= kernel.sum()
        rows = mask if dimension else mask.T
        padded = F.pad(rows[:, None, :], (radius, radius), mode="replicate")
        rows = F.conv1d(padded, kernel.view(1, 1, -1))[:, 0]
        mask = rows if dimension else rows.T
    return mask.clamp(0, 1)


def _shape(area: Area, size: tuple[int, int], feather: float, files: Mapping[str, Tensor]) -> Tensor:
    if area.box is not None:
        return soft_box(area.box, size, feather)
    width, height = size
    image = files[area.file].to(torch.float32)
    # Shrunk by averaging: a thin line must not fall between the pixels.
    scaled = F.interpolate(image[None, None], (height, width), mode="bilinear", align_corners=False, antialias=True)
    return _round(soften(scaled[0, 0].clamp(0, 1), feather * width))


def _ramp(count: int, edge: float, feather: float) -> Tensor:
    """From 0 to 1 around an edge, at the middles of `count` pixels between 0 and 1: a smoothstep, ``t²(3 − 2t)``."""
    if edge <= 0:
        return torch.ones(count)
    if edge >= 1:
        return torch.zeros(count)
    # In float64, and no sharper than a pixel: an edge between two of them is not lost.
    middles = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    t = ((middles - edge) / max(feather, 1 / count) + 0.5).clamp(0, 1)
    return _round(t * t * (3 - 2 * t)).to(torch.float32)


def _round(values: Tensor) -> Tensor:
    return (values * _STEPS).round() / _STEPS
