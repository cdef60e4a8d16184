"""Whole segments, from noise to 1080p, for `frames`: the shipped workflows, the same graph without our nodes, and diffusers'
pipeline.

Ours is the shipped graph, node by node, with random weights instead of the files that it loads. The other two sample as many
frames with the same UNet, steps, guidance, sampler, schedule and size, decode them with an autoencoder of the same
architecture, and resize them to the film's size with a Lanczos filter. Not measured: loading and text encoding, which happen
once a film. Measured as parts and not in the totals: CLIP vision (each image is encoded once a film), an upscale model instead
of the filter, and Continuity and Save Segment, which the other two lack.

ComfyUI's modules are there and its device is fixed before this is imported; see `enable_comfy`.
"""

from __future__ import annotations

import contextlib
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import comfy.clip_vision
import comfy.model_management
import comfy.samplers
import comfy.sd
import comfy.utils
import folder_paths
import torch
from comfy_extras.nodes_custom_sampler import BasicScheduler, CFGGuider, Noise_RandomNoise, SamplerCustomAdvanced
from PIL import Image
from torch import Tensor

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.core.segment.references import cast_of, cast_roles, mask_name
from custom_nodes.videogen.nodes.frames.upscale import VideoGenUpscale
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter

from ..models.graph_steps import find_nodes, run_steps
from ..models.random_weights.adapters import lay_out_plus
from ..models.random_weights.autoencoders import lay_out_autoencoder
from ..models.random_weights.clips import VIT_H, lay_out_vision
from ..models.random_weights.layout import draw_weights
from ..models.random_weights.unets import UNet
from ..models.random_weights.upscalers import ESRGAN, TINY_ESRGAN
from ..models.tiny_adapters import draw_adapter
from ..models.tiny_encoders import build_encoder
from ..models.tiny_models import TinyText, build_comfy_model, build_diffusers_unet, draw_unet
from .diffusers_segment import DiffusersSegment
from .random_upscaler import random_upscaler
from .segment_clock import Clock, gigabytes, held_memory, peak_memory, reset_peak, wait
from .shipped_graphs import NAMES, Shipped, read_shipped

WHO = ("without our nodes", "videogen", "diffusers")
#: family → width and heads of the adapter's Resampler, as in the published files.
_RESAMPLERS = {"SD 1.5": (768, 12), "SDXL": (1280, 20)}
CLIP_VISION, UPSCALE_MODEL = "CLIP vision, {} pictures", "Upscale, RealESRGAN_x4plus's layers"
_IMAGE_SIZE = (512, 512)


