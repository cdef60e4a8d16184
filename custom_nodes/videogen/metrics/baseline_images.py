"""Baseline images, unrelated to any subject and drawn the same on every machine: they define "unrelated" for an embedding."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

#: Side of a baseline image in pixels.
BASELINE_SIDE = 224
_VARIANTS = 2

Painter = Callable[[np.random.Generator], np.ndarray]


@lru_cache(maxsize=1)
def draw_baseline_images() -> np.ndarray:
    """All baseline images: uint8, shape (images, 224, 224, 3), sRGB; each a shape on a background in colors of its own."""
    return np.stack(
        [
            painter(np.random.default_rng([7, number, variant]))
            for number, painter in enumerate(_PAINTERS)
            for variant in range(_VARIANTS)
        ]
    )


def _color(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(20, 236, 3))
    return red, green, blue


def _ground(random: np.random.Generator) -> np.ndarray:
    """A gradient from one color to another, with soft clouds in it."""
    first, second = np.array(_color(random), np.float32), np.array(_color(random), np.float32)
    share = np.linspace(0, 1, BASELINE_SIDE, dtype=np.float32)[:, None, None]
    clouds = cv2.resize(
        random.normal(0, 14, (7, 7)).astype(np.float32), (BASELINE_SIDE, BASELINE_SIDE), interpolation=cv2.INTER_CUBIC
    )
    plain = first * (1 - share) + second * share
    return np.clip(np.broadcast_to(plain, (BASELINE_SIDE, BASELINE_SIDE, 3)) + clouds[..., None], 0, 255).astype(
        np.uint8
    )


def _balls(random: np.random.Generator) -> np.ndarray:
    image = _ground(random)
    for _ in range(6):
        center = tuple(int(value) for value in random.integers(40, 184, 2))
        cv2.circle(image, center, int(random.integers(12, 46)), _color(random), -1, cv2.LINE_AA)
    return image


def _figure(random: np.random.Generator) -> np.ndarray:
    """A rough human figure: head, body, legs."""
    image, skin = _ground(random), _color(random)
    top, legs = _color(random), _color(random)
    cv2.rectangle(image, (86, 150), (138, 222), legs, -1)
    cv2.ellipse(image, (112, 118), (42, 50), 0, 0, 360, top, -1, cv2.LINE_AA)
    cv2.ellipse(image, (112, 46), (22, 28), 0, 0, 360, skin, -1, cv2.LINE_AA)
    cv2.ellipse(image, (112, 34), (24, 18), 0, 180, 360, _color(random), -1, cv2.LINE_AA)
    return image


def _house(random: np.random.Generator) -> np.ndarray:
    image, wall = _ground(random), _color(random)
    cv2.rectangle(image, (52, 100), (172, 204), wall, -1)
    cv2.fillPoly(image, [np.array([(40, 102), (112, 36), (184, 102)], np.int32)], _color(random), cv2.LINE_AA)
    for x in (68, 128):
        cv2.rectangle(image, (x, 122), (x + 28, 150), _color(random), -1)
    return image


def _tree(random: np.random.Generator) -> np.ndarray:
    image, leaf = _ground(random), np.array(_color(random))
    cv2.rectangle(image, (104, 120), (120, 216), _color(random), -1)
    for _ in range(60):
        x, y = (int(value) for value in random.normal((112, 86), (30, 26)))
        shade = tuple(int(value) for value in np.clip(leaf + random.integers(-30, 30), 0, 255))
        cv2.circle(image, (x, y), 12, shade, -1, cv2.LINE_AA)
    return image


def _stripes(random: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:BASELINE_SIDE, :BASELINE_SIDE].astype(np.float32)
    turn = float(random.uniform(0, np.pi))
    wave = 0.5 + 0.5 * np.sin((x * np.cos(turn) + y * np.sin(turn)) * float(random.uniform(0.12, 0.5)))
    first, second = np.array(_color(random), np.float32), np.array(_color(random), np.float32)
    return (first * wave[..., None] + second * (1 - wave[..., None])).astype(np.uint8)


def _fractal(random: np.random.Generator) -> np.ndarray:
    total = np.zeros((BASELINE_SIDE, BASELINE_SIDE, 3), np.float32)
    for cells in (4, 8, 16, 32, 64):
        noise = random.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(noise, (BASELINE_SIDE, BASELINE_SIDE), interpolation=cv2.INTER_CUBIC) * (8.0 / cells)
    return np.clip(np.array(_color(random), np.float32) + 34 * total, 0, 255).astype(np.uint8)


def _tiles(random: np.random.Generator) -> np.ndarray:
    cells = int(random.integers(5, 10))
    small = random.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
    return cv2.resize(small, (BASELINE_SIDE, BASELINE_SIDE), interpolation=cv2.INTER_NEAREST)


def _lines(random: np.random.Generator) -> np.ndarray:
    image = _ground(random)
    for _ in range(28):
        ends = random.integers(0, BASELINE_SIDE, (2, 2))
        cv2.line(image, tuple(map(int, ends[0])), tuple(map(int, ends[1])), _color(random), 3, cv2.LINE_AA)
    return image


_PAINTERS: tuple[Painter, ...] = (_balls, _figure, _house, _tree, _stripes, _fractal, _tiles, _lines)
