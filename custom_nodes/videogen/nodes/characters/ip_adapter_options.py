"""VideoGenIPAdapterOptions and VideoGenFrameWeights: how images act, beyond what most workflows need."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_api.latest import io

from ...comfyui.attention.condition_options import ConditionOptions, read_weight
from ...comfyui.sockets import AdapterOptionsSocket, SegmentSocket, need_segment
from ...comfyui.widgets import frames_input, validate
from ...core.conditioning.block_weights import SHARE_RANGE, parse_block_weights
from ...core.conditioning.frame_weights import TIMINGS, parse_weights, spread_weights
from ...core.widget_checks import check_choice, check_range
from ...tensor.ip_adapter.embeds_scaling import SCALINGS, V_ONLY


class VideoGenIPAdapterOptions(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        low, high = SHARE_RANGE
        return io.Schema(
            node_id="VideoGenIPAdapterOptions",
            display_name="IP-Adapter Options",
            category="videogen/characters",
            description="Advanced options of an IP-Adapter: scaling of keys and values, weights per layer and per frame.",
            inputs=[
                io.Combo.Input(
                    "embeds_scaling",
                    options=list(SCALINGS),
                    default=V_ONLY,
                    tooltip="What the weight scales. V only: the pictures' values, as in the adapters' training. K+V: their keys"
                    " too. w/ C penalty: less in narrow layers. K+mean(V): for weights above 1, without burning the picture.",
                ),
                io.Float.Input(
                    "other_part",
                    default=1.0,
                    min=low,
                    max=high,
                    step=0.05,
                    round=0.001,
                    tooltip="Of weight types with two parts, the weight of the second one, as a share of `weight`: the"
                    " composition in style and composition; what the negative prompt sees in the precise ones.",
                ),
                io.String.Input(
                    "layer_weights",
                    default="",
                    multiline=True,
                    tooltip="Weights by block in place of the weight type's: a number, a colon and a share of `weight`, such as"
                    " 3: 1, 6: 0.5. Blocks that are not named have none. Empty: the weight type's.",
                ),
                io.Float.Input(
                    "frame_weights",
                    optional=True,
                    force_input=True,
                    tooltip="From Frame Weights: a factor of the weight for each frame.",
                ),
            ],
            outputs=[AdapterOptionsSocket.Output("chosen", display_name="options")],
        )

    @classmethod
    def validate_inputs(
        cls, embeds_scaling: str | None, other_part: float | None, layer_weights: str | None
    ) -> bool | str:
        return validate(lambda: check_options(embeds_scaling, other_part, layer_weights))

    @classmethod
    def execute(
        cls,
        embeds_scaling: str,
        other_part: float,
        layer_weights: str,
        frame_weights: float | Sequence[float] | None = None,
    ) -> io.NodeOutput:
        check_options(embeds_scaling, other_part, layer_weights)
        whole, per_frame = read_weight(1.0 if frame_weights is None else frame_weights, "frame_weights")
        frames = per_frame or ((whole,) if frame_weights is not None else ())
        return io.NodeOutput(ConditionOptions(embeds_scaling, other_part, parse_block_weights(layer_weights), frames))


class VideoGenFrameWeights(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenFrameWeights",
            display_name="Frame Weights",
            category="videogen/characters",
            description="A weight for each frame of a shot: a list, or a curve through a few of them.",
            inputs=[
                io.String.Input(
                    "weights",
                    default="1.0, 0.0",
                    multiline=True,
                    tooltip="Numbers with commas in between, -1 to 3.",
                ),
                io.Combo.Input(
                    "timing",
                    options=list(TIMINGS),
                    default="linear",
                    tooltip="How the weight goes from one number to the next. one per frame: each number is a frame's, and the"
                    " last one that of all further frames.",
                ),
                frames_input("How many frames. A connected `segment` sets it."),
                SegmentSocket.Input("segment", optional=True, tooltip="Sets the number of frames."),
            ],
            outputs=[
                io.Float.Output(
                    "frame_weights",
                    display_name="weights",
                    tooltip="For `weight` of Apply IP-Adapter or Apply Embeds, or `frame_weights` of IP-Adapter Options.",
                ),
                io.Float.Output(
                    "backwards", display_name="reversed", tooltip="The same from the last frame to the first."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, weights: str | None, timing: str | None) -> bool | str:
        return validate(check_curve, weights, timing)

    @classmethod
    def execute(cls, weights: str, timing: str, frames: int, segment: object = None) -> io.NodeOutput:
        check_curve(weights, timing)
        count = frames if segment is None else need_segment(segment).frames
        result = spread_weights(parse_weights(weights), timing, count)
        return io.NodeOutput(result, result[::-1])


def check_options(embeds_scaling: str | None, other_part: float | None, layer_weights: str | None) -> None:
    """Check the widgets; one that another node's output sets is None before the prompt runs.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    check_choice("embeds_scaling", embeds_scaling or V_ONLY, SCALINGS)
    check_range("other_part", 1.0 if other_part is None else other_part, *SHARE_RANGE)
    parse_block_weights(layer_weights or "")


def check_curve(weights: str, timing: str) -> None:
    """Check the widgets of Frame Weights.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    parse_weights(weights)
    check_choice("timing", timing, TIMINGS)


NODES = [VideoGenIPAdapterOptions, VideoGenFrameWeights]
