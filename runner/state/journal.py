"""The journal of a run: append-only, one event a line, on disk before it is acted on. Its replay is the state."""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
import time
from collections.abc import Set
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.redaction import SECRETS
from custom_nodes.videogen.core.text import replace_surrogates
from custom_nodes.videogen.media.openers import no_follow, private
from custom_nodes.videogen.media.os_errors import explain_os_error

from .event import Event
from .events import read_event
from .history import History
from .record_files import MAX_JOURNAL, MAX_LINE, parse_json
from .reducer import RunState
from .segment_state import InvalidTransitionError, SegmentState

#: Fields that are texts for people, with what servers and nodes have said in them.
_TEXTS = ("message", "hint", "trace", "reasons")
_AGAIN = "Remove that line, or start again with --fresh; the segments' files stay."


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
            self._file = None if read_only else _open_to_append(path)
        except OSError as error:
            raise explain_os_error(error, path) from None

    @property
    def segments(self) -> dict[int, SegmentState]:
        """The state of each segment that anything happened to."""
        return self._state.segments

    def shelved(self, number: int) -> dict[str, SegmentState]:
        """What happened to a segment under other keys than its present one, by key."""
        return self._state.shelved.get(number, {})

    def state_of(self, number: int, key: str) -> SegmentState:
        """The state of a segment under a key, whether that is its present one or not; pending where nothing happened."""
        state = self.segment(number)
        return state if state.key == key else self.shelved(number).get(key, SegmentState(key=key))

    @property
    def history(self) -> History:
        """Runs, attempts and notes."""
        return self._state.history

    @property
    def latest(self) -> dict[str, dict[str, Any]]:
        """The last record of each event."""
        return self._state.latest

    @property
    def drawing(self) -> Set[str]:
        """Ids of the prompts for reference images that a server may have."""
        return self._state.drawing

    @property
    def spent(self) -> Set[str]:
        """Ids of those whose attempt has failed."""
        return self._state.spent

    @property
    def canceled(self) -> Set[str]:
        """Ids of those that were canceled, perhaps too late."""
        return self._state.canceled

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
        record = SECRETS.hide(record, texts=_TEXTS)
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
        with self._lock:
            self._state.require(event)
            # A file's name with bytes that are no text, say: nothing that is to be written down may be lost for that.
            self._write(replace_surrogates(line).encode(), durable=event.durable)
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
                _AGAIN,
            ) from None


def read_history(path: Path) -> History:
    """Runs, attempts and notes of a journal's file.

    Raises:
        VideoGenError: like `Journal`.
    """
    return Journal(path, read_only=True).history


def _open_to_append(path: Path) -> io.FileIO:
    return io.FileIO(path, "ab", opener=private)


def _read_records(path: Path, *, repair: bool) -> list[dict[str, Any]]:
    """All whole lines; a last one that a crash cut off is removed, so that the next event begins a line."""
    if not path.exists():
        return []
    records: list[dict[str, Any]] = []
    whole = 0
    with open(path, "rb", opener=no_follow) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_JOURNAL:
            raise VideoGenError(
                "run-directory-invalid", f"{path} has {size:,} bytes, at most {MAX_JOURNAL:,} are read", _AGAIN
            )
        while (line := file.readline(MAX_LINE)).endswith(b"\n"):
            whole += len(line)
            records.append(_read_record(line, len(records) + 1, path))
    if len(line) == MAX_LINE:
        raise VideoGenError(
            "run-directory-invalid", f"line {len(records) + 1} of {path} has more than {MAX_LINE:,} bytes", _AGAIN
        )
    if repair and line:
        with open(path, "rb+", opener=no_follow) as file:
            file.truncate(whole)
    return records


def _read_record(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        record = parse_json(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        raise VideoGenError("run-directory-invalid", f"line {number} of {path} is not an event", _AGAIN)
    return record
