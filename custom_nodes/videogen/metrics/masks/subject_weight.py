"""Where the subject is: from a mask, a segmentation network, a region, or the colors of the image itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..images import PreparedImage, prepare_mask
from .ratio_mask import ratio_mask

#: A weight map whose mean is below this has no subject in it.
EMPTY = 1e-3
#: Share of the frame below which a network's mask shows no subject: a few stray pixels, or somebody far away.
MIN_FOUND = 0.015
#: Sources that are guesses from the image's own colors: the place may be measured along with the subject.
GUESSED = ("ratio",)
#: Sources that a segmentation network would have taken the place of.
FOUND_BY_COLOR = ("ratio", "region")

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class SubjectWeight:
    """How much each pixel belongs to the subject.

    Attributes:
        values: float32, shape (height, width) of the image, 0 to 1.
        shown: the same for showing the subject on gray, 0 to 1: more generous where the subject is only guessed at, because a
            network needs to see the whole of it.
        source: ``mask``, ``alpha``, ``network`` (within the region where there is one), ``region`` (a ratio mask within it),
            ``ratio`` or ``location`` (all that is not a subject).
    """

    values: np.ndarray
    shown: np.ndarray
    source: str

    @property
    def is_guessed(self) -> bool:
        return self.source in GUESSED

    @property
    def is_empty(self) -> bool:
        return bool(self.values.mean() < EMPTY)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in pixels around what weighs at least a quarter of the most."""
        rows, columns = np.nonzero(self.values >= 0.25 * self.values.max())
        return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def weigh_subject(
    image: PreparedImage,
    mask: np.ndarray | None = None,
    region: Box | None = None,
    found: np.ndarray | None = None,
) -> SubjectWeight:
    """The subject's weight: `mask` before the image's own alpha, before `found`, before `region`, before the ratio mask.

    Args:
        mask: any size, 0 to 1 (or 0 to 255 for integers).
        region: (x, y, width, height) in 0…1; the subject is looked for within.
        found: all people that a segmentation network finds, (height, width) of any size, 0 to 1.
    """
    shape = image.rgb.shape[:2]
    if mask is not None:
        values = prepare_mask(mask, (shape[0], shape[1]))
        return SubjectWeight(values, values, "mask")
    if image.alpha is not None and image.alpha.min() < 0.5 < image.alpha.max():
        return SubjectWeight(image.alpha, image.alpha, "alpha")
    inside = None if region is None else _to_pixels(region, (shape[0], shape[1]))
    if found is not None:
        values = prepare_mask(found, (shape[0], shape[1]))
        if inside is not None:
            alone = np.zeros_like(values)
            alone[inside] = values[inside]
            values = alone
        if float(values.mean()) >= MIN_FOUND:
            return SubjectWeight(values, values, "network")
    if inside is None:
        return SubjectWeight(*ratio_mask(image.lab), "ratio")
    values, shown = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    values[inside], shown[inside] = ratio_mask(image.lab[inside])
    return SubjectWeight(values, shown, "region")


def _to_pixels(region: Box, shape: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of a region; at least one pixel."""
    left, top = round(region[0] * shape[1]), round(region[1] * shape[0])
    right, bottom = round((region[0] + region[2]) * shape[1]), round((region[1] + region[3]) * shape[0])
    left, top = min(max(0, left), shape[1] - 1), min(max(0, top), shape[0] - 1)
    right, bottom = min(max(left + 1, right), shape[1]), min(max(top + 1, bottom), shape[0])
    return slice(top, bottom), slice(left, right)


def weigh_location(shape: tuple[int, int], subjects: Sequence[SubjectWeight]) -> SubjectWeight:
    """All that is not a subject: the inverse of their masks. Where a subject is only guessed at, it takes twice its weight."""
    values = np.ones(shape, np.float32)
    for subject in subjects:
        strength = 1.0 if subject.source in ("mask", "alpha", "network") else 2.0
        values = np.minimum(values, 1 - np.minimum(1, strength * subject.values))
    return SubjectWeight(values, values, "location")
