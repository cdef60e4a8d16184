"""Times of the nodes that run once a shot, for `frames`.

ComfyUI's modules are there and its device is fixed before this is imported; see `enable_comfy`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from custom_nodes.videogen.core.segment.camera_path import camera_path
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.segment.references import FIRST_FRAME_ANCHOR
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.nodes.frames.color_match import VideoGenColorMatch
from custom_nodes.videogen.nodes.frames.frame_noise import FrameNoise
from custom_nodes.videogen.nodes.frames.keyframe_motion import move_over_images
from custom_nodes.videogen.nodes.frames.location import VideoGenLocation
from custom_nodes.videogen.nodes.frames.upscale import VideoGenUpscale

from ..models.hidden_inputs import in_graph
from .random_upscaler import random_upscaler
from .shot_steps import ShotSteps

#: Frames of the film's size that the nodes for images are timed with.
FILM_FRAMES = 3


class NodeTime(NamedTuple):
    """Seconds that a node takes for so many frames of a size (width, height)."""

    node: str
    size: tuple[int, int]
    frames: int
    seconds: float


def time_nodes(steps: ShotSteps, rounds: int) -> Iterator[NodeTime]:
    """Every node of a shot but Apply Characters and Continuity, which have benchmarks of their own."""
    setup, own = steps.setup, (8 * steps.setup.side,) * 2
    story = {
        "title": "Bench",
        "fps": 8,
        "frames": 4,
        "size": list(setup.film),
        "segments": [{"prompt": "A tree.", "seed": 1}],
    }
    plan = plan_segment(parse_story(story), 1)
    for size, count in ((own, setup.frames), (setup.film, FILM_FRAMES)):
        for name, call in _frame_calls(size, count).items():
            yield NodeTime(name, size, count, _median(steps, call, rounds))
        yield NodeTime("Location (one picture)", size, 1, _median(steps, _location_call(plan, size), rounds))
    frames = _draw_frames(setup.frames, own)
    lanczos = _median(steps, lambda: VideoGenUpscale.execute(frames, "none", plan), rounds)
    yield NodeTime("Upscale (Lanczos)", own, len(frames), lanczos)
    few = _draw_frames(FILM_FRAMES if steps.device == "cuda" else 1, setup.upscaled)
    with random_upscaler(setup.upscaler) as model:
        taken = _median(steps, lambda: VideoGenUpscale.execute(few, model, plan), rounds)
    yield NodeTime("Upscale (RealESRGAN_x4plus's layers)", setup.upscaled, len(few), taken)


def _frame_calls(size: tuple[int, int], count: int) -> dict[str, Callable[[], Any]]:
    width, height = size
    latent = {"samples": torch.zeros(count, 4, height // 8, width // 8)}
    images, noise = _draw_frames(count, size), FrameNoise(1, 2, 0.35)

    def move(kind: str) -> Tensor:
        return move_over_images(images, lambda frames: camera_path(kind, 1.0, 0.25, frames))

    return {
        "Frame Noise": lambda: noise.generate_noise(latent),
        "Keyframe Motion (pan)": lambda: move("pan-left"),
        "Keyframe Motion (zoom)": lambda: move("zoom-in"),
        "Color Match (clamped)": lambda: VideoGenColorMatch.execute(images, FIRST_FRAME_ANCHOR, "clamped", 0.8),
    }


def _location_call(plan: SegmentPlan, size: tuple[int, int]) -> Callable[[], Any]:
    location, image = in_graph(VideoGenLocation, [0]), _draw_frames(1, (1920, 1080))
    return lambda: location.execute(plan, image, *size)


def _draw_frames(count: int, size: tuple[int, int]) -> Tensor:
    return torch.rand(count, size[1], size[0], 3, generator=torch.Generator().manual_seed(1))


def _median(steps: ShotSteps, call: Callable[[], Any], rounds: int) -> float:
    """Seconds, after a call that is not counted."""
    with torch.inference_mode():  # as ComfyUI runs its nodes
        call()
        return statistics.median(steps.time(call) for _ in range(rounds))
