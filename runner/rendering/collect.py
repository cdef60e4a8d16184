"""Fetches a prompt's outputs and verifies that they are whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.core.timing import count_frames
from custom_nodes.videogen.core.video.encoding import RawVideo
from custom_nodes.videogen.core.video.quality import QUALITIES, Quality, fit_format, fit_size
from custom_nodes.videogen.media.backups import keep_previous
from custom_nodes.videogen.media.color import to_rgb
from custom_nodes.videogen.media.ffmpeg import choose_encoder
from custom_nodes.videogen.media.file_types import SAVED_VIDEO_SUFFIXES
from custom_nodes.videogen.media.foreign.containers import MAX_FRAME_PIXELS, decode_frames, open_media
from custom_nodes.videogen.media.foreign.pictures import MAX_FRAMES, MAX_PIXELS, open_picture, to_8_bits
from custom_nodes.videogen.media.foreign.pictures import count_frames as count_picture_frames
from custom_nodes.videogen.media.foreign.verdict import decoding
from custom_nodes.videogen.media.private_files import mask_secrets
from custom_nodes.videogen.media.probe import VideoInfo, hash_file, verify_sound, verify_video
from custom_nodes.videogen.media.writer import VideoWriter

from ..comfyui.answers import SavedFile
from ..comfyui.bounds import limits
from ..comfyui.client import ComfyClient
from ..comfyui.outcome import Outcome
from ..comfyui.outputs import PICTURES, ClipFiles, choose_clip, suffix_of
from ..workflows.output_node import count_frames_of
from .borders.handed_over import fetch_handed_over, without_handed_over
from .jobs import Job

#: Containers that are kept as they are; the film reads them all.
_KEPT = (".mp4", ".mov", ".mkv", ".webm", ".m4v")


@dataclass(frozen=True)
class Fetched:
    """Files of a prompt on this machine, not yet verified: either one video, or images in order.

    Attributes:
        clip: where they come from.
        sounds: the sound files next to them, which have their names already: file (relative to the run directory), bytes, sha256.
        handed_over: the pictures that another segment begins with, in the same form.
    """

    paths: tuple[Path, ...]
    clip: ClipFiles
    bytes: int
    sounds: tuple[dict[str, Any], ...] = ()
    handed_over: tuple[dict[str, Any], ...] = ()


def fetch_outputs(
    client: ComfyClient,
    outcome: Outcome,
    folder: Path,
    stem: str,
    output_node: str = "",
    most: int = limits.MAX_SEGMENT,
    pixels: int = limits.PICTURE_BASE,
) -> Fetched:
    """Download the video of a prompt, or its images, under names of our own: the server's names are never used as paths.

    Args:
        output_node: the node whose files they are, see `choose_clip`.
        most: bytes that all of them may have together, see `limits.limit_for_segment`.
        pixels: that a picture which is handed over may have.

    Raises:
        VideoGenError: `output-missing`, `media-broken` when the bytes are not those that the server's node hashed, or what
            `choose_clip` raises.
    """
    clip = choose_clip(without_handed_over(outcome), output_node)
    paths = []
    if len(clip.files) + len(clip.sounds) > MAX_FRAMES:
        raise VideoGenError(
            "media-broken",
            f"the prompt has saved {len(clip.files) + len(clip.sounds):,} files, at most {MAX_FRAMES:,} are fetched",
        )
    sounds = _fetch_sounds(client, clip.sounds, folder, stem, most)
    total = sum(sound["bytes"] for sound in sounds)
    for index, file in enumerate(clip.files):
        path = folder / f".{stem}-{index:05d}{suffix_of(file.filename)}.part"
        total += client.download(file, path, most - total)
        paths.append(path)
    if clip.record is not None and hash_file(paths[0]) != clip.record.sha256:
        raise VideoGenError("media-broken", f"{clip.files[0].filename} arrived with other bytes than the server wrote")
    handed_over = fetch_handed_over(client, outcome, folder, stem, pixels, most)
    return Fetched(tuple(paths), clip, total, sounds, handed_over)


def require_all_pictures(fetched: Fetched, job: Job, outcome: Outcome) -> None:
    """Check that a node has saved as many pictures as it got, where the prompt tells.

    Raises:
        VideoGenError: `media-broken`.
    """
    count = count_frames_of(job.graph, fetched.clip.node, outcome)
    if fetched.clip.rank == PICTURES and count is not None and len(fetched.paths) != count:
        raise VideoGenError(
            "media-broken", f"node {fetched.clip.node} has saved {len(fetched.paths)} pictures of {count} frames"
        )


def _fetch_sounds(
    client: ComfyClient, files: Sequence[SavedFile], folder: Path, stem: str, most: int
) -> tuple[dict[str, Any], ...]:
    """Keep the sound that a workflow saves next to its images, as ``segment_07_audio_1.flac``; see `Fetched.sounds`.

    What has that name goes to ``previous/``, from where it comes back with the result that it belongs to.
    """
    sounds: list[dict[str, Any]] = []
    for number, file in enumerate(files, 1):
        target = folder / f"{stem}_audio_{number}{suffix_of(file.filename)}"
        partial = target.with_name(f".{target.name}.part")
        client.download(file, partial, most - sum(sound["bytes"] for sound in sounds))
        verify_sound(partial)
        mask_secrets(partial)
        sounds.append(
            {
                "file": f"segments/{target.name}",
                "bytes": partial.stat().st_size,
                "sha256": hash_file(partial),
            }
        )
        keep_previous(target)
        partial.replace(target)
    return tuple(sounds)


@dataclass(frozen=True)
class VerifiedFile:
    """A segment's file that decodes and is as expected, still under its temporary name; `target` is its final one.

    Attributes:
        sounds, handed_over: see `Fetched`.
    """

    path: Path
    target: Path
    info: VideoInfo
    bytes: int
    sha256: str
    sounds: tuple[dict[str, Any], ...] = ()
    handed_over: tuple[dict[str, Any], ...] = ()


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
    most = limits.limit_for_picture(plan.size)
    suffix = Path(path.stem).suffix
    record = fetched.clip.record
    if len(fetched.paths) == 1 and suffix in _KEPT:
        mask_secrets(path)  # nodes of others write the whole graph into their files
        expected: dict[str, Any] = {}
        if record is not None:
            # The workflow's saving node may have a quality of its own; the film is made in the story's.
            quality = QUALITIES.get(record.quality or "", quality)
            expected = {
                "frames": count_frames(plan.duration, Fraction(quality.fps)),
                "fps": quality.fps,
                "size": fit_size(plan.size, quality),
            }
            if record.frames not in (None, expected["frames"]):
                raise VideoGenError(
                    "media-broken",
                    f"the server has saved {record.frames} frames, expected {expected['frames']}",
                )
        info = verify_video(path, **expected, most=min(most, MAX_FRAME_PIXELS))
    else:
        path = _encode_images(fetched.paths, plan, most, quality, folder / f".{plan.file_stem}-encoded.mp4.part")
        suffix = ".mp4"
        info = verify_video(path)
    target = folder / f"{plan.file_stem}{suffix}"
    return VerifiedFile(path, target, info, path.stat().st_size, hash_file(path), fetched.sounds, fetched.handed_over)


def _encode_images(paths: tuple[Path, ...], plan: SegmentPlan, most: int, quality: Quality, target: Path) -> Path:
    frames = 0
    for image in _images(paths, most):
        frames += 1
        if frames == 1:
            first = image
    if not frames:
        raise VideoGenError("media-broken", f"{paths[0].stem} has no frames")
    with VideoWriter(
        target,
        RawVideo((first.shape[1], first.shape[0]), frames / plan.duration),
        fit_format(plan.size, quality),
        count_frames(plan.duration, Fraction(quality.fps)),
        choose_encoder(),
    ) as writer:
        for image in _images(paths, most):
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


def _images(paths: tuple[Path, ...], most: int = MAX_PIXELS) -> Iterator[np.ndarray]:
    """RGB frames of images, of the first animation (gif, webp), or of a video, in order.

    Args:
        most: pixels that an image or frame may have.
    """
    for path in paths:
        if path.stem.endswith(SAVED_VIDEO_SUFFIXES):
            with open_media(path, "cannot be read as a video", min(most, MAX_FRAME_PIXELS)) as container:
                video = container.streams.video[0]
                yield from (to_rgb(frame, path.stem) for frame in decode_frames(container, video))
            continue
        with decoding(path.stem, "cannot be read as a picture"), open_picture(path, most) as image:
            count = count_picture_frames(image)
            for index in range(count):
                image.seek(index)
                yield np.asarray(to_8_bits(image).convert("RGB"))
        if count > 1:
            return
