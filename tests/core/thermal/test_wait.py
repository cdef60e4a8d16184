"""The loop around the policy, with a clock and sensors that a test writes down."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.core.errors import SensorUnreadableError, TooHotError, VideoGenError
from custom_nodes.videogen.core.thermal.guard import GO_ON_AFTER, Decision, ThermalGuard, ThermalPolicy
from custom_nodes.videogen.core.thermal.readings import Reading
from custom_nodes.videogen.core.thermal.wait import MIN_SLEEP, POLL_INTERVAL, Pause, wait_while_hot


class World:
    """A clock that runs only during sleeps, and a card whose temperature is a function of it."""

    def __init__(self, temperature: Callable[[float], float | None], policy: ThermalPolicy | None = None) -> None:
        self.now = 1000.0
        self.temperature = temperature
        self.guard = ThermalGuard(policy or ThermalPolicy())
        self.told: list[Decision] = []
        self.pauses: list[Pause] = []
        self.sleeps: list[float] = []
        self.looks: list[float] = []
        self.cancel_at = float("inf")

    def read(self) -> list[Reading]:
        self.looks.append(self.now - 1000)
        return [Reading("a", "card", temperature=self.temperature(self.now - 1000))]

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.sleeps.append(seconds)
        self.now += seconds

    def check(self) -> None:
        if self.now - 1000 >= self.cancel_at:
            raise InterruptedError

    def wait(self) -> None:
        wait_while_hot(
            self.guard,
            self.read,
            clock=lambda: self.now,
            sleep=self.sleep,
            check=self.check,
            tell=self.told.append,
            note=self.pauses.append,
        )


def test_cool_means_no_waiting_and_no_words() -> None:
    world = World(lambda now: 70)
    world.wait()
    assert (world.sleeps, world.told, world.pauses) == ([], [], [])


def test_where_nothing_is_known_there_is_no_waiting() -> None:
    world = World(lambda now: 95)
    wait_while_hot(
        world.guard,
        lambda: None,
        clock=lambda: world.now,
        sleep=world.sleep,
        check=world.check,
        tell=world.told.append,
        note=world.pauses.append,
    )
    assert (world.sleeps, world.told, world.pauses) == ([], [], [])


def test_between_two_looks_no_sensor_is_asked() -> None:
    world = World(lambda now: 70)
    for _ in range(100):
        world.wait()
        world.now += 0.5
    assert world.looks == [0, 10, 20, 30, 40]


def test_a_pause_until_it_is_cool() -> None:
    world = World(lambda now: 90 - now / 4)  # 80 °C after 40 s
    world.wait()
    assert [decision.text for decision in world.told] == [
        "90 °C → waiting for 80 °C",
        "87.5 °C → waiting for 80 °C",
        "85 °C → waiting for 80 °C",
        "82.5 °C → waiting for 80 °C",
        "",
    ]
    assert world.pauses == [Pause(1000, 40, "90 °C → waiting for 80 °C", 90, "cool")]
    assert world.told[-1].waited == 40


def test_somebody_who_cancels_does_not_wait_for_the_next_look() -> None:
    world = World(lambda now: 90)
    world.cancel_at = 12.3
    with pytest.raises(InterruptedError):
        world.wait()
    assert max(world.sleeps) <= POLL_INTERVAL
    assert world.now - 1000 - world.cancel_at < POLL_INTERVAL
    assert [pause.ending for pause in world.pauses] == ["cancelled"]
    assert not world.guard.waiting
    assert world.guard.due(world.now), "the next prompt looks at once"


def test_stop_at_the_longest_wait() -> None:
    world = World(lambda now: 90 + now, ThermalPolicy(max_wait=25))
    with pytest.raises(TooHotError, match="it stayed too hot for 25 s") as caught:
        world.wait()
    assert caught.value.code == "too-hot"
    assert world.now == pytest.approx(1025)
    assert [(pause.seconds, pause.peak, pause.ending) for pause in world.pauses] == [(25, 115, "stopped")]


def test_go_on_at_the_longest_wait() -> None:
    world = World(lambda now: 90, ThermalPolicy(max_wait=25, when_over=GO_ON_AFTER))
    world.wait()
    assert [pause.ending for pause in world.pauses] == ["gave up"]
    world.now += 60
    world.wait()
    assert len(world.pauses) == 1


def test_strict_without_a_sensor() -> None:
    world = World(lambda now: None, ThermalPolicy(strict=True))
    with pytest.raises(SensorUnreadableError, match="cannot be guarded") as caught:
        world.wait()
    assert caught.value.code == "sensor-unreadable"
    assert world.sleeps == []


def test_a_sensor_that_dies_while_it_waits() -> None:
    world = World(lambda now: 90 if now < 15 else None if now < 35 else 75)
    world.wait()
    assert [pause.seconds for pause in world.pauses] == [40]
    assert any("now silent" in decision.text for decision in world.told)


def test_short_intervals_are_kept() -> None:
    world = World(lambda now: 90 if now < 0.45 else 70, ThermalPolicy(interval=0.1))
    world.wait()
    assert world.pauses[0].seconds == pytest.approx(0.5)


@settings(max_examples=100)
@given(
    st.lists(st.none() | st.floats(min_value=50, max_value=120), min_size=1, max_size=30),
    st.floats(min_value=1, max_value=200),
    st.floats(min_value=0.1, max_value=30),
    st.sampled_from(["stop", "go on"]),
)
def test_it_always_ends(temperatures: list[float | None], max_wait: float, interval: float, when_over: str) -> None:
    def temperature(now: float) -> float | None:
        return temperatures[int(now // 5) % len(temperatures)]

    world = World(temperature, ThermalPolicy(max_wait=max_wait, interval=interval, when_over=when_over))
    with contextlib.suppress(VideoGenError):
        world.wait()
    assert sum(pause.seconds for pause in world.pauses) <= max_wait + 2 * MIN_SLEEP
    assert {pause.ending for pause in world.pauses} <= {"cool", "stopped" if when_over == "stop" else "gave up"}
    for pause in world.pauses:
        if pause.ending == "cool":
            last = world.looks[-1]
            known = [
                value for value in (temperature(look) for look in world.looks if look <= last) if value is not None
            ]
            assert known[-1] <= 80
