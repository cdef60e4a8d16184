"""VideoGenLocation and VideoGenColorMatch: where a shot plays, and colors that stay the same in it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import torch
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.cast_images import files_read, look_up
from ...comfyui.frames.image_device import find_device
from ...comfyui.frames.mask_check import check_mask, require_mask_count
from ...comfyui.frames.resizing import resize_lanczos
from ...comfyui.optional_outputs import make_if_linked
from ...comfyui.sockets import SegmentSocket, need_segment
from ...core.errors import VideoGenError
from ...core.segment.frame_seeds import entity_seed
from ...core.segment.location_prompt import describe_location
from ...core.segment.plan import SegmentPlan
from ...core.segment.references import (
    AVERAGE,
    FIRST_FRAME_ANCHOR,
    REFERENCE,
    REFERENCE_OR_FIRST,
    missing_image,
    reference_names,
)
from ...core.video.render_size import fit_cover, round_to_multiple
from ...media.images.image_files import read_reference_image
from ...tensor.color_match import (
    METHODS,
    ColorStats,
    average_stats,
    join_weights,
    match_colors,
    measure_colors,
    read_lab,
)
from ..film.film_output import check_images

log = logging.getLogger(__name__)


class VideoGenLocation(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenLocation",
            display_name="Location",
            category="videogen/frames",
            description="Where a segment plays: its reference picture in the frames' size, its light in words, its"
            " seed.",
            inputs=[
                SegmentSocket.Input("segment"),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="A picture of the place, instead of the story's. Of several the first counts.",
                ),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=8192,
                    optional=True,
                    tooltip="Width of `image`, such as Render Size gives it. 0: the segment's. The nearest multiple"
                    " of 8 counts.",
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=8192, optional=True, tooltip="Height of `image`, in the same way."
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="For VAE Encode (image to image) or a ControlNet."),
                io.String.Output(
                    "prompt", display_name="prompt", tooltip="The place and its light, without anybody in it."
                ),
                io.Int.Output("seed", display_name="seed"),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> int:
        return files_read.count_changes()  # the segment, and with it the image's name, is not known yet

    @classmethod
    def execute(
        cls, segment: SegmentPlan, image: Tensor | None = None, width: int = 0, height: int = 0
    ) -> io.NodeOutput:
        plan = need_segment(segment)
        size = round_to_multiple((width or plan.size[0], height or plan.size[1]))

        def make_image() -> Tensor:
            return fit_image(read_location(plan) if image is None else first_image(image), size)

        # Prompt and seed are of use without an image.
        start = make_if_linked(cls.hidden, 0, make_image)
        seed = plan.seed if plan.location is None else entity_seed(plan.location, plan.slug)
        return io.NodeOutput(start, describe_location(plan), seed)


class VideoGenColorMatch(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenColorMatch",
            display_name="Color Match",
            category="videogen/frames",
            description="Gives all frames the colors and the exposure of one picture, so that nothing drifts and no"
            " cut shows.",
            inputs=[
                io.Image.Input("images"),
                io.Combo.Input(
                    "anchor",
                    options=[REFERENCE_OR_FIRST, REFERENCE, FIRST_FRAME_ANCHOR, AVERAGE],
                    default=REFERENCE_OR_FIRST,
                    tooltip="Whose colors count: the reference (`reference`, or the picture of the segment's"
                    " location), the first frame,"
                    " or the average of all frames.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default="clamped",
                    tooltip="clamped: small corrections only, right when the reference shows something else. mean and"
                    " spread: any. "
                    "covariance: any, and all colors together, right when it shows the same.",
                ),
                io.Float.Input(
                    "strength",
                    default=0.8,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="0: the frames as they are. 1: all the way.",
                ),
                io.Image.Input("reference", optional=True, tooltip="One picture, or several: their average counts."),
                SegmentSocket.Input(
                    "segment", optional=True, tooltip="Its location's picture is the reference when none is connected."
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White where colors are compared, such as the background; one, or one a frame. All of a"
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
        check_images(images)
        if strength <= 0:
            return io.NodeOutput(images)
        masks = match_size(check_mask(mask), images) if mask is not None else None
        check_numbers(images, "images")
        goal_images = find_reference(reference, segment, anchor) if anchor in (REFERENCE_OR_FIRST, REFERENCE) else None
        if goal_images is not None:
            goal = average_stats(measure(goal_images, None, "reference"))
        else:
            goal = average_stats(measure(images if anchor == AVERAGE else images[:1], masks, "images"))
        # The first frame is the reference itself.
        kept = 1 if goal_images is None and anchor != AVERAGE else 0
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
                "mask-invalid", f"`mask`: {error}", "Paint white where colors are to be compared."
            ) from None
        return io.NodeOutput(result)


# ------------------------------------------------------------------ the place


def read_location(plan: SegmentPlan) -> Tensor:
    """The reference image of a segment's location, (height, width, 3), out of ComfyUI's input folder.

    Of several the first that is there.

    Raises:
        VideoGenError: `reference-missing`, and `image-invalid` for a file that cannot be used.
    """
    if plan.location is None:
        raise VideoGenError(
            "reference-missing",
            f"segment {plan.number} has no location, so there is no picture of it",
            "Add it to `segments` of a location in the story, or connect a picture.",
        )
    folder = Path(folder_paths.get_input_directory())
    names = reference_names(plan.slug, plan.location)
    for name in names:
        path = look_up(folder, name)
        if path is not None:
            return torch.from_numpy(read_reference_image(path, name).rgb)
    raise VideoGenError(
        "reference-missing",
        str(missing_image(plan.location, names[0])),
        "Put a picture of that name there, or connect one.",
    )


def first_image(images: Tensor) -> Tensor:
    """(height, width, 3), of a batch of images.

    Raises:
        VideoGenError: `frames-invalid`.
    """
    check_images(images)
    check_numbers(images[:1], "image")
    image = images[0]
    return image.expand(-1, -1, 3) if image.shape[-1] == 1 else image[..., :3]


def fit_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """An image as an IMAGE of this size (width, height): its middle part in that shape, (1, height, width, 3)."""
    height, width = image.shape[:2]
    return resize_lanczos(image, size, fit_cover((width, height), size))[None]


# ------------------------------------------------------------------ colors


def find_reference(reference: Tensor | None, segment: SegmentPlan | None, anchor: str = REFERENCE) -> Tensor | None:
    """The images whose colors count; None where `anchor` can do without.

    Raises:
        VideoGenError: `reference-missing`, when there is neither an image nor a location with one and there has to be.
    """
    if reference is not None:
        check_images(reference)
        check_numbers(reference, "reference")
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
        log.info("the first frame's colors count: %s", error.message)
        return None


def measure(images: Tensor, masks: Tensor | None, name: str) -> list[ColorStats]:
    """The colors of each image.

    Raises:
        VideoGenError: `mask-invalid`, when nothing of an image counts.
    """
    every = []
    for index, image in enumerate(images):
        lab, alpha = read_lab(image, find_device(images))
        stats = measure_colors(lab, join_weights(masks, alpha, index))
        if stats is None:
            raise VideoGenError(
                "mask-invalid",
                f"nothing of picture {index + 1} of `{name}` can be measured: its mask is black, or it is transparent",
            )
        every.append(stats)
    return every


def check_numbers(images: Tensor, name: str) -> None:
    """Refuse values that are not numbers, one frame at a time.

    Raises:
        VideoGenError: `frames-invalid`.
    """
    for index, image in enumerate(images):
        if not torch.isfinite(image).all():
            raise VideoGenError(
                "frames-invalid",
                f"frame {index + 1} of `{name}` has values that are not numbers (NaN or infinite)",
                "The usual reason is a VAE in half precision: start ComfyUI with --fp32-vae.",
            )


def match_size(masks: Tensor, images: Tensor) -> Tensor:
    """Masks, one or one a frame, in the frames' size.

    Raises:
        VideoGenError: `mask-invalid` for another number of masks.
    """
    require_mask_count(masks, len(images))
    if masks.shape[1:] == images.shape[1:3]:
        return masks
    return torch.nn.functional.interpolate(
        masks[:, None], tuple(images.shape[1:3]), mode="bilinear", align_corners=False
    )[:, 0]


NODES = [VideoGenLocation, VideoGenColorMatch]
