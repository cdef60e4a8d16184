"""The ratio mask: where the subject is, guessed from the colors of the image itself."""

from __future__ import annotations

import cv2
import numpy as np

#: Bins of L, a and b for the two histograms of the ratio mask.
_BINS = (6, 16, 16)
#: Range of a and b that the bins span; what is more colorful falls into the last one.
_CHROMA_SPAN = 80.0
#: Width of the border ring as a share of the shorter side. The bottom is left out: people stand on it.
_RING = 0.12
#: Standard deviations of the center prior, as shares of width and height.
_PRIOR = (0.22, 0.32)
#: Weight of the strict reading of the ratio mask against the generous one.
_STRICT = 0.65


def ratio_mask(lab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels have the colors of the middle rather than those of the border. No weights, about 2 ms.

    Each pixel's color is looked up in a histogram of the middle (weighted by a Gaussian) and in one of the border ring;
    the share of the first in their sum, smoothed, times the same Gaussian. Bayes' rule with an even prior, as in the
    center-surround histograms of Liu et al., "Learning to Detect a Salient Object", CVPR 2007, section 3.2.

    A strict reading of the share (only what is rare at the border) has two thirds of the whole weight, however small the
    figure is; the rest goes to a generous one, for subjects that fill the image and reach its border.

    Args:
        lab: float32, shape (height, width, 3), CIELAB.

    Returns:
        The weights, and the generous ones alone; float32, shape (height, width), 0 to 1.
    """
    height, width = lab.shape[:2]
    prior = center_prior(height, width)
    index = _color_bins(lab)
    ring = np.zeros((height, width), np.float32)
    edge = max(1, round(_RING * min(height, width)))
    ring[:edge] = ring[:, :edge] = ring[:, -edge:] = 1
    middle = _smooth_histogram(index, prior)
    border = _smooth_histogram(index, ring)
    share = (middle / (middle + border + 1e-9))[index].reshape(height, width)
    share = cv2.GaussianBlur(share.astype(np.float32), (0, 0), max(0.8, 0.012 * max(height, width)))
    strict = np.clip((share - 0.45) / 0.45, 0, 1) ** 1.5 * prior
    generous = np.clip((share - 0.25) / 0.6, 0, 1)
    values = _STRICT * _normalized(strict, prior) + (1 - _STRICT) * _normalized(generous**2 * prior, prior)
    shown = generous * prior
    return values / float(values.max()), shown / max(1e-6, float(shown.max()))


def _normalized(values: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Normalize to a sum of 1; a fallback where nothing stands out."""
    total = float(values.sum())
    return values / total if total > 1e-3 * float(otherwise.sum()) else otherwise / float(otherwise.sum())


def center_prior(height: int, width: int) -> np.ndarray:
    """A Gaussian around the middle, 1 at its peak: float32, shape (height, width)."""
    x = (np.arange(width, dtype=np.float32) + 0.5) / width - 0.5
    y = (np.arange(height, dtype=np.float32) + 0.5) / height - 0.5
    return np.exp(-0.5 * ((y / _PRIOR[1]) ** 2)[:, None] - 0.5 * ((x / _PRIOR[0]) ** 2)[None, :]).astype(np.float32)


def _color_bins(lab: np.ndarray) -> np.ndarray:
    """The number of each pixel's histogram bin, flat."""
    lightness = np.clip(lab[..., 0] * (_BINS[0] / 100), 0, _BINS[0] - 1).astype(np.int32)
    a, b = (
        np.clip((lab[..., channel] + _CHROMA_SPAN) * (_BINS[channel] / (2 * _CHROMA_SPAN)), 0, _BINS[channel] - 1)
        for channel in (1, 2)
    )
    return ((lightness * _BINS[1] + a.astype(np.int32)) * _BINS[2] + b.astype(np.int32)).ravel()


def _smooth_histogram(index: np.ndarray, weights: np.ndarray) -> np.ndarray:
    counts = np.bincount(index, weights.ravel(), minlength=_BINS[0] * _BINS[1] * _BINS[2]).astype(np.float32)
    planes = counts.reshape(_BINS) / max(1e-9, float(counts.sum()))
    blurred = np.stack([cv2.GaussianBlur(plane, (3, 3), 0.7) for plane in planes])
    blurred[1:] += 0.4 * blurred[:-1]
    blurred[:-1] += 0.4 * blurred[1:]
    return (blurred / blurred.sum()).ravel()