def measure_segments(device: str, rounds: int, names: Sequence[str] = (), tiny: bool = False) -> list[dict[str, Any]]:
    """Seconds and peak memory of one segment, for each workflow and each of `WHO`, and of the parts of ours.

    Args:
        tiny: with tiny models and frames, to try it out; its speed says nothing.

    Raises:
        VideoGenError: `option-invalid` for a workflow that is not known.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise VideoGenError("option-invalid", f"workflow {unknown[0]!r} is none of {', '.join(NAMES)}")
    return [measure_workflow(read_shipped(name, tiny), device, rounds, tiny) for name in names or NAMES]


def measure_workflow(shipped: Shipped, device: str, rounds: int, tiny: bool) -> dict[str, Any]:
    """One workflow. All take turns in every round; each figure is a median, and the first, warm round is not counted."""
    comfy.utils.set_progress_bar_enabled(False)
    dtype = torch.float16 if device == "cuda" else torch.float32
    with comfy_folders(shipped):
        ours = OurSegment(shipped, device, dtype, tiny)
        theirs = DiffusersSegment(
            shipped, build_diffusers_unet(shipped.unet, ours.weights, dtype=dtype), ours.words, device
        )
        ours.weights.clear()
        seconds: dict[str, list[float]] = {who: [] for who in WHO}
        peaks = dict.fromkeys(WHO, 0)
        calls = {WHO[0]: ours.render_without_nodes, WHO[1]: ours.render, WHO[2]: theirs.render}
        for turn in range(rounds + 1):
            for who in WHO:
                # Variants that wait are not on the device: their weights would count for the others.
                ours.move("cpu" if who == "diffusers" else device)
                theirs.move(device if who == "diffusers" else "cpu")
                held = held_memory(device) if who == "diffusers" else 0
                taken, peak = _time(calls[who], shipped, device, ours.clock)
                if turn:
                    seconds[who].append(taken)
                    peaks[who] = max(peaks[who], peak - held + (theirs.bytes if held else 0))
            print(f"{shipped.name}, round {turn}: {', '.join(WHO)}", file=sys.stderr)
        theirs.move("cpu")
        ours.move(device)
        parts = ours.clock.summarize() + [
            {"part": name, "seconds": round(taken, 3), "peak_gb": gigabytes(peak, device)}
            for name, taken, peak in ours.measure_parts(tiny)
        ]
    bare = statistics.median(seconds[WHO[0]])
    return {
        "workflow": shipped.name,
        "frames": shipped.plan.frames,
        "rendered": list(shipped.size),
        "film": list(shipped.plan.size),
        "steps": shipped.steps,
        "guidance": shipped.guidance,
        "sampler": shipped.sampler,
        "scheduler": shipped.scheduler,
        "frames_per_pass": shipped.frames_per_pass,
        "unet": shipped.unet.family + (", tiny" if tiny else ""),
        "dtype": str(dtype).removeprefix("torch."),
        "cells": [
            {
                "who": who,
                "seconds": round(statistics.median(times), 3),
                "over_bare": round(statistics.median(times) / bare, 3),
                "peak_gb": gigabytes(peaks[who], device),
            }
            for who, times in seconds.items()
        ],
        "parts": parts,
    }


@contextlib.contextmanager
def comfy_folders(shipped: Shipped) -> Iterator[None]:
    """Temporary input and output folders of ComfyUI, with an image of each cast member where the nodes look for it."""
    before = folder_paths.get_input_directory(), folder_paths.get_output_directory()
    with tempfile.TemporaryDirectory(prefix="videogen-") as folder:
        for number, name in enumerate(_image_names(shipped.plan)):
            path = Path(folder, "input", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.linear_gradient("L").resize(_IMAGE_SIZE).convert("RGB").rotate(20 * number).save(path)
        folder_paths.set_input_directory(str(Path(folder, "input")))
        folder_paths.set_output_directory(str(Path(folder, "output")))
        try:
            yield
        finally:
            folder_paths.set_input_directory(before[0])
            folder_paths.set_output_directory(before[1])
            comfy.model_management.unload_all_models()
            comfy.model_management.soft_empty_cache()


def _image_names(plan: SegmentPlan) -> list[str]:
    """The files that a segment's cast and its regions need, each once."""
    names = [name for role in cast_roles(plan) for name in role.names]
    return list(dict.fromkeys([*names, *filter(None, map(mask_name, cast_of(plan)))]))


# ------------------------------------------------------------------ ours


