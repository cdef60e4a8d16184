"""The CLIP vision encoder on a CLIP_VISION socket: its kind, whether it fits an adapter, and its embeddings."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import comfy.model_management
import torch
from torch import Tensor, nn

from ...core.errors import VideoGenError
from ...tensor.ip_adapter.adapter import IPAdapter

#: (hidden width, width of the image embedding) → the encoder.
KNOWN_ENCODERS = {
    (1280, 1024): "CLIP ViT-H/14",
    (1664, 1280): "CLIP ViT-bigG/14",
    (1024, 768): "CLIP ViT-L/14",
}
#: Encoder name → its file in the download repository.
_DOWNLOADS = {
    "CLIP ViT-H/14": "models/image_encoder/model.safetensors",
    "CLIP ViT-bigG/14": "sdxl_models/image_encoder/model.safetensors",
}

#: A number for each encoder. Python reuses the address of a deleted object, so that `id` would confuse encoders.
_serials: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
_next_serial = itertools.count(1)


@dataclass(frozen=True)
class Encoder:
    """A CLIP vision encoder, as ComfyUI loads it.

    Attributes:
        name: "CLIP ViT-H/14", or its widths for an unknown one.
        hidden_width: of the hidden states.
        embed_width: of the image embedding.
        serial: unique for every encoder that was loaded since ComfyUI started.
    """

    clip_vision: Any
    name: str
    hidden_width: int
    embed_width: int
    serial: int

    def encode(self, image: Tensor, source: str, *, crop: bool) -> Tensor:
        """Encode an image (1, height, width, 3).

        Args:
            source: "image_embeds" for (1, embed width), "penultimate_hidden_states" for (1, patches + 1, hidden width).
            crop: crop to the middle square; otherwise the image is stretched to a square.
        """
        return self.clip_vision.encode_image(image, crop=crop)[source].float()

    def encode_mean_color(self) -> Tensor:
        """The penultimate hidden states (1, patches + 1, hidden width) of pixels that are exactly 0 after preprocessing.

        The authors use these for the unconditional side of adapters that use hidden states
        (``torch.zeros_like(clip_image)`` in IPAdapterPlus.get_image_embeds), and so does diffusers. No image of 8-bit
        colors is exactly 0 there, so the model is called directly.
        """
        comfy.model_management.load_models_gpu([self.clip_vision.patcher])
        size = self.clip_vision.image_size
        pixels = torch.zeros(1, 3, size, size, device=self.clip_vision.load_device)
        states = self.clip_vision.model(pixel_values=pixels, intermediate_output=-2)[1]
        return states.to(comfy.model_management.intermediate_device()).float()


def read_encoder(clip_vision: Any) -> Encoder:
    """The encoder on a CLIP_VISION socket.

    Raises:
        VideoGenError: `socket-invalid` for another type, `adapter-mismatch` for an encoder that no IP-Adapter works with.
    """
    model = getattr(clip_vision, "model", None)
    if not isinstance(model, nn.Module) or not hasattr(clip_vision, "encode_image"):
        raise VideoGenError(
            "socket-invalid",
            f"`clip_vision` got {type(clip_vision).__name__}, expected the output of Load CLIP Vision",
        )
    transformer: Any = getattr(model, "vision_model", None)
    class_embedding = getattr(getattr(transformer, "embeddings", None), "class_embedding", None)
    if class_embedding is None:
        kind = "SigLIP" if transformer is not None else type(model).__name__.removesuffix("Model").upper()
        raise VideoGenError(
            "adapter-mismatch",
            f"`clip_vision` is an encoder of the kind {kind}, and IP-Adapters are made for CLIP",
            _download_hint("CLIP ViT-H/14"),
        )
    hidden_width = int(class_embedding.shape[-1])
    projection: Any = getattr(getattr(model, "visual_projection", None), "weight", None)
    embed_width = hidden_width if projection is None else int(projection.shape[0])
    name = KNOWN_ENCODERS.get(
        (hidden_width, embed_width), f"a CLIP of width {hidden_width} with embeddings of {embed_width}"
    )
    if model not in _serials:
        _serials[model] = next(_next_serial)
    return Encoder(clip_vision, name, hidden_width, embed_width, _serials[model])


def require_encoder(adapter: IPAdapter, clip_vision: Any) -> Encoder:
    """Return the encoder if it is the one that an adapter was trained with, as far as widths can tell.

    Raises:
        VideoGenError: `adapter-mismatch` or `socket-invalid`, before anything is encoded.
    """
    encoder = read_encoder(clip_vision)
    info = adapter.info
    width = encoder.embed_width if info.embed_source == "image_embeds" else encoder.hidden_width
    if width != info.embed_width:
        raise VideoGenError(
            "adapter-mismatch",
            f"{adapter.name} was made for {info.encoder} and `clip_vision` is {encoder.name}: the adapter expects"
            f" {info.embed_source.replace('_', ' ')} of width {info.embed_width}, found {width}",
            _download_hint(info.encoder),
        )
    return encoder


def _download_hint(encoder: str) -> str:
    place = _DOWNLOADS.get(encoder)
    if place is None:
        return f"Load {encoder} in Load CLIP Vision."
    return f"Load {encoder} in Load CLIP Vision: {place} on huggingface.co/h94/IP-Adapter, for the folder models/clip_vision."
