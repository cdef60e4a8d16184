"""VideoGenColorMatch: match the colors of all frames to a reference."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.cast_images import files_read
from ...comfyui.frames.frame_tensors import check_frames, clip_frames, require_finite_frames
from ...comfyui.frames.image_device import find_device
from ...comfyui.frames.mask_check import check_mask, require_mask_count
from ...comfyui.location_image import read_location
from ...comfyui.sockets import SegmentSocket, need_segment
from ...core.errors import VideoGenError
from ...core.segment.plan import SegmentPlan
from ...core.segment.references import AVERAGE, FIRST_FRAME_ANCHOR, REFERENCE, REFERENCE_OR_FIRST
from ...tensor.color_match import (
    METHODS,
    ColorStats,
    average_stats,
    is_visible,
    join_weights,
    match_colors,
    measure_colors,
    read_lab,
)

log = logging.getLogger(__name__)


class VideoGenColorMatch(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenColorMatch",
            display_name="Color Match",
            category="videogen/frames",
            description="Matches the colors and exposure of all frames to one picture, against drift and jumps at cuts.",
            inputs=[
                io.Image.Input("images"),
                io.Combo.Input(
                    "anchor",
                    options=[REFERENCE_OR_FIRST, REFERENCE, FIRST_FRAME_ANCHOR, AVERAGE],
                    default=REFERENCE_OR_FIRST,
                    tooltip="Which colors to match: those of the reference (`reference`, or the picture of the segment's"
                    " location), of the first frame, or the average of all frames.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default="clamped",
                    tooltip="clamped: limited corrections, for a reference with other content. mean and spread: unlimited."
                    " covariance: unlimited, all channels together, for a reference with the same content.",
                ),
                io.Float.Input(
                    "strength",
                    default=0.8,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="0: the frames are unchanged. 1: matched fully.",
                ),
                io.Image.Input("reference", optional=True, tooltip="One picture, or several, which are averaged."),
                SegmentSocket.Input(
                    "segment",
                    optional=True,
                    tooltip="Its location's picture is the reference when `reference` is not connected.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White where colors are measured, such as the background; one, or one per frame. The whole"
                    " frame is changed.",
                ),
            ],
            outputs=[io.Image.Output(display_name="images")],
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> int:
        return files_read.count_changes()

    @classmethod
    def execute(
        cls,
        images: Tensor,
        anchor: str,
        method: str,
        strength: float,
        reference: Tensor | None = None,
        segment: SegmentPlan | None = None,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        check_frames(images)
        require_finite_frames(images, "images")
        images = clip_frames(images)
        if strength <= 0:
            return io.NodeOutput(images)
        masks = resize_masks(check_mask(mask), images) if mask is not None else None
        goal_images = find_reference(reference, segment, anchor) if anchor in (REFERENCE_OR_FIRST, REFERENCE) else None
        if goal_images is not None:
            goal = average_stats(measure_reference(goal_images))
        else:
            seen = [index for index in range(len(images)) if shows_anything(images[index])]
            if not seen:
                return io.NodeOutput(images)
            goal = average_stats(measure_images(images, masks, seen if anchor == AVERAGE else seen[:1]))
        # The first frame that shows anything is the reference itself.
        kept = seen[0] + 1 if goal_images is None and anchor != AVERAGE else 0
        result = torch.empty_like(images)
        result[:kept] = images[:kept]
        progress = comfy.utils.ProgressBar(len(images) - kept)
        rest = masks if masks is None or len(masks) == 1 else masks[kept:]
        try:
            frames = match_colors(images[kept:], goal, METHODS[method], strength, rest, kept + 1, find_device(images))
            for index, frame in enumerate(frames, kept):
                comfy.model_management.throw_exception_if_processing_interrupted()
                result[index] = frame
                progress.update(1)
        except ValueError as error:
            raise VideoGenError(
                "mask-invalid", f"`mask`: {error}", "Paint white where colors are to be measured."
            ) from None
        return io.NodeOutput(result)


def find_reference(reference: Tensor | None, segment: SegmentPlan | None, anchor: str = REFERENCE) -> Tensor | None:
    """The images to match; None where `anchor` falls back to the first frame.

    Raises:
        VideoGenError: `reference-missing`, when `anchor` requires an image, and neither input has one.
    """
    if reference is not None:
        check_frames(reference)
        require_finite_frames(reference, "reference")
        return reference
    if segment is None:
        if anchor == REFERENCE_OR_FIRST:
            return None
        raise VideoGenError(
            "reference-missing",
            "`anchor` is 'reference', and neither `reference` nor `segment` is connected",
            "Connect one of them, or choose 'first frame'.",
        )
    try:
        return read_location(need_segment(segment))[None]
    except VideoGenError as error:
        if error.code != "reference-missing" or anchor != REFERENCE_OR_FIRST:
            raise
        log.info("matching the first frame's colors: %s", error.message)
        return None


def shows_anything(image: Tensor) -> bool:
    """Whether a frame (height, width, channels) is not transparent everywhere."""
    return is_visible(image[..., 3] if image.shape[-1] == 4 else None)


def measure_images(images: Tensor, masks: Tensor | None, indexes: Sequence[int]) -> list[ColorStats]:
    """Measure the colors of some frames, each of which shows something.

    Raises:
        VideoGenError: `mask-invalid`, when the mask leaves nothing of one of them.
    """
    every = []
    for index in indexes:
        lab, alpha = read_lab(images[index], find_device(images))
        stats = measure_colors(lab, join_weights(masks, alpha, index))
        if stats is None:
            raise VideoGenError(
                "mask-invalid",
                f"nothing of picture {index + 1} of `images` can be measured: its mask is black"
                + ("" if alpha is None else ", or white only where the picture is transparent"),
                "Paint white where colors are to be measured.",
            )
        every.append(stats)
    return every


def measure_reference(images: Tensor) -> list[ColorStats]:
    """Measure the colors of the reference pictures that show anything.

    Raises:
        VideoGenError: `image-invalid`, when all of them are fully transparent.
    """
    stats = (measure_colors(*read_lab(image, find_device(images))) for image in images)
    found = [one for one in stats if one is not None]
    if not found:
        raise VideoGenError(
            "image-invalid", "the picture on `reference` is fully transparent", "Choose a picture that shows something."
        )
    return found


def resize_masks(masks: Tensor, images: Tensor) -> Tensor:
    """Resize masks, one or one per frame, to the frames' size.

    Raises:
        VideoGenError: `mask-invalid` for another number of masks.
    """
    require_mask_count(masks, len(images))
    if masks.shape[1:] == images.shape[1:3]:
        return masks
    return torch.nn.functional.interpolate(
        masks[:, None], tuple(images.shape[1:3]), mode="bilinear", align_corners=False
    )[:, 0]


NODES = [VideoGenColorMatch]