class OurSegment:
    """The shipped graph, and the same without our nodes."""

    def __init__(self, shipped: Shipped, device: str, dtype: torch.dtype, tiny: bool) -> None:
        self.shipped, self.device, self.clock = shipped, device, Clock(device)
        self.words = TinyText(shipped.unet)
        self.weights = draw_unet(shipped.unet, dtype=dtype)
        self.model = build_comfy_model(shipped.unet, self.weights, dtype=dtype, device=device)
        self.vae = comfy.sd.VAE(sd=draw_weights(lay_out_autoencoder(), dtype=torch.float32))
        self.encoder: Any = None
        self.classes = find_nodes()
        self.stand_ins: dict[str, Callable[..., tuple[Any, ...]]] = {
            "CheckpointLoaderSimple": lambda ckpt_name: (self.model, self.words, self.vae),
            "VAEDecode": lambda samples, vae: (finite(vae.decode(samples["samples"])),),
        }
        if shipped.has("VideoGenApplyCharacters"):
            adapter = _draw_adapter(shipped.unet, tiny)
            self.encoder = _draw_encoder(tiny)
            self.stand_ins["VideoGenIPAdapterLoader"] = lambda ipadapter_file: (adapter,)
            self.stand_ins["CLIPVisionLoader"] = lambda clip_name: (self.encoder,)

    def move(self, device: str) -> None:
        self.model.model.to(device)

    def render(self) -> Tensor:
        """The segment as it ships; the frames that are measured and saved."""
        done = run_steps(self.shipped.graph, self.stand_ins, self.classes, self.clock.around)
        kinds = {node["class_type"]: done[key] for key, node in self.shipped.graph.items()}
        assert kinds["VideoGenRenderSize"] == self.shipped.size
        return kinds["VideoGenKeyframeMotion"][0]

    @torch.inference_mode()
    def render_without_nodes(self) -> Tensor:
        """The rest of the graph without our nodes, with as many frames of the same size."""
        shipped, plan = self.shipped, self.shipped.plan
        width, height = shipped.size
        prompts = [self.words.encode_from_tokens_scheduled(text) for text in (plan.prompt, plan.negative)]
        guider = CFGGuider.execute(self.model, *prompts, shipped.guidance)[0]
        sigmas = BasicScheduler.execute(self.model, shipped.scheduler, shipped.steps, 1.0)[0]
        sampler = comfy.samplers.sampler_object(shipped.sampler)
        latent = {"samples": torch.zeros(plan.frames, 4, height // 8, width // 8)}
        sampled = SamplerCustomAdvanced.execute(Noise_RandomNoise(plan.seed), guider, sampler, sigmas, latent)[0]
        images = finite(self.vae.decode(sampled["samples"]))
        return comfy.utils.common_upscale(images.movedim(-1, 1), *plan.size, "lanczos", "center").movedim(1, -1)

    def measure_parts(self, tiny: bool) -> Iterator[tuple[str, float, int]]:
        """(name, seconds, peak) of what the totals leave out, once each after a warm one."""
        plan, (width, height) = self.shipped.plan, self.shipped.size
        if self.encoder is not None:
            images = torch.rand(len(_image_names(plan)), *_IMAGE_SIZE, 3)

            def encode() -> None:
                for image in images:
                    self.encoder.encode_image(image[None])

            encode()
            yield CLIP_VISION.format(len(images)), *self._once(encode)
        frames = torch.rand(plan.frames, height, width, 3, generator=torch.Generator().manual_seed(1))
        with random_upscaler(TINY_ESRGAN if tiny else ESRGAN) as name:
            VideoGenUpscale.execute(frames[:1], name, plan)
            yield UPSCALE_MODEL, *self._once(lambda: VideoGenUpscale.execute(frames, name, plan))

    def _once(self, call: Callable[[], Any]) -> tuple[float, int]:
        gc.collect()
        reset_peak(self.device)
        began = time.perf_counter()
        with torch.inference_mode():
            call()
        wait(self.device)
        return time.perf_counter() - began, peak_memory(self.device)


def finite(images: Tensor) -> Tensor:
    """Random weights may leave what half precision can hold; a real film's frames are numbers."""
    return torch.nan_to_num(images, nan=0.5).clamp(0, 1)


def _draw_adapter(unet: UNet, tiny: bool) -> IPAdapter:
    if tiny:
        return IPAdapter.from_state(draw_adapter("plus", unet), "random")
    width, heads = _RESAMPLERS[unet.family]
    layout = lay_out_plus(unet.attention_widths, unet.context_width, width=width, heads=heads)
    return IPAdapter.from_state(draw_weights(layout, dtype=torch.float16), "random")


def _draw_encoder(tiny: bool) -> Any:
    if not tiny:
        return comfy.clip_vision.load_clipvision_from_sd(draw_weights(lay_out_vision(VIT_H), dtype=torch.float16))
    with tempfile.TemporaryDirectory(prefix="videogen-") as folder:
        return build_encoder(Path(folder))


# ------------------------------------------------------------------ the device


def _time(call: Callable[[], Any], shipped: Shipped, device: str, clock: Clock) -> tuple[float, int]:
    """Seconds until the frames of the film's size are there, and the most bytes on the device in all (the model's too)."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    clock.until_frames = (0.0, 0)
    reset_peak(device)
    began = time.perf_counter()
    frames = call()
    wait(device)
    taken, peak = time.perf_counter() - began, peak_memory(device)
    assert tuple(frames.shape) == (shipped.plan.frames, *shipped.plan.size[::-1], 3), frames.shape
    return clock.until_frames if clock.until_frames[0] else (taken, peak)


# ------------------------------------------------------------------ tables


def format_segments(segments: Sequence[dict[str, Any]], format_table: Callable[..., str]) -> str:
    """The result as Markdown: seconds a segment and peak memory of the device, then the parts of ours."""
    rows = []
    for segment in segments:
        cells = {cell["who"]: cell for cell in segment["cells"]}
        size = "{} × {}".format(*segment["rendered"])
        how = f"{segment['steps']} × {segment['sampler']}, {segment['scheduler']}, cfg {segment['guidance']:g}"
        row = [f"{segment['workflow']} ({segment['unet']}): {segment['frames']} frames of {size}, {how}"]
        row += [_show(cells[who]) for who in WHO]
        rows.append([*row, f"{cells['videogen']['over_bare']:.2f}"])
    totals = format_table(["a segment", *WHO, "videogen over without"], rows)
    parts = [[segment["workflow"], part["part"], _show(part)] for segment in segments for part in segment["parts"]]
    return totals + "\n\n" + format_table(["workflow", "part of ours", "a segment"], parts)


def _show(cell: dict[str, Any]) -> str:
    return f"{cell['seconds']:.1f} s" + ("" if cell["peak_gb"] is None else f", {cell['peak_gb']:.1f} GB")
