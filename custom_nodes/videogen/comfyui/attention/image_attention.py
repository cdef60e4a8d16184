"""What a model sees while it samples: which rows see which image tokens, in which steps, and how it is remembered."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...core.errors import VideoGenError
from ...core.lru_cache import SizedLRUCache
from ...tensor.ip_adapter.adapter import IPAdapter
from ...tensor.ip_adapter.attention import RowPlan, Run, TokenSet, join_groups
from ...tensor.ip_adapter.masks import MaskStack
from ..core_features import core_version
from ..frames.batch_frame_indices import frame_indices

if TYPE_CHECKING:
    from .attention_patch import ImageCondition

#: Keys and values of one reference take 0.2 MB (SD 1.5, plain) to 12 MB (SDXL, plus, single precision): room for a cast.
CACHE_BYTES = 256 * 1024 * 1024
_key_values: SizedLRUCache[tuple[Tensor, Tensor]] = SizedLRUCache(CACHE_BYTES)

#: Plans of rows that are kept: batches that ComfyUI splits, and context windows, make several. Beyond it the oldest go.
MAX_LAYOUTS = 64

#: The prompts of ComfyUI's guiders that see the images; the others that it has see what negative prompts see.
_SEES_IMAGES = {"positive": True, "negative": False, "middle": False, "empty_negative_prompt": False}

#: What ComfyUI takes for "before the first step".
_BEFORE_ALL = 999999999.9


class ImageAttentionState:
    """The conditions of one call of `apply_image_conditions`, shared by the patches of all layers and of all clones.

    What it keeps of a sampling goes with its end (`forget`); nothing of it depends on what was sampled before.
    """

    def __init__(self, conditions: Sequence[ImageCondition], *, normalize_masks: bool = False) -> None:
        self.conditions = tuple(conditions)
        self._digests = [(_digest(c.tokens), _digest(c.negative_tokens)) for c in self.conditions]
        self._masks = MaskStack([c.mask for c in self.conditions], normalize=normalize_masks)
        self._spans = [(_BEFORE_ALL, 0.0)] * len(self.conditions)
        self._always = all(c.start <= 0 and c.end >= 1 for c in self.conditions)
        self._all = tuple(range(len(self.conditions)))
        self._roles: dict[Any, bool] = {}
        self._step: tuple[Tensor, float] | None = None
        self._tokens: dict[Any, TokenSet] = {}
        self._plans: dict[Any, dict[int, RowPlan | None]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> ImageAttentionState:
        return self

    def acts_in(self, layer: int) -> bool:
        """Whether any condition has a weight in a layer."""
        return any(condition.weights[layer] for condition in self.conditions)

    # -------------------------------------------------------------- what ComfyUI tells of a sampling

    def read_schedule(self, model: Any) -> None:
        """Before a sampling: turn shares of it into noise levels. A node behind ours may have changed the schedule."""
        sampling = model.get_model_object("model_sampling")
        self._spans = [
            (float(sampling.percent_to_sigma(c.start)), float(sampling.percent_to_sigma(c.end)))
            for c in self.conditions
        ]
        self.forget()

    def note_step(self, executor: Any, *args: Any, **kwargs: Any) -> Any:
        """Around a guider's step: note which of its prompts are positive. Their numbers do not tell it: 0 is the positive
        prompt of most guiders, the negative one of DualCFGGuider, and whatever a node asks for by itself."""
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
        """After a sampling: let go of what was kept for it. Keys and values stay in the bounded memory of all samplings."""
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
        """Add what the images give in one layer to the output of its attention.

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
        positive = self._positive_chunks(options)
        rows, size = _layout(query, len(positive), options)
        masked = any(self.conditions[number].mask is not None for number in active) or self._masks.is_normalized
        numbered = any(len(self.conditions[number].tokens) > 1 or self._masks.frames[number] > 1 for number in active)
        frames = tuple(frame_indices(options, rows)) if numbered else None
        layout = (positive, rows, size() if masked else None, frames, active, query.device, query.dtype)
        plans = self._plans.get(layout)
        if plans is None:
            while len(self._plans) >= MAX_LAYOUTS:
                del self._plans[next(iter(self._plans))]
            plans = self._plans[layout] = {}
        if layer not in plans:
            seen = tuple(number for number in active if self.conditions[number].weights[layer])
            heads = int(options["n_heads"])
            plans[layer] = (
                self._make_plan(query, layer, heads, seen, positive, rows, layout[2], frames) if seen else None
            )
        return plans[layer]

    def _make_plan(
        self,
        query: Tensor,
        layer: int,
        heads: int,
        seen: tuple[int, ...],
        positive: tuple[bool, ...],
        rows: int,
        size: tuple[int, int] | None,
        frames: tuple[int, ...] | None,
    ) -> RowPlan:
        masks: list[Tensor | None] = [None] * len(seen)
        if size is not None:
            resized = self._masks.at(size, query.device, query.dtype)
            masks = [_take_frames(resized[number], frames) for number in seen]
        runs: list[Run] = []
        for sees_images in positive:
            for start, stop, images in self._runs(seen, sees_images, rows, frames):
                tokens = self._token_set(query, layer, heads, seen, images)
                part = tuple(None if m is None else m[start:stop] if len(m) > 1 else m for m in masks)
                runs.append(Run(stop - start, tokens, part))
        return RowPlan(runs)

    def _runs(
        self, seen: tuple[int, ...], sees_images: bool, rows: int, frames: tuple[int, ...] | None
    ) -> list[tuple[int, int, tuple[int, ...]]]:
        """``(first row, behind the last, row of each condition's tokens)``; -1 stands for the negative tokens."""
        counts = [len(self.conditions[number].tokens) for number in seen]
        if not sees_images:
            return [(0, rows, (-1,) * len(seen))]
        if frames is None or max(counts) == 1:
            return [(0, rows, (0,) * len(seen))]
        runs: list[tuple[int, int, tuple[int, ...]]] = []
        for row, frame in enumerate(frames):
            images = tuple(min(frame, count - 1) for count in counts)
            if runs and runs[-1][2] == images:
                runs[-1] = (runs[-1][0], row + 1, images)
            else:
                runs.append((row, row + 1, images))
        return runs

    def _token_set(
        self, query: Tensor, layer: int, heads: int, seen: tuple[int, ...], images: tuple[int, ...]
    ) -> TokenSet:
        key = (layer, seen, images, query.device, query.dtype)
        if key not in self._tokens:
            groups = []
            for number, image in zip(seen, images, strict=True):
                condition = self.conditions[number]
                negative = image < 0
                tokens = condition.negative_tokens if negative else condition.tokens
                digest = self._digests[number][negative]
                keys, values = _key_value(condition.adapter, layer, tokens, digest, query.device)
                row = 0 if negative else image
                groups.append((keys[row], values[row], condition.weights[layer]))
            self._tokens[key] = join_groups(groups, heads, query.dtype)
        return self._tokens[key]

    def _positive_chunks(self, options: Mapping[str, Any]) -> tuple[bool, ...]:
        """For each part of the batch whether it is a positive prompt's."""
        numbers = options.get("cond_or_uncond")
        if not numbers:
            raise VideoGenError(
                "core-unsupported",
                f"this ComfyUI ({core_version()}) does not tell which rows of a batch are the positive prompt's",
                "Another node has put its own sampling in ComfyUI's place; take it out, or update ComfyUI.",
            )
        names = options.get("uuids") or ()
        if len(names) != len(numbers):
            names = (None,) * len(numbers)
        return tuple(self._roles.get(name, number == 0) for name, number in zip(names, numbers, strict=True))


