"""sRGB to CIE Lab and back."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

#: Linear RGB to XYZ for the primaries and the white (D65) of sRGB, IEC 61966-2-1.
_RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
#: Of the Lab curve: below `_EDGE` it is a line (CIE 15:2004).
_EDGE, _SLOPE, _OFFSET = 216 / 24389, 24389 / 27 / 116, 16 / 116


def srgb_to_lab(rgb: Tensor) -> Tensor:
    """Colors of sRGB as CIE Lab under its own white, D65: L in 0…100, a and b in about -128…128.

    Args:
        rgb: (..., 3), floating point; values outside 0…1 are clipped.
    """
    to_xyz, _ = _matrices(rgb.dtype, rgb.device)
    rgb = rgb.clamp(0, 1)
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ to_xyz
    x, y, z = torch.where(xyz > _EDGE, xyz.clamp(min=_EDGE) ** (1 / 3), xyz * _SLOPE + _OFFSET).unbind(-1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-1)


def lab_to_srgb(lab: Tensor) -> Tensor:
    """The way back, (..., 3); colors that sRGB does not have are cut off at 0 and 1, channel by channel."""
    _, to_rgb = _matrices(lab.dtype, lab.device)
    lightness, a, b = lab.unbind(-1)
    y = (lightness + 16) / 116
    curve = torch.stack((y + a / 500, y, y - b / 200), dim=-1)
    xyz = torch.where(curve > _EDGE ** (1 / 3), curve**3, (curve - _OFFSET) / _SLOPE)
    linear = (xyz @ to_rgb).clamp(0, 1)
    rgb = torch.where(linear <= 0.04045 / 12.92, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb.clamp(0, 1)


@functools.cache
def _matrices(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """To be multiplied from the right: linear RGB to XYZ in shares of the white, and its inverse."""
    matrix = torch.tensor(_RGB_TO_XYZ, dtype=torch.float64)
    # White is exactly (1, 1, 1), so that grays have neither a nor b.
    matrix = matrix / matrix.sum(dim=1, keepdim=True)
    return matrix.T.to(device, dtype), torch.linalg.inv(matrix).T.to(device, dtype)
