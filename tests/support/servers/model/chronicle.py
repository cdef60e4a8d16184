"""What several model servers were asked for and did, in one order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Execution:
    """A prompt that a server was given.

    Attributes:
        content: everything that determines its frames.
        take: the beginning of its segment's key.
        run: number of the run that submitted it.
        position: of the journal by then, in bytes.
        ended: ``success``, ``error``, ``interrupted``, or "" while it waits or runs.
        ended_in: number of the run in which it ended.
        cached: it was answered from the cache, and nothing was rendered.
        spoiled: what it left is not whole.
        lost_at: how many prompts had been submitted when the server forgot it; None while it knows it.
        canceled: the server was asked to interrupt it, perhaps too late.
    """

    server: str
    prompt_id: str
    content: dict[str, Any]
    take: str
    run: int
    position: int
    ended: str = ""
    ended_in: int = 0
    cached: bool = False
    spoiled: bool = False
    lost_at: int | None = None
    canceled: bool = False

    @property
    def rendered(self) -> bool:
        """Whether the server has rendered it, whole."""
        return self.ended == "success" and not self.cached and not self.spoiled


@dataclass
class Chronicle:
    """The servers' common log.

    Attributes:
        run: number of the current or last run.
        executions: in the order in which they were submitted.
        lines: when, who, what.
        position: how long the journal is now, in bytes.
        lock: of all servers: one request at a time, so that there is one order.
    """

    run: int = 0
    executions: list[Execution] = field(default_factory=list)
    lines: list[tuple[float, str, str]] = field(default_factory=list)
    position: Callable[[], int] = lambda: 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, who: str, text: str) -> None:
        with self.lock:
            self.lines.append((time.time(), who, text))

    def submitted(self, server: str, prompt_id: str, content: dict[str, Any], take: str) -> Execution:
        execution = Execution(server, prompt_id, content, take, self.run, self.position())
        self.executions.append(execution)
        return execution

    def cancel(self, server: str, prompt_id: str) -> None:
        """A server was asked to interrupt a prompt."""
        for execution in self.executions:
            if (execution.server, execution.prompt_id) == (server, prompt_id):
                execution.canceled = True

    def forget(self, server: str) -> None:
        """A server was restarted: what it had finished can no longer be asked for."""
        for execution in self.executions:
            if execution.server == server and execution.lost_at is None:
                execution.lost_at = len(self.executions)
