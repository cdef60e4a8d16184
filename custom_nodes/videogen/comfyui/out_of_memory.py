"""Whether an exception means that a graphics card's memory is full."""

from __future__ import annotations

import comfy.model_management
import torch

#: Newer versions of PyTorch raise it for errors of the device, its allocations among them.
_DEVICE_ERROR: type[BaseException] | tuple[()] = getattr(torch, "AcceleratorError", ())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an operation may work with less memory: as ComfyUI tells it, where it does.

    Never an interruption: in some versions of ComfyUI that is an `Exception`, and so is the type for full memory where PyTorch
    has none of its own.
    """
    if isinstance(error, comfy.model_management.InterruptProcessingException):
        return False
    if hasattr(comfy.model_management, "is_oom"):
        return bool(comfy.model_management.is_oom(error))
    if isinstance(error, comfy.model_management.OOM_EXCEPTION):
        return True
    return isinstance(error, _DEVICE_ERROR) and "out of memory" in str(error).lower()
