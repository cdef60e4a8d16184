"""The light of a place: how warm, how bright, and how far from that of another shot."""

from __future__ import annotations

import cv2
import numpy as np

from .images import PreparedImage

#: How near to gray a pixel must be for its color to tell the light's: CIELAB chroma, and a alone, for light is blue or
#: yellow, but neither green nor pink; and how bright (L).
_NEAR_GRAY, _NEAR_GRAY_A = 24.0, 10.0
_LIGHTNESS = (25.0, 95.0)
#: The least share of the area that must be near gray for an estimate.
_MIN_GRAY = 0.03
#: Linear sRGB to CIE XYZ, D65 (IEC 61966-2-1).
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def mean_lab(image: PreparedImage, weight: np.ndarray) -> tuple[float, float, float] | None:
    """Weighted mean of L, a and b; None where nothing weighs anything."""
    total = float(weight.sum())
    if total < 1e-3 * weight.size:
        return None
    lightness, a, b = (float((image.lab[..., channel] * weight).sum()) / total for channel in range(3))
    return lightness, a, b


def color_step(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """ΔE of two CIELAB colors (CIE 1976: the distance)."""
    return float(np.linalg.norm(np.subtract(first, second)))


def median_lightness(image: PreparedImage, weight: np.ndarray) -> float | None:
    """The lightness L that half of the weighed area is below; None where nothing weighs anything."""
    counts = np.bincount(np.clip(image.lab[..., 0], 0, 100).astype(int).ravel(), weight.ravel(), 101)
    return float(np.searchsorted(np.cumsum(counts), counts.sum() / 2)) if counts.sum() > 1e-3 * weight.size else None


def estimate_kelvin(image: PreparedImage, weight: np.ndarray) -> float | None:
    """The correlated color temperature that near-gray surfaces show, 1500 to 25000 K; None where there are too few.

    Their mean color, as chromaticity, by McCamy's formula (Color Research & Application 17(2), 1992). An image balanced
    for its light shows 6500 K; what is measured is how warm the image looks, not which lamp lit it.
    """
    lab = image.lab
    near = (np.hypot(lab[..., 1], lab[..., 2]) <= _NEAR_GRAY) & (np.abs(lab[..., 1]) <= _NEAR_GRAY_A)
    mass = weight * near * (lab[..., 0] >= _LIGHTNESS[0]) * (lab[..., 0] <= _LIGHTNESS[1])
    if float(mass.sum()) < _MIN_GRAY * max(1e-6, float(weight.sum())):
        return None
    mean = (image.rgb * mass[..., None]).sum(axis=(0, 1)) / mass.sum()
    linear = np.where(mean <= 0.04045, mean / 12.92, ((mean + 0.055) / 1.055) ** 2.4)
    x, y, z = _TO_XYZ @ linear
    total = x + y + z
    denominator = 0.1858 - y / total
    if abs(denominator) < 1e-4:
        return None
    n = (x / total - 0.3320) / denominator
    return float(np.clip(449.0 * n**3 + 3525.0 * n**2 + 6823.3 * n + 5520.33, 1500, 25000))


def sharpness(image: PreparedImage) -> float:
    """Mean square of the Laplacian over the variance of the image: falls with blur, does not with darkness."""
    gray = image.gray
    return float(np.square(cv2.Laplacian(gray, cv2.CV_32F)).mean() / (float(gray.var()) + 1e-4))
