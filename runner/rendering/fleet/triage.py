"""What follows from a failure: the tables of `retries`, with what is known of the servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from custom_nodes.videogen.core.errors import VideoGenError

from ..failures import SERVER_FAILURES, Failure
from ..retries import Remedy, choose_remedy, segment_remedies
from ..scheduler import Scheduler, Setback, Task

#: Failures of a prompt that say that its server cannot go on, whatever the others do.
_LEAVE = frozenset({Failure.DISK_FULL, Failure.TOO_HOT})


@dataclass(frozen=True)
class Incident:
    """A failure as its server's thread sees it.

    Attributes:
        failure: told by itself, see `failures`.
        error: what is reported of it.
        size: that was tried.
        ended: how the prompt has ended on the server (``error``, ``interrupted``, ``success`` with broken outputs), if that
            is the failure.
        signature: how the prompt has failed, see `sign_failure`; "" when it was not the prompt.
    """

    failure: Failure
    error: VideoGenError
    size: tuple[int, int]
    ended: str = ""
    signature: str = ""


@dataclass(frozen=True)
class Decision:
    """What is to be done about an incident.

    Attributes:
        failure: as the journal has it: the server's, perhaps, where it seemed to be the segment's.
        error: with the reasons of each server, when several have failed with the segment.
        set_aside: the server gets no segments until it has been looked after.
        leaves: the server is not used any more.
    """

    failure: Failure
    remedy: Remedy
    error: VideoGenError
    set_aside: bool = False
    leaves: bool = False


class Triage:
    """Decides about failures.

    Args:
        retries: how often a node's error is answered with another seed.
    """

    def __init__(self, scheduler: Scheduler, retries: int) -> None:
        self._scheduler, self._table = scheduler, segment_remedies(retries)

    def decide(self, task: Task, server: str, incident: Incident, *, rendered: bool) -> Decision:
        """Decide about a failure, and note it in the task and in the health of the server.

        Args:
            server: where it happened.
            rendered: this run has rendered something: not every graph is refused.
        """
        failure, error = incident.failure, incident.error
        others, away = self._scheduler.others_for(task, server)
        if failure in _LEAVE and incident.ended and away:
            task.failures[failure] += 1
            return Decision(failure, Remedy.OTHER_SERVER, error, leaves=True)
        last = self._choose(failure, task.count(failure) + 1, incident, others, away) is Remedy.GIVE_UP
        failure = self._scheduler.judge(task, server, failure, incident.signature, last=last)
        if failure is Failure.SERVER_SICK:
            error = VideoGenError(
                error.code, f"several segments in a row have failed on {server} in the same way: {error.message}"
            )
        if not self._scheduler.counts(server, failure):
            task.excused[failure] += 1
        task.failures[failure] += 1
        remedy = self._choose(failure, task.count(failure), incident, others, away)
        # Once a server has failed with the segment itself, its own failures change nothing about that.
        tried = failure in SERVER_FAILURES and server in task.failed_on
        if failure is not Failure.PREDECESSOR and not tried:
            task.failed_on[server] = Setback(failure, error.message)
        if remedy is Remedy.ASK_ANOTHER:
            alone = self._choose(failure, task.count(failure), incident)
            task.exhausted = alone is Remedy.GIVE_UP
            task.excused[failure] += 1
        if failure is Failure.VALIDATION and remedy is Remedy.GIVE_UP and not rendered:
            remedy = Remedy.STOP  # the very first graph is refused: every server would refuse all of them
        set_aside = failure in SERVER_FAILURES or (failure is Failure.VALIDATION and remedy is Remedy.ASK_ANOTHER)
        if remedy in (Remedy.GIVE_UP, Remedy.STOP):
            error = _with_all_reasons(task, error)
        return Decision(failure, remedy, error, set_aside)

    def _choose(
        self, failure: Failure, times: int, incident: Incident, others: bool = False, away: bool = False
    ) -> Remedy:
        return choose_remedy(failure, times, self._table, incident.size, others=others, away=away)


def explain_no_server(reasons: Mapping[str, str]) -> VideoGenError:
    """The error of a segment that no server of the run can render.

    Args:
        reasons: of each server, by its name.
    """
    lines = "".join(f"\n  - {server}: {reason}" for server, reason in reasons.items())
    message = f"no server of this run can render it:{lines}" if len(reasons) > 1 else next(iter(reasons.values()))
    return VideoGenError("server-unfit", message, "Add what is missing there; the same command renders what is left.")


def _with_all_reasons(task: Task, error: VideoGenError) -> VideoGenError:
    """The error that ends a segment, with what each server has said where they differ."""
    reasons = {server: " ".join(setback.message.split()) for server, setback in task.failed_on.items()}
    if len(set(reasons.values())) < 2:
        return error
    lines = "\n".join(f"  - {server}: {reason}" for server, reason in reasons.items())
    return VideoGenError(error.code, f"no server could render it:\n{lines}", error.hint)
