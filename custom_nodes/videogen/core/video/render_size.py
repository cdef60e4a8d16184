"""The sizes that image models render in, for a film of another size."""

from __future__ import annotations

import math

from ..widget_checks import check_choice, check_range

#: One latent pixel of SD 1.5, SD 2 and SDXL is this many pixels of the image, in each direction.
LATENT_PIXELS = 8
#: Sides that are multiples of this stay even down to the deepest level of the networks: the sizes that SDXL was trained at.
MULTIPLES = (8, 16, 32, 64)
#: Kind of model → megapixels at which it renders best. SD 1.5 was trained at 512 × 512; slightly more suits a wide image
#: and does not yet duplicate its subject. SD 2.1 (768-v) and SDXL: the size of their training.
NATIVE_MEGAPIXELS = {"SD 1.5": 0.45, "SD 2": 0.59, "SDXL": 1.03}
#: Neither too small to see anything, nor so large that a mistyped number exhausts the memory.
MIN_MEGAPIXELS, MAX_MEGAPIXELS = 0.002, 16.0
#: Weight of a wrong shape against a wrong number of pixels: images of another shape than the film's are cropped.
_SHAPE_COUNTS = 3.0
#: Candidates for a side, as parts of its exact length.
_FACTORS = (0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.15, 1.2)


def round_to_multiple(size: tuple[int, int], multiple: int = LATENT_PIXELS) -> tuple[int, int]:
    """Width and height as the nearest multiples, halves up, never less than one: 1366 x 770 becomes 1368 x 768.

    The finished film is scaled to its own size anyway, so these few pixels do not matter.
    """
    width, height = (max(1, (side + multiple // 2) // multiple) * multiple for side in size)
    return width, height


def fit_render_size(size: tuple[int, int], megapixels: float, multiple: int) -> tuple[int, int]:
    """The size nearest to a film's shape and to a number of pixels, both sides multiples of `multiple`.

    1920 × 1080 at 1.03 megapixels in multiples of 64 becomes SDXL's own 1344 × 768.

    Args:
        size: width and height of the film; only their ratio counts.
        megapixels: millions of pixels, `MIN_MEGAPIXELS` to `MAX_MEGAPIXELS`.
        multiple: one of `MULTIPLES`.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    check_range("megapixels", megapixels, MIN_MEGAPIXELS, MAX_MEGAPIXELS)
    check_choice("multiple", multiple, MULTIPLES)
    if size[0] < size[1]:
        # Exactly the turned size for a turned film, however two equally good candidates compare.
        width, height = fit_render_size((size[1], size[0]), megapixels, multiple)
        return height, width
    ratio, area = size[0] / size[1], megapixels * 1e6

    def round_side(side: float) -> int:
        return max(1, round(side / multiple)) * multiple

    def deviation(candidate: tuple[int, int]) -> float:
        width, height = candidate
        return _SHAPE_COUNTS * abs(math.log(width / height / ratio)) + abs(math.log(width * height / area))

    # One side is rounded, then the other to suit it; which of the two comes first makes a difference.
    heights = {round_side(math.sqrt(area / ratio) * factor) for factor in _FACTORS}
    widths = {round_side(math.sqrt(area * ratio) * factor) for factor in _FACTORS}
    candidates = {(round_side(height * ratio), height) for height in heights}
    candidates |= {(width, round_side(width / ratio)) for width in widths}
    return min(sorted(candidates), key=deviation)


def fit_cover(source: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """The middle part of an image that has the target's shape, as (left, top, right, bottom) in the image's pixels."""
    (width, height), ratio = source, target[0] / target[1]
    cut_width, cut_height = min(float(width), height * ratio), min(float(height), width / ratio)
    left, top = (width - cut_width) / 2, (height - cut_height) / 2
    return left, top, left + cut_width, top + cut_height
