"""The same in float32 at SD 1.5's own width, out of files that ComfyUI's own loader takes for SD 1.5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.needs import require_comfy, require_diffusers

require_comfy()
require_diffusers()

import comfy.model_management
import comfy.sd
import comfy.utils
import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.adapter_files import load_adapter
from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.comfyui.attention.image_condition import ImageCondition
from runner.bench.models.predictions import (
    AdapterInput,
    DiffusersPipeline,
    make_step,
    predict_with_comfy,
    relative_difference,
)
from runner.bench.models.random_weights.files import random_file
from runner.bench.models.random_weights.unets import SD15_SLIM
from runner.bench.models.tiny_models import build_diffusers_unet

PREFIX = "model.diffusion_model."
#: Rounding in float32.
CLOSE = 1e-5
SIZE = 8  # of the latents


@dataclass(frozen=True)
class Loaded:
    model: Any
    pipeline: DiffusersPipeline


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
    """The checkpoint in ComfyUI and in diffusers."""
    path = str(random_file("sd15_slim"))
    model = comfy.sd.load_checkpoint_guess_config(
        path, output_vae=False, output_clip=False, model_options={"dtype": torch.float32}
    )[0]
    weights = {
        key.removeprefix(PREFIX): tensor.float()
        for key, tensor in comfy.utils.load_torch_file(path).items()
        if key.startswith(PREFIX)
    }
    yield Loaded(model, DiffusersPipeline(SD15_SLIM, build_diffusers_unet(SD15_SLIM, weights, dtype=torch.float32)))
    comfy.model_management.unload_all_models()


def draw_hidden(kind: str, images: int) -> tuple[Tensor, Tensor]:
    """CLIP ViT-H's output for some images, and for the negative prompt."""
    generator = torch.Generator().manual_seed(1)
    shape = (1024,) if kind == "plain" else (257, 1280)
    embeds = torch.randn(images + 1, *shape, generator=generator)
    return embeds[:-1], torch.zeros(1, *shape) if kind == "plain" else embeds[-1:]


def half_mask() -> Tensor:
    mask = torch.zeros(8 * SIZE, 8 * SIZE)
    mask[:, : 4 * SIZE] = 1.0
    return mask


def test_comfyui_takes_it_for_sd15(loaded: Loaded) -> None:
    assert type(loaded.model.model.model_config).__name__ == "SD15"
    assert loaded.model.model.get_dtype() == torch.float32


@pytest.mark.parametrize(
    ("kind", "name", "images", "masked"),
    [
        ("plain", "ip_adapter_sd15_slim", 1, False),
        ("plus", "ip_adapter_plus_sd15_slim", 2, False),
        ("full-face", "ip_adapter_full_face_sd15_slim", 1, True),
    ],
)
def test_prediction(loaded: Loaded, kind: str, name: str, images: int, masked: bool) -> None:
    adapter = load_adapter(random_file(name))
    assert (adapter.info.family, adapter.info.projection, adapter.info.encoder) == ("SD 1.5", kind, "CLIP ViT-H/14")
    embeds, negative = draw_hidden(kind, images)
    step = make_step(SD15_SLIM, 1, SIZE, SIZE, dtype=torch.float32)
    mask = half_mask()[None] if masked else None
    given = AdapterInput(comfy.utils.load_torch_file(str(random_file(name))), embeds, negative, scale=0.8, masks=mask)
    loaded.pipeline.load([given])
    expected = loaded.pipeline.predict(step, [given])

    def see(weight: float) -> Any:
        tokens = adapter.project(embeds).flatten(0, 1)[None]
        weights = (weight,) * len(adapter.info.layer_widths)
        condition = ImageCondition(adapter, tokens, adapter.project(negative), weights, mask=mask)
        return apply_image_conditions(loaded.model, [condition])

    assert relative_difference(predict_with_comfy(see(0.8), step), expected) < CLOSE
    assert relative_difference(predict_with_comfy(see(0.79), step), expected) > 10 * CLOSE
    assert relative_difference(predict_with_comfy(loaded.model, step), expected) > 1000 * CLOSE
