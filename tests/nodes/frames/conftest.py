"""Fixtures of the frame nodes' tests.

ComfyUI's modules are imported in the fixtures: a test file calls `require_comfy` first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.bench.models.random_weights.unets import TINY_SD15, TINY_SDXL, UNet


@pytest.fixture
def input_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty input folder of ComfyUI."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "get_input_directory", lambda: str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module", params=[TINY_SD15, TINY_SDXL], ids=["sd15", "sdxl"])
def unet(request: pytest.FixtureRequest) -> UNet:
    return request.param


@pytest.fixture(scope="module")
def model(unet: UNet) -> Any:
    from runner.bench.models.tiny_models import build_comfy_model, draw_unet

    return build_comfy_model(unet, draw_unet(unet))


@pytest.fixture(scope="module")
def sd15() -> Any:
    from runner.bench.models.tiny_models import build_comfy_model, draw_unet

    return build_comfy_model(TINY_SD15, draw_unet(TINY_SD15))


@pytest.fixture(scope="module")
def sd15_single() -> Any:
    """As a sampler has it: float32."""
    import torch

    from runner.bench.models.tiny_models import build_comfy_model, draw_unet

    return build_comfy_model(TINY_SD15, draw_unet(TINY_SD15), dtype=torch.float32)
