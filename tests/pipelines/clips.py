"""Clips of the tiny pipelines: requests, pictures, and the pipelines called without any code of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from custom_nodes.videogen.pipelines.cogvideox import CogVideoXRequest
from custom_nodes.videogen.pipelines.framepack import FramePackRequest
from custom_nodes.videogen.pipelines.skyreels import SkyReelsRequest
from tests.support.models.tiny_pipelines import COG_FRAMES, COG_SIZE, PACK_SIZE, PACK_WINDOW, SKY_SIZE

CPU = torch.device("cpu")
PROMPT, SEED = "a robot walks through the city", 5
#: What float32 loses between two ways of computing the same, at most: a twentieth of a step of 8 bits.
ROUNDING = 2e-4


def picture(side: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8))


def are_alike(frames: torch.Tensor, others: torch.Tensor) -> bool:
    """Whether clips are the same to rounding: where weights lie in memory changes in which order sums are rounded."""
    return frames.shape == others.shape and float((frames - others).abs().max()) <= ROUNDING


def no_hooks(done: int, total: int, latents: Any) -> None:
    pass


def cog_request(**changes: Any) -> CogVideoXRequest:
    values = {
        "prompt": PROMPT,
        "negative": "",
        "seed": SEED,
        "frames": COG_FRAMES,
        "width": COG_SIZE,
        "height": COG_SIZE,
        "steps": 2,
        "guidance": 6.0,
    }
    return CogVideoXRequest(**{**values, **changes})


def sky_request(**changes: Any) -> SkyReelsRequest:
    values = {
        "prompt": PROMPT,
        "negative": "",
        "seed": SEED,
        "frames": 9,
        "width": SKY_SIZE,
        "height": SKY_SIZE,
        "base_frames": 9,
        "fps": 24,
        "steps": 2,
        "guidance": 6.0,
        "overlap": 5,
    }
    return SkyReelsRequest(**{**values, **changes})


def pack_request(**changes: Any) -> FramePackRequest:
    values = {
        "prompt": PROMPT,
        "negative": "",
        "seed": SEED,
        "frames": 4 * PACK_WINDOW + 1,
        "width": PACK_SIZE,
        "height": PACK_SIZE,
        "steps": 2,
        "guidance": 9.0,
        "window": PACK_WINDOW,
    }
    return FramePackRequest(**{**values, **changes})


def call_directly(kind: str, folder: Path, **inputs: Any) -> torch.Tensor:
    """The frames of a pipeline of diffusers, (frames, height, width, 3), with `SEED` for both of its generators.

    With ``output_type="latent"`` its latents, (channels, frames, height, width).
    """
    import diffusers

    pipeline = getattr(diffusers, kind).from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        generator = torch.Generator().manual_seed(SEED)
        options = {"output_type": "np", **inputs}
        frames = pipeline(prompt=PROMPT, negative_prompt="", generator=generator, **options).frames
    return torch.from_numpy(np.asarray(frames)[0])


def copy_with(folder: Path, target: Path, file: str, **changes: Any) -> Path:
    """A copy of a model whose JSON file has other values."""
    import shutil

    shutil.copytree(folder, target)
    path = target / file
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return target
