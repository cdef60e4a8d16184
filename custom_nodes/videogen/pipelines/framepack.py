"""FramePack on HunyuanVideo: F1, which goes forward, and the inverted sampler, which begins at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.errors import VideoGenError
from ..core.video.pipeline_frames import FramePackPlan, plan_framepack
from .families import FRAMEPACK
from .loading import PipelineBox, as_pipeline
from .rendering import OnStep, StepCounter, seeded, take_frames
from .sizes import check_multiples

INVERTED, FORWARD = SAMPLERS = ("inverted anti-drifting", "F1")
_SAMPLING_TYPE = {INVERTED: "inverted_anti_drifting", FORWARD: "vanilla"}
FPS = 30


@dataclass(frozen=True)
class FramePackRequest:
    """One clip.

    Attributes:
        frames: that are returned.
        window: ``latent_window_size``, 9 for the published models.
        guidance: the distilled one, which the model reads.
        true_guidance: the usual one, with a negative prompt and twice the time; 1: off.
    """

    prompt: str
    negative: str
    seed: int
    frames: int
    width: int
    height: int
    steps: int
    guidance: float
    sampler: str = INVERTED
    window: int = 9
    true_guidance: float = 1.0


def render_framepack(
    box: PipelineBox, first: Any, last: Any, request: FramePackRequest, device: Any, on_step: OnStep
) -> Any:
    """The frames of a clip, (frames, height, width, 3).

    Args:
        first, last: PIL images of the clip's size; `last` may be None.

    Raises:
        VideoGenError: `widget-invalid`, `model-unsupported`, and see `PipelineBox`.
    """
    plan = plan_sections(request, has_last=last is not None)
    with box.on_device(device) as base, seeded(request.seed) as generator:
        pipeline = as_pipeline(base, "HunyuanVideoFramepackPipeline")
        video = pipeline(
            image=first,
            last_image=last,
            prompt=request.prompt,
            negative_prompt=request.negative,
            width=request.width,
            height=request.height,
            num_frames=plan.num_frames,
            latent_window_size=request.window,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            true_cfg_scale=request.true_guidance,
            sampling_type=_SAMPLING_TYPE[request.sampler],
            generator=generator,
            output_type="pt",
            callback_on_step_end=StepCounter(plan.sections, on_step),
        ).frames
    return take_frames(video)[: request.frames]


def plan_sections(request: FramePackRequest, *, has_last: bool) -> FramePackPlan:
    """The sections of a clip.

    Raises:
        VideoGenError: `widget-invalid`, `model-unsupported`.
    """
    check_multiples(request.width, request.height, FRAMEPACK.size_multiple, FRAMEPACK.name)
    plan = plan_framepack(request.frames, request.window)
    if has_last:
        _check_last(request, plan.rendered)
    return plan


def _check_last(request: FramePackRequest, rendered: int) -> None:
    if request.sampler == FORWARD:
        raise VideoGenError(
            "model-unsupported",
            "`last_image` is connected, and `sampler` is F1, which goes forward and knows no last picture",
            f"Take {INVERTED} with lllyasviel/FramePackI2V_HY.",
        )
    if rendered != request.frames:
        shorter = rendered - request.window * 4
        raise VideoGenError(
            "widget-invalid",
            f"`frames` is {request.frames}; with a last picture it is a multiple of {request.window * 4} and one more, as"
            " cutting frames off would cut that picture off",
            f"Take {shorter} or {rendered}." if shorter > 1 else f"Take {rendered}.",
        )
