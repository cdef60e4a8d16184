"""Symbols of things. Units: the thing's own height; (0, 0) is its top middle, y = 1 the ground."""

from __future__ import annotations

import math

from ..drawing.canvas import Canvas, box_points, curve
from ..drawing.colors import RGB, Light, darken, lighten, mix

_STEEL: RGB = (150, 160, 170)
_WOOD: RGB = (158, 116, 78)
_GLASS: RGB = (176, 208, 224)


def draw_can(canvas: Canvas, light: Light, color: RGB) -> None:
    """A watering can, its spout to the left."""
    body = light(color)
    canvas.stroke(
        curve([(0.28, 0.42), (0.62, 0.40), (0.60, 0.80), (0.28, 0.88)], closed=False), 0.065, darken(body, 0.25)
    )
    canvas.stroke(curve([(-0.18, 0.34), (0.06, 0.04), (0.26, 0.34)], closed=False), 0.06, darken(body, 0.25))
    canvas.polygon([(-0.22, 0.70), (-0.22, 0.86), (-0.62, 0.36), (-0.54, 0.30)], darken(body, 0.12))
    canvas.polygon([(-0.70, 0.34), (-0.52, 0.20), (-0.50, 0.34), (-0.58, 0.40)], lighten(body, 0.10))
    canvas.polygon(box_points(-0.30, 0.34, 0.32, 1.0, 0.07), (lighten(body, 0.10), darken(body, 0.14)))
    canvas.box(0.12, 0.34, 0.32, 1.0, darken(body, 0.5), 0.18, 0.07)
    canvas.box(-0.30, 0.48, 0.32, 0.52, darken(body, 0.3), 0.5)


def draw_bottle(canvas: Canvas, light: Light, color: RGB) -> None:
    glass = light(color)
    outline = [
        (-0.060, 0.10),
        (-0.060, 0.26),
        (-0.165, 0.40),
        (-0.170, 0.55),
        (-0.170, 0.985),
        (0.170, 0.985),
        (0.170, 0.55),
        (0.165, 0.40),
        (0.060, 0.26),
        (0.060, 0.10),
    ]
    canvas.polygon(outline, (lighten(glass, 0.18), darken(glass, 0.10)))
    canvas.box(-0.170, 0.94, 0.170, 1.0, darken(glass, 0.10), radius=0.03)
    canvas.polygon(
        [
            (0.06, 0.10),
            (0.06, 0.26),
            (0.165, 0.40),
            (0.170, 0.99),
            (0.08, 0.99),
            (0.08, 0.40),
            (0.02, 0.26),
            (0.02, 0.10),
        ],
        darken(glass, 0.5),
        0.20,
    )
    canvas.box(-0.165, 0.54, 0.165, 0.84, light((246, 242, 230)), radius=0.012)
    canvas.box(-0.11, 0.61, 0.11, 0.645, glass)
    canvas.box(-0.11, 0.69, 0.05, 0.715, light((180, 178, 170)))
    canvas.box(-0.075, 0.0, 0.075, 0.12, light((60, 64, 72)), radius=0.02)
    canvas.stroke([(-0.125, 0.43), (-0.125, 0.50)], 0.022, (255, 255, 255), 0.5)


def draw_spade(canvas: Canvas, light: Light, color: RGB) -> None:
    wood, steel = light(color), light(_STEEL)
    canvas.stroke([(-0.055, 0.022), (0.055, 0.022)], 0.030, darken(wood, 0.15))
    canvas.polygon(
        [(-0.05, 0.03), (-0.012, 0.10), (0.012, 0.10), (0.05, 0.03), (0.028, 0.03), (0, 0.075), (-0.028, 0.03)],
        darken(wood, 0.1),
    )
    canvas.stroke([(0, 0.09), (0, 0.68)], 0.026, (lighten(wood, 0.1), darken(wood, 0.1)))
    canvas.polygon([(-0.018, 0.58), (0.018, 0.58), (0.022, 0.68), (-0.022, 0.68)], darken(steel, 0.3))
    blade = [(-0.088, 0.66), (0.088, 0.66), (0.084, 0.86), (0.05, 0.955), (0, 1.0), (-0.05, 0.955), (-0.084, 0.86)]
    canvas.polygon(blade, (lighten(steel, 0.2), darken(steel, 0.15)))
    canvas.polygon([(0, 0.66), (0.088, 0.66), (0.084, 0.86), (0.05, 0.955), (0, 1.0)], darken(steel, 0.5), 0.22)


