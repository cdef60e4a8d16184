"""VideoGenSkyReels: SkyReels V2 from a text, a picture, or the clip before."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
from comfy_api.latest import io

from ...comfyui.video_models.clip_inputs import (
    ClipText,
    frames_input,
    guidance_input,
    pipeline_input,
    read_text,
    segment_input,
    side_inputs,
    steps_input,
    text_inputs,
)
from ...comfyui.video_models.pictures import to_pictures
from ...comfyui.video_models.render import render_on_device
from ...comfyui.video_models.sockets import VideoModel, need_pipeline
from ...core.segment.plan import SegmentPlan
from ...core.video.pipeline_frames import ClipLength, fit_clip
from ...core.widget_checks import check_choice, check_range
from ...pipelines.skyreels import (
    MODELS,
    RESOLUTIONS,
    SkyReelsPictures,
    SkyReelsRequest,
    check_pictures,
    plan_clip,
    render_skyreels,
)
from .cogvideox import describe_clip

CUSTOM = "custom"
MIN_FRAMES, MAX_FRAMES = 16, 128
MIN_FPS, MAX_FPS = 8, 30
MIN_STEPS, MAX_STEPS = 10, 50
MAX_NOISE, MAX_ASYNC, MAX_BLOCK, MAX_OVERLAP = 60, 50, 32, 125
_CUSTOM_BASE = 97


class VideoGenSkyReels(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenSkyReels",
            display_name="SkyReels V2",
            category="videogen/models",
            description="A clip from a text, from a first picture, or as the continuation of a clip, 16 to 128 frames.",
            inputs=[
                pipeline_input(),
                *text_inputs(),
                frames_input(MAX_FRAMES, "97 at 540p and 121 at 720p"),
                io.Int.Input(
                    "fps",
                    default=24,
                    min=MIN_FPS,
                    max=MAX_FPS,
                    tooltip="Frames a second. The models were trained at 24; 16 they know as another rate.",
                ),
                io.Combo.Input(
                    "resolution",
                    options=[*RESOLUTIONS, CUSTOM],
                    default="540p",
                    tooltip="540p: 960 × 544. 720p: 1280 × 720. Upright for an upright film. custom: the size below. Take the one"
                    " in the model's name.",
                ),
                *side_inputs(960, 544, "Only with `resolution` at custom; a multiple of 16."),
                steps_input(50, MIN_STEPS, MAX_STEPS),
                guidance_input(6.0, "How closely the clip follows the prompt: 6 for text, 5 with a picture."),
                io.Int.Input(
                    "overlap_history",
                    default=17,
                    min=1,
                    max=MAX_OVERLAP,
                    step=4,
                    tooltip="Diffusion forcing: frames that a pass takes over from the one before, or from `video`. 17 or 37.",
                ),
                io.Int.Input(
                    "addnoise_condition",
                    default=20,
                    min=0,
                    max=MAX_NOISE,
                    tooltip="Diffusion forcing: noise on the frames taken over, which makes joints smoother. 20; at most 50.",
                ),
                io.Int.Input(
                    "ar_step",
                    default=0,
                    min=0,
                    max=MAX_ASYNC,
                    tooltip="Diffusion forcing: by how many steps a block lags behind the one before. 0: all at once. 5 with"
                    " blocks of 5 follows prompts better, and is slower.",
                ),
                io.Int.Input(
                    "causal_block_size",
                    default=1,
                    min=1,
                    max=MAX_BLOCK,
                    tooltip="Diffusion forcing: latent frames of a block. 1, or 5 with `ar_step` 5.",
                ),
                io.Image.Input("image", optional=True, tooltip="The first picture; cropped to the clip's shape."),
                io.Image.Input(
                    "last_image", optional=True, tooltip="The picture that the clip leads to. Diffusion forcing."
                ),
                io.Image.Input(
                    "video",
                    optional=True,
                    tooltip="A clip to be continued; its last `overlap_history` frames are used. Only new frames come out.",
                ),
                segment_input(),
                io.Int.Input(
                    "base_frames",
                    default=0,
                    min=0,
                    max=MAX_FRAMES + 1,
                    optional=True,
                    tooltip="Frames of one pass. 0: 97 at 540p, 121 at 720p. Fewer take less memory.",
                ),
            ],
            outputs=[
                io.Image.Output("images", display_name="images"),
                io.Float.Output(
                    "fps_shown", display_name="fps", tooltip="The rate that the frames are to be shown at."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        pipeline: VideoModel,
        prompt: str,
        negative: str,
        seed: int,
        frames: int,
        fps: int,
        resolution: str,
        width: int,
        height: int,
        steps: int,
        guidance: float,
        image: torch.Tensor | None = None,
        last_image: torch.Tensor | None = None,
        video: torch.Tensor | None = None,
        segment: SegmentPlan | None = None,
        base_frames: int = 0,
        **forcing: Any,
    ) -> io.NodeOutput:
        model = need_pipeline(pipeline, *MODELS)
        check_choice("resolution", resolution, (*RESOLUTIONS, CUSTOM))
        check_numbers(frames, fps, steps, guidance, forcing)
        text = read_text(prompt, negative, seed, segment)
        (width, height), base = choose_size(resolution, (width, height), base_frames, text.portrait)
        clip, made_for = choose_length(frames, fps, text, base)
        request = SkyReelsRequest(
            text.prompt,
            text.negative,
            text.seed,
            clip.frames,
            width,
            height,
            base,
            made_for,
            steps,
            guidance,
            int(forcing["overlap_history"]),
            int(forcing["addnoise_condition"]),
            int(forcing["ar_step"]),
            int(forcing["causal_block_size"]),
        )
        pictures = read_pictures((width, height), request.overlap, image, last_image, video)
        family = model.box.request.family
        check_pictures(family, pictures, request)
        plan_clip(family, pictures, request)  # before gigabytes are loaded
        images = render_on_device(
            model, lambda device, on_step: render_skyreels(model.box, pictures, request, device, on_step)
        )
        return io.NodeOutput(images, float(clip.fps), ui=describe_clip(clip.note))


def check_numbers(frames: int, fps: int, steps: int, guidance: float, forcing: dict[str, Any]) -> None:
    """Check the widgets, which ComfyUI does not.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    if frames:
        check_range("frames", frames, MIN_FRAMES, MAX_FRAMES)
    check_range("fps", fps, MIN_FPS, MAX_FPS)
    check_range("steps", steps, MIN_STEPS, MAX_STEPS)
    check_range("guidance", guidance, 1, 20)
    check_range("overlap_history", forcing["overlap_history"], 1, MAX_OVERLAP)
    check_range("addnoise_condition", forcing["addnoise_condition"], 0, MAX_NOISE)
    check_range("ar_step", forcing["ar_step"], 0, MAX_ASYNC)
    check_range("causal_block_size", forcing["causal_block_size"], 1, MAX_BLOCK)


