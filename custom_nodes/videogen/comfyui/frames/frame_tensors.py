"""Frames on an IMAGE socket: their shape, finite values, and conversion to 8-bit RGB."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...core.errors import VideoGenError

#: The usual reason for frames with NaN, for `require_finite`.
VAE_OVERFLOW = "a VAE in half precision: start ComfyUI with --fp32-vae"


def check_frames(images: Tensor) -> None:
    """Check that frames can be encoded: shape (frames, height, width, 1, 3 or 4), at least one.

    Raises:
        VideoGenError: `frames-invalid`.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4) or 0 in images.shape:
        raise VideoGenError(
            "frames-invalid",
            f"`images` has shape {tuple(images.shape)}, expected (frames, height, width, channels) with 1, 3 or 4 channels"
            " and at least one frame",
        )


def require_finite(frame: Tensor, what: str, usual: str = VAE_OVERFLOW) -> None:
    """Refuse NaN and infinity: an upscale model would spread them, an encoder turn them black.

    Args:
        what: the frame, for the message.
        usual: the usual reason, for the hint.

    Raises:
        VideoGenError: `frames-invalid`.
    """
    if not torch.isfinite(frame).all():
        raise VideoGenError(
            "frames-invalid",
            f"{what} has values that are not numbers (NaN or infinite)",
            f"The usual reason is {usual}.",
        )


def require_finite_frames(images: Tensor, name: str) -> None:
    """`require_finite` for each frame of the input `name`, one at a time."""
    for index, image in enumerate(images):
        require_finite(image, f"frame {index + 1} of `{name}`")


def clip_frames(images: Tensor) -> Tensor:
    """Frames with values in 0…1, as a screen shows them; the same tensor where they are.

    A VAE overshoots, and HDR pictures go far beyond 1. A node that clips where it computes and passes on what it leaves alone
    would show a jump between two frames of one shot.

    Args:
        images: of any shape; what is not a number, or infinite, stays so.
    """
    low, high = torch.aminmax(images)
    return images if low >= 0 and high <= 1 else torch.where(images.isfinite(), images.clamp(0, 1), images)


def to_rgb8(image: Tensor, index: int) -> Any:
    """One frame as uint8 RGB, shape (height, width, 3); values outside 0…1 are clipped, alpha is dropped.

    Args:
        index: 0-based number of the frame, for the message.

    Raises:
        VideoGenError: `frames-invalid` for NaN and infinity.
    """
    image = image[..., :3] if image.shape[-1] >= 3 else image.expand(-1, -1, 3)
    require_finite(image, f"frame {index + 1}")
    return image.mul(255.0).round_().clamp_(0, 255).to(device="cpu", dtype=torch.uint8).numpy()
