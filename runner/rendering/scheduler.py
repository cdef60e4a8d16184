"""Decides which segment is rendered on which server, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from custom_nodes.videogen.core.errors import VideoGenError

from .retries import AttemptState

#: Weight of a new measurement in the moving average of a server's seconds a segment.
_EMA_WEIGHT = 0.4


@dataclass
class Task(AttemptState):
    """A segment to be rendered, with its attempts so far.

    Its graph is made when it is submitted: thousands of graphs at once would take hundreds of megabytes.

    Attributes:
        key: of its job.
        depends_on: number of the segment whose file it begins from, or None.
    """

    number: int
    key: str
    depends_on: int | None = None
    queued_at: float = field(default_factory=time.monotonic)


@dataclass
class ServerLoad:
    """The state of a server, as far as it is known.

    Attributes:
        seconds: that it takes for a segment; None before its first one.
        free_at: when it should have finished its segment, on the monotonic clock.
        waiting: prompts of other clients in its queue.
        busy: it renders a segment of this run.
        suspended_reason: why it gets no more tasks, until it is back; "" while it gets them.
        removed: it will not come back.
    """

    seconds: float | None = None
    free_at: float = 0.0
    waiting: int = 0
    busy: bool = False
    suspended_reason: str = ""
    removed: bool = False


def choose_server(loads: Mapping[str, ServerLoad], now: float) -> str | None:
    """The server that would finish one more segment first: its queue, then one segment at its measured pace.

    A server that has not been measured yet counts as fast as the fastest one, so that it gets a chance.
    """
    fastest = fastest_of(loads)

    def finish(name: str) -> float:
        load = loads[name]
        seconds = fastest if load.seconds is None else load.seconds
        free_at = load.free_at if load.busy else now
        # One that is late is assumed to take as long again: a server that hangs must not keep others idle.
        return max(free_at, now + (now - free_at)) + (load.waiting + 1) * seconds

    usable = [name for name, load in loads.items() if not load.suspended_reason]
    return min(usable, key=finish, default=None)


def fastest_of(loads: Mapping[str, ServerLoad]) -> float:
    """Seconds per segment of the fastest measured server; a guess, when none was measured."""
    return min((load.seconds for load in loads.values() if load.seconds is not None), default=1.0)


class Scheduler:
    """Hands out tasks to the servers' threads; all methods may be called from any thread."""

    def __init__(self, tasks: Sequence[Task], done: Iterable[int]) -> None:
        self._pending = list(tasks)
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
        if task.depends_on is None or task.depends_on in self._done:
            return True
        # If the segment that it begins from was given up, it cannot be rendered: its worker finds out and reports that.
        return task.depends_on in self._given_up or task.depends_on not in self._open

    def finish(self, task: Task, server: str, seconds: float) -> None:
        """Mark a task as done; `seconds` is what the server took for it."""
        with self._changed:
            load = self.loads[server]
            load.seconds = seconds if load.seconds is None else load.seconds * (1 - _EMA_WEIGHT) + seconds * _EMA_WEIGHT
            self._close(task)
            self._done.add(task.number)
            self._changed.notify_all()

    def put_back(self, task: Task) -> None:
        """Try a task again, on whichever server it fits."""
        with self._changed:
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
        """Mark a server as idle; `foreign` prompts of other clients wait in its queue."""
        with self._changed:
            self.loads[server].busy = False
            self.loads[server].waiting = foreign
            self._changed.notify_all()

    def suspend(self, server: str, reason: str) -> None:
        """Give a server no more tasks, until `resume`."""
        with self._changed:
            self.loads[server].suspended_reason = reason
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
