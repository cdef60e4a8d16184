"""Which parts of a film are copied out of its segments' files, and which are encoded again."""

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
        frames: how many frames it takes in the film.
        keyframes: ascending indices of the frames that begin a closed group of pictures, for a file whose packets
            can be copied; empty for one that is encoded again as a whole (another format, or missing).
    """

    frames: int
    keyframes: tuple[int, ...]


@dataclass(frozen=True)
class Blend:
    """A transition of `frames` frames behind clip `after` (0-based); `before` of them lie before the cut."""

    after: int
    type: str
    frames: int

    @property
    def before(self) -> int:
        return self.frames // 2

    @property
    def behind(self) -> int:
        return self.frames - self.before


@dataclass(frozen=True)
class Copied:
    """Frames [start, stop) of clip `clip`, copied as they are."""

    clip: int
    start: int
    stop: int


@dataclass(frozen=True)
class Encoded:
    """A run of frames that is encoded again: (clip, start, stop) one after the other."""

    spans: tuple[tuple[int, int, int], ...]

    @property
    def frames(self) -> int:
        return sum(stop - start for _, start, stop in self.spans)


def plan_pieces(clips: Sequence[ClipFrames], blends: Sequence[Blend]) -> list[Copied | Encoded]:
    """The film as pieces; as much is copied as keyframes allow.

    A transition touches the last `before` frames of one clip and the first `behind` of the next; what is encoded again
    reaches from there to the nearest keyframe. The pieces hold each frame of each clip exactly once.
    """
    touched_head = {blend.after + 1: blend.behind for blend in blends}
    touched_tail = {blend.after: blend.before for blend in blends}
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
        # The end of the file is a place to cut as good as a keyframe.
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
    """The transition that a frame of a clip lies in, and its 0-based place in it."""
    for blend in blends:
        if blend.after == clip and frame >= clips[clip].frames - blend.before:
            return blend, frame - (clips[clip].frames - blend.before)
        if blend.after + 1 == clip and frame < blend.behind:
            return blend, blend.before + frame
    return None


def dissolve_weight(place: int, frames: int) -> float:
    """The share of the incoming image at a 0-based place of a dissolve: eased, symmetric, never 0 or 1.

    The curve is smoothstep over (place + 1) / (frames + 1).
    """
    return smoothstep((place + 1) / (frames + 1))


def count_blend_frames(seconds: Fraction, fps: int) -> int:
    """Frames of a transition; a very short one still has two, one on each side of the cut."""
    return max(2, count_frames(seconds, Fraction(fps)))
