"""Machines on which one card or one sensor fails: the others are guarded all the same."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from custom_nodes.videogen.core.thermal.guard import Action, ThermalGuard, ThermalPolicy
from custom_nodes.videogen.core.thermal.readings import Reading
from custom_nodes.videogen.hardware import vendor_library
from custom_nodes.videogen.hardware.amd import Amd
from custom_nodes.videogen.hardware.card_keys import CardKey
from custom_nodes.videogen.hardware.nvidia import Nvidia
from custom_nodes.videogen.hardware.processor import read_processor
from custom_nodes.videogen.hardware.sensors import Sensors
from tests.hardware.test_cards import amd_module
from tests.support.servers.scripted_cards import CARD, SECOND, scripted_module

HOT = SECOND | {"temperature": 95}
FIRST_KEY = CardKey("0000:3b:00.0", CARD["uuid"], "Scripted RTX")
HOT_KEY = CardKey("0000:5e:00.0", SECOND["uuid"], "Scripted RTX")


def no_amd() -> Amd:
    return Amd(lambda: exec("raise ImportError"))


def lose(module: Any, index: int, code: int = 15, function: str = "nvmlDeviceGetHandleByIndex") -> None:
    """Let a function of NVML fail for one card, as after it fell off the bus."""
    real = getattr(module, function)

    def fail(asked: Any, *rest: Any) -> Any:
        number = asked if isinstance(asked, int) else [card["uuid"] for card in module.SCRIPT["cards"]].index(asked[0])
        if number == index:
            raise module.NVMLError(code)
        return real(asked, *rest)

    setattr(module, function, fail)


@pytest.mark.parametrize(("lost", "code"), [(0, 15), (1, 15), (0, 4), (0, 999)])
def test_a_card_that_is_lost_at_the_start_does_not_hide_the_hot_one(lost: int, code: int) -> None:
    module = scripted_module(*((CARD, HOT) if lost == 0 else (HOT, CARD)))
    lose(module, lost, code)
    sensors = Sensors(Nvidia(lambda: module), no_amd())
    (reading,) = sensors.read_cards([HOT_KEY], maker="nvidia")
    assert (reading.device, reading.temperature) == (HOT["uuid"], 95)
    both = sensors.read_all_cards()
    assert [reading.temperature for reading in both] == ([None, 95] if lost == 0 else [95, None])
    assert both[lost].problem == f"NVML says: {module.NVMLError(code)}"
    guard = ThermalGuard(ThermalPolicy())
    decision = guard.look(both, 0)
    assert decision.action is Action.WAIT
    assert decision.text == "Scripted RTX: 95 °C → waiting for 80 °C"
    assert decision.warnings == (
        f"NVIDIA card {lost} has no temperature: NVML says: {module.NVMLError(code)}; it is not guarded until it reports one",
    )


def test_the_card_that_torch_uses_is_the_lost_one() -> None:
    module = scripted_module(CARD, HOT)
    lose(module, 0)
    reading = Nvidia(lambda: module).read(FIRST_KEY)
    assert reading.problem == "NVML does not know it, and one of its cards cannot be read (NVML says: GPU is lost)"


def test_a_lost_card_that_comes_back_is_guarded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    module = scripted_module(CARD, HOT)
    real = module.nvmlDeviceGetHandleByIndex
    lose(module, 0)
    system = Nvidia(lambda: module)
    assert [system.read(key).temperature for key in system.cards()] == [None, 95]
    module.nvmlDeviceGetHandleByIndex = real
    assert system.read(FIRST_KEY).temperature is None, "not at once"
    now = vendor_library.time.monotonic()
    monkeypatch.setattr(vendor_library.time, "monotonic", lambda: now + 2 * vendor_library.RETRY_AFTER)
    assert [system.read(key).temperature for key in system.cards()] == [70, 95]
    assert system.read(FIRST_KEY).temperature == 70


def test_the_hot_one_stays_guarded_while_the_list_cannot_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    module = scripted_module(CARD, HOT)
    lose(module, 0)
    system = Nvidia(lambda: module)
    assert system.read(HOT_KEY).temperature == 95
    module.nvmlDeviceGetCount = lambda: 1 / 0
    now = vendor_library.time.monotonic()
    monkeypatch.setattr(vendor_library.time, "monotonic", lambda: now + 2 * vendor_library.RETRY_AFTER)
    assert system.read(HOT_KEY).temperature == 95


@pytest.mark.parametrize("function", ["nvmlDeviceGetUUID", "nvmlDeviceGetPciInfo", "nvmlDeviceGetName"])
def test_a_card_that_keeps_its_name_or_address_to_itself_is_read(function: str) -> None:
    module = scripted_module(CARD, HOT)
    lose(module, 1, function=function)
    system = Nvidia(lambda: module)
    assert [system.read(key).temperature for key in system.cards()] == [70, 95]


def test_a_driver_that_is_gone_is_started_again_and_no_lost_card() -> None:
    module = scripted_module(CARD, HOT)
    lose(module, 0, code=9)
    system = Nvidia(lambda: module)
    assert system.cards() == []
    assert system.problem == "NVML does not list its cards: Driver Not Loaded"


@pytest.mark.parametrize(
    "function",
    [
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetClockInfo",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetMigMode",
    ],
)
@pytest.mark.parametrize("answer", ["raises", "nonsense", "NaN"])
def test_a_sensor_that_fails_later_does_not_cost_the_temperature(function: str, answer: str) -> None:
    module = scripted_module(HOT)
    system = Nvidia(lambda: module)
    assert system.read(HOT_KEY).temperature == 95

    def say(*_: Any) -> Any:
        if answer == "raises":
            raise module.NVMLError(999)
        return object() if answer == "nonsense" else math.nan

    setattr(module, function, say)
    reading = system.read(HOT_KEY)
    assert (reading.temperature, reading.problem) == (95, "")
    assert not any(isinstance(value, float) and math.isnan(value) for value in reading.to_json().values())


def test_of_two_amd_cards_one_is_lost() -> None:
    module = amd_module(EDGE=95)
    module.amdsmi_get_processor_handles = lambda: ["lost", "handle"]

    def address(handle: str) -> str:
        if handle == "lost":
            raise RuntimeError("AMDSMI_STATUS_NO_DATA")
        return "0000:03:00.0"

    module.amdsmi_get_gpu_device_bdf = address
    sensors = Sensors(Nvidia(lambda: exec("raise ImportError")), Amd(lambda: module))
    lost, hot = sensors.read_all_cards()
    assert (lost.name, lost.problem) == ("AMD card 0", "amdsmi says: AMDSMI_STATUS_NO_DATA")
    assert hot.temperature == 95
    assert sensors.read_cards([CardKey("0000:03:00.0")])[0].temperature == 95


@pytest.mark.parametrize("answer", ["N/A", math.nan, {"vram_used": math.nan, "vram_total": "N/A"}, None, [1]])
@pytest.mark.parametrize("name", ["vram", "power", "activity", "clock", "metrics"])
def test_whatever_amdsmi_says_of_other_things_the_temperature_is_read(name: str, answer: Any) -> None:
    assert Amd(lambda: amd_module(**{name: answer, "EDGE": 95})).read(CardKey("0000:03:00.0")).temperature == 95


@pytest.mark.parametrize("edge", [math.nan, 255, 0, "N/A"])
def test_an_amd_card_whose_edge_says_nonsense_has_its_hot_spot(edge: Any) -> None:
    reading = Amd(lambda: amd_module(EDGE=edge, HOTSPOT=95)).read(CardKey("0000:03:00.0"))
    assert (reading.temperature, reading.problem) == (95, "")


def test_an_amdsmi_without_some_functions() -> None:
    module = amd_module(EDGE=95)
    del module.amdsmi_get_power_info, module.AmdSmiClkType
    assert Amd(lambda: module).read(CardKey("0000:03:00.0")).temperature == 95


def test_a_reading_has_no_value_that_is_no_number() -> None:
    reading = Reading("a", "card", temperature=math.nan, power=math.nan, memory_used=math.inf, clock=-math.inf)  # type: ignore[arg-type]
    assert (reading.temperature, reading.power, reading.memory_used, reading.clock) == (None, None, None, None)
    assert reading.problem == "its driver reports nan °C, which is impossible"


def test_a_processor_in_a_container_that_hides_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    heat = {"coretemp": [SimpleNamespace(label="Package id 0", current=71.0)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: heat, raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: exec("raise PermissionError('/proc/meminfo')"))
    reading = read_processor()
    assert (reading.temperature, reading.memory_total) == (71, None)
