"""The camera's frame within the wider scene: its position at a moment, and how it is drawn."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from ....core.easing import smoothstep
from ....core.segment.shots import Shot
from ..drawing.canvas import Canvas
from ..drawing.colors import RGB

Box = tuple[float, float, float, float]
#: Share of the image outside the widest frame, on each side.
_MARGIN = 0.045
# Target of a zoom as a share of the widest frame's height: the faces, or the whole figures of a wide shot.
_FOCUS = {
    "extreme-wide": 0.62,
    "wide": 0.60,
    "medium-wide": 0.47,
    "medium": 0.40,
    "medium-close": 0.39,
    "close": 0.37,
    "extreme-close": 0.36,
}
_DIM: RGB = (14, 16, 22)
_DIM_ALPHA = 112


def viewfinder_rect(shot: Shot, image: tuple[int, int], film: tuple[int, int], progress: float) -> Box:
    """The camera's frame as (left, top, right, bottom) in pixels of the image, in the film's proportions.

    Args:
        image: width and height in pixels of the image that shows the wider scene.
        film: width and height of the film; only their ratio counts.
        progress: 0 at the segment's first moment, 1 at its last; the move starts and stops gently.

    A pan to the left moves the frame to the left, a tilt up moves it up, zooming in makes it smaller, tracking moves
    it to the right; `shot.amount` says how far. It never leaves the image.
    """
    width, height = image
    aspect = film[0] / film[1]
    room_x, room_y = width * (1 - 2 * _MARGIN), height * (1 - 2 * _MARGIN)
    full = min(room_y, room_x / aspect)
    share = smoothstep(min(1.0, max(0.0, progress)))
    reach = (0.35 + 0.65 * min(1.0, shot.amount)) if shot.amount > 0 else 0.0
    x, y, frame = width / 2, height / 2, full
    if shot.move in ("pan-left", "pan-right", "track"):
        frame = min(0.84 * full, room_x / 1.42 / aspect)
        way = min(room_x - frame * aspect, 0.8 * frame * aspect) * reach
        x += (share - 0.5) * way * (-1 if shot.move == "pan-left" else 1)
    elif shot.move in ("tilt-up", "tilt-down"):
        frame = min(full, room_y / 1.40)
        way = min(room_y - frame, 0.8 * frame) * reach
        y += (share - 0.5) * way * (-1 if shot.move == "tilt-up" else 1)
    elif shot.move in ("zoom-in", "zoom-out"):
        closeness = (share if shot.move == "zoom-in" else 1 - share) * reach
        frame = full * (1 - 0.45 * closeness)
        y += (_FOCUS[shot.size] - 0.5) * full * closeness
    half_x, half_y = frame * aspect / 2, frame / 2
    return x - half_x, y - half_y, x + half_x, y + half_y


def dim_outside(image: Image.Image, box: Box) -> None:
    """Darken the image outside the camera's frame."""
    width, height = image.size
    left, top, right, bottom = (round(value) for value in box)
    strips = ((0, 0, width, top), (0, bottom, width, height), (0, top, left, bottom), (right, top, width, bottom))
    for strip in strips:
        x0, y0, x1, y1 = max(0, strip[0]), max(0, strip[1]), min(width, strip[2]), min(height, strip[3])
        if x0 < x1 and y0 < y1:
            image.paste(_DIM, (x0, y0, x1, y1), Image.new("L", (x1 - x0, y1 - y0), _DIM_ALPHA))


def draw_brackets(image: Image.Image, box: Box, weight: float, color: RGB = (255, 255, 255)) -> None:
    """A thin frame with a bracket at each corner and a cross in the middle; `weight` is the bracket's thickness."""
    left, top, right, bottom = box
    arm = min(right - left, bottom - top) * 0.085
    thin = max(1.0, weight * 0.34)
    for line in (
        (left, top, right, top + thin),
        (left, bottom - thin, right, bottom),
        (left, top, left + thin, bottom),
        (right - thin, top, right, bottom),
    ):
        _fill(image, line, color, 0.50)
    for x, way_x in ((left, 1), (right, -1)):
        for y, way_y in ((top, 1), (bottom, -1)):
            outer_x, outer_y = x - way_x * weight * 0.5, y - way_y * weight * 0.5
            _fill(image, _sorted(outer_x, outer_y, outer_x + way_x * arm, outer_y + way_y * weight), color, 1.0)
            _fill(image, _sorted(outer_x, outer_y, outer_x + way_x * weight, outer_y + way_y * arm), color, 1.0)


