"""What a server says, read at one place: JSON becomes values of known types, or `MalformedAnswerError`.

Everything a server sends comes through here: statistics, schemas, queue, history, events, records of nodes. Code behind
this door does not ask again whether a field is there and of which type. An answer that nothing can be done without is refused;
of one that says several things, what cannot be read is left out.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

import msgspec

from custom_nodes.videogen.core.text import replace_surrogates

from .bounds import limits
from .bounds.limits import Limit

Value = TypeVar("Value")

#: Levels of nesting that are read; ComfyUI's own answers have about ten.
MAX_DEPTH = 64
#: Numbers beyond this are nothing that ComfyUI counts or measures, and Python cannot make them floats at some point.
MAX_NUMBER = 1e300


class MalformedAnswerError(Exception):
    """An answer is not what ComfyUI sends; the text says what was found and where."""


def parse_json(data: bytes | bytearray | str, limit: Limit = limits.SMALL) -> Any:
    """Parse JSON, as strictly as everything after it needs.

    Lone surrogates, which no file in UTF-8 can hold, are replaced. NaN and infinities, which ComfyUI sends for values that are
    never equal, become None.

    Args:
        limit: how many values and dictionaries it may have.

    Raises:
        MalformedAnswerError: it is not JSON, nested deeper than `MAX_DEPTH`, or has more values.
    """
    data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    _require_few(data, limit)
    try:
        value, mend = msgspec.json.decode(data), _keep_text
    except Exception:
        value, mend = _parse_leniently(data), replace_surrogates
    with reading():
        return _tidy(value, MAX_DEPTH, mend)


def _require_few(data: bytes | bytearray, limit: Limit) -> None:
    if sum(map(data.count, (b",", b"[", b"{"))) > limit.values:
        raise MalformedAnswerError(f"it has more than {limit.values:,} values")
    if data.count(b"{") > limit.dictionaries:
        raise MalformedAnswerError(f"it has more than {limit.dictionaries:,} dictionaries")


def _parse_leniently(data: bytes | bytearray) -> Any:
    if len(data) > limits.LENIENT_BYTES:
        raise MalformedAnswerError(f"it is no strict JSON, of which {limits.LENIENT_BYTES:,} bytes are read at most")
    with reading():
        return json.loads(data.decode("utf-8", "replace"), parse_constant=lambda _: None)


def read_as(value: Any, schema: type[Value]) -> Value:
    """A parsed answer as a value of a schema; fields that the schema does not have are left out.

    Raises:
        MalformedAnswerError: it does not fit.
    """
    with reading():
        return msgspec.convert(value, schema)


def shorten(text: str, most: int = limits.MAX_TEXT) -> str:
    """A text of a server with at most this many characters, and how many it had."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text):,} characters)"


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Read what a server says in this context: whatever goes wrong is the answer's fault.

    Raises:
        MalformedAnswerError
    """
    try:
        yield
    except MalformedAnswerError:
        raise
    except Exception as error:
        raise MalformedAnswerError(
            " ".join(replace_surrogates(str(error)).split())[:200] or type(error).__name__
        ) from None


def _keep_text(text: str) -> str:
    """Of strict JSON, no text has half a character."""
    return text


def _tidy(value: Any, depth: int, mend: Callable[[str], str]) -> Any:
    """Mend a parsed value in place: a copy would be as large as the value."""
    if isinstance(value, str):
        return value if value.isascii() else mend(value)
    if isinstance(value, (dict, list)):
        if not depth:
            raise MalformedAnswerError(f"it is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, list):
            for index, item in enumerate(value):
                value[index] = _tidy(item, depth - 1, mend)
        else:
            if any(not name.isascii() for name in value):
                items = [(mend(name), item) for name, item in value.items()]
                value.clear()
                value.update(items)
            for name, item in value.items():
                value[name] = _tidy(item, depth - 1, mend)
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not -MAX_NUMBER < value < MAX_NUMBER:
        return None
    return value


# ------------------------------------------------------------------ schemas of ComfyUI's answers


class System(msgspec.Struct):
    comfyui_version: str
    pytorch_version: str = ""
    python_version: str = ""


class Device(msgspec.Struct):
    name: str = "?"


class SystemStats(msgspec.Struct):
    """``/system_stats``."""

    system: System
    devices: list[Device] = []


class JobAnswer(msgspec.Struct):
    """``/api/jobs/ID``, and an item of ``/api/jobs``: how far a prompt is."""

    id: str
    status: Literal["pending", "in_progress", "completed", "failed", "cancelled"]


#: What the jobs API calls the state of a prompt → `Session.find`'s words.
JOB_STATES = {
    "pending": "queued",
    "in_progress": "queued",
    "completed": "success",
    "failed": "error",
    "cancelled": "interrupted",
}


class JobList(msgspec.Struct):
    """``/api/jobs``."""

    jobs: list[JobAnswer]


class MissingJob(msgspec.Struct):
    """``/api/jobs/ID`` of a prompt that the server does not know, with HTTP 404."""

    error: Literal["Job not found"]


class CancelAnswer(msgspec.Struct):
    """``/api/jobs/ID/cancel``: whether the prompt waited or ran."""

    cancelled: bool


class UploadAnswer(msgspec.Struct):
    """``/upload/image``: the name that the file got."""

    name: str
    subfolder: str = ""


class NodeProblem(msgspec.Struct):
    message: str = "invalid"
    details: str = ""


class NodeProblems(msgspec.Struct):
    class_type: str = ""
    errors: list[NodeProblem] = []


class Telemetry(msgspec.Struct):
    """``/videogen/telemetry`` of the pack."""

    readings: list[dict[str, Any]]
    running: bool = False
    policy: dict[str, Any] | None = None
    server: str = ""
    age: float | None = None
    period: float | None = None


class EventMessage(msgspec.Struct):
    """A text message of the websocket."""

    type: str
    data: dict[str, Any]


class NodeProgress(msgspec.Struct):
    """One node in the event ``progress_state``."""

    state: str = ""
    value: float = 0.0
    max: float = 0.0
    real_node_id: str = ""


class ExecutionError(msgspec.Struct):
    """The message ``execution_error`` of a history entry."""

    node_id: str | int = "?"
    node_type: str = "?"
    exception_type: str = ""
    exception_message: str = "no reason given"


class SavedFile(msgspec.Struct, frozen=True):
    """A file as a node's ui result names it."""

    filename: str
    subfolder: str = ""
    type: str = "output"


