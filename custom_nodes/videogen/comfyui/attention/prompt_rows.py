"""Which prompt the rows of a batch belong to, and which part of the picture they show.

A patch of the attention is told the number of each part's prompt and the `uuid` of its entry. Neither says what the prompt
is: number 0 is the positive prompt of most guiders, the negative one of DualCFGGuider, and any prompt that a node predicts by
itself; and for a prompt with an area ComfyUI copies its entry into the other prompts' lists, with their text and its own uuid.
Areas and tiles are not told at all. So all of it is noted around ComfyUI's calls, where it is known, and passed on in the
`transformer_options` of these calls: nothing is kept between them, and calls in several threads do not meet.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...core.errors import VideoGenError
from ...tensor.ip_adapter.masks import Crop, Size
from ..core_features import core_version
from ..frames.batch_frame_indices import FRAMES_KEY, window_cells

#: Keys of ComfyUI's `transformer_options`, with a `StepPrompts`, a `PromptRows` and a `ModelInput`.
PROMPTS_KEY, ROWS_KEY, INPUT_KEY = "videogen.prompts", "videogen.rows", "videogen.input"
_WRAPPER_KEY = "videogen.prompt_rows"

#: The prompts of ComfyUI's guiders: True attends to the images, False to the negative tokens.
_SEES_IMAGES = {"positive": True, "negative": False, "middle": False, "empty_negative_prompt": False}

#: How many places with a tile's first number are compared with it: noise has one of them.
_MAX_PLACES = 64

Entries = Sequence[Mapping[str, Any]]


class _Note:
    """What is passed on in options: never changed, and so never copied with them."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


class StepPrompts(_Note):
    """The prompts of a guider's step, and which of them are positive.

    Args:
        conds: the guider's prompts by name, as lists of ComfyUI's entries.
        latents: of the whole picture (rows, channels, height, width).
    """

    def __init__(self, conds: Any, latents: Tensor) -> None:
        self.latents = latents
        self._roles: dict[Any, set[bool]] = {}
        self._texts = []  # kept, so that no other object gets the id of one
        for name, entries in conds.items() if isinstance(conds, Mapping) else ():
            if name not in _SEES_IMAGES:
                continue
            for entry in _entries(entries):
                self._texts.append(_text(entry))
                for key in _names(entry, entries):
                    self._roles.setdefault(key, set()).add(_SEES_IMAGES[name])

    def is_positive(self, entry: Mapping[str, Any], entries: Any) -> bool | None:
        """Whether an entry of a list has a positive prompt's text; None for a prompt that is not the guider's."""
        return self._role(_names(entry, entries))

    def is_positive_uuid(self, uuid: Any) -> bool | None:
        """The same of an entry of which nothing but the uuid is known."""
        return self._role([("uuid", uuid)])

    def _role(self, names: Sequence[Any]) -> bool | None:
        for name in names:
            found = self._roles.get(name, ())
            if len(found) == 1:
                return next(iter(found))
        return None

    @property
    def is_empty(self) -> bool:
        return not self._roles


def _entries(entries: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in entries or () if isinstance(entry, Mapping)]


def _text(entry: Mapping[str, Any]) -> Any:
    """The object that holds an entry's text: one for each prompt's entry, shared by the copies that have its text."""
    return (entry.get("model_conds") or {}).get("c_crossattn")


def _names(entry: Mapping[str, Any], entries: Any) -> list[Any]:
    """What an entry is known by, the most certain first. Context windows may put other objects in place of the texts; the
    lists keep their order there."""
    text = _text(entry)
    names: list[Any] = [] if text is None else [("text", id(text))]
    if entry.get("uuid") is not None:
        names += [("uuid", entry["uuid"]), ("list", tuple(other.get("uuid") for other in _entries(entries)))]
    return names


@dataclass(frozen=True)
class Part:
    """One prompt's part of a batch.

    Attributes:
        positive: whether it attends to the images.
        area: height, width, top and left in cells of the latents that were asked for; None is all of them.
    """

    positive: bool
    area: tuple[int, int, int, int] | None = None