def choose_size(
    resolution: str, custom: tuple[int, int], base_frames: int, portrait: bool | None
) -> tuple[tuple[int, int], int]:
    """Width and height, and the frames of one pass."""
    size, base = (custom, _CUSTOM_BASE) if resolution == CUSTOM else RESOLUTIONS[resolution]
    if portrait and resolution != CUSTOM:
        size = (size[1], size[0])
    return size, base_frames or base


def choose_length(frames: int, fps: int, text: ClipText, usual: int) -> tuple[ClipLength, int]:
    """The clip's length, and the rate that its motion is made for: a long segment's frames are shown more slowly.

    With a number of the user's own it may be one of several clips of the segment: then the rate is the widget's.
    """
    clip = fit_clip(frames, Fraction(fps), text.duration, min(usual, MAX_FRAMES), MAX_FRAMES)
    return clip, fps if frames else max(1, round(clip.fps))


def read_pictures(size: tuple[int, int], overlap: int, first: Any, last: Any, before: Any) -> SkyReelsPictures:
    """The connected pictures, in the clip's size; of a clip only the frames that are used."""
    return SkyReelsPictures(
        to_pictures(first[:1], size, "image")[0] if first is not None else None,
        to_pictures(last[-1:], size, "last_image")[0] if last is not None else None,
        tuple(to_pictures(before[-overlap:], size, "video")) if before is not None else (),
    )


NODES = [VideoGenSkyReels]
