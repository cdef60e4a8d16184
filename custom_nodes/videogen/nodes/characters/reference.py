"""VideoGenReference: reference images from the graph for a character, object or location of the story."""

from __future__ import annotations

import torch.nn.functional as F
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.attention.image_tokens import require_rgb_images
from ...comfyui.frames.mask_check import check_mask, require_mask_count
from ...comfyui.reference_images import ReferenceImage, References
from ...comfyui.sockets import ReferencesSocket, need_references
from ...comfyui.widgets import validate
from ...core.errors import VideoGenError


class VideoGenReference(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenReference",
            display_name="Reference",
            category="videogen/characters",
            description="Reference pictures from the graph for a character, object or location, in place of the story's files.",
            inputs=[
                io.String.Input(
                    "name",
                    default="",
                    tooltip="What the pictures show: the name of a character, object or location in the story.",
                ),
                io.Image.Input("image", tooltip="One picture or a batch of them; all of them are used."),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White where the figure is; Apply Characters can crop to it. An empty mask is ignored. Load Image"
                    " outputs the inverse of a transparent picture's figure: put Invert Mask in between.",
                ),
                ReferencesSocket.Input(
                    "references",
                    optional=True,
                    tooltip="Another Reference, for pictures of several characters, or more of the same one.",
                ),
            ],
            outputs=[ReferencesSocket.Output(display_name="references")],
        )

    @classmethod
    def validate_inputs(cls, name: str | None) -> bool | str:
        return validate(check_reference_name, name)

    @classmethod
    def execute(cls, name: str, image: Tensor, mask: Tensor | None = None, references: object = None) -> io.NodeOutput:
        name = check_reference_name(name)
        before = need_references(references)
        images = require_rgb_images(image)
        figures = match_masks(check_mask(mask), images) if mask is not None and bool(mask.any()) else None
        shown = [
            (name, ReferenceImage(shown_image, figures[index] if figures is not None else None))
            for index, shown_image in enumerate(images)
        ]
        return io.NodeOutput(References((*before.images, *shown)))


def check_reference_name(name: str) -> str:
    """Return the name without surrounding blanks.

    Raises:
        VideoGenError: `widget-invalid` when it is empty.
    """
    if not name.strip():
        raise VideoGenError(
            "widget-invalid", "`name` is empty, expected the name of a character, object or location of the story"
        )
    return name.strip()


def match_masks(masks: Tensor, images: Tensor) -> Tensor:
    """Resize masks (n, height, width) to images (n, height, width, 3): one for each image.

    Raises:
        VideoGenError: `mask-invalid` for another number of masks or another shape.
    """
    count, height, width = images.shape[:3]
    require_mask_count(masks, count, of="pictures")
    rows, columns = masks.shape[1:]
    if abs(rows * width - columns * height) > max(width, height, rows, columns):
        raise VideoGenError(
            "mask-invalid",
            f"`mask` is {columns}×{rows} and `image` {width}×{height}: the mask has another shape",
            "Make the mask from the same picture.",
        )
    scaled = F.interpolate(masks[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]
    return scaled.expand(count, -1, -1)


NODES = [VideoGenReference]
