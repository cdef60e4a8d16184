"""A replacement for nvidia-ml-py's module: cards that report what a test writes down, in `SCRIPT` or in a JSON file.

The file is the one that VIDEOGEN_SCRIPTED_NVML names. It is read again before every answer, so that a test changes the
temperature of a server that runs. It has the functions, codes and structures of the real module that are used of it::

    {"cards": [{"uuid": "GPU-1", "bus": "00000000:3B:00.0", "name": "RTX", "temperature": 70, "reasons": 0, …}]}

A value ``{"error": 15}`` is answered with that NVMLError; what a card does not have is "not supported".
"""

import json
import os
import types
from pathlib import Path

NVML_SUCCESS, NVML_TEMPERATURE_GPU, NVML_CLOCK_GRAPHICS = 0, 0, 0
nvmlMemory_v2 = 0x02000028
NOT_SUPPORTED = 3
SCRIPT = None

_started = 0


class NVMLError(Exception):
    def __init__(self, value):
        super().__init__(value)
        self.value = value

    def __str__(self):
        return {
            1: "Uninitialized",
            3: "Not Supported",
            9: "Driver Not Loaded",
            13: "Function Not Found",
            15: "GPU is lost",
        }.get(self.value, f"error {self.value}")


def read_script():
    if SCRIPT is not None:
        return SCRIPT
    return json.loads(Path(os.environ["VIDEOGEN_SCRIPTED_NVML"]).read_text(encoding="utf-8"))


def nvmlInit():
    global _started
    error = read_script().get("init_error")
    if error:
        raise NVMLError(error)
    _started += 1


def nvmlShutdown():
    global _started
    if not _started:
        raise NVMLError(1)
    _started -= 1


def _cards():
    if not _started:
        raise NVMLError(1)
    script = read_script()
    if script.get("error"):
        raise NVMLError(script["error"])
    return script["cards"]


def _card(handle):
    uuid = handle[0]
    return next(card for card in _cards() if card["uuid"] == uuid)


def _answer(handle, name):
    value = _card(handle).get(name, {"error": NOT_SUPPORTED})
    if isinstance(value, dict) and "error" in value:
        raise NVMLError(value["error"])
    return value


def nvmlDeviceGetCount():
    return len(_cards())


def nvmlDeviceGetHandleByIndex(index):
    return (_cards()[index]["uuid"], None)


def nvmlDeviceGetHandleByUUID(uuid):
    for card in _cards():
        if card["uuid"] == uuid:
            return (uuid, None)
        for number, instance in enumerate(card.get("mig", [])):
            if instance["uuid"] == uuid:
                return (card["uuid"], number)
    raise NVMLError(6)


def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle):
    return (handle[0], None)


def nvmlDeviceGetMigMode(handle):
    return [1, 1] if _card(handle).get("mig") else [0, 0]


def nvmlDeviceGetUUID(handle):
    return handle[0]


def nvmlDeviceGetName(handle):
    return _answer(handle, "name")


def nvmlDeviceGetPciInfo(handle):
    return types.SimpleNamespace(busId=_answer(handle, "bus"))


def nvmlDeviceGetTemperatureV(handle, sensor):
    return _answer(handle, "temperature")


def nvmlDeviceGetTemperature(handle, sensor):
    return _answer(handle, "temperature")


def nvmlDeviceGetFieldValues(handle, fields):
    _card(handle)
    try:
        value, code = _answer(handle, "memory_temperature"), 0
    except NVMLError as error:
        value, code = 0, error.value
    return [types.SimpleNamespace(nvmlReturn=code, value=types.SimpleNamespace(uiVal=value)) for _ in fields]


def nvmlDeviceGetMemoryInfo(handle, version=None):
    holder = _card(handle) if handle[1] is None else _card(handle)["mig"][handle[1]]
    # The first version counts what the driver keeps for itself.
    reserved = 0 if version else holder.get("memory_reserved", 0)
    return types.SimpleNamespace(used=holder["memory_used"] + reserved, total=holder["memory_total"])


def nvmlDeviceGetPowerUsage(handle):
    return _answer(handle, "power") * 1000


def nvmlDeviceGetUtilizationRates(handle):
    return types.SimpleNamespace(gpu=_answer(handle, "utilisation"), memory=0)


def nvmlDeviceGetClockInfo(handle, kind):
    return _answer(handle, "clock")


def nvmlDeviceGetCurrentClocksEventReasons(handle):
    return _answer(handle, "reasons")


def nvmlDeviceGetCurrentClocksThrottleReasons(handle):
    return _answer(handle, "reasons")
