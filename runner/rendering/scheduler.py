"""Which segment is rendered where and when."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from custom_nodes.videogen.core.errors import VideoGenError

from .failures import Failure, Variant

#: Share of a new measurement in a server's seconds a segment.
_NEWEST = 0.4


@dataclass
class Task:
    """A segment on its way.

    Its graph is made when it is submitted: thousands of graphs at once would take hundreds of megabytes.

    Attributes:
        key: of its job.
        attempt: counts submissions that differ; part of the prompt's id.
        needs: number of the segment whose file it begins from, or None.
        may_exist: the server may have this attempt already, from an earlier connection or an earlier runner.
    """

    number: int
    key: str
    attempt: int = 0
    variant: Variant = field(default_factory=Variant)
    needs: int | None = None
    may_be_on_server: bool = False
    failures: Counter[Failure] = field(default_factory=Counter)
    queued_at: float = field(default_factory=time.monotonic)


@dataclass
class ServerLoad:
    """What is known of a server: seconds a segment, when it should be free again, and whether it is in use.

    Attributes:
        waiting: prompts of others in its queue.
        busy: it works on a segment of ours.
        out: why it gets no more tasks, until it is back.
        left: it will not come back.
    """

    seconds: float | None = None
    free_at: float = 0.0
    waiting: int = 0
    busy: bool = False
    out: str = ""
    left: bool = False


def choose_server(loads: Mapping[str, ServerLoad], now: float) -> str | None:
    """The server that would finish one more segment first: its queue, then one segment at its measured pace.

    A server that has not been measured yet is taken to be as fast as the fastest one, so that it gets a chance.
    """
    fastest = fastest_of(loads)

    def finish(name: str) -> float:
        load = loads[name]
        seconds = fastest if load.seconds is None else load.seconds
        free_at = load.free_at if load.busy else now
        # One that is late takes as long again, for all that is known: a server that hangs must not keep others idle.
        return max(free_at, now + (now - free_at)) + (load.waiting + 1) * seconds

    usable = [name for name, load in loads.items() if not load.out]
    return min(usable, key=finish, default=None)


def fastest_of(loads: Mapping[str, ServerLoad]) -> float:
    """Seconds a segment of the fastest server that has been measured; a guess, when none has."""
    return min((load.seconds for load in loads.values() if load.seconds is not None), default=1.0)


class Scheduler:
    """Hands out tasks to the threads of the servers; all methods may be called from any thread."""

    def __init__(self, tasks: Sequence[Task], done: Iterable[int]) -> None:
        self._pending = list(tasks)
        self._busy: dict[int, str] = {}
        self._open = {task.number for task in tasks}
        self._done = set(done)
        self._given_up: set[int] = set()
        self._changed = threading.Condition()
        self.loads: dict[str, ServerLoad] = {}
        self.error: VideoGenError | None = None
        self._stopped = threading.Event()

    def add_server(self, name: str) -> None:
        with self._changed:
            self.loads[name] = ServerLoad()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def wait_finished(self, timeout: float) -> bool:
        """Whether nothing is left to do (or the run is stopped); waits at most `timeout` seconds for it."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open or self.stopped, timeout)

    def take(self, server: str) -> Task | None:
        """The next task for a server; blocks until there is one, and gives None when there will be none."""
        with self._changed:
            while not self.stopped and self._open:
                task = self._next_for(server)
                if task is not None:
                    self._pending.remove(task)
                    self._busy[task.number] = server
                    load = self.loads[server]
                    seconds = fastest_of(self.loads) if load.seconds is None else load.seconds
                    load.busy, load.free_at = True, time.monotonic() + seconds
                    return task
                self._changed.wait(0.5)
            return None

    def _next_for(self, server: str) -> Task | None:
        # As if they were handed out one after the other: the first that falls to this server is its next. A server to
        # which none of the first hundred falls is so slow that it had better wait.
        loads = {name: replace(load) for name, load in self.loads.items()}
        now = time.monotonic()
        loads[server].busy = False
        for task in islice((task for task in self._pending if self._is_ready(task)), 100):
            chosen = choose_server(loads, now)
            if chosen is None or chosen == server:
                return task if chosen else None
            loads[chosen].waiting += 1
        return None

    def _is_ready(self, task: Task) -> bool:
        if task.needs is None or task.needs in self._done:
            return True
        # What it begins from was given up: it cannot be rendered, which its worker finds out and says.
        return task.needs in self._given_up or task.needs not in self._open

    def finish(self, task: Task, server: str, seconds: float) -> None:
        """A task is done; `seconds` is what the server took for it."""
        with self._changed:
            load = self.loads[server]
            load.seconds = seconds if load.seconds is None else load.seconds * (1 - _NEWEST) + seconds * _NEWEST
            self._close(task)
            self._done.add(task.number)
            self._changed.notify_all()

    def put_back(self, task: Task) -> None:
        """A task is to be tried again, wherever it fits."""
        with self._changed:
            self._busy.pop(task.number, None)
            if task not in self._pending:
                self._pending.append(task)
                self._pending.sort(key=lambda one: one.number)
            self._changed.notify_all()

    def give_up(self, task: Task) -> None:
        with self._changed:
            self._close(task)
            self._given_up.add(task.number)
            self._changed.notify_all()

    def is_waiting(self, task: Task) -> bool:
        """Whether a task that was put back has not been taken again."""
        with self._changed:
            return task in self._pending

    def free_server(self, server: str, foreign: int = 0) -> None:
        """A server works on nothing of ours; `foreign` prompts of others wait there."""
        with self._changed:
            self.loads[server].busy = False
            self.loads[server].waiting = foreign
            self._changed.notify_all()

    def suspend(self, server: str, reason: str) -> None:
        """Give a server no more tasks, until `resume`."""
        with self._changed:
            self.loads[server].out = reason
            self._changed.notify_all()

    def resume(self, server: str) -> None:
        with self._changed:
            self.loads[server].out = ""
            self._changed.notify_all()

    def leave(self, server: str, reason: str) -> bool:
        """A server will not come back; whether it was the last one."""
        with self._changed:
            load = self.loads[server]
            load.out, load.left = reason, True
            self._changed.notify_all()
            return all(load.left for load in self.loads.values())

    def stop(self, error: VideoGenError | None = None) -> None:
        """End the run; the first error is the one that counts."""
        with self._changed:
            self.error = self.error or error
            self._stopped.set()
            self._changed.notify_all()

    def sleep(self, seconds: float) -> bool:
        """Wait, but not longer than the run lasts; True when it was stopped."""
        return self._stopped.wait(seconds)

    def _close(self, task: Task) -> None:
        self._busy.pop(task.number, None)
        self._open.discard(task.number)
