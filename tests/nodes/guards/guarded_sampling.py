"""A guarded sampling of a tiny model, with scripted temperatures.

Call `require_comfy` before this module is imported.
"""

from __future__ import annotations

from typing import Any

import comfy.sample
import pytest
import torch

from custom_nodes.videogen.comfyui.thermal import thermal_wait
from custom_nodes.videogen.comfyui.thermal.thermal_wait import NodeThermalGuard
from custom_nodes.videogen.core.thermal.guard import ThermalPolicy
from custom_nodes.videogen.core.thermal.readings import Reading
from runner.bench.models.random_weights.unets import TINY_SD15

STEPS = 3


class Card:
    """A card whose temperatures are a list: one a look, the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *temperatures: float | None) -> None:
        self.temperatures = list(temperatures)
        self.looks = 0
        monkeypatch.setattr(thermal_wait, "read_watched", self.read)

    def read(self, devices: str) -> list[Reading]:
        value = self.temperatures[min(self.looks, len(self.temperatures) - 1)]
        self.looks += 1
        return [Reading("a", "card", "nvidia", temperature=value)]


def sample(model: Any, sampler: str = "euler", *, steps: int = STEPS, cfg: float = 3.0, seed: int = 11) -> torch.Tensor:
    """What KSampler does."""
    generator = torch.Generator().manual_seed(3)
    latent = torch.zeros(1, 4, 8, 8)
    noise = torch.randn(latent.shape, generator=generator)
    context = torch.randn(1, 77, TINY_SD15.context_width, generator=generator)
    with torch.inference_mode():
        return comfy.sample.sample(
            model,
            noise,
            steps,
            cfg,
            sampler,
            "normal",
            [[context, {}]],
            [[-context, {}]],
            latent,
            disable_pbar=True,
            seed=seed,
        )


def often(**changes: Any) -> NodeThermalGuard:
    """A guard that looks before every prediction."""
    made = NodeThermalGuard(ThermalPolicy(**({"interval": 0.1} | changes)), "auto", "7")
    object.__setattr__(made.policy, "interval", 0.0)
    return made
