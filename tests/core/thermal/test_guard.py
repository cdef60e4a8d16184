"""The thermal policy: examples, and what holds whatever the sensors say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.thermal.guard import (
    GO_ON_AFTER,
    SENSOR_PATIENCE,
    STOP_AFTER,
    Action,
    Decision,
    ThermalGuard,
    ThermalPolicy,
)
from custom_nodes.videogen.core.thermal.readings import Reading

GO, WAIT, STOP = Action.GO, Action.WAIT, Action.STOP


def card(temperature: float | None, device: str = "a", **more: Any) -> Reading:
    return Reading(device, f"card {device}", temperature=temperature, **more)


def look_at(guard: ThermalGuard, *temperatures: float | None, every: float = 10.0) -> list[Action]:
    """What a guard decides on a card that has these temperatures, one after the other."""
    return [guard.look([card(value)], number * every).action for number, value in enumerate(temperatures)]


# ------------------------------------------------------------------ examples


def test_it_pauses_above_85_and_goes_on_at_80() -> None:
    assert look_at(ThermalGuard(ThermalPolicy()), 84, 85, 85.1, 84, 81, 80.1, 80, 84, 85) == [
        GO,
        GO,
        WAIT,
        WAIT,
        WAIT,
        WAIT,
        GO,
        GO,
        GO,
    ]


def test_what_it_says() -> None:
    guard = ThermalGuard(ThermalPolicy())
    assert guard.look([card(86)], 0).text == "86 °C → waiting for 80 °C"
    decision = guard.look([card(84)], 10)
    assert (decision.text, decision.waited) == ("84 °C → waiting for 80 °C", 10)
    assert guard.look([card(79)], 20) == Decision(GO, waited=20)


def test_it_looks_every_interval() -> None:
    guard = ThermalGuard(ThermalPolicy(interval=10))
    assert guard.due(0)
    guard.look([card(70)], 100)
    assert not guard.due(109.9)
    assert guard.due(110)


def test_the_last_look_of_a_pause_is_at_its_end() -> None:
    guard = ThermalGuard(ThermalPolicy(interval=10, max_wait=25))
    guard.look([card(90)], 100)
    guard.look([card(90)], 110)
    guard.look([card(90)], 120)
    assert guard.next_look == 125


def test_of_two_cards_one_is_hot() -> None:
    guard = ThermalGuard(ThermalPolicy())
    decision = guard.look([card(60, "a"), card(88, "b")], 0)
    assert (decision.action, decision.text) == (WAIT, "card b: 88 °C → waiting for 80 °C")
    assert guard.look([card(60, "a"), card(81, "b")], 10).action is WAIT
    assert guard.look([card(60, "a"), card(80, "b")], 20).action is GO


def test_the_hottest_of_two_is_named() -> None:
    decision = ThermalGuard(ThermalPolicy()).look([card(87, "a"), card(91, "b")], 0)
    assert decision.text == "card b: 91 °C → waiting for 80 °C"


def test_while_it_waits_for_one_card_the_other_must_be_cool_as_well() -> None:
    guard = ThermalGuard(ThermalPolicy())
    guard.look([card(83, "a"), card(88, "b")], 0)
    assert guard.look([card(83, "a"), card(70, "b")], 10).action is WAIT
    assert guard.look([card(80, "a"), card(70, "b")], 20).action is GO


@pytest.mark.parametrize("name", ["hotspot", "memory_temperature"])
def test_memory_and_hot_spot_have_limits_of_their_own(name: str) -> None:
    guard = ThermalGuard(ThermalPolicy())
    label = {"hotspot": "hot spot", "memory_temperature": "memory"}[name]
    assert guard.look([card(70, **{name: 100})], 0).action is GO
    decision = guard.look([card(70, **{name: 104})], 10)
    assert (decision.action, decision.text) == (WAIT, f"{label} 104 °C → waiting for 95 °C")
    assert guard.look([card(70, **{name: 96})], 20).action is WAIT
    assert guard.look([card(70, **{name: 95})], 30).action is GO


@pytest.mark.parametrize(
    ("choice", "reason", "pauses"),
    [
        ("hardware slowdown", "hw_slowdown", True),
        ("hardware slowdown", "hw_thermal", True),
        ("hardware slowdown", "hw_power_brake", True),
        ("hardware slowdown", "sw_thermal", False),
        ("hardware slowdown", "power_cap", False),
        ("any slowdown", "sw_thermal", True),
        ("any slowdown", "power_cap", False),
        ("slowdown or power cap", "power_cap", True),
        ("slowdown or power cap", "unknown", False),
        ("ignore", "hw_thermal", False),
    ],
)
def test_throttling(choice: str, reason: str, pauses: bool) -> None:
    guard = ThermalGuard(ThermalPolicy(throttle=choice))
    decision = guard.look([card(70, throttle=frozenset({reason}))], 0)
    assert (decision.action is WAIT) == pauses
    if pauses:
        assert decision.text.endswith(" → waiting for its end")
        assert guard.look([card(81)], 10).action is WAIT, (
            "the throttling is over, but it is above the resume temperature"
        )
        assert guard.look([card(70)], 20).action is GO


def test_stop_when_the_longest_wait_is_over() -> None:
    guard = ThermalGuard(ThermalPolicy(max_wait=20, when_over=STOP_AFTER))
    assert look_at(guard, 90, 90) == [WAIT, WAIT]
    decision = guard.look([card(90)], 20)
    assert decision.action is STOP
    assert decision.gave_up
    assert decision.text == "it stayed too hot for 20 s: 90 °C → waiting for 80 °C"
    assert guard.look([card(90)], 30).action is WAIT, "the next prompt begins anew"


def test_go_on_when_the_longest_wait_is_over() -> None:
    guard = ThermalGuard(ThermalPolicy(max_wait=20, when_over=GO_ON_AFTER))
    assert look_at(guard, 90, 90) == [WAIT, WAIT]
    decision = guard.look([card(90)], 20)
    assert (decision.action, decision.gave_up) == (GO, True)
    assert "continuing anyway" in decision.warnings[0]
    assert [guard.look([card(95)], now).action for now in (30, 40, 50)] == [GO, GO, GO], "it would wait each step else"
    assert guard.look([card(80)], 60).action is GO
    assert guard.look([card(86)], 70).action is WAIT, "it has cooled down once, and counts again"


def test_going_on_with_one_hot_card_the_others_are_still_guarded() -> None:
    guard = ThermalGuard(ThermalPolicy(max_wait=5, when_over=GO_ON_AFTER))
    guard.look([card(90, "a"), card(60, "b")], 0)
    assert guard.look([card(90, "a"), card(60, "b")], 10).action is GO
    assert guard.look([card(90, "a"), card(88, "b")], 20).text == "card b: 88 °C → waiting for 80 °C"
    assert guard.look([card(90, "a"), card(75, "b")], 22).action is GO


# ------------------------------------------------------------------ sensors that do not answer


def test_a_warning_once() -> None:
    guard = ThermalGuard(ThermalPolicy())
    first = guard.look([card(None, problem="GPU is lost")], 0)
    assert first.action is GO
    assert first.warnings == ("card a has no temperature: GPU is lost; it is not guarded until it reports one",)
    assert [guard.look([card(None)], now).warnings for now in (10, 20)] == [(), ()]
    assert guard.look([card(90)], 30).action is WAIT, "it is guarded again as soon as it speaks"


def test_no_device_at_all() -> None:
    guard = ThermalGuard(ThermalPolicy())
    assert "this machine has no temperature: no sensor was found" in guard.look([], 0).warnings[0]
    assert guard.look([card(90)], 10).text == "90 °C → waiting for 80 °C"


def test_a_sensor_that_dies_while_it_is_hot_stays_hot() -> None:
    guard = ThermalGuard(ThermalPolicy(max_wait=100))
    guard.look([card(90)], 0)
    decision = guard.look([card(None, problem="GPU is lost")], 10)
    assert (decision.action, decision.text) == (WAIT, "90 °C at last, now silent → waiting for 80 °C")
    assert "GPU is lost" in decision.warnings[0]
    assert guard.look([], 20).action is WAIT, "a card that is not even listed any more"
    assert guard.look([card(75)], 30).action is GO, "it is back, and cool"


def test_a_sensor_that_dies_for_good_while_it_is_hot() -> None:
    guard = ThermalGuard(ThermalPolicy(max_wait=100))
    guard.look([card(90)], 0)
    assert guard.look([card(None)], 99).action is WAIT
    assert guard.look([card(None)], 100).action is STOP


def test_a_sensor_that_dies_while_it_is_cool_holds_nothing_up() -> None:
    guard = ThermalGuard(ThermalPolicy())
    assert look_at(guard, 70, None, None) == [GO, GO, GO]


def test_strict_refuses_where_there_never_was_a_temperature() -> None:
    guard = ThermalGuard(ThermalPolicy(strict=True))
    decision = guard.look([card(None, problem="Not Supported")], 0)
    assert (decision.action, decision.unreadable) == (STOP, True)
    assert decision.text == "card a cannot be guarded: Not Supported"


def test_strict_waits_for_a_sensor_that_has_worked_but_not_long() -> None:
    guard = ThermalGuard(ThermalPolicy(strict=True))
    guard.look([card(70)], 0)
    assert guard.look([card(None)], 10).text == "no temperature → waiting for the sensor"
    assert guard.look([card(70)], 20).action is GO
    guard.look([card(None)], 30)
    assert guard.look([card(None)], 30 + SENSOR_PATIENCE).unreadable


# ------------------------------------------------------------------ policies that cannot be


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pause_above": 80.0, "resume_at": 80.0}, "`resume_at` is 80 °C and `pause_above` 80 °C: it must be lower"),
        ({"pause_above": 70.0, "resume_at": 75.0}, "`resume_at` is 75 °C and `pause_above` 70 °C: it must be lower"),
        ({"memory_resume_at": 101.0}, "`memory_resume_at` is 101 °C and `memory_pause_above` 100 °C: it must be lower"),
        ({"interval": -1.0}, "`interval` is -1 s, expected 0.1 to 600 s"),
        ({"interval": 0.0}, "`interval` is 0 s, expected 0.1 to 600 s"),
        ({"max_wait": math.inf}, "`max_wait` is inf s, expected 0.1 to 86400 s"),
        ({"pause_above": math.nan}, "`pause_above` is nan °C, expected 30 to 120 °C"),
        ({"when_over": "pray"}, "`when_over` is 'pray', expected one of 'stop', 'go on'"),
        ({"throttle": "x"}, "`throttle` is 'x', expected one of 'hardware slowdown', "),
    ],
)
def test_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(VideoGenError) as caught:
        ThermalPolicy(**change)
    assert caught.value.code == "guard-invalid"
    assert sentence in caught.value.message


def test_everything_that_is_wrong_at_once() -> None:
    with pytest.raises(VideoGenError) as caught:
        ThermalPolicy(interval=-1, pause_above=60, resume_at=70)
    assert "`interval`" in caught.value.message
    assert "`resume_at`" in caught.value.message


# ------------------------------------------------------------------ whatever the sensors say

degrees = (
    st.floats(min_value=40, max_value=130)
    | st.sampled_from(
        [80.0, 80.0000001, 85.0, 85.0000001, 95.0, 100.0, 0.0, -300.0, 255.0, math.nan, math.inf, -math.inf]
    )
    | st.none()
)
reasons = st.frozensets(st.sampled_from(["power_cap", "hw_slowdown", "sw_thermal", "unknown"]), max_size=2)
readings = st.builds(
    Reading,
    st.sampled_from(["a", "b", "c"]),
    st.just("card"),
    temperature=degrees,
    hotspot=degrees,
    memory_temperature=degrees,
    throttle=reasons,
)
#: One look: which devices answer (missing ones, doubled ones and none at all), and how much later it is. A clock that is
#: set back must not matter either, though none that the guard is given can be.
looks = st.lists(st.tuples(st.lists(readings, max_size=3), st.floats(min_value=-1000, max_value=1000)), max_size=16)
policies = st.builds(
    ThermalPolicy,
    max_wait=st.floats(min_value=0.1, max_value=2000),
    interval=st.floats(min_value=0.1, max_value=600),
    when_over=st.sampled_from([STOP_AFTER, GO_ON_AFTER]),
    strict=st.booleans(),
    throttle=st.sampled_from(["ignore", "hardware slowdown", "slowdown or power cap"]),
)


def replay(
    policy: ThermalPolicy,
    history: list[tuple[list[Reading], float]],
    see: Callable[[bool, dict[str, Reading], float, Decision], None],
) -> None:
    """Tell `see` of each look: whether it was waiting, the readings, the guard's time, the decision."""
    guard, now, latest = ThermalGuard(policy), 0.0, -math.inf
    for given_readings, later in history:
        now += later
        latest = max(now, latest)
        was_waiting = guard.waiting
        decision = guard.look(given_readings, now)
        assert guard.waiting == (decision.action is WAIT)
        see(was_waiting, {reading.device: reading for reading in given_readings}, latest, decision)


