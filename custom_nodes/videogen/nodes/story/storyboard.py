"""VideoGenStoryboardFrames: draw the animatic of a segment that has not been rendered."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io

from ...comfyui.sockets import SegmentSocket, need_segment
from ...core.segment.plan import SegmentPlan
from ...media.storyboard import draw_frames


class VideoGenStoryboardFrames(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenStoryboardFrames",
            display_name="Storyboard Frames",
            category="videogen/frames",
            description="Draws the segment as a storyboard: characters, place and camera movement. Needs no model.",
            inputs=[SegmentSocket.Input("segment")],
            outputs=[io.Image.Output("images", display_name="images")],
        )

    @classmethod
    def execute(cls, segment: SegmentPlan) -> io.NodeOutput:
        plan = need_segment(segment)
        width, height = plan.size
        # One batch, filled in place: a list to be stacked would hold every frame twice.
        images = torch.empty((plan.frames, height, width, 3), dtype=torch.float32)
        progress = comfy.utils.ProgressBar(plan.frames)
        for index, frame in enumerate(draw_frames(plan)):
            comfy.model_management.throw_exception_if_processing_interrupted()
            torch.div(torch.from_numpy(frame), 255.0, out=images[index])
            progress.update(1)
        return io.NodeOutput(images)


NODES = [VideoGenStoryboardFrames]
