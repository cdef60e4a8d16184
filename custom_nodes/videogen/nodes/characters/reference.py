"""VideoGenReference: reference images from the graph for a character, object or location of the story."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ...comfyui.attention.image_tokens import flatten_alpha
from ...comfyui.frames.mask_check import check_mask, match_masks
from ...comfyui.reference_images import ReferenceImage, References
from ...comfyui.sockets import ReferencesSocket, need_references
from ...comfyui.widgets import validate
from ...core.errors import VideoGenError

#: Background of transparent pictures, as of files of references.
GRAY = (0.5, 0.5, 0.5)


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
                io.Image.Input(
                    "image",
                    tooltip="One picture or a batch of them; all of them are used. Their transparency is their mask.",
                ),
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
        images = flatten_alpha(image, GRAY)
        figures = match_masks(check_mask(mask), images) if mask is not None and bool(mask.any()) else None
        if figures is None and image.shape[-1] == 4 and bool((image[..., 3] < 1).any()):
            figures = image[..., 3].clamp(0, 1)
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


NODES = [VideoGenReference]
