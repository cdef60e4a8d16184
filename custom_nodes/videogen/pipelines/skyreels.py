"""SkyReels V2: text, image and the continuation of a clip to video, with diffusion forcing and without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.errors import VideoGenError
from ..core.video.pipeline_frames import ForcingPlan, check_overlap, plan_forcing, round_up_frames
from .families import SKYREELS_FORCING, SKYREELS_IMAGE, SKYREELS_TEXT, Family
from .loading import PipelineBox, as_pipeline
from .rendering import OnStep, StepCounter, seeded, take_frames
from .sizes import check_multiples

#: Resolution → width and height, and the frames of one pass that the models for it were trained with.
RESOLUTIONS: dict[str, tuple[tuple[int, int], int]] = {"540p": ((960, 544), 97), "720p": ((1280, 720), 121)}
MODELS = (SKYREELS_FORCING, SKYREELS_TEXT, SKYREELS_IMAGE)


@dataclass(frozen=True)
class SkyReelsRequest:
    """One clip.

    Attributes:
        frames: that are returned; only new ones where a clip is continued.
        base_frames: of one pass of diffusion forcing, and of the others' only one.
        fps: that the motion is made for.
        overlap, noise, async_steps, block: ``overlap_history``, ``addnoise_condition``, ``ar_step``, ``causal_block_size``.
    """

    prompt: str
    negative: str
    seed: int
    frames: int
    width: int
    height: int
    base_frames: int
    fps: int
    steps: int
    guidance: float
    overlap: int = 17
    noise: int = 20
    async_steps: int = 0
    block: int = 1


@dataclass(frozen=True)
class SkyReelsPictures:
    """What a clip begins with, as PIL images of its size: a first and a last picture, or the clip that it continues."""

    first: Any = None
    last: Any = None
    before: tuple[Any, ...] = ()


def check_pictures(family: Family, pictures: SkyReelsPictures, request: SkyReelsRequest) -> None:
    """
    Raises:
        VideoGenError: `model-unsupported` for pictures that the model has no use for, or lacks; `widget-invalid` for numbers
            that do not go with them; `image-invalid` for a clip that is too short to be continued.
    """
    if pictures.first is not None and pictures.before:
        raise VideoGenError(
            "model-unsupported", "`image` and `video` are both connected: a clip begins with one of them"
        )
    if pictures.last is not None and pictures.first is None:
        raise VideoGenError(
            "model-unsupported", "`last_image` is connected without `image`: the model takes both or none"
        )
    if pictures.last is not None and family is not SKYREELS_FORCING:
        raise VideoGenError(
            "model-unsupported",
            f"`last_image` is connected, and this model is {family.name}: only diffusion forcing takes a last picture",
            "Load a model with DF in its name, such as Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers.",
        )
    if pictures.before and family is not SKYREELS_FORCING:
        raise VideoGenError(
            "model-unsupported",
            f"`video` is connected, and this model is {family.name}: only diffusion forcing continues a clip",
            "Load a model with DF in its name, such as Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers.",
        )
    if pictures.first is not None and family is SKYREELS_TEXT:
        raise VideoGenError(
            "model-unsupported",
            f"`image` is connected, and this model is {family.name}",
            "Load a model with I2V or DF in its name.",
        )
    if pictures.first is None and family is SKYREELS_IMAGE:
        raise VideoGenError(
            "model-unsupported",
            f"this model is {family.name}, and `image` is not connected",
            "Connect the first picture.",
        )
    if pictures.first is not None and request.block > 1:
        raise VideoGenError(
            "widget-invalid",
            f"`causal_block_size` is {request.block}, and with a first picture it has to be 1: the picture fills one latent"
            " frame only, and a larger block would be drawn over it",
        )
    if pictures.before:
        check_overlap(request.overlap)
        if len(pictures.before) < request.overlap:
            raise VideoGenError(
                "image-invalid",
                f"`video` has {len(pictures.before)} frames, and `overlap_history` takes {request.overlap}",
                "Connect a longer clip, or take a smaller overlap.",
            )


def plan_clip(family: Family, pictures: SkyReelsPictures, request: SkyReelsRequest) -> ForcingPlan:
    """The numbers of the call for a clip.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    check_multiples(request.width, request.height, family.size_multiple, family.name)
    if pictures.last is not None and request.frames % 4 != 1:
        lower = max(1, (request.frames - 1) // 4 * 4 + 1)
        raise VideoGenError(
            "widget-invalid",
            f"`frames` is {request.frames}; with a last picture it is a multiple of 4 and one more, as cutting frames off would"
            " cut that picture off",
            f"Take {lower} or {lower + 4}.",
        )
    if family is SKYREELS_FORCING:
        plan = plan_forcing(
            request.frames,
            request.base_frames,
            request.overlap,
            request.block,
            extends=bool(pictures.before),
            # Its image pipeline counts the steps of a last window that is shorter as if it were a whole one.
            full_windows=pictures.first is not None,
        )
        if pictures.last is not None and plan.passes > 1:
            raise VideoGenError(
                "widget-invalid",
                f"`frames` is {request.frames}; with a last picture one pass has to do: at most {request.base_frames}",
            )
        return plan
    frames = round_up_frames(request.frames)
    if frames > request.base_frames:
        raise VideoGenError(
            "widget-invalid",
            f"`frames` is {request.frames}; {family.name} makes at most {request.base_frames} at this resolution",
            "Longer clips need a model with DF in its name (diffusion forcing).",
        )
    return ForcingPlan(frames, frames, None, 1)


def render_skyreels(
    box: PipelineBox, pictures: SkyReelsPictures, request: SkyReelsRequest, device: Any, on_step: OnStep
) -> Any:
    """The frames of a clip, (frames, height, width, 3); of a continued one the new frames only.

    Raises:
        VideoGenError: see `check_pictures`, `plan_clip` and `PipelineBox`.
    """
    family = box.request.family
    check_pictures(family, pictures, request)
    plan = plan_clip(family, pictures, request)
    options: dict[str, Any] = {}
    kind = family.indexed_as[0]
    # The other pipelines use their only window's frames; what continues uses its last ones only.
    before = list(pictures.before[-request.overlap :]) if pictures.before else []
    if before:
        kind, options["video"] = "SkyReelsV2DiffusionForcingVideoToVideoPipeline", before
    elif pictures.first is not None:
        options["image"] = pictures.first
        if family is SKYREELS_FORCING:
            options["last_image"] = pictures.last
            kind = "SkyReelsV2DiffusionForcingImageToVideoPipeline"
    if family is SKYREELS_FORCING:
        options |= {
            "base_num_frames": plan.base_frames,
            "overlap_history": plan.overlap,
            "addnoise_condition": request.noise,
            "ar_step": request.async_steps,
            "causal_block_size": request.block,
            "fps": request.fps,
        }
    with box.on_device(device) as base, seeded(request.seed) as generator:
        pipeline = as_pipeline(base, kind)
        block = pipeline.transformer.config.num_frame_per_block
        try:
            video = pipeline(
                prompt=request.prompt,
                negative_prompt=request.negative,
                width=request.width,
                height=request.height,
                num_frames=plan.frames,
                num_inference_steps=request.steps,
                guidance_scale=request.guidance,
                generator=generator,
                output_type="pt",
                callback_on_step_end=StepCounter(plan.passes, on_step),
                **options,
            ).frames
        finally:
            # The pipeline writes the block into the transformer, which others use after it.
            pipeline.transformer.register_to_config(num_frame_per_block=block)
    # A continued clip comes after the one that it continues, and begins with the overlap once more.
    dropped = len(before) + request.overlap if before else 0
    return take_frames(video)[dropped : dropped + request.frames]
