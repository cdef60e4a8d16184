"""Frames of any kind as small images to measure in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..core.errors import VideoGenError

#: Longest side in pixels of the image that colors and textures are measured in: quick, and grain averages out.
MEASURE_SIDE = 256
#: Longest side for optical flow and for the input of an embedding.
FLOW_SIDE = 512
#: Mean chroma (CIELAB) below which an image has no color to compare.
GRAY_CHROMA = 1.5


@dataclass(frozen=True)
class PreparedImage:
    """A frame made small.

    Attributes:
        rgb: float32, shape (height, width, 3), 0 to 1, sRGB.
        alpha: float32, shape (height, width), 0 to 1, or None where the frame had none.
        size: width and height of the frame that it was made of, in pixels.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None
    size: tuple[int, int]

    @cached_property
    def lab(self) -> np.ndarray:
        """CIELAB (D65): float32, L 0 to 100, a and b about -100 to 100."""
        return cv2.cvtColor(self.rgb, cv2.COLOR_RGB2Lab)

    @cached_property
    def gray(self) -> np.ndarray:
        """Luma (BT.601, as OpenCV has it): float32, shape (height, width), 0 to 1."""
        return cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)

    @cached_property
    def is_gray(self) -> bool:
        """Whether there is no color in it (a grayscale frame that travels as RGB)."""
        return bool(np.hypot(self.lab[..., 1], self.lab[..., 2]).mean() < GRAY_CHROMA)

    def shrink(self, side: int) -> PreparedImage:
        """The same image, its longest side at most `side` pixels."""
        if max(self.rgb.shape[:2]) <= side:
            return self
        alpha = None if self.alpha is None else shrink_array(self.alpha, side)
        return PreparedImage(shrink_array(self.rgb, side), alpha, self.size)


def prepare_image(frame: np.ndarray, side: int = MEASURE_SIDE) -> PreparedImage | None:
    """A frame as a small image, or None when it has values that are not numbers (NaN, infinity).

    Args:
        frame: (height, width), (height, width, 1), RGB or RGBA; uint8, uint16, or float from 0 to 1.
        side: longest side in pixels of the result; smaller frames stay as they are.

    Raises:
        VideoGenError: `frames-invalid`, for another shape or for floats in another range.
    """
    array = np.asarray(frame)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise VideoGenError(
            "frames-invalid",
            f"a frame has shape {np.shape(frame)}, expected (height, width) with 1, 3 or 4 channels",
        )
    if array.dtype not in (np.uint8, np.uint16, np.float32):
        array = array.astype(np.float32)
    # A sum is a number only when all of its terms are, and adding up is the quickest way to look at each of them.
    if array.dtype == np.float32 and not np.isfinite(array.sum(dtype=np.float32)):
        return None
    size = (array.shape[1], array.shape[0])
    small = shrink_array(array, side)
    small = small[..., None] if small.ndim == 2 else small
    values = small.astype(np.float32) * _UNIT.get(small.dtype, 1.0)
    if values.max() > 2 or values.min() < -1:
        raise VideoGenError(
            "frames-invalid",
            f"a frame of floats has values from {values.min():.3g} to {values.max():.3g}, expected 0 to 1",
            "Divide by 255, or give bytes.",
        )
    values = np.clip(values, 0, 1)
    alpha = np.ascontiguousarray(values[..., 3]) if values.shape[2] == 4 else None
    rgb = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else np.ascontiguousarray(values[..., :3])
    return PreparedImage(rgb, alpha, size)


#: Divisor that scales a type's values to 0…1.
_UNIT = {np.dtype(np.uint8): np.float32(1 / 255), np.dtype(np.uint16): np.float32(1 / 65535)}


def shrink_array(array: np.ndarray, side: int) -> np.ndarray:
    """An image averaged down until its longest side is `side` pixels; as it is when it is smaller."""
    height, width = array.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return array
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    array = np.ascontiguousarray(array)
    # OpenCV averages over whole pixels many times faster than over parts of them: as far as possible by whole factors
    # (bytes by 2, for which it has its fastest code), at the cost of at most a few pixels at the right and lower edge.
    step = 2 if array.dtype == np.uint8 else int(1 / scale)
    while step > 1 and min(array.shape[:2]) >= step and max(array.shape[:2]) >= side * step:
        rows, columns = array.shape[0] // step, array.shape[1] // step
        array = cv2.resize(
            np.ascontiguousarray(array[: rows * step, : columns * step]), (columns, rows), interpolation=cv2.INTER_AREA
        )
    return cv2.resize(array, target, interpolation=cv2.INTER_AREA)


def prepare_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask as float32 from 0 to 1 in the shape (height, width) of an image; NaN counts as nothing.

    Raises:
        VideoGenError: `frames-invalid`.
    """
    array = np.asarray(mask)
    if array.ndim == 3 and array.shape[0] == 1:  # a batch of one
        array = array[0]
    if array.ndim == 3 and array.shape[2] in (1, 3, 4):  # a mask saved as an image: its brightness
        array = array[..., :3].mean(axis=2, dtype=np.float32).astype(array.dtype)
    if array.ndim != 2 or 0 in array.shape:
        raise VideoGenError("frames-invalid", f"a mask has shape {np.shape(mask)}, expected (height, width)")
    values = array.astype(np.float32) * _UNIT.get(array.dtype, 1.0)
    return cv2.resize(np.clip(np.nan_to_num(values), 0, 1), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