class PromptRows(_Note):
    """The prompts that ComfyUI was asked to predict in one call.

    Attributes:
        rows: of each prompt's part.
    """

    def __init__(self, conds: Sequence[Any], latents: Tensor, options: Mapping[str, Any]) -> None:
        self.latents = latents
        self.rows = len(latents)
        self._options = options
        self._prompts: StepPrompts | None = options.get(PROMPTS_KEY)
        size = _size(latents)
        self._parts = {
            (number, entry.get("uuid")): Part(self._sees_images(entry, entries, number, len(conds)), _area(entry, size))
            for number, entries in enumerate(conds)
            for entry in _entries(entries)
        }

    def part(self, number: int, uuid: Any) -> Part | None:
        """The part of a prompt by its number and its entry's uuid; None for one that was not asked for here."""
        return self._parts.get((number, uuid))

    def _sees_images(self, entry: Mapping[str, Any], entries: Any, number: int, count: int) -> bool:
        if self._prompts is None or self._prompts.is_empty:
            return number == 0
        known = self._prompts.is_positive(entry, entries)
        # A prompt that a node predicts by itself, beside the guider's: the empty one of Perp-Neg.
        return (number == 0 and count > 1) if known is None else known

    @functools.cached_property
    def place(self) -> Crop:
        """The latents' place in the whole picture.

        Raises:
            VideoGenError: `patch-conflict`, for latents that are not in it as they are.
        """
        size = _size(self.latents)
        whole = size if self._prompts is None else _size(self._prompts.latents)
        window = self._options.get("context_window")
        if window is not None and whole != size:
            # Context windows may go over the height or the width of pictures.
            axis, cells = window.dim - (self.latents.ndim - 2), window_cells(window)
            sides = [cells if axis == side else range(whole[side]) for side in (0, 1)]
            if (len(sides[0]), len(sides[1])) == size:
                return Crop.of(sides[0], sides[1], whole)
        if whole == size or self._prompts is None:
            return Crop.everything(size)
        top, left = _locate(self.latents, self._prompts.latents)
        return Crop.everything(whole).cut(top, left, *size)


class ModelInput(_Note):
    """The latents of one call of the model; a node that samples tiles has cut them, and joined some of them.

    Args:
        latents: (tiles · prompts · rows, channels, height, width).
    """

    def __init__(self, latents: Tensor) -> None:
        self.latents = latents
        self._found: dict[Any, list[tuple[int, int]]] = {}

    def places(self, tiles: int, part: Part, asked: PromptRows) -> list[tuple[int, int]]:
        """Top and left of each tile in the part of the latents that a prompt was asked for.

        Raises:
            VideoGenError: `patch-conflict`, for tiles that are not in it as they are.
        """
        key = (tiles, part.area)
        if key not in self._found:
            whole = asked.latents
            if part.area is not None:
                height, width, top, left = part.area
                whole = whole[..., top : top + height, left : left + width]
            stride = len(self.latents) // tiles
            self._found[key] = [_locate(self.latents[tile * stride :], whole) for tile in range(tiles)]
        return self._found[key]


@dataclass(frozen=True)
class RowPart:
    """Consecutive rows of a batch: one prompt's.

    Attributes:
        positive: whether they attend to the images.
        crop: the part of the picture that they show; None is all of it.
    """

    positive: bool
    crop: Crop | None = None


def read_row_parts(options: Mapping[str, Any], batch: int, *, placed: bool) -> tuple[tuple[RowPart, ...], int]:
    """The parts of a batch in the order of its rows, and how many rows each of them has.

    Args:
        options: the `extra_options` of a patch.
        batch: rows that the patch has got.
        placed: whether the places of the parts in the picture matter.

    Raises:
        VideoGenError: `core-unsupported`, where ComfyUI does not number the prompts; `patch-conflict`, when another node has
            divided or multiplied the rows, or moved what they show.
    """
    numbers = options.get("cond_or_uncond")
    if not numbers:
        raise VideoGenError(
            "core-unsupported",
            f"this ComfyUI ({core_version()}) does not report which rows of a batch are the positive prompt's",
            "Another node has replaced ComfyUI's sampling: remove it, or update ComfyUI.",
        )
    uuids = options.get("uuids") or ()
    if len(uuids) != len(numbers):
        uuids = (None,) * len(numbers)
    asked: PromptRows | None = options.get(ROWS_KEY)
    parts = [_find_part(options, asked, number, uuid) for number, uuid in zip(numbers, uuids, strict=True)]
    tiles, rows = _divide(batch, len(parts), options, asked)
    if asked is None or not placed:
        return tuple(RowPart(part.positive) for part in parts) * tiles, rows
    return tuple(
        RowPart(part.positive, crop)
        for tile in range(tiles)
        for part in parts
        for crop in [_place(part, asked, options, tile, tiles)]
    ), rows


def _find_part(options: Mapping[str, Any], asked: PromptRows | None, number: int, uuid: Any) -> Part:
    found = None if asked is None else asked.part(number, uuid)
    if found is not None:
        return found
    prompts: StepPrompts | None = options.get(PROMPTS_KEY)
    known = None if prompts is None else prompts.is_positive_uuid(uuid)
    return Part((number == 0) if known is None else known)


