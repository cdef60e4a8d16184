"""Fetching what a prompt has made, and making sure that it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.plan import SegmentPlan
from custom_nodes.videogen.core.quality import Quality, fit_size
from custom_nodes.videogen.core.timing import count_frames
from custom_nodes.videogen.media.ffmpeg import choose_encoder
from custom_nodes.videogen.media.probe import VideoInfo, hash_file, verify_video
from custom_nodes.videogen.media.writer import VideoWriter

from .client import ComfyClient
from .outcome import Outcome, find_video_files, is_video

#: Containers that are kept as they are; the film reads them all.
_KEPT = (".mp4", ".mov", ".mkv", ".webm", ".m4v")


@dataclass(frozen=True)
class Fetched:
    """Files of a prompt on this machine, not yet checked: either one video, or pictures in order."""

    paths: tuple[Path, ...]
    record: dict[str, Any]
    bytes: int


def fetch_outputs(client: ComfyClient, outcome: Outcome, folder: Path, stem: str) -> Fetched:
    """Download the video of a prompt, or its pictures, under names of our own: the server's are never used as paths.

    Raises:
        VideoGenError: `output-missing`, `video-broken` when the bytes are not those that the server's node hashed.
    """
    files, record = find_video_files(outcome)
    if is_video(files[0]["filename"]):
        files = files[:1]
    paths = []
    total = 0
    for index, file in enumerate(files):
        suffix = Path(file["filename"].replace("\\", "/")).suffix.lower()
        path = folder / f".{stem}-{index:05d}{suffix if suffix.isascii() and len(suffix) <= 6 else ''}.part"
        total += client.download(file, path)
        paths.append(path)
    if record and len(paths) == 1 and hash_file(paths[0]) != record["sha256"]:
        raise VideoGenError("video-broken", f"{files[0]['filename']} arrived with other bytes than the server wrote")
    return Fetched(tuple(paths), record, total)


@dataclass(frozen=True)
class Checked:
    """A segment's file that decodes and is what it should be, still under its temporary name."""

    path: Path
    target: Path
    info: VideoInfo
    bytes: int
    sha256: str


def settle(fetched: Fetched, plan: SegmentPlan, quality: Quality, folder: Path) -> Checked:
    """Check what was fetched by decoding all of it.

    Pictures, animations and exotic containers become an mp4 of the segment's length.

    Args:
        plan: the segment as it was rendered.
        folder: where the file is to lie.

    Raises:
        VideoGenError: `video-broken`.
    """
    path = fetched.paths[0]
    suffix = Path(path.stem).suffix
    if len(fetched.paths) == 1 and suffix in _KEPT:
        expected: dict[str, Any] = {}
        if fetched.record:
            expected = {
                "frames": count_frames(plan.duration, Fraction(quality.fps)), "fps": quality.fps,
                "size": fit_size(plan.size, quality),
            }  # fmt: skip
        info = verify_video(path, **expected)
    else:
        path = _encode_pictures(fetched.paths, plan, quality, folder / f".{plan.file_stem}-encoded.mp4.part")
        suffix = ".mp4"
        info = verify_video(path)
    return Checked(path, folder / f"{plan.file_stem}{suffix}", info, path.stat().st_size, hash_file(path))


def _encode_pictures(paths: tuple[Path, ...], plan: SegmentPlan, quality: Quality, target: Path) -> Path:
    frames = _count_pictures(paths)
    with Image.open(paths[0]) as picture:
        source_size = picture.size
    with VideoWriter(
        target, source_size=source_size, source_rate=frames / plan.duration, size=fit_size(plan.size, quality),
        fps=quality.fps, frames=count_frames(plan.duration, Fraction(quality.fps)), bitrate=quality.bitrate,
        encoder=choose_encoder(),
    ) as writer:  # fmt: skip
        for picture_array in _pictures(paths):
            writer.write(picture_array)
    for path in paths:
        path.unlink(missing_ok=True)
    return target


def _count_pictures(paths: tuple[Path, ...]) -> int:
    return sum(1 for _ in _pictures(paths))


def _pictures(paths: tuple[Path, ...]) -> Iterator[np.ndarray]:
    """RGB frames of pictures and animations (gif, webp), in order."""
    for path in paths:
        try:
            with Image.open(path) as picture:
                for index in range(getattr(picture, "n_frames", 1)):
                    picture.seek(index)
                    yield np.asarray(picture.convert("RGB"))
        except (OSError, UnidentifiedImageError, av.error.FFmpegError) as error:
            raise VideoGenError("video-broken", f"{path.stem} cannot be read as a picture: {error}") from None
