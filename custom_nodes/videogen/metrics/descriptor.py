"""Descriptors of a subject: its colors and its texture, weighted by where it is."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from .images import PreparedImage

#: Bins of lightness and of a and b.
COLOR_BINS = (12, 32, 32)
CHROMA_BINS = COLOR_BINS[1]
#: The blur in bins with which two histograms of chroma are compared.
_CHROMA_BLUR = 0.8
#: Mean transport (in half widths of the companded plane) at which a chroma similarity has fallen to 1/e by it alone.
_TRANSPORT = 2.0
_DIRECTIONS = 8
#: a and b are companded before they are binned: near gray, where most colors of real footage are, a small difference
#: counts as much as a large one between vivid colors. This is the chroma up to which the bins are nearly even.
_COMPAND = 6.0
_CHROMA_SPAN = 96.0
#: Radii of the local binary patterns in pixels; what differs by less lightness (L) than the tolerance is grain.
LBP_RADII = (1, 2, 4)
_LBP_TOLERANCE = 1.5
_LBP_LABELS = 10
#: Steps of lightness within a pattern's circle that part faint from strong texture.
_CONTRAST_EDGES = (1.5, 4.0, 9.0)
#: Weight of texture against color in the classical embedding.
_TEXTURE_SHARE = 0.15


def count_colors(image: PreparedImage, weight: np.ndarray) -> np.ndarray:
    """How much of the subject has which lightness and chroma: float32, COLOR_BINS over L, a and b, sums to 1."""
    levels, across, _ = COLOR_BINS
    level = np.clip(image.lab[..., 0] * (levels / 100), 0, levels - 1).astype(np.int32)
    chroma = _bin(_compand(image.lab[..., 1:]), across)
    index = (level * across + chroma[..., 0]) * across + chroma[..., 1]
    counts = np.bincount(index.ravel(), weight.ravel(), minlength=levels * across * across)
    return (counts / max(1e-9, float(counts.sum()))).reshape(COLOR_BINS).astype(np.float32)


def chroma_histogram(colors: np.ndarray) -> np.ndarray:
    """The subject's colors without their lightness, out of `count_colors`: (CHROMA_BINS, CHROMA_BINS) over a and b."""
    return colors.sum(axis=0)


def compare_chroma(first: np.ndarray, second: np.ndarray) -> float:
    """How alike two chroma histograms are, 0 to 1: their intersection, times exp(-transport / 2).

    The intersection (Swain and Ballard, IJCV 7(1), 1991) tells colors apart, but is the same for all that share no bin. The
    transport, how far colors have to be moved for one histogram to become the other, continues from there (sliced
    Wasserstein-1 distance; Bonneel et al., Journal of Mathematical Imaging and Vision 51, 2015).
    """
    one, other = (
        cv2.GaussianBlur(each, (0, 0), _CHROMA_BLUR, borderType=cv2.BORDER_REPLICATE) for each in (first, second)
    )
    overlap = float(np.minimum(one, other).sum()) / max(1e-9, float(one.sum() + other.sum()) / 2)
    return float(np.clip(overlap * np.exp(-_transport(first, second) / _TRANSPORT), 0, 1))


def _transport(first: np.ndarray, second: np.ndarray) -> float:
    """The mean, over several directions, of the distance between two histograms along it."""
    order, gaps = _slices()
    moved = np.cumsum((first - second).ravel()[order], axis=1)[:, :-1]
    return float((np.abs(moved) * gaps).sum() / _DIRECTIONS)


@lru_cache(maxsize=1)
def _slices() -> tuple[np.ndarray, np.ndarray]:
    """For each direction: the bins in their order along it, and the gaps between them."""
    place = (np.arange(CHROMA_BINS) + 0.5) / CHROMA_BINS * 2 - 1
    turns = np.arange(_DIRECTIONS)[:, None, None] * (np.pi / _DIRECTIONS)
    along = (place[None, :, None] * np.cos(turns) + place[None, None, :] * np.sin(turns)).reshape(_DIRECTIONS, -1)
    order = np.argsort(along, axis=1)
    return order, np.diff(np.take_along_axis(along, order, axis=1), axis=1)


