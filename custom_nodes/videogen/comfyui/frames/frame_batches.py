"""Run a sampling step in several batches of frames, so that a shot fits in memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import comfy.model_management
import torch
from comfy.patcher_extension import CallbacksMP, WrappersMP

from ...core.errors import VideoGenError
from ...tensor.anchor_attention import AnchorKeys
from .batch_frame_indices import FRAMES_KEY, frame_indices

#: The key of ComfyUI's `transformer_options` with the `FrameBatch` that is running.
BATCH_KEY = "videogen_frame_batch"
_WRAPPER_KEY = "videogen_frame_batches"
#: As AnimateDiff reports its windows to other packs' IP-Adapters, so that they use the right frames.
_WINDOW_KEY = "ad_params"


def _leave(options: Mapping[str, Any], divided: bool) -> Mapping[str, Any]:
    return options


def count_prompts(options: Mapping[str, Any], rows: int) -> int:
    """How many prompts the rows of a call of the model are divided among."""
    return max(1, len(options.get("cond_or_uncond", ())))


@dataclass
class FrameBatch:
    """The batch of frames that is running, for the attention layers.

    Attributes:
        active: whether this step is between the node's `start` and `end`.
        last: whether it is the last batch of the step.
        divided: whether the step has several batches.
        chunks: parts of the rows that are frames of their own: the prompts, of each tile where another node samples tiles.
        kept: what each layer keeps for the following batches of the step.
    """

    active: bool = True
    last: bool = True
    divided: bool = False
    chunks: int = 1
    kept: dict[Any, AnchorKeys] = field(default_factory=dict)
    _shown: dict[Any, list[tuple[torch.Tensor, ...]]] = field(default_factory=dict)

    def show_whole(
        self,
        patch: Callable[..., torch.Tensor],
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        extra_options: Mapping[str, Any],
    ) -> None:
        """After the last batch, call another node's patch with the queries, keys and values of all frames, in their order.

        It may keep what it sees for after the step, as SelfAttentionGuidance does, and expects one call a layer.
        """
        layer = (extra_options.get("block"), extra_options.get("block_index"))
        parts = self._shown.setdefault(layer, [])
        parts.append((q, k, v))
        if not self.last:
            return
        del self._shown[layer]
        if not self.divided:
            patch(q, k, v, dict(extra_options))
            return
        whole = [
            torch.cat([part.unflatten(0, (self.chunks, -1)) for part in column], dim=1).flatten(0, 1)
            for column in zip(*parts, strict=True)
        ]
        options = {name: value for name, value in extra_options.items() if name not in (FRAMES_KEY, _WINDOW_KEY)}
        for name in ("activations_shape", "original_shape"):
            if name in options:
                options[name] = [len(whole[0]), *options[name][1:]]
        patch(*whole, options)


@dataclass
class FrameBatches:
    """Wraps the model's call in a step, and divides it into batches of frames.

    Attributes:
        frames_per_pass: maximum frames of each prompt in a batch (cond and uncond count once); 0: all of them.
        start, end: when the layers are active, as shares of the sampling, as ComfyUI counts it.
        memory_frames: memory that the layers' kept tensors need, in frames.
        settle: prepares the options of each call of the model; its second argument says whether the frames are divided.
        count_chunks: from the options and the rows of a call, how many parts with all frames its rows have.
    """

    frames_per_pass: int = 0
    start: float = 0.0
    end: float = 1.0
    memory_frames: int = 0
    settle: Callable[[Mapping[str, Any], bool], Mapping[str, Any]] = _leave
    count_chunks: Callable[[Mapping[str, Any], int], int] = count_prompts
    #: The noise levels between which the layers are active, from the highest to the lowest.
    _span: tuple[float, float] = field(default=(math.inf, 0.0), init=False)

    def attach(self, model: Any) -> None:
        """Wrap a model (an unshared clone); the wrappers and callbacks of an earlier node of ours are replaced."""
        for kind, wrapper in ((WrappersMP.APPLY_MODEL, self.apply), (WrappersMP.PREPARE_SAMPLING, self.prepare)):
            model.remove_wrappers_with_key(kind, _WRAPPER_KEY)
            model.add_wrapper_with_key(kind, _WRAPPER_KEY, wrapper)
        model.remove_callbacks_with_key(CallbacksMP.ON_PRE_RUN, _WRAPPER_KEY)
        model.add_callback_with_key(CallbacksMP.ON_PRE_RUN, _WRAPPER_KEY, self.read_schedule)
        self.read_schedule(model)

    def read_schedule(self, model: Any) -> None:
        """Before a sampling: turn shares of it into noise levels. A node after ours may have changed the schedule."""
        sampling = model.get_model_object("model_sampling")
        self._span = (
            math.inf if self.start <= 0 else float(sampling.percent_to_sigma(self.start)),
            0.0 if self.end >= 1 else float(sampling.percent_to_sigma(self.end)),
        )

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
        rows = x.shape[0]
        chunks = self.count_chunks(options, rows)
        frames = rows // chunks
        # AnimateDiff attends to all frames at once: there a step is never divided.
        divided = 0 < self.frames_per_pass < frames and not rows % chunks and _WINDOW_KEY not in options
        batch = FrameBatch(active=self.is_active(options), divided=divided, chunks=chunks)
        options = {**self.settle(options, divided), BATCH_KEY: batch}
        values = (x, t, c_concat, c_crossattn, control)
        if not divided:
            return executor(*values, options, **others)
        _refuse_boxes(options, frames, self.frames_per_pass)
        names = list(frame_indices(options, frames))
        table = torch.arange(rows, device=x.device).view(chunks, frames)

        def divide(executor: Callable[..., torch.Tensor], *values: Any, **others: Any) -> torch.Tensor:
            """The model's call, or a network's, whose last argument are the options."""
            *inputs, options = values
            out: torch.Tensor | None = None
            for part in split_evenly(frames, self.frames_per_pass):
                comfy.model_management.throw_exception_if_processing_interrupted()
                index = table[:, part.start : part.stop].flatten()
                batch.last = part.stop == frames
                some = [names[frame] for frame in part]
                window = {"full_length": max(names) + 1, "sub_idxs": some}
                result = executor(
                    *(_take_rows(value, index, rows) for value in inputs),
                    {**options, FRAMES_KEY: some, _WINDOW_KEY: window},
                    **{name: _take_rows(value, index, rows) for name, value in others.items()},
                )
                if out is None:
                    out = result.new_empty((rows, *result.shape[1:]))
                out[index] = result
            assert out is not None
            return out

        around = options.get("wrappers", {}).get(WrappersMP.DIFFUSION_MODEL)
        if not around:
            return divide(executor, *values, options, **others)
        # Others around the network, such as EasyCache, may compare a step with the one before: they are given all frames.
        inside = {**around, _WRAPPER_KEY: [divide]}
        wrappers = {**options["wrappers"], WrappersMP.DIFFUSION_MODEL: inside}
        return executor(*values, {**options, "wrappers": wrappers}, **others)

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

    def __deepcopy__(self, memo: dict[int, Any]) -> FrameBatches:
        # ComfyUI copies the patches, which ask `is_active`, with every clone; there is one schedule for all of them.
        return self

    def is_active(self, options: Mapping[str, Any]) -> bool:
        """Whether a step is between `start` and `end`, by the options of the model's call."""
        if self.start <= 0 and self.end >= 1:
            return True
        highest, lowest = self._span
        sigmas = options.get("sigmas")
        return sigmas is None or lowest <= float(sigmas[0]) <= highest


def _refuse_boxes(options: Mapping[str, Any], frames: int, per_pass: int) -> None:
    """GLIGEN's patches hold its boxes once a frame of the whole batch.

    Raises:
        VideoGenError: `patch-conflict`.
    """
    patches = options.get("patches", {}).get("middle_patch", ())
    if any(getattr(patch, "__module__", None) == "comfy.gligen" for patch in patches):
        raise VideoGenError(
            "patch-conflict",
            f"GLIGEN's boxes are for all {frames} frames at once, and Anchor Attention has `frames_per_pass` {per_pass}",
            "Set `frames_per_pass` to 0.",
        )


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
