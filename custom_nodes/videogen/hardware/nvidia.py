"""NVIDIA cards, through NVML (package nvidia-ml-py, module pynvml)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from ..core.thermal.readings import Reading
from .card_keys import CardKey, choose_visible, normalize_bus
from .vendor_library import VendorLibrary

#: nvml.h, nvmlClocksEventReasons: why the clocks are lower than they could be. Idle, application clocks, sync boost and
#: display settings are left out: they are normal.
CLOCK_EVENT_REASONS = {
    0x04: "power_cap",
    0x08: "hw_slowdown",
    0x20: "sw_thermal",
    0x40: "hw_thermal",
    0x80: "hw_power_brake",
}
# nvml.h; the module may be older than the driver.
_MEMORY_TEMPERATURE_FIELD, _GRAPHICS_CLOCK, _CHIP_SENSOR = 82, 0, 0
_NOT_SUPPORTED, _FUNCTION_NOT_FOUND, _VERSION_MISMATCH = 3, 13, 25
#: Errors that are permanent for a card or a driver.
_NEVER = (_NOT_SUPPORTED, _FUNCTION_NOT_FOUND, _VERSION_MISMATCH)
#: Errors after which NVML must be restarted: the driver was reloaded, or NVML was shut down elsewhere.
_RESTART = (1, 9, 18)


class Nvidia(VendorLibrary):
    """Readings of NVIDIA cards."""

    module_name, library, maker = "pynvml", "NVML", "NVIDIA"
    not_installed = "the Python package nvidia-ml-py is not installed"

    def __init__(self, load: Callable[[], Any] | None = None) -> None:
        super().__init__(load)
        #: (device, function) → not worth trying again.
        self._unsupported: set[tuple[str, str]] = set()
        #: The card that was found for a key: a card that is lost keeps its name.
        self._known: dict[CardKey, CardKey] = {}
        self._lost = False

    def _initialize(self, module: Any) -> None:
        module.nvmlInit()

    def _shut_down(self, module: Any) -> None:
        module.nvmlShutdown()

    def _forget(self) -> None:
        super()._forget()
        self._lost = False
        self._unsupported.clear()

    def _find_cards(self) -> None:
        for index in range(self._module.nvmlDeviceGetCount()):
            try:
                self._add_card(index)
            except Exception as error:
                if getattr(error, "value", None) in _RESTART:  # NVML itself, and not this card
                    raise
                self._add_unreadable(index, error)

    def _add_card(self, index: int) -> None:
        module = self._module
        handle = module.nvmlDeviceGetHandleByIndex(index)
        # A card that only keeps its name or its address to itself is guarded all the same.
        uuid = _text(_unless_it_fails(lambda: module.nvmlDeviceGetUUID(handle)) or f"nvml-{index}")
        bus = normalize_bus(_text(_unless_it_fails(lambda: module.nvmlDeviceGetPciInfo(handle).busId) or ""))
        name = _text(_unless_it_fails(lambda: module.nvmlDeviceGetName(handle)) or f"NVIDIA card {index}")
        self._handles[uuid] = handle
        self._cards.append(CardKey(bus, uuid, name))

    def visible(self, entries: Sequence[str] | None, *, counted_by_bus: bool) -> list[CardKey]:
        """The cards that CUDA shows to a process, by `read_visible`."""
        cards = self.cards()
        return cards if entries is None else choose_visible(entries, cards, counted_by_bus=counted_by_bus)

    def read(self, key: CardKey) -> Reading:
        """Return a card's reading; for a card that is not found or does not answer, one with a problem."""
        with self._lock:
            if not self.start():
                return self._silent(key, self.problem)
            try:
                card = self._find(key)
                if card is None:
                    return self._silent(key, self._explain_unknown())
                if card.uuid in self.unreadable:
                    return self._silent(card, self.unreadable[card.uuid])
                self._known[key] = card
                return self._read_card(card, key)
            except Exception as error:
                self._note(error)
                return self._silent(key, f"NVML says: {error}")
            finally:
                if self._lost:
                    self.stop()

    def _silent(self, key: CardKey, problem: str) -> Reading:
        card = self._known.get(key, key)
        return Reading(
            card.uuid or card.bus or card.name or "nvidia", card.name or "NVIDIA card", "nvidia", problem=problem
        )

    def _note(self, error: Exception) -> None:
        self._lost = self._lost or getattr(error, "value", None) in _RESTART

    # ------------------------------------------------------------------ which card

    def _find(self, key: CardKey) -> CardKey | None:
        """The whole card of a key, which may name a MIG instance."""
        if key.bus:
            found = next((card for card in self._cards if card.bus == key.bus), None)
            if found is not None:
                return found
        if key.uuid.upper().startswith("MIG-"):
            parent = self._module.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self._mig_handle(key.uuid))
            uuid = _text(self._module.nvmlDeviceGetUUID(parent))
            return next((card for card in self._cards if card.uuid == uuid), None)
        return next((card for card in self._cards if key.uuid and card.uuid.lower() == key.uuid.lower()), None)

    def _mig_handle(self, uuid: str) -> Any:
        handle = self._handles.get(uuid)
        if handle is None:
            handle = self._handles[uuid] = self._module.nvmlDeviceGetHandleByUUID(uuid)
        return handle

    def _memory_handle(self, card: CardKey, key: CardKey) -> Any:
        """The handle to ask for memory: a MIG instance has its own, but the card's temperature and power. None: unknown."""
        handle = self._handles[card.uuid]
        mode = self._ask(card.uuid, "nvmlDeviceGetMigMode", handle)
        if mode is None or mode[0] != 1:
            return handle
        for uuid in dict.fromkeys((key.uuid, f"MIG-{key.uuid.partition('-')[2]}")):
            if uuid.upper().startswith("MIG-") and len(uuid) > 4:
                with contextlib.suppress(Exception):
                    return self._mig_handle(uuid)
        return None

    # ------------------------------------------------------------------ readings

    def _read_card(self, card: CardKey, key: CardKey) -> Reading:
        handle = self._handles[card.uuid]
        temperature, problem = self._temperature(card.uuid, handle)
        memory_handle = _unless_it_fails(lambda: self._memory_handle(card, key))
        memory: Any = self._memory(card.uuid, memory_handle) if memory_handle is not None else None
        power = self._ask(card.uuid, "nvmlDeviceGetPowerUsage", handle)
        rates = self._ask(card.uuid, "nvmlDeviceGetUtilizationRates", handle)
        clock = self._ask(card.uuid, "nvmlDeviceGetClockInfo", handle, _GRAPHICS_CLOCK)
        # Whatever else is odd about an answer must not cost the temperature.
        return Reading(
            card.uuid,
            card.name,
            "nvidia",
            temperature=temperature,
            memory_temperature=_unless_it_fails(lambda: self._memory_temperature(card.uuid, handle)),
            memory_used=_unless_it_fails(lambda: int(memory.used)),
            memory_total=_unless_it_fails(lambda: int(memory.total)),
            power=_unless_it_fails(lambda: power / 1000),
            utilisation=_unless_it_fails(lambda: float(rates.gpu)),
            clock=_unless_it_fails(lambda: float(clock)),
            throttle=_unless_it_fails(lambda: self._throttle(card.uuid, handle)) or frozenset(),
            problem=problem,
        )

    def _temperature(self, device: str, handle: Any) -> tuple[float | None, str]:
        problem = ""
        # The first exists since CUDA 12.8, the second is removed in CUDA 14.
        for name in ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"):
            if (device, name) in self._unsupported or not hasattr(self._module, name):
                continue
            try:
                return getattr(self._module, name)(handle, _CHIP_SENSOR), ""
            except Exception as error:
                problem = f"NVML says: {error}"
                code = getattr(error, "value", None)
                if code not in _NEVER:
                    self._note(error)
                    return None, problem
                if code != _NOT_SUPPORTED:  # of this driver; a card without a sensor is asked again, to say why
                    self._unsupported.add((device, name))
        return None, problem or "NVML has no function for it"

    def _memory_temperature(self, device: str, handle: Any) -> float | None:
        if (device, "memory temperature") in self._unsupported:
            return None
        values = self._ask(device, "nvmlDeviceGetFieldValues", handle, [_MEMORY_TEMPERATURE_FIELD])
        if not values:
            return None
        if values[0].nvmlReturn != 0:
            if values[0].nvmlReturn in _NEVER:
                self._unsupported.add((device, "memory temperature"))
            return None
        return float(values[0].value.uiVal)

    def _memory(self, device: str, handle: Any) -> Any:
        version = getattr(self._module, "nvmlMemory_v2", None)
        # The second version does not count what the driver keeps for itself, as nvidia-smi does not.
        if version is not None:
            memory = self._ask(device, "nvmlDeviceGetMemoryInfo", handle, version, remember_as="memory v2")
            if memory is not None:
                return memory
        return self._ask(device, "nvmlDeviceGetMemoryInfo", handle)

    def _throttle(self, device: str, handle: Any) -> frozenset[str]:
        for name in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"):
            bits = self._ask(device, name, handle)
            if bits is not None:
                return frozenset(reason for bit, reason in CLOCK_EVENT_REASONS.items() if bits & bit)
        return frozenset()

    def _ask(self, device: str, name: str, *arguments: Any, remember_as: str = "") -> Any:
        """Return a function's result, or None when this card or this driver does not support it."""
        mark = (device, remember_as or name)
        function = getattr(self._module, name, None)
        if function is None or mark in self._unsupported:
            return None
        try:
            return function(*arguments)
        except Exception as error:
            if getattr(error, "value", None) in _NEVER:
                self._unsupported.add(mark)
            return None


def _unless_it_fails(ask: Callable[[], Any]) -> Any:
    """An answer, or None where asking for it raises; not for NVML's own end, after which it is started again."""
    try:
        return ask()
    except Exception as error:
        if getattr(error, "value", None) in _RESTART:
            raise
        return None


def _text(value: Any) -> str:
    """Decode a text; older modules return bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
