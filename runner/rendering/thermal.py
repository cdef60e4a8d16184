"""Heat of a server: whether it may get another segment, by its own guards' policy, and the summary of its telemetry."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.thermal.guard import GO_ON_AFTER, Decision, ThermalGuard, ThermalPolicy
from custom_nodes.videogen.core.thermal.readings import Reading, is_number, reading_from_json

from ..comfyui.client import ComfyClient

#: The policy where the server reports none: no guard was asked for, so heat stops nothing.
UNGUARDED = ThermalPolicy(when_over=GO_ON_AFTER)
#: A sample that is older than this many of the server's sampling periods is stale.
STALE_PERIODS = 5.0
#: Seconds after which a server without telemetry is asked again.
RETRY_AFTER = 60.0
#: Pauses of one segment that are kept.
MAX_PAUSES = 100


class ServerThermalMonitor:
    """A thermal guard on the telemetry of one server; see `wait_while_hot`.

    Args:
        clock: seconds of a clock that only runs forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = ThermalGuard(UNGUARDED)
        self._silent_until = float("-inf")

    @property
    def next_look(self) -> float:
        return max(self._guard.next_look, self._silent_until)

    def due(self, now: float) -> bool:
        """Whether it is time for another look."""
        return now >= self.next_look

    def read(self, client: ComfyClient) -> list[Reading] | None:
        """The server's readings; None when nothing is known.

        A server that cannot be asked does not have to cool down: its failure shows when it gets its segment.
        """
        try:
            reported = client.telemetry()
        except VideoGenError:
            reported = None
        if reported is None or not reported.get("running"):
            if self._guard.waiting:
                return []
            self._silent_until = self._clock() + RETRY_AFTER
            return None
        self._follow(read_policy(reported.get("policy")))
        return read_readings(reported)

    def look(self, readings: Sequence[Reading], now: float) -> Decision:
        """Decide from readings by the server's policy."""
        return self._guard.look(readings, now)

    def reset(self) -> None:
        """Forget a pause that was canceled."""
        self._guard.reset()

    def _follow(self, policy: ThermalPolicy) -> None:
        # In the middle of a pause the rules stay what they are.
        if policy != self._guard.policy and not self._guard.waiting:
            self._guard = ThermalGuard(policy)


def read_policy(data: Any) -> ThermalPolicy:
    """The policy that a server reports; `UNGUARDED` for none, and for an invalid one."""
    if not isinstance(data, Mapping):
        return UNGUARDED
    known = {field.name for field in fields(ThermalPolicy)}
    try:
        # Whether a sensor can be read concerns the guard itself; a prompt that it would refuse says so by itself.
        return replace(ThermalPolicy(**{name: data[name] for name in data if name in known}), strict=False)
    except (VideoGenError, TypeError):
        return UNGUARDED


def read_readings(reported: Mapping[str, Any]) -> list[Reading]:
    """The newest readings; those of a sampler that has stopped count as silent sensors."""
    readings = [reading_from_json(one) for one in reported.get("readings") or () if isinstance(one, Mapping)]
    age, period = reported.get("age"), reported.get("period")
    stale = not isinstance(age, (int, float)) or age > STALE_PERIODS * max(
        1.0, period if isinstance(period, (int, float)) else 1.0
    )
    if not stale:
        return readings
    why = "its last sample is too old"
    return [Reading(reading.device, reading.name, reading.kind, problem=why) for reading in readings]


def summarize_telemetry(telemetry: Mapping[str, Any]) -> dict[str, Any]:
    """A segment's telemetry as its result keeps it: all of it, and ``temperature`` (°C) and ``vram`` (bytes) of the card that
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
