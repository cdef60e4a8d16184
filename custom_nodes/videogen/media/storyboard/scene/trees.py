"""Trees and plants as flat shapes. Units: the plant's own height; (0, 0) is its top middle, y = 1 the ground."""

from __future__ import annotations

import math

import numpy as np

from ..drawing.canvas import Canvas, Point, curve, ellipse_points
from ..drawing.colors import RGB, Light, darken, lighten

_BARK: RGB = (116, 88, 66)
_LEAF: RGB = (104, 150, 78)
APPLE: RGB = (206, 52, 44)
_GOLDEN = math.pi * (3 - math.sqrt(5))


def draw_grown_tree(canvas: Canvas, light: Light, seed: int, fruit: RGB | None, leaf: RGB = _LEAF) -> None:
    """A grown broad-leaved tree, about 0.9 wide; with `fruit` it bears plenty of that color."""
    random = np.random.default_rng(seed)
    bark, leaf = light(_BARK), light(leaf)
    trunk = [
        (-0.066, 1.0),
        (-0.040, 0.94),
        (-0.032, 0.80),
        (-0.038, 0.60),
        (0.038, 0.60),
        (0.030, 0.80),
        (0.040, 0.94),
        (0.070, 1.0),
    ]
    clumps = _crown(random)
    canvas.polygons(_blobs(clumps, 1.0, 0.0, 0.0), darken(leaf, 0.34))
    canvas.polygon(trunk, bark)
    canvas.polygon(
        [(0.004, 1.0), (0.004, 0.60), (0.038, 0.60), (0.030, 0.80), (0.040, 0.94), (0.070, 1.0)],
        darken(bark, 0.5),
        0.30,
    )
    for tip, width in (((-0.22, 0.50), 0.036), ((0.21, 0.48), 0.036), ((-0.06, 0.34), 0.030), ((0.09, 0.32), 0.028)):
        middle = (tip[0] * 0.35, 0.62 + (tip[1] - 0.62) * 0.35)
        canvas.stroke(curve([(0, 0.74), middle, tip], closed=False, steps=5), width, darken(bark, 0.12), end=0.010)
    canvas.polygons(_blobs(clumps, 0.90, -0.004, -0.010), leaf)
    canvas.polygons(_blobs(clumps, 0.58, -0.024, -0.034), lighten(leaf, 0.14))
    canvas.polygons(_blobs(clumps[::2], 0.26, -0.036, -0.048), lighten(leaf, 0.30), 0.8)
    _leaf_marks(canvas, random, clumps, leaf)
    if fruit:
        _fruit_on(canvas, random, clumps, light.soften(0.6)(fruit))


def draw_sapling(canvas: Canvas, light: Light, seed: int, leaf: RGB = _LEAF) -> None:
    """A young tree: a thin whip with a stake and a handful of leafy twigs, about 0.45 wide."""
    random = np.random.default_rng(seed)
    bark, leaf = light((94, 68, 52)), light(lighten(leaf, 0.06))
    canvas.box(0.050, 0.36, 0.068, 1.0, (light((226, 198, 152)), light((206, 174, 128))), radius=0.006)
    trunk = curve([(0.0, 1.0), (-0.010, 0.8), (0.006, 0.55), (-0.006, 0.3), (0.004, 0.06)], closed=False, steps=6)
    canvas.stroke(trunk, 0.026, bark, end=0.008)
    canvas.stroke([(-0.006, 0.585), (0.030, 0.570), (0.062, 0.585)], 0.012, light((214, 206, 190)))
    # Twigs spiral up the stem; each bears leaves in pairs, shorter towards the top.
    for index in range(9):
        height = 0.62 - index * 0.052
        side = -1 if index % 2 else 1
        reach = (0.200 - abs(index - 2) * 0.015) * float(random.uniform(0.82, 1.08))
        start = (0.0, height)
        end = (side * reach, height - 0.10 - 0.03 * float(random.random()))
        bend = (side * reach * 0.55, height - 0.035)
        twig = curve([start, bend, end], closed=False, steps=6)
        canvas.stroke(twig, 0.011, bark, end=0.004)
        shades = (leaf, darken(leaf, 0.18), lighten(leaf, 0.16))
        for place in range(4, len(twig), 3):
            x, y = twig[place]
            for turn in (-0.9, 0.7):
                angle = math.atan2(end[1] - start[1], end[0] - start[0]) + turn + float(random.normal(0, 0.22))
                _leaf(
                    canvas, (x, y), angle, 0.088 * float(random.uniform(0.8, 1.1)), shades[int(random.integers(0, 3))]
                )
        _leaf(canvas, end, math.atan2(end[1] - bend[1], end[0] - bend[0]), 0.085, lighten(leaf, 0.10))
    for angle in (-1.2, -1.9, -1.55):
        _leaf(canvas, (0.004, 0.085), angle, 0.085, lighten(leaf, 0.2))


