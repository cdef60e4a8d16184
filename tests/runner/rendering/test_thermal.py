"""What the runner makes of a server's temperatures: when it waits, and what a segment's result keeps of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from custom_nodes.videogen.core.thermal.guard import GO_ON_AFTER, STOP_AFTER, Action, Decision, ThermalPolicy
from runner.comfyui.client import ComfyClient
from runner.rendering.thermal import (
    MAX_PAUSES,
    RETRY_AFTER,
    UNGUARDED,
    ServerThermalMonitor,
    read_policy,
    read_readings,
    summarize_telemetry,
)
from tests.support.measured_telemetry import MEASURED, PAUSE
from tests.support.servers.fake_server import Answer, FakeServer

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
    return look_at(watch, ComfyClient(server.url))


def look_at(watch: ServerThermalMonitor, client: ComfyClient) -> Decision | None:
    """One look, as the loop around the policy takes it."""
    if not watch.due(watch._clock()):
        return None
    readings = watch.read(client)
    return None if readings is None else watch.look(readings, watch._clock())


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
    clock.now += RETRY_AFTER - 1
    assert look(watch, server, answer) is None
    assert len(server.asked(ROUTE)) == 1
    clock.now += 2
    look(watch, server, answer)
    assert len(server.asked(ROUTE)) == 2


def test_a_server_that_is_gone_is_none_that_is_hot(watch: ServerThermalMonitor) -> None:
    assert look_at(watch, ComfyClient("http://127.0.0.1:9")) is None


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
    assert read_policy(None) == UNGUARDED
    assert UNGUARDED.when_over == GO_ON_AFTER
    assert (UNGUARDED.pause_above, UNGUARDED.resume_at, UNGUARDED.interval) == (85, 80, 10)


@pytest.mark.parametrize(
    "data", [[], "x", {"pause_above": "hot"}, {"pause_above": 50.0, "resume_at": 90.0}, {"interval": -1.0}]
)
def test_what_is_no_policy(data: Any) -> None:
    assert read_policy(data) == UNGUARDED


def test_a_policy_of_a_newer_pack() -> None:
    assert read_policy(vars(ThermalPolicy(pause_above=70, resume_at=60, strict=True)) | {"fan": 3}) == ThermalPolicy(
        pause_above=70, resume_at=60
    )


@pytest.mark.parametrize(("age", "known"), [(0.5, True), (4.0, True), (6.0, False), (None, False), ("x", False)])
def test_an_old_sample_says_nothing_about_now(age: Any, known: bool) -> None:
    (reading,) = read_readings(telemetry(95, age=age))
    assert (reading.temperature == 95) == known
    assert bool(reading.problem) != known


# ------------------------------------------------------------------ what a segment keeps


def test_what_a_segment_keeps() -> None:
    kept = summarize_telemetry(MEASURED)
    assert kept["temperature"] == {"peak": 86, "min": 60, "mean": 75.5, "median": 77}, "of the card, not the processor"
    assert kept["vram"] == {"peak": 21.4e9, "min": 1e9, "mean": 12e9, "median": 14.2e9}, "RAM is no VRAM"
    assert kept["telemetry"] == MEASURED


def test_on_a_processor_its_temperature_counts() -> None:
    kept = summarize_telemetry(MEASURED | {"devices": MEASURED["devices"][2:]})
    assert kept["temperature"]["peak"] == 99
    assert "vram" not in kept


@pytest.mark.parametrize(
    "telemetry",
    [{}, {"devices": None}, {"devices": [1, {"kind": "nvidia", "temperature": 5}, {"temperature": {"max": "x"}}]}],
)
def test_a_server_that_says_nonsense(telemetry: Any) -> None:
    kept = summarize_telemetry(telemetry)
    assert "temperature" not in kept
    assert "vram" not in kept
    json.dumps(kept)


def test_thousands_of_pauses_do_not_fill_the_journal() -> None:
    assert len(summarize_telemetry(MEASURED | {"pauses": [PAUSE] * 5000})["telemetry"]["pauses"]) == MAX_PAUSES
