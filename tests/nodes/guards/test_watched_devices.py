"""The devices that a guard watches."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.thermal.readings import Reading
from tests.support.needs import require_comfy

require_comfy()

import comfy.model_management
import comfy.patcher_extension
import comfy.sample
import comfy.samplers
import torch

from custom_nodes.videogen.comfyui.thermal.watched_devices import find_card, read_watched
from custom_nodes.videogen.hardware.amd import Amd
from custom_nodes.videogen.hardware.card_keys import CardKey
from custom_nodes.videogen.hardware.nvidia import Nvidia
from custom_nodes.videogen.hardware.sensors import Sensors
from tests.support.servers.scripted_cards import CARD, SECOND, scripted_module


class Properties:
    """What torch tells of a card."""

    def __init__(self, **values: Any) -> None:
        self.name = "Scripted RTX"
        vars(self).update(values)


BUS = {"pci_domain_id": 0, "pci_bus_id": 0x5E, "pci_device_id": 0}


@pytest.fixture
def sensors() -> Sensors:
    module = scripted_module(CARD, SECOND | {"temperature": 90})
    return Sensors(Nvidia(lambda: module), Amd(lambda: exec("raise ImportError")), lambda: Reading("cpu", "CPU", "cpu"))


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch with one visible card, the machine's second."""
    monkeypatch.setattr(comfy.model_management, "get_torch_device", lambda: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties(uuid=SECOND["uuid"][4:], **BUS))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")


@pytest.mark.usefixtures("cuda")
def test_torchs_first_card_is_the_machines_second(sensors: Sensors) -> None:
    assert find_card(0, sensors) == CardKey("0000:5e:00.0", SECOND["uuid"], "Scripted RTX")
    (reading,) = read_watched("auto", sensors)
    assert (reading.device, reading.temperature) == (SECOND["uuid"], 90)
    assert [reading.temperature for reading in read_watched("all", sensors)] == [70, 90]


@pytest.mark.usefixtures("cuda")
def test_every_card_that_this_process_uses(sensors: Sensors, monkeypatch: pytest.MonkeyPatch) -> None:
    buses = [0x5E, 0x3B, 0x99]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda index: Properties(**(BUS | {"pci_bus_id": buses[index]}))
    )
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda index: [0, 100, 0][index])
    assert [reading.temperature for reading in read_watched("auto", sensors)] == [90, 70]


@pytest.mark.usefixtures("cuda")
def test_a_card_that_fell_off_the_bus_does_not_hide_the_hot_one(
    sensors: Sensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def describe(index: int) -> Properties:
        if index == 0:
            raise RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be…")
        return Properties(**BUS)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", describe)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda index: 100)
    lost, hot = read_watched("auto", sensors)
    assert hot.temperature == 90
    assert lost.name == "torch's card 0, which it cannot describe (CUDA error: unspecified launch failure)"


@pytest.mark.parametrize(
    ("properties", "environment", "key"),
    [
        ({"uuid": SECOND["uuid"][4:]}, {}, CardKey("", SECOND["uuid"], "Scripted RTX")),
        ({}, {"CUDA_VISIBLE_DEVICES": "1"}, CardKey("0000:5e:00.0", SECOND["uuid"], "Scripted RTX")),
        ({}, {"CUDA_VISIBLE_DEVICES": SECOND["uuid"][:12]}, CardKey("0000:5e:00.0", SECOND["uuid"], "Scripted RTX")),
        ({}, {}, CardKey("0000:3b:00.0", CARD["uuid"], "Scripted RTX")),
        (
            BUS | {"uuid": "11-22"},
            {"CUDA_VISIBLE_DEVICES": "MIG-11-22"},
            CardKey("0000:5e:00.0", "MIG-11-22", "Scripted RTX"),
        ),
    ],
)
def test_an_older_torch_and_mig(
    sensors: Sensors,
    monkeypatch: pytest.MonkeyPatch,
    properties: dict[str, Any],
    environment: dict[str, str],
    key: CardKey,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties(**properties))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_card(0, sensors) == key


def test_no_guessing_where_cards_differ_and_torch_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    module = scripted_module(CARD, SECOND | {"name": "GTX"})
    sensors = Sensors(Nvidia(lambda: module), Amd(lambda: exec("raise ImportError")))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    assert "does not report which card" in find_card(0, sensors).name
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert find_card(1, sensors).uuid == SECOND["uuid"]


def test_on_a_processor(sensors: Sensors) -> None:
    assert [reading.device for reading in read_watched("auto", sensors)] == ["cpu"]
    assert [reading.device for reading in read_watched("all", sensors)] == [CARD["uuid"], SECOND["uuid"], "cpu"]


def test_on_something_without_sensors(sensors: Sensors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comfy.model_management, "get_torch_device", lambda: torch.device("mps"))
    monkeypatch.setattr(comfy.model_management, "get_torch_device_name", lambda device: "Apple")
    (reading,) = read_watched("auto", sensors)
    assert (reading.temperature, reading.problem) == (None, "there is no sensor for torch's mps devices")


def test_all_cards_where_there_are_none() -> None:
    none = Sensors(Nvidia(lambda: exec("raise ImportError")), Amd(lambda: exec("raise ImportError")))
    (reading,) = read_watched("all", none)
    assert reading.device == "cpu"
