"""The devices that a guard watches: those that torch computes on, matched to the drivers' lists."""

from __future__ import annotations

import os
from typing import Any

import comfy.model_management
import torch

from ...core.thermal.readings import Reading
from ...hardware.card_keys import CardKey, format_bus, normalize_uuid, read_visible
from ...hardware.sensors import Sensors

#: `auto`: the devices that ComfyUI computes on. `all`: every card of this machine, and the processor where ComfyUI uses it.
AUTO, ALL = "auto", "all"
DEVICE_CHOICES = [AUTO, ALL]

#: One per process: NVML is started once.
SENSORS = Sensors()


def read_watched(devices: str, sensors: Sensors = SENSORS) -> list[Reading]:
    """Read each watched device: at least one reading, which states the problem where nothing can be read."""
    device = comfy.model_management.get_torch_device()
    readings = sensors.read_all_cards() if devices == ALL else []
    if device.type == "cuda":
        if devices == AUTO:
            readings = sensors.read_cards(used_cards(device, sensors), maker="amd" if torch.version.hip else "nvidia")
    elif device.type == "cpu":
        readings.append(sensors.read_processor())
    elif not readings:
        name = comfy.model_management.get_torch_device_name(device)
        readings = [
            Reading(str(device), name, device.type, problem=f"there is no sensor for torch's {device.type} devices")
        ]
    if not readings:
        readings = [Reading("none", "this machine", problem=sensors.why_no_cards())]
    return readings


def used_cards(device: torch.device, sensors: Sensors) -> list[CardKey]:
    """The card of `device`, and every other one on which this process holds memory (packs for several cards)."""
    current = torch.cuda.current_device() if device.index is None else device.index
    others = [
        index for index in range(torch.cuda.device_count()) if index != current and torch.cuda.memory_reserved(index)
    ]
    return [find_card(index, sensors) for index in (current, *others)]


def find_card(index: int, sensors: Sensors) -> CardKey:
    """The drivers' key of torch's card number `index`.

    torch reports the PCI bus address and the UUID of the card that it actually uses, so that neither CUDA_VISIBLE_DEVICES
    nor CUDA's device order matters. An older torch reports neither: then the environment is read as CUDA reads it.
    """
    try:
        found: Any = torch.cuda.get_device_properties(index)
    except Exception as error:  # a card that fell off the bus; the others are still guarded
        said = str(error).partition("\n")[0][:200]
        return CardKey("", "", f"torch's card {index}, which it cannot describe ({said})")
    uuid = normalize_uuid(str(getattr(found, "uuid", "")))
    visible = read_visible(os.environ) if torch.version.hip is None else None
    if visible and index < len(visible) and visible[index].upper().startswith("MIG-"):
        uuid = visible[index]  # torch reports the instance's UUID without its prefix
    if hasattr(found, "pci_bus_id"):
        return CardKey(format_bus(found.pci_domain_id, found.pci_bus_id, found.pci_device_id), uuid, found.name)
    if uuid:
        return CardKey("", uuid, found.name)
    by_bus = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    shown = sensors.nvidia.visible(visible, counted_by_bus=by_bus)
    if index < len(shown) and (by_bus or len({card.name for card in shown}) == 1):
        return shown[index]
    return CardKey("", "", f"{found.name} (torch {torch.__version__} does not report which card of NVML's it is)")
