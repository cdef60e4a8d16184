"""VideoGenFrameNoise: correlated noise for the frames of one shot."""

from __future__ import annotations

import math
from typing import Any

import comfy.sample
import torch
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.frames.latents import check_latent
from ...comfyui.optional_outputs import make_if_linked
from ...comfyui.sockets import SegmentSocket, need_segment
from ...comfyui.widgets import frames_input
from ...core.errors import VideoGenError
from ...core.segment.frame_seeds import ANCHORS, anchor_seed
from ...core.segment.plan import SegmentPlan
from ...core.story.schema import MAX_FRAMES, MAX_SEED
from ...core.video.render_size import LATENT_PIXELS, round_to_multiple
from ...tensor.frame_noise import make_frame_noise

#: Channels of an empty latent; ComfyUI changes them to the model's.
LATENT_CHANNELS = 4


class VideoGenFrameNoise(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenFrameNoise",
            display_name="Frame Noise",
            category="videogen/frames",
            description="Noise for a shot's frames, correlated from frame to frame by an adjustable amount.",
            inputs=[
                io.Float.Input(
                    "drift",
                    default=0.35,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="0: all frames have the same noise, so hardly anything moves. 1: independent noise, as without"
                    " this node. 0.35: neighboring frames correlate by 0.96.",
                ),
                io.Combo.Input(
                    "anchor",
                    options=list(ANCHORS),
                    default=ANCHORS[0],
                    tooltip="Seed of the part that all frames share: the segment's, or its location's, which all shots of"
                    " the place share.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=True,
                    tooltip="Used when no segment is connected; otherwise the segment's seed is used.",
                ),
                frames_input("Number of frames of `latent` when no segment is connected."),
                SegmentSocket.Input(
                    "segment", optional=True, tooltip="Sets the seed, the number of frames and the size."
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="The start: an empty latent of the render size, or encoded pictures (image to image). A single"
                    " one is repeated for all frames.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="Only for KSampler (Advanced): adds the noise to `latent`, at this model's starting strength.",
                ),
                io.Sigmas.Input(
                    "sigmas",
                    optional=True,
                    tooltip="Only for a KSampler (Advanced) that starts after step 0: the noise strength is the first of"
                    " these.",
                ),
            ],
            outputs=[
                io.Noise.Output("noise", display_name="noise", tooltip="For SamplerCustomAdvanced."),
                io.Latent.Output(
                    display_name="latent",
                    tooltip="The frames to start from. With `model`: including the noise, for KSampler (Advanced) with"
                    " add_noise off.",
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        drift: float,
        anchor: str,
        seed: int,
        frames: int,
        segment: SegmentPlan | None = None,
        latent: dict[str, Any] | None = None,
        model: Any = None,
        sigmas: Tensor | None = None,
    ) -> io.NodeOutput:
        plan = need_segment(segment) if segment is not None else None
        if plan is not None:
            seed, frames = plan.seed, plan.frames
        noise = FrameNoise(seed, anchor_seed(plan, anchor) if plan is not None else seed, drift)

        def make_batch() -> dict[str, Any]:
            batch = start_batch(plan, latent, frames)
            return batch if model is None else add_noise(model, batch, noise, sigmas)

        return io.NodeOutput(noise, make_if_linked(cls.hidden, 1, make_batch))


class FrameNoise:
    """The value of a NOISE socket, with the interface of ComfyUI's own.

    Attributes:
        seed: of the shot; samplers that add noise in every step use it too.
    """

    def __init__(self, seed: int, anchor: int, drift: float) -> None:
        self.seed, self.anchor, self.drift = seed, anchor, drift

    def generate_noise(self, input_latent: dict[str, Any]) -> Tensor:
        """Noise for the rows of a LATENT, in its shape and type, on the CPU.

        Row n is frame n, unless `batch_index` says otherwise, as it does after Latent From Batch.

        Raises:
            VideoGenError: `latent-invalid`.
        """
        samples = check_latent(input_latent, "latent_image")
        frames = [int(frame) for frame in input_latent.get("batch_index", range(len(samples)))]
        if len(frames) != len(samples) or min(frames) < 0 or max(frames) >= MAX_FRAMES:
            raise VideoGenError(
                "latent-invalid",
                f"`batch_index` names {len(frames)} frames from {min(frames, default=0)} to {max(frames, default=0)} for"
                f" {len(samples)} rows, expected a frame from 0 to {MAX_FRAMES - 1} for each row",
            )
        noise = make_frame_noise(samples.shape[1:], frames, seed=self.seed, anchor_seed=self.anchor, drift=self.drift)
        return noise.to(samples.dtype)


def start_batch(plan: SegmentPlan | None, latent: Any, frames: int) -> dict[str, Any]:
    """The latent that a shot's frames start from: the connected one, else an empty one of the segment's size.

    Raises:
        VideoGenError: `latent-invalid`.
    """
    if latent is not None:
        if plan is not None:
            check_frame_count(latent, plan)
        return repeat_latent(latent, frames)
    if plan is None:
        raise VideoGenError(
            "latent-invalid", "Frame Noise has no `latent` to output: neither `segment` nor `latent` is connected to it"
        )
    return empty_batch(plan.size, frames)


def empty_batch(size: tuple[int, int], frames: int) -> dict[str, Any]:
    """An empty LATENT for frames of about this size (width, height); see `round_to_multiple`."""
    width, height = (side // LATENT_PIXELS for side in round_to_multiple(size))
    return {"samples": torch.zeros(frames, LATENT_CHANNELS, height, width)}


def check_frame_count(latent: Any, plan: SegmentPlan) -> None:
    """Refuse a batch that is neither one image nor the segment's frames: the result would be stretched over the segment's
    duration. A part of the frames has a `batch_index` with their numbers, as after Latent From Batch.

    Raises:
        VideoGenError: `latent-invalid`.
    """
    count = len(check_latent(latent))
    if count not in (1, plan.frames) and "batch_index" not in latent:
        raise VideoGenError(
            "latent-invalid",
            f"`latent` has {count} frames and segment {plan.number} has {plan.frames}: set the `batch_size` of the latent to 1,"
            f" which Frame Noise repeats for all frames, or to {plan.frames}",
        )


def repeat_latent(latent: Any, frames: int) -> dict[str, Any]:
    """Repeat the LATENT of a single image for all frames, with its noise mask; one of several frames is returned as it is.

    Raises:
        VideoGenError: `latent-invalid`.
    """
    samples = check_latent(latent)
    if len(samples) != 1 or frames == 1:
        return latent
    batch = {**latent, "samples": samples.repeat(frames, 1, 1, 1)}
    batch.pop("batch_index", None)
    return batch


def add_noise(model: Any, latent: dict[str, Any], noise: FrameNoise, sigmas: Tensor | None = None) -> dict[str, Any]:
    """Add noise to a LATENT, so that a sampler with `add_noise` off starts as if it had added `noise` itself.

    KSampler (Advanced) with `add_noise` off scales the latent as the model expects it, and starts. So here the noise is
    added on the model's side of that scale, as strong as ComfyUI adds it: with the model's largest sigma, or the first of
    `sigmas`. Plain KSampler always adds its own noise and cannot be used.

    Raises:
        VideoGenError: `model-unsupported` for models that mix noise and image instead of adding them (flow: Flux, SD 3).
    """
    sampling = model.get_model_object("model_sampling")
    largest = float(sampling.sigma_max)
    sigma = largest if sigmas is None or len(sigmas) == 0 else float(sigmas[0])
    one = torch.ones(1, 1, 1, 1)
    if not torch.equal(sampling.noise_scaling(torch.tensor([sigma]), torch.zeros_like(one), one.clone(), True), one):
        raise VideoGenError(
            "model-unsupported",
            "Frame Noise can add noise to a latent for models that add it (SD 1.5, SD 2.x, SDXL, SDXL-Turbo); this model"
            f" is {type(model.model.model_config).__name__}, which mixes noise and picture",
            "Disconnect `model`, and use `noise` with SamplerCustomAdvanced.",
        )
    # Only the samplers change an empty latent to the model's channels.
    samples = comfy.sample.fix_empty_latent_channels(model, check_latent(latent))
    noisy = noise.generate_noise({**latent, "samples": samples}).float()
    start = samples.float()
    if torch.count_nonzero(start) > 0:
        start = model.get_model_object("process_latent_in")(start)
    # The same rule as ComfyUI's samplers have: at full strength SD's noise is a little stronger than sigma.
    full = sigma > largest or math.isclose(sigma, largest, rel_tol=1e-5)
    noisy = sampling.noise_scaling(torch.tensor([sigma]), noisy, start, full)
    return {**latent, "samples": model.get_model_object("process_latent_out")(noisy)}


NODES = [VideoGenFrameNoise]
