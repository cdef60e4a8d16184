"""NVML as a scripted module: finding the card, and reading it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from custom_nodes.videogen.core.thermal.readings import Reading
from custom_nodes.videogen.hardware import vendor_library
from custom_nodes.videogen.hardware.card_keys import CardKey
from custom_nodes.videogen.hardware.nvidia import Nvidia
from tests.support.servers.scripted_cards import CARD, SECOND, scripted_module

FIRST_KEY = CardKey("0000:3b:00.0", CARD["uuid"], "Scripted RTX")
SECOND_KEY = CardKey("0000:5e:00.0", SECOND["uuid"], "Scripted RTX")
INSTANCE = {
    "uuid": "MIG-11111111-2222-3333-4444-555555555555",
    "memory_used": 3_000_000_000,
    "memory_total": 10_000_000_000,
}


def cards(*described: dict[str, Any], without: tuple[str, ...] = (), **script: Any) -> tuple[Nvidia, ModuleType]:
    """NVML with these cards; `without` are functions that an older module lacks."""
    module = scripted_module(*described, **script)
    for name in without:
        delattr(module, name)
    return Nvidia(lambda: module), module


def read(card: dict[str, Any], without: tuple[str, ...] = ()) -> Reading:
    return cards(card, without=without)[0].read(FIRST_KEY)


def test_what_a_card_says() -> None:
    described = CARD | {"memory_temperature": 88, "reasons": 0x04 | 0x01}
    assert read(described) == Reading(
        CARD["uuid"],
        "Scripted RTX",
        "nvidia",
        temperature=70,
        memory_temperature=88,
        memory_used=10_000_000_000,
        memory_total=24_000_000_000,
        power=300,
        utilisation=97,
        clock=2100,
        throttle=frozenset({"power_cap"}),
    )


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (0x00, set()),
        (0x01 | 0x02 | 0x10 | 0x100, set()),  # idle, application clocks, sync boost, display: no trouble
        (0x04, {"power_cap"}),
        (0x08 | 0x40, {"hw_slowdown", "hw_thermal"}),
        (0x20, {"sw_thermal"}),
        (0x80, {"hw_power_brake"}),
    ],
)
def test_clock_event_reasons(bits: int, reasons: set[str]) -> None:
    assert read(CARD | {"reasons": bits}).throttle == reasons


def test_an_older_module_and_an_older_driver() -> None:
    older = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetCurrentClocksEventReasons", "nvmlMemory_v2")
    reading = read(CARD | {"reasons": 0x08}, without=older)
    assert reading.temperature == 70
    assert reading.throttle == {"hw_slowdown"}
    assert reading.memory_used == 10_500_000_000, "the first version counts what the driver keeps"


def test_a_driver_without_the_newer_functions() -> None:
    system, module = cards(CARD | {"reasons": 0x08})

    def missing(*_: Any) -> None:
        raise module.NVMLError(13)

    module.nvmlDeviceGetTemperatureV = module.nvmlDeviceGetCurrentClocksEventReasons = missing
    for _ in range(2):
        reading = system.read(FIRST_KEY)
        assert (reading.temperature, reading.throttle) == (70, {"hw_slowdown"})


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        ({"error": 3}, "NVML says: Not Supported"),
        ({"error": 15}, "NVML says: GPU is lost"),
        (0, "its driver reports 0 °C, which is impossible"),
        (255, "its driver reports 255 °C, which is impossible"),
    ],
)
def test_no_temperature(says: Any, problem: str) -> None:
    reading = read(CARD | {"temperature": says})
    assert reading.temperature is None
    assert reading.problem == problem
    assert reading.memory_used == 10_000_000_000, "the rest is still read"


def test_what_a_card_does_not_have_is_asked_once() -> None:
    system, module = cards(CARD | {"power": {"error": 3}})
    asked = []
    real = module.nvmlDeviceGetPowerUsage
    module.nvmlDeviceGetPowerUsage = lambda handle: asked.append(1) or real(handle)
    assert [system.read(FIRST_KEY).power for _ in range(3)] == [None, None, None]
    assert len(asked) == 1


def test_an_error_that_passes_is_asked_again() -> None:
    system, module = cards(CARD | {"power": {"error": 10}})
    assert system.read(FIRST_KEY).power is None
    module.SCRIPT["cards"][0]["power"] = 200
    assert system.read(FIRST_KEY).power == 200


# ------------------------------------------------------------------ which card


def test_all_cards_by_bus_and_uuid() -> None:
    assert cards(CARD, SECOND)[0].cards() == [FIRST_KEY, SECOND_KEY]


@pytest.mark.parametrize(
    "key", [SECOND_KEY, CardKey(bus="0000:5e:00.0"), CardKey(uuid=SECOND["uuid"].upper().replace("GPU", "GPU"))]
)
def test_the_right_one_of_two(key: CardKey) -> None:
    reading = cards(CARD, SECOND | {"temperature": 90})[0].read(key)
    assert (reading.device, reading.temperature) == (SECOND["uuid"], 90)


def test_the_bus_counts_before_the_uuid() -> None:
    """Under MIG torch's UUID is that of an instance, its bus that of the card."""
    key = CardKey("0000:5e:00.0", "GPU-11111111-2222-3333-4444-555555555555")
    assert cards(CARD, SECOND)[0].read(key).device == SECOND["uuid"]


