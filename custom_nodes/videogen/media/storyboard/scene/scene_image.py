"""The moving image of a segment: scenery, figures and the camera's frame."""

from __future__ import annotations

import math
from functools import lru_cache

from PIL import Image

from ....core.segment.plan import SegmentPlan
from ..drawing.canvas import Canvas
from ..drawing.colors import RGB, Light, parse_color
from ..drawing.theme import ACCENT, ink_on
from ..drawing.typeset import TextStyle, draw_line, fit_line
from .blocking import SCENERY_ZOOM, Figure, place_figures
from .scenery import drift, paint_layers, read_scene
from .viewfinder import dim_outside, draw_brackets, draw_ghosts, paint_arrows, viewfinder_rect

_BREATH = 3.6  # seconds


# A film stays in one place for several segments: the last two scenes are cached. Nothing is drawn on them.
_layers = lru_cache(maxsize=2)(paint_layers)


class SceneImage:
    """Draws the static parts of a segment's image once; `draw` composes a moment from them."""

    def __init__(self, plan: SegmentPlan, size: tuple[int, int], unit: float) -> None:
        """`size` in pixels; `unit` is the length in pixels of one unit of the layout."""
        self.plan, self.size, self.unit = plan, size, unit
        scene = read_scene(plan)
        self._pad = round(size[0] * 0.05) if plan.shot.move == "track" else 0
        self._layers = _layers(scene, size, SCENERY_ZOOM[plan.shot.size], self._pad)
        self._sprites = [
            _Sprite(figure, _paint_figure(figure, size, scene.light))
            for figure in place_figures(plan, size, scene.light, scene.horizon)
        ]
        self._line = max(1.0, 3 * unit)
        self._arrows = paint_arrows(plan.shot, size, plan.size, self._line, ACCENT)
        self._marks = _paint_marks(plan, [sprite.figure for sprite in self._sprites], size, unit)

    def draw(self, seconds: float, progress: float) -> Image.Image:
        """The image, RGB, `seconds` after the segment's start, which is `progress` (0 to 1) of its camera move."""
        image = self.scenery(seconds, progress)
        for index, sprite in enumerate(self._sprites):
            sprite.draw(image, seconds, 0.7 * index)
        if self._layers.front:
            front = self._layers.front
            image.paste(front[0], (front[1] - round(self._track(progress) * 1.5), front[2]), front[0])
        box = viewfinder_rect(self.plan.shot, self.size, self.plan.size, progress)
        dim_outside(image, box)
        draw_ghosts(image, self.plan.shot, self.plan.size, self._line)
        draw_brackets(image, box, max(1.5, 5 * self.unit))
        for mark, x, y in (*self._arrows, *self._marks):
            image.paste(mark, (x, y), mark)
        return image

    def scenery(self, seconds: float = 0.0, progress: float = 0.5) -> Image.Image:
        """The place without figures, RGB, at a moment."""
        image = self._layers.sky.copy()
        # On a tracking shot the camera passes near layers faster than far ones.
        track = self._track(progress)
        for layer, shift in (
            (self._layers.clouds, -drift(seconds, self.size)),
            (self._layers.far, track * 0.5),
            (self._layers.near, -track * 0.5),
        ):
            if layer:
                image.paste(layer[0], (layer[1] + round(shift), layer[2]), layer[0])
        return image

    def _track(self, progress: float) -> float:
        return (progress - 0.5) * self._pad * self.plan.shot.amount


class _Sprite:
    """A figure's image, cropped to its visible part, and its position."""

    def __init__(self, figure: Figure, painted: tuple[Image.Image, int, int] | None) -> None:
        self.figure = figure
        self._painted = painted

    def draw(self, image: Image.Image, seconds: float, phase: float) -> None:
        if self._painted is None:
            return
        sprite, left, top = self._painted
        figure = self.figure
        turn = 2 * math.pi * seconds / _BREATH + phase
        lean = figure.sway * math.sin(turn * 0.61)
        breath = 0.0 if figure.sway == 0 else 0.0022 * math.sin(turn)
        if lean or breath:
            # Stretched a little from the ground up, and leaned: x and y of the source for each pixel.
            shear = lean / max(1.0, figure.height)
            ground = figure.base - top
            grown = 1 / (1 + breath)
            source = (1, shear, -shear * ground, 0, grown, ground * (1 - grown))
            sprite = sprite.transform(sprite.size, Image.Transform.AFFINE, source, Image.Resampling.BILINEAR)
        image.paste(sprite, (left, top), sprite)


