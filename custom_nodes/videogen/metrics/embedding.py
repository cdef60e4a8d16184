"""The images of subjects that a network embeds."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .images import PreparedImage
from .masks.subject_weight import SubjectWeight

#: Images, uint8 of shape (n, side, side, 3), to vectors of shape (n, length): any image network.
Embed = Callable[[np.ndarray], np.ndarray]

#: Side in pixels of a network's input images, which it resizes itself.
EMBED_SIDE = 256
#: The background around a subject: the middle of the sRGB range.
GRAY = 0.5


def subject_on_gray(image: PreparedImage, weight: SubjectWeight) -> np.ndarray:
    """Cut out the subject, on gray, filling a square: uint8, shape (EMBED_SIDE, EMBED_SIDE, 3).

    Nothing is cut off at the sides, as a center crop of a 16:9 frame would.
    """
    height, width = image.rgb.shape[:2]
    rows, columns = weight.values.shape
    left, top, right, bottom = weight.box
    side = round(1.1 * max((right - left) * width / columns, (bottom - top) * height / rows, 8))
    center_x, center_y = (left + right) / 2 * width / columns, (top + bottom) / 2 * height / rows
    shown: np.ndarray = weight.shown / max(1e-6, float(weight.shown.max()))
    shown = cv2.resize(shown, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    alone: np.ndarray = image.rgb * shown + GRAY * (1 - shown)
    scale = EMBED_SIDE / side
    place = np.array(
        [[scale, 0, EMBED_SIDE / 2 - center_x * scale], [0, scale, EMBED_SIDE / 2 - center_y * scale]], np.float32
    )
    # warpAffine takes single pixels: before it makes smaller, the image is averaged.
    if scale < 1:
        alone = cv2.GaussianBlur(alone, (0, 0), 0.5 / scale)
    square = cv2.warpAffine(
        alone,
        place,
        (EMBED_SIDE, EMBED_SIDE),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(GRAY, GRAY, GRAY),
    )
    return np.rint(square * 255).astype(np.uint8)
