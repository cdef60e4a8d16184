"""What a card or processor says of itself at one moment, and which of its temperatures can be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

#: °C. A card that works is never at 0 or below, which is what drivers say for "not supported"; every card shuts itself
#: down far below the upper limit, and 255 is a byte without a value.
COLDER_THAN_BELIEVED, HOTTEST_BELIEVED = 0.0, 130.0
TEMPERATURES = ("temperature", "hotspot", "memory_temperature")

#: Why a card lowers its clocks, and how that is said to people.
THROTTLE_REASONS = {
    "power_cap": "power cap",
    "sw_thermal": "the driver's thermal slowdown",
    "hw_slowdown": "hardware slowdown",
    "hw_thermal": "hardware thermal slowdown",
    "hw_power_brake": "hardware power brake",
    "unknown": "slowdown of unknown reason",
}


def believe_temperature(value: object) -> float | None:
    """A temperature in °C, or None for whatever cannot be one: NaN, -300, 0, 255, ``"N/A"``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    number = float(value)
    return number if math.isfinite(number) and COLDER_THAN_BELIEVED < number <= HOTTEST_BELIEVED else None


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at one device. What cannot be read is None, never 0.

    Attributes:
        device: the same for the same device as long as the machine runs, such as ``GPU-6a7e…`` or ``cpu``.
        kind: ``nvidia``, ``amd``, ``cpu``, or the torch device type of something without a sensor.
        temperature: °C of the chip; hotspot and memory_temperature of its hottest place and of its memory. Values that
            cannot be become None.
        memory_used: bytes, of everybody who uses the device.
        power: watts; utilisation: percent; clock: MHz.
        throttle: reasons out of `THROTTLE_REASONS`.
        problem: why there is no temperature.
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
        said = self.temperature
        for name in TEMPERATURES:
            object.__setattr__(self, name, believe_temperature(getattr(self, name)))
        if self.temperature is None and not self.problem:
            why = "its driver gives no temperature" if said is None else f"its driver says {said} °C, which cannot be"
            object.__setattr__(self, "problem", why)

    def to_json(self) -> dict[str, Any]:
        """Plain data without what is not known."""
        data = {field.name: getattr(self, field.name) for field in fields(self)}
        data["throttle"] = sorted(self.throttle)
        return {name: value for name, value in data.items() if value not in (None, "", [])}


def reading_from_json(data: Mapping[str, Any]) -> Reading:
    """The inverse of `Reading.to_json`; what another version of the pack added is left out."""
    known = {field.name for field in fields(Reading)}
    given = {name: value for name, value in data.items() if name in known}
    given["throttle"] = frozenset(str(reason) for reason in data.get("throttle") or ())
    given["device"], given["name"] = str(data.get("device") or "?"), str(data.get("name") or "?")
    return Reading(**given)


def format_degrees(value: float) -> str:
    """``84 °C``, ``84.5 °C``."""
    return f"{round(value, 1):g} °C"
