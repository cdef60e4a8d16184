"""Image attention during a sampling: which rows attend to which image tokens in which steps, and the caches for it."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...core.errors import VideoGenError
from ...core.lru_cache import SizedLRUCache
from ...tensor.ip_adapter.adapter import IPAdapter
from ...tensor.ip_adapter.attention import RowPlan, Run, TokenSet, join_groups
from ...tensor.ip_adapter.embeds_scaling import scale_embeds
from ...tensor.ip_adapter.masks import MaskStack
from ..frames.batch_frame_indices import frame_indices
from .image_condition import ImageCondition
from .prompt_rows import RowPart, read_row_parts
from .tensor_hash import hash_tensor

#: Keys and values of one reference take 0.2 MB (SD 1.5, plain) to 12 MB (SDXL, plus, single precision): room for a cast.
CACHE_BYTES = 256 * 1024 * 1024
_key_values: SizedLRUCache[tuple[Tensor, Tensor]] = SizedLRUCache(CACHE_BYTES)

#: Layouts whose row plans are kept: batches that ComfyUI splits, areas, tiles and context windows have several. The oldest is
#: dropped.
MAX_LAYOUTS = 128

#: The row of a condition's tokens that a row of the batch sees, -1 for the negative tokens, and a factor of their weight.
SeenTokens = tuple[int, float]

#: ComfyUI's noise level for "before the first step".
_BEFORE_ALL = 999999999.9


@dataclass(frozen=True)
class BatchLayout:
    """How a batch is divided; the row plans of a layer are the same for the same layout.

    Attributes:
        parts: whose rows they are, in their order, and which part of the picture they show.
        rows: of one part.
        size: height and width of the queries of a row as an image, or None where no mask needs it.
        frames: the frame of each row, or None where all frames are treated alike.
        active: the conditions that act at this step, by number.
    """

    parts: tuple[RowPart, ...]
    rows: int
    size: tuple[int, int] | None
    frames: tuple[int, ...] | None
    active: tuple[int, ...]
    device: torch.device
    dtype: torch.dtype


class ImageAttentionState:
    """The conditions of one call of `apply_image_conditions`, shared by the patches of all layers and of all clones.

    The caches of a sampling are cleared at its end (`forget`); no result depends on what was sampled before. With several
    graphics cards ComfyUI predicts the prompts of a step in one thread for each.
    """

    def __init__(self, conditions: Sequence[ImageCondition], *, normalize_masks: bool = False) -> None:
        self.conditions = tuple(conditions)
        self._digests = [(hash_tensor(c.tokens), hash_tensor(c.negative_tokens)) for c in self.conditions]
        self._masks = MaskStack([c.mask for c in self.conditions], normalize=normalize_masks)
        self._spans = [(_BEFORE_ALL, 0.0)] * len(self.conditions)
        self._always = all(c.start <= 0 and c.end >= 1 for c in self.conditions)
        self._all = tuple(range(len(self.conditions)))
        self._lock = threading.Lock()
        self._steps: dict[torch.device | None, tuple[Tensor, float]] = {}
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

    def forget(self, *_: Any) -> None:
        """After a sampling: clear its caches. Keys and values stay in the bounded cache that all samplings share."""
        self._steps.clear()
        self._tokens.clear()
        self._plans.clear()
        self._masks.clear()

    def noise_level(self, options: Mapping[str, Any]) -> float:
        """The highest sigma of the batch. It is fetched once a step: waiting for a GPU in each layer would cost more than
        the images do."""
        sigmas = options.get("sigmas")
        if sigmas is None:
            return _BEFORE_ALL
        device = getattr(sigmas, "device", None)
        step = self._steps.get(device)
        if step is None or step[0] is not sigmas:
            step = self._steps[device] = (sigmas, float(sigmas.max()))
        return step[1]

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
        with self._lock:
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
        masked = any(self.conditions[number].mask is not None for number in active) or self._masks.is_normalized
        parts, rows = read_row_parts(options, query.shape[0], placed=masked)
        numbered = any(
            len(self.conditions[number].tokens) > 1
            or self._masks.frames[number] > 1
            or len(self.conditions[number].frame_weights) > 1
            for number in active
        )
        return BatchLayout(
            parts=parts,
            rows=rows,
            size=_image_size(query.shape[1], options) if masked else None,
            frames=tuple(frame_indices(options, rows)) if numbered else None,
            active=active,
            device=query.device,
            dtype=query.dtype,
        )

    def _make_plan(self, layer: int, heads: int, acting: tuple[int, ...], layout: BatchLayout) -> RowPlan:
        runs: list[Run] = []
        for rows in layout.parts:
            masks: list[Tensor | None] = [None] * len(acting)
            if layout.size is not None:
                resized = self._masks.at(layout.size, layout.device, layout.dtype, rows.crop)
                masks = [_take_frames(resized[number], layout.frames) for number in acting]
            masks = [_weigh_frames(mask, self.conditions[n], layout) for mask, n in zip(masks, acting, strict=True)]
            for start, stop, images in self._runs(layer, acting, rows.positive, layout):
                tokens = self._token_set(layer, heads, acting, images, layout)
                part = tuple(None if m is None else m[start:stop] if len(m) > 1 else m for m in masks)
                runs.append(Run(stop - start, tokens, part))
        return RowPlan(runs)

    def _runs(
        self, layer: int, acting: tuple[int, ...], is_positive: bool, layout: BatchLayout
    ) -> list[tuple[int, int, tuple[SeenTokens, ...]]]:
        """``(first row, one after the last, tokens that are seen of each condition)``."""
        conditions = [self.conditions[number] for number in acting]
        if layout.frames is None:
            return [(0, layout.rows, tuple(_seen_tokens(one, layer, is_positive, 0) for one in conditions))]
        runs: list[tuple[int, int, tuple[SeenTokens, ...]]] = []
        for row, frame in enumerate(layout.frames):
            images = tuple(_seen_tokens(one, layer, is_positive, frame) for one in conditions)
            if runs and runs[-1][2] == images:
                runs[-1] = (runs[-1][0], row + 1, images)
            else:
                runs.append((row, row + 1, images))
        return runs

    def _token_set(
        self, layer: int, heads: int, acting: tuple[int, ...], images: tuple[SeenTokens, ...], layout: BatchLayout
    ) -> TokenSet:
        key = (layer, acting, images, layout.device, layout.dtype)
        if key not in self._tokens:
            groups = []
            for number, (image, factor) in zip(acting, images, strict=True):
                condition = self.conditions[number]
                negative = image < 0
                tokens = condition.negative_tokens if negative else condition.tokens
                digest = self._digests[number][negative]
                keys, values = _key_value(condition.adapter, layer, tokens, digest, layout.device)
                row = 0 if negative else image
                weight = condition.weight_without_images(layer) if negative else condition.weights[layer]
                groups.append(scale_embeds(keys[row], values[row], weight * factor, condition.scaling))
            self._tokens[key] = join_groups(groups, heads, layout.dtype)
        return self._tokens[key]


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


def _seen_tokens(condition: ImageCondition, layer: int, is_positive: bool, frame: int) -> SeenTokens:
    factor = 1.0 if condition.weighs_values else condition.frame_weight(frame)
    if not condition.sees_images(layer, is_positive):
        return -1, factor
    return min(frame, len(condition.tokens) - 1), factor


def _weigh_frames(mask: Tensor | None, condition: ImageCondition, layout: BatchLayout) -> Tensor | None:
    """The mask times each frame's weight: (rows, queries or 1). Weights that scale the keys too belong to the tokens."""
    if layout.frames is None or not condition.frame_weights or not condition.weighs_values:
        return mask
    factors = torch.tensor([condition.frame_weight(frame) for frame in layout.frames], dtype=layout.dtype)[:, None]
    factors = factors.to(layout.device)
    return factors if mask is None else mask * factors


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
