"""The health of a server: whether a failure is its segment's or its own, and whether it is trusted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..failures import SERVER_FAILURES, Failure
from ..retries import AttemptState, Variant

#: So many different segments that fail in the same way, with nothing finished in between, are the server's fault.
SAME_FAILURES = 3
#: The same, when one of them would be given up otherwise.
SAME_FAILURES_AT_LAST = 2
#: Failures that say nothing of their segment while the server has finished nothing since it failed before.
_UNPROVEN = frozenset({Failure.STALLED, Failure.DEVICE})


@dataclass
class Trial:
    """A segment that has failed on a server.

    Attributes:
        state: of the segment's attempts.
        variant: how it was tried first.
        counted: node errors that counted against it before.
    """

    state: AttemptState
    variant: Variant
    counted: int

    def excuse(self, *, waiting: bool) -> None:
        """Take back what the failures have cost the segment: its retries, and its seed if it is not being rendered now."""
        self.state.excused[Failure.NODE_ERROR] = self.state.failures[Failure.NODE_ERROR] - self.counted
        if waiting:
            self.state.variant = self.variant


@dataclass
class ServerHealth:
    """What the prompts of a run tell of one server.

    Attributes:
        restarts: the server is ours: after a failure it is a new process, whose next failure is evidence again.
        trusted: it has not failed since it last finished something.
        signature: how its last prompts have failed, see `sign_failure`; "" when the last one did not.
        trials: the different segments that have failed in that way, one after the other, by their numbers.
        blamed: signatures for which it was looked after already, with nothing finished since.
        doubts: numbers of the segments that have failed here since it last finished something: others are tried first, and
            tell whose fault it was.
    """

    restarts: bool = False
    trusted: bool = True
    signature: str = ""
    trials: dict[int, Trial] = field(default_factory=dict)
    blamed: set[str] = field(default_factory=set)
    doubts: set[int] = field(default_factory=set)

    def note_success(self) -> None:
        """It has finished a segment, which wins back all trust."""
        self.trusted = True
        self.signature = ""
        self.trials.clear()
        self.blamed.clear()
        self.doubts.clear()

    def distrust(self) -> None:
        """It has failed: it has to finish something to be trusted again."""
        self.trusted = False
        self.signature = ""
        self.trials.clear()

    def counts(self, failure: Failure) -> bool:
        """Whether a failure that is about to be noted counts against its segment."""
        return failure not in _UNPROVEN or self.trusted or self.restarts

    def judge(
        self,
        number: int,
        state: AttemptState,
        failure: Failure,
        signature: str,
        *,
        last: bool,
        others: Iterable[ServerHealth] = (),
    ) -> tuple[Failure, list[Trial]]:
        """Decide whether the failure of a prompt is the server's, and note it.

        It is when several segments have failed here in the same way, one after the other. It is not when another server fails
        in that way too, or this one was looked after for it and has finished nothing since: then the workflow fails, and every
        segment comes to its own end.

        Args:
            number: of the segment.
            state: of its attempts.
            failure: as `classify_outcome` has it.
            signature: see `sign_failure`; "" when it was not a prompt that failed.
            last: the segment would be given up.
            others: the health of the other servers.

        Returns:
            The failure to act on, and the segments that were wronged before this one.
        """
        if failure in SERVER_FAILURES or failure is Failure.NODE_ERROR:
            self.doubts.add(number)
        if failure is not Failure.NODE_ERROR or not signature:
            return failure, []
        if signature != self.signature:
            self.signature = signature
            self.trials.clear()
        self.trials.setdefault(number, Trial(state, state.variant, state.count(failure)))
        enough = len(self.trials) >= (SAME_FAILURES_AT_LAST if last else SAME_FAILURES)
        if not enough or signature in self.blamed or any(other.signature == signature for other in others):
            return failure, []
        self.blamed.add(signature)
        return Failure.SERVER_SICK, list(self.trials.values())