def draw_bucket(canvas: Canvas, light: Light, color: RGB) -> None:
    body = light(color)
    canvas.stroke(curve([(-0.44, 0.28), (-0.30, 0.03), (0.30, 0.03), (0.44, 0.28)], closed=False), 0.035, light(_STEEL))
    canvas.polygon([(-0.46, 0.28), (0.46, 0.28), (0.35, 1.0), (-0.35, 1.0)], (lighten(body, 0.1), darken(body, 0.2)))
    canvas.ellipse(0, 0.28, 0.46, 0.085, lighten(body, 0.25))
    canvas.ellipse(0, 0.29, 0.41, 0.065, darken(body, 0.5))


def draw_house(canvas: Canvas, light: Light, color: RGB) -> None:
    wall, roof = light(color), light((166, 92, 72))
    canvas.box(0.22, 0.06, 0.32, 0.34, darken(roof, 0.25))
    canvas.polygon([(-0.44, 0.44), (0, 0.08), (0.44, 0.44), (0.44, 1.0), (-0.44, 1.0)], (wall, darken(wall, 0.10)))
    canvas.polygon([(-0.54, 0.48), (-0.50, 0.40), (0, 0.0), (0.50, 0.40), (0.54, 0.48), (0, 0.085)], roof)
    canvas.box(-0.10, 0.66, 0.10, 1.0, light((112, 82, 66)), radius=0.01)
    for x in (-0.30, 0.30):
        canvas.box(x - 0.085, 0.56, x + 0.085, 0.76, (255, 255, 255))
        canvas.box(x - 0.07, 0.575, x + 0.07, 0.745, light(_GLASS) if light.time == "day" else (255, 214, 130))
        canvas.box(x - 0.006, 0.575, x + 0.006, 0.745, (255, 255, 255))
    canvas.ellipse(0, 0.38, 0.07, 0.07, light(_GLASS) if light.time == "day" else (255, 214, 130))


def draw_car(canvas: Canvas, light: Light, color: RGB) -> None:
    body = light(color)
    cabin = curve([(-0.66, 0.44), (-0.42, 0.06), (-0.10, 0.0), (0.28, 0.03), (0.62, 0.42), (0.0, 0.46)], steps=6)
    canvas.polygon(cabin, body)
    canvas.polygon([(-0.53, 0.40), (-0.36, 0.12), (-0.09, 0.09), (-0.09, 0.40)], light(_GLASS))
    canvas.polygon([(-0.03, 0.40), (-0.03, 0.09), (0.24, 0.12), (0.48, 0.40)], light(_GLASS))
    hull = [
        (-1.20, 0.50),
        (-1.08, 0.42),
        (-0.60, 0.40),
        (0.60, 0.40),
        (1.06, 0.46),
        (1.22, 0.58),
        (1.22, 0.80),
        (-1.22, 0.80),
    ]
    canvas.polygon(curve(hull, steps=4), (lighten(body, 0.06), darken(body, 0.16)))
    canvas.box(-1.18, 0.64, 1.18, 0.67, darken(body, 0.4), 0.4)
    canvas.ellipse(1.15, 0.57, 0.06, 0.05, (255, 242, 200))
    canvas.ellipse(-1.15, 0.57, 0.05, 0.05, (214, 70, 60))
    for x in (-0.74, 0.74):
        canvas.ellipse(x, 0.79, 0.215, 0.215, (38, 40, 46))
        canvas.ellipse(x, 0.79, 0.105, 0.105, light((186, 192, 198)))


def draw_bicycle(canvas: Canvas, light: Light, color: RGB) -> None:
    frame = light(color)
    for x in (-0.48, 0.48):
        ring = [
            (x + 0.30 * math.cos(turn / 24 * 2 * math.pi), 0.69 + 0.30 * math.sin(turn / 24 * 2 * math.pi))
            for turn in range(25)
        ]
        canvas.stroke(ring, 0.045, (48, 50, 56))
        for spoke in range(3):
            dx, dy = 0.28 * math.cos(spoke * math.pi / 3), 0.28 * math.sin(spoke * math.pi / 3)
            canvas.stroke([(x - dx, 0.69 - dy), (x + dx, 0.69 + dy)], 0.008, light(_STEEL))
    for line in (
        [(-0.48, 0.69), (-0.06, 0.69), (0.34, 0.28), (-0.20, 0.28), (-0.48, 0.69)],
        [(-0.06, 0.69), (-0.24, 0.18)],
        [(0.48, 0.69), (0.30, 0.10)],
    ):
        canvas.stroke(line, 0.042, frame)
    canvas.stroke([(-0.36, 0.17), (-0.14, 0.17)], 0.06, (48, 50, 56))
    canvas.stroke([(0.20, 0.06), (0.30, 0.09), (0.42, 0.05)], 0.04, (48, 50, 56))


