"""The identity of a tensor's content, as a key for caches."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def hash_tensor(tensor: Tensor) -> str:
    """SHA-256 of a tensor's shape, type and values, in hexadecimal digits."""
    tensor = tensor.detach().cpu().contiguous()
    sha = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
    sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()
