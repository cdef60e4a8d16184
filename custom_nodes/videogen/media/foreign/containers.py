"""Opens video and sound files: the only place that does, so that no file makes ffmpeg open another one.

ffmpeg finds out a file's format by its content. Under any name, a playlist or a concat script makes it open the files that it
names, also of the network; and a path such as ``concat:a|b``, ``subfile,,start,0,end,9,,:a`` or ``http://host/a`` is no path to
it. Here a path is always a file, and only formats that carry everything themselves are read.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import av
from av.container import InputContainer, OutputContainer

from .mp4_tables import require_plausible_tables
from .verdict import TooLargeError, decoding

#: ffmpeg's names of the formats that are read: those of `file_types`, and of the sounds that workflows save.
FORMATS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpeg", "mpegts", "mpegvideo"),
    *("flac", "mp3", "ogg", "wav", "aac"),
)
#: The largest frame that H.264, H.265, VP9 and AV1 define at any level.
MAX_WIDTH, MAX_HEIGHT = 8192, 4352
MAX_FRAME_PIXELS = MAX_WIDTH * MAX_HEIGHT
#: Bytes of a decoded frame: of a stream with 16 reference frames a decoder keeps 20 of them. 8K with 8 bits has 50 MB, 4K with 16
#: bits and an alpha channel 66 MB; 8192×8192 with 10 bits and 4:4:4 would have 403 MB.
MAX_FRAME_BYTES = 64 * 2**20
#: Options of a decoder that only looks: frames count with what is cropped, and only keyframes are decoded.
_LOOK = {"flags2": "+ignorecrop", "skip_frame": "nokey"}
#: Formats with one header for all frames, and how many frames ffmpeg decodes at most when it opens one of the others.
_ONE_HEADER, _FRAMES_AT_OPENING = ("mov", "matroska"), 24
#: Threads each take a frame more; of frames larger than this only some work at a time.
_LARGE_FRAME_BYTES, _MAX_THREADS = 16 * 2**20, 4
#: Options of every input: an ffmpeg program takes them as arguments in front of ``-i``.
INPUT_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}


def media_url(path: Path) -> str:
    """The path as ffmpeg takes it for a file and for nothing else, whatever the name looks like."""
    return f"file:{path.absolute()}"


@contextlib.contextmanager
def open_media(path: Path, what: str = "does not decode", most: int = MAX_FRAME_PIXELS) -> Iterator[InputContainer]:
    """Open a video or sound file, and read it in this context, see `decoding`; its frames are read by `decode_frames`.

    Args:
        what: says what failed, such as "cannot be read as a video".
        most: pixels that a frame may have, at most `MAX_FRAME_PIXELS`.

    Raises:
        VideoGenError: `media-broken`, when it is missing, broken, too large, or of another format than `FORMATS`.
    """
    with decoding(path, what), open_container(path, most) as container:
        yield container


def open_container(path: Path, most: int = MAX_FRAME_PIXELS) -> InputContainer:
    """Open a video or sound file where not all failures are its own, as while a film is written; others take `open_media`.

    Raises:
        TooLargeError: its frames are larger than `most` or `MAX_FRAME_BYTES`, or it claims more samples than it can have.
        ValueError: a video stream cannot be decoded.
        av.error.FFmpegError, OSError: it is missing, broken, or of another format than `FORMATS`.
    """
    require_plausible_tables(path)
    _look_at_frames(path, most)
    container = _open_input(media_url(path))
    try:
        for stream in container.streams.video:
            context = stream.codec_context
            if context is None:
                raise ValueError("it has a video stream of an unknown codec")
            _require_small_frames(context, most)
            context.options = {**context.options, "max_pixels": str(MAX_FRAME_PIXELS)}
            if _count_bytes(context) > _LARGE_FRAME_BYTES:
                context.thread_count = min(_MAX_THREADS, os.cpu_count() or 1)
    except BaseException:
        container.close()
        raise
    return container


def _look_at_frames(path: Path, most: int) -> None:
    """Refuse frames that are too large by the first one: as soon as a file is opened, ffmpeg decodes up to 20 of them.

    What a decoder keeps is larger than what is shown where the header crops it: a video of 16×16 can have frames of 8192×8192.
    """
    look = {**_LOOK, "max_pixels": str(min(most, MAX_FRAME_PIXELS))}
    with _open_input(media_url(path), look) as container:
        for stream in container.streams.video:
            if stream.codec_context is not None:
                _require_small_frames(stream.codec_context, most)
                stream.codec_context.options = look
        if container.format.name.partition(",")[0] in _ONE_HEADER or not container.streams.video:
            return
        # Each keyframe has a header of its own.
        for packet in itertools.islice(container.demux(container.streams.video[0]), _FRAMES_AT_OPENING):
            with contextlib.suppress(av.error.FFmpegError):
                packet.decode()
            _require_small_frames(packet.stream.codec_context, most)


def decode_frames(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """The frames of a stream from where the container is, with threads.

    Raises:
        Exception: see `decode_packet`.
    """
    stream.thread_type = "AUTO"
    for packet in container.demux(stream):
        yield from decode_packet(packet)


def decode_packet(packet: av.Packet[av.VideoStream]) -> list[av.VideoFrame]:
    """The frames that come out of a decoder when it gets a packet; none, or several.

    Raises:
        TooLargeError: frames become larger than the first one promised, and than what is read.
        Exception: whatever PyAV raises for damaged bytes.
    """
    frames = packet.decode()
    # Of each packet: a decoder that keeps 16 frames hands out the first one after it has the last.
    _require_small_frames(packet.stream.codec_context)
    return frames


def _count_pixels(context: av.VideoCodecContext) -> int:
    return max(context.width * context.height, context.coded_width * context.coded_height)


def _count_bytes(context: av.VideoCodecContext) -> int:
    """Bytes of a decoded frame; 0 as long as its pixel format is not known."""
    bits = context.format.padded_bits_per_pixel if context.format is not None else 0
    return _count_pixels(context) * bits // 8


def _require_small_frames(context: av.VideoCodecContext, most: int = MAX_FRAME_PIXELS) -> None:
    size = f"{max(context.width, context.coded_width)}×{max(context.height, context.coded_height)}"
    if _count_pixels(context) > min(most, MAX_FRAME_PIXELS):
        limit = f"{MAX_WIDTH}×{MAX_HEIGHT}" if most >= MAX_FRAME_PIXELS else f"{most:,}"
        raise TooLargeError(f"it has frames of {size}, at most {limit} pixels are read")
    if (taken := _count_bytes(context)) > MAX_FRAME_BYTES:
        what = f"{size} in {context.pix_fmt}, which is {taken / 1e6:,.1f} MB"
        raise TooLargeError(f"it has frames of {what}, at most {MAX_FRAME_BYTES / 1e6:.1f} MB a frame are read")


def _open_input(url: str, more: Mapping[str, str] = MappingProxyType({})) -> InputContainer:
    options = {**INPUT_OPTIONS, **more}
    # Titles and comments may be in any encoding: they are not looked at, and must not make a whole file unreadable.
    try:
        return av.open(url, options=options, metadata_errors="replace")
    except TypeError:  # a PyAV that reads them in any encoding, and has no such option
        return av.open(url, options=options)


def create_mp4(path: Path) -> OutputContainer:
    """Open an mp4 to write it, with its index in front and room for tags of any name.

    Raises:
        av.error.FFmpegError, OSError: when it cannot be created.
    """
    return av.open(media_url(path), "w", format="mp4", options={"movflags": "+faststart+use_metadata_tags"})
