"""The machine that a figure was measured on."""

from __future__ import annotations

import os
import platform
from typing import Any

import psutil


def describe_machine() -> dict[str, Any]:
    """Cores, processor and memory of this machine."""
    memory = round(psutil.virtual_memory().total / 1e9)
    return {"cores": os.cpu_count(), "processor": platform.machine(), "memory_gb": memory}