def draw_dog(canvas: Canvas, light: Light, color: RGB) -> None:
    coat = light(color)
    canvas.stroke(curve([(-0.44, 0.48), (-0.60, 0.30), (-0.56, 0.12)], closed=False), 0.075, coat, end=0.045)
    for x, shade in ((-0.28, 0.18), (0.32, 0.18), (-0.40, 0.0), (0.22, 0.0)):
        canvas.stroke([(x, 0.60), (x, 0.96)], 0.12, darken(coat, shade), end=0.085)
        canvas.ellipse(x + 0.03, 0.965, 0.065, 0.035, darken(coat, shade))
    body = [
        (-0.46, 0.50),
        (-0.30, 0.38),
        (0.10, 0.40),
        (0.34, 0.34),
        (0.42, 0.56),
        (0.26, 0.70),
        (-0.28, 0.68),
        (-0.46, 0.62),
    ]
    canvas.polygon(curve(body), (lighten(coat, 0.06), darken(coat, 0.08)))
    canvas.polygon(curve([(0.20, 0.44), (0.30, 0.20), (0.44, 0.20), (0.46, 0.50), (0.34, 0.62)]), coat)
    canvas.polygon(
        curve([(0.26, 0.10), (0.38, 0.02), (0.50, 0.10), (0.64, 0.20), (0.64, 0.29), (0.46, 0.33), (0.30, 0.28)]), coat
    )
    canvas.polygon(curve([(0.27, 0.06), (0.34, 0.06), (0.34, 0.30), (0.24, 0.30)]), darken(coat, 0.38))
    canvas.ellipse(0.635, 0.205, 0.030, 0.026, (36, 32, 32))
    canvas.ellipse(0.455, 0.135, 0.018, 0.020, (36, 32, 32))
    canvas.stroke([(0.27, 0.42), (0.45, 0.42)], 0.045, light((190, 70, 62)))


def draw_cat(canvas: Canvas, light: Light, color: RGB) -> None:
    coat = light(color)
    canvas.stroke(
        curve([(-0.26, 0.92), (-0.52, 0.86), (-0.48, 0.56), (-0.40, 0.46)], closed=False), 0.09, coat, end=0.06
    )
    canvas.polygon(
        curve([(-0.30, 0.98), (-0.30, 0.66), (-0.04, 0.38), (0.22, 0.44), (0.28, 0.98)]), (coat, darken(coat, 0.14))
    )
    canvas.ellipse(0.12, 0.28, 0.23, 0.20, coat)
    for x in (-0.03, 0.27):
        canvas.polygon([(x - 0.08, 0.18), (x + (0.02 if x > 0 else -0.02), -0.01), (x + 0.09, 0.16)], coat)
    for x in (0.04, 0.21):
        canvas.ellipse(x, 0.26, 0.026, 0.034, (210, 200, 100))
        canvas.ellipse(x, 0.26, 0.010, 0.030, (30, 30, 30))
    canvas.polygon([(0.10, 0.325), (0.15, 0.325), (0.125, 0.35)], (206, 130, 130))


def draw_book(canvas: Canvas, light: Light, color: RGB) -> None:
    cover = light(color)
    canvas.box(-0.36, 0.02, 0.38, 1.0, darken(cover, 0.3), radius=0.03)
    canvas.box(-0.33, 0.035, 0.355, 0.965, light((246, 242, 230)))
    canvas.box(-0.38, 0.0, 0.34, 0.965, (lighten(cover, 0.06), darken(cover, 0.10)), radius=0.03)
    canvas.box(-0.38, 0.0, -0.30, 0.965, darken(cover, 0.28))
    canvas.box(-0.18, 0.20, 0.22, 0.26, lighten(cover, 0.6))
    canvas.box(-0.18, 0.32, 0.10, 0.36, lighten(cover, 0.4))


def draw_paper(canvas: Canvas, light: Light, color: RGB) -> None:
    sheet = light(color)
    canvas.polygon([(-0.37, 0.0), (0.20, 0.0), (0.37, 0.17), (0.37, 1.0), (-0.37, 1.0)], (sheet, darken(sheet, 0.08)))
    canvas.polygon([(0.20, 0.0), (0.37, 0.17), (0.20, 0.17)], darken(sheet, 0.22))
    for row in range(5):
        canvas.box(
            -0.25,
            0.28 + row * 0.11,
            (0.25, 0.18, 0.24, 0.10, 0.22)[row],
            0.315 + row * 0.11,
            mix(sheet, (70, 84, 104), 0.55),
        )
    canvas.ellipse(0.18, 0.86, 0.075, 0.075, (196, 74, 66))


