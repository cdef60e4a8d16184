"""One facade over all hardware sensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..core.thermal.readings import Reading
from .amd import Amd
from .card_keys import CardKey
from .nvidia import Nvidia
from .processor import read_processor


class Sensors:
    """Cards of all vendors, and the processor. Libraries are imported and started on the first question.

    Args:
        nvidia, amd, processor: parameters for tests.
    """

    def __init__(
        self, nvidia: Nvidia | None = None, amd: Amd | None = None, processor: Callable[[], Reading] = read_processor
    ) -> None:
        self.nvidia, self.amd = nvidia or Nvidia(), amd or Amd()
        self.read_processor = processor

    def cards(self) -> list[CardKey]:
        """Every card that a driver lists, of any vendor."""
        return [*self.nvidia.cards(), *self.amd.cards()]

    def read_cards(self, keys: Iterable[CardKey], *, maker: str = "") -> list[Reading]:
        """Read each of these cards once.

        Args:
            maker: ``nvidia`` or ``amd``, where it is known; else the vendor whose library lists the card.
        """
        readings: dict[str, Reading] = {}
        for key in keys:
            ours = maker == "amd" or (not maker and key.bus in {card.bus for card in self.amd.cards()})
            reading = (self.amd if ours else self.nvidia).read(key)
            readings.setdefault(reading.device, reading)
        return list(readings.values())

    def read_all_cards(self) -> list[Reading]:
        """Read every card of `cards`, in that order; one that cannot be read says why."""
        return [
            *(self.nvidia.read(key) for key in self.nvidia.cards()),
            *(self.amd.read(key) for key in self.amd.cards()),
        ]

    def why_no_cards(self) -> str:
        """The reason, for users, when `cards` is empty."""
        return "; ".join(filter(None, (self.nvidia.problem, self.amd.problem))) or "the drivers know no card"

    def stop(self) -> None:
        self.nvidia.stop()
        self.amd.stop()
