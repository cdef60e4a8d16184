"""Sensor samples of the last hours, in bounded memory, and their summary for one prompt."""

from __future__ import annotations

import statistics
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .readings import Reading
from .wait import Pause

#: Samples that are stored: two hours at one a second, about 1 MB a device.
KEPT_SAMPLES, KEPT_PAUSES = 7200, 500
#: Field of `Reading` → its name in the report, and its significant decimal places.
MEASURES = {
    "temperature": ("temperature", 1),
    "hotspot": ("hotspot", 1),
    "memory_temperature": ("memory_temperature", 1),
    "memory_used": ("memory", 0),
    "power": ("power", 1),
    "utilisation": ("utilisation", 1),
    "clock": ("clock", 0),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """Readings of all devices at one moment.

    Attributes:
        time: seconds of a monotonic clock, for durations.
        wall: seconds since 1970, for display and other machines.
        prompt: id of the running prompt, or "".
    """

    time: float
    wall: float
    prompt: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class NotedPause:
    """A pause, and the prompt that was paused."""

    wall: float
    prompt: str
    pause: Pause

    def to_json(self) -> dict[str, Any]:
        return {"began": round(self.wall, 2), **self.pause.to_json()}


class TelemetryRing:
    """The latest samples and pauses. Thread-safe."""

    def __init__(self, samples: int = KEPT_SAMPLES, pauses: int = KEPT_PAUSES) -> None:
        self._samples: deque[Sample] = deque(maxlen=samples)
        self._pauses: deque[NotedPause] = deque(maxlen=pauses)
        self._lock = threading.Lock()

    def add(self, sample: Sample) -> None:
        with self._lock:
            self._samples.append(sample)

    def add_pause(self, pause: NotedPause) -> None:
        with self._lock:
            self._pauses.append(pause)

    def latest(self) -> Sample | None:
        with self._lock:
            return self._samples[-1] if self._samples else None

    def since(self, time: float) -> list[Sample]:
        """Samples not older than `time`, in order. Searched from the end, so that a short interval is cheap."""
        found = []
        with self._lock:
            for sample in reversed(self._samples):
                if sample.time < time:
                    break
                found.append(sample)
        return found[::-1]

    def of_prompt(self, prompt: str) -> list[Sample]:
        with self._lock:
            return [sample for sample in self._samples if sample.prompt == prompt]

    def pauses(self, prompt: str | None = None) -> list[NotedPause]:
        """The pauses of one prompt, or all pauses."""
        with self._lock:
            return [one for one in self._pauses if prompt is None or one.prompt == prompt]


def summarize(samples: Sequence[Sample], pauses: Iterable[NotedPause]) -> dict[str, Any]:
    """Summarize the load of a prompt: for each device, the minimum, mean, maximum and median of each measure.

    The median of the memory is its typical use; the maximum may have been a spike of a second. ``throttle`` has the fraction
    of samples (0 to 1) in which each reason was active.
    """
    seconds = samples[-1].time - samples[0].time if samples else 0.0
    by_device: dict[str, list[Reading]] = {}
    for sample in samples:
        for reading in sample.readings:
            by_device.setdefault(reading.device, []).append(reading)
    return {
        "seconds": round(seconds, 1),
        "samples": len(samples),
        "devices": [_summarize_device(readings) for readings in by_device.values()],
        "pauses": [pause.to_json() for pause in pauses],
    }


def _summarize_device(readings: Sequence[Reading]) -> dict[str, Any]:
    last = readings[-1]
    summary: dict[str, Any] = {"device": last.device, "name": last.name, "kind": last.kind}
    for measure, (name, digits) in MEASURES.items():
        values = [value for reading in readings if (value := getattr(reading, measure)) is not None]
        if values:
            summary[name] = {
                "min": _round(min(values), digits),
                "mean": _round(statistics.fmean(values), digits),
                "max": _round(max(values), digits),
                "median": _round(statistics.median(values), digits),
            }
    if last.memory_total is not None:
        summary["memory_total"] = last.memory_total
    reasons = sorted({reason for reading in readings for reason in reading.throttle})
    if reasons:
        counted = {reason: sum(reason in reading.throttle for reading in readings) for reason in reasons}
        summary["throttle"] = {reason: round(count / len(readings), 3) for reason, count in counted.items()}
    if last.problem:
        summary["problem"] = last.problem
    return summary


def _round(value: float, digits: int) -> float | int:
    return round(value, digits) if digits else round(value)


def tabulate(samples: Sequence[Sample], limit: int = 600) -> dict[str, Any]:
    """Samples as columns, for a chart: ``times`` (seconds since 1970), and for each device a list for each measure.

    More than `limit` samples are thinned out; missing values are None.
    """
    step = max(1, -(-len(samples) // limit))
    chosen = list(samples)[::-1][::step][::-1]
    names: dict[str, str] = {reading.device: reading.name for sample in chosen for reading in sample.readings}
    devices = []
    for device, name in names.items():
        column = [next((one for one in sample.readings if one.device == device), None) for sample in chosen]
        series = {title: [getattr(one, measure, None) for one in column] for measure, (title, _) in MEASURES.items()}
        known = {title: values for title, values in series.items() if any(value is not None for value in values)}
        devices.append({"device": device, "name": name, "series": known})
    return {"times": [round(sample.wall, 2) for sample in chosen], "devices": devices}
