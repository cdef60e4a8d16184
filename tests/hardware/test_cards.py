"""CUDA_VISIBLE_DEVICES, PCI addresses, AMD cards, the processor, and the sampler."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from custom_nodes.videogen.core.thermal.readings import Reading
from custom_nodes.videogen.core.thermal.telemetry_ring import TelemetryRing
from custom_nodes.videogen.hardware.amd import Amd
from custom_nodes.videogen.hardware.card_keys import (
    CardKey,
    choose_visible,
    normalize_bus,
    normalize_uuid,
    read_visible,
)
from custom_nodes.videogen.hardware.nvidia import Nvidia
from custom_nodes.videogen.hardware.processor import read_processor
from custom_nodes.videogen.hardware.sampler import MAX_PERIOD, MAX_SHARE, Sampler
from custom_nodes.videogen.hardware.sensors import Sensors
from tests.support.servers.scripted_cards import CARD, SECOND, scripted_module

PROJECT = Path(__file__).resolve().parents[2]
ALIKE = [CardKey(f"0000:0{number}:00.0", f"GPU-{number}aaa", "RTX") for number in range(3)]
MIXED = [*ALIKE[:2], CardKey("0000:07:00.0", "GPU-7bbb", "GTX")]


def test_importing_it_imports_no_library() -> None:
    modules = "amd, card_keys, nvidia, processor, sampler, sensors"
    script = (
        f"import sys; from custom_nodes.videogen.hardware import {modules};"
        " print(sorted({'pynvml', 'amdsmi', 'psutil', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------ names of cards


@pytest.mark.parametrize(
    ("text", "bus"),
    [
        ("00000000:3B:00.0", "0000:3b:00.0"),
        ("0000:3b:00.1", "0000:3b:00.0"),
        ("3b:00", "0000:3b:00.0"),
        ("00010000:02:1F.0", "10000:02:1f.0"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_addresses(text: str, bus: str) -> None:
    assert normalize_bus(text) == bus


def test_uuids() -> None:
    assert normalize_uuid("11-22") == "GPU-11-22"
    assert normalize_uuid("MIG-11") == "MIG-11"
    assert normalize_uuid("") == ""


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        (None, None),
        ("", []),
        ("0,1", ["0", "1"]),
        (" 2 , 0", ["2", "0"]),
        ("0,-1,1", ["0"]),
        ("-1", []),
        ("1,1", []),
        ("0,NoDevFiles", ["0"]),
        ("GPU-1a,GPU-2b", ["GPU-1a", "GPU-2b"]),
        ("MIG-11-22", ["MIG-11-22"]),
        ("MIG-GPU-0aaa/1/0", ["MIG-GPU-0aaa/1/0"]),
    ],
)
def test_visible_devices_as_cuda_reads_them(text: str | None, entries: list[str] | None) -> None:
    assert read_visible({} if text is None else {"CUDA_VISIBLE_DEVICES": text}) == entries


@pytest.mark.parametrize(
    ("entries", "cards", "by_bus", "chosen"),
    [
        (["2", "0"], ALIKE, False, [ALIKE[2], ALIKE[0]]),
        (["2"], MIXED, False, []),  # the fastest card is CUDA's 0, and only CUDA knows which that is
        (["2"], MIXED, True, [MIXED[2]]),
        (["9"], ALIKE, True, []),
        (["GPU-1"], ALIKE, False, [ALIKE[1]]),
        (["gpu-1AAA"], ALIKE, False, [ALIKE[1]]),
        (["GPU-"], ALIKE, False, []),  # three of them
        (["MIG-11"], ALIKE, False, [CardKey("", "MIG-11")]),
        (["MIG-GPU-1aaa/3/0"], ALIKE, False, [CardKey("0000:01:00.0", "MIG-GPU-1aaa/3/0", "RTX")]),
    ],
)
def test_which_cards_are_visible(entries: list[str], cards: list[CardKey], by_bus: bool, chosen: list[CardKey]) -> None:
    assert choose_visible(entries, cards, counted_by_bus=by_bus) == chosen


# ------------------------------------------------------------------ AMD


class _Types(IntEnum):
    EDGE = 0
    HOTSPOT = 1
    VRAM = 2


def amd_module(**answers: Any) -> SimpleNamespace:
    """amdsmi with one card; an answer that is an exception is raised."""
    said: dict[str, Any] = {
        "EDGE": 70,
        "HOTSPOT": 84,
        "VRAM": 90,
        "vram": {"vram_total": 16_384, "vram_used": 8_192},
        "power": {"socket_power": 0, "current_socket_power": "N/A", "average_socket_power": 210},
        "activity": {"gfx_activity": 99},
        "clock": {"clk": 2400},
        "metrics": {"indep_throttle_status": 0},
    }
    said |= answers

    def give(name: str) -> Any:
        if isinstance(said[name], Exception):
            raise said[name]
        return said[name]

    return SimpleNamespace(
        AmdSmiTemperatureType=_Types,
        AmdSmiTemperatureMetric=SimpleNamespace(CURRENT=0),
        AmdSmiClkType=SimpleNamespace(GFX=1),
        amdsmi_init=lambda: None,
        amdsmi_shut_down=lambda: None,
        amdsmi_get_processor_handles=lambda: ["handle"],
        amdsmi_get_gpu_device_bdf=lambda _: "0000:03:00.0",
        amdsmi_get_gpu_asic_info=lambda _: {"market_name": "Radeon"},
        amdsmi_get_temp_metric=lambda _, place, metric: give(place.name),
        amdsmi_get_gpu_vram_usage=lambda _: give("vram"),
        amdsmi_get_power_info=lambda _: give("power"),
        amdsmi_get_gpu_activity=lambda _: give("activity"),
        amdsmi_get_clock_info=lambda _, kind: give("clock"),
        amdsmi_get_gpu_metrics_info=lambda _: give("metrics"),
    )


AMD_KEY = CardKey("0000:03:00.0", "", "Radeon")


def read_amd(**answers: Any) -> Reading:
    return Amd(lambda: amd_module(**answers)).read(AMD_KEY)


def test_an_amd_card() -> None:
    assert Amd(amd_module).cards() == [AMD_KEY]
    assert read_amd() == Reading(
        "0000:03:00.0",
        "Radeon",
        "amd",
        temperature=70,
        hotspot=84,
        memory_temperature=90,
        memory_used=8_192 * 2**20,
        memory_total=16_384 * 2**20,
        power=210,
        utilisation=99,
        clock=2400,
    )


def test_an_amd_card_without_a_sensor_at_its_edge() -> None:
    reading = read_amd(EDGE=RuntimeError("AMDSMI_STATUS_NOT_SUPPORTED"))
    assert (reading.temperature, reading.hotspot, reading.problem) == (84, 84, "")


def test_an_amd_card_that_tells_nothing() -> None:
    error = RuntimeError("AMDSMI_STATUS_NOT_SUPPORTED")
    names = ("EDGE", "HOTSPOT", "VRAM", "vram", "power", "activity", "clock", "metrics")
    reading = read_amd(**dict.fromkeys(names, error))
    assert reading.temperature is None
    assert reading.problem == "amdsmi says: AMDSMI_STATUS_NOT_SUPPORTED"
    assert (reading.memory_used, reading.power, reading.utilisation, reading.clock) == (None, None, None, None)


@pytest.mark.parametrize(
    ("status", "reasons"),
    [
        (1 << 36, {"hw_thermal"}),
        (1 << 2, {"power_cap"}),
        (1 << 17, {"power_cap"}),
        (0, set()),
        (True, {"unknown"}),
        (False, set()),
        ("N/A", set()),
    ],
)
def test_amd_throttling(status: Any, reasons: set[str]) -> None:
    assert read_amd(metrics={"indep_throttle_status": status}).throttle == reasons


@pytest.mark.parametrize("error", [ImportError("no amdsmi"), KeyError("ROCM_PATH"), OSError("libamd_smi.so")])
def test_without_rocm(error: Exception) -> None:
    def load() -> Any:
        raise error

    system = Amd(load)
    assert system.cards() == []
    assert "amdsmi" in system.problem
    assert system.read(AMD_KEY).problem == system.problem


# ------------------------------------------------------------------ the processor


def heat(label: str, current: float) -> SimpleNamespace:
    return SimpleNamespace(label=label, current=current)


@pytest.mark.parametrize(
    ("sensors", "temperature"),
    [
        ({"coretemp": [heat("Core 0", 92.0), heat("Package id 0", 71.0), heat("Package id 1", 75.0)]}, 75.0),
        ({"k10temp": [heat("Tctl", 95.0), heat("Tdie", 75.0), heat("Tccd1", 80.0)]}, 75.0),
        ({"k10temp": [heat("Tctl", 66.5)]}, 66.5),
        ({"cpu_thermal": [heat("", 58.0)]}, 58.0),
        ({"coretemp": [heat("Package id 0", 0.0)]}, None),
        ({"nvme": [heat("Composite", 60.0)], "acpitz": [heat("", 40.0)]}, None),
        ({}, None),
    ],
)
def test_processor(monkeypatch: pytest.MonkeyPatch, sensors: Any, temperature: float | None) -> None:
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors, raising=False)
    reading = read_processor()
    assert reading.temperature == temperature
    assert bool(reading.problem) == (temperature is None)
    assert reading.memory_total == psutil.virtual_memory().total
    assert 0 < (reading.memory_used or 0) < reading.memory_total


def test_processor_where_psutil_reads_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(psutil, "sensors_temperatures", raising=False)
    assert "psutil reads no temperatures" in read_processor().problem

    def fail() -> Any:
        raise OSError("hwmon3 is gone")

    monkeypatch.setattr(psutil, "sensors_temperatures", fail, raising=False)
    assert read_processor().problem == "psutil says: hwmon3 is gone"


# ------------------------------------------------------------------ all of them


def test_all_sensors() -> None:
    module = scripted_module(CARD, SECOND)
    sensors = Sensors(Nvidia(lambda: module), Amd(amd_module))
    assert [key.name for key in sensors.cards()] == ["Scripted RTX", "Scripted RTX", "Radeon"]
    assert [reading.kind for reading in sensors.read_all_cards()] == ["nvidia", "nvidia", "amd"]
    asked = [CardKey("0000:5e:00.0"), AMD_KEY, CardKey("0000:5e:00.0", SECOND["uuid"])]
    assert [reading.device for reading in sensors.read_cards(asked)] == [SECOND["uuid"], "0000:03:00.0"]
    sensors.stop()
    assert module._started == 0


# ------------------------------------------------------------------ the sampler


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_sampler_starts_once_and_stops() -> None:
    ring = TelemetryRing()
    sampler = Sampler(ring, lambda: [Reading("a", "RTX", temperature=70)], lambda: "prompt", period=0.005)
    assert not sampler.running
    sampler.start()
    sampler.start()
    assert [thread.name for thread in threading.enumerate()].count("videogen telemetry") == 1
    wait_for(lambda: len(ring.of_prompt("prompt")) >= 3)
    sampler.stop()
    assert not sampler.running
    taken = len(ring.since(0))
    time.sleep(0.05)
    assert len(ring.since(0)) == taken
    sampler.start()
    wait_for(lambda: len(ring.since(0)) > taken)
    sampler.stop()


def test_a_sensor_that_raises_does_not_end_it() -> None:
    calls = []

    def read() -> list[Reading]:
        calls.append(1)
        if len(calls) < 3:
            raise RuntimeError("driver")
        return []

    sampler = Sampler(TelemetryRing(), read, period=0.005)
    sampler.start()
    wait_for(lambda: len(calls) >= 5)
    assert sampler.running
    sampler.stop()


@pytest.mark.parametrize(("cost", "expected"), [(0.0, 1.0), (0.0005, 1.0), (0.004, 4.0), (1.0, MAX_PERIOD)])
def test_a_slow_sensor_is_looked_at_less_often(cost: float, expected: float) -> None:
    sampler = Sampler(TelemetryRing(), list)
    sampler.cost = cost
    assert sampler.wait_seconds() == expected
    assert cost / sampler.wait_seconds() <= MAX_SHARE or expected == MAX_PERIOD
