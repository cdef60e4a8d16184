"""Tiny videos whose frames carry a number that survives H.264, so that a test can tell which frame is which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from custom_nodes.videogen.core.video.encoding import ENCODERS, Encoder, RawVideo
from custom_nodes.videogen.core.video.quality import Quality, VideoFormat
from custom_nodes.videogen.media.writer import VideoWriter

X264 = ENCODERS["libx264"]
SIZE = (128, 72)
#: Four frames a second, so four frames a group of pictures: everything that needs groups is tiny.
TINY = Quality("tiny", 128, 72, 4, 600_000)
_COLUMNS, _ROWS = 8, 2
_DARK, _BRIGHT = 40, 210


def draw_code(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """An image of 8 × 2 gray blocks, the bits of `number` (0 to 65535): uint8, shape (height, width, 3)."""
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    for bit in range(_COLUMNS * _ROWS):
        row, column = divmod(bit, _COLUMNS)
        rows = slice(row * height // _ROWS, (row + 1) * height // _ROWS)
        columns = slice(column * width // _COLUMNS, (column + 1) * width // _COLUMNS)
        image[rows, columns] = _BRIGHT if number >> bit & 1 else _DARK
    return image


def read_code(image: np.ndarray) -> int:
    """The number in a decoded image, shape (height, width, 3); asserts that every block is clearly dark or bright."""
    height, width = image.shape[:2]
    number = 0
    for bit in range(_COLUMNS * _ROWS):
        row, column = divmod(bit, _COLUMNS)
        level = image[(2 * row + 1) * height // (2 * _ROWS), (2 * column + 1) * width // (2 * _COLUMNS)].mean()
        assert abs(level - _DARK) < 30 or abs(level - _BRIGHT) < 30, f"block {bit} has the level {level:.0f}"
        number |= (level > (_DARK + _BRIGHT) / 2) << bit
    return number


def code_of(segment: int, frame: int) -> int:
    """The number that a segment's frame carries in these tests."""
    return segment * 256 + frame


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    count: int,
    size: tuple[int, int] = SIZE,
    quality: Quality = TINY,
    encoder: Encoder = X264,
    rate: Fraction | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write frames with the project's own writer: `count` of them come out."""
    source = RawVideo(size, rate or Fraction(quality.fps))
    video = VideoFormat(size, quality.fps, quality.bitrate)
    with VideoWriter(path, source, video, count, encoder, metadata) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def write_segment(
    folder: Path, segment: int, frames: int, *, size: tuple[int, int] = SIZE, quality: Quality = TINY
) -> Path:
    """``segment_NN.mp4`` with `frames` numbered frames."""
    images = (draw_code(code_of(segment, frame), size) for frame in range(frames))
    return write_video(folder / f"segment_{segment:02d}.mp4", images, count=frames, size=size, quality=quality)


def with_sound(
    video: Path,
    sound: np.ndarray,
    *,
    rate: int = 48_000,
    layout: str = "stereo",
    codec: str = "flac",
    suffix: str = ".mkv",
) -> Path:
    """A copy of a silent video beside sound, float32, shape (channels, n)."""
    target = video.with_name(f"{video.stem}_{codec}{suffix}")
    with av.open(str(video)) as source, av.open(str(target), "w") as made:
        track = made.add_stream_from_template(source.streams.video[0])
        voice = made.add_stream(codec, rate=rate, layout=layout)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                made.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for part in av.AudioResampler(format=voice.codec_context.format, layout=layout, rate=rate).resample(frame):
            made.mux(voice.encode(part))
        made.mux(voice.encode(None))
    return target


def write_with_av(
    path: Path,
    images: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    fps: int = 4,
    stamps: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A video as another program would write it; `stamps` are the frames' times in frames, for gaps."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts = stamps[index] if stamps else index
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_frames(path: Path) -> list[np.ndarray]:
    """All frames of a video as RGB, in the order in which they are shown."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@dataclass(frozen=True)
class Sound:
    """The sound of a video: samples of each channel, -1 to 1, as many as its decoder makes, and its length by the file."""

    samples: np.ndarray
    rate: int
    seconds: float


def read_sound(path: Path) -> Sound:
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        blocks = [frame.to_ndarray() for frame in container.decode(stream)]
        seconds = float((stream.duration or 0) * stream.time_base)
        return Sound(np.concatenate(blocks, axis=-1), stream.rate, seconds)


def read_codes(path: Path) -> list[int]:
    """The numbers of all frames of a video."""
    return [read_code(frame) for frame in read_frames(path)]


def read_packets(path: Path) -> list[bytes]:
    """The encoded packets of a video, in the order of the file."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def read_stamps(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds, ascending."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        return sorted(packet.pts * stream.time_base for packet in packets)


def read_metadata(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return dict(container.metadata)
