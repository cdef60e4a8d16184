"""VideoGenGuardPipeline: pause a diffusers pipeline between its steps while the card is too hot."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...comfyui.video_models.sockets import PipelineSocket, VideoModel, need_pipeline
from ...comfyui.widgets import passed_on
from .thermal_guard import policy_inputs, start_guard, validate_policy


class VideoGenGuardPipeline(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenGuardPipeline",
            display_name="Guard Pipeline",
            category="videogen/guard",
            description="Pauses a diffusers pipeline between its steps while the card is too hot. The frames stay the same.",
            inputs=[
                passed_on(PipelineSocket.Input("pipeline", tooltip="From Diffusers Loader.")),
                *policy_inputs(),
            ],
            outputs=[PipelineSocket.Output("guarded_pipeline", display_name="pipeline")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return validate_policy(inputs)

    @classmethod
    def execute(cls, pipeline: VideoModel, **inputs: Any) -> io.NodeOutput:
        model = need_pipeline(pipeline)
        return io.NodeOutput(model.guarded_by(start_guard(inputs, cls.hidden.unique_id).wait))


NODES = [VideoGenGuardPipeline]
