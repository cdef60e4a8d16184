"""The journal of a run: append-only, one event a line, on disk before it is acted on. Its replay is the state."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.os_errors import explain_os_error

from .events import Event, read_event
from .history import History
from .reducer import RunState
from .segment_state import InvalidTransitionError, SegmentState


class Journal:
    """``journal.jsonl`` of a run directory; opening it replays it. With `read_only` nothing is changed on disk.

    Raises:
        VideoGenError: `run-directory-invalid` for a line that is not an event, or cannot follow the lines before it;
            `path-invalid`.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._state = RunState()
        self._lock = threading.Lock()
        try:
            for number, record in enumerate(_read_records(path, repair=not read_only), 1):
                self._replay(number, record)
            # Unbuffered: what could not be written must not come along with a later event.
            self._file = None if read_only else path.open("ab", buffering=0)
        except OSError as error:
            raise explain_os_error(error, path) from None

    @property
    def segments(self) -> dict[int, SegmentState]:
        """The state of each segment that anything happened to."""
        return self._state.segments

    @property
    def history(self) -> History:
        """Runs, attempts and notes."""
        return self._state.history

    @property
    def latest(self) -> dict[str, dict[str, Any]]:
        """The last record of each event."""
        return self._state.latest

    def segment(self, number: int) -> SegmentState:
        """The state of a segment; of one that nothing happened to: pending."""
        return self._state.segment(number)

    def append(self, event: Event) -> dict[str, Any]:
        """Write an event and return its record; after this, a kill of this process cannot undo it.

        A durable event is forced to the disk, with everything before it.

        Raises:
            VideoGenError: `disk-full`, `path-invalid`; the journal is then as it was before.
            InvalidTransitionError: the event cannot follow the ones before it; nothing was written.
        """
        record = {"event": event.event_name, "time": round(time.time(), 3), **event.to_fields()}
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
        with self._lock:
            self._state.require(event)
            self._write(line.encode(), durable=event.durable)
            self._state.apply(event, record)
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

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _replay(self, number: int, record: dict[str, Any]) -> None:
        try:
            self._state.apply(read_event(record), record)
        except (ValueError, InvalidTransitionError) as error:
            raise VideoGenError(
                "run-directory-invalid",
                f"line {number} of {self.path} cannot be used: {error}",
                "Remove that line, or start again with --fresh; the segments' files stay.",
            ) from None


def read_history(path: Path) -> History:
    """Runs, attempts and notes of a journal's file.

    Raises:
        VideoGenError: like `Journal`.
    """
    return Journal(path, read_only=True).history


def _read_records(path: Path, *, repair: bool) -> list[dict[str, Any]]:
    """All whole lines; a last one that a crash cut off is removed, so that the next event begins a line."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if repair and len(whole) < len(data):
        with path.open("rb+") as file:
            file.truncate(len(whole))
    records = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or not isinstance(record.get("event"), str):
            raise VideoGenError(
                "run-directory-invalid",
                f"line {number} of {path} is not an event",
                "Remove that line, or start again with --fresh; the segments' files stay.",
            )
        records.append(record)
    return records
