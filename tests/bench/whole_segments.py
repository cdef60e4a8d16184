"""Whole segments, from noise to 1080p, for `tests.bench.frames`: with our nodes, without them, and with diffusers' pipeline.

All three sample the same number of frames with the same UNet (random weights), steps, guidance and size, decode them with an
autoencoder of the same architecture, and bring them to the film's size with a Lanczos filter. Ours has Frame Noise, Anchor
Attention, an IP-Adapter with two characters in their regions, Upscale's filter and Color Match on top. Loading and text
encoding are left out: they happen once a film.

ComfyUI's modules are there and its device is fixed before this is imported; see `enable_comfy`.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.utils
import numpy as np
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import Timestep
from comfy_extras.nodes_custom_sampler import BasicScheduler, CFGGuider, Noise_RandomNoise, SamplerCustomAdvanced
from PIL import Image
from torch import Tensor

from custom_nodes.videogen.comfyui.attention_patch import ImageCondition, apply_image_conditions
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.nodes.anchor_attention import anchor_frames
from custom_nodes.videogen.nodes.frame_noise import FrameNoise
from custom_nodes.videogen.nodes.location import FIRST_FRAME, VideoGenColorMatch
from custom_nodes.videogen.nodes.upscale import VideoGenUpscale
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from tests.support.predictions import NEGATIVE, POSITIVE, make_step
from tests.support.random_weights.adapters import lay_out_plus
from tests.support.random_weights.autoencoders import lay_out_autoencoder
from tests.support.random_weights.layout import draw_weights
from tests.support.random_weights.unets import SD15, SDXL, TINY_SD15, TINY_SDXL, UNet
from tests.support.tiny_models import build_comfy_model, build_diffusers_unet, draw_unet

WHO = ("without our nodes", "videogen", "diffusers")
DRIFT, STRENGTH, WEIGHT = 0.35, 0.5, 0.8
#: Numbers a size that the tiny SDXL is told; the real one gets 256, and ComfyUI knows no others.
TINY_SIZES = 8
#: family -> width and heads of the adapter's Resampler, as in the published files.
_RESAMPLERS = {"SD 1.5": (768, 12), "SDXL": (1280, 20)}


@dataclass(frozen=True)
class Workflow:
    """What a shipped workflow is set to.

    Attributes:
        size: width and height that are rendered; `film` those of the result.
    """

    unet: UNet
    size: tuple[int, int]
    steps: int
    guidance: float
    frames: int = 24
    film: tuple[int, int] = (1920, 1080)
    frames_per_pass: int = 8


WORKFLOWS = {
    "sd15_frames": Workflow(SD15, (896, 512), 20, 7.0),
    "sdxl_frames": Workflow(SDXL, (1344, 768), 20, 6.0),
    "sdxl_turbo_frames": Workflow(SDXL, (768, 448), 4, 1.0),
    # Say nothing about speed; they are there to try the benchmark out.
    "tiny_sd15": Workflow(TINY_SD15, (64, 64), 2, 3.0, frames=3, film=(96, 96), frames_per_pass=2),
    "tiny_sdxl": Workflow(TINY_SDXL, (64, 64), 2, 1.0, frames=3, film=(96, 96), frames_per_pass=2),
}
DEFAULTS = {
    "cpu": ("tiny_sd15", "tiny_sdxl"),
    "cuda": ("sd15_frames", "sdxl_frames", "sdxl_turbo_frames"),
}


def measure_segments(device: str, rounds: int, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Seconds and peak memory of one segment, for each workflow and everybody in `WHO`.

    Raises:
        VideoGenError: `option-invalid` for a workflow that is not known.
    """
    unknown = [name for name in names if name not in WORKFLOWS]
    if unknown:
        raise VideoGenError("option-invalid", f"workflow {unknown[0]!r} is none of {', '.join(WORKFLOWS)}")
    return [measure_workflow(name, device, rounds) for name in names or DEFAULTS[device]]


