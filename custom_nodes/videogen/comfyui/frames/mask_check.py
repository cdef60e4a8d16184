"""Check masks before anything is sampled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import comfy.patcher_extension
import torch
import torch.nn.functional as F
from torch import Tensor

from ...core.conditioning.mask_fit import require_mask_fit
from ...core.errors import VideoGenError

log = logging.getLogger(__name__)

_WRAPPER_KEY = "videogen.masks"


def check_mask(mask: Any, name: str = "mask") -> Tensor:
    """Check a mask, and return it as (masks, height, width), 0…1.

    Raises:
        VideoGenError: `mask-invalid` for another shape, no masks, or values that are not numbers.
    """
    if isinstance(mask, Tensor) and mask.ndim == 4 and mask.shape[1] == 1:
        mask = mask[:, 0]
    elif isinstance(mask, Tensor) and mask.ndim == 2:
        mask = mask[None]
    if not isinstance(mask, Tensor) or mask.ndim != 3 or 0 in mask.shape:
        found = f"has shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else f"is {type(mask).__name__}"
        raise VideoGenError("mask-invalid", f"`{name}` {found}, expected (masks, height, width)")
    if not torch.isfinite(mask).all():
        raise VideoGenError(
            "mask-invalid", f"`{name}` has values that are not numbers (NaN or infinite), expected 0 to 1"
        )
    if not mask.any():
        log.warning("`%s` is empty: the picture has no effect anywhere", name)
    return mask.to(torch.float32).clamp(0.0, 1.0)


def require_mask_count(masks: Tensor, count: int, of: str = "frames") -> None:
    """Check that there is one mask for all of `count` frames (or images), or one for each.

    Raises:
        VideoGenError: `mask-invalid`.
    """
    if len(masks) not in (1, count):
        raise VideoGenError("mask-invalid", f"`mask` has {len(masks)} masks for {count} {of}, expected 1 or {count}")


def match_masks(masks: Tensor, images: Tensor) -> Tensor:
    """Resize masks (n, height, width) to images (n, height, width, 3): one for each image.

    Raises:
        VideoGenError: `mask-invalid` for another number of masks or another shape.
    """
    count, height, width = images.shape[:3]
    require_mask_count(masks, count, of="pictures")
    rows, columns = masks.shape[1:]
    if abs(rows * width - columns * height) > max(width, height, rows, columns):
        raise VideoGenError(
            "mask-invalid",
            f"`mask` is {columns}×{rows} and `image` {width}×{height}: the mask has another shape",
            "Make the mask from the same picture.",
        )
    scaled = F.interpolate(masks[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]
    return scaled.expand(count, -1, -1)


def require_masks_fit(model: Any, masks: Mapping[str, Tensor]) -> None:
    """Make a model refuse masks that do not fit the frames, when its sampling starts.

    The size and number of the frames are not known earlier; no step is calculated when they do not fit.

    Args:
        model: an unshared clone; it is changed.
        masks: (masks, height, width) by name.
    """
    # Only the shapes are kept: a model's options are copied with every clone of it.
    shapes = {name: (mask.shape[0], mask.shape[1], mask.shape[2]) for name, mask in masks.items()}

    def check(executor: Callable[..., Any], noise: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(noise, Tensor) and noise.ndim == 4:
            frames, _, rows, columns = noise.shape
            for name, shape in shapes.items():
                require_mask_fit(shape, (frames, rows, columns), name)
        return executor(noise, *args, **kwargs)

    if shapes:
        model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.OUTER_SAMPLE, _WRAPPER_KEY, check)
