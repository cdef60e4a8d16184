"""The journal of a run: append-only, one event a line, on disk before it is acted on. Its replay is the state."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.os_errors import explain_os_error

#: A verified file must never be rendered again. What else a power cut takes away is found out again: a submission under
#: its prompt id at the server, a finished file by its hash. Forcing those as well costs milliseconds a segment.
DURABLE = frozenset(
    {
        "run-started",
        "segment-take",
        "segment-verified",
        "segment-failed",
        "film-done",
        "run-finished",
        "run-interrupted",
    }
)
_FAILURE_FIELDS = ("time", "attempt", "failure", "remedy", "message", "ended")
STATES = ("pending", "submitted", "running", "fetched", "verified", "done", "failed")


@dataclass
class SegmentState:
    """Where a segment stands, as the journal tells it.

    Attributes:
        key: of the job that the state belongs to.
        attempt: of the last submission; a number that is part of the prompt's id.
        attempts: how many times that job was submitted.
        submitted: the last submission's event.
        cancelled: that submission was taken back, because the run was stopped.
        history: what went wrong with earlier attempts, and what was done about it.
        result: what is known of its file, once it is done.
        takes: what was rendered and judged, oldest first; see `takes`. The file becomes that of one of them.
    """

    state: str = "pending"
    key: str = ""
    attempt: int = 0
    attempts: int = 0
    submitted: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    takes: list[dict[str, Any]] = field(default_factory=list)
    cancelled: bool = False
    error: dict[str, Any] = field(default_factory=dict)


class Journal:
    """``journal.jsonl`` of a run directory; opening it replays it. With `read_only` nothing is changed on disk.

    Attributes:
        segments: where each segment stands.
        latest: the last event of each kind. Not all of them: a run of 10,000 segments has 50,000.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.segments: dict[int, SegmentState] = {}
        self.latest: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        try:
            for event in _read_events(path, repair=not read_only):
                self._replay(event)
            # Unbuffered: what could not be written must not come along with a later event.
            self._file = None if read_only else path.open("ab", buffering=0)
        except OSError as error:
            raise explain_os_error(error, path) from None

    def append(self, event: str, **data: Any) -> dict[str, Any]:
        """Write an event; when this returns, a kill of this process cannot undo it.

        What must outlast a power cut too (`DURABLE`) is forced to the disk, with everything before it.

        Raises:
            VideoGenError: `disk-full`, `path-invalid`; the journal is then as it was before.
        """
        record = {"event": event, "time": round(time.time(), 3), **data}
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
        with self._lock:
            self._write(line.encode(), durable=event in DURABLE)
            self._replay(record)
        return record

    def _write(self, line: bytes, *, durable: bool) -> None:
        if self._file is None:
            raise VideoGenError("path-invalid", f"{self.path} is not open for writing")
        size = os.fstat(self._file.fileno()).st_size
        try:
            left = memoryview(line)
            while left:
                left = left[self._file.write(left) :]
            if durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            # Half a line would swallow the next event.
            with contextlib.suppress(OSError):
                self._file.truncate(size)
            raise explain_os_error(error, self.path) from None

    def segment(self, number: int) -> SegmentState:
        return self.segments.setdefault(number, SegmentState())

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _replay(self, event: dict[str, Any]) -> None:
        self.latest[str(event["event"])] = event
        number = event.get("segment")
        if not isinstance(number, int):
            return
        state = self.segment(number)
        if event["event"] == "attempt-failed":
            state.history.append({key: event.get(key) for key in _FAILURE_FIELDS if key in event})
        elif event["event"] == "segment-cancelled":
            state.cancelled = True
        elif event["event"] == "segment-take":
            state.takes.append(event)
        kind = str(event["event"]).removeprefix("segment-")
        if kind not in STATES:
            return
        if state.state == "done" and kind != "done":
            state.takes = []  # its file was lost: what is rendered now is judged anew
        if kind == "submitted":
            if event.get("key") != state.key:
                state = self.segments[number] = SegmentState(key=str(event.get("key", "")))
            state.attempt = int(event.get("attempt", 0))
            state.attempts += 1
            state.submitted = event
            state.cancelled = False
        elif kind in ("verified", "done"):
            state.key = str(event.get("key", state.key))
            state.result = {key: value for key, value in event.items() if key not in ("event", "segment")}
            state.error = {}
        elif kind == "failed":
            state.error = {key: event.get(key) for key in ("code", "message", "hint")}
        state.state = kind


def _read_events(path: Path, *, repair: bool) -> list[dict[str, Any]]:
    """All whole lines; a last one that a crash cut off is taken away, so that the next event begins a line."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if repair and len(whole) < len(data):
        with path.open("rb+") as file:
            file.truncate(len(whole))
    events = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            raise VideoGenError(
                "run-directory-invalid",
                f"line {number} of {path} is not an event",
                "Remove that line, or start anew with --fresh; the segments' files stay.",
            )
        events.append(event)
    return events
