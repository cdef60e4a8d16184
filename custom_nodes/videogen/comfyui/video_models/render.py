"""One rendering on ComfyUI's device: memory taken from ComfyUI before, and given back after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import torch

from ...pipelines.rendering import OnStep
from .sockets import VideoModel
from .step_hooks import StepHooks

Render = Callable[[Any, OnStep], torch.Tensor]


def render_on_device(model: VideoModel, render: Render) -> torch.Tensor:
    """Call `render` with the device and the hooks of its steps.

    ComfyUI does not see what a pipeline takes, so its own models leave the card first. The pipeline leaves the card by itself.
    """
    hooks = StepHooks(model)
    hooks.before_a_step()
    comfy.model_management.unload_all_models()
    comfy.model_management.soft_empty_cache()
    try:
        # Weights that are made in ComfyUI's inference mode could get no LoRA and no hooks.
        with torch.inference_mode(False), torch.no_grad():
            return render(comfy.model_management.get_torch_device(), hooks)
    finally:
        comfy.model_management.soft_empty_cache()