def draw_conifer(canvas: Canvas, light: Light, color: RGB) -> None:
    """A spruce, about 0.46 wide."""
    needle = light(color)
    canvas.box(-0.026, 0.86, 0.026, 1.0, light(darken(_BARK, 0.25)))
    for row in range(4):
        top, bottom, half = 0.0 + row * 0.19, 0.36 + row * 0.187, 0.11 + row * 0.042
        skirt = [
            (0, top),
            (half * 0.55, bottom - 0.10),
            (half, bottom),
            (0, bottom - 0.025),
            (-half, bottom),
            (-half * 0.55, bottom - 0.10),
        ]
        canvas.polygon(skirt, (lighten(needle, 0.10), darken(needle, 0.12)))
        canvas.polygon(
            [(0, top), (half * 0.55, bottom - 0.10), (half, bottom), (0, bottom - 0.025)], darken(needle, 0.5), 0.20
        )


def draw_bush(canvas: Canvas, light: Light, seed: int, color: RGB) -> None:
    """A rounded shrub, about 1.2 wide; also the far trees of a landscape."""
    random = np.random.default_rng(seed)
    leaf = light(color)
    blobs = [(0.0, 0.52, 0.46, 0.46)]
    blobs += [
        (side * float(random.uniform(0.26, 0.36)), float(random.uniform(0.60, 0.70)), 0.30, 0.32) for side in (-1, 1)
    ]
    canvas.ellipses(blobs, darken(leaf, 0.16))
    canvas.ellipses([(x - 0.05, y - 0.06, rx * 0.80, ry * 0.78) for x, y, rx, ry in blobs], leaf)
    canvas.ellipses([(x - 0.10, y - 0.13, rx * 0.48, ry * 0.46) for x, y, rx, ry in blobs], lighten(leaf, 0.13))


def draw_potted_plant(canvas: Canvas, light: Light, seed: int, color: RGB) -> None:
    """A plant in a nursery pot, about 0.7 wide."""
    random = np.random.default_rng(seed)
    pot, leaf = light((112, 84, 74)), light(color)
    for index in range(11):
        angle = -math.pi / 2 + (index - 5) * 0.235 + float(random.normal(0, 0.05))
        _leaf(
            canvas,
            (0.0, 0.72),
            angle,
            float(random.uniform(0.50, 0.70)),
            (leaf, darken(leaf, 0.2), lighten(leaf, 0.15))[index % 3],
            0.22,
        )
    canvas.polygon([(-0.18, 0.68), (0.18, 0.68), (0.135, 1.0), (-0.135, 1.0)], (pot, darken(pot, 0.25)))
    canvas.box(-0.20, 0.655, 0.20, 0.72, lighten(pot, 0.10), radius=0.02)


def draw_flower(canvas: Canvas, light: Light, color: RGB) -> None:
    """One flower on its stem, about 0.55 wide."""
    stem, petal = light((92, 138, 78)), light.soften(0.6)(color)
    canvas.stroke(curve([(0.0, 1.0), (0.02, 0.7), (0.0, 0.3)], closed=False), 0.032, stem)
    _leaf(canvas, (0.012, 0.80), -0.55, 0.30, stem, 0.32)
    _leaf(canvas, (0.012, 0.72), -2.6, 0.28, lighten(stem, 0.1), 0.32)
    for index in range(8):
        angle = index * math.pi / 4
        canvas.ellipse(
            0.14 * math.cos(angle),
            0.24 + 0.14 * math.sin(angle),
            0.115,
            0.07,
            petal if index % 2 else lighten(petal, 0.14),
            1.0,
            angle,
        )
    canvas.ellipse(0, 0.24, 0.085, 0.085, light((240, 200, 92)))


