"""Clips of known colors in every way in which videos encode them, made by ffmpeg; and reading them back."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from custom_nodes.videogen.media.ffmpeg import find_ffmpeg

#: Saturated and muted colors, skin, gray, black and white; BT.601 read as BT.709 moves most of them by 10 to 25.
PATCHES = (
    (40, 180, 60),
    (200, 30, 30),
    (20, 40, 210),
    (128, 128, 128),
    (235, 235, 235),
    (12, 12, 12),
    (220, 180, 140),
    (90, 60, 160),
)
SIZE = (320, 180)
_NAMES = {"bt601": "smpte170m", "bt709": "bt709", "bt2020": "bt2020nc"}


@dataclass(frozen=True)
class Encoding:
    """How a clip has its colors: matrix ``bt601``, ``bt709`` or ``bt2020``; range ``tv`` or ``pc``; what its tags say."""

    matrix: str = "bt709"
    range: str = "tv"
    pixel_format: str = "yuv420p"
    tagged: bool = True
    primaries: str = "bt709"
    transfer: str = "bt709"


def draw_patches(size: tuple[int, int] = SIZE) -> np.ndarray:
    """The patches in two rows of four: uint8, shape (height, width, 3)."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    for index, color in enumerate(PATCHES):
        row, column = divmod(index, 4)
        image[row * height // 2 : (row + 1) * height // 2, column * width // 4 : (column + 1) * width // 4] = color
    return image


def write_clip(
    path: Path, encoding: Encoding, *, size: tuple[int, int] = SIZE, frames: int = 8, fps: int = 4, convert: str = ""
) -> Path:
    """A clip of the patches.

    Args:
        convert: a zscale filter that changes the primaries or transfer before the clip is encoded.
    """
    tags = (_NAMES[encoding.matrix], encoding.primaries, encoding.transfer, encoding.range)
    matrix, primaries, transfer, levels = tags if encoding.tagged else ("unknown",) * 4
    filters = [
        *([convert, "setparams=color_primaries=bt709:color_trc=bt709"] if convert else []),
        f"scale=in_range=full:out_range={encoding.range}:out_color_matrix={encoding.matrix}:flags=accurate_rnd+full_chroma_int",
        f"format={encoding.pixel_format}",
        f"setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}:range={levels}",
    ]
    command = [find_ffmpeg(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{size[0]}x{size[1]}", "-r", str(fps), "-i", "-", "-vf", ",".join(filters)]
    command += ["-c:v", "libx264", "-qp", "1", "-g", str(fps), "-bf", "2", "-sc_threshold", "0", str(path)]
    subprocess.run(command, input=draw_patches(size).tobytes() * frames, check=True)
    return path


def read_with_ffmpeg(path: Path, frame: int = 0, *, matrix: str = "bt709", size: tuple[int, int] = SIZE) -> np.ndarray:
    """A frame as a player shows it that reads a limited-range video with this matrix, whatever its tags say."""
    filters = f"select=eq(n\\,{frame}),scale=in_range=tv:out_range=pc:in_color_matrix={matrix}:flags=accurate_rnd+full_chroma_int"
    command = [find_ffmpeg(), "-v", "error", "-i", str(path), "-vf", f"{filters},format=rgb24", "-frames:v", "1"]
    done = subprocess.run([*command, "-f", "rawvideo", "-"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(size[1], size[0], 3)


def sample(image: np.ndarray) -> np.ndarray:
    """The mean color in the middle of each patch: shape (8, 3)."""
    height, width = image.shape[:2]
    reach = max(2, height // 24)
    colors = []
    for index in range(len(PATCHES)):
        row, column = divmod(index, 4)
        y, x = (2 * row + 1) * height // 4, (2 * column + 1) * width // 8
        colors.append(
            image[y - reach : y + reach, x - reach : x + reach].reshape(-1, image.shape[2])[:, :3].mean(axis=0)
        )
    return np.array(colors)


def error_of(image: np.ndarray, truth: Sequence[tuple[int, int, int]] = PATCHES) -> float:
    """The largest difference of a channel from the truth, in levels of 255."""
    return float(np.abs(sample(image) - np.array(truth)).max())
