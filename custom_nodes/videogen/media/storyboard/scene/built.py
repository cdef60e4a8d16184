"""Built places in layers: nursery, city, room. Units as in `outdoors`."""

from __future__ import annotations

import numpy as np

from ..drawing.canvas import Canvas
from ..drawing.colors import RGB, Light, darken, lighten, mix
from . import trees
from .outdoors import REACH, Landscape, fill_below, ridge, scatter


def _nursery_far(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    fill_below(canvas, ridge(random, 0.50, 0.09, 1.7), 0.64, (light((164, 194, 196)), light((190, 212, 200))))
    fill_below(canvas, ridge(random, 0.53, 0.05, 1.1), 0.66, (light((140, 178, 140)), light((164, 194, 146))))
    for x in scatter(random, 40):
        size = float(random.uniform(0.03, 0.06))
        trees.draw_bush(canvas.shift(x, 0.55 - size * 0.9, size), light, int(random.integers(1 << 30)), (104, 148, 104))


def _nursery(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    fill_below(canvas, lambda x: 0.548, 1.6, (light((176, 194, 132)), light((146, 158, 104))))
    side = -1 if random.random() < 0.5 else 1
    _greenhouse(canvas, light, side * 0.52, 0.60)
    _greenhouse(canvas, light, side * 0.52 + side * 0.86, 0.60)
    _greenhouse(canvas, light, -side * 1.36, 0.60)
    # Young trees in a row on the other side, tied to a wire.
    start, end = (-side * 0.12, -side * 0.98)
    for wire in (0.44, 0.50):
        canvas.stroke([(start, wire), (end, wire)], 0.002, light((150, 146, 138)))
    for index in range(8):
        x = start + (end - start) * index / 7
        trees.draw_sapling(canvas.shift(x, 0.385, 0.215), light, int(random.integers(1 << 30)), (112, 158, 92))
    # A gravel path up the middle, beds with rows of pots on both sides of it.
    canvas.polygon(
        [(-0.05, 0.60), (0.05, 0.60), (0.46, 1.3), (-0.46, 1.3)], (light((222, 212, 190)), light((196, 182, 156)))
    )
    for row in range(5):
        y = 0.645 + 0.065 * row * (1 + 0.28 * row)
        size = 0.062 + 0.030 * row
        path = 0.05 + 0.41 * (y - 0.60) / 0.70
        fill_band = (light((128, 104, 82)), light((108, 86, 68)))
        for direction in (-1, 1):
            inner, outer = direction * (path + 0.03), direction * (REACH + 0.4)
            canvas.box(min(inner, outer), y - size * 0.10, max(inner, outer), y + size * 0.10, fill_band, radius=0.01)
            count = int((REACH - path) / (size * 0.86))
            for index in range(count):
                x = direction * (path + 0.03 + size * (0.45 + 0.86 * index))
                color: RGB = mix((96, 148, 84), (136, 170, 92), float(random.random()))
                trees.draw_potted_plant(canvas.shift(x, y - size, size), light, int(random.integers(1 << 30)), color)


def _greenhouse(canvas: Canvas, light: Light, x: float, ground: float) -> None:
    glass, frame = light((206, 228, 228)), light((246, 248, 246))
    half, eaves, top = 0.36, ground - 0.15, ground - 0.235
    canvas.polygon(
        [(x - half, ground), (x - half, eaves), (x, top), (x + half, eaves), (x + half, ground)],
        (lighten(glass, 0.3), glass),
        0.94,
    )
    for index in range(9):
        size = 0.07 + 0.015 * (index % 3)
        trees.draw_bush(
            canvas.shift(x - half + 0.045 + index * 0.079, ground - size, size), light, index, (138, 178, 128)
        )
    canvas.polygon(
        [(x - half, ground), (x - half, eaves), (x, top), (x + half, eaves), (x + half, ground)], glass, 0.40
    )
    for index in range(9):
        share = index / 8
        px = x - half + 2 * half * share
        roof = eaves - (eaves - top) * (1 - abs(2 * share - 1))
        canvas.stroke([(px, ground), (px, roof)], 0.0042, frame)
    canvas.stroke([(x - half, eaves), (x + half, eaves)], 0.005, frame)
    canvas.stroke([(x - half, eaves), (x, top), (x + half, eaves)], 0.007, frame)
    canvas.stroke([(x - half, ground), (x + half, ground)], 0.008, darken(frame, 0.2))
    canvas.polygon(
        [
            (x - half * 0.7, ground),
            (x - half * 0.45, ground),
            (x + half * 0.02, top + 0.03),
            (x - half * 0.16, top + 0.05),
        ],
        (255, 255, 255),
        0.22,
    )


def _skyline(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    for base, color, span in ((0.28, (176, 194, 212), 0.22), (0.38, (150, 170, 192), 0.18)):
        x = -REACH
        while x < REACH:
            width, top = float(random.uniform(0.07, 0.16)), base + float(random.uniform(-0.5, 0.5)) * span
            canvas.box(x, top, x + width + 0.002, 0.66, (light(color), light(lighten(color, 0.25))))
            if random.random() < 0.3:
                canvas.box(x + width * 0.47, top - 0.035, x + width * 0.53, top, light(color))
            x += width


def _street(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    walls: tuple[RGB, ...] = (
        (222, 196, 160),
        (204, 162, 134),
        (190, 198, 196),
        (232, 220, 196),
        (176, 146, 128),
        (198, 206, 186),
    )
    x = -REACH - 0.1
    while x < REACH:
        width, top = float(random.uniform(0.24, 0.36)), float(random.uniform(0.20, 0.36))
        wall = light(walls[int(random.integers(0, len(walls)))])
        canvas.polygon(
            [
                (x - 0.008, top + 0.01),
                (x + 0.03, top - 0.05),
                (x + width - 0.03, top - 0.05),
                (x + width + 0.008, top + 0.01),
            ],
            light((142, 84, 70)),
        )
        canvas.box(x, top, x + width, 0.66, (wall, darken(wall, 0.08)))
        columns = max(2, round(width / 0.085))
        for row in range(4):
            y = top + 0.035 + row * 0.085
            for column in range(columns):
                px = x + width * (column + 0.5) / columns
                if y + 0.055 < 0.545:
                    lit = light.time != "day" and random.random() < 0.45
                    canvas.box(px - 0.021, y - 0.003, px + 0.021, y + 0.056, lighten(wall, 0.35))
                    canvas.box(
                        px - 0.017,
                        y,
                        px + 0.017,
                        y + 0.052,
                        (255, 216, 138) if lit else (light((126, 158, 178)), light((160, 188, 202))),
                    )
        awning = light(((178, 76, 66), (76, 122, 108), (74, 100, 146))[int(random.integers(0, 3))])
        canvas.box(
            x + width * 0.12,
            0.565,
            x + width * 0.88,
            0.66,
            (255, 220, 150) if light.time != "day" else light((96, 116, 128)),
        )
        canvas.polygon(
            [
                (x + width * 0.12, 0.548),
                (x + width * 0.88, 0.548),
                (x + width * 0.93, 0.588),
                (x + width * 0.07, 0.588),
            ],
            (awning, darken(awning, 0.15)),
        )
        x += width + 0.004
    canvas.box(-REACH - 1, 0.655, REACH + 1, 0.74, (light((206, 202, 194)), light((190, 186, 178))))
    canvas.box(-REACH - 1, 0.735, REACH + 1, 1.8, (light((134, 138, 144)), light((102, 106, 114))))
    canvas.box(-REACH - 1, 0.735, REACH + 1, 0.745, light((226, 222, 214)))
    for index in range(-9, 10):
        canvas.polygon(
            [
                (index * 0.34, 0.868),
                (index * 0.34 + 0.16, 0.868),
                (index * 0.35 + 0.17, 0.882),
                (index * 0.35 - 0.002, 0.882),
            ],
            light((230, 226, 214)),
        )
    for px in scatter(random, 8, 0.3):
        canvas.stroke([(px, 0.70), (px, 0.40)], 0.008, light((70, 76, 84)))
        canvas.ellipse(px, 0.39, 0.020, 0.024, (255, 240, 196))


def _room(canvas: Canvas, light: Light, random: np.random.Generator) -> None:
    wall_color: RGB = ((226, 214, 196), (204, 214, 210), (220, 206, 204), (210, 214, 198))[int(random.integers(0, 4))]
    # A lamp is on at night: the walls are warmer and lighter than the world outside.
    inside = light.soften(0.35) if light.time == "night" else light
    wall, wood = inside(wall_color), inside((186, 146, 108))
    left, top, right, bottom = -REACH - 1.5, -0.6, REACH + 1.5, 0.66
    side = -1 if random.random() < 0.5 else 1
    panes = [
        (side * 0.46 - 0.19, 0.13, side * 0.46 + 0.19, 0.475),
        (-side * 1.12 - 0.19, 0.13, -side * 1.12 + 0.19, 0.475),
    ]
    # The wall is laid around the windows, so that the sky and its clouds show through them.
    columns = sorted([left, right, *(edge for pane in panes for edge in (pane[0], pane[2]))])
    for index in range(len(columns) - 1):
        start, end = columns[index], columns[index + 1]
        if any(pane[0] <= start and end <= pane[2] for pane in panes):
            canvas.box(start - 0.001, top, end + 0.001, 0.13, lighten(wall, 0.05))
            canvas.box(start - 0.001, 0.475, end + 0.001, bottom, (wall, darken(wall, 0.06)))
        else:
            canvas.box(start, top, end, bottom, (lighten(wall, 0.10), darken(wall, 0.06)))
    for x0, y0, x1, y1 in panes:
        hills = inside((150, 182, 140))
        canvas.polygon([(x0, 0.40), (x0 + 0.12, 0.36), (x0 + 0.26, 0.39), (x1, 0.37), (x1, y1), (x0, y1)], hills)
        frame = lighten(inside((240, 236, 228)), 0.2)
        middle = (x0 + x1) / 2
        for line in (
            [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)],
            [(middle, y0), (middle, y1)],
            [(x0, y0 + 0.12), (x1, y0 + 0.12)],
        ):
            canvas.stroke(line, 0.014, frame)
        canvas.box(x0 - 0.03, y1 + 0.004, x1 + 0.03, y1 + 0.024, frame, radius=0.004)
        curtain = inside((214, 168, 140))
        for edge, way in ((x0 - 0.035, 1), (x1 + 0.035, -1)):
            for fold in range(3):
                at = edge + way * fold * 0.026
                canvas.box(
                    min(at, at + way * 0.027),
                    0.09,
                    max(at, at + way * 0.027),
                    0.60,
                    (curtain, darken(curtain, 0.08 + 0.06 * (fold % 2))),
                )
        canvas.stroke([(x0 - 0.07, 0.085), (x1 + 0.07, 0.085)], 0.010, darken(wood, 0.3))
    canvas.box(left, bottom - 0.03, right, bottom, lighten(wall, 0.35))
    canvas.box(left, bottom, right, 1.9, (lighten(wood, 0.12), darken(wood, 0.18)))
    for index in range(-16, 17):
        canvas.polygon(
            [
                (index * 0.17 - 0.0012, bottom),
                (index * 0.17 + 0.0012, bottom),
                (index * 0.34 + 0.003, 1.3),
                (index * 0.34 - 0.003, 1.3),
            ],
            darken(wood, 0.4),
            0.5,
        )
    _furniture(canvas, inside, -side, wood)
    # Daylight falls through the window onto the floor.
    if light.time == "day":
        x0, _, x1, _ = panes[0]
        canvas.polygon(
            [(x0 - side * 0.06, 0.74), (x1 - side * 0.06, 0.74), (x1 - side * 0.22, 0.93), (x0 - side * 0.22, 0.93)],
            (255, 246, 214),
            0.28,
        )


def _furniture(canvas: Canvas, light: Light, side: int, wood: RGB) -> None:
    x = side * 0.52
    shelf = darken(wood, 0.2)
    canvas.box(x - 0.20, 0.20, x + 0.20, 0.70, shelf, radius=0.006)
    spines: tuple[RGB, ...] = (
        (186, 92, 80),
        (92, 128, 150),
        (222, 190, 120),
        (110, 142, 110),
        (214, 208, 196),
        (142, 110, 140),
    )
    for row in range(4):
        top = 0.215 + row * 0.118
        canvas.box(x - 0.187, top, x + 0.187, top + 0.106, darken(shelf, 0.38))
        place = x - 0.182
        index = row * 3
        while place < x + 0.13 - 0.03 * row:
            width = 0.016 + 0.006 * (index * 7 % 3)
            canvas.box(
                place,
                top + 0.020 + 0.009 * (index * 5 % 4),
                place + width,
                top + 0.106,
                light(spines[(index * 5 + row) % len(spines)]),
                radius=0.002,
            )
            place += width + 0.002
            index += 1
    trees.draw_potted_plant(canvas.shift(side * 0.86, 0.53, 0.19), light, 7, (98, 146, 92))
    image = side * 0.02
    canvas.box(image - 0.085, 0.20, image + 0.085, 0.335, lighten(wood, 0.1), radius=0.003)
    canvas.box(image - 0.074, 0.211, image + 0.074, 0.324, light((238, 236, 226)))
    canvas.polygon(
        [
            (image - 0.074, 0.324),
            (image - 0.03, 0.262),
            (image + 0.012, 0.30),
            (image + 0.04, 0.275),
            (image + 0.074, 0.324),
        ],
        light((136, 166, 150)),
    )
    canvas.ellipse(image + 0.036, 0.245, 0.012, 0.012, light((230, 176, 110)))


BUILT_PLACES: dict[str, Landscape] = {
    "nursery": Landscape((_nursery_far, _nursery, None)),
    "city": Landscape((_skyline, _street, None)),
    "room": Landscape((None, _room, None)),
}
