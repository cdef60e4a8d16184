"""VideoGenFramePack: FramePack, F1 and with the inverted sampler."""

from __future__ import annotations

from fractions import Fraction

import torch
from comfy_api.latest import io

from ...comfyui.video_models.clip_inputs import (
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
from ...core.video.pipeline_frames import fit_clip
from ...core.widget_checks import check_choice, check_range
from ...pipelines.families import FRAMEPACK
from ...pipelines.framepack import FPS, INVERTED, SAMPLERS, FramePackRequest, plan_sections, render_framepack
from .cogvideox import describe_clip

#: A minute.
MAX_FRAMES = 1801
USUAL_FRAMES = 145
MAX_STEPS, MAX_WINDOW = 100, 32


class VideoGenFramePack(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenFramePack",
            display_name="FramePack",
            category="videogen/models",
            description="A clip of up to a minute from a picture, at 30 fps and in constant memory: section after section.",
            inputs=[
                pipeline_input(),
                io.Image.Input("image", tooltip="The first picture; cropped to the clip's shape."),
                *text_inputs(),
                frames_input(MAX_FRAMES, f"{USUAL_FRAMES}"),
                *side_inputs(832, 480, "A multiple of 16; the models were trained with areas of about 640 × 640."),
                io.Combo.Input(
                    "sampler",
                    options=list(SAMPLERS),
                    default=INVERTED,
                    tooltip="inverted anti-drifting begins at the end, with FramePackI2V_HY. F1 goes forward and moves more, with"
                    " FramePack_F1_I2V_HY_20250503. Each model needs its own.",
                ),
                steps_input(30, 1, MAX_STEPS),
                guidance_input(9.0, "Distilled guidance: how closely the clip follows the prompt."),
                io.Float.Input(
                    "true_guidance",
                    default=1.0,
                    min=1.0,
                    max=20.0,
                    step=0.1,
                    tooltip="Above 1 `negative` counts, and every step takes twice the time. 1: off.",
                ),
                io.Int.Input(
                    "latent_window_size",
                    default=9,
                    min=2,
                    max=MAX_WINDOW,
                    tooltip="Latent frames of a section: 9, as the models were trained. A section has 4 frames for each.",
                ),
                io.Image.Input(
                    "last_image", optional=True, tooltip="The picture that the clip ends with; inverted sampler only."
                ),
                segment_input(),
            ],
            outputs=[
                io.Image.Output("images", display_name="images"),
                io.Float.Output("fps", display_name="fps", tooltip="The rate that the frames are to be shown at."),
            ],
        )

    @classmethod
    def execute(
        cls,
        pipeline: VideoModel,
        image: torch.Tensor,
        prompt: str,
        negative: str,
        seed: int,
        frames: int,
        width: int,
        height: int,
        sampler: str,
        steps: int,
        guidance: float,
        true_guidance: float,
        latent_window_size: int,
        last_image: torch.Tensor | None = None,
        segment: SegmentPlan | None = None,
    ) -> io.NodeOutput:
        model = need_pipeline(pipeline, FRAMEPACK)
        check_choice("sampler", sampler, SAMPLERS)
        check_range("frames", frames, 0, MAX_FRAMES)
        check_range("steps", steps, 1, MAX_STEPS)
        check_range("guidance", guidance, 1, 20)
        check_range("true_guidance", true_guidance, 1, 20)
        check_range("latent_window_size", latent_window_size, 2, MAX_WINDOW)
        text = read_text(prompt, negative, seed, segment)
        clip = fit_clip(frames, Fraction(FPS), text.duration, USUAL_FRAMES, MAX_FRAMES)
        request = FramePackRequest(
            text.prompt,
            text.negative,
            text.seed,
            clip.frames,
            width,
            height,
            steps,
            guidance,
            sampler,
            latent_window_size,
            true_guidance,
        )
        plan_sections(request, has_last=last_image is not None)
        size = (width, height)
        first = to_pictures(image[:1], size, "image")[0]
        last = to_pictures(last_image[-1:], size, "last_image")[0] if last_image is not None else None
        images = render_on_device(
            model, lambda device, on_step: render_framepack(model.box, first, last, request, device, on_step)
        )
        return io.NodeOutput(images, float(clip.fps), ui=describe_clip(clip.note))


NODES = [VideoGenFramePack]
