"""Which frames the rows of a batch are, when somebody samples a long batch in parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Options = Mapping[str, Any]

#: Who samples in parts, and where ComfyUI's `transformer_options` then say which frames. The first that is there counts:
#: our own passes cut up what the others have chosen.
_SOURCES: tuple[Callable[[Options], Any], ...] = (
    lambda options: options.get("videogen_frames"),
    # ComfyUI's context windows; frames are rows only when they lie along the batch, and not along a video latent's time.
    lambda options: _window_frames(options.get("context_window")),
    # AnimateDiff-Evolved.
    lambda options: (options.get("ad_params") or {}).get("sub_idxs"),
)


def frame_indices(options: Options, rows: int) -> Sequence[int]:
    """The 0-based frames of the whole batch that the rows of one prompt's part of it stand for.

    Args:
        options: ComfyUI's `transformer_options`, or the `extra_options` of a patch.
        rows: of one part ("chunk") of the batch, the positive prompt's or the negative one's.

    Returns:
        as many as `rows`. What says another number of frames is about another batch and is passed over.
    """
    for source in _SOURCES:
        frames = source(options)
        if frames is not None and len(frames) == rows:
            return [int(frame) for frame in frames]
    return range(rows)


def _window_frames(window: Any) -> Any:
    return getattr(window, "index_list", None) if getattr(window, "dim", 0) == 0 else None