def draw_fruit(canvas: Canvas, x: float, y: float, radius: float, color: RGB) -> None:
    """One apple around (x, y)."""
    canvas.ellipse(x, y, radius, radius * 0.96, (lighten(color, 0.10), darken(color, 0.26)))
    canvas.ellipse(x - radius * 0.36, y - radius * 0.36, radius * 0.26, radius * 0.20, (255, 236, 222), 0.75, -0.6)
    canvas.stroke([(x, y - radius * 0.82), (x + radius * 0.18, y - radius * 1.30)], radius * 0.17, (84, 62, 44))


def _crown(random: np.random.Generator) -> list[tuple[float, float, float]]:
    clumps = [(0.0, 0.36, 0.25)]
    for index in range(11):
        angle = index * _GOLDEN + 0.4
        far = math.sqrt((index + 1) / 11)
        x, y = 0.315 * far * math.cos(angle), 0.365 + 0.215 * far * math.sin(angle)
        clumps.append((x, y, 0.150 * float(random.uniform(0.90, 1.10))))
    return clumps


def _blobs(clumps: list[tuple[float, float, float]], share: float, dx: float, dy: float) -> list[list[Point]]:
    """Clumps with a scalloped edge, all of them as one shape."""
    outlines = []
    for number, (x, y, radius) in enumerate(clumps):
        outline = []
        for x0, y0 in ellipse_points(0, 0, radius * share, radius * share * 0.94, 0.0, 1200):
            wave = 1 + 0.045 * math.sin(9 * math.atan2(y0, x0) + number * 1.7)
            outline.append((x + dx + x0 * wave, y + dy + y0 * wave))
        outlines.append(outline)
    return outlines


def _leaf_marks(
    canvas: Canvas, random: np.random.Generator, clumps: list[tuple[float, float, float]], leaf: RGB
) -> None:
    for x, y, radius in clumps:
        for _ in range(5):
            angle, far = float(random.uniform(0, 2 * math.pi)), float(random.uniform(0.2, 0.8)) * radius
            _leaf(
                canvas,
                (x + far * math.cos(angle), y + far * math.sin(angle)),
                float(random.uniform(-2.6, -0.5)),
                0.034,
                lighten(leaf, 0.22) if y < 0.38 else darken(leaf, 0.16),
                0.42,
            )


def _fruit_on(
    canvas: Canvas, random: np.random.Generator, clumps: list[tuple[float, float, float]], color: RGB
) -> None:
    placed: list[Point] = []
    for number in range(90):
        x, y, radius = clumps[number % len(clumps)]
        angle, far = float(random.uniform(0, 2 * math.pi)), float(random.uniform(0.1, 0.88)) * radius
        place = (x + far * math.cos(angle), y + far * math.sin(angle) + 0.012)
        # Spread out, as fruit is: none touches another.
        if place[1] < 0.58 and len(placed) < 26 and all(math.dist(place, other) > 0.082 for other in placed):
            placed.append(place)
    for x, y in placed:
        canvas.ellipse(x + 0.003, y + 0.008, 0.026, 0.025, (24, 44, 24), 0.28)
        draw_fruit(canvas, x, y, 0.0255, color)


def _leaf(canvas: Canvas, base: Point, angle: float, length: float, color: RGB, width: float = 0.36) -> None:
    """A pointed leaf from `base`, `length` long in the direction `angle`."""
    cos, sin = math.cos(angle), math.sin(angle)
    outline = []
    for along, across in ((0, 0), (0.3, 0.42), (0.6, 0.40), (1, 0), (0.6, -0.40), (0.3, -0.42)):
        x, y = along * length, across * width * length
        outline.append((base[0] + x * cos - y * sin, base[1] + x * sin + y * cos))
    canvas.polygon(curve(outline, steps=4), color)
