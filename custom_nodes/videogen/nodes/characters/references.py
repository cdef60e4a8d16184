"""VideoGenReference: an image out of the graph that shows somebody of the story, and the REFERENCES socket."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.attention.image_tokens import check_images
from ...comfyui.frames.mask_check import check_mask, require_mask_count
from ...core.errors import VideoGenError

ReferencesSocket = io.Custom("REFERENCES")


@dataclass(frozen=True)
class ReferenceImage:
    """An image of somebody or something.

    Attributes:
        image: (height, width, 3) in 0…1.
        figure: (height, width), 1 where the figure is, or None where nobody has said it.
    """

    image: Tensor
    figure: Tensor | None


@dataclass(frozen=True)
class References:
    """What a REFERENCES socket carries: images by the names of those whom they show, in the order of the nodes."""

    images: tuple[tuple[str, ReferenceImage], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Whom the images show, each once."""
        return tuple(dict.fromkeys(name for name, _ in self.images))

    def of(self, name: str) -> list[ReferenceImage]:
        """The images of one of them."""
        return [image for shown, image in self.images if shown == name]


class VideoGenReference(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenReference",
            display_name="Reference",
            category="videogen/characters",
            description="Shows somebody or something of the story in pictures of the graph, which take the place of the"
            " story's files.",
            inputs=[
                io.String.Input(
                    "name",
                    default="",
                    tooltip="Who or what the pictures show: the name of a character, object or location, as the story has it.",
                ),
                io.Image.Input("image", tooltip="One picture or a batch of them; all of them are used."),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White where the figure is; Apply Characters crops to it. An empty mask counts as none. Load Image"
                    " gives the inverse of a transparent picture's figure: put Invert Mask in between.",
                ),
                ReferencesSocket.Input(
                    "references",
                    optional=True,
                    tooltip="Another Reference: pictures of several people, or more of the same one.",
                ),
            ],
            outputs=[ReferencesSocket.Output(display_name="references")],
        )

    @classmethod
    def validate_inputs(cls, name: str | None) -> bool | str:
        try:
            if name is not None:  # None: it comes out of another node, and is checked when it is there
                check_name(name)
        except VideoGenError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, name: str, image: Tensor, mask: Tensor | None = None, references: object = None) -> io.NodeOutput:
        name = check_name(name)
        before = need_references(references)
        images = check_images(image)
        figures = match_masks(check_mask(mask), images) if mask is not None and bool(mask.any()) else None
        shown = [
            (name, ReferenceImage(shown_image, figures[index] if figures is not None else None))
            for index, shown_image in enumerate(images)
        ]
        return io.NodeOutput(References((*before.images, *shown)))


def check_name(name: str) -> str:
    """The name without blanks around it.

    Raises:
        VideoGenError: `widget-invalid` when it is empty.
    """
    if not name.strip():
        raise VideoGenError(
            "widget-invalid", "`name` is empty, expected the name of a character, object or location of the story"
        )
    return name.strip()


def match_masks(masks: Tensor, images: Tensor) -> Tensor:
    """Masks (n, height, width) in the size of images (n, height, width, 3): one for each of them.

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


def need_references(value: object) -> References:
    """The references on a socket; none when nothing is connected.

    Raises:
        VideoGenError: `socket-invalid`, when another pack's node gave something else under the same socket name.
    """
    if value is None:
        return References()
    if not isinstance(value, References):
        raise VideoGenError(
            "socket-invalid", f"`references` got {type(value).__name__}, expected the output of VideoGenReference"
        )
    return value


NODES = [VideoGenReference]