def measure_workflow(name: str, device: str, rounds: int) -> dict[str, Any]:
    """One workflow. All take turns in every round; each figure is a median, and the first, warm round is not counted."""
    setting = WORKFLOWS[name]
    comfy.utils.set_progress_bar_enabled(False)
    dtype = torch.float16 if device == "cuda" else torch.float32
    calls = _prepare(setting, device, dtype)
    seconds: dict[str, list[float]] = {who: [] for who in WHO}
    peaks = dict.fromkeys(WHO, 0)
    for turn in range(rounds + 1):
        for who in WHO:
            taken, peak, shape = _time(calls[who], device)
            assert shape == (setting.frames, setting.film[1], setting.film[0], 3), shape
            if turn:
                seconds[who].append(taken)
                peaks[who] = max(peaks[who], peak)
        print(f"{name}, round {turn}: {', '.join(WHO)}", file=sys.stderr)
    bare = statistics.median(seconds[WHO[0]])
    result = {
        "workflow": name, "frames": setting.frames, "rendered": list(setting.size), "film": list(setting.film),
        "steps": setting.steps, "guidance": setting.guidance, "dtype": str(dtype).removeprefix("torch."),
        "frames_per_pass": setting.frames_per_pass,
        "cells": [
            {
                "who": who, "seconds": round(statistics.median(times), 3), "over_bare": round(statistics.median(times) / bare, 3),
                "peak_gb": round(peaks[who] / 1e9, 2) if device == "cuda" else None,
            }
            for who, times in seconds.items()
        ],
    }  # fmt: skip
    del calls
    gc.collect()
    if device == "cuda":
        comfy.model_management.unload_all_models()
        torch.cuda.empty_cache()
    return result


def _time(call: Callable[[], Any], device: str) -> tuple[float, int, tuple[int, ...]]:
    """Seconds, the most bytes on the device in all (the model's too), and the shape of the frames."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    frames = call()
    if device == "cuda":
        torch.cuda.synchronize()
    taken = time.perf_counter() - began
    return taken, torch.cuda.max_memory_allocated() if device == "cuda" else 0, tuple(frames.shape)


# ------------------------------------------------------------------ what is run


def _prepare(setting: Workflow, device: str, dtype: torch.dtype) -> dict[str, Callable[[], Any]]:
    weights = draw_unet(setting.unet, dtype=dtype)
    model = build_comfy_model(setting.unet, weights, dtype=dtype, device=device)
    if setting.unet is TINY_SDXL:
        model.model.embedder = Timestep(TINY_SIZES)
    vae = comfy.sd.VAE(sd=draw_weights(lay_out_autoencoder(), dtype=torch.float32))
    prompts = make_step(setting.unet, 1, 8, 8, dtype=dtype, device=device)
    theirs = _prepare_diffusers(
        setting, build_diffusers_unet(setting.unet, weights, dtype=dtype, device=device), prompts
    )
    conditions = [_condition(prompts, prompt) for prompt in (POSITIVE, NEGATIVE)]
    adapted = _see_characters(model, setting)
    ours = anchor_frames(adapted, strength=STRENGTH, frames_per_pass=setting.frames_per_pass)
    width, height = setting.size
    latent = {"samples": torch.zeros(setting.frames, 4, height // 8, width // 8)}

    @torch.inference_mode()
    def with_nodes() -> Tensor:
        images = _sample(ours, vae, setting, FrameNoise(1, 1, DRIFT), conditions, latent)
        images = VideoGenUpscale.execute(images, "none", width=setting.film[0], height=setting.film[1])[0]
        return VideoGenColorMatch.execute(images, FIRST_FRAME, "clamped", 0.8)[0]

    @torch.inference_mode()
    def without_nodes() -> Tensor:
        images = _sample(model, vae, setting, Noise_RandomNoise(1), conditions, latent)
        return comfy.utils.common_upscale(images.movedim(-1, 1), *setting.film, "lanczos", "center").movedim(1, -1)

    return {"videogen": with_nodes, "without our nodes": without_nodes, "diffusers": theirs}


def _sample(
    model: Any, vae: Any, setting: Workflow, noise: Any, conditions: Sequence[Any], latent: dict[str, Any]
) -> Tensor:
    """Frames as they are rendered, (frames, height, width, 3)."""
    guider = CFGGuider.execute(model, *conditions, setting.guidance)[0]
    sigmas = BasicScheduler.execute(model, "normal", setting.steps, 1.0)[0]
    sampler = comfy.samplers.sampler_object("euler")
    sampled = SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent)[0]["samples"]
    return _finite(vae.decode(sampled))


def _finite(images: Tensor) -> Tensor:
    """Random weights may leave what half precision can hold; a real film's frames are numbers."""
    return torch.nan_to_num(images, nan=0.5).clamp(0, 1)


