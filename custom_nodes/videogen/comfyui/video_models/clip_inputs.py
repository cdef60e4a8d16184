"""Widgets that all nodes with a pipeline have, and what a segment puts in their place."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from comfy_api.latest import io

from ...core.errors import VideoGenError
from ...core.segment.plan import SegmentPlan
from ...core.story.schema import MAX_SEED
from ..sockets import SegmentSocket, need_segment
from .sockets import PipelineSocket

MAX_SIDE = 4096


@dataclass(frozen=True)
class ClipText:
    """What a clip shows: from the widgets, or from a segment.

    Attributes:
        duration: seconds of the segment; None without one.
        portrait: whether the film is higher than wide; None without a segment.
    """

    prompt: str
    negative: str
    seed: int
    duration: Fraction | None
    portrait: bool | None


def pipeline_input() -> io.Input:
    """The pipeline."""
    return PipelineSocket.Input("pipeline", tooltip="From Diffusers Loader.")


def segment_input() -> io.Input:
    """The segment, which no one has to connect."""
    return SegmentSocket.Input(
        "segment",
        optional=True,
        tooltip="Sets the seed and the length, and the prompts where the texts above are empty.",
    )


def text_inputs() -> list[io.Input]:
    """Prompt, negative prompt and seed."""
    return [
        io.String.Input(
            "prompt",
            multiline=True,
            default="",
            tooltip="What the clip shows. Empty: the segment's prompt.",
        ),
        io.String.Input(
            "negative",
            multiline=True,
            default="",
            tooltip="What it must not show. Empty: the segment's negative prompt.",
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=MAX_SEED,
            control_after_generate=True,
            tooltip="Used when no segment is connected; otherwise the segment's seed is used.",
        ),
    ]


def frames_input(most: int, usual: str) -> io.Input:
    """How many frames come out."""
    return io.Int.Input(
        "frames",
        default=0,
        min=0,
        max=most,
        tooltip=f"Frames that come out. 0: as many as the segment has at this rate; without a segment {usual}.",
    )


def side_inputs(width: int, height: int, remark: str) -> list[io.Input]:
    """Width and height in pixels."""
    return [
        io.Int.Input(name, default=side, min=16, max=MAX_SIDE, step=16, tooltip=f"Pixels. {remark}")
        for name, side in (("width", width), ("height", height))
    ]


def steps_input(default: int, low: int, high: int) -> io.Input:
    """Sampling steps."""
    return io.Int.Input("steps", default=default, min=low, max=high, tooltip="Sampling steps: more take longer.")


def guidance_input(
    default: float, tooltip: str = "How closely the clip follows the prompt; 1 ignores `negative`."
) -> io.Input:
    """Guidance."""
    return io.Float.Input("guidance", default=default, min=1.0, max=20.0, step=0.1, tooltip=tooltip)


def read_text(prompt: str, negative: str, seed: int, segment: SegmentPlan | None) -> ClipText:
    """What the widgets and the segment say together.

    Raises:
        VideoGenError: `socket-invalid`; `widget-invalid` without any prompt.
    """
    plan = need_segment(segment) if segment is not None else None
    if plan is not None:
        seed, prompt, negative = plan.seed, prompt.strip() or plan.prompt, negative.strip() or plan.negative
    if not prompt.strip():
        raise VideoGenError(
            "widget-invalid", "`prompt` is empty, and no segment is connected", "Write a prompt, or connect `segment`."
        )
    return ClipText(
        prompt,
        negative,
        seed,
        plan.duration if plan is not None else None,
        plan.size[1] > plan.size[0] if plan is not None else None,
    )