def test_a_card_that_nvml_does_not_know() -> None:
    reading = cards(CARD)[0].read(CardKey("0000:99:00.0", "", "RTX 9090"))
    assert (reading.name, reading.temperature, reading.problem) == ("RTX 9090", None, "NVML does not know it")


@pytest.mark.parametrize(
    "key",
    [
        CardKey("0000:3b:00.0", INSTANCE["uuid"]),
        CardKey("", INSTANCE["uuid"]),
        CardKey("0000:3b:00.0", "GPU-" + INSTANCE["uuid"][4:]),  # torch puts no prefix before it
    ],
)
def test_a_mig_instance_has_the_cards_heat_and_its_own_memory(key: CardKey) -> None:
    reading = cards(CARD | {"mig": [INSTANCE]})[0].read(key)
    assert (reading.device, reading.temperature, reading.power) == (CARD["uuid"], 70, 300)
    assert (reading.memory_used, reading.memory_total) == (3_000_000_000, 10_000_000_000)


def test_the_memory_of_an_unknown_mig_instance_is_not_that_of_the_card() -> None:
    reading = cards(CARD | {"mig": [INSTANCE]})[0].read(CardKey("0000:3b:00.0"))
    assert (reading.temperature, reading.memory_used) == (70, None)


# ------------------------------------------------------------------ NVML itself


def test_nothing_is_imported_before_something_is_asked() -> None:
    system = Nvidia(lambda: pytest.fail("imported"))
    assert system.problem == ""


def test_without_the_package() -> None:
    def missing() -> Any:
        raise ImportError("No module named 'pynvml'")

    system = Nvidia(missing)
    assert system.cards() == []
    assert system.problem == "the Python package nvidia-ml-py is not installed"
    reading = system.read(FIRST_KEY)
    assert (reading.device, reading.problem) == (CARD["uuid"], system.problem)


def test_without_a_driver_it_is_not_tried_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    system, module = cards(CARD, init_error=9)
    assert system.cards() == []
    assert system.problem == "NVML does not start: Driver Not Loaded"
    module.SCRIPT["init_error"] = 0
    assert system.cards() == []
    monkeypatch.setattr(vendor_library.time, "monotonic", lambda: float("inf"))
    assert system.cards() == [FIRST_KEY]


def test_a_card_that_is_lost_and_comes_back_keeps_its_name() -> None:
    system, module = cards(CARD)
    key = CardKey("0000:3b:00.0")
    assert system.read(key).temperature == 70
    module.SCRIPT["error"] = 15
    lost = system.read(key)
    assert (lost.device, lost.name, lost.problem) == (CARD["uuid"], "Scripted RTX", "NVML says: GPU is lost")
    module.SCRIPT["error"] = None
    assert system.read(key).temperature == 70


def test_nvml_that_was_shut_down_elsewhere_is_started_again() -> None:
    system, module = cards(CARD)
    system.read(FIRST_KEY)
    module.nvmlShutdown()
    assert system.read(FIRST_KEY).temperature is None
    assert system.read(FIRST_KEY).temperature == 70


def test_it_lets_go_of_nvml() -> None:
    system, module = cards(CARD)
    system.cards()
    system.stop()
    assert module._started == 0
    system.stop()
    assert module._started == 0


def test_a_library_that_is_broken_in_other_ways() -> None:
    system, module = cards(CARD)

    def broken() -> None:
        raise OSError("libnvidia-ml.so.1: file too short")

    module.nvmlInit = broken
    assert "file too short" in system.read(FIRST_KEY).problem


def test_cards_that_cannot_be_listed_are_asked_for_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    system, module = cards(CARD)
    count = module.nvmlDeviceGetCount
    monkeypatch.setattr(module, "nvmlDeviceGetCount", lambda: 1 / 0)
    assert system.cards() == []
    assert system.problem == "NVML does not list its cards: division by zero"
    assert module._started == 0, "what was started is shut down"
    monkeypatch.setattr(module, "nvmlDeviceGetCount", count)
    assert system.cards() == [], "not at once"
    monkeypatch.setattr(vendor_library.time, "monotonic", lambda: float("inf"))
    assert system.cards() == [FIRST_KEY]
    assert system.problem == ""


def test_a_module_that_breaks_when_it_is_imported_is_a_problem_and_no_exception() -> None:
    system = Nvidia(lambda: {}["libnvidia-ml.so"])
    assert system.cards() == []
    assert system.problem == "NVML cannot be used: 'libnvidia-ml.so'"
