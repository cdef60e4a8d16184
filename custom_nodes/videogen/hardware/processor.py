"""The processor and its memory, through psutil: the device that is read when ComfyUI runs without a card."""

from __future__ import annotations

import contextlib
import platform
from typing import Any

from ..core.thermal.readings import Reading, believe_temperature

DEVICE = "cpu"
#: Linux' names of sensors inside processors, and the labels of their whole package, the best first. k10temp's Tctl is a
#: number for fans, up to 27 °C above the truth on some processors, so Tdie comes first.
_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal", "x86_pkg_temp")
_LABELS = ("package id", "physical id", "tdie", "tctl")


def read_processor() -> Reading:
    """Temperature of the hottest package, memory of the machine, utilization since the last reading."""
    import psutil

    temperature, problem = _temperature(psutil)
    # Containers hide some of /proc; what can be read is read.
    memory = utilisation = None
    with contextlib.suppress(Exception):
        memory = psutil.virtual_memory()
    with contextlib.suppress(Exception):
        utilisation = float(psutil.cpu_percent(None))
    return Reading(
        DEVICE,
        platform.processor() or platform.machine() or "processor",
        "cpu",
        temperature=temperature,
        memory_used=None if memory is None else memory.total - memory.available,
        memory_total=None if memory is None else memory.total,
        utilisation=utilisation,
        problem=problem,
    )


def _temperature(psutil: Any) -> tuple[float | None, str]:
    read = getattr(psutil, "sensors_temperatures", None)
    if read is None:
        return None, f"psutil reads no temperatures on {platform.system()}"
    try:
        sensors = read()
    except Exception as error:  # a sensor in /sys that vanishes or does not answer
        return None, f"psutil says: {error}"
    for name in _SENSORS:
        entries = [(entry.label.lower(), believe_temperature(entry.current)) for entry in sensors.get(name, ())]
        for label in (*_LABELS, ""):  # "": any of them, such as single cores
            found = [value for said, value in entries if said.startswith(label) and value is not None]
            if found:
                return max(found), ""
    return None, "this machine shows no temperature of its processor"
