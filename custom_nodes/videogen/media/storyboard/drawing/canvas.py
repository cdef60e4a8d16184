"""A canvas for flat, antialiased shapes in coordinates of any unit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from .colors import RGB

Point = tuple[float, float]
#: One color, or two: at the top and at the bottom of the shape.
Fill = RGB | tuple[RGB, RGB]


class Canvas:
    """An RGBA image to draw on; a unit is `scale` pixels, and (0, 0) is at pixel `origin`.

    Every shape is rasterized separately at several times the resolution, within its bounding box, and composited onto
    the image: edges are smooth without a large copy of the whole image in memory.
    """

    def __init__(self, size: tuple[int, int], scale: float = 1.0, origin: Point = (0.0, 0.0)) -> None:
        # Red, green, blue and alpha, premultiplied. Held as "CMYK", for Pillow just four channels: pasting through a
        # mask then blends all four alike, which for colors multiplied with their alpha is "over". `finish` divides.
        self._image = Image.new("CMYK", (max(1, size[0]), max(1, size[1])), (0, 0, 0, 0))
        self.scale = scale
        self.origin = origin

    @property
    def size(self) -> tuple[int, int]:
        return self._image.size

    def finish(self) -> Image.Image:
        """The image, RGBA with straight alpha. The canvas cannot be used afterwards."""
        size, values = self._image.size, self._image.tobytes()
        # Released before the copies are made: three of a large image at once would be too many.
        self._image = Image.new("CMYK", (1, 1))
        return Image.frombuffer("RGBa", size, values, "raw", "RGBa", 0, 1).convert("RGBA")

    def shift(self, x: float, y: float, scale: float = 1.0) -> Canvas:
        """The same image in other coordinates: (0, 0) at (x, y), and a unit of `scale` old units."""
        other = Canvas.__new__(Canvas)
        other._image = self._image
        other.scale = self.scale * scale
        other.origin = (self.origin[0] + x * self.scale, self.origin[1] + y * self.scale)
        return other

    def view(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the image in units."""
        (ox, oy), (width, height) = self.origin, self.size
        return -ox / self.scale, -oy / self.scale, (width - ox) / self.scale, (height - oy) / self.scale

    def polygon(self, points: Sequence[Point], fill: Fill, alpha: float = 1.0) -> None:
        self.polygons([points], fill, alpha)

    def polygons(self, outlines: Iterable[Sequence[Point]], fill: Fill, alpha: float = 1.0) -> None:
        """Several outlines as one shape: where they overlap, a translucent fill is applied once."""
        pixels = [[self._pixel(point) for point in outline] for outline in outlines if len(outline) >= 3]
        if not pixels:
            return
        xs, ys = [x for outline in pixels for x, _ in outline], [y for outline in pixels for _, y in outline]
        box = self._clip(min(xs), min(ys), max(xs), max(ys))
        if box is None:
            return
        factor = _oversampling(box)
        mask = Image.new("L", ((box[2] - box[0]) * factor, (box[3] - box[1]) * factor), 0)
        draw = ImageDraw.Draw(mask)
        for outline in pixels:
            # Pillow colors the pixels on the outline too: half a pixel is subtracted.
            draw.polygon([((x - box[0]) * factor - 0.5, (y - box[1]) * factor - 0.5) for x, y in outline], fill=255)
        self._lay(mask.reduce(factor), box, (min(ys), max(ys)), fill, alpha)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, fill: Fill, alpha: float = 1.0, angle: float = 0.0
    ) -> None:
        """An ellipse around (x, y), turned by `angle` radians."""
        self.polygon(ellipse_points(x, y, rx, ry, angle, self.scale), fill, alpha)

    def ellipses(self, ellipses: Iterable[tuple[float, float, float, float]], fill: Fill, alpha: float = 1.0) -> None:
        """Several (x, y, rx, ry) as one shape."""
        self.polygons([ellipse_points(*each, 0.0, self.scale) for each in ellipses], fill, alpha)

    def box(
        self, left: float, top: float, right: float, bottom: float, fill: Fill, alpha: float = 1.0, radius: float = 0.0
    ) -> None:
        """A rectangle, its corners rounded by `radius`."""
        self.polygon(box_points(left, top, right, bottom, radius), fill, alpha)

    def stroke(self, points: Sequence[Point], width: float, fill: Fill, alpha: float = 1.0, end: float = -1.0) -> None:
        """A line with round ends along `points`; from `width` it tapers to `end` where that is not negative."""
        last = width if end < 0 else end
        count = len(points) - 1
        widths = [width + (last - width) * index / max(1, count) for index in range(count + 1)]
        parts: list[Sequence[Point]] = []
        for index in range(count):
            (x0, y0), (x1, y1) = points[index], points[index + 1]
            length = math.hypot(x1 - x0, y1 - y0)
            if length <= 0:
                continue
            nx, ny = (y0 - y1) / length / 2, (x1 - x0) / length / 2
            a, b = widths[index], widths[index + 1]
            parts.append(
                [
                    (x0 + nx * a, y0 + ny * a),
                    (x1 + nx * b, y1 + ny * b),
                    (x1 - nx * b, y1 - ny * b),
                    (x0 - nx * a, y0 - ny * a),
                ]
            )
        parts += [
            ellipse_points(x, y, breadth / 2, breadth / 2, 0.0, self.scale)
            for (x, y), breadth in zip(points, widths, strict=True)
        ]
        self.polygons(parts, fill, alpha)

    def _pixel(self, point: Point) -> Point:
        return self.origin[0] + point[0] * self.scale, self.origin[1] + point[1] * self.scale

    def _clip(self, left: float, top: float, right: float, bottom: float) -> tuple[int, int, int, int] | None:
        width, height = self.size
        box = (
            max(0, math.floor(max(left, -1)) - 1),
            max(0, math.floor(max(top, -1)) - 1),
            min(width, math.ceil(min(right, width)) + 1),
            min(height, math.ceil(min(bottom, height)) + 1),
        )
        return box if box[0] < box[2] and box[1] < box[3] else None

    def _lay(
        self, mask: Image.Image, box: tuple[int, int, int, int], span: tuple[float, float], fill: Fill, alpha: float
    ) -> None:
        if alpha < 1:
            mask = mask.point([round(value * max(0.0, alpha)) for value in range(256)])
        if isinstance(fill[0], int):
            self._image.paste((*fill, 255), box, mask)
            return
        top, bottom = fill
        rows = np.arange(box[1], box[3], dtype=np.float32)[:, None] + 0.5
        shares = np.clip((rows - span[0]) / max(1e-6, span[1] - span[0]), 0, 1)
        colors = np.full((box[3] - box[1], 4), 255, dtype=np.uint8)
        colors[:, :3] = np.rint(np.array(top) * (1 - shares) + np.array(bottom) * shares)
        column = Image.frombytes("CMYK", (1, box[3] - box[1]), colors.tobytes())
        self._image.paste(column.resize((box[2] - box[0], box[3] - box[1])), box, mask)


