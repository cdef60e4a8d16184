"""Inspects video and sound files, and verifies that they are whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..core.errors import VideoGenError
from .foreign.containers import MAX_FRAME_PIXELS, decode_packet, open_media
from .foreign.display import find_video

#: Codecs of which each packet is a frame that is shown. VP8 has hidden ones, MPEG-4 packed ones.
ONE_PACKET_PER_FRAME = frozenset(
    {"h264", "hevc", "av1", "vp9", "prores", "dnxhd", "mjpeg", "ffv1", "png", "mpeg2video"}
)
#: A stated rate is believed when it differs by less from that of the frames: few of them, or rounded times, tell it roughly.
_RATE_TOLERANCE = Fraction(1, 5)

#: Gets the bytes that were read, and the size of the file.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class VideoInfo:
    """A video stream: size in pixels before it is turned, frames a second on average, number of frames, codec, pixel format."""

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


def probe_video(path: Path, *, decode: bool = False, most: int = MAX_FRAME_PIXELS) -> VideoInfo:
    """Inspect a video; the frames are counted, not taken from the header.

    Args:
        decode: decode every frame too (about 1 s for 8 s of 1080p), instead of only reading the packets. Always done for codecs
            that have packets without a frame of their own.
        most: pixels that a frame may have.

    Raises:
        VideoGenError: `media-broken`, when the file is missing, cut off, has no video, is too large, or does not decode.
    """
    with open_media(path, "cannot be read as a video", most) as container:
        stream = find_video(container)
        if stream is None:
            raise VideoGenError("media-broken", f"{path} has no video stream")
        stream.thread_type = "AUTO"
        decode = decode or stream.codec_context.name not in ONE_PACKET_PER_FRAME
        frames, stamps = 0, []
        for packet in container.demux(stream):
            shown = bool(packet.size) and not packet.is_discard
            # Of decoding, as AVI has no other times.
            stamps += [packet.dts] if shown else []
            frames += sum(not frame.is_corrupt for frame in decode_packet(packet)) if decode else shown
        rate = _check_rate(stream.average_rate or stream.guessed_rate, stamps, stream.time_base)
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


def _check_rate(stated: Fraction | None, stamps: Sequence[int | None], time_base: Fraction | None) -> Fraction | None:
    """The rate that a file states, or that of its frames where it is another one: headers of AVI and Matroska can be far off."""
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) < 3 or not time_base or max(known) == min(known):
        return stated
    measured = (len(known) - 1) / ((max(known) - min(known)) * time_base)
    return stated if stated and abs(stated / measured - 1) < _RATE_TOLERANCE else measured.limit_denominator(1001)


def verify_video(
    path: Path,
    *,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    fps: int | None = None,
    decode: bool = True,
    most: int = MAX_FRAME_PIXELS,
) -> VideoInfo:
    """`probe_video`, and check that the file is as expected.

    Raises:
        VideoGenError: `media-broken`, with what was found and what was expected.
    """
    info = probe_video(path, decode=decode, most=most)
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
    with open_media(path, "cannot be read as sound") as container:
        for frame in container.decode(audio=0):
            samples += frame.samples
            rate = frame.sample_rate
    if not samples or not rate:
        raise VideoGenError("media-broken", f"{path} has no sound")
    return samples / rate


def hash_file(path: Path, progress: Progress = lambda done, size: None) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    hasher = hashlib.sha256()
    size, done = path.stat().st_size, 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 22):
            hasher.update(block)
            done += len(block)
            progress(done, size)
    return hasher.hexdigest()


def has_hash(path: Path, sha256: str | None, size: int | None = None) -> bool:
    """Whether a file has a SHA-256; one of another size is not read for that.

    Args:
        size: bytes, or None where they are not known.

    Raises:
        OSError: the file cannot be read.
    """
    return (size is None or path.stat().st_size == size) and hash_file(path) == sha256
