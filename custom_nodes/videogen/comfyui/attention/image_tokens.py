"""Images to image tokens: each image is encoded once, and its tokens are kept for the segments that follow."""

from __future__ import annotations

import hashlib
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

log = logging.getLogger(__name__)

#: How an image that is no square gets into the encoder's square: its middle is cut out, it is filled up with CLIP's mean
#: color, or it is stretched.
CROPS = ("center", "pad", "stretch")

#: What is made of several images: tokens for each of them; the mean of what the encoder gives, or the first without the
#: mean of the others, before the projection (as `combine_embeds` does in ComfyUI_IPAdapter_plus).
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
    """Image tokens of images, and what the negative prompt sees instead.

    Only images that this adapter and this encoder have not seen are encoded, one by one: in a batch the last bits of a
    result depend on the company, and a segment would depend on what was rendered before it.

    Args:
        clip_vision: ComfyUI's encoder; it is brought to its device by ComfyUI's own model management.
        images: (n, height, width, 1, 3 or 4), 0…1; alpha is ignored.
        crop: one of `CROPS`.
        blend: one of `BLENDS`; all but "each" give tokens as of one image.
        name: the input's name, for messages.

    Returns:
        tokens (n, T, context width), n being 1 for a blend, and negative tokens (1, T, context width), on the CPU.

    Raises:
        VideoGenError: `image-invalid`, `adapter-mismatch` (another encoder than the adapter was made for), `socket-invalid`,
            `widget-invalid` (another crop).
    """
    check_choice("crop", crop, CROPS)
    encoder = require_encoder(adapter, clip_vision)
    images = check_images(images, name)
    if blend == "subtract" and len(images) == 1:
        raise VideoGenError("image-invalid", f"`{name}` has 1 picture: subtract takes the others away from the first")
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

    digests = [hash_image(pixels) for pixels in images]
    if blend == "each":
        tokens = torch.cat([keep((crop, digest), partial(embed, index)) for index, digest in enumerate(digests)])
    else:
        tokens = keep((crop, blend, *digests), lambda: _BLEND[blend](torch.cat([embed(i) for i in range(len(images))])))
    negative = keep(("negative",), lambda: _negative_embeds(adapter, encoder))
    log.info("%s: %d of %d images encoded, the others were known", adapter.name, encoded, len(images))
    return tokens, negative


def check_images(images: Any, name: str = "image") -> Tensor:
    """The images as (n, height, width, 3), if they can be encoded.

    Raises:
        VideoGenError: `image-invalid` for another shape, no images, or values that are not numbers.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[-1] not in (1, 3, 4) or 0 in images.shape[1:]:
        found = f"has shape {tuple(images.shape)}" if isinstance(images, Tensor) else f"is {type(images).__name__}"
        raise VideoGenError("image-invalid", f"`{name}` {found}, expected (pictures, height, width, 3)")
    if len(images) == 0:
        raise VideoGenError("image-invalid", f"`{name}` has 0 pictures, expected at least one")
    low, high = torch.aminmax(images.flatten(1), dim=1)  # both pass NaN on, and nothing of the images' size is made
    finite = torch.isfinite(low) & torch.isfinite(high)
    if not finite.all():
        raise VideoGenError(
            "image-invalid",
            f"picture {int(finite.logical_not().nonzero()[0]) + 1} of `{name}` has values that are not numbers (NaN or infinite)",
            "It was probably decoded by a VAE in half precision: start ComfyUI with --fp32-vae, or take a picture from a file.",
        )
    return images.expand(-1, -1, -1, 3) if images.shape[-1] == 1 else images[..., :3]


def hash_image(image: Tensor) -> str:
    """SHA-256 of an image's size, type and pixels, in hexadecimal digits."""
    image = image.detach().cpu().contiguous()
    sha = hashlib.sha256(f"{image.dtype} {tuple(image.shape)}\n".encode())
    sha.update(image.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def pad_to_square(images: Tensor, color: Sequence[float]) -> Tensor:
    """Images (n, height, width, 3) in the middle of squares of one color."""
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
    """What the encoder is said to have given for the negative prompt: as the authors and diffusers do it."""
    if adapter.info.embed_source == "image_embeds":
        return torch.zeros(1, adapter.info.embed_width)
    return encoder.encode_mean_color()