def _oversampling(box: tuple[int, int, int, int]) -> int:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return 8 if area < 2_000 else 4 if area < 1_000_000 else 2


def ellipse_points(x: float, y: float, rx: float, ry: float, angle: float = 0.0, scale: float = 100.0) -> list[Point]:
    """The outline of an ellipse, with as many points as its size in pixels (times `scale`) requires."""
    count = min(160, max(10, round(4 * math.sqrt(max(1.0, max(rx, ry) * scale)))))
    cos, sin = math.cos(angle), math.sin(angle)
    points = []
    for index in range(count):
        turn = 2 * math.pi * index / count
        dx, dy = rx * math.cos(turn), ry * math.sin(turn)
        points.append((x + dx * cos - dy * sin, y + dx * sin + dy * cos))
    return points


def box_points(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> list[Point]:
    """The outline of a rectangle with corners rounded by `radius`."""
    radius = min(radius, (right - left) / 2, (bottom - top) / 2)
    if radius <= 0:
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    points: list[Point] = []
    corners = (
        (right - radius, top + radius, -90),
        (right - radius, bottom - radius, 0),
        (left + radius, bottom - radius, 90),
        (left + radius, top + radius, 180),
    )
    for x, y, start in corners:
        for step in range(9):
            turn = math.radians(start + 90 * step / 8)
            points.append((x + radius * math.cos(turn), y + radius * math.sin(turn)))
    return points


def curve(points: Sequence[Point], closed: bool = True, steps: int = 10) -> list[Point]:
    """A smooth line through `points` (centripetal enough for drawing: a uniform Catmull-Rom spline)."""
    count = len(points)
    result: list[Point] = []
    for index in range(count if closed else count - 1):
        if closed:
            p0, p1, p2, p3 = (points[(index + offset) % count] for offset in (-1, 0, 1, 2))
        else:
            p0, p1, p2, p3 = (points[min(count - 1, max(0, index + offset))] for offset in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            result.append((_spline(p0[0], p1[0], p2[0], p3[0], t), _spline(p0[1], p1[1], p2[1], p3[1], t)))
    if not closed:
        result.append(points[-1])
    return result


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
