"""A moving camera over an image: parts of it, at fractions of pixels, in the size of the whole."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..core.segment.camera_path import View

#: Of the cubic kernel (Keys 1981): with -1/2 it reproduces parabolas.
_SHARPNESS = -0.5
_REACH = 2.0


def look_at(image: Tensor, view: View, dims: tuple[int, int] = (-2, -1)) -> Tensor:
    """The part of an image that a view shows, in the image's own size.

    Each direction by itself with a cubic kernel, which is widened when the part is larger than the image, so that
    nothing aliases. Beyond its edges the image is mirrored: there are no black borders. A view of all of it returns the
    image itself.

    Not for noise: mixing neighbors makes their variance smaller and correlates them.

    Args:
        image: (…, height, width, …), floating point; half precision is computed in float32.
        dims: which dimensions are height and width.
    """
    result = image
    for dim, start, size in ((dims[0], view.top, view.height), (dims[1], view.left, view.width)):
        if (start, size) != (0.0, 1.0):
            result = _resample(result, dim, start, size)
    return result


def _resample(image: Tensor, dim: int, start: float, size: float) -> Tensor:
    count = image.shape[dim]
    indices, weights = _taps(count, start, size)
    # Half precision would lose the sixth bit of eight with every sum.
    source = image.float() if image.dtype in (torch.float16, torch.bfloat16) else image
    shape = [1] * source.ndim
    shape[dim] = count
    result: Tensor | None = None
    for index, weight in zip(indices.to(source.device), weights.to(source), strict=True):
        part = source.index_select(dim, index)
        weight = weight.view(shape)
        result = part.mul_(weight) if result is None else result.addcmul_(part, weight)
    assert result is not None
    return result.to(image.dtype)


def _taps(count: int, start: float, size: float) -> tuple[Tensor, Tensor]:
    """The source pixels of each pixel of the result, and their weights: (taps, count) both, float64 weights.

    Args:
        start, size: of the view, in shares of the image.
    """
    centers = (start + (torch.arange(count, dtype=torch.float64) + 0.5) / count * size) * count - 0.5
    scale = max(1.0, size)
    reach = _REACH * scale
    taps = math.ceil(2 * reach) + 1
    first = torch.ceil(centers - reach)
    positions = first + torch.arange(taps, dtype=torch.float64)[:, None]
    weights = _cubic((positions - centers) / scale)
    weights /= weights.sum(dim=0)
    # Mirrored at the edges of the outermost pixels: …, 1, 0 | 0, 1, 2, …, n-1 | n-1, n-2, …
    folded = positions.long() % (2 * count)
    indices = torch.where(folded < count, folded, 2 * count - 1 - folded)
    used = weights.abs().amax(dim=1) > 0
    return indices[used], weights[used]


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    a = _SHARPNESS
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return torch.where(x <= 1, inner, torch.where(x < _REACH, outer, torch.zeros_like(x)))
