"""Steps of the same UNet with and without images, in ComfyUI with our patches and in diffusers with its own.

ComfyUI's modules are there and its device is fixed before this is imported; see `enable_comfy`.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.comfyui.attention.image_condition import ImageCondition
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter

from ..models.predictions import NEGATIVE, POSITIVE, AdapterInput, DiffusersPipeline, Step, make_step
from ..models.random_weights.adapters import lay_out_plain, lay_out_plus
from ..models.random_weights.layout import draw_weights
from ..models.random_weights.unets import SD15_SLIM, SDXL, TINY_SDXL, UNet
from ..models.tiny_models import build_comfy_model, build_diffusers_unet, draw_unet, join_sizes
from .segment_clock import allocated_peak

WEIGHT = 0.8
TIMESTEP = 500


@dataclass(frozen=True)
class Setup:
    """The measurement on a kind of device.

    Attributes:
        sides: latents' sides for one frame and for several.
        resampler: width and heads of the Resampler in a plus adapter.
    """

    name: str
    unet: UNet
    dtype: torch.dtype
    sides: tuple[int, int]
    resampler: tuple[int, int]

    def side(self, frames: int) -> int:
        return self.sides[frames > 1]


SETUPS = {
    "cpu": Setup("SD 1.5's layers, 320 wide", SD15_SLIM, torch.float32, (32, 16), (768, 12)),
    "cuda": Setup("SDXL", SDXL, torch.float16, (128, 128), (1280, 20)),
}
#: Says nothing about speed; it is there to try the benchmark out.
TINY = Setup("a tiny SDXL", TINY_SDXL, torch.float32, (16, 8), (64, 1))


class SectionClock:
    """Adds up the seconds between the beginning of one module and the end of another."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def watch(self, first: torch.nn.Module, last: torch.nn.Module) -> None:
        """Count the time from the beginning of `first` to the end of `last`; of a list of modules, of the first in it."""

        def begin(*_: Any) -> None:
            self._began = time.perf_counter()

        def end(*_: Any) -> None:
            self.seconds += time.perf_counter() - self._began

        first.register_forward_pre_hook(begin)
        (last[0] if isinstance(last, torch.nn.ModuleList) else last).register_forward_hook(end)


