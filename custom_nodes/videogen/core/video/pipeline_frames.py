"""How many frames a diffusers pipeline is asked for, so that exactly the wanted ones are left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from ..errors import VideoGenError
from ..timing import count_rendered_frames

#: Frames that one latent frame of these models' VAEs stands for, after the first.
TEMPORAL = 4


@dataclass(frozen=True)
class ClipLength:
    """Length and rate of one clip.

    Attributes:
        frames: that the node returns.
        fps: that they are to be shown at.
        note: in a sentence, what is unusual about it, or "".
    """

    frames: int
    fps: Fraction
    note: str = ""


@dataclass(frozen=True)
class ForcingPlan:
    """One call of SkyReels' diffusion forcing.

    Attributes:
        frames, base_frames, overlap: ``num_frames``, ``base_num_frames`` and ``overlap_history`` of the call.
        passes: windows that it samples one after the other.
    """

    frames: int
    base_frames: int
    overlap: int | None
    passes: int


@dataclass(frozen=True)
class FramePackPlan:
    """One call of FramePack: ``num_frames`` of the call, its sections, and the frames that come out."""

    num_frames: int
    sections: int
    rendered: int


def fit_clip(frames: int, fps: Fraction, duration: Fraction | None, usual: int, most: int) -> ClipLength:
    """The clip that is asked for.

    Args:
        frames: the widget; 0: what covers the segment, else `usual`.
        fps: the rate that the model works at.
        duration: seconds of the segment, or None without one.
        most: frames that the model makes at most.

    Raises:
        VideoGenError: `widget-invalid`, when `frames` is above `most`.
    """
    if frames > most:
        raise VideoGenError(
            "widget-invalid",
            f"`frames` is {frames}, and this model makes at most {most} frames at once",
            f"Set it to {most} or less, or to 0.",
        )
    if duration is None:
        return ClipLength(frames or min(usual, most), fps)
    needed = count_rendered_frames(duration, fps)
    count = frames or min(needed, most)
    shown = Fraction(count) / duration
    note = ""
    if count < needed and not frames:
        note = (
            f"{count} of the {needed} frames that {float(duration):g} s have at {float(fps):g} fps:"
            f" shown at {float(shown):.2f} fps"
        )
    return ClipLength(count, shown if count != needed else fps, note)


def latent_frames(frames: int) -> int:
    """Latent frames of a clip."""
    return (frames - 1) // TEMPORAL + 1


def clip_frames(latents: int) -> int:
    """Frames of a latent clip."""
    return (latents - 1) * TEMPORAL + 1


def round_up_frames(wanted: int, step: int = TEMPORAL) -> int:
    """The smallest ``step · n + 1`` that is not below `wanted`."""
    return math.ceil((max(1, wanted) - 1) / step) * step + 1


def check_overlap(overlap: int) -> None:
    """
    Raises:
        VideoGenError: `widget-invalid` for an overlap that is not whole latent frames.
    """
    if overlap < 1 or overlap % TEMPORAL != 1:
        raise VideoGenError(
            "widget-invalid",
            f"`overlap_history` is {overlap}, expected a multiple of {TEMPORAL} and one more: 17 or 37",
        )


def plan_forcing(
    wanted: int, base_frames: int, overlap: int, block: int, *, extends: bool = False, full_windows: bool = False
) -> ForcingPlan:
    """Plan a call of diffusion forcing that makes at least the wanted frames, and loses none of them.

    The pipeline drops latent frames at the end of a window that do not fill a block, takes a history only where there are
    several windows, and makes no window at all for an extension that is much shorter than the base.

    Args:
        wanted: frames, new ones for an extension.
        base_frames: of one window, 97 or 121.
        overlap: frames that a window takes over from the one before, or from the clip that is extended.
        block: ``causal_block_size``.
        extends: whether the clip begins with `overlap` frames of another.
        full_windows: whether the last window has to be as long as the others.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    check_overlap(overlap)
    window = latent_frames(base_frames) // block * block
    history = latent_frames(overlap)
    latents = latent_frames(round_up_frames(wanted + (overlap if extends else 0)))
    latents = math.ceil(latents / block) * block
    if latents > window or extends:
        if history % block:
            raise VideoGenError(
                "widget-invalid",
                f"`overlap_history` is {overlap} frames, which are {history} latent frames: not a multiple of"
                f" `causal_block_size`, {block}",
                f"Take {clip_frames(math.ceil(history / block) * block)}.",
            )
        if history >= window:
            raise VideoGenError(
                "widget-invalid",
                f"`overlap_history` is {overlap} frames, and one pass has {clip_frames(window) if window else 0}:"
                " nothing new would fit",
                "Take a smaller overlap, or a smaller `causal_block_size`.",
            )
    if latents <= window:
        return ForcingPlan(clip_frames(latents), clip_frames(latents), overlap if extends else None, 1)
    more = latents - window
    if full_windows:
        more = math.ceil(more / (window - history)) * (window - history)
    passes = 1 + math.ceil(more / (window - history))
    return ForcingPlan(clip_frames(window + more), clip_frames(window), overlap, passes)


def plan_framepack(wanted: int, window: int) -> FramePackPlan:
    """The fewest sections that make the wanted frames.

    The pipeline makes ``ceil(num_frames / ((window - 1) · 4 + 1))`` sections of ``window · 4`` frames each, and one more frame.

    Args:
        window: ``latent_window_size``.
    """
    sections = max(1, math.ceil((wanted - 1) / (window * TEMPORAL)))
    return FramePackPlan(sections * clip_frames(window), sections, sections * window * TEMPORAL + 1)
