"""Cropping a reference image to the figure that it shows, without any model."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Longer side in pixels of the image in which the figure is looked for: a few milliseconds.
_SEARCH_SIDE = 128
#: Share of the image's sides that counts as its border, where the background shows.
_BORDER = 0.08
#: Histogram bins for each color channel.
_BINS = 12
#: Room around the figure as a share of its larger side; above the head it is more.
_MARGIN, _HEADROOM = 0.06, 0.10
#: A figure takes at least and at most this share of the image; anything else is not a figure.
_MIN_SHARE, _MAX_SHARE = 0.01, 0.75
#: Rounds of refinement, and how many times as much a color must be the figure's as the background's.
_ROUNDS, _CAUTION = 3, 2.0
#: Least contrast between the figure and the rest, 0 to 1.
_CONTRAST = 0.25
#: Share of the figure that may be outside its box on each side.
_SPECKS = 0.004

CropBox = tuple[int, int, int, int]


def crop_to_figure(image: Tensor, mask: Tensor | None = None) -> Tensor:
    """The square part of an image that shows its figure with some head room; the whole image where none is found.

    A figure that is higher or wider than the image's shorter side is cut: from a standing person the head stays.

    Args:
        image: (height, width, 3) in 0…1.
        mask: (height, width), 1 where the figure is, from an alpha channel or a hand; without one it is looked for.

    Returns:
        A view of the image, (side, side, 3) or the image itself.
    """
    found = find_figure(image) if mask is None else mask
    box = figure_box(found) if found is not None else None
    if box is None:
        return image
    left, top, right, bottom = square_around(box, (image.shape[1], image.shape[0]))
    return image[top:bottom, left:right]


def find_figure(image: Tensor) -> Tensor | None:
    """Find the figure before a background: a mask (height, width) in 0…1, or None where it does not stand out.

    Colors that are frequent in the middle and rare at the border belong to the figure. With ``c`` the image's color
    histogram weighted by a Gaussian around the middle, ``b`` that of the border (all but the lower edge, at which
    people often are cut off): ``w = c / (c + 2b)`` by the color of each pixel, times a wider Gaussian, smoothed. This is
    repeated with the histograms of the found figure and of the rest.

    Args:
        image: (height, width, 3) in 0…1.
    """
    height, width = image.shape[:2]
    scale = _SEARCH_SIDE / max(height, width)
    small_size = (max(8, round(height * scale)), max(8, round(width * scale)))
    planes = image.permute(2, 0, 1)[None].to(torch.float32)
    small = F.interpolate(planes, small_size, mode="bilinear", align_corners=False, antialias=True)
    small = F.avg_pool2d(F.pad(small, (1, 1, 1, 1), mode="replicate"), 3, 1)[0].clamp(0, 1)
    rows, columns = small_size
    bins = (small * _BINS).long().clamp(max=_BINS - 1)
    colors = (bins[0] * _BINS + bins[1]) * _BINS + bins[2]
    y = torch.linspace(-1, 1, rows)[:, None]
    x = torch.linspace(-1, 1, columns)[None, :]
    center = torch.exp(-(x**2 / 0.18 + y**2 / 0.5))
    ring = torch.zeros(rows, columns)
    border = max(1, round(_BORDER * min(rows, columns)))
    ring[:border] = 1
    ring[:, :border] = 1
    ring[:, -border:] = 1
    prior = torch.exp(-(x**2 / 0.8 + y**2 / 2.0))
    inside, outside = center, ring
    for _ in range(_ROUNDS):
        ours, others = _histogram(colors, inside), _histogram(colors, outside)
        weight = (ours / (ours + _CAUTION * others + 1e-6))[colors] * prior
        weight = F.avg_pool2d(F.pad(weight[None, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[0, 0]
        # The found figure is a better sample of its colors than the middle of the image.
        inside, outside = weight**2, ring + (1 - weight) ** 2
    threshold = _otsu(weight)
    figure = weight > threshold
    share = float(figure.float().mean())
    if not _MIN_SHARE <= share <= _MAX_SHARE or float(weight[figure].mean() - weight[~figure].mean()) < _CONTRAST:
        return None
    weight = weight.clamp(0, 1) * figure
    return F.interpolate(weight[None, None], (height, width), mode="bilinear", align_corners=False)[0, 0]


def figure_box(mask: Tensor) -> CropBox | None:
    """Left, top, right and bottom in pixels of what a mask covers, without specks; None where it covers nothing or all.

    Args:
        mask: (height, width) in 0…1.
    """
    covered = (mask > 0.25 * mask.max()).to(torch.float32) if float(mask.max()) > 0 else torch.zeros_like(mask)
    share = float(covered.mean())
    if share == 0 or share > 0.98:
        return None
    sides = []
    for dimension in (0, 1):
        # Without the outermost 0.4 % on each side: single pixels far away do not count as part of the figure.
        profile = covered.sum(dimension).cumsum(0)
        profile = profile / profile[-1]
        first = int((profile <= _SPECKS).sum())
        last = int((profile < 1 - _SPECKS).sum())
        sides.append((first, min(last + 1, covered.shape[1 - dimension])))
    (left, right), (top, bottom) = sides
    return left, top, right, bottom


def square_around(box: CropBox, size: tuple[int, int]) -> CropBox:
    """The square with a margin around a box, moved and shrunk to fit within an image of this width and height."""
    width, height = size
    left, top, right, bottom = box
    larger = max(right - left, bottom - top)
    side = min(round(larger * (1 + 2 * _MARGIN + _HEADROOM)), width, height)
    spare = side - (bottom - top)
    above = spare * (_MARGIN + _HEADROOM) / (2 * _MARGIN + _HEADROOM) if spare > 0 else _HEADROOM * side
    x, y = round((left + right - side) / 2), round(top - above)
    x, y = max(0, min(x, width - side)), max(0, min(y, height - side))
    return x, y, x + side, y + side


def _histogram(colors: Tensor, weights: Tensor) -> Tensor:
    """A smoothed color histogram whose entries add up to 1, flat."""
    counts = torch.zeros(_BINS**3).index_add_(0, colors.flatten(), weights.flatten())
    cube = counts.view(1, 1, _BINS, _BINS, _BINS)
    # Neighboring colors belong together: shading moves a surface from bin to bin.
    smooth = F.avg_pool3d(F.pad(cube, (1,) * 6, mode="replicate"), 3, 1).flatten()
    return smooth / smooth.sum()


def _otsu(values: Tensor) -> float:
    """The threshold that parts values in 0…1 into two groups with the least variance within them (Otsu 1979)."""
    counts = torch.histc(values, 64, 0.0, 1.0)
    levels = (torch.arange(64) + 0.5) / 64
    below = counts.cumsum(0)
    above = below[-1] - below
    sums = (counts * levels).cumsum(0)
    between = below * above * (sums / below.clamp(min=1) - (sums[-1] - sums) / above.clamp(min=1)) ** 2
    return float((between.argmax() + 1) / 64)


def fit_square(image: Tensor, side: int) -> Tensor:
    """An image (height, width, 3) as a whole in the middle of a gray square, (side, side, 3)."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    planes = image.permute(2, 0, 1)[None].to(torch.float32)
    small = F.interpolate(planes, size, mode="bilinear", align_corners=False, antialias=True)[0].permute(1, 2, 0)
    square = torch.full((side, side, 3), 0.5)
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    square[top : top + size[0], left : left + size[1]] = small.clamp(0, 1)
    return square
