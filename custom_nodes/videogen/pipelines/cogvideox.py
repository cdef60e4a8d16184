"""CogVideoX image to video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import VideoGenError
from ..core.video.pipeline_frames import round_up_frames
from .families import COGVIDEOX
from .loading import PipelineBox, as_pipeline
from .lora import Lora
from .packages import need_diffusers
from .rendering import OnStep, StepCounter, seeded, take_frames
from .sizes import check_multiples

OWN, DDIM, DPM = SCHEDULERS = ("model's own", "DDIM", "DPM++")
_SCHEDULER_CLASS = {DDIM: "CogVideoXDDIMScheduler", DPM: "CogVideoXDPMScheduler"}
_SPATIAL = 8
#: Of the 1.5 models, which were trained for 81 and 161.
_MOST_FRAMES_15 = 161
_FPS, _FPS_15 = 8, 16


@dataclass(frozen=True)
class CogVideoXLimits:
    """What one model makes.

    Attributes:
        most: frames at once; `fixed`: neither fewer nor more are sampled, the rest is cut off.
        size: width and height, where the model has learned positions and makes no other; else None.
        native_size: what it was trained with.
    """

    most: int
    fixed: bool
    fps: int
    size: tuple[int, int] | None
    native_size: tuple[int, int]

    def sampled(self, wanted: int) -> int:
        """Frames that are sampled for the wanted ones."""
        return self.most if self.fixed else min(self.most, round_up_frames(wanted, 8))


def read_limits(config: Mapping[str, Any]) -> CogVideoXLimits:
    """What a model makes, by its transformer's configuration."""
    native = (int(config.get("sample_width", 90)) * _SPATIAL, int(config.get("sample_height", 60)) * _SPATIAL)
    learned = bool(config.get("use_learned_positional_embeddings"))
    if config.get("patch_size_t"):
        return CogVideoXLimits(_MOST_FRAMES_15, False, _FPS_15, native if learned else None, native)
    # With another number of frames, the learned positions would be replaced by computed ones.
    return CogVideoXLimits(int(config.get("sample_frames", 49)), learned, _FPS, native if learned else None, native)


@dataclass(frozen=True)
class CogVideoXRequest:
    """One clip. `frames` are those that are returned; 1 to the model's most."""

    prompt: str
    negative: str
    seed: int
    frames: int
    width: int
    height: int
    steps: int
    guidance: float
    scheduler: str = OWN
    dynamic_guidance: bool = False
    lora: Lora | None = None


def check_size(limits: CogVideoXLimits, width: int, height: int) -> None:
    """
    Raises:
        VideoGenError: `widget-invalid`.
    """
    if limits.size is not None and (width, height) != limits.size:
        raise VideoGenError(
            "widget-invalid",
            f"`width` × `height` is {width} × {height}; this CogVideoX has learned positions and makes only"
            f" {limits.size[0]} × {limits.size[1]}",
            "Set that size, and scale the frames afterwards (Upscale).",
        )
    check_multiples(width, height, COGVIDEOX.size_multiple, COGVIDEOX.name)


def render_cogvideox(box: PipelineBox, image: Any, request: CogVideoXRequest, device: Any, on_step: OnStep) -> Any:
    """The frames of a clip, (frames, height, width, 3).

    Args:
        image: the first picture, a PIL image of the clip's size.

    Raises:
        VideoGenError: `widget-invalid`, `model-missing`, `model-unreadable`, `model-unsupported`, `package-missing`.
    """
    limits = read_limits(box.read_config("transformer"))
    check_size(limits, request.width, request.height)
    with box.on_device(device, request.lora) as base:
        replaced = {}
        if request.scheduler != OWN:
            scheduler = getattr(need_diffusers(), _SCHEDULER_CLASS[request.scheduler])
            replaced["scheduler"] = scheduler.from_config(base.scheduler.config, timestep_spacing="trailing")
        pipeline = as_pipeline(base, "CogVideoXImageToVideoPipeline", **replaced)
        with seeded(request.seed) as generator:
            video = pipeline(
                image=image,
                prompt=request.prompt,
                negative_prompt=request.negative,
                width=request.width,
                height=request.height,
                num_frames=limits.sampled(request.frames),
                num_inference_steps=request.steps,
                guidance_scale=request.guidance,
                use_dynamic_cfg=request.dynamic_guidance,
                generator=generator,
                # The model's positions are laid out for exactly this many tokens of text.
                max_sequence_length=pipeline.transformer.config.max_text_seq_length,
                output_type="pt",
                callback_on_step_end=StepCounter(1, on_step),
            ).frames
    return take_frames(video)[: request.frames]
