"""The frame indices of a batch's rows, when a long batch is sampled in parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Options = Mapping[str, Any]

#: The key of ComfyUI's `transformer_options` with the frames of a `FrameBatch`.
FRAMES_KEY = "videogen_frames"

#: Where ComfyUI's `transformer_options` have the frames, for each way to sample in parts. The first that exists is used:
#: our own frame batches divide what the others have chosen.
_SOURCES: tuple[Callable[[Options], Any], ...] = (
    lambda options: options.get(FRAMES_KEY),
    # ComfyUI's context windows; frames are rows only along the batch dimension, and not along a video latent's time.
    lambda options: _window_frames(options.get("context_window")),
    # AnimateDiff-Evolved.
    lambda options: (options.get("ad_params") or {}).get("sub_idxs"),
)


def frame_indices(options: Options, rows: int) -> Sequence[int]:
    """The 0-based frame of the whole batch for each row of one prompt's part of it.

    Args:
        options: ComfyUI's `transformer_options`, or the `extra_options` of a patch.
        rows: of one part ("chunk") of the batch, the positive prompt's or the negative one's.

    Returns:
        as many as `rows`. A source with another number of frames is about another batch and is ignored.
    """
    for source in _SOURCES:
        frames = source(options)
        if frames is not None and len(frames) == rows:
            return [int(frame) for frame in frames]
    return range(rows)


def window_cells(window: Any) -> list[int]:
    """Where the cells of a context window are along its dimension, in their order: newer versions of ComfyUI put the cell
    before the window's first one ahead of it, and take its result away again."""
    anchor = getattr(window, "causal_anchor_index", None)
    return [*([anchor] if anchor is not None and anchor >= 0 else []), *window.index_list]


def _window_frames(window: Any) -> Any:
    return window_cells(window) if window is not None and window.dim == 0 else None
