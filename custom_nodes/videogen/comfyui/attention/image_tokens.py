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
from ...tensor.ip_adapter.combine_embeds import METHODS
from ..frames.frame_tensors import clip_frames
from ..frames.mask_check import check_mask, match_masks
from .image_encoder import Encoder, require_encoder
from .tensor_hash import hash_tensor

log = logging.getLogger(__name__)

#: How an image is fitted to the encoder's square: cropped to its middle, padded with CLIP's mean color, or stretched.
CROPS = ("center", "pad", "stretch")

#: How several images are combined: tokens for each of them, or their embeddings are combined to those of one image before the
#: projection, by a method of ``tensor.ip_adapter.combine_embeds``.
BLENDS = ("each", "average", "subtract", "norm average")

#: An image whose alpha is below this everywhere shows nothing, as in files of references.
MIN_ALPHA = 0.05

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
        images: (n, height, width, 1, 3 or 4), 0…1; what is transparent has the encoder's mean color, which is 0 to it.
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
    images = flatten_alpha(images, clip_vision.image_mean, name)
    require_several(blend, len(images), f"`{name}`", "picture")
    encoded = 0

    def embed(index: int) -> Tensor:
        nonlocal encoded
        encoded += 1
        return _embed(adapter, encoder, images[index : index + 1], crop)

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
        tokens = keep(
            (crop, blend, *digests), lambda: METHODS[blend](torch.cat([embed(i) for i in range(len(images))]))
        )
    negative = keep(("negative",), lambda: _negative_embeds(adapter, encoder))
    log.info("%s: %d of %d pictures encoded, the others were cached", adapter.name, encoded, len(images))
    return tokens, negative


@torch.no_grad()
def embed_images(
    adapter: IPAdapter,
    clip_vision: Any,
    images: Tensor,
    *,
    crop: str = "center",
    masks: Tensor | None = None,
    name: str = "image",
) -> tuple[Tensor, Tensor]:
    """Encode images to the embeddings that an adapter projects, each by itself, and those of the negative side.

    Args:
        images: as in `encode_images`.
        masks: (1 or n, height, width), 1 for the part of the image that counts; the rest has the encoder's mean color.

    Returns:
        embeddings (n, …) and negative ones (1, …), float32 on the CPU: (…, embed width), or (…, patches + 1, embed width).

    Raises:
        VideoGenError: as `encode_images`, and `mask-invalid` for another number of masks or another shape.
    """
    check_choice("crop", crop, CROPS)
    encoder = require_encoder(adapter, clip_vision)
    images = flatten_alpha(images, clip_vision.image_mean, name, masks)
    embeds = torch.cat([_embed(adapter, encoder, image[None], crop) for image in images])
    return embeds.cpu(), _negative_embeds(adapter, encoder).cpu()


@torch.no_grad()
def project_embeds(adapter: IPAdapter, embeds: Tensor) -> Tensor:
    """Image tokens (n, T, context width) of embeddings (n, …), on the CPU; each row by itself, as `encode_images` does it."""
    device = comfy.model_management.get_torch_device()
    return torch.cat([adapter.project(row[None].to(device)).cpu() for row in embeds])


def negative_tokens(adapter: IPAdapter, clip_vision: Any) -> Tensor:
    """Tokens (1, T, context width) for the negative prompt where nothing else is wanted there.

    Args:
        clip_vision: None where there is no encoder.

    Raises:
        VideoGenError: `adapter-mismatch` for another encoder, and where there is none for an adapter that needs it.
    """
    if clip_vision is None and adapter.info.embed_source != "image_embeds":
        raise VideoGenError(
            "adapter-mismatch",
            f"{adapter.name} needs its encoder for the negative prompt, and neither `clip_vision` nor `embeds_negative` is"
            " connected",
            f"Connect {adapter.info.encoder}, or the output `negative` of Encode Embeds.",
        )
    if clip_vision is None:
        return project_embeds(adapter, torch.zeros(1, adapter.info.embed_width))
    return project_embeds(adapter, _negative_embeds(adapter, require_encoder(adapter, clip_vision)))


def require_several(method: str, count: int, found: str, what: str) -> None:
    """Check that there are others to subtract.

    Raises:
        VideoGenError: `image-invalid`.
    """
    if method == "subtract" and count == 1:
        raise VideoGenError("image-invalid", f"{found} has 1 {what}: subtract needs others to subtract from the first")


def flatten_alpha(images: Any, color: Sequence[float], name: str = "image", masks: Tensor | None = None) -> Tensor:
    """Images (n, height, width, 3) in 0…1 with one color where they are transparent, or where a mask is black.

    Args:
        images: (n, height, width, 1, 3 or 4); opaque ones stay as they are, bit by bit.
        masks: (1 or n, height, width) of any size in the images' aspect ratio.

    Raises:
        VideoGenError: see `require_rgb_images` and `match_masks`; `image-invalid` for an image that is fully transparent.
    """
    colors = require_rgb_images(images, name)
    alpha = images[..., 3].clamp(0, 1) if images.shape[-1] == 4 else None
    if masks is not None:
        shown = match_masks(check_mask(masks), colors).to(colors)
        alpha = shown if alpha is None else alpha * shown
    if alpha is None or bool((alpha == 1).all()):
        return colors
    hidden = [number for number, one in enumerate(alpha, 1) if not float(one.max()) >= MIN_ALPHA]
    if hidden:
        raise VideoGenError(
            "image-invalid", f"picture {hidden[0]} of `{name}` is fully transparent", "Choose another picture."
        )
    share = alpha[..., None]
    return colors * share + torch.tensor(list(color), dtype=colors.dtype, device=colors.device) * (1 - share)


def is_shown(image: Tensor) -> bool:
    """Whether an image (height, width, channels) is not fully transparent."""
    return image.shape[-1] != 4 or float(image[..., 3].max()) >= MIN_ALPHA


def _embed(adapter: IPAdapter, encoder: Encoder, image: Tensor, crop: str) -> Tensor:
    """The embeddings (1, …) of an image (1, height, width, 3)."""
    comfy.model_management.throw_exception_if_processing_interrupted()
    pixels = image.to(torch.float32)
    if crop == "pad":
        pixels = pad_to_square(pixels, encoder.clip_vision.image_mean)
    return encoder.encode(pixels, adapter.info.embed_source, crop=crop == "center")


def require_rgb_images(images: Any, name: str = "image") -> Tensor:
    """Check that images can be encoded, and return them as (n, height, width, 3) in 0…1.

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
    return clip_frames(images.expand(-1, -1, -1, 3) if images.shape[-1] == 1 else images[..., :3])


def pad_to_square(images: Tensor, color: Sequence[float]) -> Tensor:
    """Center images (n, height, width, 3) in squares of one color."""
    count, height, width, channels = images.shape
    side = max(height, width)
    square = torch.tensor(color, dtype=images.dtype, device=images.device).expand(count, side, side, channels).clone()
    top, left = (side - height) // 2, (side - width) // 2
    square[:, top : top + height, left : left + width] = images
    return square


def _negative_embeds(adapter: IPAdapter, encoder: Encoder) -> Tensor:
    """The embeddings for the negative prompt, as in the authors' code and diffusers."""
    if adapter.info.embed_source == "image_embeds":
        return torch.zeros(1, adapter.info.embed_width)
    return encoder.encode_mean_color()
