"""Joins encoded videos without decoding them, and puts the film's sound beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer

from ...core.video.encoding import TICKS_PER_FRAME
from ..foreign.containers import create_mp4, open_container, open_media
from ..os_errors import explain_os_error
from ..partial_file import partial_path, publish
from ..probe import verify_video
from .sound import RATE

#: Bits a second of the sound: stereo in AAC, at which nobody hears a difference.
_SOUND_BIT_RATE = 192_000
#: Seconds that sound is written ahead of the frames.
_AHEAD = Fraction(1, 4)


@dataclass(frozen=True)
class PacketSource:
    """Frames [start, stop) of a file; `start` is a keyframe, and `stop` a keyframe or the file's end."""

    path: Path
    start: int
    stop: int


def join_packets(
    sources: Sequence[PacketSource],
    output: Path,
    fps: int,
    metadata: dict[str, str],
    sound: Iterable[np.ndarray] | None = None,
) -> Path:
    """Join packets of several files into one mp4 with one timeline: frame n is shown at exactly n / fps.

    All sources have the same decoder headers, `fps` frames a second, and closed groups of pictures. ffmpeg's own
    concat adds up rounded durations instead, which drifts, and fails on the files' edit lists.

    Args:
        sound: blocks of samples, float32, shape (2, n), `RATE` a second, as long as the video; None for a silent film.

    Raises:
        VideoGenError: `media-broken` for a source that cannot be read, or when the result is incomplete.
    """
    partial = partial_path(output)
    indices = [_read_order(source) for source in sources]
    # B frames are shown later than they are decoded; one delay for all keeps decoding times ascending over the joins.
    delay = max((place - shown for order in indices for place, (_, shown) in enumerate(order)), default=0)
    try:
        with create_mp4(partial) as film:
            film.metadata.update(metadata)
            with open_container(sources[0].path) as first:
                track = film.add_stream_from_template(first.streams.video[0])
            track.time_base = Fraction(1, fps * TICKS_PER_FRAME)
            writer = _SoundWriter(film, sound) if sound is not None else None
            base = 0
            for source, order in zip(sources, indices, strict=True):
                shown_at = dict(order)
                place = 0
                # Not `open_media`: what fails in here is more likely the disk that is written to.
                with open_container(source.path) as container:
                    stream = container.streams.video[0]
                    for packet in container.demux(stream):
                        if not packet.size or packet.pts not in shown_at:
                            continue
                        shown = shown_at[packet.pts]
                        packet.time_base = Fraction(1, fps * TICKS_PER_FRAME)
                        packet.pts = (base + shown) * TICKS_PER_FRAME
                        packet.dts = (base + place - delay) * TICKS_PER_FRAME
                        packet.duration = TICKS_PER_FRAME
                        packet.stream = track
                        if writer is not None:
                            writer.write_until(Fraction(base + place, fps))
                        film.mux(packet)
                        place += 1
                base += source.stop - source.start
            if writer is not None:
                writer.write_until(None)
        verify_video(partial, frames=base, fps=fps, decode=False)
        publish(partial, output)
    except (av.error.FFmpegError, OSError) as error:
        raise explain_os_error(error, output) from None
    finally:
        partial.unlink(missing_ok=True)
    return output


class _SoundWriter:
    """Encodes sound into a film, a little ahead of the frames that are written, as players want to read both together."""

    def __init__(self, film: OutputContainer, blocks: Iterable[np.ndarray]) -> None:
        self._film, self._blocks = film, iter(blocks)
        self._stream = film.add_stream("aac", rate=RATE, layout="stereo", options={"b": str(_SOUND_BIT_RATE)})
        self._done = 0

    def write_until(self, seconds: Fraction | None) -> None:
        """Write the sound up to a time; None for the rest of it."""
        while seconds is None or self._done < (seconds + _AHEAD) * RATE:
            block = next(self._blocks, None)
            if block is None:
                break
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._done, Fraction(1, RATE)
            self._done += block.shape[1]
            self._film.mux(self._stream.encode(frame))
        if seconds is None:
            self._film.mux(self._stream.encode(None))


def _read_order(source: PacketSource) -> list[tuple[int, int]]:
    """(timestamp, display position relative to `start`) of the packets to copy, in decoding order."""
    with open_media(source.path, "cannot be read as a video") as container:
        stream = container.streams.video[0]
        stamps = [packet.pts for packet in container.demux(stream) if packet.size and packet.pts is not None]
    shown = {pts: index for index, pts in enumerate(sorted(stamps))}
    return [(pts, shown[pts] - source.start) for pts in stamps if source.start <= shown[pts] < source.stop]
