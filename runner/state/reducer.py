"""Events to state: the one place that says what an event of the journal means."""

from __future__ import annotations

from functools import singledispatchmethod
from typing import Any

from .event import Event
from .events import (
    AttemptFailed,
    ReferenceCancelled,
    ReferenceFailed,
    ReferenceSubmitted,
    RunFinished,
    RunInterrupted,
    RunnerError,
    RunStarted,
    SegmentAdopted,
    SegmentCancelled,
    SegmentDone,
    SegmentEvent,
    SegmentFailed,
    SegmentFetched,
    SegmentFound,
    SegmentRekeyed,
    SegmentRestored,
    SegmentRunning,
    SegmentSubmitted,
    SegmentTake,
    SegmentVerified,
    ServerCooled,
    ServerLeft,
    ServerRecovered,
    ServerSetAside,
)
from .history import History
from .segment_state import SegmentState, require_transition

Record = dict[str, Any]

_FAILURE_FIELDS = ("time", "attempt", "failure", "remedy", "message", "ended")


class RunState:
    """The state of a run directory.

    Attributes:
        segments: the state of each segment that anything happened to.
        shelved: states of segments under other keys, by number and key: what was rendered, judged or submitted for a text that
            is not wanted now counts again when it is wanted again.
        history: runs, attempts and notes.
        latest: the last record of each event. Not all of them: a run of 10,000 segments has 50,000.
        drawing: ids of the prompts for reference images that a server may have.
        spent: ids of those whose attempt has failed: what a server says of them counts no more.
        canceled: ids of those that were canceled, perhaps too late.
    """

    def __init__(self) -> None:
        self.segments: dict[int, SegmentState] = {}
        self.shelved: dict[int, dict[str, SegmentState]] = {}
        self._shelved_tries: dict[tuple[int, str], list[Record]] = {}
        self.history = History()
        self.latest: dict[str, Record] = {}
        self.drawing: set[str] = set()
        self.spent: set[str] = set()
        self.canceled: set[str] = set()
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
    def _(self, event: ServerSetAside, record: Record) -> None:
        self.history.add_note("A server was set aside", record)

    @_apply.register
    def _(self, event: ServerRecovered, record: Record) -> None:
        self.history.add_note("A server came back", record)

    @_apply.register
    def _(self, event: ServerCooled, record: Record) -> None:
        self.history.add_note("A server had to cool down", record)

    # ------------------------------------------------------------------ segments

    @_apply.register
    def _(self, event: SegmentSubmitted, record: Record) -> None:
        self._switch(event.segment, event.key or "")
        state = self._own(event)
        before = state.submitted
        open_elsewhere = state.state in ("submitted", "running") and before.get("server") != event.server
        if open_elsewhere and not state.remedy_of_ended and before not in state.left_behind:
            state.left_behind.append(before)
        self._move(event, "submitted")
        state.attempt = event.attempt or 0
        state.reached = max(state.reached, state.attempt)
        state.attempts += 1
        state.submitted = record
        state.cancelled = state.hung = False
        self.history.begin_try(event.segment, record)

    @_apply.register
    def _(self, event: SegmentFound, record: Record) -> None:
        self._move(event, "submitted")

    @_apply.register
    def _(self, event: SegmentCancelled, record: Record) -> None:
        state = self._own(event)
        state.cancelled, state.hung = True, bool(event.hung)

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
        self._take_result(self._move(event, "verified"), event, record)

    @_apply.register
    def _(self, event: SegmentDone, record: Record) -> None:
        self._take_result(self._move(event, "done"), event, record)
        self.history.finish_try(event.segment, record)

    @_apply.register
    def _(self, event: SegmentRestored, record: Record) -> None:
        self._switch(event.segment, str(record.get("key", "")))
        state = self._own(event)
        state.state = "verified"
        self._take_result(state, event, record)

    @_apply.register
    def _(self, event: SegmentAdopted, record: Record) -> None:
        self._take_result(self._own(event), event, record)
        taken = {**record, "message": str(record.get("file", ""))}
        self.history.add_note("A file that was not rendered was taken in its place (--adopt)", taken)

    @_apply.register
    def _(self, event: SegmentRekeyed, record: Record) -> None:
        shelf = self.shelved.get(event.segment, {})
        state = self.segment(event.segment)
        if state.key != event.former:
            found = shelf.pop(event.former, None)
            if found is None:
                return
            state = shelf[event.key] = found
            tries = self._shelved_tries.pop((event.segment, event.former), [])
            self._shelved_tries[event.segment, event.key] = tries
        state.key, state.id_key = event.key, state.id_key or event.former
        if state.result:
            state.result = {**state.result, "key": event.key}

    @_apply.register
    def _(self, event: SegmentFailed, record: Record) -> None:
        if event.code == "predecessor-missing" and self.segment(event.segment).state == "done":
            self._shelve(event.segment)  # it may come out of the next run as what it is already
        self._switch(event.segment, event.key or "")
        self._move(event, "failed").error = {name: record.get(name) for name in ("code", "message", "hint")}

    @_apply.register
    def _(self, event: AttemptFailed, record: Record) -> None:
        self._switch(event.segment, event.key or "")
        failure = {name: record[name] for name in _FAILURE_FIELDS if name in record}
        self._own(event).history.append(failure)
        self.history.fail_try(event.segment, record)

    # ------------------------------------------------------------------ reference images

    @_apply.register
    def _(self, event: ReferenceSubmitted, record: Record) -> None:
        self.drawing.add(event.prompt_id)

    @_apply.register
    def _(self, event: ReferenceFailed, record: Record) -> None:
        if event.prompt_id:
            self.spent.add(event.prompt_id)

    @_apply.register
    def _(self, event: ReferenceCancelled, record: Record) -> None:
        self.canceled.add(event.prompt_id)

    def _switch(self, number: int, key: str) -> None:
        """Make the state of a segment that of a key: attempts at a job that is no longer wanted say nothing about this one."""
        state = self.segment(number)
        if not key or state.key == key:
            return
        shelf = self._shelve(number)
        self.segments[number] = shelf.pop(key) if key in shelf else SegmentState(key=key)
        self.history.of_segment(number)[:] = self._shelved_tries.pop((number, key), [])

    def _shelve(self, number: int) -> dict[str, SegmentState]:
        """Put the state of a segment on its shelf, if it has a key. Returns the shelf."""
        shelf = self.shelved.setdefault(number, {})
        state = self.segments.pop(number, SegmentState())
        if state.key:
            shelf[state.key] = state
            self._shelved_tries[number, state.key] = list(self.history.of_segment(number))
        return shelf

    def _own(self, event: SegmentEvent) -> SegmentState:
        return self.segments.setdefault(event.segment, SegmentState())

    def _move(self, event: SegmentEvent, to: str) -> SegmentState:
        state = self._own(event)
        if state.state == "done":
            state.takes = []  # its file was lost, or is not wanted any more: what is rendered now is judged by itself
        state.state = to
        return state

    @staticmethod
    def _take_result(state: SegmentState, event: SegmentEvent, record: Record) -> None:
        """Take the result as the event has it: without what the line says is None."""
        told = {name: value for name, value in event.to_fields().items() if name != "segment"}
        state.key = str(told.get("key", state.key))
        state.result = {**told, "time": record.get("time")}
        state.error = {}
