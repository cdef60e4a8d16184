"""All sensors of this machine behind one door."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..core.thermal.readings import Reading
from .amd import Amd
from .card_keys import CardKey
from .nvidia import Nvidia
from .processor import read_processor


class Sensors:
    """Cards of all makers, and the processor; nothing is imported or started before something is asked.

    Args:
        nvidia, amd, processor: for tests.
    """

    def __init__(
        self, nvidia: Nvidia | None = None, amd: Amd | None = None, processor: Callable[[], Reading] = read_processor
    ) -> None:
        self.nvidia, self.amd = nvidia or Nvidia(), amd or Amd()
        self.read_processor = processor

    def cards(self) -> list[CardKey]:
        """Every card that a driver tells of, of whatever maker."""
        return [*self.nvidia.cards(), *self.amd.cards()]

    def read_cards(self, keys: Iterable[CardKey], *, maker: str = "") -> list[Reading]:
        """Each of these cards, once.

        Args:
            maker: ``nvidia`` or ``amd``, where it is known; else the one that knows the card.
        """
        readings: dict[str, Reading] = {}
        for key in keys:
            ours = maker == "amd" or (not maker and key.bus in {card.bus for card in self.amd.cards()})
            reading = (self.amd if ours else self.nvidia).read(key)
            readings.setdefault(reading.device, reading)
        return list(readings.values())

    def read_all_cards(self) -> list[Reading]:
        return [
            *(self.nvidia.read(key) for key in self.nvidia.cards()),
            *(self.amd.read(key) for key in self.amd.cards()),
        ]

    def why_no_cards(self) -> str:
        """For people, where `cards` gives none."""
        return "; ".join(filter(None, (self.nvidia.problem, self.amd.problem))) or "the drivers know no card"

    def stop(self) -> None:
        self.nvidia.stop()
        self.amd.stop()
