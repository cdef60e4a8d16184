"""Cards are identified by PCI bus address or UUID, never by an index, which each library counts in its own way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_BUS = re.compile(r"(?:(?P<domain>[0-9a-f]{1,8}):)?(?P<bus>[0-9a-f]{1,2}):(?P<device>[0-9a-f]{1,2})(?:\.\d)?")


@dataclass(frozen=True)
class CardKey:
    """A card as torch, the environment or a user names it.

    Attributes:
        bus: ``0000:3b:00.0``, or "" when unknown.
        uuid: ``GPU-…`` or ``MIG-…``, or "". With a MIG instance the bus is that of the card that it is a part of.
        name: for users.
    """

    bus: str = ""
    uuid: str = ""
    name: str = ""


def format_bus(domain: int, bus: int, device: int) -> str:
    """Format a PCI address as the kernel does: ``0000:3b:00.0``."""
    return f"{domain:04x}:{bus:02x}:{device:02x}.0"


def normalize_bus(text: str) -> str:
    """Normalize ``00000000:3B:00.0`` (NVML), ``3b:00`` and ``0000:3b:00.0``; "" for anything but a PCI address.

    The function after the dot is always 0: the others are a card's sound device and the like.
    """
    found = _BUS.fullmatch(text.strip().lower())
    if found is None:
        return ""
    return format_bus(int(found["domain"] or "0", 16), int(found["bus"], 16), int(found["device"], 16))


def normalize_uuid(text: str) -> str:
    """``GPU-…``, also for torch's UUIDs, which lack the prefix; "" for nothing."""
    text = text.strip()
    return text if not text or text.upper().startswith(("GPU-", "MIG-")) else f"GPU-{text}"


def read_visible(
    environment: Mapping[str, str], variables: Sequence[str] = ("CUDA_VISIBLE_DEVICES",)
) -> list[str] | None:
    """The entries of CUDA_VISIBLE_DEVICES as CUDA understands them, or None when every card is visible.

    CUDA stops at the first entry that it cannot read (``0,-1,1`` shows card 0 alone) and shows nothing when one is named
    twice; UUIDs may be cut short.
    """
    text = next((environment[name] for name in variables if name in environment), None)
    if text is None:
        return None
    entries: list[str] = []
    for part in text.split(","):
        entry = part.strip()
        if not re.fullmatch(r"\+?\d+|(?i:GPU|MIG)-[\w/-]+", entry):
            break
        entry = str(int(entry)) if entry.lstrip("+").isdigit() else entry
        if entry in entries:
            return []
        entries.append(entry)
    return entries


def choose_visible(entries: Sequence[str], cards: Sequence[CardKey], *, counted_by_bus: bool) -> list[CardKey]:
    """The cards that entries of `read_visible` name, in their order; entries that name none are omitted.

    Args:
        cards: all cards, in NVML's order, which is that of the PCI bus.
        counted_by_bus: CUDA_DEVICE_ORDER is PCI_BUS_ID. By default CUDA counts the fastest card as 0, an order that only
            CUDA knows: then a number identifies a card only where all are the same model.
    """
    alike = len({card.name for card in cards}) <= 1
    chosen = []
    for entry in entries:
        if entry.isdigit():
            if (alike or counted_by_bus) and int(entry) < len(cards):
                chosen.append(cards[int(entry)])
        elif entry.upper().startswith("MIG-GPU-"):  # drivers before 470: MIG-<card's UUID>/<instance>/<instance>
            parent = entry[4:].partition("/")[0].lower()
            chosen += [CardKey(card.bus, entry, card.name) for card in cards if card.uuid.lower() == parent]
        elif entry.upper().startswith("MIG-"):
            chosen.append(CardKey("", entry))
        else:
            found = [card for card in cards if card.uuid.lower().startswith(entry.lower())]
            chosen += found if len(found) == 1 else []
    return chosen
