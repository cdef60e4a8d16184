"""Random weights for the modules of a ComfyUI, in the names and shapes that its loaders expect of files.

The modules are those of the ComfyUI itself, so these files have what its version reads, and nothing has to be written down twice.
They are built in a process of their own: `tiny_models_node` changes sizes in whatever process imports it.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from runner.bench.models.comfy_modules import enable_comfy
from runner.comfyui.installation import PROJECT, find_installation

#: Last parts of names: what a module has computed by itself, and statistics, which are one and nought where nothing was measured.
COMPUTED = ("filter",)
ONES = ("latents_std", "std-of-means")
ZEROS = ("latents_mean", "mean-of-means", "zero_k_bias")
#: Factors of a norm or a periodic activation, and what a layer's output is multiplied with.
FACTORS = ("norm", "alpha", "beta", "gamma", "scale", "scalar")


def draw_module(module: torch.nn.Module, *, prefix: str = "") -> dict[str, torch.Tensor]:
    """Weights for everything in a module, which keep the variance of what goes through them; float32.

    Args:
        prefix: before all names; what is drawn depends on the whole name.
    """
    return {prefix + name: _draw(prefix + name, tensor) for name, tensor in module.state_dict().items()}


def _draw(name: str, like: torch.Tensor) -> torch.Tensor:
    last = name.rpartition(".")[2]
    if last in COMPUTED:
        return like.detach().clone().float()
    if last in ZEROS:
        return torch.zeros(like.shape)
    if last in ONES:
        return torch.ones(like.shape)
    numbers = torch.randn(like.shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if like.ndim > 1 and like.shape[0] > 1:
        return numbers / math.sqrt(math.prod(like.shape[1:]))
    is_factor = last != "bias" and any(part in name for part in FACTORS)
    return numbers * 0.1 + (1.0 if is_factor else 0.0)


def write_weights(
    path: Path, weights: Mapping[str, torch.Tensor], config: Mapping[str, Any] | None = None, *, dtype: torch.dtype
) -> None:
    """Write a file for a loader.

    Args:
        config: what the loader reads out of the file's metadata.
        dtype: of all numbers with a fraction.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in weights.items()
    }
    save_file(tensors, path, metadata={"config": json.dumps(config)} if config is not None else None)


def write_lora(path: Path, layers: Mapping[str, tuple[int, int]]) -> None:
    """Write a LoRA for layers of a diffusion model, each with its inputs and outputs."""
    generator = torch.Generator().manual_seed(1)
    weights = {}
    for layer, (inputs, outputs) in layers.items():
        weights[f"diffusion_model.{layer}.lora_down.weight"] = torch.randn(4, inputs, generator=generator) * 0.2
        weights[f"diffusion_model.{layer}.lora_up.weight"] = torch.randn(outputs, 4, generator=generator) * 0.2
    write_weights(path, weights, dtype=torch.bfloat16)


def build_in_process(module: str, models: Path) -> None:
    """Let a module of this folder write its files into a server's folder ``models``, with the Python that runs ComfyUI."""
    python = find_installation().python
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [str(python), "-m", f"tests.support.models.{module}", str(models)]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def enter_process() -> Path:
    """Make ``import comfy`` work in the process that `build_in_process` has started.

    Returns:
        The folder to write into.
    """
    enable_comfy(find_installation(), device="cpu")
    return Path(sys.argv[1])
