"""Encode images to image tokens: each image once, with a cache for the following segments."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

from ...core.errors import VideoGenError
from ...core.lru_cache import SizedLRUCache
from ...core.widget_checks import check_choice
from ...tensor.ip_adapter.adapter import IPAdapter
from .image_encoder import Encoder, require_encoder
from .tensor_hash import hash_tensor

log = logging.getLogger(__name__)

#: How an image is fitted to the encoder's square: cropped to its middle, padded with CLIP's mean color, or stretched.
CROPS = ("center", "pad", "stretch")

#: How several images are combined: tokens for each of them; the mean of their embeddings, or the first minus the mean of
#: the others, before the projection (as `combine_embeds` in ComfyUI_IPAdapter_plus).
BLENDS = ("each", "average", "subtract")

#: Tokens of an image take 12 KB (SD 1.5, plain) to 2 MB (full-face): room for thousands of references.
CACHE_BYTES = 64 * 1024 * 1024
_cache: SizedLRUCache[Tensor] = SizedLRUCache(CACHE_BYTES)


@torch.no_grad()
def encode_images(
    adapter: IPAdapter,
    clip_vision: Any,
    images: Tensor,
    *,
    crop: str = "center",
    blend: str = "each",
    name: str = "image",
) -> tuple[Tensor, Tensor]:
    """Encode images to image tokens, and the negative tokens for the negative prompt.

    Only images that are not in the cache for this adapter and encoder are encoded, one by one: in a batch the last bits of
    a result depend on the other images, and a segment would depend on what was rendered before it.

    Args:
        clip_vision: ComfyUI's encoder; ComfyUI's own model management moves it to its device.
        images: (n, height, width, 1, 3 or 4), 0…1; alpha is ignored.
        crop: one of `CROPS`.
        blend: one of `BLENDS`; all but "each" return tokens as of one image.
        name: the input's name, for messages.

    Returns:
        tokens (n, T, context width), n being 1 for a blend, and negative tokens (1, T, context width), on the CPU.

    Raises:
        VideoGenError: `image-invalid`, `adapter-mismatch` (another encoder than the adapter's), `socket-invalid`,
            `widget-invalid` (another crop).
    """
    check_choice("crop", crop, CROPS)
    encoder = require_encoder(adapter, clip_vision)
    images = require_rgb_images(images, name)
    if blend == "subtract" and len(images) == 1:
        raise VideoGenError(
            "image-invalid", f"`{name}` has 1 picture: subtract needs others to subtract from the first"
        )
    source = adapter.info.embed_source
    encoded = 0

    def embed(index: int) -> Tensor:
        nonlocal encoded
        comfy.model_management.throw_exception_if_processing_interrupted()
        encoded += 1
        pixels = images[index : index + 1].to(torch.float32)
        if crop == "pad":
            pixels = pad_to_square(pixels, clip_vision.image_mean)
        return encoder.encode(pixels, source, crop=crop == "center")

    def keep(key: tuple[Any, ...], make: Callable[[], Tensor]) -> Tensor:
        key = (adapter.digest, adapter.dtype, encoder.serial, *key)
        tokens = _cache.get(key)
        if tokens is None:
            tokens = adapter.project(make().to(clip_vision.load_device)).cpu()
            _cache.put(key, tokens, tokens.nbytes)
        return tokens

    digests = [hash_tensor(pixels) for pixels in images]
    if blend == "each":
        tokens = torch.cat([keep((crop, digest), partial(embed, index)) for index, digest in enumerate(digests)])
    else:
        tokens = keep((crop, blend, *digests), lambda: _BLEND[blend](torch.cat([embed(i) for i in range(len(images))])))
    negative = keep(("negative",), lambda: _negative_embeds(adapter, encoder))
    log.info("%s: %d of %d pictures encoded, the others were cached", adapter.name, encoded, len(images))
    return tokens, negative


def require_rgb_images(images: Any, name: str = "image") -> Tensor:
    """Check that images can be encoded, and return them as (n, height, width, 3).

    Raises:
        VideoGenError: `image-invalid` for another shape, no images, or values that are not numbers.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[-1] not in (1, 3, 4) or 0 in images.shape[1:]:
        found = f"has shape {tuple(images.shape)}" if isinstance(images, Tensor) else f"is {type(images).__name__}"
        raise VideoGenError("image-invalid", f"`{name}` {found}, expected (pictures, height, width, 3)")
    if len(images) == 0:
        raise VideoGenError("image-invalid", f"`{name}` has 0 pictures, expected at least one")
    low, high = torch.aminmax(images.flatten(1), dim=1)  # both propagate NaN, without a copy of the images' size
    finite = torch.isfinite(low) & torch.isfinite(high)
    if not finite.all():
        raise VideoGenError(
            "image-invalid",
            f"picture {int(finite.logical_not().nonzero()[0]) + 1} of `{name}` has values that are not numbers (NaN or infinite)",
            "It was probably decoded by a VAE in half precision: start ComfyUI with --fp32-vae, or use a picture from a file.",
        )
    return images.expand(-1, -1, -1, 3) if images.shape[-1] == 1 else images[..., :3]


def pad_to_square(images: Tensor, color: Sequence[float]) -> Tensor:
    """Center images (n, height, width, 3) in squares of one color."""
    count, height, width, channels = images.shape
    side = max(height, width)
    square = torch.tensor(color, dtype=images.dtype, device=images.device).expand(count, side, side, channels).clone()
    top, left = (side - height) // 2, (side - width) // 2
    square[:, top : top + height, left : left + width] = images
    return square


_BLEND: dict[str, Callable[[Tensor], Tensor]] = {
    "average": lambda embeds: embeds.mean(dim=0, keepdim=True),
    "subtract": lambda embeds: embeds[:1] - embeds[1:].mean(dim=0, keepdim=True),
}


def _negative_embeds(adapter: IPAdapter, encoder: Encoder) -> Tensor:
    """The embeddings for the negative prompt, as in the authors' code and diffusers."""
    if adapter.info.embed_source == "image_embeds":
        return torch.zeros(1, adapter.info.embed_width)
    return encoder.encode_mean_color()
