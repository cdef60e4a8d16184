"""Heat on a server: its guards' policy decides whether it gets another segment, and what its telemetry comes down to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.thermal.guard import GO_ON_AFTER, Decision, ThermalGuard, ThermalPolicy
from custom_nodes.videogen.core.thermal.readings import Reading, reading_from_json

from ..comfyui.client import ComfyClient
from ..reports.machine import is_number

#: Where no guard of the server has said otherwise: nobody asked for a guard, so nothing is stopped for the heat.
USUAL = ThermalPolicy(when_over=GO_ON_AFTER)
#: A sample that is older than this many of the server's periods says nothing about now.
STALE = 5.0
#: Seconds after which a server that tells nothing is asked again.
ASK_AGAIN = 60.0
#: Pauses of one segment that are kept.
MAX_PAUSES = 100


class ServerThermalMonitor:
    """Looks at the telemetry of one server now and then.

    Args:
        clock: seconds of a clock that only runs forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = ThermalGuard(USUAL)
        self._silent_until = float("-inf")

    @property
    def next_look(self) -> float:
        return max(self._guard.next_look, self._silent_until)

    def look(self, client: ComfyClient) -> Decision | None:
        """What the server's policy says now; None when it is not time to look, or nothing is known.

        A server that cannot be asked is none that has to cool down: what is wrong with it shows when it gets its segment.
        """
        now = self._clock()
        if now < self.next_look:
            return None
        try:
            told = client.telemetry()
        except VideoGenError:
            told = None
        if told is None or not told.get("running"):
            if self._guard.waiting:
                return self._guard.look([], self._clock())
            self._silent_until = now + ASK_AGAIN
            return None
        self._follow(read_policy(told.get("policy")))
        return self._guard.look(read_readings(told), self._clock())

    def _follow(self, policy: ThermalPolicy) -> None:
        # In the middle of a pause the rules stay what they are.
        if policy != self._guard.policy and not self._guard.waiting:
            self._guard = ThermalGuard(policy)


def read_policy(data: Any) -> ThermalPolicy:
    """The policy that a server tells; the usual one for none, and for what is no policy."""
    if not isinstance(data, Mapping):
        return USUAL
    known = {field.name for field in fields(ThermalPolicy)}
    try:
        # Whether a sensor can be read concerns the guard itself; a prompt that it would refuse says so by itself.
        return replace(ThermalPolicy(**{name: data[name] for name in data if name in known}), strict=False)
    except (VideoGenError, TypeError):
        return USUAL


def read_readings(told: Mapping[str, Any]) -> list[Reading]:
    """The newest readings; those of a sampler that has fallen asleep count as silent sensors."""
    readings = [reading_from_json(one) for one in told.get("readings") or () if isinstance(one, Mapping)]
    age, period = told.get("age"), told.get("period")
    stale = not isinstance(age, (int, float)) or age > STALE * max(
        1.0, period if isinstance(period, (int, float)) else 1.0
    )
    if not stale:
        return readings
    why = "its last sample is too old"
    return [Reading(reading.device, reading.name, reading.kind, problem=why) for reading in readings]


def condense(telemetry: Mapping[str, Any]) -> dict[str, Any]:
    """A segment's telemetry as its result keeps it: everything, and ``temperature`` (°C) and ``vram`` (bytes) of the card that
    was the hottest and of the one that was the fullest, each with ``min``, ``mean``, ``median`` and ``peak``."""
    if not telemetry:
        return {}
    devices = [device for device in telemetry.get("devices") or () if isinstance(device, Mapping)]
    cards = [device for device in devices if device.get("kind") != "cpu"]
    kept: dict[str, Any] = {"telemetry": {**telemetry, "pauses": list(telemetry.get("pauses") or ())[:MAX_PAUSES]}}
    for name, measure, among in (("temperature", "temperature", cards or devices), ("vram", "memory", cards)):
        values = [
            value
            for device in among
            if isinstance(value := device.get(measure), Mapping) and is_number(value.get("max"))
        ]
        if values:
            worst = max(values, key=lambda value: value["max"])
            kept[name] = {"peak": worst["max"]} | {
                key: worst[key] for key in ("min", "mean", "median") if is_number(worst.get(key))
            }
    return kept
