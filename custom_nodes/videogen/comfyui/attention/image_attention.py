"""Image attention during a sampling: which rows attend to which image tokens in which steps, and the caches for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...core.errors import VideoGenError
from ...core.lru_cache import SizedLRUCache
from ...tensor.ip_adapter.adapter import IPAdapter
from ...tensor.ip_adapter.attention import RowPlan, Run, TokenSet, join_groups
from ...tensor.ip_adapter.masks import MaskStack
from ..core_features import core_version
from ..frames.batch_frame_indices import frame_indices
from .image_condition import ImageCondition
from .tensor_hash import hash_tensor

#: Keys and values of one reference take 0.2 MB (SD 1.5, plain) to 12 MB (SDXL, plus, single precision): room for a cast.
CACHE_BYTES = 256 * 1024 * 1024
_key_values: SizedLRUCache[tuple[Tensor, Tensor]] = SizedLRUCache(CACHE_BYTES)

#: Layouts whose row plans are kept: batches that ComfyUI splits, and context windows, have several. The oldest is dropped.
MAX_LAYOUTS = 64

#: The prompts of ComfyUI's guiders: True attends to the images, False to the negative tokens.
_SEES_IMAGES = {"positive": True, "negative": False, "middle": False, "empty_negative_prompt": False}

#: ComfyUI's noise level for "before the first step".
_BEFORE_ALL = 999999999.9


@dataclass(frozen=True)
class BatchLayout:
    """How a batch is divided; the row plans of a layer are the same for the same layout.

    Attributes:
        positive: for each prompt's part of the batch whether it is a positive prompt's.
        rows: of one prompt's part.
        size: height and width of the queries of a row as an image, or None where no mask needs it.
        frames: the frame of each row, or None where all frames are treated alike.
        active: the conditions that act at this step, by number.
    """

    positive: tuple[bool, ...]
    rows: int
    size: tuple[int, int] | None
    frames: tuple[int, ...] | None
    active: tuple[int, ...]
    device: torch.device
    dtype: torch.dtype


class ImageAttentionState:
    """The conditions of one call of `apply_image_conditions`, shared by the patches of all layers and of all clones.

    The caches of a sampling are cleared at its end (`forget`); no result depends on what was sampled before.
    """

    def __init__(self, conditions: Sequence[ImageCondition], *, normalize_masks: bool = False) -> None:
        self.conditions = tuple(conditions)
        self._digests = [(hash_tensor(c.tokens), hash_tensor(c.negative_tokens)) for c in self.conditions]
        self._masks = MaskStack([c.mask for c in self.conditions], normalize=normalize_masks)
        self._spans = [(_BEFORE_ALL, 0.0)] * len(self.conditions)
        self._always = all(c.start <= 0 and c.end >= 1 for c in self.conditions)
        self._all = tuple(range(len(self.conditions)))
        self._roles: dict[Any, bool] = {}
        self._step: tuple[Tensor, float] | None = None
        self._tokens: dict[Any, TokenSet] = {}
        self._plans: dict[BatchLayout, dict[int, RowPlan | None]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> ImageAttentionState:
        return self

    def acts_in(self, layer: int) -> bool:
        """Whether any condition has a weight in a layer."""
        return any(condition.weights[layer] for condition in self.conditions)

    # -------------------------------------------------------------- the state of a sampling

    def read_schedule(self, model: Any) -> None:
        """Before a sampling: turn shares of it into noise levels. A node after ours may have changed the schedule."""
        sampling = model.get_model_object("model_sampling")
        self._spans = [
            (float(sampling.percent_to_sigma(c.start)), float(sampling.percent_to_sigma(c.end)))
            for c in self.conditions
        ]
        self.forget()

    def note_step(self, executor: Any, *args: Any, **kwargs: Any) -> Any:
        """Around a guider's step: note which of its prompts are positive. Their numbers do not tell it: 0 is the positive
        prompt of most guiders, the negative one of DualCFGGuider, and any prompt that a node predicts by itself."""
        self._step = None
        conds = getattr(executor.class_obj, "conds", None)
        self._roles = {
            entry["uuid"]: _SEES_IMAGES[name]
            for name, entries in (conds.items() if isinstance(conds, Mapping) else ())
            if name in _SEES_IMAGES
            for entry in entries or ()
            if isinstance(entry, Mapping) and entry.get("uuid") is not None
        }
        return executor(*args, **kwargs)

    def forget(self, *_: Any) -> None:
        """After a sampling: clear its caches. Keys and values stay in the bounded cache that all samplings share."""
        self._step = None
        self._roles = {}
        self._tokens.clear()
        self._plans.clear()
        self._masks.clear()

    def noise_level(self, options: Mapping[str, Any]) -> float:
        """The highest sigma of the batch. It is fetched once a step: waiting for a GPU in each layer would cost more than
        the images do."""
        sigmas = options.get("sigmas")
        if sigmas is None:
            return _BEFORE_ALL
        if self._step is None or self._step[0] is not sigmas:
            self._step = (sigmas, float(sigmas.max()))
        return self._step[1]

    # -------------------------------------------------------------- attention

    def add_images(
        self, out: Tensor, query: Tensor, layer: int, options: Mapping[str, Any], *, in_place: bool
    ) -> Tensor:
        """Add the images' attention in one layer to the output of the layer's own.

        Args:
            out, query: (rows, queries, channels).
            layer: 0-based, in IP-Adapter's numbering.
            options: the `extra_options` of a patch.
            in_place: whether `out` may be written to.
        """
        active = self._active(options)
        if not active:
            return out
        plan = self._plan(query, layer, options, active)
        if plan is None:
            return out
        out = out.to(query.dtype)
        if not (in_place and out.is_contiguous()) or out.requires_grad:
            out = out.clone(memory_format=torch.contiguous_format)
        return plan.add_to(out, query)

    def _active(self, options: Mapping[str, Any]) -> tuple[int, ...]:
        """The conditions that act at this step: as ComfyUI decides it for the span of a prompt."""
        if self._always:
            return self._all
        sigma = self.noise_level(options)
        return tuple(number for number, (start, end) in enumerate(self._spans) if end <= sigma <= start)

    def _plan(self, query: Tensor, layer: int, options: Mapping[str, Any], active: tuple[int, ...]) -> RowPlan | None:
        layout = self._layout(query, options, active)
        plans = self._plans.get(layout)
        if plans is None:
            while len(self._plans) >= MAX_LAYOUTS:
                del self._plans[next(iter(self._plans))]
            plans = self._plans[layout] = {}
        if layer not in plans:
            acting = tuple(number for number in active if self.conditions[number].weights[layer])
            plans[layer] = self._make_plan(layer, int(options["n_heads"]), acting, layout) if acting else None
        return plans[layer]

    def _layout(self, query: Tensor, options: Mapping[str, Any], active: tuple[int, ...]) -> BatchLayout:
        positive = self._positive_chunks(options)
        rows = _count_rows(query, len(positive), options)
        masked = any(self.conditions[number].mask is not None for number in active) or self._masks.is_normalized
        numbered = any(len(self.conditions[number].tokens) > 1 or self._masks.frames[number] > 1 for number in active)
        return BatchLayout(
            positive=positive,
            rows=rows,
            size=_image_size(query.shape[1], options) if masked else None,
            frames=tuple(frame_indices(options, rows)) if numbered else None,
            active=active,
            device=query.device,
            dtype=query.dtype,
        )

    def _make_plan(self, layer: int, heads: int, acting: tuple[int, ...], layout: BatchLayout) -> RowPlan:
        masks: list[Tensor | None] = [None] * len(acting)
        if layout.size is not None:
            resized = self._masks.at(layout.size, layout.device, layout.dtype)
            masks = [_take_frames(resized[number], layout.frames) for number in acting]
        runs: list[Run] = []
        for is_positive in layout.positive:
            for start, stop, images in self._runs(acting, is_positive, layout):
                tokens = self._token_set(layer, heads, acting, images, layout)
                part = tuple(None if m is None else m[start:stop] if len(m) > 1 else m for m in masks)
                runs.append(Run(stop - start, tokens, part))
        return RowPlan(runs)

    def _runs(
        self, acting: tuple[int, ...], is_positive: bool, layout: BatchLayout
    ) -> list[tuple[int, int, tuple[int, ...]]]:
        """``(first row, one after the last, row of each condition's tokens)``; -1 is the negative tokens."""
        counts = [len(self.conditions[number].tokens) for number in acting]
        if not is_positive:
            return [(0, layout.rows, (-1,) * len(acting))]
        if layout.frames is None or max(counts) == 1:
            return [(0, layout.rows, (0,) * len(acting))]
        runs: list[tuple[int, int, tuple[int, ...]]] = []
        for row, frame in enumerate(layout.frames):
            images = tuple(min(frame, count - 1) for count in counts)
            if runs and runs[-1][2] == images:
                runs[-1] = (runs[-1][0], row + 1, images)
            else:
                runs.append((row, row + 1, images))
        return runs

    def _token_set(
        self, layer: int, heads: int, acting: tuple[int, ...], images: tuple[int, ...], layout: BatchLayout
    ) -> TokenSet:
        key = (layer, acting, images, layout.device, layout.dtype)
        if key not in self._tokens:
            groups = []
            for number, image in zip(acting, images, strict=True):
                condition = self.conditions[number]
                negative = image < 0
                tokens = condition.negative_tokens if negative else condition.tokens
                digest = self._digests[number][negative]
                keys, values = _key_value(condition.adapter, layer, tokens, digest, layout.device)
                row = 0 if negative else image
                groups.append((keys[row], values[row], condition.weights[layer]))
            self._tokens[key] = join_groups(groups, heads, layout.dtype)
        return self._tokens[key]

    def _positive_chunks(self, options: Mapping[str, Any]) -> tuple[bool, ...]:
        """For each prompt's part of the batch whether it is a positive prompt's."""
        numbers = options.get("cond_or_uncond")
        if not numbers:
            raise VideoGenError(
                "core-unsupported",
                f"this ComfyUI ({core_version()}) does not report which rows of a batch are the positive prompt's",
                "Another node has replaced ComfyUI's sampling: remove it, or update ComfyUI.",
            )
        names = options.get("uuids") or ()
        if len(names) != len(numbers):
            names = (None,) * len(numbers)
        return tuple(self._roles.get(name, number == 0) for name, number in zip(names, numbers, strict=True))


def _count_rows(query: Tensor, chunks: int, options: Mapping[str, Any]) -> int:
    """Rows of one prompt's part of the batch.

    Raises:
        VideoGenError: `patch-conflict`, when another node has divided or multiplied the rows.
    """
    batch = query.shape[0]
    shape = options.get("activations_shape")
    if batch % chunks or (shape is not None and shape[0] != batch):
        whole = batch if shape is None else shape[0]
        raise VideoGenError(
            "patch-conflict",
            f"the cross-attention got {batch} rows for a batch of {whole} in {chunks} parts: another node cuts the picture"
            " into regions or tiles there",
            "Remove that node (such as HyperTile or an attention couple) or the IP-Adapter; masks can make the regions.",
        )
    return batch // chunks


def _image_size(queries: int, options: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width of the queries of a row as an image.

    Raises:
        VideoGenError: `patch-conflict`, when they do not have the latent's shape.
    """
    shape = options.get("activations_shape")
    if shape is not None and shape[-2] * shape[-1] == queries:
        return int(shape[-2]), int(shape[-1])
    original = options.get("original_shape")
    if original is not None:
        height, width = int(original[-2]), int(original[-1])
        while height * width > queries:
            height, width = math.ceil(height / 2), math.ceil(width / 2)
        if height * width == queries:
            return height, width
    raise VideoGenError(
        "patch-conflict",
        f"the mask cannot be applied to {queries} queries of the cross-attention: they do not have the latent's shape",
        "Remove the node that merges or drops queries, such as token merging, or the mask.",
    )


def _take_frames(mask: Tensor | None, frames: tuple[int, ...] | None) -> Tensor | None:
    if mask is None or len(mask) == 1 or frames is None:
        return mask
    return mask[[min(frame, len(mask) - 1) for frame in frames]]


def _key_value(
    adapter: IPAdapter, layer: int, tokens: Tensor, digest: str, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Keys and values of image tokens in one layer, computed once and cached across samplings."""
    key = (adapter.digest, adapter.dtype, layer, digest, device)
    found = _key_values.get(key)
    if found is None:
        found = adapter.key_value(layer, tokens.to(device))
        _key_values.put(key, found, sum(tensor.nbytes for tensor in found))
    return found
