"""diffusers' own pipeline for a segment's frames, for `runner.bench.programs.whole_segments`.

ComfyUI's modules are there and its device is fixed before this is imported; see `enable_comfy`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from .shipped_graphs import Shipped

#: (sampler, schedule) of ComfyUI → diffusers' scheduler of the same kind.
_SCHEDULERS: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    ("dpmpp_2m", "karras"): ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    ("euler", "sgm_uniform"): ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
}
#: Of every Stable Diffusion.
_NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


class DiffusersSegment:
    """A pipeline with its autoencoder in the UNet's precision, which is the faster way for it.

    Attributes:
        bytes: of its weights.
    """

    def __init__(self, shipped: Shipped, unet: Any, words: Any, device: str) -> None:
        import diffusers

        diffusers.utils.logging.set_verbosity_error()
        self.shipped, self.device = shipped, device
        dtype = next(unet.parameters()).dtype
        widths = (128, 256, 512, 512)
        vae = (
            diffusers.AutoencoderKL(
                block_out_channels=widths,
                layers_per_block=2,
                latent_channels=4,
                force_upcast=False,
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
            )
            .to(dtype=dtype)
            .eval()
        )
        self._models = (unet, vae)
        self.bytes = sum(p.numel() * p.element_size() for model in self._models for p in model.parameters())
        family = shipped.unet.family
        name, options = _SCHEDULERS[shipped.sampler, shipped.scheduler]
        predicted = "v_prediction" if family == "SD 2" else "epsilon"
        scheduler = getattr(diffusers, name)(**_NOISE, **options, prediction_type=predicted)
        nothing = dict.fromkeys(("text_encoder", "tokenizer", "feature_extractor", "image_encoder"))
        if family == "SDXL":
            self.pipeline: Any = diffusers.StableDiffusionXLPipeline(
                **nothing,
                text_encoder_2=None,
                tokenizer_2=None,
                unet=unet,
                vae=vae,
                scheduler=scheduler,
                add_watermarker=False,
            )
        else:
            self.pipeline = diffusers.StableDiffusionPipeline(
                **nothing, unet=unet, vae=vae, scheduler=scheduler, safety_checker=None, requires_safety_checker=False
            )
        self.pipeline.set_progress_bar_config(disable=True)
        vae.enable_slicing()  # as ComfyUI decodes: not all frames at once
        self._embeds = {}
        for prefix, text in (("", shipped.plan.prompt), ("negative_", shipped.plan.negative)):
            ((tokens, more),) = words.encode_from_tokens_scheduled(text)
            self._embeds[f"{prefix}prompt_embeds"] = tokens.to(device, dtype)
            if family == "SDXL":
                self._embeds[f"{prefix}pooled_prompt_embeds"] = more["pooled_output"].to(device, dtype)

    def move(self, device: str) -> None:
        for model in self._models:
            model.to(device)

    def render(self) -> np.ndarray[Any, Any]:
        """Frames of the film's size, (frames, height, width, 3)."""
        shipped = self.shipped
        images = self.pipeline(
            **self._embeds,
            width=shipped.size[0],
            height=shipped.size[1],
            num_inference_steps=shipped.steps,
            guidance_scale=shipped.guidance,
            num_images_per_prompt=shipped.plan.frames,
            output_type="np",
            generator=torch.Generator().manual_seed(1),
        ).images
        pixels = (np.nan_to_num(images, nan=0.5) * 255).round().astype(np.uint8)
        large = [Image.fromarray(image).resize(shipped.plan.size, Image.Resampling.LANCZOS) for image in pixels]
        return np.stack([np.asarray(image) for image in large])
