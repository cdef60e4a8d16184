"""What the runner makes of a server's temperatures: when it waits, what it keeps, what it tells."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.thermal.guard import GO_ON_AFTER, STOP_AFTER, Action, Decision, ThermalPolicy
from custom_nodes.videogen.hardware.amd import Amd
from custom_nodes.videogen.hardware.nvidia import Nvidia
from custom_nodes.videogen.hardware.sensors import Sensors
from runner import doctor
from runner.comfyui.client import ComfyClient
from runner.comfyui.outcome import Outcome
from runner.comfyui.session import _report
from runner.rendering.failures import Failure, Remedy, choose_remedy, classify_outcome
from runner.rendering.scheduler import Scheduler, Task
from runner.rendering.thermal import (
    ASK_AGAIN,
    MAX_PAUSES,
    USUAL,
    ServerThermalMonitor,
    condense,
    read_policy,
    read_readings,
)
from runner.rendering.worker import Worker
from runner.reports.charts import draw_telemetry
from runner.reports.machine import describe_machine, list_pauses
from runner.reports.page import render_html
from runner.reports.report import build_report
from runner.state.journal import Journal
from runner.state.progress import BarDisplay, JsonDisplay, LineDisplay
from tests.runner.reports.test_report import finish, submit
from tests.support.servers.fake_server import Answer, FakeServer
from tests.support.servers.scripted_cards import CARD, SECOND, scripted_module
from tests.support.stories import small_story

ROUTE = "GET /videogen/telemetry"


def telemetry(temperature: float | None, **more: Any) -> dict[str, Any]:
    """What a server's route answers."""
    reading = {"device": "GPU-1", "name": "RTX", "kind": "nvidia", "temperature": temperature, "throttle": []}
    return {"running": True, "age": 0.5, "period": 1.0, "readings": [reading], "policy": None, **more}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> ServerThermalMonitor:
    return ServerThermalMonitor(clock)


def look(watch: ServerThermalMonitor, server: FakeServer, answer: Any) -> Decision | None:
    server.routes[ROUTE] = answer
    return watch.look(ComfyClient(server.url))


# ------------------------------------------------------------------ looking


def test_cool_then_hot_then_cool(watch: ServerThermalMonitor, server: FakeServer, clock: Clock) -> None:
    actions = []
    for temperature in (70, 86, 84, 80):
        decision = look(watch, server, telemetry(temperature))
        assert decision is not None
        actions.append(decision.action)
        clock.now += 10
    assert actions == [Action.GO, Action.WAIT, Action.WAIT, Action.GO]


def test_it_asks_no_more_often_than_the_policy_looks(
    watch: ServerThermalMonitor, server: FakeServer, clock: Clock
) -> None:
    for _ in range(20):
        look(watch, server, telemetry(70))
        clock.now += 1
    assert len(server.asked(ROUTE)) == 2
    assert server.asked(ROUTE)[0].query == {"seconds": "0"}


@pytest.mark.parametrize("answer", [Answer(404), Answer(500), [], {"x": 1}, b"<html>", telemetry(95, running=False)])
def test_a_server_that_does_not_tell_is_rarely_asked(
    watch: ServerThermalMonitor, server: FakeServer, clock: Clock, answer: Any
) -> None:
    assert look(watch, server, answer) is None
    clock.now += ASK_AGAIN - 1
    assert look(watch, server, answer) is None
    assert len(server.asked(ROUTE)) == 1
    clock.now += 2
    look(watch, server, answer)
    assert len(server.asked(ROUTE)) == 2


def test_a_server_that_is_gone_is_none_that_is_hot(watch: ServerThermalMonitor) -> None:
    assert watch.look(ComfyClient("http://127.0.0.1:9")) is None


def test_a_server_that_goes_away_while_it_is_hot_is_not_called_cool(
    watch: ServerThermalMonitor, server: FakeServer, clock: Clock
) -> None:
    look(watch, server, telemetry(95))
    clock.now += 10
    decision = look(watch, server, Answer(502))
    assert decision is not None
    assert decision.action is Action.WAIT


