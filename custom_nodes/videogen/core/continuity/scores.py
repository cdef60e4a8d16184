"""What continuity metrics say about a segment: plain values that go through JSON and back."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class SampleScore:
    """One frame of a segment against one image of the subject.

    Attributes:
        frame: 0-based number in the segment.
        against: ``reference`` or ``first segment``.
        score: the fused one, 0 to 1; `embedding` and `chroma` are its calibrated parts (chroma None where there is no color),
            `cosine` the raw value.
        face: cosine of two faces, where the face models are there and see one on both sides; not part of the score.
    """

    frame: int
    against: str
    score: float
    embedding: float
    chroma: float | None
    cosine: float
    face: float | None = None


@dataclass(frozen=True)
class Drift:
    """What changed about a subject.

    Attributes:
        part: ``shirt``, ``upper part``, ``whole subject`` …
        quantity: ``hue`` (degrees), ``lightness`` (CIELAB L) or ``color`` (CIELAB chroma).
        change: by how much, with sign.
        first, last: 0-based frames.
    """

    part: str
    quantity: str
    change: float
    first: int
    last: int
    sentence: str


@dataclass(frozen=True)
class FrameAppearance:
    """What a subject looks like in a sampled frame (0-based), for comparisons with other segments: an `Appearance` as JSON
    values (metrics/appearance.py)."""

    frame: int
    appearance: dict[str, Any]


@dataclass(frozen=True)
class FrameParts:
    """The colors of a subject's parts in a frame (0-based): part → CIELAB lightness, chroma, hue in degrees."""

    frame: int
    colors: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class SubjectScore:
    """How much a character or object (or the location) stays itself in a segment.

    Attributes:
        mean, minimum: over the sampled frames, against the reference or against the first segment, whichever is lower; None
            when there was nothing to compare, and then `notes` says why.
        worst_frame: the frame of the minimum, 0-based.
        against: {``reference`` or ``first segment``: (mean, minimum)} apart.
        backend, calibration: what measured, and what its numbers mean. Scores of different backends are not comparable.
        weights: where the subject was looked for: ``mask``, ``alpha``, ``region``, ``ratio`` or ``location``; empty
            when it was seen nowhere.
        looks, parts: what it looked like in the sampled frames, and its colors in all of them, for comparisons with other
            segments.
    """

    kind: str
    name: str
    label: str
    mean: float | None
    minimum: float | None
    worst_frame: int | None
    against: dict[str, tuple[float, float]]
    samples: tuple[SampleScore, ...]
    backend: str
    calibration: str
    weights: str
    drift: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()
    looks: tuple[FrameAppearance, ...] = ()
    parts: tuple[FrameParts, ...] = ()


@dataclass(frozen=True)
class TemporalScore:
    """How steadily a segment moves.

    Attributes:
        score: 0 to 1, or None when there are not two frames to compare; `note` says why.
        mean, minimum: of the frame pairs' scores, before duplicates and the cap.
        curve: a score for each pair of neighbors.
        duplicates: fraction of pairs that show the same image.
        static: the median flow is below 0.3 pixels; the score is capped.
        median_flow, mean_flow: pixels of the measured image a frame.
        because: the reason of a low score, as the end of a sentence.
        tv_l1_variance: the recipe of others, for comparison; None unless it was asked for.
    """

    score: float | None
    mean: float | None = None
    minimum: float | None = None
    curve: tuple[float, ...] = ()
    worst_pair: int | None = None
    duplicates: float = 0.0
    static: bool = False
    median_flow: float | None = None
    mean_flow: float | None = None
    because: str = ""
    note: str = ""
    tv_l1_variance: float | None = None


@dataclass(frozen=True)
class FrameProblem:
    """Something that is wrong with frames as such. `frames` are 0-based; `severe` ones fail a segment."""

    kind: str
    frames: tuple[int, ...]
    sentence: str
    severe: bool


@dataclass(frozen=True)
class FrameCheck:
    """Number and size (width, height) of the frames, and what is wrong with them."""

    count: int
    size: tuple[int, int] | None
    problems: tuple[FrameProblem, ...] = ()


@dataclass(frozen=True)
class LightScore:
    """A segment's light, beside the story's.

    Attributes:
        kelvin: estimated correlated color temperature, or None where hardly anything is near gray.
        lightness: median CIELAB L of the location.
        story_kelvin, story_lightness: what the story says, as (lowest, highest), or None.
    """

    kelvin: float | None
    lightness: float | None
    story_kelvin: tuple[float, float] | None = None
    story_lightness: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True)
class BoundaryScore:
    """The last frame of one segment against the first one of the next.

    Attributes:
        color_step: ΔE (CIE 1976) of the locations' mean Lab; None where one side shows none.
        exempt: why the step does not count (another location, a dissolve), or "".
        subjects: {name: score} of those who are on both sides.
        motion_turn: degrees, 0 to 180, between the directions of motion; None where one side hardly moves.
        notes: sentences.
    """

    color_step: float | None
    exempt: str = ""
    subjects: dict[str, float] = dataclasses.field(default_factory=dict)
    motion_turn: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SegmentScore:
    """Everything about one segment. `subjects` has the location too, as a subject of its own."""

    subjects: tuple[SubjectScore, ...]
    temporal: TemporalScore | None
    frames: FrameCheck
    light: LightScore | None = None
    boundary: BoundaryScore | None = None
    ends: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SegmentScore:
        """What `to_dict` gave, again. Keys that this version does not know are left out."""
        return from_plain(cls, data)


def to_plain(value: Any) -> Any:
    """Dataclasses as JSON values: tuples become lists, floats get five digits, what is no number becomes None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def from_plain(cls: type[T], data: dict[str, Any]) -> T:
    """A dataclass out of what `to_plain` made of it."""
    hints = typing.get_type_hints(cls)
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return cls(**{key: _restore(hints[key], value) for key, value in data.items() if key in names})


def _restore(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _restore(next(each for each in arguments if each is not type(None)), value)
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast(type, hint), value)
    if origin is tuple:
        return tuple(_restore(arguments[0], item) for item in value)
    if origin is dict:
        return {key: _restore(arguments[1], item) for key, item in value.items()}
    return value