def _divide(batch: int, parts: int, options: Mapping[str, Any], asked: PromptRows | None) -> tuple[int, int]:
    """How many tiles a batch has, and the rows of each prompt's part of a tile. Nodes that sample tiles join them along the
    rows, all prompts of one before those of the next."""
    shape = options.get("activations_shape")
    if batch % parts or (shape is not None and shape[0] != batch):
        whole = batch if shape is None else shape[0]
        raise VideoGenError(
            "patch-conflict",
            f"the cross-attention got {batch} rows for a batch of {whole} in {parts} parts: another node cuts the picture"
            " into regions or tiles there",
            "Remove that node (such as HyperTile or an attention couple) or the IP-Adapter; masks can make the regions.",
        )
    frames = options.get(FRAMES_KEY)
    rows = len(frames) if frames is not None else batch // parts if asked is None else asked.rows
    if batch % (parts * rows):
        return 1, batch // parts
    return batch // (parts * rows), rows


def _place(part: Part, asked: PromptRows, options: Mapping[str, Any], tile: int, tiles: int) -> Crop | None:
    """The part of the picture that a prompt's rows of a tile show; None is all of it."""
    crop = asked.place
    if part.area is not None:
        height, width, top, left = part.area
        crop = crop.cut(top, left, height, width)
    shape, given = options.get("original_shape"), options.get(INPUT_KEY)
    if shape is not None and given is not None and tuple(shape[-2:]) != crop.size:
        top, left = given.places(tiles, part, asked)[tile]
        crop = crop.cut(top, left, int(shape[-2]), int(shape[-1]))
    return None if crop.is_everything else crop


def _locate(part: Tensor, whole: Tensor) -> tuple[int, int]:
    """Top and left of the one place where latents are found in others. They are noise: no two places are the same.

    Args:
        part: (rows, channels, height, width), of which the first row is looked for.
        whole: (rows, channels, height, width).
    """
    part, (height, width) = part[0].to(whole), _size(part)
    rows, columns = whole.shape[-2] - height + 1, whole.shape[-1] - width + 1
    places = set()
    if rows > 0 and columns > 0 and part.ndim == whole.ndim - 1 == 3:
        starts = (whole[:, 0, :rows, :columns] == part[0, 0, 0]).nonzero()[:_MAX_PLACES].tolist()
        places = {
            (top, left)
            for row, top, left in starts
            if torch.equal(whole[row, :, top : top + height, left : left + width], part)
        }
    if len(places) != 1:
        raise VideoGenError(
            "patch-conflict",
            f"another node samples a part of the picture, {width}×{height} latent cells of {whole.shape[-1]}×{whole.shape[-2]},"
            " and does not say which: a mask cannot be cut to it",
            "Remove that node (one that moves or resizes tiles), or the mask.",
        )
    return next(iter(places))


def _size(latents: Tensor) -> Size:
    return int(latents.shape[-2]), int(latents.shape[-1])


def _area(entry: Mapping[str, Any], size: Size) -> tuple[int, int, int, int] | None:
    """An entry's area as ComfyUI cuts it out of the latents (height, width, top, left); None for all of them."""
    area = entry.get("area")
    if area is None or len(area) < 4:
        return None
    half = len(area) // 2
    (height, width), (top, left) = area[:2], area[half : half + 2]
    height, width = min(size[0] - top, height), min(size[1] - left, width)
    return None if (height, width, top, left) == (*size, 0, 0) else (height, width, top, left)


# ------------------------------------------------------------------ around ComfyUI's calls


def attach(model: Any) -> None:
    """Note the rows of all calls of a model (an unshared clone), once however often it is called."""
    for kind, wrapper in (
        (WrappersMP.PREDICT_NOISE, note_prompts),
        (WrappersMP.CALC_COND_BATCH, note_rows),
        (WrappersMP.APPLY_MODEL, note_input),
    ):
        if not model.get_wrappers(kind, _WRAPPER_KEY):
            model.add_wrapper_with_key(kind, _WRAPPER_KEY, wrapper)


def note_prompts(executor: Any, x: Tensor, timestep: Any, model_options: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Around a guider's step: note its prompts."""
    prompts = StepPrompts(getattr(executor.class_obj, "conds", None), x)
    return executor(x, timestep, _with_option(model_options, PROMPTS_KEY, prompts), *args, **kwargs)


def note_rows(executor: Any, model: Any, conds: Any, x_in: Tensor, timestep: Any, model_options: Any) -> Any:
    """Around the prediction of several prompts: note what each of them is."""
    rows = PromptRows(conds, x_in, (model_options or {}).get("transformer_options") or {})
    return executor(model, conds, x_in, timestep, _with_option(model_options, ROWS_KEY, rows))


def note_input(
    executor: Any,
    x: Tensor,
    t: Any,
    c_concat: Any = None,
    c_crossattn: Any = None,
    control: Any = None,
    transformer_options: Any = None,
    **others: Any,
) -> Any:
    """Around a call of the model: note its latents."""
    options = {**(transformer_options or {}), INPUT_KEY: ModelInput(x)}
    return executor(x, t, c_concat, c_crossattn, control, options, **others)


def _with_option(model_options: Any, key: str, value: Any) -> dict[str, Any]:
    options = dict(model_options or {})
    options["transformer_options"] = {**(options.get("transformer_options") or {}), key: value}
    return options
