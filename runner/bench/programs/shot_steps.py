"""Sampling of a shot's frames with random weights, with and without our nodes, for `frames`.

ComfyUI's modules are there and its device is fixed before this is imported; see `enable_comfy`.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import comfy.sample
import comfy.samplers
import torch
from torch import Tensor

from custom_nodes.videogen.nodes.frames.anchor_attention import anchor_frames
from custom_nodes.videogen.nodes.frames.frame_noise import FrameNoise
from custom_nodes.videogen.tensor.frame_noise import make_frame_noise

from ..models.predictions import NEGATIVE, POSITIVE, make_step, relative_difference
from ..models.random_weights.unets import SD15_SLIM, SDXL, TINY_SD15, UNet
from ..models.random_weights.upscalers import ESRGAN, TINY_ESRGAN, Upscaler
from ..models.tiny_models import build_comfy_model, draw_unet, join_sizes
from .segment_clock import allocated_peak

STEPS, GUIDANCE = 3, 3.0


@dataclass(frozen=True)
class Setup:
    """The measurement on a kind of device.

    Attributes:
        frames: of a shot.
        side: of the latents.
        film: width and height of the film's frames, for the nodes that work on images.
        upscaler: the model that Upscale is timed with, on `upscaled` (width, height).
        large: height and width of the latents of the largest frames that a step is measured with; () for none.
    """

    name: str
    unet: UNet
    dtype: torch.dtype
    frames: int
    side: int
    film: tuple[int, int] = (1920, 1080)
    upscaler: Upscaler = ESRGAN
    upscaled: tuple[int, int] = (64, 64)
    large: tuple[int, ...] = ()


SETUPS = {
    "cpu": Setup("SD 1.5's layers, 320 wide", SD15_SLIM, torch.float32, 6, 32),
    # Frames that are sampled at 1920 x 1080 without any upscaling: the purpose of passes.
    "cuda": Setup("SDXL", SDXL, torch.float16, 24, 96, upscaled=(768, 768), large=(135, 240)),
}
#: Says nothing about speed; it is there to try the benchmark out.
TINY = Setup("a tiny UNet", TINY_SD15, torch.float32, 6, 8, (96, 56), TINY_ESRGAN, (24, 16), (9, 16))
#: Frames a pass of the largest frames: as the workflows ship, and for a small card.
LARGE_PASSES = (8, 2)


class ShotSteps:
    """A UNet on a device, and a shot's frames in it."""

    def __init__(self, setup: Setup, device: str) -> None:
        self.setup, self.device = setup, device
        weights = draw_unet(setup.unet, dtype=setup.dtype)
        self.model = build_comfy_model(setup.unet, weights, dtype=setup.dtype, device=device)
        del weights
        gc.collect()

    # ------------------------------------------------------------------ how alike frames are

    def sample(self, drift: float, seed: int) -> tuple[Tensor, Tensor]:
        """Noise and sampled latents of a shot's frames, (frames, 4, side, side), at half the side."""
        side = max(8, self.setup.side // 2)
        empty = torch.zeros(self.setup.frames, 4, side, side)
        noise = FrameNoise(seed, seed, drift).generate_noise({"samples": empty})
        step = self._step(seed, side)
        prompts = []
        for prompt in (POSITIVE, NEGATIVE):
            more = {"pooled_output": step.sizes[prompt]["text_embeds"]} if step.sizes[prompt] else {}
            prompts.append([[step.contexts[prompt].float(), more]])
        latents = comfy.sample.sample(
            self.model, noise, STEPS, GUIDANCE, "euler", "normal", *prompts, empty, seed=seed, disable_pbar=True
        )
        return noise, latents

    def measure_distance(self, drift: float, seed: int, **options: Any) -> tuple[float, float]:
        """How much neighbors differ in a step: in the self-attentions' outputs on average, and in the prediction."""
        answers: list[Tensor] = []
        model = anchor_frames(self.model, **options).clone()

        def record(answer: Tensor, _: Any) -> Tensor:
            answers.append(answer.clone())
            return answer

        model.set_model_attn1_output_patch(record)
        step = self._step(seed, max(8, self.setup.side // 2), drift)
        predicted = self._call(model, step)()
        frames = self.setup.frames
        # The second half of the rows are the positive prompt's.
        apart = [relative_difference(x[frames + 1 :], x[frames:-1]) for x in (*answers, predicted)]
        return statistics.mean(apart[:-1]), apart[-1]

    # ------------------------------------------------------------------ what it costs

    def prepare(self, strength: float = 0.0, passes: int = 0, **options: Any) -> Callable[[], Tensor]:
        """A step of all frames, both prompts."""
        per_pass = -(-self.setup.frames // passes) if passes else 0
        model = anchor_frames(self.model, strength=strength, frames_per_pass=per_pass, **options)
        return self._call(model, self._step(0, self.setup.side, 0.35))

    def prepare_large(self, per_pass: int) -> Callable[[], Tensor]:
        """A step of all frames in the largest size, both prompts, with the first frame as anchor."""
        height, width = self.setup.large
        step = make_step(self.setup.unet, self.setup.frames, height, width, dtype=self.setup.dtype, device=self.device)
        return self._call(anchor_frames(self.model, frames_per_pass=per_pass), step)

    def time(self, call: Callable[[], Any]) -> float:
        """Seconds of one call."""
        gc.collect()
        self._wait()
        began = time.perf_counter()
        call()
        self._wait()
        return time.perf_counter() - began

    def peak_bytes(self, call: Callable[[], Any]) -> int:
        """The most bytes of tensors that were held in a call beyond those from before."""
        if self.device == "cuda":
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            call()
            self._wait()
            return torch.cuda.max_memory_allocated() - before
        with torch.autograd.profiler.profile(use_kineto=True, profile_memory=True) as profile:
            call()
        return allocated_peak(profile)

    # ------------------------------------------------------------------ a step

    def _step(self, seed: int, side: int, drift: float = 1.0) -> Any:
        setup = self.setup
        step = make_step(setup.unet, setup.frames, side, side, seed=seed, dtype=setup.dtype, device=self.device)
        noise = make_frame_noise((4, side, side), range(setup.frames), seed=seed, drift=drift)
        return replace(step, latents=noise.to(step.latents) * (step.sigma**2 + 1) ** 0.5)

    def _call(self, model: Any, step: Any) -> Callable[[], Tensor]:
        """One call of the model: the noise predictions, first the negative rows."""
        from comfy.patcher_extension import WrappersMP

        frames, order = self.setup.frames, [NEGATIVE, POSITIVE]
        latents = torch.cat([step.latents] * 2)
        sigma = torch.full((len(latents),), step.sigma, device=self.device)
        more: dict[str, Tensor] = {"c_crossattn": torch.cat([step.contexts[p].expand(frames, -1, -1) for p in order])}
        vectors = [join_sizes(step.unet, step.sizes[prompt]) for prompt in order]
        if vectors[0] is not None:
            more["y"] = torch.cat([vector.expand(frames, -1) for vector in vectors if vector is not None])
        # As a sampler merges them in.
        wrappers = {WrappersMP.APPLY_MODEL: {"": model.get_all_wrappers(WrappersMP.APPLY_MODEL)}}
        options = {
            **model.model_options["transformer_options"],
            "cond_or_uncond": order,
            "sigmas": sigma[:frames],
            "wrappers": wrappers,
        }

        @torch.no_grad()
        def call() -> Tensor:
            denoised = self.model.model.apply_model(latents, sigma, **more, transformer_options=dict(options))
            return (latents - denoised) / step.sigma

        return call

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()