def test_the_servers_own_policy_counts(watch: ServerThermalMonitor, server: FakeServer, clock: Clock) -> None:
    policy = vars(ThermalPolicy(pause_above=60, resume_at=50, interval=2, when_over=STOP_AFTER, max_wait=5))
    decision = look(watch, server, telemetry(65, policy=policy))
    assert decision is not None
    assert decision.text == "65 °C → waiting for 50 °C"
    assert watch.next_look == clock.now + 2
    clock.now += 5
    decision = look(watch, server, telemetry(65, policy=policy))
    assert decision is not None
    assert decision.action is Action.STOP


def test_where_nobody_has_set_a_guard_nothing_is_stopped() -> None:
    assert read_policy(None) == USUAL
    assert USUAL.when_over == GO_ON_AFTER
    assert (USUAL.pause_above, USUAL.resume_at, USUAL.interval) == (85, 80, 10)


@pytest.mark.parametrize(
    "data", [[], "x", {"pause_above": "hot"}, {"pause_above": 50.0, "resume_at": 90.0}, {"interval": -1.0}]
)
def test_what_is_no_policy(data: Any) -> None:
    assert read_policy(data) == USUAL


def test_a_policy_of_a_newer_pack() -> None:
    assert read_policy(vars(ThermalPolicy(pause_above=70, resume_at=60, strict=True)) | {"fan": 3}) == ThermalPolicy(
        pause_above=70, resume_at=60
    )


@pytest.mark.parametrize(("age", "known"), [(0.5, True), (4.0, True), (6.0, False), (None, False), ("x", False)])
def test_an_old_sample_says_nothing_about_now(age: Any, known: bool) -> None:
    (reading,) = read_readings(telemetry(95, age=age))
    assert (reading.temperature == 95) == known
    assert bool(reading.problem) != known


# ------------------------------------------------------------------ the worker


class Run:
    """What a worker needs of a run, and what it tells."""

    def __init__(self, tasks: list[Task]) -> None:
        self.scheduler = Scheduler(tasks, [])
        self.scheduler.add_server("one")
        self.told: list[str] = []

    def say(self, message: str) -> None:
        self.told.append(message)

    def note_hot(self, task: Task, server: str, decision: Decision, began: bool) -> None:
        self.told.append(f"hot {task.number} {began} {decision.text}")

    def note_cooled(self, server: str, decision: Decision, reason: str) -> None:
        self.told.append(f"cooled {reason}")


class Watch:
    """Decisions, one after the other."""

    def __init__(self, *decisions: Decision | None) -> None:
        self.decisions = list(decisions)
        self.next_look = 0.0

    def look(self, client: Any) -> Decision | None:
        return self.decisions.pop(0)


HOT = Decision(Action.WAIT, "86 °C → waiting for 80 °C")


def make_worker(*decisions: Decision | None) -> tuple[Any, Run, Task]:
    run = Run([Task(1, "k"), Task(2, "k")])
    server = type("Server", (), {"name": "one", "session": type("Session", (), {"client": None})})()
    worker: Any = Worker(server, run)  # type: ignore[arg-type]
    worker._heat = Watch(*decisions)
    task = run.scheduler.take("one")
    assert task is not None
    return worker, run, task


def test_a_cool_server_gets_its_segment() -> None:
    worker, run, task = make_worker(Decision(Action.GO))
    assert not worker._let_cool(task)
    worker, run, task = make_worker(None)
    assert not worker._let_cool(task)
    assert run.told == []


