"""The events of a run as ``journal.jsonl`` has them, one dataclass each.

The names of the events and of their fields are part of the file format: reports, scripts and older runners read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

#: Fields of a record in addition to those of its event.
ENVELOPE = ("event", "time")


class Event:
    """Base of all events.

    Attributes:
        event_name: what the journal calls it.
        durable: it must outlast a power cut; the others outlast a kill of the process. A verified file must never be rendered
            again. What else a power cut takes away is found again: a submission under its prompt id at the server, a
            finished file by its hash. Forcing those to disk as well would cost milliseconds per segment.
    """

    event_name: ClassVar[str] = ""
    durable: ClassVar[bool] = False

    def __init_subclass__(cls, *, event: str = "", durable: bool = False, **more: Any) -> None:
        super().__init_subclass__(**more)
        if event:
            cls.event_name, cls.durable = event, durable
            EVENTS[event] = cls

    def to_fields(self) -> dict[str, Any]:
        """The event's own fields, in the order in which they are written."""
        return {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_fields(cls, data: Mapping[str, Any]) -> Event:
        """The event of a record. A field that an older version did not write is None; unknown fields are left out.

        Raises:
            ValueError: the event of a segment, without the segment's number.
        """
        known = {item.name: data.get(item.name) for item in fields(cls)}  # type: ignore[arg-type]
        if "segment" in known and (type(known["segment"]) is not int or known["segment"] < 1):
            raise ValueError(f"its segment is {known['segment']!r}, expected a number from 1")
        return cls(**known)


@dataclass(frozen=True, kw_only=True)
class UnknownEvent(Event):
    """An event of another version, which changes no state."""


#: Every event by its name.
EVENTS: dict[str, type[Event]] = {}


def read_event(record: Mapping[str, Any]) -> Event:
    """The event of one line of a journal.

    Raises:
        ValueError: the line is not an event.
    """
    name = record.get("event")
    if not isinstance(name, str):
        raise ValueError("it has no name of an event")
    return EVENTS[name].from_fields(record) if name in EVENTS else UnknownEvent()


# ------------------------------------------------------------------ runs


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event, event="run-started", durable=True):
    """A run begins. `todo`: segments to render; `kept`: how many are done already."""

    run_id: str
    server: str
    todo: list[int]
    kept: int


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event, event="run-finished", durable=True):
    """A run came to its end. `failed`: segments that were given up; `seconds`: of the whole run; `status`: exit status."""

    rendered: int
    kept: int
    failed: list[int]
    seconds: float
    status: int


@dataclass(frozen=True, kw_only=True)
class RunInterrupted(Event, event="run-interrupted", durable=True):
    """The user stopped the run."""


@dataclass(frozen=True, kw_only=True)
class RunnerError(Event, event="runner-error"):
    """An internal error."""

    message: str
    trace: str


@dataclass(frozen=True, kw_only=True)
class FilmDone(Event, event="film-done", durable=True):
    """The film was made. `inputs`: everything it depends on; `seconds`: its length; `missing`: segments shown as slates."""

    inputs: list[Any]
    file: str
    bytes: int
    seconds: float
    frames: int
    fps: int
    size: list[int]
    copied: int
    encoded: int
    encoder: str
    missing: list[int]


# ------------------------------------------------------------------ servers


@dataclass(frozen=True, kw_only=True)
class ServerLeft(Event, event="server-left"):
    """A server is not used any more in this run."""

    server: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ServerRecovered(Event, event="server-recovered"):
    """A server came back."""

    server: str


@dataclass(frozen=True, kw_only=True)
class ServerHot(Event, event="server-hot"):
    """A server gets no segment until it has cooled down."""

    server: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ServerCooled(Event, event="server-cooled"):
    """A server has cooled down, after `seconds`."""

    server: str
    seconds: float
    message: str


# ------------------------------------------------------------------ segments


@dataclass(frozen=True, kw_only=True)
class SegmentEvent(Event):
    """Base of the events of one segment."""

    segment: int


@dataclass(frozen=True, kw_only=True)
class SegmentSubmitted(SegmentEvent, event="segment-submitted"):
    """A prompt is about to be sent to a server. `attempt` is part of the prompt's id; `size` is None for the story's."""

    key: str
    attempt: int
    prompt_id: str
    server: str
    seed_offset: int
    size: list[int] | None


@dataclass(frozen=True, kw_only=True)
class SegmentFound(SegmentEvent, event="segment-found"):
    """The server has the prompt already: an earlier runner submitted it, or this one before the server went away."""

    attempt: int
    prompt_id: str
    server: str