class Steps:
    """Both UNets on a device, with the same weights, and both adapters."""

    def __init__(self, setup: Setup, device: str) -> None:
        self.setup, self.device = setup, device
        # In the precision of the model, or a large one would need its memory twice over.
        weights = draw_unet(setup.unet, dtype=setup.dtype)
        self.model = build_comfy_model(setup.unet, weights, dtype=setup.dtype, device=device)
        self.pipeline = DiffusersPipeline(
            setup.unet, build_diffusers_unet(setup.unet, weights, dtype=setup.dtype, device=device)
        )
        del weights
        gc.collect()
        self.inner = SectionClock()
        if device == "cpu":
            for network in (self.model.model.diffusion_model, self.pipeline.model):
                for name, module in network.named_modules():
                    if name.endswith(".attn2"):
                        self.inner.watch(module.to_q, module.to_out)
        self.states = {kind: _draw_adapter(kind, setup) for kind in ("plain", "plus")}
        self.adapters = {kind: IPAdapter.from_state(state, kind) for kind, state in self.states.items()}
        self._processors = {"": self._installed()}
        for kind in self.states:
            self.install("")
            self.pipeline.load([self._input(kind, 1, 1)])
            self._processors[kind] = self._installed()
            if device == "cpu":
                self.inner.watch(*[self.pipeline.model.encoder_hid_proj] * 2)

    def prepare_ours(self, kind: str, people: int, frames: int) -> Callable[[], Tensor]:
        """A step in ComfyUI, which returns the noise predictions, first the negative rows."""
        step = self._step(frames)
        model = apply_image_conditions(self.model, self._conditions(kind, people, frames)) if kind else self.model
        order = [NEGATIVE, POSITIVE]
        latents = torch.cat([step.latents] * 2)
        sigma = torch.full((len(latents),), step.sigma, device=self.device)
        more: dict[str, Tensor] = {"c_crossattn": torch.cat([step.contexts[p].expand(frames, -1, -1) for p in order])}
        vectors = [join_sizes(step.unet, step.sizes[prompt]) for prompt in order]
        if vectors[0] is not None:
            more["y"] = torch.cat([vector.expand(frames, -1) for vector in vectors if vector is not None])
        model.pre_run()

        @torch.no_grad()
        def call() -> Tensor:
            options = {**model.model_options["transformer_options"], "cond_or_uncond": order, "sigmas": sigma[:frames]}
            denoised = model.model.apply_model(latents, sigma, **more, transformer_options=options)
            return (latents - denoised) / step.sigma

        return call

    def prepare_diffusers(self, kind: str, people: int, frames: int) -> Callable[[], Tensor]:
        """A step in diffusers: the same."""
        step = self._step(frames)
        inputs = [self._input(kind, people, frames)] if kind else []
        arguments = self.pipeline.prepare(step, inputs)

        @torch.no_grad()
        def call() -> Tensor:
            return self.pipeline.model(**arguments).sample

        return call

    def install(self, kind: str) -> None:
        """Give diffusers' UNet the attention processors of an adapter, or its own ("")."""
        processors, projection = self._processors[kind]
        model = self.pipeline.model
        model.encoder_hid_proj = None  # a Resampler's own attentions would be counted in
        model.set_attn_processor(dict(processors))
        model.encoder_hid_proj = projection
        model.config.encoder_hid_dim_type = "ip_image_proj" if kind else None

    def _installed(self) -> tuple[dict[str, Any], Any]:
        model = self.pipeline.model
        processors = {
            name: processor for name, processor in model.attn_processors.items() if not name.startswith("encoder_hid")
        }
        return processors, model.encoder_hid_proj

    def time(self, call: Callable[[], Tensor]) -> tuple[float, float]:
        """Seconds of one step, and how many of them went into cross-attentions and the images' projection. The latter is
        the only place where an adapter does anything, and much quieter; a GPU works while the clock runs on, and has none.
        """
        gc.collect()
        gc.disable()
        try:
            self._wait()
            self.inner.seconds = 0.0
            began = time.perf_counter()
            call()
            self._wait()
            return time.perf_counter() - began, self.inner.seconds
        finally:
            gc.enable()

    def run(self, call: Callable[[], Tensor]) -> tuple[Tensor, int]:
        """A step's output, and the most bytes of tensors that it held in addition to those from before."""
        if self.device == "cuda":
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            output = call()
            self._wait()
            return output, torch.cuda.max_memory_allocated() - before
        with torch.autograd.profiler.profile(use_kineto=True, profile_memory=True) as profile:
            output = call()
        return output, allocated_peak(profile)

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def _step(self, frames: int) -> Step:
        side = self.setup.side(frames)
        return make_step(
            self.setup.unet, frames, side, side, timestep=TIMESTEP, dtype=self.setup.dtype, device=self.device
        )

    def _input(self, kind: str, people: int, frames: int) -> AdapterInput:
        """One image a character; two characters each have a half of the image."""
        embeds, negative = _draw_embeds(kind, people)
        masks = None if people == 1 else _halves(8 * self.setup.side(frames))
        return AdapterInput(self.states[kind], embeds, negative, WEIGHT, masks)

    def _conditions(self, kind: str, people: int, frames: int) -> list[ImageCondition]:
        """The same for our nodes' code."""
        adapter, given = self.adapters[kind], self._input(kind, people, frames)
        tokens, negative = (adapter.project(embeds) for embeds in (given.embeds, given.negative_embeds))
        weights = (WEIGHT,) * len(adapter.info.layer_widths)
        return [
            ImageCondition(
                adapter,
                tokens[index, None],
                negative,
                weights,
                mask=None if given.masks is None else given.masks[index, None],
            )
            for index in range(people)
        ]


def _draw_adapter(kind: str, setup: Setup) -> Mapping[str, Tensor]:
    unet, (width, heads) = setup.unet, setup.resampler
    if kind == "plain":
        return draw_weights(lay_out_plain(unet.attention_widths, unet.context_width), dtype=torch.float16)
    layout = lay_out_plus(unet.attention_widths, unet.context_width, width=width, heads=heads)
    return draw_weights(layout, dtype=torch.float16)


def _draw_embeds(kind: str, images: int) -> tuple[Tensor, Tensor]:
    """The shape of CLIP ViT-H's output for some images, and for the negative prompt; random."""
    generator = torch.Generator().manual_seed(images)
    shape = (1024,) if kind == "plain" else (257, 1280)
    embeds = torch.randn(images + 1, *shape, generator=generator)
    return embeds[:-1], torch.zeros(1, *shape) if kind == "plain" else embeds[-1:]


def _halves(side: int) -> Tensor:
    """(2, side, side): the left and the right half."""
    left = torch.zeros(side, side)
    left[:, : side // 2] = 1.0
    return torch.stack([left, 1.0 - left])
