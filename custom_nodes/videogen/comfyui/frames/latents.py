"""Latents of a batch of frames."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...core.errors import VideoGenError


def check_latent(latent: Any, name: str = "latent") -> Tensor:
    """Return the samples of an image model's LATENT: (frames, channels, height, width), at least one.

    Raises:
        VideoGenError: `latent-invalid`, also for latents of video models, which have a dimension for the frames.
    """
    samples = latent.get("samples") if isinstance(latent, dict) else None
    if getattr(samples, "is_nested", False) or (isinstance(samples, Tensor) and samples.ndim == 5):
        raise VideoGenError(
            "latent-invalid",
            f"`{name}` is the latent of a video model, {_describe(samples)}; expected one of an image model, (frames, channels,"
            " height, width)",
            "Video models keep their frames together by themselves: leave the node out there.",
        )
    if not isinstance(samples, Tensor) or samples.ndim != 4 or 0 in samples.shape:
        raise VideoGenError(
            "latent-invalid",
            f"`{name}` holds {_describe(samples)}, expected (frames, channels, height, width) with at least one frame",
        )
    return samples


def _describe(samples: Any) -> str:
    if isinstance(samples, Tensor):
        return f"shape {tuple(samples.shape)}"
    return "several tensors" if getattr(samples, "is_nested", False) else type(samples).__name__