@dataclass(frozen=True, kw_only=True)
class SegmentCancelled(SegmentEvent, event="segment-cancelled"):
    """The prompt is about to be canceled, because the run stops."""

    attempt: int


@dataclass(frozen=True, kw_only=True)
class SegmentRunning(SegmentEvent, event="segment-running"):
    """The server works on the prompt."""

    attempt: int


@dataclass(frozen=True, kw_only=True)
class SegmentFetched(SegmentEvent, event="segment-fetched"):
    """The prompt's outputs were downloaded, under temporary names."""

    attempt: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class SegmentTake(SegmentEvent, event="segment-take", durable=True):
    """A take was measured and judged.

    Attributes:
        score, min, temporal: see `summarize` in rendering/takes/measurement; None where not measured.
        take: number of the take, from 1; `attempt` is that of the submission.
        backend: what compared the subjects, such as "classical"; scores of different backends are not compared.
        scores: by the names of characters, objects and locations; `subjects` are these as "character anna".
        level, reasons: of the verdict.
        rank: for the choice among takes, higher is better.
        scores_file: everything that was measured, in the run directory.
        another: the segment is rendered once more.
        part: the take's file, relative to ``segments/``.
        result: what `SegmentDone` will say when this take is chosen.
    """

    attempt: int
    seed_offset: int
    take: int
    seed: int
    score: float | None
    min: float | None
    temporal: float | None
    level: str
    reasons: list[str]
    rank: float
    backend: str
    scores_file: str
    scores: dict[str, float]
    subjects: list[str]
    another: bool
    part: str
    result: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _ResultEvent(SegmentEvent):
    """Base of the events that carry a segment's result, whose entries are fields of the record.

    Attributes:
        result: ``key``, ``file``, ``bytes``, ``sha256``, ``frames``, ``fps``, ``size``, ``seed``, ``rendered_size``,
            ``degraded``, ``server``, ``encoder``, ``seconds``, and what was measured on the way.
    """

    result: dict[str, Any]

    def to_fields(self) -> dict[str, Any]:
        own = super().to_fields()
        result = own.pop("result")
        return {**own, **result}

    @classmethod
    def from_fields(cls, data: Mapping[str, Any]) -> Event:
        own = {item.name for item in fields(cls)}
        result = {name: value for name, value in data.items() if name not in own and name not in ENVELOPE}
        return super().from_fields({**data, "result": result})


@dataclass(frozen=True, kw_only=True)
class SegmentVerified(_ResultEvent, event="segment-verified", durable=True):
    """The file was decoded and is whole; it is about to get its name. `part`: where it is now, relative to ``segments/``."""

    part: str | None


@dataclass(frozen=True, kw_only=True)
class SegmentDone(_ResultEvent, event="segment-done"):
    """The verified file has its name."""


@dataclass(frozen=True, kw_only=True)
class SegmentFailed(SegmentEvent, event="segment-failed", durable=True):
    """The segment was given up."""

    key: str
    code: str
    message: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class AttemptFailed(SegmentEvent, event="attempt-failed"):
    """An attempt failed. `ended`: how the prompt ended on the server; "" or None if it was not the prompt that failed."""

    key: str
    attempt: int
    failure: str
    remedy: str
    message: str
    ended: str | None = None

    def to_fields(self) -> dict[str, Any]:
        return {name: value for name, value in super().to_fields().items() if name != "ended" or value}


# ------------------------------------------------------------------ reference images


@dataclass(frozen=True, kw_only=True)
class ReferenceSubmitted(Event, event="reference-submitted"):
    """The prompt that draws a reference image is about to be sent to a server. `name`: of the image's file."""

    name: str
    prompt_id: str
    server: str


@dataclass(frozen=True, kw_only=True)
class ReferenceFailed(Event, event="reference-failed"):
    """An attempt to draw a reference image failed."""

    name: str
    failure: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ReferenceDone(Event, event="reference-done"):
    """A reference image was drawn and is in the run directory; ``references.json`` and the report have the same fields.

    Attributes:
        name: of the image's file, as the story has it.
        kind, entity: ``character`` or ``object``, and its name.
        key: of what it was drawn from, see `member_key`. With another one it is drawn again.
        seconds: that the server took.
    """

    name: str
    kind: str
    entity: str
    key: str
    prompt: str
    seed: int
    bytes: int
    sha256: str
    seconds: float
    server: str
