"""VideoGenRenderSize: the size at which a model renders, as opposed to the size of the film."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...comfyui.sockets import SegmentSocket, need_segment
from ...core.errors import VideoGenError
from ...core.segment.plan import SegmentPlan
from ...core.video.render_size import MAX_MEGAPIXELS, MULTIPLES, NATIVE_MEGAPIXELS, fit_render_size

#: Width of a UNet's text context → the model family.
_FAMILIES = {768: "SD 1.5", 1024: "SD 2", 2048: "SDXL"}
MIN_SCALE, MAX_SCALE = 0.1, 4.0


class VideoGenRenderSize(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenRenderSize",
            display_name="Render Size",
            category="videogen/frames",
            description="The model's best render size in the film's aspect ratio; Upscale then resizes to the film's size.",
            inputs=[
                io.Float.Input(
                    "megapixels",
                    default=0.0,
                    min=0.0,
                    max=MAX_MEGAPIXELS,
                    step=0.01,
                    round=0.0001,
                    tooltip="Millions of pixels per frame. 0: the native size of the connected model.",
                ),
                io.Combo.Input(
                    "multiple",
                    options=[str(multiple) for multiple in MULTIPLES],
                    default="64",
                    tooltip="Both sides are multiples of this. 64 works with every model; 8 is closer to the film's shape.",
                ),
                io.Float.Input(
                    "scale",
                    default=1.0,
                    min=MIN_SCALE,
                    max=MAX_SCALE,
                    step=0.05,
                    round=0.001,
                    tooltip="Factor for both sides: 0.5 is a quick draft. The headless runner lowers it after running out of"
                    " memory.",
                ),
                SegmentSocket.Input(
                    "segment", optional=True, tooltip="Sets the film's aspect ratio. Without it the size is a square."
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="Sets the native size for 0 megapixels; SD 1.5, SD 2.1 and SDXL are known.",
                ),
            ],
            outputs=[io.Int.Output("width", display_name="width"), io.Int.Output("height", display_name="height")],
        )

    @classmethod
    def execute(
        cls, megapixels: float, multiple: str, scale: float, segment: SegmentPlan | None = None, model: Any = None
    ) -> io.NodeOutput:
        shape = need_segment(segment).size if segment is not None else (1, 1)
        wanted = (megapixels or find_native(model)) * scale**2
        return io.NodeOutput(*fit_render_size(shape, wanted, int(multiple)))


def find_native(model: Any) -> float:
    """The native size of a model, in millions of pixels.

    Raises:
        VideoGenError: `widget-invalid`, when there is no model, or an unknown one.
    """
    if model is None:
        raise VideoGenError(
            "widget-invalid",
            "`megapixels` is 0, which means the model's native size, and no model is connected",
            "Connect `model`, or set `megapixels`.",
        )
    config = getattr(getattr(model, "model", None), "model_config", None)
    width = (getattr(config, "unet_config", None) or {}).get("context_dim")
    family = _FAMILIES.get(width, "") if isinstance(width, int) else ""
    if not family:
        raise VideoGenError(
            "widget-invalid",
            f"`megapixels` is 0, and the native size of {type(config).__name__} is not known (known are:"
            f" {', '.join(NATIVE_MEGAPIXELS)})",
            "Set `megapixels`.",
        )
    return NATIVE_MEGAPIXELS[family]


NODES = [VideoGenRenderSize]
