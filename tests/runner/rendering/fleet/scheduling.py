"""A scheduler, and threads of servers that take tasks from it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from runner.rendering.scheduler import Lacks, Scheduler, Task, lack_nothing

LONG = 20.0


def make_scheduler(
    *needs: int | None, servers: tuple[str, ...] = ("a",), done: tuple[int, ...] = (), lacks: Lacks = lack_nothing
) -> Scheduler:
    """One task for each argument, numbered from 1; the argument is the segment that it needs."""
    tasks = [Task(number, f"key {number}", depends_on=need) for number, need in enumerate(needs, 1)]
    scheduler = Scheduler(tasks, done, lacks)
    for server in servers:
        scheduler.add_server(server)
    return scheduler


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    return thread, results


def take(scheduler: Scheduler, server: str = "a") -> Task:
    """A task that must be there at once."""
    thread, results = in_thread(lambda: scheduler.take(server))
    thread.join(LONG)
    assert results, f"{server} waits for a task"
    assert isinstance(results[0], Task)
    return results[0]


def waits(scheduler: Scheduler, server: str) -> threading.Thread:
    """A thread that waits for a task of `server`, and goes on waiting for now."""
    thread, _ = in_thread(lambda: scheduler.take(server))
    thread.join(0.2)
    assert thread.is_alive()
    return thread
