"""Small images: the faces on chips, and icons for shot size and camera move."""

from __future__ import annotations

import math
from functools import lru_cache

from PIL import Image

from ....core.segment.plan import SegmentPlan
from ....core.segment.shots import MOVE_DIRECTIONS, SHOT_SIZES, Shot
from ....core.story.model import Entity
from ..drawing.canvas import Canvas, box_points
from ..drawing.colors import RGB, Light, darken, mix, parse_color
from ..drawing.theme import WHITE, ink_on
from ..drawing.typeset import TextStyle, draw_line
from ..scene.people import draw_person
from ..scene.props import read_prop
from ..scene.scenery import Scene, paint_layers, read_scene
from ..scene.words import read_look


def draw_avatar(entity: Entity, plan: SegmentPlan, diameter: int) -> Image.Image:
    """A round image of a person, thing or place on its color; RGBA, `diameter` pixels wide and high.

    The color remains visible around the image as a ring.
    """
    diameter, color = max(4, diameter), parse_color(entity.color)
    if entity.kind == "location":
        return _draw_place(read_scene(plan), color, diameter)
    disc = Canvas((diameter, diameter), diameter)
    disc.ellipse(0.5, 0.5, 0.5, 0.5, color)
    image = disc.finish()
    figure = Canvas((diameter, diameter), diameter)
    if entity.kind == "character":
        draw_person(figure.shift(0.5, 0.16, 3.1), read_look(entity, color), Light())
        # Shoulders end at the disc's edge.
        empty = Image.new("RGBA", image.size, (0, 0, 0, 0))
        image.alpha_composite(Image.composite(figure.finish(), empty, image.getchannel("A")))
        return image
    prop = read_prop(entity)
    height = min(0.70, 0.74 / prop.aspect)
    figure.ellipse(0.5, 0.5, 0.41, 0.41, mix(color, WHITE, 0.78))
    prop.paint(figure.shift(0.5, 0.5 - height / 2, height), Light())
    image.alpha_composite(figure.finish())
    if prop.initial:
        size = max(4, round(diameter * 0.40))
        draw_line(
            image,
            diameter / 2,
            diameter * 0.47 - size / 2,
            prop.initial,
            TextStyle(size, size, ink_on(color), True),
            "m",
        )
    return image


@lru_cache(maxsize=32)
def _draw_place(scene: Scene, color: RGB, diameter: int) -> Image.Image:
    disc = Canvas((diameter, diameter), diameter)
    disc.ellipse(0.5, 0.5, 0.5, 0.5, color)
    image = disc.finish()
    size = max(4, round(diameter * 0.82))
    layers = paint_layers(scene, (size * 2, size * 2), 0.9)
    view = layers.sky
    for layer in (layers.clouds, layers.far, layers.near):
        if layer:
            view.paste(layer[0], (layer[1], layer[2]), layer[0])
    mask = Canvas((size, size), size)
    mask.ellipse(0.5, 0.5, 0.5, 0.5, WHITE)
    offset = (diameter - size) // 2
    image.paste(view.resize((size, size), Image.Resampling.LANCZOS), (offset, offset), mask.finish().getchannel("A"))
    return image


def draw_size_icon(shot: Shot, pixels: int, color: RGB) -> Image.Image:
    """A frame with a person in it, as large as the shot shows one."""
    canvas = Canvas((round(pixels * 1.4), pixels), pixels)
    outline = box_points(0.06, 0.10, 1.34, 0.90, 0.10)
    canvas.stroke([*outline, outline[0]], 0.075, color)
    height = max(0.30, SHOT_SIZES[shot.size][1] * 0.80)
    top = 0.84 - height if height < 0.62 else 0.24
    inner = Canvas(canvas.size, pixels)
    head = max(0.055, height * 0.10)
    inner.ellipse(0.70, top + head, head, head * 1.12, color)
    shoulders, base = head * 1.75, max(top + height, top + head * 3)
    inner.box(0.70 - shoulders, top + head * 2.35, 0.70 + shoulders, base, color, radius=head)
    figure = inner.finish()
    window = (math.ceil(0.14 * pixels), math.ceil(0.18 * pixels), math.floor(1.26 * pixels), math.floor(0.82 * pixels))
    image = canvas.finish()
    if window[0] < window[2] and window[1] < window[3]:
        piece = figure.crop(window)
        image.paste(piece, window[:2], piece)
    return image


def draw_move_icon(shot: Shot, pixels: int, color: RGB) -> Image.Image:
    """Arrows for the camera's move, or a camera on its stand when it is static."""
    canvas = Canvas((pixels, pixels), pixels)
    way = MOVE_DIRECTIONS.get(shot.move)
    if shot.move == "static":
        canvas.box(0.12, 0.14, 0.66, 0.52, color, radius=0.07)
        canvas.polygon([(0.66, 0.33), (0.90, 0.18), (0.90, 0.48)], color)
        canvas.stroke([(0.38, 0.52), (0.20, 0.90)], 0.075, color)
        canvas.stroke([(0.40, 0.52), (0.58, 0.90)], 0.075, color)
    elif way:
        _arrow(canvas, (0.5 - 0.34 * way[0], 0.5 - 0.34 * way[1]), (0.5 + 0.40 * way[0], 0.5 + 0.40 * way[1]), color)
        if shot.move == "track":
            canvas.stroke([(0.12, 0.84), (0.88, 0.84)], 0.07, color)
    else:
        outwards = shot.move == "zoom-out"
        for x, y in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
            far, near = (0.5 + 0.38 * x, 0.5 + 0.38 * y), (0.5 + 0.12 * x, 0.5 + 0.12 * y)
            _arrow(canvas, near if outwards else far, far if outwards else near, color, 0.20)
    return canvas.finish()


def _arrow(canvas: Canvas, tail: tuple[float, float], tip: tuple[float, float], color: RGB, head: float = 0.30) -> None:
    length = math.dist(tail, tip)
    ux, uy = (tip[0] - tail[0]) / length, (tip[1] - tail[1]) / length
    neck = (tip[0] - ux * head, tip[1] - uy * head)
    canvas.stroke([tail, neck], 0.09, color)
    canvas.polygon(
        [
            tip,
            (neck[0] - uy * head * 0.7, neck[1] + ux * head * 0.7),
            (neck[0] + uy * head * 0.7, neck[1] - ux * head * 0.7),
        ],
        color,
    )


def draw_missing_icon(pixels: int, color: RGB) -> Image.Image:
    """An empty image frame with a stroke through it."""
    canvas = Canvas((pixels, pixels), pixels)
    outline = box_points(0.08, 0.20, 0.92, 0.80, 0.08)
    canvas.stroke([*outline, outline[0]], 0.055, color)
    for x in (0.24, 0.42, 0.58, 0.76):
        for y in (0.30, 0.70):
            canvas.box(x - 0.035, y - 0.03, x + 0.035, y + 0.03, darken(color, 0.15), radius=0.01)
    canvas.stroke([(0.16, 0.94), (0.84, 0.06)], 0.12, (19, 21, 26))
    canvas.stroke([(0.16, 0.94), (0.84, 0.06)], 0.055, color)
    return canvas.finish()
