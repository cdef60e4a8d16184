"""Decides which segment is rendered on which server, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from custom_nodes.videogen.core.errors import VideoGenError

from .failures import SERVER_FAILURES, Failure
from .fleet.health import ServerHealth
from .fleet.loads import ServerLoad, choose_server, fastest_of
from .retries import AttemptState

#: Seconds that a server that has finished a prompt waits at most for another one that is about to submit it again.
_RECLAIM_SECONDS = 30.0
#: Tasks that a server waits for at most: one to which none of so many falls is so slow that it had better wait.
_MAX_LOOKED_AT = 100
#: Of a server, by its name: the numbers of the segments that it lacks something for, and what that is.
Lacks = Callable[[str], Mapping[int, str]]


class Setback(NamedTuple):
    """Why a server has failed with a segment."""

    failure: Failure
    message: str


@dataclass
class Task(AttemptState):
    """A segment to be rendered, with its attempts so far.

    Its graph is made when it is submitted: thousands of graphs at once would take hundreds of megabytes.

    Attributes:
        key: of its job.
        id_key: the key that the ids of its prompts are made of, where that is a former one.
        depends_on: number of the segment whose file it begins from, or None.
        submitted_to: the server that an earlier runner gave it to, as the journal names it; "" for none.
        left_behind: former submissions whose end is not known, as the journal has them.
        reserved_for: the server that has its prompt already, and that renders it while it is there; "" for any.
        failed_on: servers that have failed with it, and why: others are preferred.
        exhausted: every server that has tried it has done so often enough: only the others may go on.
    """

    number: int
    key: str
    depends_on: int | None = None
    id_key: str = ""
    queued_at: float = field(default_factory=time.monotonic)
    submitted_to: str = ""
    left_behind: list[dict[str, Any]] = field(default_factory=list)
    reserved_for: str = ""
    failed_on: dict[str, Setback] = field(default_factory=dict)
    exhausted: bool = False


def lack_nothing(server: str) -> Mapping[int, str]:
    """For runs in which every server has what every segment needs."""
    return {}


class Scheduler:
    """Hands out tasks to the servers' threads; all methods may be called from any thread.

    Args:
        lacks: what each server lacks at this time, which may change whenever one comes back.
    """

    def __init__(self, tasks: Sequence[Task], done: Iterable[int], lacks: Lacks = lack_nothing) -> None:
        self._lacks = lacks
        self._pending = list(tasks)
        self._open = {task.number for task in tasks}
        self._done = set(done)
        self._given_up: set[int] = set()
        #: Which server a task that was taken is with, and the tasks whose outcome is being dealt with there.
        self._owners: dict[int, str] = {}
        self._settling: set[int] = set()
        self._under_way: set[int] = set()
        self._changed = threading.Condition()
        self.loads: dict[str, ServerLoad] = {}
        self.error: VideoGenError | None = None
        self._stopped = threading.Event()

    def add_server(self, name: str, *, restarts: bool = False) -> None:
        """Hand out tasks to one more server.

        Args:
            restarts: it is ours, and started again when it fails.
        """
        with self._changed:
            self.loads[name] = ServerLoad(health=ServerHealth(restarts))

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def wait_finished(self, timeout: float) -> bool:
        """Wait `timeout` seconds at most for the end: nothing left to do, or the run stopped.

        Returns:
            Whether it has come.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._open or self.stopped, timeout)

    def take(self, server: str) -> Task | None:
        """Wait for the next task of a server; None when there will be none."""
        with self._changed:
            while not self.stopped and self._open:
                task = self._next_for(server)
                if task is not None:
                    self._pending.remove(task)
                    task.reserved_for = ""
                    self._owners[task.number] = server
                    load = self.loads[server]
                    seconds = fastest_of(self.loads) if load.seconds is None else load.seconds
                    load.busy, load.free_at = True, time.monotonic() + seconds
                    return task
                self._changed.wait(0.5)
            return None

    def _next_for(self, server: str) -> Task | None:
        # As if they were handed out one after the other: the first that falls to this server is its next.
        loads = {name: replace(load) for name, load in self.loads.items()}
        now = time.monotonic()
        own = loads[server]
        own.busy = False
        if not own.usable:
            return None
        ready = []
        for task in self._pending:
            if task.reserved_for == server or self._explain_hopeless(task):
                return task
            if self._is_ready(task):
                ready.append(task)
        doubts = own.health.doubts
        if doubts:
            ready.sort(key=lambda task: task.number in doubts)
        looked_at = 0
        for task in ready:
            able = {name: load for name, load in loads.items() if self._may_take(task, name)}
            chosen = choose_server(able, now)
            if chosen == server:
                return task
            if chosen is not None:
                loads[chosen].waiting += 1
            # Those that it cannot render only say how busy the others are.
            looked_at += server in able
            if looked_at == _MAX_LOOKED_AT:
                break
        return None

    def _may_take(self, task: Task, server: str) -> bool:
        """Whether a server may render a task, or has to leave it to another one."""
        if task.number in self._lacks(server):
            return False
        if task.reserved_for and task.reserved_for != server and self.loads[task.reserved_for].usable:
            return False
        if not self._has_tried(task, server):
            return True
        untried = self._untried(task)
        if task.exhausted:
            return not untried
        return not any(load.in_good_standing for load in untried)

    def _untried(self, task: Task, besides: str = "") -> list[ServerLoad]:
        """The servers that have not tried a task, could render it, and are there or may come back."""
        return [
            load
            for name, load in self.loads.items()
            if name != besides
            and not load.removed
            and task.number not in self._lacks(name)
            and not self._has_tried(task, name)
        ]

    def _explain_hopeless(self, task: Task) -> dict[str, str]:
        """Why no server will ever render a task, by the servers' names; empty while one may."""
        reasons = {}
        for name, load in self.loads.items():
            reason = load.suspended_reason if load.removed else self._lacks(name).get(task.number, "")
            if not reason or (task.reserved_for == name and not load.removed):
                return {}
            reasons[name] = reason
        return reasons

    def explain_hopeless(self, task: Task) -> dict[str, str]:
        """Why no server will ever render a task: each lacks something for it, or is gone. Empty while one may."""
        with self._changed:
            return self._explain_hopeless(task)

    def lacks(self, task: Task, server: str) -> str:
        """What a server lacks for a task; "" for nothing."""
        return self._lacks(server).get(task.number, "")

    def _has_tried(self, task: Task, server: str) -> bool:
        """Whether a server has failed with a task; it has not where only the server failed, and has finished something since."""
        setback = task.failed_on.get(server)
        return setback is not None and not (setback.failure in SERVER_FAILURES and self.loads[server].health.trusted)

    def _is_ready(self, task: Task) -> bool:
        if task.depends_on is None or task.depends_on in self._done:
            return True
        # If the segment that it begins from was given up, it cannot be rendered: its worker finds out and reports that.
        return task.depends_on in self._given_up or task.depends_on not in self._open

    def finish(self, task: Task, server: str, seconds: float | None) -> None:
        """Mark a task as done; `seconds` is what the server took for it, or None when an earlier take is used."""
        with self._changed:
            if seconds is not None:
                self.loads[server].note_finished(seconds)
            self._close(task)
            self._done.add(task.number)
            self._changed.notify_all()

    def put_back(self, task: Task) -> None:
        """Try a task again, on whichever server it fits."""
        with self._changed:
            self._return(task)
            self._changed.notify_all()

    def give_up(self, task: Task) -> None:
        with self._changed:
            self._close(task)
            self._given_up.add(task.number)
            self._changed.notify_all()

    def is_open(self, task: Task) -> bool:
        """Whether a task is neither done nor given up."""
        with self._changed:
            return task.number in self._open

    def is_waiting(self, task: Task) -> bool:
        """Whether a task that was put back has not been taken again."""
        with self._changed:
            return task in self._pending

    # ------------------------------------------------------------------ whose task it is

    def owns(self, task: Task, server: str) -> bool:
        """Whether a task that a server has taken is still its own: another one may have had it finished already."""
        with self._changed:
            return self._owners.get(task.number) == server

    def mark_under_way(self, task: Task) -> None:
        """A task's prompt is on its server: from now on it can be taken from there, see `reclaim`."""
        with self._changed:
            self._under_way.add(task.number)
            self._changed.notify_all()

    def settle(self, task: Task, server: str) -> bool:
        """Begin to deal with the outcome of a task's prompt, which ends when it is finished, put back or given up.

        Returns:
            Whether the task is still the server's own.
        """
        with self._changed:
            if self._owners.get(task.number) != server:
                return False
            self._settling.add(task.number)
            self._changed.notify_all()
            return True

    def reclaim(self, task: Task, server: str, attempt: int, *, finished: bool) -> bool:
        """Reserve a task for a server that has come back and still has its prompt.

        A task that waits is reserved. One that another server renders meanwhile is taken from there only if its prompt is
        `finished` here.

        Args:
            attempt: of that prompt.

        Returns:
            Whether the server will get the task.
        """
        number = task.number

        def known() -> bool:  # whether the other server's thread can still be about to submit it
            return self.stopped or number not in self._owners or number in self._under_way | self._settling

        with self._changed:
            if not self._changed.wait_for(known, _RECLAIM_SECONDS if finished else 0):
                return False
            waiting = task in self._pending
            taken = finished and number in self._owners and number not in self._settling
            if self.stopped or task.attempt != attempt or not (waiting or taken):
                return False
            self._return(task)
            task.reserved_for = server
            self._changed.notify_all()
            return True

    # ------------------------------------------------------------------ servers

    def judge(self, task: Task, server: str, failure: Failure, signature: str, *, last: bool) -> Failure:
        """Note a failure of a prompt, and decide whether it is the server's; see `ServerHealth.judge`."""
        with self._changed:
            others = [load.health for name, load in self.loads.items() if name != server]
            health = self.loads[server].health
            failure, wronged = health.judge(task.number, task, failure, signature, last=last, others=others)
            for trial in wronged:
                trial.excuse(waiting=trial.state is task or trial.state in self._pending)
            return failure

    def note_success(self, server: str) -> None:
        """A server has finished a prompt whose file is whole."""
        with self._changed:
            self.loads[server].health.note_success()

    def explain_removed(self, last: VideoGenError) -> VideoGenError:
        """The error of a run whose servers are all gone: that of the `last` one, with the reasons of all where there are more."""
        with self._changed:
            reasons = {name: load.suspended_reason for name, load in self.loads.items()}
        if len(reasons) < 2:
            return last
        lines = "\n".join(f"  - {name}: {reason}" for name, reason in reasons.items())
        return VideoGenError(last.code, f"none of the servers can be used any more:\n{lines}", last.hint)

    def counts(self, server: str, failure: Failure) -> bool:
        """See `ServerHealth.counts`."""
        with self._changed:
            return self.loads[server].health.counts(failure)

    def others_for(self, task: Task, server: str) -> tuple[bool, bool]:
        """Whether other servers have not tried a task yet: some in good standing, some that are there or may come back."""
        with self._changed:
            untried = self._untried(task, besides=server)
            return any(load.in_good_standing for load in untried), bool(untried)

    def free_server(self, server: str, foreign: int = 0) -> None:
        """Mark a server as idle; `foreign` prompts of other clients wait in its queue."""
        with self._changed:
            self.loads[server].busy = False
            self.loads[server].waiting = foreign
            self._changed.notify_all()

    def suspend(self, server: str, reason: str, *, failed: bool = False) -> None:
        """Give a server no more tasks, until `resume`.

        Args:
            failed: it is on probation then, until it has finished something.
        """
        with self._changed:
            self.loads[server].suspended_reason = reason
            if failed:
                self.loads[server].health.distrust()
            self._changed.notify_all()

    def resume(self, server: str) -> None:
        with self._changed:
            self.loads[server].suspended_reason = ""
            self._changed.notify_all()

    def remove(self, server: str, reason: str) -> bool:
        """Give a server no more tasks, ever.

        Returns:
            Whether it was the last one.
        """
        with self._changed:
            load = self.loads[server]
            load.suspended_reason, load.removed = reason, True
            self._changed.notify_all()
            return all(load.removed for load in self.loads.values())

    def stop(self, error: VideoGenError | None = None) -> None:
        """End the run; the first error is the one that counts."""
        with self._changed:
            self.error = self.error or error
            self._stopped.set()
            self._changed.notify_all()

    def sleep(self, seconds: float) -> bool:
        """Wait, but not longer than the run lasts.

        Returns:
            Whether the run was stopped.
        """
        return self._stopped.wait(seconds)

    def _close(self, task: Task) -> None:
        self._open.discard(task.number)
        self._release(task)

    def _return(self, task: Task) -> None:
        self._release(task)
        if task not in self._pending:
            self._pending.append(task)
            self._pending.sort(key=lambda one: one.number)

    def _release(self, task: Task) -> None:
        self._owners.pop(task.number, None)
        self._settling.discard(task.number)
        self._under_way.discard(task.number)
