"""VideoGenKeyframeMotion: the shot's camera moves over an image or a latent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.frames.image_device import find_device
from ...comfyui.frames.latents import check_latent
from ...comfyui.optional_outputs import make_if_linked
from ...comfyui.sockets import SegmentSocket, need_segment
from ...core.errors import VideoGenError
from ...core.segment.camera_path import BORDERS, MAX_REACH, View, camera_path
from ...core.segment.plan import SegmentPlan
from ...core.segment.shots import CAMERA_MOVES, Shot
from ...core.story.schema import MAX_FRAMES
from ...tensor.keyframe_motion import look_at
from ..film.film_output import check_images

#: The choice of `move` that takes the segment's own.
STORY_MOVE = "segment"


class VideoGenKeyframeMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenKeyframeMotion",
            display_name="Keyframe Motion",
            category="videogen/frames",
            description="Moves the camera over a picture or its latent as the shot says: pan, tilt, zoom, tracking.",
            inputs=[
                io.Combo.Input(
                    "move",
                    options=[STORY_MOVE, *CAMERA_MOVES],
                    default=STORY_MOVE,
                    tooltip="How the camera moves; `segment` takes it from the story (`technical`).",
                ),
                io.Float.Input(
                    "reach",
                    default=0.25,
                    min=0.0,
                    max=MAX_REACH,
                    step=0.01,
                    tooltip="How far the camera goes in the whole shot, as a share of the picture. A subtle or slow"
                    " move of the story"
                    " goes half as far.",
                ),
                io.Combo.Input(
                    "border",
                    options=list(BORDERS),
                    default=BORDERS[0],
                    tooltip="Beyond the picture's edge: mirror it there; or crop, so that the camera is close enough"
                    " never to see it.",
                ),
                io.Int.Input(
                    "frames",
                    default=24,
                    min=1,
                    max=MAX_FRAMES,
                    tooltip="How many frames are made of one picture, when no segment is connected.",
                ),
                SegmentSocket.Input(
                    "segment", optional=True, tooltip="Gives the move, how far it goes, and the number of frames."
                ),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="One picture, which becomes all frames; or frames, each where the camera is then.",
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="The same for a latent of a picture. Not for noise: it would lose its strength.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="images"),
                io.Latent.Output(display_name="latent"),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        move: str,
        reach: float,
        border: str,
        frames: int,
        segment: SegmentPlan | None = None,
        images: Tensor | None = None,
        latent: dict[str, Any] | None = None,
    ) -> io.NodeOutput:
        plan = need_segment(segment) if segment is not None else None
        if images is None and latent is None:
            raise VideoGenError(
                "frames-invalid", "neither `images` nor `latent` is connected, expected at least one of them"
            )
        shot = choose_shot(plan, move)
        wanted = plan.frames if plan is not None else frames

        def path(count: int) -> list[View]:
            return camera_path(shot.move, shot.amount, reach, wanted if count == 1 else count, border)

        return io.NodeOutput(
            make_if_linked(cls.hidden, 0, lambda: refuse("images"))
            if images is None
            else move_over_images(images, path),
            make_if_linked(cls.hidden, 1, lambda: refuse("latent"))
            if latent is None
            else move_over_latent(latent, path),
        )


def refuse(name: str) -> None:
    """Say that an output has nothing to carry.

    Raises:
        VideoGenError: `frames-invalid`.
    """
    raise VideoGenError("frames-invalid", f"Keyframe Motion has no `{name}` to give: `{name}` is not connected to it")


def choose_shot(plan: SegmentPlan | None, move: str) -> Shot:
    """The camera move: the story's, or the widget's at full amount.

    Raises:
        VideoGenError: `widget-invalid`, when `move` wants a segment and there is none.
    """
    if move != STORY_MOVE:
        return Shot(move=move, amount=1.0)
    if plan is None:
        raise VideoGenError(
            "widget-invalid", "`move` is 'segment', and no segment is connected", "Connect `segment`, or choose a move."
        )
    return plan.shot


def move_over_images(images: Tensor, path: Callable[[int], Sequence[View]]) -> Tensor:
    """Frames along a camera's path; (count, height, width, channels) like `images`, or as many as the path has.

    Where the camera stands still, the frames are the images, bit by bit.

    Raises:
        VideoGenError: `frames-invalid`.
    """
    check_images(images)
    return _move(images, path(len(images)), dims=(0, 1), limits=(0.0, 1.0))


def move_over_latent(latent: dict[str, Any], path: Callable[[int], Sequence[View]]) -> dict[str, Any]:
    """The same for a LATENT; its noise mask goes along.

    Raises:
        VideoGenError: `latent-invalid`.
    """
    samples = check_latent(latent)
    views = path(len(samples))
    moved = {**latent, "samples": _move(samples, views, dims=(-2, -1), limits=None)}
    if len(views) != len(samples):
        moved.pop("batch_index", None)
    mask = latent.get("noise_mask")
    if isinstance(mask, Tensor) and any(view != View() for view in views):
        moved["noise_mask"] = _move(mask, views, dims=(-2, -1), limits=(0.0, 1.0))
    return moved


def _move(source: Tensor, views: Sequence[View], dims: tuple[int, int], limits: tuple[float, float] | None) -> Tensor:
    """One frame after the other into one batch: a list of them to be stacked would hold everything twice."""
    if len(source) == len(views) and all(view == View() for view in views):
        return source
    frames = source.new_empty((len(views), *source.shape[1:]))
    device = find_device(frames)
    progress = comfy.utils.ProgressBar(len(views))
    for index, view in enumerate(views):
        comfy.model_management.throw_exception_if_processing_interrupted()
        frame = look_at(source[index if len(source) == len(views) else 0].to(device), view, dims)
        # The kernel overshoots at hard edges.
        frames[index] = frame if limits is None or view == View() else torch.clamp(frame, *limits)
        progress.update(1)
    return frames


NODES = [VideoGenKeyframeMotion]
