"""Sensor readings of a card or processor, and which of its temperatures are plausible."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

#: Limits of plausible temperatures in °C. A working card is never at 0 or below, which drivers report for "not supported";
#: every card shuts itself down far below the upper limit, and 255 is a byte without a value.
IMPLAUSIBLY_COLD, MAX_PLAUSIBLE = 0.0, 130.0
TEMPERATURES = ("temperature", "hotspot", "memory_temperature")
MEASURES = ("memory_used", "memory_total", "power", "utilisation", "clock")

#: Why a card lowers its clocks → the words for it in messages.
THROTTLE_REASONS = {
    "power_cap": "power cap",
    "sw_thermal": "the driver's thermal slowdown",
    "hw_slowdown": "hardware slowdown",
    "hw_thermal": "hardware thermal slowdown",
    "hw_power_brake": "hardware power brake",
    "unknown": "slowdown of unknown reason",
}


def believe_temperature(value: object) -> float | None:
    """A temperature in °C, or None for an implausible value: NaN, -300, 0, 255, ``"N/A"``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    number = float(value)
    return number if math.isfinite(number) and IMPLAUSIBLY_COLD < number <= MAX_PLAUSIBLE else None


def is_number(value: Any) -> bool:
    """Whether a value of someone else's JSON is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of one device. Values that cannot be read, or are no finite numbers, are None, never 0.

    Attributes:
        device: its id, stable as long as the machine runs, such as ``GPU-6a7e…`` or ``cpu``.
        kind: ``nvidia``, ``amd``, ``cpu``, or the torch device type of something without a sensor.
        temperature: °C of the chip; hotspot and memory_temperature: of its hottest spot and of its memory. Implausible
            values become None.
        memory_used: bytes, of all processes that use the device.
        power: watts; utilisation: percent; clock: MHz.
        throttle: reasons out of `THROTTLE_REASONS`.
        problem: why no temperature is known.
    """

    device: str
    name: str
    kind: str = ""
    temperature: float | None = None
    hotspot: float | None = None
    memory_temperature: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    power: float | None = None
    utilisation: float | None = None
    clock: float | None = None
    throttle: frozenset[str] = frozenset()
    problem: str = ""

    def __post_init__(self) -> None:
        reported = self.temperature
        for name in TEMPERATURES:
            object.__setattr__(self, name, believe_temperature(getattr(self, name)))
        for name in MEASURES:
            if not is_number(getattr(self, name)):
                object.__setattr__(self, name, None)
        if self.temperature is None and not self.problem:
            why = "its driver reports no temperature"
            if reported is not None:
                why = f"its driver reports {reported} °C, which is impossible"
            object.__setattr__(self, "problem", why)

    def to_json(self) -> dict[str, Any]:
        """All known values as JSON values."""
        data = {field.name: getattr(self, field.name) for field in fields(self)}
        data["throttle"] = sorted(self.throttle)
        return {name: value for name, value in data.items() if value not in (None, "", [])}


def reading_from_json(data: Mapping[str, Any]) -> Reading:
    """The inverse of `Reading.to_json`; keys unknown to this version are ignored."""
    known = {field.name for field in fields(Reading)}
    given = {name: value for name, value in data.items() if name in known}
    given["throttle"] = frozenset(str(reason) for reason in data.get("throttle") or ())
    given["device"], given["name"] = str(data.get("device") or "?"), str(data.get("name") or "?")
    return Reading(**given)


def format_degrees(value: float) -> str:
    """``84 °C``, ``84.5 °C``."""
    return f"{round(value, 1):g} °C"
