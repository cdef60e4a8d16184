"""One noise prediction of ComfyUI's UNet and of diffusers', on the same latents, text and images.

Call `require_comfy` and `require_diffusers` before this module is imported.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import comfy.conds
import comfy.samplers
import torch
from torch import Tensor

from .random_weights.unets import UNet
from .tiny_models import join_sizes, make_context, make_sizes

#: ComfyUI's numbers for the rows of the positive and of the negative prompt.
POSITIVE, NEGATIVE = 0, 1


@dataclass(frozen=True)
class Step:
    """A sampler's inputs to a UNet at one step.

    Attributes:
        latents: (frames, 4, height, width), with noise as `sigma` says.
        sigma: standard deviation of the noise.
        contexts: text tokens of the positive and of the negative prompt, each (1, tokens, context width).
        sizes: SDXL's inputs in addition to either text; see `make_sizes`.
    """

    unet: UNet
    latents: Tensor
    sigma: float
    contexts: tuple[Tensor, Tensor]
    sizes: tuple[Mapping[str, Tensor], Mapping[str, Tensor]] = field(default=({}, {}))


def make_step(
    unet: UNet,
    frames: int = 1,
    height: int = 16,
    width: int = 16,
    *,
    timestep: int = 500,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
) -> Step:
    """A random step.

    Args:
        height, width: of the latents.
    """
    generator = torch.Generator().manual_seed(seed)
    sigma = _model_sampling().sigmas[timestep].item()
    latents = torch.randn(frames, 4, height, width, generator=generator) * (sigma**2 + 1) ** 0.5
    contexts = tuple(make_context(unet, 1, seed=seed + number, dtype=dtype).to(device) for number in (1, 2))
    sizes = tuple(
        {key: value.to(device) for key, value in make_sizes(unet, 1, seed=seed + number, dtype=dtype).items()}
        for number in (3, 4)
    )
    return Step(unet, latents.to(device, dtype), sigma, contexts, sizes)  # type: ignore[arg-type]


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """Relative L2."""
    return float((found - expected).norm() / expected.norm())


# ------------------------------------------------------------------ ComfyUI


@torch.no_grad()
def predict_with_comfy(model: Any, step: Step, *, passes: Sequence[Sequence[int]] = ((NEGATIVE, POSITIVE),)) -> Tensor:
    """The prediction of ComfyUI's UNet, with all patches of the model: (2 × frames, …), first the negative rows.

    It goes through ComfyUI's own `calc_cond_batch`, except for its last call: `apply_model` rounds to float32.

    Args:
        passes: which prompts' rows go through the UNet at once and in which order, such as ``((0,), (1,))``: ComfyUI
            promises neither, and splits them when memory is short.
    """
    network = model.model
    model.pre_run()
    predicted: dict[int, Tensor] = {}

    def call(_apply: Any, arguments: dict[str, Any]) -> Tensor:
        chunks = len(arguments["cond_or_uncond"])
        parts = dict(
            zip(arguments["cond_or_uncond"], _chunked(arguments["input"], arguments["c"], chunks), strict=True)
        )
        options = arguments["c"]["transformer_options"]
        for group in passes:
            chosen = [parts[prompt] for prompt in group]
            latents = torch.cat([part for part, _, _ in chosen])
            context = torch.cat([part for _, part, _ in chosen])
            vectors = [part for _, _, part in chosen if part is not None]
            sigma = torch.full((len(latents),), step.sigma, dtype=latents.dtype, device=latents.device)
            output = network.diffusion_model(
                network.model_sampling.calculate_input(sigma, latents),
                network.model_sampling.timestep(sigma).float(),
                context=context,
                y=torch.cat(vectors) if vectors else None,
                transformer_options={**options, "cond_or_uncond": list(group)},
            )
            predicted.update(zip(group, output.chunk(len(group)), strict=True))
        return arguments["input"]

    conditions = [[_condition(step, prompt)] for prompt in (POSITIVE, NEGATIVE)]
    timestep = torch.full(
        (len(step.latents),), step.sigma, dtype=network.model_sampling.sigmas.dtype, device=step.latents.device
    )
    comfy.samplers.calc_cond_batch(
        network, conditions, step.latents, timestep, {**model.model_options, "model_function_wrapper": call}
    )
    model.cleanup()
    return torch.cat([predicted[NEGATIVE], predicted[POSITIVE]])


def _condition(step: Step, prompt: int) -> dict[str, Any]:
    conditions = {"c_crossattn": comfy.conds.CONDCrossAttn(step.contexts[prompt])}
    vector = join_sizes(step.unet, step.sizes[prompt])
    if vector is not None:
        conditions["y"] = comfy.conds.CONDRegular(vector)
    return {"model_conds": conditions, "uuid": f"prompt {prompt}"}


def _chunked(latents: Tensor, conditions: Mapping[str, Any], chunks: int) -> list[tuple[Tensor, Tensor, Tensor | None]]:
    vectors = conditions["y"].chunk(chunks) if "y" in conditions else [None] * chunks
    return list(zip(latents.chunk(chunks), conditions["c_crossattn"].chunk(chunks), vectors, strict=True))


def _model_sampling() -> Any:
    """SD 1.5's and SDXL's schedule of noise."""
    from comfy.model_sampling import ModelSamplingDiscrete

    return ModelSamplingDiscrete()


# ------------------------------------------------------------------ diffusers


@dataclass(frozen=True)
class AdapterInput:
    """diffusers' inputs for one adapter.

    Attributes:
        state: the adapter file's tensors.
        embeds: (images, …): the encoder's output for each image.
        negative_embeds: (1, …): its output for the negative prompt.
        scale: as `set_ip_adapter_scale` takes it.
        masks: one an image, (images, height, width), or None.
    """

    state: Mapping[str, Tensor]
    embeds: Tensor
    negative_embeds: Tensor
    scale: Any = 1.0
    masks: Tensor | None = None


class DiffusersPipeline:
    """diffusers' own pipeline around a UNet: adapters are loaded, scaled and masked by its own code."""

    def __init__(self, unet: UNet, model: Any) -> None:
        from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline

        nothing = dict.fromkeys(("vae", "text_encoder", "tokenizer", "feature_extractor", "image_encoder"))
        self.unet, self.model = unet, model
        self._loaded: list[Mapping[str, Tensor]] = []
        scheduler = DDIMScheduler(steps_offset=1, clip_sample=False)  # not used; it warns about other values
        if unet.family == "SD 1.5":
            self.pipeline: Any = StableDiffusionPipeline(
                **nothing, unet=model, scheduler=scheduler, safety_checker=None, requires_safety_checker=False
            )
        else:
            self.pipeline = StableDiffusionXLPipeline(
                **nothing, text_encoder_2=None, tokenizer_2=None, unet=model, scheduler=scheduler
            )

    def load(self, inputs: Sequence[AdapterInput]) -> None:
        """Load adapters instead of those of before (the same objects are not loaded again), and set their scales."""
        states = [given.state for given in inputs]
        if [id(state) for state in states] != [id(state) for state in self._loaded]:
            names = [""] * len(states)
            self.pipeline.load_ip_adapter(
                [_nested(state) for state in states], subfolder=names, weight_name=names, image_encoder_folder=None
            )
            self._loaded = states
        self.pipeline.set_ip_adapter_scale([given.scale for given in inputs])

    @torch.no_grad()
    def predict(self, step: Step, inputs: Sequence[AdapterInput] = ()) -> Tensor:
        """The UNet's prediction: (2 × frames, …), first the negative rows, as in the pipeline's own batch."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as that a mask has another shape than the image
            return self.model(**self.prepare(step, inputs)).sample

    def prepare(self, step: Step, inputs: Sequence[AdapterInput] = ()) -> dict[str, Any]:
        """The pipeline's inputs to its UNet at a step."""
        from diffusers.image_processor import IPAdapterMaskProcessor

        frames = len(step.latents)
        sigma = torch.tensor(step.sigma, dtype=torch.float64)
        scaled = (step.latents / (sigma**2 + 1) ** 0.5).to(step.latents)
        more: dict[str, Any] = {}
        if any(given.masks is not None for given in inputs):
            # Its processor's resizing is left out (the masks have the image's size), and so is its binarizing.
            processor = IPAdapterMaskProcessor(do_resize=False, do_binarize=False)
            more["ip_adapter_masks"] = [_masks(processor, given.masks) for given in inputs]
        conditions: dict[str, Any] = {
            key: torch.cat([step.sizes[prompt][key].expand(frames, -1) for prompt in (NEGATIVE, POSITIVE)])
            for key in step.sizes[POSITIVE]
        }
        if inputs:
            conditions["image_embeds"] = [_rows(given, frames).to(step.latents) for given in inputs]
        return {
            "sample": torch.cat([scaled, scaled]),
            "timestep": _model_sampling().timestep(sigma.float()).to(scaled.device),
            "encoder_hidden_states": torch.cat([step.contexts[p].expand(frames, -1, -1) for p in (NEGATIVE, POSITIVE)]),
            "added_cond_kwargs": conditions,
            "cross_attention_kwargs": more or None,
        }


def _nested(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    nested: dict[str, dict[str, Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in state.items():
        part, _, name = key.partition(".")
        nested[part][name] = tensor
    return nested


def _rows(given: AdapterInput, frames: int) -> Tensor:
    """(2 × frames, images, …): the negative rows have as many images as the others."""
    negative = given.negative_embeds.expand_as(given.embeds)
    return torch.cat([rows.expand(frames, *rows.shape) for rows in (negative, given.embeds)])


def _masks(processor: Any, masks: Tensor | None) -> Tensor | None:
    """(1, images, height, width)"""
    return None if masks is None else torch.cat([processor.preprocess(mask[None, None]) for mask in masks], dim=1)
