"""Landscapes in layers. Units: the image's height; x = 0 is its middle, y = 0 its top.

All positions depend on the seed alone, between x = -2.2 and 2.2: a wider image sees more of the
same landscape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..drawing.canvas import Canvas, Fill
from ..drawing.colors import RGB, Light, darken, lighten, mix
from . import trees

Layer = Callable[[Canvas, Light, np.random.Generator], None]
REACH = 2.2


@dataclass(frozen=True)
class Landscape:
    """Painters of the far, near and front layer; `closed` where no sky is seen."""

    layers: tuple[Layer | None, Layer | None, Layer | None]
    closed: bool = False


def ridge(random: np.random.Generator, base: float, height: float, wave: float) -> Callable[[float], float]:
    """The outline of hills: y at x; around `base`, up to `height` above it, `wave` wide."""
    parts = [
        (wave / (1.0, 1.9, 3.7)[index], float(random.uniform(0, 2 * math.pi)), (0.62, 0.26, 0.12)[index])
        for index in range(3)
    ]

    def outline(x: float) -> float:
        wave = sum(share * math.sin(2 * math.pi * x / length + phase) for length, phase, share in parts)
        return base - height * (0.5 + 0.5 * wave)

    return outline


def fill_below(canvas: Canvas, outline: Callable[[float], float], bottom: float, fill: Fill) -> None:
    """Everything between an outline and `bottom`."""
    left, _, right, _ = canvas.view()
    steps = max(24, round((right - left) * canvas.scale / 5))
    points = [
        (left + (right - left) * step / steps, outline(left + (right - left) * step / steps))
        for step in range(steps + 1)
    ]
    canvas.polygon([*points, (right, bottom), (left, bottom)], fill)


def scatter(random: np.random.Generator, count: int, clear: float = 0.0) -> list[float]:
    """Places along x, evenly with some play; none nearer to the middle than `clear`."""
    step = 2 * REACH / count
    places = [-REACH + (index + 0.5) * step + float(random.uniform(-0.35, 0.35)) * step for index in range(count)]
    return [x for x in places if abs(x) >= clear]


def _bushes(
    canvas: Canvas,
    light: Light,
    random: np.random.Generator,
    outline: Callable[[float], float],
    count: int,
    size: tuple[float, float],
    color: RGB,
) -> None:
    for x in scatter(random, count):
        height = float(random.uniform(*size))
        tint = mix(color, (120, 150, 70), float(random.uniform(0, 0.35)))
        trees.draw_bush(canvas.shift(x, outline(x) - height * 0.88, height), light, int(random.integers(1 << 30)), tint)


def _far_hills(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    fill_below(canvas, ridge(random, 0.50, 0.13, 1.9), 0.62, (light((158, 190, 200)), light((190, 210, 206))))
    fill_below(canvas, ridge(random, 0.525, 0.085, 1.3), 0.66, (light((140, 178, 164)), light((170, 200, 176))))
    nearer = ridge(random, 0.545, 0.045, 0.9)
    fill_below(canvas, nearer, 0.70, (light((132, 172, 124)), light((156, 190, 130))))
    _bushes(canvas, light, random, nearer, 34, (0.022, 0.048), (104, 148, 104))


def _meadow(canvas: Canvas, light: Light, random: np.random.Generator, top: float = 0.535) -> Callable[[float], float]:
    ground = ridge(random, top + 0.02, 0.03, 2.4)
    fill_below(canvas, ground, 1.6, (light((152, 190, 104)), light((82, 132, 70))))
    # Bands of mown and unmown grass, wider towards the front.
    for index in range(4):
        y = top + 0.045 + 0.10 * index * (1 + 0.25 * index)
        band = ridge(random, y + 0.02, 0.03 + 0.01 * index, 1.7)
        fill_below(canvas, band, 1.6, (light(mix((146, 186, 100), (92, 142, 74), index / 4)), light((78, 128, 68))))
    return ground


def _tufts(
    canvas: Canvas, light: Light, random: np.random.Generator, count: int, top: float, flowers: bool = True
) -> None:
    for _ in range(count):
        y = top + float(random.random()) ** 0.6 * (1.02 - top)
        x, near = float(random.uniform(-REACH, REACH)), (y - 0.5) * 2
        size = 0.004 + 0.020 * near
        green = light(mix((120, 168, 84), (66, 116, 60), float(random.random())))
        for lean in (-0.5, 0.0, 0.45):
            canvas.polygon(
                [
                    (x + lean * size * 0.4 - size * 0.10, y),
                    (x + lean * size, y - size * (1 - abs(lean) * 0.4)),
                    (x + lean * size * 0.4 + size * 0.10, y),
                ],
                green,
            )
        if flowers and random.random() < 0.22:
            bloom: RGB = ((250, 246, 236), (244, 208, 96), (222, 132, 140))[int(random.integers(0, 3))]
            canvas.ellipse(x, y - size * 1.1, size * 0.20, size * 0.20, light(bloom))


def _country(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    ground = _meadow(canvas, light, random)
    _bushes(canvas, light, random, lambda x: ground(x) + 0.01, 12, (0.05, 0.10), (96, 144, 84))
    # A path winds towards the hills.
    side = 1 if random.random() < 0.5 else -1
    left, right = [], []
    for step in range(25):
        share = step / 24
        y = 0.565 + 0.60 * share**1.6
        x, half = side * (0.42 - 0.55 * share + 0.10 * math.sin(share * 5.0)), 0.006 + 0.10 * share**1.5
        left.append((x - half, y))
        right.append((x + half, y))
    canvas.polygon([*left, *reversed(right)], (light((226, 208, 168)), light((198, 174, 132))))
    _tufts(canvas, light, random, 190, 0.60)


def _field(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    edge = ridge(random, 0.545, 0.012, 2.8)
    fill_below(canvas, edge, 1.6, (light((148, 184, 100)), light((120, 160, 84))))
    top = 0.565
    fill_below(canvas, lambda x: top + 0.004 * math.sin(x * 3), 1.8, (light((176, 140, 102)), light((112, 80, 56))))
    # Furrows run to one vanishing point; between them the young crop.
    vanish = (float(random.uniform(-0.18, 0.18)), 0.50)
    for index in range(-34, 35):
        x = index * 0.20
        _furrow(canvas, vanish, x, 0.046, top, (light((150, 114, 80)), light((84, 58, 42))))
        _furrow(canvas, vanish, x + 0.10, 0.016, top, (light((196, 162, 122)), light((138, 102, 72))))
        for step in range(13):
            share = 0.02 + 0.98 * (step + float(random.uniform(0.0, 0.5))) ** 1.9 / 13**1.9
            y = top + 0.50 * share
            along = (y - vanish[1]) / (1.0 - vanish[1])
            px, size = vanish[0] + (x + 0.10 - vanish[0]) * along, 0.032 * along
            if -REACH < px < REACH and size > 0.003:
                green = light(mix((126, 172, 84), (84, 138, 66), float(random.random())))
                for lean in (-0.9, -0.35, 0.35, 0.9):
                    tip = (px + lean * size * 0.7, y - size * (1.1 - abs(lean) * 0.4))
                    canvas.polygon([(px - size * 0.12, y), tip, (px + size * 0.12, y)], green)
    _bushes(canvas, light, random, lambda x: 0.556, 26, (0.024, 0.05), (98, 140, 86))


def _furrow(canvas: Canvas, vanish: tuple[float, float], x: float, half: float, top: float, fill: Fill) -> None:
    def at(offset: float, y: float) -> tuple[float, float]:
        return vanish[0] + (x + offset - vanish[0]) * (y - vanish[1]) / (1.0 - vanish[1]), y

    canvas.polygon([at(-half, top + 0.006), at(half, top + 0.006), at(half, 1.25), at(-half, 1.25)], fill)


def _garden(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    _meadow(canvas, light, random)
    for x in scatter(random, 9, 0.2):
        trees.draw_grown_tree(canvas.shift(x, 0.31, 0.29), light, int(random.integers(1 << 30)), None, (112, 156, 88))
    _bushes(canvas, light, random, lambda x: 0.615, 30, (0.055, 0.075), (92, 138, 82))
    for x in scatter(random, 60):
        bloom: RGB = ((236, 150, 160), (248, 216, 110), (250, 244, 236), (176, 140, 206))[int(random.integers(0, 4))]
        trees.draw_flower(canvas.shift(x, 0.615 + float(random.uniform(0, 0.03)), 0.055), light, bloom)
    _tufts(canvas, light, random, 130, 0.68)


def _forest_far(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    fill_below(canvas, ridge(random, 0.46, 0.10, 1.4), 0.75, (light((176, 204, 196)), light((206, 222, 206))))
    for row, (base, size, color) in enumerate(((0.57, 0.30, (150, 188, 170)), (0.60, 0.38, (112, 158, 134)))):
        for x in scatter(random, 44 - 10 * row):
            height = size * float(random.uniform(0.75, 1.2))
            trees.draw_conifer(canvas.shift(x, base - height, height), light, color)


def _forest(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    fill_below(canvas, ridge(random, 0.61, 0.03, 1.2), 1.6, (light((132, 160, 96)), light((70, 96, 58))))
    for x in scatter(random, 17, 0.24):
        height = 0.56 * float(random.uniform(0.85, 1.25))
        trees.draw_conifer(canvas.shift(x, 0.66 - height, height), light, (66, 112, 84))
    for x in scatter(random, 7, 0.55):
        canvas.polygon(
            [(x - 0.035, 1.0), (x - 0.022, -0.1), (x + 0.022, -0.1), (x + 0.038, 1.0)],
            (light((96, 74, 60)), light((70, 54, 46))),
        )
        canvas.box(x + 0.005, -0.1, x + 0.022, 1.0, light((48, 38, 36)), 0.25)
    _tufts(canvas, light, random, 200, 0.67, flowers=False)


def _sea_far(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    fill_below(canvas, lambda x: 0.50, 0.86, (light((96, 160, 190)), light((134, 198, 206))))
    island = ridge(random, 0.50, 0.05, 1.1)
    fill_below(canvas, lambda x: min(0.5005, island(x) + 0.022), 0.5006, light((140, 172, 176)))
    for _ in range(110):
        y = 0.505 + float(random.random()) ** 1.5 * 0.22
        x, reach = float(random.uniform(-REACH, REACH)), 0.012 + 0.20 * (y - 0.5)
        canvas.ellipse(x, y, reach, 0.0012 + 0.008 * (y - 0.5), (255, 255, 255), 0.42)
    x = 0.30 if random.random() < 0.5 else -0.36
    canvas.polygon([(x - 0.003, 0.425), (x - 0.003, 0.505), (x - 0.045, 0.505)], (250, 250, 246))
    canvas.polygon([(x + 0.003, 0.44), (x + 0.003, 0.505), (x + 0.032, 0.505)], (228, 232, 234))
    canvas.polygon(
        [(x - 0.05, 0.509), (x + 0.042, 0.509), (x + 0.028, 0.524), (x - 0.036, 0.524)], light((170, 84, 72))
    )


def _beach(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    shore = ridge(random, 0.745, 0.05, 1.6)
    fill_below(canvas, lambda x: shore(x) - 0.014, 1.6, (255, 255, 255))
    fill_below(canvas, shore, 1.6, (light((226, 204, 160)), light((240, 222, 184))))
    fill_below(
        canvas,
        lambda x: shore(x) + 0.035 + 0.01 * math.sin(4 * x),
        1.6,
        (light((240, 222, 182)), light((222, 196, 148))),
    )
    for _ in range(120):
        x, y = float(random.uniform(-REACH, REACH)), float(random.uniform(0.82, 1.0))
        canvas.ellipse(x, y, 0.006, 0.002, light((206, 178, 130)), 0.7)


def _mountain_far(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    for base, size, color in ((0.60, 0.34, (156, 178, 204)), (0.62, 0.26, (122, 150, 178))):
        for x in scatter(random, 9):
            height, half = size * float(random.uniform(0.7, 1.2)), float(random.uniform(0.26, 0.40))
            peak = (x, base - height)
            canvas.polygon(
                [(x - half, base + 0.02), peak, (x + half, base + 0.02)], (light(color), light(lighten(color, 0.25)))
            )
            canvas.polygon(
                [peak, (x + half, base + 0.02), (x + half * 0.10, base + 0.02)], darken(light(color), 0.4), 0.30
            )
            cap = [
                peak,
                (x + half * 0.30, base - height * 0.70),
                (x + half * 0.12, base - height * 0.74),
                (x, base - height * 0.64),
                (x - half * 0.13, base - height * 0.75),
                (x - half * 0.28, base - height * 0.71),
            ]
            canvas.polygon(cap, light((248, 250, 252)))


def _mountain(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    slope = ridge(random, 0.645, 0.08, 1.5)
    fill_below(canvas, slope, 1.6, (light((128, 168, 118)), light((96, 144, 84))))
    for x in scatter(random, 46):
        height = float(random.uniform(0.05, 0.11))
        trees.draw_conifer(canvas.shift(x, slope(x) + 0.03 - height, height), light, (72, 116, 92))
    _meadow(canvas, light, random, 0.68)
    _tufts(canvas, light, random, 150, 0.74)


def _desert_far(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    fill_below(canvas, ridge(random, 0.53, 0.10, 1.3), 0.7, (light((226, 186, 148)), light((236, 206, 166))))
    fill_below(canvas, ridge(random, 0.56, 0.08, 0.9), 0.8, (light((224, 176, 126)), light((236, 200, 150))))


def _desert(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    for index, (top, color) in enumerate(((0.61, (230, 186, 128)), (0.70, (222, 172, 112)), (0.82, (210, 158, 100)))):
        fill_below(
            canvas,
            ridge(random, top, 0.09, 1.7 - 0.2 * index),
            1.6,
            (light(lighten(color, 0.18)), light(darken(color, 0.08))),
        )
    for x in scatter(random, 8, 0.35):
        green, y = light((106, 138, 94)), 0.70
        canvas.stroke([(x, y), (x, y - 0.13)], 0.026, green)
        canvas.stroke([(x, y - 0.05), (x + 0.036, y - 0.055), (x + 0.036, y - 0.095)], 0.016, green)
        canvas.stroke([(x, y - 0.035), (x - 0.032, y - 0.04), (x - 0.032, y - 0.075)], 0.016, green)


def _grass_in_front(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    """Blades at the lower edge, out of focus, towards the sides: depth."""
    for x in scatter(random, 110, 0.42):
        _, _, _, bottom = canvas.view()
        size = 0.10 * float(random.uniform(0.5, 1.15)) * min(1.0, abs(x) / 0.8) * bottom
        lean = float(random.uniform(-0.35, 0.35))
        color = light(mix((74, 122, 58), (44, 86, 48), float(random.random())))
        canvas.polygon(
            [(x - 0.008, bottom + 0.02), (x + lean * size, bottom - size), (x + 0.008, bottom + 0.02)], color
        )


LANDSCAPES: dict[str, Landscape] = {
    "country": Landscape((_far_hills, _country, _grass_in_front)),
    "field": Landscape((_far_hills, _field, _grass_in_front)),
    "garden": Landscape((_far_hills, _garden, _grass_in_front)),
    "forest": Landscape((_forest_far, _forest, _grass_in_front)),
    "sea": Landscape((_sea_far, _beach, None)),
    "mountain": Landscape((_mountain_far, _mountain, _grass_in_front)),
    "desert": Landscape((_desert_far, _desert, None)),
}
