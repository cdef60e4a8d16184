"""The sound of a film: that of its segments, cut to their frames, with silence where one has none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from ...core.errors import VideoGenError
from ...core.video.timeline import Blend
from ..foreign.containers import open_media

#: Samples a second, of two channels: what video is delivered with.
RATE, CHANNELS = 48_000, 2
#: Samples over which one sound passes into the next at a hard cut: 20 ms, so that the jump does not click.
_CUT = RATE // 50
_BLOCK = 1 << 14


@dataclass(frozen=True)
class SoundClip:
    """A segment's sound in the film.

    Attributes:
        path: of its file; None for silence.
        frames: of the film, that it lasts.
        goes_on: the sound of the clip before it flows on into it: nothing is faded there.
    """

    path: Path | None
    frames: int
    goes_on: bool = False


def has_sound(path: Path) -> bool:
    """Whether a video file has sound that can be decoded.

    Raises:
        VideoGenError: `media-broken`.
    """
    with open_media(path, "cannot be read as a video") as container:
        return can_be_heard(container)


def can_be_heard(container: InputContainer) -> bool:
    """Whether an open file has sound that can be decoded."""
    return any(stream.codec_context is not None for stream in container.streams.audio)


@dataclass
class FilmSound:
    """The samples of a film, one clip after the other in blocks.

    At a cut the sound of one clip passes into that of the next within 20 ms, at a transition along it. The clip before is heard
    after its end as far as its file goes on there; else it fades out before. Each clip begins at the sample at which its first
    frame is shown.

    Attributes:
        blends: transitions, by the clip that they follow.
        fps: frames a second of the film.
        notes: sentences on sound that could not be read, once it was read.
    """

    clips: Sequence[SoundClip]
    blends: Sequence[Blend]
    fps: int
    notes: list[str] = field(default_factory=list)

    @property
    def samples(self) -> int:
        """Of the whole film."""
        return self._sample_at(sum(clip.frames for clip in self.clips))

    def read(self) -> Iterator[np.ndarray]:
        """Blocks of samples, float32 within −1…1, shape (2, n); of all of them together n is `samples`."""
        carried = _silence(0)
        begun = 0
        for index, clip in enumerate(self.clips):
            begins = self._sample_at(begun)
            begun += clip.frames
            length = self._sample_at(begun) - begins
            place = 0
            for block in self._fade(index, length):
                now, later = block[:, : max(0, length - place)], block[:, max(0, length - place) :]
                place += block.shape[1]
                heard = min(carried.shape[1], now.shape[1])
                now[:, :heard] += carried[:, :heard]
                # What is left of a long transition is heard behind a clip that is shorter.
                carried = _add(carried[:, heard:], later)
                if now.size:
                    yield np.clip(now, -1.0, 1.0)

    def _fade(self, index: int, length: int) -> Iterator[np.ndarray]:
        """A clip's samples, faded in and out; those behind its length are heard together with the next clip."""
        fade_in, out_of, into = self._spans(index)
        is_cut = not any(blend.after == index for blend in self.blends)
        fades_at = max(0, length - out_of)
        held, place = [_silence(0)], 0
        for block in self._decode(index, length + into):
            block = block * _gain_in(place, block.shape[1], fade_in)
            ready = max(0, fades_at - place)
            place += block.shape[1]
            yield block[:, :ready]
            # Whether the sound goes on behind the end of the clip shows only there.
            held.append(block[:, ready:])
        while place < fades_at:
            size = min(_BLOCK, fades_at - place)
            place += size
            yield _silence(size)
        goes_on = 0 < into <= place - length
        end = length + into if goes_on else length
        tail = _add(np.concatenate(held, axis=1), _silence(end - fades_at))[:, : end - fades_at]
        begin = length if goes_on and is_cut else fades_at
        yield tail * _gain_out(fades_at, tail.shape[1], begin, end)

    def _spans(self, index: int) -> tuple[int, int, int]:
        """Samples over which a clip fades in, out before its end, and out behind it; no fade where sound goes on."""
        before = next((blend for blend in self.blends if blend.after == index - 1), None)
        after = next((blend for blend in self.blends if blend.after == index), None)
        following = self.clips[index + 1] if index + 1 < len(self.clips) else None
        fade_in = 0
        if index and not (self.clips[index].goes_on and before is None):
            fade_in = self._sample_at(before.frames_after) if before else _CUT
        if following is None or (following.goes_on and after is None):
            return fade_in, 0, 0
        if after is None:
            return fade_in, _CUT, _CUT
        return fade_in, self._sample_at(after.frames_before), self._sample_at(after.frames_after)

    def _decode(self, index: int, most: int) -> Iterator[np.ndarray]:
        """The samples that a clip has, at most so many."""
        path = self.clips[index].path
        try:
            yield from _decode(path, most) if path is not None else ()
        except VideoGenError as error:
            self.notes.append(f"Segment {index + 1}: its sound is silent where it breaks off: {error.message}")

    def _sample_at(self, frame: int) -> int:
        """The sample that is heard when a frame is shown: the nearest, halves up."""
        return math.floor(Fraction(frame * RATE, self.fps) + Fraction(1, 2))


