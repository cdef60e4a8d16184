"""The device for work on images."""

from __future__ import annotations

import comfy.model_management
import torch
from torch import Tensor

#: Tensors of a frame's size that exist at a time, with three channels in float32.
_COPIES = 12


def find_device(images: Tensor) -> torch.device:
    """ComfyUI's device, with free memory for the work on one frame of a batch (frames, height, width, …).

    A graphics card is about a hundred times as fast at this; the batch itself is not moved.
    """
    device = comfy.model_management.get_torch_device()
    if device.type != "cpu":
        height, width = images.shape[1:3]
        comfy.model_management.free_memory(_COPIES * height * width * 3 * 4, device)
    return device
