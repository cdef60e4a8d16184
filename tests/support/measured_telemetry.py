"""The telemetry of a segment, as a server reports it."""

from __future__ import annotations

from typing import Any


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