def _paint_figure(figure: Figure, size: tuple[int, int], light: Light) -> tuple[Image.Image, int, int] | None:
    margin = math.ceil(figure.sway * 2 + figure.height * 0.05) + 3
    reach = figure.height * figure.aspect / 2 + margin
    left, right = math.floor(max(0, figure.x - reach)), math.ceil(min(size[0], figure.x + reach))
    top, bottom = math.floor(max(0, figure.top - margin)), math.ceil(min(size[1], figure.base + margin))
    if left >= right or top >= bottom:
        return None
    canvas = Canvas((right - left, bottom - top), figure.height, (figure.x - left, figure.base - figure.height - top))
    half = figure.aspect * (0.34 if figure.aspect < 1.2 else 0.46)
    for grow, alpha in ((1.15, 0.10), (1.0, 0.12), (0.8, 0.14)):
        canvas.ellipse(0, 1.0, half * grow, half * grow * 0.15, (20, 26, 30), alpha)
    figure.paint(canvas, light)
    image = canvas.finish()
    if figure.initial:
        letter = round(figure.height * 0.48)
        style = TextStyle(max(4, letter), letter, ink_on(parse_color(figure.entity.color)), bold=True)
        draw_line(
            image, figure.x - left, figure.base - figure.height * 0.525 - top - letter / 2, figure.initial, style, "m"
        )
    return image, left, top


def _paint_marks(
    plan: SegmentPlan, figures: list[Figure], size: tuple[int, int], unit: float
) -> list[tuple[Image.Image, int, int]]:
    """Names above the heads, and START and END at the ends of a camera move."""
    marks: list[tuple[Image.Image, int, int]] = []
    if size[0] < 260 * unit or size[1] < 200 * unit or unit * 17 < 7:
        return marks
    taken: list[tuple[float, float, float, float]] = []
    first, last = (viewfinder_rect(plan.shot, size, plan.size, share) for share in (0.0, 1.0))
    if plan.shot.move != "static" and plan.shot.amount > 0:
        # Each is at its own end of the path.
        sides = "rl" if first[0] + first[2] > last[0] + last[2] else "lr"
        for text, box, side in (("START", first, sides[0]), ("END", last, sides[1])):
            style = TextStyle(
                max(8, round(14 * unit)), max(9, round(20 * unit)), (255, 255, 255), bold=True, spacing=1.2 * unit
            )
            tag = _tag(text, style, None, unit)
            x = box[0] + 10 * unit if side == "l" else box[2] - tag.width - 10 * unit
            y = box[1] - tag.height - 4 * unit
            if y < 2 * unit:
                y = box[1] + 8 * unit
            marks.append((tag, round(x), round(y)))
            taken.append((x, y, x + tag.width, y + tag.height))
    style = TextStyle(max(8, round(17 * unit)), max(10, round(26 * unit)), (255, 255, 255), bold=True)
    for figure in sorted(figures, key=lambda each: each.x):
        if figure.entity.kind != "character":
            continue
        tag = _tag(
            fit_line(figure.entity.label or figure.entity.name, style.width, min(230 * unit, size[0] * 0.4)),
            style,
            parse_color(figure.entity.color),
            unit,
        )
        x = min(size[0] - tag.width - 6 * unit, max(6 * unit, figure.x - tag.width / 2))
        y = max(6 * unit, figure.top - tag.height - 10 * unit)
        for _ in range(8):
            overlap = [
                other
                for other in taken
                if x < other[2] and other[0] < x + tag.width and y < other[3] and other[1] < y + tag.height
            ]
            if not overlap:
                break
            # The next free line above, or, at the upper edge, below.
            above = min(other[1] for other in overlap) - tag.height - 4 * unit
            y = above if above >= 6 * unit else max(other[3] for other in overlap) + 4 * unit
        marks.append((tag, round(x), round(y)))
        taken.append((x, y, x + tag.width, y + tag.height))
    return marks


def _tag(text: str, style: TextStyle, dot: RGB | None, unit: float) -> Image.Image:
    """A small dark label with a dot of color."""
    pad, height = 10 * unit, style.leading
    lead = 16 * unit if dot else 0.0
    canvas = Canvas((max(1, math.ceil(style.width(text) + 2 * pad + lead)), height))
    canvas.box(0, 0, canvas.size[0], height, (18, 21, 27), 0.80, height / 2)
    if dot:
        canvas.ellipse(pad + 4 * unit, height / 2, 5 * unit, 5 * unit, dot)
    image = canvas.finish()
    draw_line(image, pad + lead, 0, text, style)
    return image
