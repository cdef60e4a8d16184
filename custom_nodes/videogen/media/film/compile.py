"""Compiles a film from its segments' files: copied where possible, re-encoded where a transition touches them."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from ...core.errors import VideoGenError
from ...core.story.selection import format_selection
from ...core.video.encoding import Encoder, RawVideo
from ...core.video.quality import VideoFormat
from ...core.video.timeline import Blend, ClipFrames, Copied, Encoded, blend_at, plan_pieces
from ..ffmpeg import choose_encoder
from ..os_errors import disk_full, explain_os_error
from ..writer import VideoWriter
from .clips import Clip, ImageClip, VideoClip
from .remux import PacketSource, join_packets
from .sound import FilmSound, SoundClip
from .transitions import TransitionPainter

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FilmSegment:
    """One segment of a film.

    Attributes:
        path: its video file, or None to show `slate` instead.
        frames: its number of frames in the film.
        slate: an RGB image, uint8, shape (height, width, 3), for a segment that is missing.
        sound: file with its sound, for a video that has none; or None.
        goes_on: it goes on where the segment before it ends: its sound is not faded there.
    """

    path: Path | None
    frames: int
    slate: np.ndarray | None = None
    sound: Path | None = None
    goes_on: bool = False


@dataclass(frozen=True)
class FilmReport:
    """A compiled film: its frames in all, how many of them were copied and re-encoded, whether it has sound, and sentences on
    converted colors and broken sound."""

    path: Path
    size: tuple[int, int]
    fps: int
    frames: int
    copied: int
    encoded: int
    encoder: str
    notes: tuple[str, ...] = ()
    sound: bool = False

    @property
    def duration(self) -> Fraction:
        return Fraction(self.frames, self.fps)


def compile_film(
    segments: Sequence[FilmSegment],
    blends: Sequence[Blend],
    output: Path,
    video: VideoFormat,
    *,
    metadata: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> FilmReport:
    """Join segments into a film of exactly the sum of their frames.

    Segments in the film's format are stream-copied; other segments, slates, and the groups of pictures that a transition
    touches are encoded. A transition blends into held edge frames, so that it never shortens the film. The film has the sound of
    its segments' files, if any of them has sound.

    Args:
        video: the film's format; the bit rate applies to the encoded parts.
        progress: called with (frames done, total frames).

    Raises:
        VideoGenError: `media-broken`, `encode-failed`, `disk-full`; an older film of that name is kept then.
    """
    clips: list[Clip] = []
    for segment in segments:
        if segment.path:
            clips.append(VideoClip(segment.path, segment.frames, video))
        else:
            clips.append(ImageClip(_slate(segment), segment.frames, video.size))
    encoder = _encoder_for(clips)
    reference = _common_header(clips)
    with tempfile.TemporaryDirectory(prefix=".film-", dir=_folder(output)) as scratch:
        film = _Film(clips, blends, video, encoder, Path(scratch), progress)
        sources, report = film.make(output, reference)
        if sources is None:
            # This ffmpeg's output cannot be joined with the packets in the files: then it encodes everything.
            log.info(
                "the segments' headers differ from what %s writes here; the whole film is re-encoded", encoder.name
            )
            sources, report = film.make(output, None)
            assert sources is not None
        sound = _find_sound(segments, clips, blends, video.fps)
        join_packets(sources, output, video.fps, metadata or {}, sound.read() if sound else None)
    notes = [*_describe_colors(clips), *(sound.notes if sound else ())]
    return replace(report, notes=tuple(notes), sound=sound is not None)


def _find_sound(
    segments: Sequence[FilmSegment], clips: Sequence[Clip], blends: Sequence[Blend], fps: int
) -> FilmSound | None:
    """The sound of the film; None where no segment has any."""
    sounds = [
        SoundClip(one.path if clip.has_sound else one.sound, one.frames, one.goes_on)
        for one, clip in zip(segments, clips, strict=True)
    ]
    return FilmSound(sounds, blends, fps) if any(one.path for one in sounds) else None


@dataclass
class _Film:
    clips: Sequence[Clip]
    blends: Sequence[Blend]
    video: VideoFormat
    encoder: Encoder
    scratch: Path
    progress: Progress | None
    done: int = 0

    def make(self, output: Path, reference: bytes | None) -> tuple[list[PacketSource] | None, FilmReport]:
        """The packets of the film; None when an encoded piece cannot be joined with the copied ones."""
        frames = [
            ClipFrames(clip.frames, clip.keyframes if reference is not None and clip.header == reference else ())
            for clip in self.clips
        ]
        pieces = plan_pieces(frames, self.blends)
        total = sum(clip.frames for clip in frames)
        encoded = sum(piece.frames for piece in pieces if isinstance(piece, Encoded))
        report = FilmReport(output, self.video.size, self.video.fps, total, total - encoded, encoded, self.encoder.name)
        sources: list[PacketSource] = []
        self.done = 0
        for number, piece in enumerate(pieces):
            if isinstance(piece, Copied):
                clip = self.clips[piece.clip]
                assert isinstance(clip, VideoClip)
                sources.append(PacketSource(clip.path, piece.start, piece.stop))
                self._advance(piece.stop - piece.start, total)
            else:
                path = self.scratch / f"piece_{number}.mp4"
                self._encode(piece, frames, path, total)
                piece_clip = VideoClip(path, piece.frames, self.video)
                if reference is not None and piece_clip.header != reference:
                    return None, report
                sources.append(PacketSource(path, 0, piece.frames))
        return sources, report

    def _encode(self, piece: Encoded, frames: Sequence[ClipFrames], path: Path, total: int) -> None:
        source = RawVideo(self.video.size, Fraction(self.video.fps), "yuv420p")
        with VideoWriter(path, source, self.video, piece.frames, self.encoder) as writer:
            for image in self._read_frames(piece, frames):
                writer.write(image)
                self._advance(1, total)

    def _read_frames(self, piece: Encoded, frames: Sequence[ClipFrames]) -> Iterator[np.ndarray]:
        held: dict[tuple[int, int], np.ndarray] = {}
        painters: dict[int, TransitionPainter] = {}

        def edge(clip: int, frame: int) -> np.ndarray:
            if (clip, frame) not in held:
                held[clip, frame] = next(iter(self.clips[clip].read_frames(frame, frame + 1)))
            return held[clip, frame]

        for clip, start, stop in piece.spans:
            for frame, image in enumerate(self.clips[clip].read_frames(start, stop), start):
                found = blend_at(self.blends, frames, clip, frame)
                if found is None:
                    yield image
                    continue
                blend, place = found
                edges = edge(blend.after, frames[blend.after].frames - 1), edge(blend.after + 1, 0)
                both = (image, edges[1]) if clip == blend.after else (edges[0], image)
                painter = painters.setdefault(blend.after, TransitionPainter(blend.type, blend.frames))
                yield painter.paint(*both, place, edges)

    def _advance(self, frames: int, total: int) -> None:
        self.done += frames
        if self.progress:
            self.progress(self.done, total)


def _encoder_for(clips: Sequence[Clip]) -> Encoder:
    """The encoder of the codec that most files have, so that they can be copied."""
    codecs = Counter(clip.codec for clip in clips if clip.codec)
    return choose_encoder("hevc" if codecs and codecs.most_common(1)[0][0] == "hevc" else "h264")


def _common_header(clips: Sequence[Clip]) -> bytes | None:
    headers = Counter(clip.header for clip in clips if clip.header)
    return headers.most_common(1)[0][0] if headers else None


def _describe_colors(clips: Sequence[Clip]) -> list[str]:
    """One sentence for each kind of color that is not a film's, or was assumed; most segments have none."""
    found: dict[tuple[str, bool], list[int]] = {}
    for number, clip in enumerate(clips, 1):
        if isinstance(clip, VideoClip) and (clip.colors.guessed or not clip.colors.fits_film):
            found.setdefault((clip.colors.describe(), clip.colors.guessed), []).append(number)
    return [
        f"Segment{'s' if len(numbers) > 1 else ''} {format_selection(numbers)}: "
        + (f"no color tags, read as {name} by the size of the pictures" if guessed else f"{name}, converted to BT.709")
        for (name, guessed), numbers in found.items()
    ]


def _slate(segment: FilmSegment) -> np.ndarray:
    if segment.slate is None:
        raise VideoGenError("film-incomplete", "a segment of the film has neither a file nor a slate")
    return segment.slate


def _folder(output: Path) -> Path:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(output.parent).free < 1_000_000:
            raise disk_full(output)
    except OSError as error:
        raise explain_os_error(error, output) from None
    return output.parent
