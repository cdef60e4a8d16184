"""Which temperatures are believed, and how readings travel."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.thermal.readings import (
    MAX_PLAUSIBLE,
    Reading,
    believe_temperature,
    format_degrees,
    reading_from_json,
)


@pytest.mark.parametrize(
    "value", [0, 0.0, -0.0, -1, -300, 131, 255, 2**32 - 1, math.nan, math.inf, None, "N/A", "70", True]
)
def test_what_is_no_temperature(value: object) -> None:
    assert believe_temperature(value) is None


@pytest.mark.parametrize("value", [0.5, 1, 45, 84.5, 110, 130])
def test_what_is_one(value: float) -> None:
    assert believe_temperature(value) == value


def test_a_reading_never_carries_a_temperature_that_cannot_be() -> None:
    reading = Reading("a", "RTX", temperature=0, hotspot=255, memory_temperature=-300)
    assert (reading.temperature, reading.hotspot, reading.memory_temperature) == (None, None, None)
    assert reading.problem == "its driver reports 0 °C, which is impossible"
    assert Reading("a", "RTX").problem == "its driver reports no temperature"
    assert Reading("a", "RTX", problem="GPU is lost").problem == "GPU is lost"
    assert Reading("a", "RTX", temperature=70).problem == ""


@given(st.floats() | st.integers() | st.none() | st.text())
def test_believed_means_between_the_limits(value: object) -> None:
    believed = believe_temperature(value)
    assert believed is None or 0 < believed <= MAX_PLAUSIBLE


def test_there_and_back_as_json() -> None:
    reading = Reading(
        "GPU-1",
        "RTX",
        "nvidia",
        temperature=84.5,
        memory_used=10,
        memory_total=20,
        power=300.0,
        throttle=frozenset({"power_cap", "hw_slowdown"}),
    )
    data = json.loads(json.dumps(reading.to_json()))
    assert "hotspot" not in data
    assert "problem" not in data
    assert reading_from_json(data) == reading
    silent = Reading("GPU-1", "RTX", problem="GPU is lost")
    assert reading_from_json(silent.to_json()) == silent


def test_what_a_newer_pack_says_too_is_left_out() -> None:
    assert reading_from_json({"device": "a", "name": "b", "temperature": 50, "fan": 3}) == Reading(
        "a", "b", temperature=50
    )
    assert reading_from_json({}).temperature is None


def test_degrees() -> None:
    assert format_degrees(84.0) == "84 °C"
    assert format_degrees(84.46) == "84.5 °C"
