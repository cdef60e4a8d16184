"""AMD cards, through amdsmi, which comes with ROCm."""

from __future__ import annotations

from typing import Any

from ..core.thermal.readings import Reading, believe_temperature, is_number
from .card_keys import CardKey, normalize_bus
from .vendor_library import VendorLibrary

#: linux/drivers/gpu/drm/amd/pm/swsmu/inc/amdgpu_smu.h: bits 0–15 power, 16–31 current, 32–55 temperature.
_POWER_BITS, _HEAT_BITS = 0x0000_0000_FFFF_FFFF, 0x00FF_FFFF_0000_0000
_MEGABYTE = 1024**2


class Amd(VendorLibrary):
    """Readings of AMD cards."""

    module_name, library, maker = "amdsmi", "amdsmi", "AMD"
    not_installed = "amdsmi, which comes with ROCm, is not installed"

    def _initialize(self, module: Any) -> None:
        module.amdsmi_init()

    def _shut_down(self, module: Any) -> None:
        module.amdsmi_shut_down()

    def _find_cards(self) -> None:
        for number, handle in enumerate(self._module.amdsmi_get_processor_handles()):
            try:
                bus = normalize_bus(str(self._module.amdsmi_get_gpu_device_bdf(handle)))
            except Exception as error:
                self._add_unreadable(number, error)
                continue
            uuid = "" if bus else f"amdsmi-{number}"
            self._handles[bus or uuid] = handle
            name = self._ask("amdsmi_get_gpu_asic_info", handle).get("market_name")
            self._cards.append(CardKey(bus, uuid, str(name or "AMD card")))

    def read(self, key: CardKey) -> Reading:
        """Return a card's reading; for a card that is not found, one with a problem."""
        with self._lock:
            device, name = key.bus or key.uuid or key.name or "amd", key.name or "AMD card"
            if not self.start():
                return Reading(device, name, "amd", problem=self.problem)
            if key.uuid in self.unreadable:
                return Reading(device, name, "amd", problem=self.unreadable[key.uuid])
            handle = self._handles.get(device)
            if handle is None:
                return Reading(device, name, "amd", problem=self._explain_unknown())
            name = next((card.name for card in self._cards if device in (card.bus, card.uuid)), name)
            return self._read_card(handle, device, name)

    def _read_card(self, handle: Any, bus: str, name: str) -> Reading:
        module = self._module
        memory = self._ask("amdsmi_get_gpu_vram_usage", handle)
        power = self._ask("amdsmi_get_power_info", handle)
        activity = self._ask("amdsmi_get_gpu_activity", handle)
        clock = self._ask("amdsmi_get_clock_info", handle, getattr(getattr(module, "AmdSmiClkType", None), "GFX", None))
        edge, problem = self._temperature(handle, "EDGE")
        hotspot, why = self._temperature(handle, "HOTSPOT")
        # Cards for data centers have no sensor at the edge, only at the hottest place.
        if believe_temperature(edge) is None and believe_temperature(hotspot) is not None:
            edge, problem = hotspot, ""
        used, total = _number(memory.get("vram_used")), _number(memory.get("vram_total"))
        return Reading(
            bus,
            name,
            "amd",
            temperature=edge,
            hotspot=hotspot,
            memory_temperature=self._temperature(handle, "VRAM")[0],
            memory_used=None if used is None else int(used * _MEGABYTE),
            memory_total=None if total is None else int(total * _MEGABYTE),
            power=_first(power, "current_socket_power", "average_socket_power", "socket_power"),
            utilisation=_number(activity.get("gfx_activity")),
            clock=_first(clock, "clk", "cur_clk"),
            throttle=self._throttle(handle),
            problem=problem or ("" if edge is not None else why),
        )

    def _temperature(self, handle: Any, place: str) -> tuple[float | None, str]:
        try:
            types, current = self._module.AmdSmiTemperatureType, self._module.AmdSmiTemperatureMetric.CURRENT
            return _number(self._module.amdsmi_get_temp_metric(handle, getattr(types, place), current)), ""
        except Exception as error:
            return None, f"amdsmi says: {error}"

    def _throttle(self, handle: Any) -> frozenset[str]:
        metrics = self._ask("amdsmi_get_gpu_metrics_info", handle)
        bits = metrics.get("indep_throttle_status")
        if isinstance(bits, bool):  # newer versions only say whether it is throttled
            return frozenset({"unknown"}) if bits else frozenset()
        if not isinstance(bits, int):
            return frozenset()
        named = ((_POWER_BITS, "power_cap"), (_HEAT_BITS, "hw_thermal"))
        return frozenset(reason for mask, reason in named if bits & mask)

    def _ask(self, function: str, *arguments: Any) -> dict[str, Any]:
        """What a function says, by name; nothing where it fails, is not there, or says something else than names and values."""
        try:
            said = getattr(self._module, function)(*arguments)
        except Exception:  # not supported by this card, this version, or on a virtual machine
            return {}
        return said if isinstance(said, dict) else {}


def _number(value: Any) -> float | None:
    """A finite number, or None; amdsmi says "N/A" for what a card does not have."""
    return float(value) if is_number(value) else None


def _first(values: dict[str, Any], *names: str) -> float | None:
    return next((number for name in names if (number := _number(values.get(name))) is not None), None)
