"""Color and exposure of frames matched to those of a reference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .color_space import lab_to_srgb, srgb_to_lab

#: Added to all variances, in squared units of Lab: a flat image is not stretched to the reference's spread.
_FLAT = 1e-3
#: An image whose weights are at most this share of its pixels shows nothing.
_SHARE = 1e-6


@dataclass(frozen=True)
class Method:
    """How colors are mapped.

    Attributes:
        together: L, a and b are mapped together, with their covariances; otherwise each by itself.
        max_gain: contrast changes at most by this factor, up or down.
        max_shift: L, a and b move at most by so much.
    """

    together: bool
    max_gain: float
    max_shift: float = math.inf


METHODS: dict[str, Method] = {
    "clamped": Method(together=False, max_gain=1.25, max_shift=12.0),
    "mean and spread": Method(together=False, max_gain=4.0),
    "covariance": Method(together=True, max_gain=4.0),
}


@dataclass(frozen=True)
class ColorStats:
    """The colors of an image in Lab: mean (3,) and covariance (3, 3), float64."""

    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class ColorMap:
    """``lab -> matrix · lab + offset``, float64, (3, 3) and (3,)."""

    matrix: Tensor
    offset: Tensor


def measure_colors(lab: Tensor, weights: Tensor | None = None) -> ColorStats | None:
    """Mean and covariance of an image's colors.

    Args:
        lab: (height, width, 3).
        weights: (height, width), weight of each pixel; None: equal.

    Returns:
        None when no pixel counts.
    """
    pixels = lab.reshape(-1, 3)
    shares = None if weights is None else weights.reshape(-1, 1).to(pixels)
    total = float(len(pixels)) if shares is None else shares.sum().item()
    if total <= _SHARE * len(pixels):
        return None
    # Around a value nearby: sums of squares far from zero would lose the digits that the variance is made of.
    around = pixels.mean(dim=0)
    centered = pixels - around
    weighted = centered if shares is None else centered * shares
    # Not every device has float64; what is left to do is small.
    mean = weighted.sum(dim=0).cpu().double() / total
    second = (weighted.T @ centered).cpu().double() / total
    return ColorStats(around.cpu().double() + mean, second - mean[:, None] * mean[None, :])


def average_stats(stats: Iterable[ColorStats]) -> ColorStats:
    """The average frame: means and covariances of several frames, averaged."""
    every = list(stats)
    return ColorStats(
        torch.stack([one.mean for one in every]).mean(dim=0),
        torch.stack([one.covariance for one in every]).mean(dim=0),
    )


def fit_color_map(frame: ColorStats, reference: ColorStats, method: Method, strength: float = 1.0) -> ColorMap:
    """The map from a frame's colors to the reference's.

    Each by itself: Reinhard et al. 2001, "Color transfer between images", in Lab: mean and standard deviation. Together: the
    linear map of Monge and Kantorovich (Pitié and Kokaram 2007), which moves one normal distribution onto another with the
    least movement, ``T = F^-1/2 (F^1/2 R F^1/2)^1/2 F^-1/2`` with the covariances F and R; it undoes any cast that is a
    symmetric, positive map of Lab. `max_gain` bounds the factors (of T, its eigenvalues), `max_shift` the way of the mean.

    Args:
        strength: how far colors move on the straight line to their target: ``(1 - strength) · lab + strength · map(lab)``.
    """
    flat = _FLAT * torch.eye(3, dtype=torch.float64)
    before, after = frame.covariance + flat, reference.covariance + flat
    if method.together:
        root = _power(before, 0.5)
        back = _power(before, -0.5)
        matrix = back @ _power(root @ after @ root, 0.5) @ back
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        matrix = vectors * values.clamp(1 / method.max_gain, method.max_gain) @ vectors.T
    else:
        gains = (after.diagonal() / before.diagonal()).sqrt().clamp(1 / method.max_gain, method.max_gain)
        matrix = torch.diag(gains)
    shift = (reference.mean - frame.mean).clamp(-method.max_shift, method.max_shift)
    identity = torch.eye(3, dtype=torch.float64)
    offset = frame.mean + shift - matrix @ frame.mean
    return ColorMap(identity + strength * (matrix - identity), strength * offset)


def map_colors(lab: Tensor, colors: ColorMap) -> Tensor:
    """The image with other colors; (..., 3) in Lab, of the same type."""
    return lab @ colors.matrix.T.to(lab) + colors.offset.to(lab)


def read_lab(image: Tensor, device: torch.device | None = None) -> tuple[Tensor, Tensor | None]:
    """An image as Lab and its alpha, both float32: (height, width, 3), and (height, width) or None.

    Args:
        image: (height, width, channels) with 1 (gray), 3 or 4 channels (alpha), 0…1.
        device: of the result; None is the image's.
    """
    image = image.to(device=device or image.device, dtype=torch.float32)
    rgb = image.expand(-1, -1, 3) if image.shape[-1] == 1 else image[..., :3]
    return srgb_to_lab(rgb), image[..., 3] if image.shape[-1] == 4 else None


def match_colors(
    images: Tensor,
    reference: ColorStats,
    method: Method,
    strength: float,
    masks: Tensor | None = None,
    first: int = 1,
    device: torch.device | None = None,
) -> Iterator[Tensor]:
    """Frames with the reference's colors, one after the other, each like its original in shape and type.

    A gray frame keeps its grays: only its lightness is matched. Alpha stays as it is, and what is transparent is not measured;
    a frame that is transparent everywhere has no colors to match and stays as it is.

    Args:
        images: (frames, height, width, 1, 3 or 4), 0…1.
        masks: (1 or frames, height, width): where colors are measured. The whole frame is mapped.
        first: the number of the first of them, for messages.
        device: for the work and the result; None is the images'.

    Raises:
        ValueError: when a mask leaves a frame no visible pixel to measure.
    """
    for index, image in enumerate(images):
        lab, alpha = read_lab(image, device)
        if not is_visible(alpha):
            yield image.to(lab.device)
            continue
        stats = measure_colors(lab, join_weights(masks, alpha, index))
        if stats is None:
            raise ValueError(f"frame {index + first} has no pixel to measure")
        colors = fit_color_map(stats, reference, method, strength)
        if image.shape[-1] == 1:
            lightness = fit_color_map(_only_lightness(stats), _only_lightness(reference), method, strength)
            colors = ColorMap(lightness.matrix, lightness.offset * torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
        matched = lab_to_srgb(map_colors(lab, colors))
        parts = [matched[..., :1] if image.shape[-1] == 1 else matched]
        if alpha is not None:
            parts.append(alpha[..., None])
        yield torch.cat(parts, dim=-1).to(image.dtype)


def is_visible(alpha: Tensor | None) -> bool:
    """Whether a frame shows anything: `measure_colors` has pixels to measure in it."""
    return alpha is None or alpha.sum().item() > _SHARE * alpha.numel()


def join_weights(masks: Tensor | None, alpha: Tensor | None, index: int) -> Tensor | None:
    """How much each pixel of a frame counts: its mask times its alpha, (height, width), or None when all count the same."""
    mask = None if masks is None else masks[index if len(masks) > 1 else 0]
    if mask is None or alpha is None:
        return mask if alpha is None else alpha
    return mask.to(alpha) * alpha


def _only_lightness(stats: ColorStats) -> ColorStats:
    keep = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    return ColorStats(stats.mean * keep, stats.covariance * torch.diag(keep))


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Of a symmetric, positive matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=1e-12) ** exponent @ vectors.T
