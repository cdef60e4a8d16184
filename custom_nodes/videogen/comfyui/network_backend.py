"""A CLIP_VISION socket as what looks at subjects for continuity scores."""

from __future__ import annotations

import hashlib
from typing import Any

import comfy.model_management
import numpy as np
import torch

from ..core.byte_cache import ByteCache
from ..core.errors import VideoGenError
from ..metrics.appearance import Backend
from .image_encoder import read_encoder

#: Pictures that are encoded at once: ViT-H takes 0.4 GB for them.
_BATCH = 8
#: Vectors of 1 to 5 KB: the bank of unrelated pictures and the references are seen again with every segment.
_cache: ByteCache[np.ndarray] = ByteCache(8 * 1024 * 1024)


def make_backend(clip_vision: Any) -> Backend:
    """What compares subjects: the image embeddings of a CLIP Vision model, or without one the classical descriptors.

    Raises:
        VideoGenError: `socket-invalid` for something that is no CLIP Vision model.
    """
    if clip_vision is None:
        return Backend()
    try:
        encoder = read_encoder(clip_vision)
        name, serial = encoder.name, encoder.serial
    except VideoGenError as error:
        if error.code != "adapter-mismatch":
            raise
        # No encoder for IP-Adapters, such as SigLIP; for looking at pictures it will do.
        name, serial = type(clip_vision.model).__name__, 0

    @torch.no_grad()
    def embed(pictures: np.ndarray) -> np.ndarray:
        keys = [(serial, hashlib.sha256(picture.tobytes()).hexdigest()) for picture in pictures]
        found = [_cache.get(key) if serial else None for key in keys]
        new = [index for index, vector in enumerate(found) if vector is None]
        for begin in range(0, len(new), _BATCH):
            comfy.model_management.throw_exception_if_processing_interrupted()
            indexes = new[begin : begin + _BATCH]
            batch = torch.from_numpy(pictures[indexes]).float() / 255
            # The pictures are square already: nothing is cut off, as a centre crop would.
            vectors = clip_vision.encode_image(batch, crop=False)["image_embeds"].float().cpu().numpy()
            for index, vector in zip(indexes, vectors.reshape(len(indexes), -1), strict=True):
                found[index] = vector
                if serial:
                    _cache.put(keys[index], vector, vector.nbytes)
        return np.stack([vector for vector in found if vector is not None])

    return Backend(name, embed)
