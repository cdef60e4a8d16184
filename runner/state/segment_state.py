"""The state machine of one segment: its states, and which event may follow which state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .events import (
    SegmentAdopted,
    SegmentCancelled,
    SegmentDone,
    SegmentEvent,
    SegmentFetched,
    SegmentFound,
    SegmentRunning,
    SegmentTake,
    SegmentVerified,
)


@dataclass
class SegmentState:
    """The state of a segment as the journal tells it.

    Attributes:
        state: ``pending``, ``submitted``, ``running``, ``fetched``, ``verified``, ``done`` or ``failed``.
        key: of the job that the state belongs to.
        id_key: the former key that ids of its prompts are made of, when it has one; "" for `key`.
        attempt: of the last submission; a number that is part of the prompt's id.
        attempts: how many times that job was submitted.
        submitted: record of the last submission.
        reached: the highest attempt so far.
        left_behind: records of former submissions whose end is not known: the ones after them went to other servers.
        cancelled: that submission was canceled, because the run was stopped or another text was wanted.
        hung: its server hung with it then.
        history: what went wrong with earlier attempts, and what was done about it.
        result: what is known of its file, once it is verified.
        takes: records of what was rendered and judged, oldest first; the file becomes that of one of them.
        error: ``code``, ``message`` and ``hint`` of a segment that was given up.
    """

    state: str = "pending"
    key: str = ""
    id_key: str = ""
    attempt: int = 0
    attempts: int = 0
    submitted: dict[str, Any] = field(default_factory=dict)
    reached: int = 0
    left_behind: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    takes: list[dict[str, Any]] = field(default_factory=list)
    cancelled: bool = False
    hung: bool = False
    error: dict[str, Any] = field(default_factory=dict)

    @property
    def remedy_of_ended(self) -> str:
        """What was decided when the last attempt had ended on its server without success; "" where it has not."""
        last = self.history[-1] if self.history else {}
        over = last.get("attempt") == self.attempt and last.get("ended")
        return str(last.get("remedy")) if over else ""


class InvalidTransitionError(Exception):
    """An event that cannot follow what happened to its segment before."""


#: Event → the states that it can follow. An event that is not here can follow any: a segment can be submitted again after
#: everything (its file was lost, its prompt changed), and an attempt can fail before it is submitted.
FOLLOWS: dict[type[SegmentEvent], frozenset[str]] = {
    # A file that was lost may be found again at the server, as the prompt that it came from.
    SegmentFound: frozenset({"submitted", "running", "fetched", "verified", "done"}),
    SegmentCancelled: frozenset({"submitted", "running"}),
    SegmentRunning: frozenset({"submitted", "running"}),
    # A prompt whose outputs are all cached never runs.
    SegmentFetched: frozenset({"submitted", "running"}),
    SegmentTake: frozenset({"fetched"}),
    SegmentVerified: frozenset({"fetched"}),
    SegmentDone: frozenset({"verified"}),
    SegmentAdopted: frozenset({"done"}),
}
#: An earlier take can become the segment's file while a later attempt is anywhere on its way, or fails before it is submitted,
#: after a run that could not even try (what the segment begins from was not rendered).
_FOLLOWS_WITH_TAKES = frozenset({"submitted", "running", "fetched", "failed"})


def require_transition(state: SegmentState, event: SegmentEvent) -> None:
    """Refuse an event that the segment's state does not allow.

    Raises:
        InvalidTransitionError
    """
    allowed = FOLLOWS.get(type(event))
    if isinstance(event, SegmentVerified) and state.takes:
        allowed = _FOLLOWS_WITH_TAKES
    if allowed is not None and state.state not in allowed:
        raise InvalidTransitionError(
            f"{event.event_name} of segment {event.segment} cannot follow {state.state!r},"
            f" expected {', '.join(sorted(allowed))}"
        )
    if isinstance(event, SegmentDone) and event.result.get("sha256") != state.result.get("sha256"):
        raise InvalidTransitionError(
            f"{event.event_name} of segment {event.segment} has another file than was verified"
        )
