"""Fetches a prompt's outputs and verifies that they are whole."""

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
from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.core.timing import count_frames
from custom_nodes.videogen.core.video.encoding import RawVideo
from custom_nodes.videogen.core.video.quality import QUALITIES, Quality, fit_format, fit_size
from custom_nodes.videogen.media.backups import keep_previous
from custom_nodes.videogen.media.ffmpeg import choose_encoder
from custom_nodes.videogen.media.file_types import SAVED_VIDEO_SUFFIXES
from custom_nodes.videogen.media.probe import VideoInfo, hash_file, verify_sound, verify_video
from custom_nodes.videogen.media.writer import VideoWriter

from ..comfyui.client import ComfyClient
from ..comfyui.outcome import Outcome, find_video_files, is_sound, is_video

#: Containers that are kept as they are; the film reads them all.
_KEPT = (".mp4", ".mov", ".mkv", ".webm", ".m4v")


@dataclass(frozen=True)
class Fetched:
    """Files of a prompt on this machine, not yet verified: either one video, or images in order."""

    paths: tuple[Path, ...]
    record: dict[str, Any]
    bytes: int


def fetch_outputs(client: ComfyClient, outcome: Outcome, folder: Path, stem: str) -> Fetched:
    """Download the video of a prompt, or its images, under names of our own: the server's names are never used as paths.

    Raises:
        VideoGenError: `output-missing`, `media-broken` when the bytes are not those that the server's node hashed.
    """
    everything, record = find_video_files(outcome)
    sounds = [file for file in everything if is_sound(file["filename"])]
    files = _one_video([file for file in everything if file not in sounds])
    paths = []
    total = _fetch_sounds(client, sounds, folder, stem)
    for index, file in enumerate(files):
        suffix = Path(file["filename"].replace("\\", "/")).suffix.lower()
        path = folder / f".{stem}-{index:05d}{suffix if suffix.isascii() and len(suffix) <= 6 else ''}.part"
        total += client.download(file, path)
        paths.append(path)
    if record and len(paths) == 1 and hash_file(paths[0]) != record["sha256"]:
        raise VideoGenError("media-broken", f"{files[0]['filename']} arrived with other bytes than the server wrote")
    return Fetched(tuple(paths), record, total)


def _fetch_sounds(client: ComfyClient, files: list[dict[str, Any]], folder: Path, stem: str) -> int:
    """Keep the sound that a workflow saves next to its images, as ``segment_07_audio_1.flac``.

    Returns:
        Its size in bytes.
    """
    total = 0
    for number, file in enumerate(files, 1):
        target = folder / f"{stem}_audio_{number}{Path(file['filename']).suffix.lower()}"
        partial = target.with_name(f".{target.name}.part")
        total += client.download(file, partial)
        verify_sound(partial)
        keep_previous(target)
        partial.replace(target)
    return total


def _one_video(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first video; or else all images, of which webp and gif files may be stills or animations."""
    first = files[0]["filename"].lower()
    if first.endswith(SAVED_VIDEO_SUFFIXES):
        return files[:1]
    if is_video(first):
        return [file for file in files if file["filename"].lower().endswith(Path(first).suffix)]
    return files


@dataclass(frozen=True)
class VerifiedFile:
    """A segment's file that decodes and is as expected, still under its temporary name; `target` is its final one."""

    path: Path
    target: Path
    info: VideoInfo
    bytes: int
    sha256: str


def verify_output(fetched: Fetched, plan: SegmentPlan, quality: Quality, folder: Path) -> VerifiedFile:
    """Verify the fetched files by decoding all of them.

    Images, animations and rare containers become an mp4 of the segment's length.

    Args:
        plan: the segment as it was rendered.
        folder: where the file belongs.

    Raises:
        VideoGenError: `media-broken`.
    """
    path = fetched.paths[0]
    suffix = Path(path.stem).suffix
    if len(fetched.paths) == 1 and suffix in _KEPT:
        expected: dict[str, Any] = {}
        if fetched.record:
            # The workflow's saving node may have a quality of its own; the film is made in the story's.
            quality = QUALITIES.get(str(fetched.record.get("quality")), quality)
            expected = {
                "frames": count_frames(plan.duration, Fraction(quality.fps)),
                "fps": quality.fps,
                "size": fit_size(plan.size, quality),
            }
        info = verify_video(path, **expected)
    else:
        path = _encode_images(fetched.paths, plan, quality, folder / f".{plan.file_stem}-encoded.mp4.part")
        suffix = ".mp4"
        info = verify_video(path)
    return VerifiedFile(path, folder / f"{plan.file_stem}{suffix}", info, path.stat().st_size, hash_file(path))


def _encode_images(paths: tuple[Path, ...], plan: SegmentPlan, quality: Quality, target: Path) -> Path:
    frames = sum(1 for _ in _images(paths))
    first = next(_images(paths))
    with VideoWriter(
        target,
        RawVideo((first.shape[1], first.shape[0]), frames / plan.duration),
        fit_format(plan.size, quality),
        count_frames(plan.duration, Fraction(quality.fps)),
        choose_encoder(),
    ) as writer:
        for image in _images(paths):
            if image.shape != first.shape:
                raise VideoGenError(
                    "media-broken",
                    f"the prompt has saved pictures of different sizes: {image.shape[1]}×{image.shape[0]}"
                    f" and {first.shape[1]}×{first.shape[0]}",
                )
            writer.write(image)
    for path in paths:
        path.unlink(missing_ok=True)
    return target


def _images(paths: tuple[Path, ...]) -> Iterator[np.ndarray]:
    """RGB frames of images, of the first animation (gif, webp), or of a video, in order."""
    for path in paths:
        try:
            if path.stem.endswith(SAVED_VIDEO_SUFFIXES):
                with av.open(str(path)) as container:
                    yield from (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
                continue
            with Image.open(path) as image:
                count = getattr(image, "n_frames", 1)
                for index in range(count):
                    image.seek(index)
                    yield np.asarray(image.convert("RGB"))
            if count > 1:
                return
        except (OSError, UnidentifiedImageError, av.error.FFmpegError) as error:
            raise VideoGenError("media-broken", f"{path.stem} cannot be read as a picture: {error}") from None
