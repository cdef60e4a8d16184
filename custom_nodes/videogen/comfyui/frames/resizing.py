"""Lanczos resizing of IMAGE tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from ...media.images import resample


def resize_lanczos(image: Tensor, size: tuple[int, int], box: resample.Box | None = None) -> Tensor:
    """`media.resample.resize_lanczos` for an image (height, width, channels) on any device.

    Returns:
        float32 on the CPU.
    """
    pixels = image.detach().to(device="cpu", dtype=torch.float32).numpy()
    return torch.from_numpy(resample.resize_lanczos(pixels, size, box))
