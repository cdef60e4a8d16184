"""Footage with known properties: the storyboard's figures in front of painted places, moved by given amounts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from custom_nodes.videogen.media.storyboard.drawing.canvas import Canvas
from custom_nodes.videogen.media.storyboard.drawing.colors import RGB, Light
from custom_nodes.videogen.media.storyboard.scene.people import draw_person
from custom_nodes.videogen.media.storyboard.scene.words import HAIR, SKIN, Look

SIZE = (480, 270)

#: The figures. They differ in clothes, hair, skin, hat and build.
CAST = {
    "tom": Look(skin=SKIN[0], hair=HAIR[3], top=(66, 116, 186), trousers=(128, 92, 66)),
    "ida": Look(
        skin=SKIN[4],
        hair=HAIR[2],
        top=(196, 74, 66),
        trousers=(70, 74, 84),
        long_hair=True,
        feminine=True,
        dress=(232, 192, 84),
        pose=1,
    ),
    "ole": Look(
        skin=SKIN[1],
        hair=(204, 204, 204),
        top=(238, 236, 230),
        trousers=(60, 60, 66),
        jacket=(82, 104, 66),
        beard=True,
        hat=(96, 66, 48),
        pose=2,
    ),
    "eva": Look(
        skin=SKIN[2],
        hair=HAIR[1],
        top=(226, 144, 168),
        trousers=(74, 88, 118),
        feminine=True,
        long_hair=True,
        glasses=True,
    ),
}
#: Places: two colors of a gradient, that of the ground, and a seed for the objects in it.
PLACES: dict[str, tuple[RGB, RGB, RGB, int]] = {
    "field": ((176, 206, 232), (222, 232, 236), (110, 92, 66), 1),
    "forest": ((70, 104, 74), (120, 150, 104), (72, 66, 46), 2),
    "room": ((206, 188, 164), (222, 208, 190), (148, 104, 72), 3),
    "street": ((150, 156, 168), (184, 186, 192), (92, 94, 100), 4),
}


@dataclass(frozen=True)
class Footage:
    """Frames, uint8 (n, height, width, 3), and where the figure is, float32 (n, height, width)."""

    frames: np.ndarray
    masks: np.ndarray


def film(
    who: str | Look = "tom",
    place: str = "field",
    *,
    frames: int = 12,
    size: tuple[int, int] = SIZE,
    scale: float = 1.0,
    shift: float = 0.0,
    speed: float = 2.0,
    pan: float = 1.0,
    seed: int = 0,
) -> Footage:
    """A figure that walks through a place.

    Args:
        scale, shift: of the figure; shift in shares of the width.
        speed, pan: of the figure and of the background, in pixels a frame at 480 pixels of width.
    """
    width, height = size
    unit = width / SIZE[0]
    ground = paint_place(place, (width * 3 // 2, height), seed)
    backgrounds = (_shift(ground, -pan * unit * number - width * 0.15, 0)[:, :width] for number in range(frames))
    return _walk(who, backgrounds, frames, size, scale, shift, speed)


def film_over(who: str | Look, backgrounds: np.ndarray, *, shift: float = 0.0) -> Footage:
    """The same figure, walking before given frames, uint8 (n, height, width, 3)."""
    count, height, width = backgrounds.shape[:3]
    return _walk(who, iter(backgrounds.astype(np.float32)), count, (width, height), shift=shift)


def _walk(
    who: str | Look,
    backgrounds: Iterator[np.ndarray],
    frames: int,
    size: tuple[int, int],
    scale: float = 1.0,
    shift: float = 0.0,
    speed: float = 2.0,
) -> Footage:
    look = CAST[who] if isinstance(who, str) else who
    width, height = size
    unit = width / SIZE[0]
    sprite = paint_figure(look, round(0.82 * height * scale))
    images, masks = [], []
    for number, background in enumerate(backgrounds):
        x = width * (0.5 + shift) - sprite.shape[1] / 2 + (number - frames / 2) * speed * unit
        y = height * 0.96 - sprite.shape[0] + 1.5 * unit * np.sin(number * 0.9)
        # The sprite is premultiplied: moved by parts of a pixel, its edges stay right.
        moved = cv2.warpAffine(sprite, np.array([[1, 0, x], [0, 1, y]], np.float32), (width, height))
        alpha = moved[..., 3:]
        images.append(background * (1 - alpha) + moved[..., :3] * 255)
        masks.append(alpha[..., 0])
    return Footage(np.rint(np.clip(np.stack(images), 0, 255)).astype(np.uint8), np.stack(masks))


def paint_figure(look: Look, height: int) -> np.ndarray:
    """Float32 (height, width, 4), premultiplied, 0 to 1."""
    canvas = Canvas((round(height * 0.46), height), height * 0.98, (height * 0.23, height * 0.02))
    draw_person(canvas, look, Light())
    rgba = np.asarray(canvas.finish(), np.float32) / 255
    return np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], axis=2)


def paint_place(place: str, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Float32 (height, width, 3), 0 to 255: a gradient, a ground, and things with edges to follow."""
    top, bottom, ground, number = PLACES[place]
    random = np.random.default_rng([number, seed])
    width, height = size
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    image = np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share
    image = np.repeat(image, width, axis=1)
    horizon = round(height * 0.62)
    image[horizon:] = ground
    for _ in range(26):
        x, y = int(random.integers(0, width)), int(random.normal(horizon, height * 0.14))
        tone = np.array(ground if random.random() < 0.6 else top, np.float32) + random.normal(0, 14, 3)
        color = tuple(float(value) for value in np.clip(tone, 0, 255))
        cv2.rectangle(image, (x, y - int(random.integers(6, 46))), (x + int(random.integers(4, 26)), y), color, -1)
    noise = random.normal(0, 7, (height // 3 + 1, width // 3 + 1, 1)).astype(np.float32)
    texture = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.GaussianBlur(np.clip(image + texture[..., None], 0, 255), (0, 0), 0.8)


def _shift(image: np.ndarray, x: float, y: float) -> np.ndarray:
    return cv2.warpAffine(
        image, np.array([[1, 0, x], [0, 1, y]], np.float32), image.shape[1::-1], borderMode=cv2.BORDER_REFLECT
    )


# ------------------------------------------------------------------ known changes


def turn_hue(color: RGB, degrees: float) -> RGB:
    """A color with another CIELAB hue, as far as sRGB has it."""
    lab = cv2.cvtColor(np.array([[color]], np.float32) / 255, cv2.COLOR_RGB2Lab)[0, 0]
    turn = np.radians(degrees)
    a, b = lab[1] * np.cos(turn) - lab[2] * np.sin(turn), lab[1] * np.sin(turn) + lab[2] * np.cos(turn)
    rgb = cv2.cvtColor(np.array([[[lab[0], a, b]]], np.float32), cv2.COLOR_Lab2RGB)[0, 0]
    red, green, blue = (round(float(value) * 255) for value in np.clip(rgb, 0, 1))
    return red, green, blue


def hue_of(color: RGB) -> float:
    """Its CIELAB hue in degrees."""
    lab = cv2.cvtColor(np.array([[color]], np.float32) / 255, cv2.COLOR_RGB2Lab)[0, 0]
    return float(np.degrees(np.arctan2(lab[2], lab[1])))


def with_hue(who: str, degrees: float) -> Look:
    """The same figure in a shirt of another hue."""
    return dataclasses.replace(CAST[who], top=turn_hue(CAST[who].top, degrees))


def mix_looks(first: str, second: str, share: float) -> Look:
    """A figure on its way from one to the other: colors in between, the second's build from the middle on."""
    one, other = CAST[first], CAST[second]
    base = other if share >= 0.5 else one
    mixed: dict[str, Any] = {}
    for field in ("skin", "hair", "top", "trousers"):
        a, b = np.array(getattr(one, field), float), np.array(getattr(other, field), float)
        mixed[field] = tuple(round(value) for value in a * (1 - share) + b * share)
    return dataclasses.replace(base, **mixed)


def blurred(frames: np.ndarray, sigma: float) -> np.ndarray:
    return frames if sigma == 0 else np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


def with_gamma(frames: np.ndarray, gamma: float) -> np.ndarray:
    return np.rint(255 * (frames / 255.0) ** gamma).astype(np.uint8)


def warmed(frames: np.ndarray, amount: float) -> np.ndarray:
    """Red up and blue down by `amount` (0.1: ten per cent)."""
    return np.rint(np.clip(frames * np.array([1 + amount, 1, 1 - amount]), 0, 255)).astype(np.uint8)


def grainy(frames: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    """Gaussian grain, sigma in gray levels, new in each frame."""
    noise = np.random.default_rng(seed).normal(0, sigma, frames.shape)
    return np.rint(np.clip(frames + noise, 0, 255)).astype(np.uint8)


def as_jpeg(frames: np.ndarray, quality: int) -> np.ndarray:
    result = []
    for frame in frames:
        _, data = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        result.append(decoded[..., ::-1])
    return np.stack(result)
