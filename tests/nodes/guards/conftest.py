"""Fixtures of the guards' tests.

ComfyUI's modules are imported in the fixtures: a test file calls `require_comfy` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def model() -> Any:
    """A tiny UNet as MODEL; each user makes a clone of it."""
    import torch

    from runner.bench.models.random_weights.unets import TINY_SD15
    from runner.bench.models.tiny_models import build_comfy_model, draw_unet

    return build_comfy_model(TINY_SD15, draw_unet(TINY_SD15), dtype=torch.float32)


@pytest.fixture(autouse=True)
def fresh_telemetry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A telemetry of the test's own, which is stopped afterwards."""
    from custom_nodes.videogen.comfyui.thermal import telemetry, thermal_wait
    from custom_nodes.videogen.nodes.guards import memory_guard, thermal_guard

    fresh = telemetry.Telemetry()
    for module in (thermal_wait, memory_guard, thermal_guard, telemetry):
        monkeypatch.setattr(module, "TELEMETRY", fresh)
    yield fresh
    fresh.stop()
