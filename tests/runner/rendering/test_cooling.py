"""A server that is too hot for its next segment: what its worker does, and what is shown of it."""

from __future__ import annotations

import io
import json
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from custom_nodes.videogen.core.thermal.guard import Action, Decision
from runner.comfyui.session import _report
from runner.rendering.scheduler import Scheduler, Task
from runner.rendering.worker import Worker
from runner.state.progress import BarDisplay, JsonDisplay, LineDisplay


class Log:
    """A run log that only keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def say(self, message: str) -> None:
        self.told.append(message)

    def note_hot(self, task: Task, server: str, decision: Decision, began: bool) -> None:
        self.told.append(f"hot {task.number} {began} {decision.text}")

    def note_cooled(self, server: str, decision: Decision, reason: str) -> None:
        self.told.append(f"cooled {reason}")


class Monitor:
    """Decisions, one after the other; None is a server that reports nothing."""

    def __init__(self, *decisions: Decision | None) -> None:
        self.decisions = list(decisions)
        self.next_look = 0.0

    def due(self, now: float) -> bool:
        return True

    def read(self, client: Any) -> list[Any] | None:
        return None if self.decisions[0] is None else []

    def look(self, readings: Any, now: float) -> Decision:
        decision = self.decisions.pop(0)
        assert decision is not None
        return decision

    def reset(self) -> None:
        pass


HOT = Decision(Action.WAIT, "86 °C → waiting for 80 °C")


def make_worker(*decisions: Decision | None) -> tuple[Any, Any, Task]:
    """A worker, what it works with, and the task that it has taken."""
    scheduler, log = Scheduler([Task(1, "k"), Task(2, "k")], []), Log()
    scheduler.add_server("one")
    run = SimpleNamespace(scheduler=scheduler, log=log)
    server = type("Server", (), {"name": "one", "session": type("Session", (), {"client": None})})()
    unused: Any = None
    worker: Any = Worker(cast(Any, server), scheduler, unused, unused, cast(Any, log), unused)
    worker._thermal = Monitor(*decisions)
    task = run.scheduler.take("one")
    assert task is not None
    return worker, run, task


def test_a_cool_server_gets_its_segment() -> None:
    worker, run, task = make_worker(Decision(Action.GO))
    assert not worker._let_cool(task)
    worker, run, task = make_worker(None)
    assert not worker._let_cool(task)
    assert run.log.told == []


def test_a_hot_server_gives_its_segment_back_and_is_taken_in_again() -> None:
    worker, run, task = make_worker(HOT, HOT, Decision(Action.GO, waited=30))
    assert worker._let_cool(task)
    assert run.log.told == [
        "hot 1 True 86 °C → waiting for 80 °C",
        "hot 1 False 86 °C → waiting for 80 °C",
        "cooled 86 °C → waiting for 80 °C",
    ]
    assert run.scheduler.is_waiting(task)
    assert run.scheduler.take("one") is task


def test_while_one_server_cools_down_another_takes_its_segment() -> None:
    worker, run, task = make_worker(HOT, Decision(Action.GO, waited=30))
    run.scheduler.add_server("two")
    taken: list[Task | None] = []
    note = run.log.note_hot

    def take_elsewhere(*arguments: Any) -> None:
        note(*arguments)
        taken.append(run.scheduler.take("two"))

    run.log.note_hot = take_elsewhere
    assert worker._let_cool(task)
    assert taken == [task]
    other = run.scheduler.take("one")
    assert other is not None
    assert other.number == 2


def test_a_server_that_stays_hot_is_left_and_its_segment_is_kept() -> None:
    worker, run, task = make_worker(HOT, Decision(Action.STOP, "it stayed too hot for 30 min: 95 °C", gave_up=True))
    left: list[Any] = []
    run.log.note_server_left = lambda server, error: left.append(error.code)
    run.scheduler.put_back(task)
    worker.run()
    assert left == ["too-hot"]
    assert run.scheduler.is_waiting(task)
    assert run.scheduler.error is not None
    assert run.scheduler.error.code == "too-hot"


def test_a_stopped_run_does_not_wait_for_a_server_to_cool_down() -> None:
    worker, run, task = make_worker(HOT)
    worker._thermal.next_look = float("inf")
    threading.Timer(0.05, run.scheduler.stop).start()
    assert worker._let_cool(task)
    assert len(run.log.told) == 1


# ------------------------------------------------------------------ what is shown


def test_the_socket_tells_that_a_prompt_waits() -> None:
    steps: list[Any] = []
    data = {"state": "waiting", "text": "84 °C → waiting for 80 °C", "prompt_id": "p"}
    _report("videogen.thermal", data, {}, lambda label, fraction: steps.append((label, fraction)))
    _report(
        "videogen.thermal", data | {"state": "resumed"}, {}, lambda label, fraction: steps.append((label, fraction))
    )
    assert steps == [("84 °C → waiting for 80 °C", None)]


def test_lines_say_once_that_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    display = LineDisplay()
    display.begin(3, 0)
    for text in ("86 °C → waiting for 80 °C", "84 °C → waiting for 80 °C"):
        display.step(2, 3, text, None)
    display.step(2, 3, "KSampler", 0.5)
    display.step(2, 3, "87 °C → waiting for 80 °C", None)
    assert capsys.readouterr().err.splitlines() == [
        "Segment 2/3: 86 °C → waiting for 80 °C",
        "Segment 2/3: 87 °C → waiting for 80 °C",
    ]


def test_the_bar_shows_it_without_going_back(monkeypatch: pytest.MonkeyPatch) -> None:
    display = BarDisplay()
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    display.console = display._progress.live.console = console
    display.begin(3, 1)
    display.step(2, 3, "KSampler", 0.5)
    display.step(2, 3, "84 °C → waiting for 80 °C", None)
    (task,) = display._progress.tasks
    assert (task.completed, task.fields["step"]) == (1.5, "84 °C → waiting for 80 °C")
    display.end()


def test_json_tells_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    JsonDisplay().step(2, 3, "84 °C → waiting for 80 °C", None)
    assert json.loads(capsys.readouterr().out) == {
        "event": "waiting",
        "segment": 2,
        "count": 3,
        "text": "84 °C → waiting for 80 °C",
    }
