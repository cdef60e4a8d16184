"""Converts decoded frames, whatever their colors, to RGB and to the colors of films."""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ..core.errors import VideoGenError
from ..core.video.color import (
    BT709,
    FULL,
    HLG,
    LIMITED,
    MATRICES,
    PQ,
    PRIMARIES,
    UNSPECIFIED,
    Colors,
    ColorTags,
    read_colors,
)
from .foreign.display import UPRIGHT, Orientation, read_orientation, shown_size

#: swscale's flags. Without the last three its chroma is coarse, and rounded down.
_LANCZOS, _AREA, _BICUBIC, _EXACT = 0x200, 0x20, 4, 0x40000 | 0x2000 | 0x4000
#: Luminance of white in an HDR video's graphics and skin, in cd/m² (ITU-R BT.2408); it becomes the screen's white.
_REFERENCE_WHITE = 203.0
#: Below this share of white, levels of HDR stay as they are; brighter ones are compressed into what is left.
_KNEE = 0.75
#: Pixels whose light is computed at a time: each takes 60 bytes meanwhile. A frame of 1080p is done at once.
_BAND_PIXELS = 2_100_000
#: RGB images of an ordinary screen.
_SCREEN = Colors(BT709, BT709, BT709, True, False)
#: Of the screen that films are graded on (ITU-R BT.1886).
_GAMMA = 2.4


def colors_of(source: av.VideoFrame | av.VideoCodecContext, name: str) -> Colors:
    """How the frames of a video, or one of them, are to be read.

    Args:
        name: the file, for messages.

    Raises:
        VideoGenError: `media-broken`, for a kind of color that cannot be converted.
    """
    pixel_format = source.format.name if source.format is not None else ""
    tags = ColorTags(
        int(source.colorspace), int(source.color_primaries), int(source.color_trc), int(source.color_range)
    )
    try:
        return read_colors(tags, (source.width, source.height), pixel_format)
    except ValueError as error:
        raise VideoGenError("media-broken", f"{name}: {error}", "Convert it to BT.709 with another program.") from None


def to_rgb(
    frame: av.VideoFrame, name: str, size: tuple[int, int] | None = None, aspect: Fraction = Fraction(1)
) -> NDArray[np.uint8]:
    """A frame as it is shown, in RGB in the colors of an ordinary screen (sRGB primaries): uint8, shape (height, width, 3).

    Args:
        name: the file, for messages.
        size: width and height of the result, averaged; None: the frame's own.
        aspect: of the stream's pixels (`pixel_aspect`); the result's are square.

    Raises:
        VideoGenError: see `colors_of`.
    """
    colors, orientation = colors_of(frame, name), read_orientation(frame)
    width, height = _before(orientation, size or shown_size(frame, aspect))
    if colors.needs_management:
        rgb = _manage(frame, colors)
        if (width, height) == (frame.width, frame.height):
            return orientation.turn(rgb)
        frame, colors = av.VideoFrame.from_ndarray(rgb, format="rgb24"), _SCREEN
    filters = (_AREA if size else _BICUBIC) | _EXACT
    image = np.asarray(_reformat(frame, colors, "rgb24", width, height, filters).to_ndarray(), np.uint8)
    return orientation.turn(image)


def to_film_yuv(frame: av.VideoFrame, name: str, width: int, height: int) -> NDArray[np.uint8]:
    """A frame as it is shown, as films have it: yuv420p in BT.709 and limited range, uint8, shape (height * 3 / 2, width).

    Args:
        name: the file, for messages.
        width, height: of the result, in pixels; both even.

    Raises:
        VideoGenError: see `colors_of`.
    """
    colors, orientation = colors_of(frame, name), read_orientation(frame)
    width, height = _before(orientation, (width, height))
    if colors.fits_film and frame.format.name == "yuv420p" and (frame.width, frame.height) == (width, height):
        image = np.asarray(frame.to_ndarray(), np.uint8)
    else:
        if colors.needs_management:
            frame, colors = av.VideoFrame.from_ndarray(_manage(frame, colors), format="rgb24"), _SCREEN
        image = np.asarray(_reformat(frame, colors, "yuv420p", width, height, _LANCZOS | _EXACT).to_ndarray(), np.uint8)
    return image if orientation == UPRIGHT else _turn_yuv(image, width, height, orientation)