def draw_sign(canvas: Canvas, light: Light, color: RGB) -> None:
    board = light(color)
    canvas.box(-0.025, 0.30, 0.025, 1.0, light(_WOOD))
    canvas.box(-0.36, 0.02, 0.36, 0.44, darken(board, 0.3), radius=0.03)
    canvas.box(-0.345, 0.035, 0.345, 0.425, board, radius=0.025)
    for row, reach in enumerate((0.24, 0.16)):
        canvas.box(-reach, 0.15 + row * 0.11, reach, 0.19 + row * 0.11, lighten(board, 0.75))


def draw_box(canvas: Canvas, light: Light, color: RGB) -> None:
    side = light(color)
    canvas.polygon([(-0.62, 0.18), (-0.44, 0.0), (0.62, 0.0), (0.48, 0.18)], lighten(side, 0.22))
    canvas.polygon([(0.48, 0.18), (0.62, 0.0), (0.62, 0.82), (0.48, 1.0)], darken(side, 0.30))
    canvas.box(-0.62, 0.18, 0.48, 1.0, (side, darken(side, 0.10)))
    canvas.box(-0.16, 0.18, 0.02, 1.0, lighten(side, 0.16))


def draw_bench(canvas: Canvas, light: Light, color: RGB) -> None:
    wood = light(color)
    for x in (-0.70, 0.70):
        canvas.box(x - 0.045, 0.02, x + 0.045, 1.0, darken(wood, 0.4), radius=0.02)
    for top in (0.04, 0.20, 0.36):
        canvas.box(-0.84, top, 0.84, top + 0.11, lighten(wood, 0.06), radius=0.03)
    canvas.box(-0.86, 0.56, 0.86, 0.66, (lighten(wood, 0.16), darken(wood, 0.1)), radius=0.03)


def draw_chair(canvas: Canvas, light: Light, color: RGB) -> None:
    wood = light(color)
    for x in (-0.22, 0.22):
        canvas.box(x - 0.03, 0.0, x + 0.03, 1.0, darken(wood, 0.2), radius=0.02)
    for top in (0.04, 0.20):
        canvas.box(-0.22, top, 0.22, top + 0.09, wood)
    canvas.box(-0.27, 0.50, 0.27, 0.58, lighten(wood, 0.15), radius=0.03)


def draw_table(canvas: Canvas, light: Light, color: RGB) -> None:
    wood = light(color)
    for x in (-0.72, 0.72):
        canvas.polygon([(x - 0.05, 0.1), (x + 0.05, 0.1), (x + 0.035, 1.0), (x - 0.035, 1.0)], darken(wood, 0.25))
    canvas.box(-0.78, 0.10, 0.78, 0.22, darken(wood, 0.15))
    canvas.box(-0.87, 0.0, 0.87, 0.11, lighten(wood, 0.12), radius=0.03)


def draw_lamp(canvas: Canvas, light: Light, color: RGB) -> None:
    canvas.ellipse(0, 0.20, 0.21, 0.21, (255, 232, 170), 0.25)
    canvas.box(-0.014, 0.26, 0.014, 0.97, light((70, 74, 82)))
    canvas.box(-0.12, 0.965, 0.12, 1.0, light((70, 74, 82)), radius=0.015)
    canvas.polygon([(-0.10, 0.04), (0.10, 0.04), (0.18, 0.30), (-0.18, 0.30)], (lighten(color, 0.3), color))


def draw_ball(canvas: Canvas, light: Light, color: RGB) -> None:
    ball = light(color)
    canvas.ellipse(0, 0.5, 0.5, 0.5, (lighten(ball, 0.14), darken(ball, 0.24)))
    canvas.stroke(curve([(-0.46, 0.36), (0, 0.50), (0.46, 0.36)], closed=False), 0.05, lighten(ball, 0.6))
    canvas.stroke(curve([(-0.30, 0.87), (0, 0.70), (0.30, 0.87)], closed=False), 0.05, lighten(ball, 0.6))


def draw_pole(canvas: Canvas, light: Light, color: RGB) -> None:
    wood = light(color)
    canvas.polygon([(-0.019, 0.0), (0.019, 0.0), (0.019, 0.99), (-0.019, 0.99)], wood)
    canvas.box(0.005, 0.0, 0.019, 0.99, darken(wood, 0.5), 0.35)
    canvas.ellipse(0, 0.003, 0.019, 0.006, lighten(wood, 0.35))


def draw_thing(canvas: Canvas, light: Light, color: RGB) -> None:
    """Any other thing: a rounded block with an initial."""
    body = light(color)
    canvas.box(-0.48, 0.02, 0.48, 1.0, darken(body, 0.3), radius=0.2)
    canvas.box(-0.48, 0.0, 0.48, 0.95, (lighten(body, 0.10), darken(body, 0.06)), radius=0.2)
