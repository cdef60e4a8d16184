"""Plans which parts of a film are copied from its segments' files and which are re-encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..easing import smoothstep
from ..timing import count_frames


@dataclass(frozen=True)
class ClipFrames:
    """A segment in the film.

    Attributes:
        frames: its number of frames in the film.
        keyframes: ascending indices of the frames that begin a closed group of pictures, for a file whose packets
            can be copied; empty for one that is re-encoded as a whole (another format, or missing).
    """

    frames: int
    keyframes: tuple[int, ...]


@dataclass(frozen=True)
class Blend:
    """A transition of `frames` frames around the cut after clip `after` (0-based)."""

    after: int
    type: str
    frames: int

    @property
    def frames_before(self) -> int:
        """Number of its frames before the cut."""
        return self.frames // 2

    @property
    def frames_after(self) -> int:
        """Number of its frames after the cut."""
        return self.frames - self.frames_before


@dataclass(frozen=True)
class Copied:
    """Frames [start, stop) of clip `clip`, copied unchanged."""

    clip: int
    start: int
    stop: int


@dataclass(frozen=True)
class Encoded:
    """A run of frames that is re-encoded: consecutive spans (clip, start, stop)."""

    spans: tuple[tuple[int, int, int], ...]

    @property
    def frames(self) -> int:
        return sum(stop - start for _, start, stop in self.spans)


def plan_pieces(clips: Sequence[ClipFrames], blends: Sequence[Blend]) -> list[Copied | Encoded]:
    """Divide the film into pieces, of which as many are copied as keyframes allow.

    A transition touches the last `frames_before` frames of one clip and the first `frames_after` of the next; the re-encoded part
    extends from there to the nearest keyframe. The pieces contain each frame of each clip exactly once.
    """
    touched_head = {blend.after + 1: blend.frames_after for blend in blends}
    touched_tail = {blend.after: blend.frames_before for blend in blends}
    pieces: list[Copied | Encoded] = []

    def encode(clip: int, start: int, stop: int) -> None:
        if start == stop:
            return
        if pieces and isinstance(pieces[-1], Encoded):
            pieces[-1] = Encoded((*pieces[-1].spans, (clip, start, stop)))
        else:
            pieces.append(Encoded(((clip, start, stop),)))

    for index, clip in enumerate(clips):
        first, last = touched_head.get(index, 0), clip.frames - touched_tail.get(index, 0)
        start = min((key for key in clip.keyframes if key >= first), default=clip.frames)
        # A file can be cut at its end as well as at a keyframe.
        ends = [*clip.keyframes, clip.frames] if last == clip.frames else clip.keyframes
        stop = max((key for key in ends if key <= last), default=0)
        if start < stop and clip.keyframes:
            encode(index, 0, start)
            pieces.append(Copied(index, start, stop))
            encode(index, stop, clip.frames)
        else:
            encode(index, 0, clip.frames)
    return pieces


def blend_at(blends: Sequence[Blend], clips: Sequence[ClipFrames], clip: int, frame: int) -> tuple[Blend, int] | None:
    """The transition that contains a frame of a clip, and the frame's 0-based place in it."""
    for blend in blends:
        if blend.after == clip and frame >= clips[clip].frames - blend.frames_before:
            return blend, frame - (clips[clip].frames - blend.frames_before)
        if blend.after + 1 == clip and frame < blend.frames_after:
            return blend, blend.frames_before + frame
    return None


def dissolve_weight(place: int, frames: int) -> float:
    """The share of the incoming frame at a 0-based place of a dissolve: eased, symmetric, never 0 or 1.

    The curve is smoothstep over (place + 1) / (frames + 1).
    """
    return smoothstep((place + 1) / (frames + 1))


def count_blend_frames(seconds: Fraction, fps: int) -> int:
    """Number of frames of a transition; at least two, one on each side of the cut."""
    return max(2, count_frames(seconds, Fraction(fps)))
