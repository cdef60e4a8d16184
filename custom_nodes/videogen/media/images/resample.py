"""Resizes images with a Lanczos filter in floating point."""

from __future__ import annotations

import numpy as np
from PIL import Image

Box = tuple[float, float, float, float]


def resize_lanczos(image: np.ndarray, size: tuple[int, int], box: Box | None = None) -> np.ndarray:
    """Resize an image, or a part of it.

    Pillow's Lanczos filter (three lobes, widened when the image gets smaller, so that nothing aliases), one channel at a
    time in 32-bit floating point: unlike its filter for 8-bit images it does not round. Overshoots are clipped.

    Args:
        image: (height, width, channels), float32 in 0…1.
        size: target width and height.
        box: the part to take, as (left, top, right, bottom) in pixels, which may be fractional.

    Returns:
        (height, width, channels), float32 in 0…1.
    """
    result = np.empty((size[1], size[0], image.shape[2]), dtype=np.float32)
    for channel in range(image.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(image[..., channel], dtype=np.float32))
        result[..., channel] = np.asarray(plane.resize(size, Image.Resampling.LANCZOS, box=box))
    return np.clip(result, 0.0, 1.0, out=result)
