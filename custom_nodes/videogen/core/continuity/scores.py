"""Results of the continuity metrics for a segment: plain values that convert to JSON and back."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

#: What a subject is compared with: its reference pictures, and the frames of the segment in which it was first accepted.
REFERENCE, FIRST_SEGMENT = "reference", "first segment"


@dataclass(frozen=True)
class SampleScore:
    """Comparison of one frame of a segment with one image of the subject.

    Attributes:
        frame: 0-based number in the segment.
        against: ``reference`` or ``first segment``.
        score: 0 to 1. Against a reference it is fused from `embedding` and `chroma`, its calibrated parts (chroma None where
            there is no color), `cosine` being the raw value. Against the first segment it is that of `margin`.
        margin: x of own_likeness.py, against the first segment; None against a reference.
        face: cosine of two faces, where the face models are installed and detect one on both sides; not part of the score.
    """

    frame: int
    against: str
    score: float
    embedding: float
    chroma: float | None
    cosine: float
    face: float | None = None
    margin: float | None = None


@dataclass(frozen=True)
class Drift:
    """A change of a subject's appearance.

    Attributes:
        part: ``shirt``, ``upper part``, ``whole subject`` …
        quantity: ``hue`` (degrees), ``lightness`` (CIELAB L) or ``colour`` (CIELAB chroma).
        change: signed amount.
        first, last: 0-based frames.
        chroma: for a change of hue, how colorful the part is: the lower CIELAB chroma of both sides.
    """

    part: str
    quantity: str
    change: float
    first: int
    last: int
    sentence: str
    chroma: float | None = None


@dataclass(frozen=True)
class FrameAppearance:
    """A subject's appearance in a sampled frame (0-based), for comparisons with other segments: an `Appearance` as JSON
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
    """How consistently a character, object or the location looks in a segment.

    Attributes:
        mean, minimum: over the sampled frames, against the reference or against the first segment, whichever is lower; None
            when there was nothing to compare, with the reason in `notes`.
        worst_frame: the frame of the minimum, 0-based.
        against: {``reference`` or ``first segment``: (mean, minimum)}.
        backend, calibration: the measuring backend and its calibration. Scores of different backends are not comparable.
        weights: how the subject was located: ``mask``, ``alpha``, ``network``, ``region``, ``ratio`` or ``location``; empty
            when it was not found.
        guessed: whether its place is a guess, here or in the segment that it is compared with: the location may be measured
            along with it.
        missing: whether it is nowhere to be seen: it has a mask for each frame, and all of them are empty.
        own_likeness: w of own_likeness.py, of the segment that it is compared with.
        looks, parts: its appearance in the sampled frames, and its colors in all of them, for comparisons with other
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
    guessed: bool = False
    own_likeness: float | None = None
    missing: bool = False


@dataclass(frozen=True)
class TemporalScore:
    """How steadily a segment moves.

    Attributes:
        score: 0 to 1, or None when there are no two frames to compare, with the reason in `note`.
        mean, minimum: of the frame pairs' scores, before duplicates and the cap.
        curve: a score for each pair of consecutive frames.
        duplicates: fraction of pairs that show the same image.
        static: whether the median flow is below 0.3 pixels, which caps the score.
        median_flow, mean_flow: pixels of the measured image a frame.
        because: the reason for a low score, as the end of a sentence.
        direction: mean cosine of the motion with that of the pair before, -1 to 1; None with fewer than three frames.
        tv_l1_variance: a published metric, for comparison; None unless requested.
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
    direction: float | None = None


@dataclass(frozen=True)
class FrameProblem:
    """A defect of single frames, such as black ones. `frames` are 0-based; `severe` problems fail a segment."""

    kind: str
    frames: tuple[int, ...]
    sentence: str
    severe: bool


@dataclass(frozen=True)
class FrameCheck:
    """Number and size (width, height) of the frames, and their problems."""

    count: int
    size: tuple[int, int] | None
    problems: tuple[FrameProblem, ...] = ()


@dataclass(frozen=True)
class LightScore:
    """A segment's light, and the story's.

    Attributes:
        kelvin: estimated correlated color temperature, or None where hardly any pixel is near gray.
        lightness: median CIELAB L of the location.
        story_kelvin, story_lightness: the story's ranges, as (lowest, highest), or None.
    """

    kelvin: float | None
    lightness: float | None
    story_kelvin: tuple[float, float] | None = None
    story_lightness: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True)
class BoundaryScore:
    """Comparison of the last frame of one segment with the first one of the next.

    Attributes:
        color_step: ΔE (CIE 1976) of the locations' mean Lab; None where one side shows no location.
        exempt: why the step does not count (another location, a dissolve), or "".
        subjects: {name: score} of the subjects on both sides.
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
    """All scores of one segment.

    Attributes:
        subjects: includes the location.
        rules: the version of the rules that made it (own_likeness.py); scores of different ones are never compared.
    """

    subjects: tuple[SubjectScore, ...]
    temporal: TemporalScore | None
    frames: FrameCheck
    light: LightScore | None = None
    boundary: BoundaryScore | None = None
    ends: dict[str, Any] | None = None
    rules: int = 1

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SegmentScore:
        """The inverse of `to_dict`. Keys unknown to this version are ignored."""
        return from_plain(cls, data)


def to_plain(value: Any) -> Any:
    """Dataclasses as JSON values: tuples become lists, floats are rounded to five digits, NaN and infinities become None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


#: Types of single values, and what JSON may have for them: servers and other versions have written it.
_SCALARS: dict[Any, Any] = {bool: bool, int: int, float: (int, float), str: str}


def from_plain(cls: type[T], data: dict[str, Any]) -> T:
    """The inverse of `to_plain` for a dataclass."""
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
    if hint in _SCALARS and not (isinstance(value, _SCALARS[hint]) and (hint is bool or not isinstance(value, bool))):
        raise TypeError(f"expected {hint.__name__}, found {value!r}")
    return value
