"""VideoGenKeyframeMotion: move the shot's camera over an image or a latent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.frames.frame_tensors import check_frames, clip_frames
from ...comfyui.frames.image_device import find_device
from ...comfyui.frames.latents import check_latent
from ...comfyui.optional_outputs import make_if_linked
from ...comfyui.sockets import SegmentSocket, need_segment
from ...comfyui.widgets import frames_input
from ...core.errors import VideoGenError
from ...core.segment.camera_path import BORDERS, MAX_REACH, View, camera_path
from ...core.segment.plan import SegmentPlan
from ...core.segment.shots import CAMERA_MOVES, Shot
from ...tensor.keyframe_motion import look_at

#: A pan that is clearly visible, from images that `crop` enlarges by a fifth for it. The workflows that ship have the same
#: values: `crop`, because mirrored edges show on finished frames.
DEFAULT_REACH, DEFAULT_BORDER = 0.2, "crop"
#: The choice of `move` that uses the segment's own.
STORY_MOVE = "segment"


class VideoGenKeyframeMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenKeyframeMotion",
            display_name="Keyframe Motion",
            category="videogen/frames",
            description="Moves the camera over a picture or its latent as in the story's shot: pan, tilt, zoom, tracking.",
            inputs=[
                io.Combo.Input(
                    "move",
                    options=[STORY_MOVE, *CAMERA_MOVES],
                    default=STORY_MOVE,
                    tooltip="The camera move; `segment`: the one in the story (`technical`).",
                ),
                io.Float.Input(
                    "reach",
                    default=DEFAULT_REACH,
                    min=0.0,
                    max=MAX_REACH,
                    step=0.01,
                    tooltip="Distance of the camera move in the whole shot, as a share of the picture. A subtle or slow move"
                    " of the story goes half as far.",
                ),
                io.Combo.Input(
                    "border",
                    options=list(BORDERS),
                    default=DEFAULT_BORDER,
                    tooltip="mirror: the picture is mirrored beyond its edge. crop: the picture is enlarged, so that the"
                    " camera never reaches the edge.",
                ),
                frames_input("Number of frames made from one picture, when no segment is connected."),
                SegmentSocket.Input(
                    "segment", optional=True, tooltip="Sets the move, its distance, and the number of frames."
                ),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="One picture, from which all frames are made; or the frames, each moved to its camera position.",
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="The same for a picture's latent. Not for noise, which would lose its strength.",
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
    """Refuse an output whose input is not connected.

    Raises:
        VideoGenError: `frames-invalid`.
    """
    raise VideoGenError(
        "frames-invalid", f"Keyframe Motion has no `{name}` to output: the input `{name}` is not connected"
    )


def choose_shot(plan: SegmentPlan | None, move: str) -> Shot:
    """The camera move: the story's, or the widget's at full amount.

    Raises:
        VideoGenError: `widget-invalid`, when `move` is "segment" and none is connected.
    """
    if move != STORY_MOVE:
        return Shot(move=move, amount=1.0)
    if plan is None:
        raise VideoGenError(
            "widget-invalid", "`move` is 'segment', and no segment is connected", "Connect `segment`, or choose a move."
        )
    return plan.shot


def move_over_images(images: Tensor, path: Callable[[int], Sequence[View]]) -> Tensor:
    """Frames along a camera path: (count, height, width, channels), as many as `images`, or as the path has for one image.

    For a static camera, the frames are the images, bit by bit. Values beyond 0…1 are clipped, with or without a move.

    Raises:
        VideoGenError: `frames-invalid`.
    """
    check_frames(images)
    return _move(clip_frames(images), path(len(images)), dims=(0, 1), limits=(0.0, 1.0))


def move_over_latent(latent: dict[str, Any], path: Callable[[int], Sequence[View]]) -> dict[str, Any]:
    """`move_over_images` for a LATENT; its noise mask moves too.

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
    """Move frame by frame into one batch: a list to be stacked would hold every frame twice."""
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