def classical_embedding(image: PreparedImage, weight: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Color and texture as one histogram that sums to 1, for use where there is no network: float32.

    The texture is that of Ojala, Pietikäinen and Mäenpää, PAMI 24(7), 2002: local binary patterns, rotation invariant and
    uniform, which makes them blind to a mirrored image too; here with a tolerance, which makes them blind to grain.

    Args:
        colors: of `count_colors`.
    """
    parts = [(1 - _TEXTURE_SHARE, _smooth_colors(colors))]
    parts += [(_TEXTURE_SHARE / len(LBP_RADII), pattern) for pattern in texture_histograms(image, weight)]
    return np.concatenate([part.ravel() * (share / max(1e-9, float(part.sum()))) for share, part in parts])


def compare_classical(first: np.ndarray, second: np.ndarray) -> float:
    """How alike two classical embeddings are, 0 to 1: the intersection of the histograms."""
    return float(np.minimum(first, second).sum())


def texture_histograms(image: PreparedImage, weight: np.ndarray) -> list[np.ndarray]:
    """For each radius a histogram over (pattern, contrast): float32, (10 * 4,)."""
    lightness = np.ascontiguousarray(image.lab[..., 0])
    classes = len(_CONTRAST_EDGES) + 1
    result = []
    for radius in LBP_RADII:
        labels = _patterns(cv2.GaussianBlur(lightness, (0, 0), 0.5 * radius), radius)
        counts = np.bincount(labels.ravel(), weight.ravel(), minlength=_LBP_LABELS * classes)
        result.append(counts.astype(np.float32))
    return result


def _compand(values: np.ndarray) -> np.ndarray:
    """a and b from -1 to 1, wide open near 0."""
    return np.sign(values) * np.log1p(np.abs(values) * (1 / _COMPAND)) * (1 / np.log1p(_CHROMA_SPAN / _COMPAND))


def _bin(values: np.ndarray, bins: int) -> np.ndarray:
    return np.clip((values + 1) * (bins / 2), 0, bins - 1).astype(np.int32)


def _smooth_colors(colors: np.ndarray) -> np.ndarray:
    """The counts, smoothed along all three axes: a color on the edge of a bin counts in both."""
    levels, across, _ = COLOR_BINS
    planes = cv2.GaussianBlur(colors.reshape(levels, across * across), (1, 5), 0.8)
    return np.stack([cv2.GaussianBlur(plane.reshape(across, across), (0, 0), 0.9) for plane in planes])


def _patterns(values: np.ndarray, radius: int) -> np.ndarray:
    """For each pixel its uniform pattern (0 to 8, 9 for all others) times 4, plus the contrast class (0 to 3)."""
    height, width = values.shape
    near = round(radius * 0.7071)
    around = [
        (0, radius),
        (near, near),
        (radius, 0),
        (near, -near),
        (0, -radius),
        (-near, -near),
        (-radius, 0),
        (-near, near),
    ]
    padded = cv2.copyMakeBorder(values, radius, radius, radius, radius, cv2.BORDER_REFLECT_101)
    code = np.zeros((height, width), np.uint8)
    level = values + _LBP_TOLERANCE
    low, high = values, values
    for bit, (dy, dx) in enumerate(around):
        other = padded[radius + dy : radius + dy + height, radius + dx : radius + dx + width]
        # 255 where it is brighter by more than the tolerance: one bit of it is kept.
        code |= cv2.compare(other, level, cv2.CMP_GE) & np.uint8(1 << bit)
        low, high = cv2.min(low, other), cv2.max(high, other)
    step = high - low
    contrast = sum((step >= edge).astype(np.uint8) for edge in _CONTRAST_EDGES)
    return cv2.LUT(code, _UNIFORM) * np.uint8(len(_CONTRAST_EDGES) + 1) + contrast


def _uniform_table() -> np.ndarray:
    table = np.full(256, _LBP_LABELS - 1, np.uint8)
    for code in range(256):
        bits = [(code >> bit) & 1 for bit in range(8)]
        if sum(bits[bit] != bits[bit - 1] for bit in range(8)) <= 2:
            table[code] = sum(bits)
    return table


_UNIFORM = _uniform_table()
