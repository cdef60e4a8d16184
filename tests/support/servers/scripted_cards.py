"""Cards that say what a test writes down: in this process, and in a ComfyUI that the test starts."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).with_name("scripted_nvml")

#: A card at work, and another one of the same machine.
CARD: dict[str, Any] = {
    "uuid": "GPU-aaaaaaaa-0000-0000-0000-000000000001",
    "bus": "00000000:3B:00.0",
    "name": "Scripted RTX",
    "temperature": 70,
    "memory_used": 10_000_000_000,
    "memory_total": 24_000_000_000,
    "memory_reserved": 500_000_000,
    "power": 300,
    "utilisation": 97,
    "clock": 2100,
    "reasons": 0,
}
SECOND: dict[str, Any] = CARD | {"uuid": "GPU-bbbbbbbb-0000-0000-0000-000000000002", "bus": "00000000:5E:00.0"}


def scripted_module(*cards: dict[str, Any], **script: Any) -> ModuleType:
    """A pynvml of one's own; what is in ``SCRIPT`` may be changed at any time, and functions be taken out."""
    spec = importlib.util.spec_from_file_location("scripted_pynvml", FOLDER / "pynvml.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SCRIPT = {"cards": copy.deepcopy(list(cards) or [CARD]), **script}
    return module


class ScriptedCards:
    """The file out of which a server's scripted NVML reads."""

    def __init__(self, path: Path, *cards: dict[str, Any]) -> None:
        self.path = path
        self.reset(*cards)

    def reset(self, *cards: dict[str, Any]) -> None:
        """As at the beginning: one cool card, or these."""
        self.script: dict[str, Any] = {"cards": copy.deepcopy(list(cards) or [CARD])}
        self._write()

    def set(self, index: int = 0, **values: Any) -> None:
        """Change what a card says, such as ``temperature=90``."""
        self.script["cards"][index] |= values
        self._write()

    def fail(self, code: int | None) -> None:
        """Let NVML answer everything with an error, or nothing any more."""
        self.script["error"] = code
        self._write()

    def _write(self) -> None:
        # Renamed, so that the server never reads half of it.
        partial = self.path.with_suffix(".part")
        partial.write_text(json.dumps(self.script), encoding="utf-8")
        partial.replace(self.path)
