"""Run a sampling step in several batches of frames, so that a shot fits in memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import comfy.model_management
import torch
from comfy.patcher_extension import WrappersMP

from ...tensor.anchor_attention import AnchorKeys
from .batch_frame_indices import FRAMES_KEY, frame_indices

#: The key of ComfyUI's `transformer_options` with the `FrameBatch` that is running.
BATCH_KEY = "videogen_frame_batch"
_WRAPPER_KEY = "videogen_frame_batches"


@dataclass
class FrameBatch:
    """The batch of frames that is running, for the attention layers.

    Attributes:
        active: whether this step is between the node's `start` and `end`.
        last: whether it is the last batch of the step.
        kept: what each layer keeps for the following batches of the step.
    """

    active: bool = True
    last: bool = True
    kept: dict[Any, AnchorKeys] = field(default_factory=dict)


@dataclass(frozen=True)
class FrameBatches:
    """Wraps the model's call in a step, and divides it into batches of frames.

    Attributes:
        frames_per_pass: maximum frames of each prompt in a batch (cond and uncond count once); 0: all of them.
        sigma_start, sigma_end: the noise levels between which the layers are active.
        memory_frames: memory that the layers' kept tensors need, in frames.
    """

    frames_per_pass: int = 0
    sigma_start: float = math.inf
    sigma_end: float = 0.0
    memory_frames: int = 0

    def attach(self, model: Any) -> None:
        """Wrap a model (an unshared clone); the wrappers of an earlier node of ours are replaced."""
        for kind, wrapper in ((WrappersMP.APPLY_MODEL, self.apply), (WrappersMP.PREPARE_SAMPLING, self.prepare)):
            model.remove_wrappers_with_key(kind, _WRAPPER_KEY)
            model.add_wrapper_with_key(kind, _WRAPPER_KEY, wrapper)

    def apply(
        self,
        executor: Callable[..., torch.Tensor],
        x: torch.Tensor,
        t: torch.Tensor,
        c_concat: Any = None,
        c_crossattn: Any = None,
        control: Any = None,
        transformer_options: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> torch.Tensor:
        """Run the model in as many batches as necessary; the result is that of a single one, to rounding."""
        options = transformer_options or {}
        chunks = max(1, len(options.get("cond_or_uncond", ())))
        rows = x.shape[0]
        frames = rows // chunks
        batch = FrameBatch(active=self._is_active(options))
        if not 0 < self.frames_per_pass < frames or rows % chunks or "ad_params" in options:
            # AnimateDiff attends to all frames at once: there a step is never divided.
            return executor(x, t, c_concat, c_crossattn, control, {**options, BATCH_KEY: batch}, **others)
        names = list(frame_indices(options, frames))
        table = torch.arange(rows, device=x.device).view(chunks, frames)
        out: torch.Tensor | None = None
        for part in split_evenly(frames, self.frames_per_pass):
            comfy.model_management.throw_exception_if_processing_interrupted()
            index = table[:, part.start : part.stop].flatten()
            batch.last = part.stop == frames
            some = [names[frame] for frame in part]
            seen = {
                **options,
                BATCH_KEY: batch,
                FRAMES_KEY: some,
                # As AnimateDiff reports its windows to other packs' IP-Adapters, so that they use the right frames.
                "ad_params": {"full_length": max(names) + 1, "sub_idxs": some},
            }
            result = executor(
                *(_take_rows(value, index, rows) for value in (x, t, c_concat, c_crossattn, control)),
                seen,
                **{name: _take_rows(value, index, rows) for name, value in others.items()},
            )
            if out is None:
                out = result.new_empty((rows, *result.shape[1:]))
            out[index] = result
        assert out is not None
        return out

    def prepare(
        self, executor: Callable[..., Any], model: Any, noise_shape: Any, conds: Mapping[str, Any], **others: Any
    ) -> Any:
        """Tell ComfyUI how much memory a step needs: otherwise it frees memory for all frames at once, which on a small card
        unloads the model itself."""
        with_control = any("control" in cond for group in conds.values() for cond in group or ())
        if self.frames_per_pass and len(noise_shape) == 4 and not with_control:
            # A ControlNet runs over all frames, before the batches.
            frames = min(noise_shape[0], self.frames_per_pass + self.memory_frames)
            noise_shape = [frames, *noise_shape[1:]]
        return executor(model, noise_shape, conds, **others)

    def _is_active(self, options: Mapping[str, Any]) -> bool:
        if self.sigma_start == math.inf and self.sigma_end <= 0:
            return True
        sigmas = options.get("sigmas")
        return sigmas is None or self.sigma_end <= float(sigmas[0]) <= self.sigma_start


def split_evenly(frames: int, most: int) -> list[range]:
    """Divide frames into as few ranges of at most `most` as possible, of similar sizes: 24 by 10 are three of 8."""
    count = math.ceil(frames / most)
    edges = [frames * number // count for number in range(count + 1)]
    return [range(start, stop) for start, stop in itertools.pairwise(edges)]


def _take_rows(value: Any, index: torch.Tensor, rows: int) -> Any:
    """Select rows of a value that has `rows` of them: tensors, and the lists and dictionaries of them from a ControlNet."""
    if isinstance(value, torch.Tensor):
        return value[index.to(value.device)] if value.ndim and value.shape[0] == rows else value
    if isinstance(value, dict):
        return {name: _take_rows(item, index, rows) for name, item in value.items()}
    if isinstance(value, list):
        return [_take_rows(item, index, rows) for item in value]
    return value