def _layout(query: Tensor, chunks: int, options: Mapping[str, Any]) -> tuple[int, Callable[[], tuple[int, int]]]:
    """Rows of one prompt's part of the batch, and how to find the height and width that the queries of a row stand for.

    Raises:
        VideoGenError: `patch-conflict`, when another node has cut up or multiplied the rows.
    """
    batch = query.shape[0]
    shape = options.get("activations_shape")
    if batch % chunks or (shape is not None and shape[0] != batch):
        whole = batch if shape is None else shape[0]
        raise VideoGenError(
            "patch-conflict",
            f"the cross-attention got {batch} rows for a batch of {whole} in {chunks} parts: another node cuts the picture"
            " into regions or tiles there",
            "Take that node out, such as HyperTile or an attention couple, or the IP-Adapter; regions can be had by masks.",
        )
    return batch // chunks, lambda: _image_size(query.shape[1], options)


def _image_size(queries: int, options: Mapping[str, Any]) -> tuple[int, int]:
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
        f"the mask cannot be laid over {queries} queries of the cross-attention: they are no picture of the latent's shape",
        "Take out the node that merges or drops queries, such as a token merging one, or the mask.",
    )


def _take_frames(mask: Tensor | None, frames: tuple[int, ...] | None) -> Tensor | None:
    if mask is None or len(mask) == 1 or frames is None:
        return mask
    return mask[[min(frame, len(mask) - 1) for frame in frames]]


def _key_value(
    adapter: IPAdapter, layer: int, tokens: Tensor, digest: str, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Keys and values of image tokens in one layer, computed once and remembered over samplings."""
    key = (adapter.digest, adapter.dtype, layer, digest, device)
    found = _key_values.get(key)
    if found is None:
        found = adapter.key_value(layer, tokens.to(device))
        _key_values.put(key, found, sum(tensor.nbytes for tensor in found))
    return found


def _digest(tensor: Tensor) -> str:
    """SHA-256 of a tensor's shape, type and values, in hexadecimal digits."""
    tensor = tensor.detach().cpu().contiguous()
    sha = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
    sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()
