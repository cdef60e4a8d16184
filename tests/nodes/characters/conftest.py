"""Fixtures of the cast nodes' tests.

ComfyUI's modules are imported in the fixtures: a test file calls `require_comfy` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """ComfyUI's input folder with all images of the garden's story."""
    import folder_paths
    from PIL import Image

    from tests.nodes.characters.garden_story import FILES, pixels

    before = folder_paths.get_input_directory()
    for name, seed in FILES.items():
        path = tmp_path / "input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(seed)).save(path)
    folder_paths.set_input_directory(str(tmp_path / "input"))
    yield tmp_path / "input"
    folder_paths.set_input_directory(before)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from runner.bench.models.tiny_encoders import build_encoder

    return build_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def model() -> Any:
    import torch

    from runner.bench.models.random_weights.unets import TINY_SD15
    from runner.bench.models.tiny_models import build_comfy_model, draw_unet

    return build_comfy_model(TINY_SD15, draw_unet(TINY_SD15), dtype=torch.float32)


@pytest.fixture(scope="module")
def adapter() -> Any:
    from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
    from runner.bench.models.random_weights.unets import TINY_SD15
    from runner.bench.models.tiny_adapters import draw_adapter

    return IPAdapter.from_state(draw_adapter("plain", TINY_SD15), "plain.safetensors")


@pytest.fixture
def apply(model: Any, adapter: Any, encoder: Any, folder: Path) -> Any:
    """Run Apply Characters with its defaults for other inputs. Returns model, masks, images and report."""
    from custom_nodes.videogen.nodes.characters.apply_characters import VideoGenApplyCharacters

    def run(plan: Any, **changes: Any) -> Any:
        inputs = {
            "model": model,
            "ipadapter": adapter,
            "clip_vision": encoder,
            "segment": plan,
            "character_weight": 0.8,
            "object_weight": 0.5,
            "location_weight": 0.3,
            "start_at": 0.0,
            "end_at": 1.0,
            "weight_type": "linear",
            "crop_to_figure": False,
            "feather": 0.06,
            "missing": "stop",
        }
        return VideoGenApplyCharacters.execute(**{**inputs, **changes}).result

    return run
