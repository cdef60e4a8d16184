"""VideoGenLocation: the image, prompt and seed of the place where a segment is set."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...comfyui.cast_images import files_read
from ...comfyui.location_image import first_image, fit_image, read_location
from ...comfyui.optional_outputs import make_if_linked
from ...comfyui.sockets import SegmentSocket, need_segment
from ...core.segment.frame_seeds import entity_seed
from ...core.segment.location_prompt import describe_location
from ...core.segment.plan import SegmentPlan
from ...core.video.render_size import round_to_multiple


class VideoGenLocation(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenLocation",
            display_name="Location",
            category="videogen/frames",
            description="The place where a segment is set: its reference picture in the frames' size, a prompt, and a seed.",
            inputs=[
                SegmentSocket.Input("segment"),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="A picture of the place, in place of the story's. Of several the first is used.",
                ),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=8192,
                    optional=True,
                    tooltip="Width of `image`, such as Render Size's. 0: the segment's. Rounded to a multiple of 8.",
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=8192, optional=True, tooltip="Height of `image`, like `width`."
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="For VAE Encode (image to image) or a ControlNet."),
                io.String.Output(
                    "prompt", display_name="prompt", tooltip="The place and its light, without characters."
                ),
                io.Int.Output("seed", display_name="seed"),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> int:
        return files_read.count_changes()  # the segment, and so the image's name, is not known yet

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
        seed = plan.seed if plan.location is None else entity_seed(plan.location, plan.title)
        return io.NodeOutput(start, describe_location(plan), seed)


NODES = [VideoGenLocation]