def excess(reading: Reading, policy: ThermalPolicy, limit: int) -> bool:
    values = {name: getattr(reading, name) for name in ("temperature", "hotspot", "memory_temperature")}
    return any(value is not None and value > policy.limits(name)[limit] for name, value in values.items())


@settings(max_examples=150)
@given(policies, looks)
def test_it_never_resumes_above_the_resume_temperature(policy: ThermalPolicy, history: Any) -> None:
    exempt: set[str] = set()

    def see(was_waiting: bool, seen: dict[str, Reading], now: float, decision: Decision) -> None:
        if decision.gave_up and decision.action is GO:
            exempt.update(seen)  # the policy is to go on hot
        elif was_waiting and decision.action is GO:
            hot = [key for key, reading in seen.items() if excess(reading, policy, 1) and key not in exempt]
            assert not hot

    replay(policy, history, see)


@settings(max_examples=150)
@given(policies, looks)
def test_it_never_pauses_below_the_pause_temperature(policy: ThermalPolicy, history: Any) -> None:
    policy = ThermalPolicy(max_wait=policy.max_wait, when_over=policy.when_over, throttle="ignore")

    def see(was_waiting: bool, seen: dict[str, Reading], now: float, decision: Decision) -> None:
        if decision.action is WAIT and not was_waiting:
            assert any(excess(reading, policy, 0) for reading in seen.values())

    replay(policy, history, see)


