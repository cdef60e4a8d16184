"""VideoGenCogVideoXI2V: CogVideoX image to video."""

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
from ...comfyui.video_models.model_folders import NO_LORA, find_lora, list_loras
from ...comfyui.video_models.pictures import to_pictures
from ...comfyui.video_models.render import render_on_device
from ...comfyui.video_models.sockets import VideoModel, need_pipeline
from ...core.segment.plan import SegmentPlan
from ...core.video.pipeline_frames import fit_clip
from ...core.widget_checks import check_choice, check_range
from ...pipelines.cogvideox import (
    DPM,
    OWN,
    SCHEDULERS,
    CogVideoXRequest,
    check_size,
    read_limits,
    render_cogvideox,
)
from ...pipelines.families import COGVIDEOX

FULL, OPTIMIZED = MODES = ("full", "optimized")
#: Steps of the optimized mode, at most.
OPTIMIZED_STEPS = 25
MAX_FRAMES = 161
MAX_STRENGTH = 10.0


class VideoGenCogVideoXI2V(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenCogVideoXI2V",
            display_name="CogVideoX Image to Video",
            category="videogen/models",
            description="A clip that begins with a picture: 49 frames of 720 × 480 at 8 fps with CogVideoX-5b-I2V.",
            inputs=[
                pipeline_input(),
                io.Image.Input("image", tooltip="The first picture; cropped to the clip's shape."),
                *text_inputs(),
                frames_input(MAX_FRAMES, "49 (81 with CogVideoX 1.5)"),
                *side_inputs(720, 480, "CogVideoX-5b-I2V makes 720 × 480 only, CogVideoX 1.5 multiples of 16."),
                io.Combo.Input(
                    "mode",
                    options=list(MODES),
                    default=FULL,
                    tooltip=f"optimized: at most {OPTIMIZED_STEPS} steps, with the DPM++ scheduler unless another one is chosen,"
                    " and guidance that grows from step to step.",
                ),
                steps_input(50, 1, 200),
                guidance_input(6.0),
                io.Combo.Input(
                    "scheduler",
                    options=list(SCHEDULERS),
                    default=OWN,
                    tooltip="DPM++ needs fewer steps than DDIM.",
                ),
                io.Combo.Input(
                    "lora",
                    options=list_loras(),
                    default=NO_LORA,
                    tooltip="A LoRA for CogVideoX from models/loras (.safetensors).",
                ),
                io.Float.Input(
                    "lora_strength",
                    default=1.0,
                    min=-MAX_STRENGTH,
                    max=MAX_STRENGTH,
                    step=0.05,
                    tooltip="1: as it was trained. 0: without it.",
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
        mode: str,
        steps: int,
        guidance: float,
        scheduler: str,
        lora: str,
        lora_strength: float,
        segment: SegmentPlan | None = None,
    ) -> io.NodeOutput:
        model = need_pipeline(pipeline, COGVIDEOX)
        check_choice("mode", mode, MODES)
        check_choice("scheduler", scheduler, SCHEDULERS)
        check_range("frames", frames, 0, MAX_FRAMES)
        check_range("steps", steps, 1, 200)
        check_range("guidance", guidance, 1, 20)
        check_range("lora_strength", lora_strength, -MAX_STRENGTH, MAX_STRENGTH)
        text = read_text(prompt, negative, seed, segment)
        limits = read_limits(model.box.read_config("transformer"))
        check_size(limits, width, height)
        usual = limits.most if limits.fixed else 81
        clip = fit_clip(frames, Fraction(limits.fps), text.duration, usual, limits.most)
        fast = mode == OPTIMIZED
        request = CogVideoXRequest(
            text.prompt,
            text.negative,
            text.seed,
            clip.frames,
            width,
            height,
            min(steps, OPTIMIZED_STEPS) if fast else steps,
            guidance,
            DPM if fast and scheduler == OWN else scheduler,
            fast,
            find_lora(lora, lora_strength),
        )
        (picture, *_) = to_pictures(image[:1], (width, height), "image")
        images = render_on_device(
            model, lambda device, on_step: render_cogvideox(model.box, picture, request, device, on_step)
        )
        return io.NodeOutput(images, float(clip.fps), ui=describe_clip(clip.note))


def describe_clip(note: str) -> dict[str, list[dict[str, object]]] | None:
    """What the node shows of a clip that is unusual."""
    return {"videogen": [{"title": "Clip", "report": [note]}]} if note else None


NODES = [VideoGenCogVideoXI2V]
