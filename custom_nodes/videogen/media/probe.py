"""Inspects video and sound files, and verifies that they are whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from ..core.errors import VideoGenError


@dataclass(frozen=True)
class VideoInfo:
    """A video stream: size in pixels, frames a second, number of frames, codec and pixel format."""

    width: int
    height: int
    fps: Fraction
    frames: int
    codec: str
    pixel_format: str

    @property
    def duration(self) -> Fraction:
        """Seconds, as frames / fps."""
        return self.frames / self.fps


def probe_video(path: Path, *, decode: bool = False) -> VideoInfo:
    """Inspect a video; the frames are counted, not taken from the header.

    Args:
        decode: decode every frame too (about 1 s for 8 s of 1080p), instead of only reading the packets.

    Raises:
        VideoGenError: `media-broken`, when the file is missing, cut off, has no video, or does not decode.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoGenError("media-broken", f"{path} has no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if decode:
                frames = sum(1 for frame in container.decode(stream) if not frame.is_corrupt)
            else:
                frames = sum(1 for packet in container.demux(stream) if packet.size and not packet.is_discard)
            rate = stream.average_rate or stream.guessed_rate
            if not frames or not rate:
                raise VideoGenError("media-broken", f"{path} has no frames")
            return VideoInfo(
                stream.codec_context.width,
                stream.codec_context.height,
                Fraction(rate),
                frames,
                stream.codec_context.name,
                stream.codec_context.pix_fmt or "",
            )
    except (av.error.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoGenError("media-broken", f"{path} cannot be read as a video: {reason}") from None


def verify_video(
    path: Path,
    *,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    fps: int | None = None,
    decode: bool = True,
) -> VideoInfo:
    """`probe_video`, and check that the file is as expected.

    Raises:
        VideoGenError: `media-broken`, with what was found and what was expected.
    """
    info = probe_video(path, decode=decode)
    wrong = []
    if frames is not None and info.frames != frames:
        wrong.append(f"{info.frames} frames, expected {frames}")
    if size is not None and (info.width, info.height) != size:
        wrong.append(f"{info.width}×{info.height}, expected {size[0]}×{size[1]}")
    if fps is not None and info.fps != fps:
        wrong.append(f"{float(info.fps):g} frames a second, expected {fps}")
    if wrong:
        raise VideoGenError("media-broken", f"{path} has {'; '.join(wrong)}")
    return info


def verify_sound(path: Path) -> float:
    """Decode a sound file.

    Returns:
        Its length in seconds.

    Raises:
        VideoGenError: `media-broken`, when it has no sound or does not decode.
    """
    samples, rate = 0, 0
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(audio=0):
                samples += frame.samples
                rate = frame.sample_rate
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise VideoGenError("media-broken", f"{path} cannot be read as sound: {error}") from None
    if not samples:
        raise VideoGenError("media-broken", f"{path} has no sound")
    return samples / rate


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
