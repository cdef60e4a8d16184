"""Videos of ffmpeg whose frames are shown in another way than they are stored: turned, mirrored, stretched, at odd times."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from custom_nodes.videogen.media.ffmpeg import find_ffmpeg
from tests.support.videos import write_with_av

#: Colors of the quarters of `CORNERS`: upper left, upper right, lower left, lower right.
RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 180, 30), (30, 30, 200), (230, 230, 230)
QUARTERS = (RED, GREEN, BLUE, WHITE)
#: Options of ffmpeg → the quarters as a player shows them.
SHOWN = {
    "0": ([], QUARTERS),
    "90": (["-display_rotation", "90"], (GREEN, WHITE, RED, BLUE)),
    "180": (["-display_rotation", "180"], (WHITE, BLUE, GREEN, RED)),
    "270": (["-display_rotation", "270"], (BLUE, RED, WHITE, GREEN)),
    "mirrored": (["-display_rotation", "0", "-display_hflip"], (GREEN, RED, WHITE, BLUE)),
}


def ffmpeg(*arguments: object) -> None:
    subprocess.run([find_ffmpeg(), "-v", "error", "-y", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


def draw_corners(width: int, height: int) -> np.ndarray:
    """An image with a color in each quarter: uint8, (height, width, 3)."""
    image = np.empty((height, width, 3), np.uint8)
    for place, color in enumerate(QUARTERS):
        row, column = divmod(place, 2)
        image[row * height // 2 : (row + 1) * height // 2, column * width // 2 : (column + 1) * width // 2] = color
    return image


def read_corners(image: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """The colors of an image's quarters, each as the nearest of `QUARTERS`."""
    height, width = image.shape[:2]
    found = []
    for row in (height // 4, height * 3 // 4):
        for column in (width // 4, width * 3 // 4):
            color = image[row, column, :3].astype(int)
            found.append(min(QUARTERS, key=lambda one: int(np.abs(np.subtract(one, color)).sum())))
    return tuple(found)


def write_corners(path: Path, *, size: tuple[int, int] = (128, 72), frames: int = 8, fps: int = 4) -> Path:
    return write_with_av(path, [draw_corners(*size)] * frames, fps=fps, options={"crf": "10"})


def write_shown(path: Path, how: str, **options: int) -> Path:
    """The corners, shown as `SHOWN` says, in a copied stream."""
    source = write_corners(path.with_name(f"source_of_{path.stem}.mp4"), **options)
    ffmpeg(*SHOWN[how][0], "-i", source, "-c", "copy", path)
    return path
