"""Events to state: the one place that says what an event of the journal means."""

from __future__ import annotations

from functools import singledispatchmethod
from typing import Any

from .events import (
    AttemptFailed,
    Event,
    RunFinished,
    RunInterrupted,
    RunnerError,
    RunStarted,
    SegmentCancelled,
    SegmentDone,
    SegmentEvent,
    SegmentFailed,
    SegmentFetched,
    SegmentFound,
    SegmentRunning,
    SegmentSubmitted,
    SegmentTake,
    SegmentVerified,
    ServerCooled,
    ServerLeft,
    ServerRecovered,
)
from .history import History
from .segment_state import SegmentState, require_transition

Record = dict[str, Any]

_FAILURE_FIELDS = ("time", "attempt", "failure", "remedy", "message", "ended")


class RunState:
    """The state of a run directory.

    Attributes:
        segments: the state of each segment that anything happened to.
        history: runs, attempts and notes.
        latest: the last record of each event. Not all of them: a run of 10,000 segments has 50,000.
    """

    def __init__(self) -> None:
        self.segments: dict[int, SegmentState] = {}
        self.history = History()
        self.latest: dict[str, Record] = {}
        self._last_time: float | None = None

    def segment(self, number: int) -> SegmentState:
        """The state of a segment; of one that nothing happened to: pending."""
        return self.segments.get(number) or SegmentState()

    def require(self, event: Event) -> None:
        """Refuse an event that cannot follow the ones before it.

        Raises:
            InvalidTransitionError
        """
        if isinstance(event, SegmentEvent):
            require_transition(self.segment(event.segment), event)

    def apply(self, event: Event, record: Record) -> None:
        """Apply the next event.

        Args:
            record: the event as its line in the journal.

        Raises:
            InvalidTransitionError: the state is as before.
        """
        self.require(event)
        self._apply(event, record)
        self.latest[str(record["event"])] = record
        self._last_time = record.get("time", self._last_time)

    @singledispatchmethod
    def _apply(self, event: Event, record: Record) -> None:
        """Events that change nothing but `latest`."""

    # ------------------------------------------------------------------ runs and servers

    @_apply.register
    def _(self, event: RunStarted, record: Record) -> None:
        self.history.begin_run(record, self._last_time)

    @_apply.register
    def _(self, event: RunFinished, record: Record) -> None:
        found = {name: record.get(name) for name in ("seconds", "rendered", "failed")}
        self.history.end_run("finished", record.get("time"), **found)

    @_apply.register
    def _(self, event: RunInterrupted, record: Record) -> None:
        self.history.end_run("interrupted", record.get("time"))

    @_apply.register
    def _(self, event: RunnerError, record: Record) -> None:
        self.history.add_note("Internal error in videogen", record)

    @_apply.register
    def _(self, event: ServerLeft, record: Record) -> None:
        self.history.add_note("A server was not used any more", record)

    @_apply.register
    def _(self, event: ServerRecovered, record: Record) -> None:
        self.history.add_note("A server came back", record)

    @_apply.register
    def _(self, event: ServerCooled, record: Record) -> None:
        self.history.add_note("A server had to cool down", record)

    # ------------------------------------------------------------------ segments

    @_apply.register
    def _(self, event: SegmentSubmitted, record: Record) -> None:
        key = event.key or ""
        if key != self.segment(event.segment).key:
            # Attempts at a job that is no longer wanted say nothing about this one.
            self.segments[event.segment] = SegmentState(key=key)
            self.history.of_segment(event.segment).clear()
        state = self._move(event, "submitted")
        state.attempt = event.attempt or 0
        state.attempts += 1
        state.submitted = record
        state.cancelled = False
        self.history.begin_try(event.segment, record)

    @_apply.register
    def _(self, event: SegmentFound, record: Record) -> None:
        self._move(event, "submitted")

    @_apply.register
    def _(self, event: SegmentCancelled, record: Record) -> None:
        self._own(event).cancelled = True

    @_apply.register
    def _(self, event: SegmentRunning, record: Record) -> None:
        self._move(event, "running")

    @_apply.register
    def _(self, event: SegmentFetched, record: Record) -> None:
        self._move(event, "fetched")

    @_apply.register
    def _(self, event: SegmentTake, record: Record) -> None:
        self._own(event).takes.append(record)
        self.history.judge_try(event.segment, record)

    @_apply.register
    def _(self, event: SegmentVerified, record: Record) -> None:
        self._take_result(self._move(event, "verified"), record)

    @_apply.register
    def _(self, event: SegmentDone, record: Record) -> None:
        self._take_result(self._move(event, "done"), record)
        self.history.finish_try(event.segment, record)

    @_apply.register
    def _(self, event: SegmentFailed, record: Record) -> None:
        self._move(event, "failed").error = {name: record.get(name) for name in ("code", "message", "hint")}

    @_apply.register
    def _(self, event: AttemptFailed, record: Record) -> None:
        failure = {name: record[name] for name in _FAILURE_FIELDS if name in record}
        self._own(event).history.append(failure)
        self.history.fail_try(event.segment, record)

    def _own(self, event: SegmentEvent) -> SegmentState:
        return self.segments.setdefault(event.segment, SegmentState())

    def _move(self, event: SegmentEvent, to: str) -> SegmentState:
        state = self._own(event)
        if state.state == "done":
            state.takes = []  # its file was lost, or is not wanted any more: what is rendered now is judged by itself
        state.state = to
        return state

    @staticmethod
    def _take_result(state: SegmentState, record: Record) -> None:
        state.key = str(record.get("key", state.key))
        state.result = {name: value for name, value in record.items() if name not in ("event", "segment")}
        state.error = {}