def draw_ghosts(image: Image.Image, shot: Shot, film: tuple[int, int], weight: float) -> None:
    """The outlines of the first and the last frame, dashed. Nothing for a static camera."""
    if shot.move != "static" and shot.amount > 0:
        for progress in (0.0, 1.0):
            _dashes(image, viewfinder_rect(shot, image.size, film, progress), weight * 0.55, weight * 5)


def paint_arrows(
    shot: Shot, image: tuple[int, int], film: tuple[int, int], weight: float, color: RGB
) -> list[tuple[Image.Image, int, int]]:
    """Arrows from the first frame to the last, as RGBA images with their positions. None for a static camera."""
    if shot.move == "static" or shot.amount <= 0:
        return []
    start, end = (viewfinder_rect(shot, image, film, progress) for progress in (0.0, 1.0))
    if shot.move.startswith("zoom"):
        corners = (((start[x], start[y]), (end[x], end[y])) for x in (0, 2) for y in (1, 3))
        ways = [(_between(a, b, 0.22), _between(a, b, 0.78)) for a, b in corners]
    elif shot.move.startswith("tilt"):
        x = min(start[2] + weight * 8, (start[2] + image[0]) / 2)
        ways = [((x, _middle(start)[1]), (x, _middle(end)[1]))]
    else:
        y = min(start[3] + weight * 8, (start[3] + image[1]) / 2)
        ways = [((_middle(start)[0], y), (_middle(end)[0], y))]
    arrows = []
    for tail, tip in ways:
        left, top = math.floor(min(tail[0], tip[0]) - weight * 5), math.floor(min(tail[1], tip[1]) - weight * 5)
        right, bottom = math.ceil(max(tail[0], tip[0]) + weight * 5), math.ceil(max(tail[1], tip[1]) + weight * 5)
        canvas = Canvas((right - left, bottom - top), 1.0, (-left, -top))
        _arrow(canvas, tail, tip, weight, color)
        arrows.append((canvas.finish(), left, top))
    return arrows


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _between(a: tuple[float, float], b: tuple[float, float], share: float) -> tuple[float, float]:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _arrow(canvas: Canvas, tail: tuple[float, float], tip: tuple[float, float], weight: float, color: RGB) -> None:
    length = math.dist(tail, tip)
    if length < 1:
        return
    ux, uy = (tip[0] - tail[0]) / length, (tip[1] - tail[1]) / length
    head = min(weight * 6.5, length * 0.6)
    neck = (tip[0] - ux * head * 0.9, tip[1] - uy * head * 0.9)
    canvas.stroke([tail, neck], weight * 1.1, color)
    canvas.polygon(
        [
            tip,
            (neck[0] - uy * head * 0.55, neck[1] + ux * head * 0.55),
            (neck[0] + uy * head * 0.55, neck[1] - ux * head * 0.55),
        ],
        color,
    )
    canvas.ellipse(tail[0], tail[1], weight * 1.2, weight * 1.2, color)


def _dashes(image: Image.Image, box: Box, thin: float, dash: float) -> None:
    thin, dash = max(1.0, thin), max(2.0, dash)
    left, top, right, bottom = box
    for horizontal in (True, False):
        begin, end = (left, right) if horizontal else (top, bottom)
        count = max(1, round((end - begin) / (2 * dash)))
        step = (end - begin) / count
        for index in range(count):
            a, b = begin + (index + 0.25) * step, begin + (index + 0.75) * step
            for edge in (top, bottom - thin) if horizontal else (left, right - thin):
                _fill(
                    image, (a, edge, b, edge + thin) if horizontal else (edge, a, edge + thin, b), (255, 255, 255), 0.5
                )


def _sorted(x0: float, y0: float, x1: float, y1: float) -> Box:
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _fill(image: Image.Image, box: Box, color: RGB, alpha: float) -> None:
    """A rectangle at subpixel positions, antialiased by coverage so that it moves smoothly."""
    left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    right, bottom = min(image.width, math.ceil(box[2])), min(image.height, math.ceil(box[3]))
    if left >= right or top >= bottom:
        return
    xs = _coverage(left, right, box[0], box[2])
    ys = _coverage(top, bottom, box[1], box[3])
    mask = np.rint(ys[:, None] * xs[None, :] * (255 * alpha)).astype(np.uint8)
    image.paste(color, (left, top, right, bottom), Image.fromarray(mask))


def _coverage(first: int, last: int, begin: float, end: float) -> np.ndarray:
    pixels = np.arange(first, last)
    return np.clip(np.minimum(pixels + 1, end) - np.maximum(pixels, begin), 0, 1)
