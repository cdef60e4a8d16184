"""A CLIP_VISION model as the appearance model of continuity scores."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import comfy.model_management
import folder_paths
import numpy as np
import torch

from ..core.errors import VideoGenError
from ..core.lru_cache import SizedLRUCache
from ..metrics.appearance import AppearanceModel
from ..metrics.faces import FaceFinder, find_faces
from ..metrics.masks.mask_network import MaskNetwork
from .attention.image_encoder import read_encoder

#: The weights that identify a model: at most this many numbers each, and this many of them.
_FINGERPRINT_SIZE, _FINGERPRINT_WEIGHTS = 4096, 16
#: The folder in ComfyUI's `models` with OpenCV's face models.
FACES_FOLDER = "opencv"
#: Images that are encoded at once: ViT-H needs 0.4 GB for them.
_BATCH = 8
#: Vectors of 1 to 5 KB: the baseline images and the references are needed again for every segment.
_cache: SizedLRUCache[np.ndarray] = SizedLRUCache(8 * 1024 * 1024)


def make_appearance_model(clip_vision: Any, masks: MaskNetwork | None = None) -> tuple[AppearanceModel, list[str]]:
    """Make the model that compares subjects: by a CLIP Vision model's embeddings, or without one by classical descriptors.

    Faces are compared too when `models/opencv` contains YuNet and SFace.

    Args:
        masks: finds people in images without a mask.

    Returns:
        The model, and notes on files that exist and cannot be used.

    Raises:
        VideoGenError: `socket-invalid` for anything but a CLIP Vision model.
    """
    faces, notes = _load_faces(Path(folder_paths.models_dir) / FACES_FOLDER)
    if clip_vision is None:
        return AppearanceModel(faces=faces, masks=masks), notes
    try:
        encoder = read_encoder(clip_vision)
        name, serial = encoder.name, encoder.serial
    except VideoGenError as error:
        if error.code != "adapter-mismatch":
            raise
        # No encoder for IP-Adapters, such as SigLIP, can still compare images.
        name, serial = type(clip_vision.model).__name__, 0

    @torch.no_grad()
    def embed(images: np.ndarray) -> np.ndarray:
        keys = [(serial, hashlib.sha256(image.tobytes()).hexdigest()) for image in images]
        found = [_cache.get(key) if serial else None for key in keys]
        new = [index for index, vector in enumerate(found) if vector is None]
        for begin in range(0, len(new), _BATCH):
            comfy.model_management.throw_exception_if_processing_interrupted()
            indexes = new[begin : begin + _BATCH]
            batch = torch.from_numpy(images[indexes]).float() / 255
            # The images are square already: no crop.
            vectors = clip_vision.encode_image(batch, crop=False)["image_embeds"].float().cpu().numpy()
            for index, vector in zip(indexes, vectors.reshape(len(indexes), -1), strict=True):
                found[index] = vector
                if serial:
                    _cache.put(keys[index], vector, vector.nbytes)
        return np.stack([vector for vector in found if vector is not None])

    return AppearanceModel(f"{name} {_fingerprint(clip_vision.model)}", embed, faces, masks), notes


def _fingerprint(model: torch.nn.Module) -> str:
    """Six digits that distinguish models of one architecture: scores of different ones must not be compared.

    A hash of a few small weights in half precision: a server that computes in single precision has the same model.
    """
    digest = hashlib.sha256()
    small = [weight for weight in model.parameters() if weight.numel() <= _FINGERPRINT_SIZE][:_FINGERPRINT_WEIGHTS]
    for weight in small:
        digest.update(weight.detach().to("cpu", torch.float16).numpy().tobytes())
    return digest.hexdigest()[:6]


def _load_faces(folder: Path) -> tuple[FaceFinder | None, list[str]]:
    """Load the face models, cached until their files change. A broken one must not cost a night's segment: it is a note."""
    files = sorted(folder.glob("*.onnx")) if folder.is_dir() else []
    try:
        return _read_faces(folder, tuple((file.name, file.stat().st_mtime_ns) for file in files)), []
    except (VideoGenError, OSError) as error:
        return None, [f"faces are not compared: {error.message if isinstance(error, VideoGenError) else error}"]


@lru_cache(maxsize=1)
def _read_faces(folder: Path, _: tuple[tuple[str, int], ...]) -> FaceFinder | None:
    return find_faces(folder)
