"""Joins encoded videos without decoding them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from ...core.video.encoding import TICKS_PER_FRAME
from ..foreign.containers import create_mp4, open_container, open_media
from ..os_errors import explain_os_error
from ..partial_file import partial_path, publish
from ..probe import verify_video


@dataclass(frozen=True)
class PacketSource:
    """Frames [start, stop) of a file; `start` is a keyframe, and `stop` a keyframe or the file's end."""

    path: Path
    start: int
    stop: int


def join_packets(sources: Sequence[PacketSource], output: Path, fps: int, metadata: dict[str, str]) -> Path:
    """Join packets of several files into one mp4 with one timeline: frame n is shown at exactly n / fps.

    All sources have the same decoder headers, `fps` frames a second, and closed groups of pictures. ffmpeg's own
    concat adds up rounded durations instead, which drifts, and fails on the files' edit lists.

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
                        film.mux(packet)
                        place += 1
                base += source.stop - source.start
        verify_video(partial, frames=base, fps=fps, decode=False)
        publish(partial, output)
    except (av.error.FFmpegError, OSError) as error:
        raise explain_os_error(error, output) from None
    finally:
        partial.unlink(missing_ok=True)
    return output


def _read_order(source: PacketSource) -> list[tuple[int, int]]:
    """(timestamp, display position relative to `start`) of the packets to copy, in decoding order."""
    with open_media(source.path, "cannot be read as a video") as container:
        stream = container.streams.video[0]
        stamps = [packet.pts for packet in container.demux(stream) if packet.size and packet.pts is not None]
    shown = {pts: index for index, pts in enumerate(sorted(stamps))}
    return [(pts, shown[pts] - source.start) for pts in stamps if source.start <= shown[pts] < source.stop]
