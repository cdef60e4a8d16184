"""Inputs that several nodes have, and the check of widgets before a prompt runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfy_api.latest import io

from ..core.conditioning.layer_weights import WEIGHT_TYPES
from ..core.errors import VideoGenError
from ..core.story.schema import MAX_FRAMES
from ..core.video.quality import QUALITIES, Quality
from ..core.widget_checks import check_span
from .sockets import AdapterOptionsSocket, AdapterSocket, ReferencesSocket

#: A number widget for a share, 0 to 1.
SHARE: dict[str, float] = {"min": 0.0, "max": 1.0, "step": 0.01, "round": 0.001}

#: The choice of a quality widget that uses the story's own.
STORY_QUALITY = "story"


def passed_on(socket: io.Input, output: int = 0) -> io.Input:
    """Declare that an output is this input, the same frame for frame: the runner's keys look through the node."""
    socket.extra_dict = {**(socket.extra_dict or {}), "videogen_passes": output}
    return socket


def changes_only(widget: io.Input, *outputs: int) -> io.Input:
    """Declare which outputs an input changes; without any it changes no output, such as how long a node waits.

    What can change no saved frame is no part of a segment's key, so that another value renders nothing again.
    """
    widget.extra_dict = {**(widget.extra_dict or {}), "videogen_changes": list(outputs)}
    return widget


def from_input_folder(widget: io.Input) -> io.Input:
    """Declare that the choice names a file in the input folder, as ComfyUI's own ``image_upload``: its bytes count in keys."""
    widget.extra_dict = {**(widget.extra_dict or {}), "videogen_upload": True}
    return widget


def adapter_inputs() -> list[io.Input]:
    """Model, IP-Adapter and the adapter's image encoder."""
    return [
        io.Model.Input("model", tooltip="An SD 1.5, SD 2 or SDXL model, of the kind that the adapter is for."),
        AdapterSocket.Input("ipadapter", tooltip="From IP-Adapter Loader."),
        io.ClipVision.Input(
            "clip_vision",
            tooltip="From Load CLIP Vision: the encoder that the adapter was trained with, nearly always ViT-H.",
        ),
    ]


def span_inputs() -> list[io.Input]:
    """When the images act, as shares of the sampling."""
    return [
        io.Float.Input(
            "start_at",
            default=0.0,
            **SHARE,
            tooltip="When the pictures begin to act, as a share of the sampling.",
        ),
        io.Float.Input("end_at", default=1.0, **SHARE, tooltip="When they stop. Earlier leaves details to the prompt."),
    ]


def check_known_span(start_at: float | None, end_at: float | None) -> None:
    """`check_span` before a prompt runs: an end that another node's output sets is None, and fits any other.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    check_span(0.0 if start_at is None else start_at, 1.0 if end_at is None else end_at)


def weight_type_input(remark: str = "") -> io.Input:
    """How a weight is distributed over the model's layers.

    Args:
        remark: added to the tooltip.
    """
    return io.Combo.Input(
        "weight_type",
        options=list(WEIGHT_TYPES),
        default="linear",
        tooltip=f"How the weight is distributed over the model's layers. linear: evenly.{remark}",
    )


def options_input() -> io.Input:
    """Advanced options, which nobody needs to connect."""
    return AdapterOptionsSocket.Input(
        "options",
        optional=True,
        tooltip="From IP-Adapter Options: scaling of keys and values, weights per layer and per frame.",
    )


def references_input() -> io.Input:
    """Reference images from the graph."""
    return ReferencesSocket.Input(
        "references", optional=True, tooltip="From Reference: pictures that replace the story's files."
    )


def frames_input(tooltip: str) -> io.Input:
    """How many frames, for a node that works without a segment too."""
    return io.Int.Input("frames", default=24, min=1, max=MAX_FRAMES, tooltip=tooltip)


def quality_input(tooltip: str) -> io.Input:
    """A quality preset, or the story's own."""
    return io.Combo.Input("quality", options=[STORY_QUALITY, *QUALITIES], default=STORY_QUALITY, tooltip=tooltip)


def choose_quality(choice: str, story_quality: str) -> Quality:
    """The preset of a quality widget."""
    return QUALITIES[story_quality if choice == STORY_QUALITY else choice]


def validate(check: Callable[..., Any], *values: Any) -> bool | str:
    """Run a check as ComfyUI's `validate_inputs` expects it: True, or the error message.

    A value that another node's output sets is None before the prompt runs: it is checked when the node runs.
    """
    if any(value is None for value in values):
        return True
    try:
        check(*values)
    except VideoGenError as error:
        return str(error)
    return True