def _decode(path: Path, count: int) -> Iterator[np.ndarray]:
    """The first samples of a file's sound, counted from its first frame; at most `count`.

    Raises:
        VideoGenError: `media-broken`.
    """
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
    done = 0
    with open_media(path, "has sound that does not decode") as container:
        stream = container.streams.audio[0]
        skip = None
        for frame in container.decode(stream):
            if skip is None:
                skip = _offset(container, stream, frame)
                if skip < 0:
                    silence = min(-skip, count)
                    done += silence
                    yield _silence(silence)
            for part in resampler.resample(frame):
                block = part.to_ndarray()[:, max(0, skip) :]
                skip = max(0, skip - part.samples)
                block = block[:, : count - done]
                done += block.shape[1]
                if block.size:
                    yield block
            if done >= count:
                return
        for part in resampler.resample(None):
            block = part.to_ndarray()[:, max(0, skip or 0) : max(0, skip or 0) + count - done]
            done += block.shape[1]
            if block.size:
                yield block


def _offset(container: InputContainer, stream: av.AudioStream, frame: av.AudioFrame) -> int:
    """Samples of sound before the first frame of the video, which are left out; negative where the sound begins later."""
    video = next(iter(container.streams.video), None)
    if video is None or video.start_time is None or frame.pts is None or frame.time_base is None:
        return 0
    assert video.time_base is not None
    return round((video.start_time * video.time_base - frame.pts * frame.time_base) * RATE)


def _gain_in(place: int, count: int, fade: int) -> np.ndarray:
    """How loud samples are that begin at `place` of a clip which fades in over `fade` samples: float32, shape (n,)."""
    if place >= fade:
        return np.ones(count, np.float32)
    at = (np.arange(place, place + count) + 0.5) / fade
    return np.sin(np.clip(at, 0, 1) * (math.pi / 2)).astype(np.float32)


def _gain_out(place: int, count: int, begin: int, end: int) -> np.ndarray:
    """The same of a clip that fades out between two places; with the fade-in of the next, the power stays the same."""
    if begin == end:
        return np.ones(count, np.float32)
    at = (np.arange(place, place + count) + 0.5 - begin) / (end - begin)
    return np.cos(np.clip(at, 0, 1) * (math.pi / 2)).astype(np.float32)


def _silence(count: int) -> np.ndarray:
    return np.zeros((CHANNELS, count), np.float32)


def _add(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two sounds that begin together, shape (2, n)."""
    mixed = _silence(max(first.shape[1], second.shape[1]))
    mixed[:, : first.shape[1]] += first
    mixed[:, : second.shape[1]] += second
    return mixed