def test_a_hot_server_gives_its_segment_back_and_is_taken_in_again() -> None:
    worker, run, task = make_worker(HOT, None, Decision(Action.GO, waited=30))
    assert worker._let_cool(task)
    assert run.told == [
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
    note = run.note_hot

    def take_elsewhere(*arguments: Any) -> None:
        note(*arguments)
        taken.append(run.scheduler.take("two"))

    run.note_hot = take_elsewhere  # type: ignore[method-assign]
    assert worker._let_cool(task)
    assert taken == [task]
    other = run.scheduler.take("one")
    assert other is not None
    assert other.number == 2


def test_a_server_that_stays_hot_is_left_and_its_segment_is_kept() -> None:
    worker, run, task = make_worker(HOT, Decision(Action.STOP, "it stayed too hot for 30 min: 95 °C", gave_up=True))
    left: list[Any] = []
    run.note_server_left = lambda server, error: left.append(error.code)  # type: ignore[attr-defined]
    run.scheduler.put_back(task)
    worker.run()
    assert left == ["too-hot"]
    assert run.scheduler.is_waiting(task)
    assert run.scheduler.error is not None
    assert run.scheduler.error.code == "too-hot"


def test_a_stopped_run_does_not_wait_for_a_server_to_cool_down() -> None:
    worker, run, task = make_worker(HOT)
    worker._heat.next_look = float("inf")
    threading.Timer(0.05, run.scheduler.stop).start()
    assert worker._let_cool(task)
    assert len(run.told) == 1


# ------------------------------------------------------------------ failures, progress


@pytest.mark.parametrize(
    "error",
    [
        "node 4 (KSampler): it stayed too hot for 30 min: 95 °C → waiting for 80 °C",
        "node 2 (VideoGenThermalGuard): RTX cannot be guarded: GPU is lost",
    ],
)
def test_heat_is_no_reason_for_another_seed(error: str) -> None:
    failure = classify_outcome(Outcome("error", error, exception_type="VideoGenError"))
    assert failure is Failure.TOO_HOT
    assert choose_remedy(failure, 1, 5, (640, 480)) is Remedy.STOP


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


# ------------------------------------------------------------------ the report


def span(low: float, mean: float, high: float, median: float) -> dict[str, float]:
    return {"min": low, "mean": mean, "max": high, "median": median}


PAUSE = {"began": 1.8e9, "seconds": 185.0, "reason": "86 °C → waiting for 80 °C", "peak": 88.0, "ending": "cool"}
MEASURED: dict[str, Any] = {
    "seconds": 300.0,
    "samples": 300,
    "pauses": [PAUSE],
    "devices": [
        {
            "device": "GPU-1",
            "name": "RTX",
            "kind": "nvidia",
            "temperature": span(60, 75.5, 86, 77),
            "memory": span(1e9, 12e9, 21.4e9, 14.2e9),
            "memory_total": 24e9,
            "power": span(80, 290.4, 351, 300),
            "throttle": {"power_cap": 0.42},
        },
        {"device": "GPU-2", "name": "RTX", "kind": "nvidia", "temperature": span(40, 41, 42, 41)},
        {
            "device": "cpu",
            "name": "CPU",
            "kind": "cpu",
            "temperature": span(90, 95, 99, 95),
            "memory": span(5e9, 6e9, 64e9, 6e9),
        },
    ],
}


def test_what_a_segment_keeps() -> None:
    kept = condense(MEASURED)
    assert kept["temperature"] == {"peak": 86, "min": 60, "mean": 75.5, "median": 77}, "of the card, not the processor"
    assert kept["vram"] == {"peak": 21.4e9, "min": 1e9, "mean": 12e9, "median": 14.2e9}, "RAM is no VRAM"
    assert kept["telemetry"] == MEASURED


def test_on_a_processor_its_temperature_counts() -> None:
    kept = condense(MEASURED | {"devices": MEASURED["devices"][2:]})
    assert kept["temperature"]["peak"] == 99
    assert "vram" not in kept


@pytest.mark.parametrize(
    "telemetry",
    [{}, {"devices": None}, {"devices": [1, {"kind": "nvidia", "temperature": 5}, {"temperature": {"max": "x"}}]}],
)
def test_a_server_that_says_nonsense(telemetry: Any) -> None:
    kept = condense(telemetry)
    assert "temperature" not in kept
    assert "vram" not in kept
    json.dumps(kept)


def test_thousands_of_pauses_do_not_fill_the_journal() -> None:
    assert len(condense(MEASURED | {"pauses": [PAUSE] * 5000})["telemetry"]["pauses"]) == MAX_PAUSES


def test_the_machine_in_words() -> None:
    rows = {name: text.replace("\u00a0", " ") for name, text in describe_machine(MEASURED)}
    assert rows["Temperature 1"] == "60 to 86 °C, mean 75.5 °C"
    assert rows["Temperature 2"] == "40 to 42 °C, mean 41 °C"
    assert rows["VRAM 1"] == "peak 21.4 GB, sustained 14.2 GB of 24.0 GB"
    assert rows["Power 1"] == "290 W, at most 351 W"
    assert rows["Slowed down 1"] == "power cap 42% of the time"
    assert rows["CPU temperature"] == "90 to 99 °C, mean 95 °C"
    assert rows["RAM"] == "peak 64.0 GB, sustained 6.0 GB"
    assert "Temperature" in dict(describe_machine(MEASURED | {"devices": MEASURED["devices"][:1]}))


@pytest.mark.parametrize("telemetry", [None, 5, "x", {"devices": "x", "pauses": {}}, {"pauses": [1, {"began": "x"}]}])
def test_nonsense_has_no_words(telemetry: Any) -> None:
    assert describe_machine(telemetry) == []
    assert list_pauses(telemetry) == []


def test_the_page_shows_temperature_memory_and_every_pause(tmp_path: Path) -> None:
    story = small_story("Heat", segments=2)
    journal = Journal(tmp_path / "journal.jsonl")
    evil = "<script>alert(1)</script>"
    submit(journal, 1)
    finish(journal, 1, **condense(MEASURED | {"pauses": [PAUSE, PAUSE | {"reason": evil, "ending": "gave up"}]}))
    journal.append("server-hot", server="http://one:8188", message="86 °C → waiting for 80 °C")
    journal.append(
        "server-cooled", server="http://one:8188", seconds=12.0, message="after 12 s (86 °C → waiting for 80 °C)"
    )
    report = build_report({"story": story}, journal, parse_story(story, "test"))
    journal.close()
    assert [chart.name for chart in draw_telemetry(report)] == ["vram", "temperature"]
    assert report["segments"][0]["telemetry"]["devices"][0]["power"]["mean"] == 290.4
    assert report["notes"][0]["message"] == "after 12 s (86 °C → waiting for 80 °C)"
    html = render_html(report, {})
    text = " ".join(html.replace("\u00a0", " ").split())
    assert "Paused 6 min 10 s because of heat" in text
    assert "86 °C → waiting for 80 °C" in text
    assert "peak 21.4 GB, sustained 14.2 GB of 24.0 GB" in text
    assert "(gave up)" in text
    assert evil not in html
    assert "A server had to cool down" in text


# ------------------------------------------------------------------ doctor


def doctor_rows(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, *cards: dict[str, Any]
) -> list[tuple[str, str, str]]:
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    module = scripted_module(*cards)

    def missing() -> Any:
        raise ImportError

    return doctor._gpus(Sensors(Nvidia(lambda: module), Amd(missing)))


def test_the_doctor_reads_the_same_sensors(monkeypatch: pytest.MonkeyPatch) -> None:
    hot = CARD | {"temperature": 91, "memory_temperature": 102, "reasons": 0x40}
    silent = SECOND | {"temperature": 0}
    first, second = doctor_rows(monkeypatch, None, hot, silent)
    assert first == (
        doctor.OK,
        "GPU 0",
        "Scripted RTX, 24.0 GB (14.0 GB free), 91 °C, memory 102 °C, 300 W, slowed down: hardware thermal slowdown",
    )
    assert second[0] == doctor.NOTE
    assert "temperature unknown (its driver says 0 °C, which cannot be)" in second[2]


@pytest.mark.parametrize(
    ("visible", "hidden"),
    [
        (None, [False, False]),
        ("1", [True, False]),
        ("0,1", [False, False]),
        ("", [True, True]),
        (SECOND["uuid"], [True, False]),
    ],
)
def test_the_doctor_says_which_cards_are_hidden(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, hidden: list[bool]
) -> None:
    rows = doctor_rows(monkeypatch, visible, CARD, SECOND)
    assert ["hidden by CUDA_VISIBLE_DEVICES" in text for _, _, text in rows] == hidden


def test_the_doctor_without_a_card() -> None:
    def missing() -> Any:
        raise ImportError

    ((state, name, text),) = doctor._gpus(Sensors(Nvidia(missing), Amd(missing)))
    assert (state, name) == (doctor.NOTE, "GPU")
    assert "nvidia-ml-py is not installed" in text