@settings(max_examples=150)
@given(policies, looks)
def test_a_pause_always_ends_at_the_longest_wait(policy: ThermalPolicy, history: Any) -> None:
    began: list[float] = []

    def see(was_waiting: bool, seen: dict[str, Reading], now: float, decision: Decision) -> None:
        if decision.action is not WAIT:
            if was_waiting and decision.gave_up:
                assert now >= began[0] + policy.max_wait
                assert (decision.action is STOP) == (policy.when_over == STOP_AFTER)
            began.clear()
            return
        if not began:
            began.append(now)
        assert now - began[0] < policy.max_wait

    replay(policy, history, see)


@settings(max_examples=100)
@given(policies, looks)
def test_hot_work_never_goes_on_unseen(policy: ThermalPolicy, history: Any) -> None:
    """Whenever a card that can be read is above its limit, it waits or stops, or has said that it goes on hot."""
    gave_up = []

    def see(was_waiting: bool, seen: dict[str, Reading], now: float, decision: Decision) -> None:
        gave_up.append(decision.gave_up)
        if decision.action is GO and any(excess(reading, policy, 0) for reading in seen.values()):
            assert any(gave_up)
            assert policy.when_over == GO_ON_AFTER

    replay(policy, history, see)


@settings(max_examples=100)
@given(policies, looks)
def test_a_strict_guard_never_works_without_a_temperature(policy: ThermalPolicy, history: Any) -> None:
    policy = ThermalPolicy(max_wait=policy.max_wait, strict=True, when_over=policy.when_over)
    gave_up = []

    def see(was_waiting: bool, seen: dict[str, Reading], now: float, decision: Decision) -> None:
        gave_up.append(decision.gave_up)
        if decision.action is GO and not any(gave_up):
            assert seen
            assert all(reading.temperature is not None for reading in seen.values())

    replay(policy, history, see)