def _condition(prompts: Any, prompt: int) -> list[Any]:
    sizes = prompts.sizes[prompt]
    more = {"pooled_output": sizes["text_embeds"].float().cpu()} if sizes else {}
    return [[prompts.contexts[prompt].float().cpu(), more]]


def _see_characters(model: Any, setting: Workflow) -> Any:
    """Two characters, each in a half of the picture."""
    width, heads = _RESAMPLERS[setting.unet.family]
    layout = lay_out_plus(setting.unet.attention_widths, setting.unet.context_width, width=width, heads=heads)
    adapter = IPAdapter.from_state(draw_weights(layout, dtype=torch.float16), "random")
    embeds = torch.randn(3, 257, 1280, generator=torch.Generator().manual_seed(1))
    tokens = adapter.project(embeds)
    half = torch.zeros(2, setting.size[1], setting.size[0])
    half[0, :, : setting.size[0] // 2] = 1
    half[1] = 1 - half[0]
    weights = (WEIGHT,) * len(adapter.info.layer_widths)
    return apply_image_conditions(
        model,
        [ImageCondition(adapter, tokens[i, None], tokens[2:], weights, mask=half[i, None]) for i in range(2)],
    )


def _prepare_diffusers(setting: Workflow, unet: Any, prompts: Any) -> Callable[[], Any]:
    """diffusers' own pipeline, with its autoencoder in the UNet's precision, which is the faster way for it."""
    import diffusers

    diffusers.utils.logging.set_verbosity_error()
    reference = next(unet.parameters())
    blocks = len((128, 256, 512, 512))
    vae = diffusers.AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, force_upcast=False,
        down_block_types=("DownEncoderBlock2D",) * blocks, up_block_types=("UpDecoderBlock2D",) * blocks,
    ).to(device=reference.device, dtype=reference.dtype).eval()  # fmt: skip
    nothing = dict.fromkeys(("text_encoder", "tokenizer", "feature_extractor", "image_encoder"))
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    embeds = {
        "prompt_embeds": prompts.contexts[POSITIVE].to(reference),
        "negative_prompt_embeds": prompts.contexts[NEGATIVE].to(reference),
    }
    pipeline: Any
    if setting.unet.family == "SDXL":
        pipeline = diffusers.StableDiffusionXLPipeline(
            **nothing, text_encoder_2=None, tokenizer_2=None, unet=unet, vae=vae, scheduler=scheduler,
            add_watermarker=False,
        )  # fmt: skip
        embeds["pooled_prompt_embeds"] = prompts.sizes[POSITIVE]["text_embeds"].to(reference)
        embeds["negative_pooled_prompt_embeds"] = prompts.sizes[NEGATIVE]["text_embeds"].to(reference)
    else:
        pipeline = diffusers.StableDiffusionPipeline(
            **nothing, unet=unet, vae=vae, scheduler=scheduler, safety_checker=None, requires_safety_checker=False
        )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.vae.enable_slicing()  # as ComfyUI decodes: not all frames at once

    def call() -> Any:
        images = pipeline(
            **embeds, width=setting.size[0], height=setting.size[1], num_inference_steps=setting.steps,
            guidance_scale=setting.guidance, num_images_per_prompt=setting.frames, output_type="np",
            generator=torch.Generator().manual_seed(1),
        ).images  # fmt: skip
        pixels = (np.nan_to_num(images, nan=0.5) * 255).round().astype(np.uint8)
        large = [Image.fromarray(image).resize(setting.film, Image.Resampling.LANCZOS) for image in pixels]
        return np.stack([np.asarray(image) for image in large])

    return call


# ------------------------------------------------------------------ tables


def format_segments(segments: Sequence[dict[str, Any]], format_table: Callable[..., str]) -> str:
    """The result as Markdown: seconds a segment and peak memory of the device."""
    rows = []
    for segment in segments:
        cells = {cell["who"]: cell for cell in segment["cells"]}
        size = "{} × {}".format(*segment["rendered"])
        row = [f"{segment['workflow']}: {segment['frames']} frames of {size}, {segment['steps']} steps"]
        for who in WHO:
            peak = cells[who]["peak_gb"]
            row.append(f"{cells[who]['seconds']:.1f} s" + ("" if peak is None else f", {peak:.1f} GB"))
        rows.append([*row, f"{cells['videogen']['over_bare']:.2f}"])
    return format_table(["a segment", *WHO, "videogen over without"], rows)
