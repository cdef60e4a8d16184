"""Frames of ComfyUI as the pictures that pipelines take."""

from __future__ import annotations

import torch
from PIL import Image

from ...core.errors import VideoGenError
from ...core.video.render_size import fit_cover
from ..frames.frame_tensors import check_frames, to_rgb8
from ..frames.resizing import resize_lanczos


def to_pictures(images: torch.Tensor, size: tuple[int, int], name: str) -> list[Image.Image]:
    """Every frame as an RGB picture of a size (width, height), cropped where its shape is another one.

    Args:
        images: (frames, height, width, 1, 3 or 4).
        name: of the input.

    Raises:
        VideoGenError: `frames-invalid`, `socket-invalid`.
    """
    if not isinstance(images, torch.Tensor):
        raise VideoGenError("socket-invalid", f"`{name}` got {type(images).__name__}, expected pictures")
    check_frames(images)
    pictures = []
    for index, image in enumerate(images):
        source = (image.shape[1], image.shape[0])
        scaled = image if source == size else resize_lanczos(image, size, fit_cover(source, size))
        pictures.append(Image.fromarray(to_rgb8(scaled, index)))
    return pictures
