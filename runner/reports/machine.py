"""Telemetry of the machine that rendered a segment, in words for the report.

It comes from a server, which may be of another version: unexpected values are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from custom_nodes.videogen.core.thermal.memory_budget import format_memory
from custom_nodes.videogen.core.thermal.readings import THROTTLE_REASONS, format_degrees, is_number

#: Measure → its name (of a card, of a processor).
_NAMES = {
    "temperature": ("Temperature", "CPU temperature"),
    "hotspot": ("Hot spot", "Hot spot"),
    "memory_temperature": ("Memory temperature", "Memory temperature"),
    "memory": ("VRAM", "RAM"),
    "power": ("Power", "Power"),
}
_UNIT = re.compile(r" (?=(?:GB|MB|W|°C)\b|°C)")


def describe_machine(telemetry: Any) -> list[tuple[str, str]]:
    """Rows of (name, text) for each device; report.json has all measurements."""
    devices = [one for one in _list(telemetry, "devices") if isinstance(one, Mapping)]
    rows = []
    cards = [device for device in devices if device.get("kind") != "cpu"]
    for device in devices:
        is_processor = device.get("kind") == "cpu"
        which = f" {cards.index(device) + 1}" if len(cards) > 1 and not is_processor else ""
        found = [(name, _describe(name, device.get(name), device)) for name in _NAMES]
        # A number is not separated from its unit.
        rows += [(_NAMES[name][is_processor] + which, _UNIT.sub("\u00a0", text)) for name, text in found if text]
        slowed = device.get("throttle")
        if isinstance(slowed, Mapping) and slowed:
            said = [
                f"{THROTTLE_REASONS.get(str(reason), str(reason))} {share:.0%} of the time"
                for reason, share in slowed.items()
                if is_number(share)
            ]
            rows.append((f"Slowed down{which}", ", ".join(said)))
    return rows


def list_pauses(telemetry: Any) -> list[dict[str, Any]]:
    """The pauses of a segment: ``began`` (seconds since 1970), ``seconds``, ``reason``, ``ending``."""
    return [
        {
            "began": pause["began"],
            "seconds": pause["seconds"],
            "reason": str(pause.get("reason", "")),
            "ending": str(pause.get("ending", "")),
        }
        for pause in _list(telemetry, "pauses")
        if isinstance(pause, Mapping)
        and is_number(pause.get("began"))
        and is_number(pause.get("seconds"))
        and 0 <= pause["began"] < 1e11
    ]


def _describe(name: str, value: Any, device: Mapping[str, Any]) -> str:
    if not isinstance(value, Mapping) or not all(is_number(value.get(key)) for key in ("min", "mean", "max", "median")):
        return ""
    if name == "memory":
        total: Any = device.get("memory_total")
        of = f" of {format_memory(total)}" if is_number(total) else ""
        return f"peak {format_memory(value['max'])}, sustained {format_memory(value['median'])}{of}"
    if name == "power":
        return f"{value['mean']:.0f} W, at most {value['max']:.0f} W"
    return f"{value['min']:g} to {format_degrees(value['max'])}, mean {format_degrees(value['mean'])}"


def _list(data: Any, name: str) -> list[Any]:
    found = data.get(name) if isinstance(data, Mapping) else None
    return found if isinstance(found, list) else []
