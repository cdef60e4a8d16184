"""Sizes that an image model can take."""

from __future__ import annotations

#: One latent pixel of SD 1.5, SD 2 and SDXL is this many pixels of the image, in each direction.
LATENT_PIXELS = 8


def model_size(size: tuple[int, int], multiple: int = LATENT_PIXELS) -> tuple[int, int]:
    """Width and height as the nearest multiples, never less than one: 1366 x 770 becomes 1368 x 768.

    Half-way goes up. The finished film is scaled to its own size anyway, so that these few pixels are not missed.
    """
    width, height = (max(1, (side + multiple // 2) // multiple) * multiple for side in size)
    return width, height
