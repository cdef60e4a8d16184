"""Checks whether a mask fits the sampled frames."""

from __future__ import annotations

import math

from ..errors import VideoGenError


def require_mask_fit(mask: tuple[int, int, int], latent: tuple[int, int, int], name: str = "mask") -> None:
    """Raise `mask-invalid` unless a mask fits these frames.

    A mask of another size is resized, as long as it has the frames' aspect ratio, up to rounding: a frame's size was rounded
    to whole latent cells (of 8 pixels), and the mask's to whole pixels.

    Args:
        mask: (number of masks, height, width) in pixels.
        latent: (number of frames, height, width) in latent cells.
    """
    count, height, width = mask
    frames, rows, columns = latent
    if count not in (1, frames):
        raise VideoGenError(
            "mask-invalid",
            f"`{name}` has {count} masks for {frames} frame{'s' if frames != 1 else ''}, expected one for all or one a frame",
            "Repeat or cut the batch of masks, or set the latent's batch size to the number of masks.",
        )
    widest, narrowest = _ratios(columns, rows)
    mask_widest, mask_narrowest = _ratios(width, height)
    if mask_narrowest >= widest or mask_widest <= narrowest:
        raise VideoGenError(
            "mask-invalid",
            f"`{name}` is {width}×{height}, and the frames are {columns * 8}×{rows * 8}: the mask has another shape",
            "Loading a picture without an alpha channel gives this mask: draw one."
            if (width, height) == (64, 64)
            else "Make the mask in the frames' size, or in another one of the same shape.",
        )


def _ratios(width: int, height: int) -> tuple[float, float]:
    """The largest and the smallest width / height that round to this size."""
    return (width + 1) / (height - 1) if height > 1 else math.inf, (width - 1) / (height + 1)