class SegmentRecord(msgspec.Struct):
    """What the runner needs of what VideoGenSaveSegment says of its file. Fields that older packs did not write are None."""

    sha256: str
    frames: int | None = None
    quality: str | None = None
    encoder: str | None = None


class SegmentTelemetry(msgspec.Struct):
    """The machine's telemetry that VideoGenSaveSegment passes on."""

    devices: list[Any] = []
    pauses: list[Any] = []


# ------------------------------------------------------------------ the queue


class _QueueEntry(msgspec.Struct, array_like=True):
    """``[number, prompt id, graph, …]``: of what comes after the id no object is made."""

    number: float
    prompt_id: msgspec.Raw

    def __post_init__(self) -> None:
        _counting.left -= 1
        if _counting.left < 0:
            raise ValueError(f"it has more than {limits.MAX_QUEUE:,} prompts")


class _Queue(msgspec.Struct):
    queue_running: list[_QueueEntry]
    queue_pending: list[_QueueEntry]


class _LenientQueue(msgspec.Struct):
    queue_running: list[list[Any]]
    queue_pending: list[list[Any]]


_counting = threading.local()


def read_queue(data: bytes | bytearray) -> tuple[frozenset[str], frozenset[str]]:
    """``/queue``, which has the graphs of all clients: the ids of the prompts that run, and of those that wait.

    Raises:
        MalformedAnswerError: it does not fit, or has more than `limits.MAX_QUEUE` prompts.
    """
    _counting.left = limits.MAX_QUEUE
    try:
        queue = msgspec.json.decode(data, type=_Queue)
        running, pending = (
            frozenset(msgspec.json.decode(entry.prompt_id, type=str) for entry in entries if _is_id(entry.prompt_id))
            for entries in (queue.queue_running, queue.queue_pending)
        )
    except Exception as error:
        if _counting.left < 0:
            raise MalformedAnswerError(f"it has more than {limits.MAX_QUEUE:,} prompts") from error
        if len(data) > limits.LENIENT_BYTES:
            raise MalformedAnswerError(" ".join(str(error).split())[: limits.MAX_NAME]) from error
        # As a whole: with NaN somewhere in a graph, or to say what is wrong.
        lenient = read_as(parse_json(data, limits.QUEUE), _LenientQueue)
        with reading():
            running, pending = (
                frozenset(str(item[1]) for item in items) for items in (lenient.queue_running, lenient.queue_pending)
            )
    return running, pending


def _is_id(raw: msgspec.Raw) -> bool:
    """Whether a text can be the id of a prompt of ours: others are passed over, however large they are."""
    return len(memoryview(raw)) <= limits.MAX_NAME


def read_part(value: Any, schema: type[Value]) -> Value | None:
    """`read_as` for a part of an answer that can be done without: None where it does not fit."""
    try:
        return read_as(value, schema)
    except MalformedAnswerError:
        return None


def read_parts(value: Any, schema: type[Value]) -> list[Value]:
    """Those of a list's items that fit a schema; none where it is no list."""
    items = value if isinstance(value, list) else []
    return [part for item in items if (part := read_part(item, schema)) is not None]


def is_small(value: Any) -> bool:
    """Whether a part of an answer, as JSON, can stand in the journal: `limits.MAX_RECORD` bytes at most."""
    return len(json.dumps(value)) <= limits.MAX_RECORD


def read_number(value: Any) -> float | None:
    """A value as a number that can be computed with; None for anything else."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None
