"""The events of a run as ``journal.jsonl`` has them, one dataclass each.

The names of the events and of their fields are part of the file format: reports, scripts and older runners read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .event import ENVELOPE, EVENTS, Event, UnknownEvent, require_types
from .file_fields import require_own_files

#: The last second of the year 9998: nothing later can be shown in every time zone.
_LAST_TIME = 253_370_764_800
_ENVELOPE_TYPES: dict[str, Any] = {"time": float}
#: Entries of a result that reports compute with, see `_ResultEvent`.
RESULT_TYPES: dict[str, Any] = {
    **dict.fromkeys(("key", "file", "sha256", "server", "encoder"), str),
    **dict.fromkeys(("bytes", "frames", "seed", "seed_offset"), int),
    **dict.fromkeys(("size", "rendered_size"), list[int]),
    "seconds": dict[str, float],
    "takes": list[dict[str, Any]],
    "audio": list[dict[str, Any]],
    "sounds": list[dict[str, Any]],
    "handed_over": list[dict[str, Any]],
    "temperature": float | dict[str, float],
    "vram": float | dict[str, float],
    "continuity": dict[str, Any],
}

#: Entries of a result that are None where nothing was said about them.
_OFTEN_UNKNOWN = ("encoder",)


def read_event(record: Mapping[str, Any]) -> Event:
    """The event of one line of a journal.

    Raises:
        ValueError: the line is not an event, or it names a file that is not the run's.
    """
    name = record.get("event")
    if not isinstance(name, str):
        raise ValueError("it has no name of an event")
    require_types(record, _ENVELOPE_TYPES)
    if not 0 <= (record.get("time") or 0) < _LAST_TIME:
        raise ValueError(f"its time is {record['time']:.3g}, expected seconds since 1970")
    require_own_files(record)
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
class FilmDone(Event, event="film-done", durable=True, optional=("notes", "stale", "sha256", "sound")):
    """The film was made. `inputs`: everything it depends on; `seconds`: its length; `missing`: segments shown as slates;
    `notes`: sentences on colors that were converted, and sound that broke off; `stale`: segments that are older than the story;
    `sha256`: of the file; `sound`: whether it has any."""

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
    notes: list[str] | None = None
    stale: list[int] | None = None
    sha256: str | None = None
    sound: bool | None = None


@dataclass(frozen=True, kw_only=True)
class SegmentsStale(Event, event="segments-stale"):
    """Segments whose files are older than the story or the workflow. `keys`: number → key of such a file.

    Each event replaces the one before it. A segment that was rendered since has another key, and is not stale any more.
    """

    keys: dict[str, str]


# ------------------------------------------------------------------ servers


@dataclass(frozen=True, kw_only=True)
class ServerLeft(Event, event="server-left"):
    """A server is not used any more in this run."""

    server: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ServerSetAside(Event, event="server-set-aside"):
    """A server gets no segments until it has been looked after: restarted if it is ours, else waited for."""

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
class SegmentSubmitted(SegmentEvent, event="segment-submitted", durable=True):
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
class SegmentCancelled(SegmentEvent, event="segment-cancelled", optional=("hung",)):
    """The prompt is about to be canceled, because the run stops or another text is wanted.

    Attributes:
        hung: its server hangs with it: the next runner does not wait for it.
    """

    attempt: int
    hung: bool | None = None


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
class SegmentTake(SegmentEvent, event="segment-take", durable=True, optional=("scores_sha256",)):
    """A take was measured and judged.

    Attributes:
        score, min, temporal: see `summarize` in rendering/takes/measurement; None where not measured.
        take: number of the take, from 1; `attempt` is that of the submission.
        backend: what compared the subjects, such as "classical"; scores of different backends are not compared.
        scores: by the names of characters, objects and locations; `subjects` are these as "character anna".
        level, reasons: of the verdict.
        rank: for the choice among takes, higher is better.
        scores_file: everything that was measured, in the run directory; scores_sha256: its hash.
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
    scores_sha256: str | None = None


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
        # What is None was not known: for reports it is as if it had not been written.
        result = {
            name: value
            for name, value in data.items()
            if name not in own and name not in ENVELOPE and (value is not None or name in _OFTEN_UNKNOWN)
        }
        require_types(result, RESULT_TYPES)
        if missing := [name for name in ("file", "sha256") if not result.get(name)]:
            raise ValueError(f"it has no {missing[0]}")
        return super().from_fields({**data, "result": result})


@dataclass(frozen=True, kw_only=True)
class SegmentVerified(_ResultEvent, event="segment-verified", durable=True):
    """The file was decoded and is whole; it is about to get its name. `part`: where it is now, relative to ``segments/``."""

    part: str | None


@dataclass(frozen=True, kw_only=True)
class SegmentDone(_ResultEvent, event="segment-done"):
    """The verified file has its name."""


@dataclass(frozen=True, kw_only=True)
class SegmentRestored(_ResultEvent, event="segment-restored", durable=True):
    """An earlier result for the key that is wanted (again) is about to be the segment's file. `part`: as above."""

    part: str | None


@dataclass(frozen=True, kw_only=True)
class SegmentAdopted(_ResultEvent, event="segment-adopted", durable=True):
    """The file that is there in place of the verified one is the segment's now. `former`: hash of the verified one."""

    former: str


@dataclass(frozen=True, kw_only=True)
class SegmentRekeyed(SegmentEvent, event="segment-rekeyed"):
    """What was rendered or submitted under a `former` key is what `key` asks for: a release of today sees more, or less."""

    key: str
    former: str


@dataclass(frozen=True, kw_only=True)
class SegmentFailed(SegmentEvent, event="segment-failed", durable=True):
    """The segment was given up."""

    key: str
    code: str
    message: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class AttemptFailed(SegmentEvent, event="attempt-failed", optional=("ended",)):
    """An attempt failed. `ended`: how the prompt ended on the server; "" or None if it was not the prompt that failed."""

    key: str
    attempt: int
    failure: str
    remedy: str
    message: str
    ended: str | None = None


# ------------------------------------------------------------------ reference images


@dataclass(frozen=True, kw_only=True)
class ReferenceSubmitted(Event, event="reference-submitted", durable=True):
    """The prompt that draws a reference image is about to be sent to a server. `name`: of the image's file."""

    name: str
    prompt_id: str
    server: str


@dataclass(frozen=True, kw_only=True)
class ReferenceCancelled(Event, event="reference-cancelled"):
    """The prompt that draws a reference image is about to be canceled, because the run stops."""

    name: str
    prompt_id: str


@dataclass(frozen=True, kw_only=True)
class ReferenceFailed(Event, event="reference-failed"):
    """An attempt to draw a reference image failed.

    Attributes:
        prompt_id: of the attempt, where the next one has another id; None where it was the server that failed, and the prompt may
            be there still.
    """

    name: str
    failure: str
    message: str
    prompt_id: str | None = None


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