def _before(orientation: Orientation, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height before a frame is turned."""
    return (size[1], size[0]) if orientation.transposed else size


def _turn_yuv(image: NDArray[np.uint8], width: int, height: int, orientation: Orientation) -> NDArray[np.uint8]:
    """The planes of a yuv420p image, each turned."""
    flat, half = image.reshape(-1), (height // 2, width // 2)
    luma, chroma = width * height, width * height // 4
    planes = (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma :].reshape(half),
    )
    turned = [orientation.turn(plane) for plane in planes]
    return np.concatenate([plane.reshape(-1) for plane in turned]).reshape(-1, turned[0].shape[1])


def _reformat(
    frame: av.VideoFrame, colors: Colors, pixel_format: str, width: int, height: int, filters: int
) -> av.VideoFrame:
    # Everything is named: what PyAV assumes differs between its versions, and swscale's own assumption is BT.601.
    return frame.reformat(
        width,
        height,
        format=pixel_format,
        src_colorspace=MATRICES[colors.matrix],
        dst_colorspace=MATRICES[BT709],
        src_color_range=FULL if colors.full else LIMITED,
        dst_color_range=LIMITED if pixel_format.startswith("yuv") else FULL,
        interpolation=filters,
    )


# ------------------------------------------------------------------ primaries and high dynamic range


def _manage(frame: av.VideoFrame, colors: Colors) -> NDArray[np.uint8]:
    """RGB with the primaries and levels of BT.709: uint8, shape (height, width, 3)."""
    # 16 bits: the dark levels of HDR are closer together than 8 bits can tell.
    encoded: NDArray[Any] = _reformat(
        frame, colors, "rgb48le", frame.width, frame.height, _BICUBIC | _EXACT
    ).to_ndarray()
    rgb = np.empty(encoded.shape, np.uint8)
    rows = max(1, _BAND_PIXELS // frame.width)
    for top in range(0, frame.height, rows):
        rgb[top : top + rows] = _manage_rows(encoded[top : top + rows], colors)
    return rgb


def _manage_rows(encoded: NDArray[Any], colors: Colors) -> NDArray[np.uint8]:
    light = _curve(colors.transfer)[encoded]
    if colors.transfer == HLG:
        # Of the scene: the display makes it steeper, by its luminance (ITU-R BT.2100, for 1000 cd/m²).
        luminance = light @ np.array((0.2627, 0.6780, 0.0593), np.float32)
        light *= np.power(np.maximum(luminance, 1e-6), 0.2)[..., None] * np.float32(1000 / _REFERENCE_WHITE)
    if colors.primaries not in (BT709, UNSPECIFIED):
        light = light @ primaries_matrix(colors.primaries).astype(np.float32).T
    if colors.is_hdr:
        light = _compress(light)
    steps = np.clip(light, 0, 1) ** np.float32(1 / _GAMMA)
    rgb: NDArray[np.uint8] = (steps * 255 + 0.5).astype(np.uint8)
    return rgb


@functools.lru_cache(maxsize=4)
def _curve(transfer: int) -> NDArray[np.float32]:
    """16-bit level → light; 1 is white, and HDR goes beyond it, except HLG, which is of the scene."""
    level = np.arange(65536) / 65535
    if transfer == PQ:
        powered = level ** (1 / 78.84375)
        nits = 10_000 * (np.maximum(powered - 0.8359375, 0) / (18.8515625 - 18.6875 * powered)) ** (1 / 0.1593017578125)
        light = nits / _REFERENCE_WHITE
    elif transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(level <= 0.5, level**2 / 3, (np.exp((level - c) / a) + b) / 12)
    else:
        # All others are encoded for the same screen; their curves differ in what a camera does with the darkest levels.
        light = level**_GAMMA
    return light.astype(np.float32)


def _compress(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light beyond the knee is bent towards white; the largest channel decides, so that the hue stays."""
    peak = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    bent = _KNEE + (1 - _KNEE) * (1 - np.exp(-(peak - _KNEE) / (1 - _KNEE)))
    scaled: NDArray[np.float32] = light * np.where(peak > _KNEE, bent / peak, 1).astype(np.float32)
    return scaled


@functools.lru_cache(maxsize=8)
def primaries_matrix(primaries: int) -> NDArray[np.float64]:
    """The matrix from light in these primaries to light in those of BT.709 (3, 3), adapted to its white."""
    source, target = _to_xyz(PRIMARIES[primaries]), _to_xyz(PRIMARIES[BT709])
    # Bradford's cones, in which eyes adapt to another white.
    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    gain = (cones @ target.sum(axis=1)) / (cones @ source.sum(axis=1))
    matrix: NDArray[np.float64] = np.linalg.inv(target) @ np.linalg.inv(cones) @ np.diag(gain) @ cones @ source
    return matrix


def _to_xyz(chromaticities: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in chromaticities]).T
    matrix: NDArray[np.float64] = columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])
    return matrix
