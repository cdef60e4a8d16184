"""Masks where only a part of the picture is sampled: areas of prompts, tiles, context windows. Each part has its cut of the mask.

What is right is computed by sampling the part as a picture of its own, with the mask cut by hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.context_windows
import comfy.samplers
import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.comfyui.attention.prompt_rows import PROMPTS_KEY, PromptRows, StepPrompts
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.tensor.ip_adapter.masks import Crop
from tests.support.models.guided_sampling import UNET, Prompt, area, bare_model, bounds, model_of, sample, share, text
from tests.support.models.seeing_models import HEIGHT, WIDTH, distance, make_condition, make_latents, make_tokens

ROUNDING, DIFFERENT = 1e-5, 1e-3
#: Pixels of a mask for a latent cell.
CELL = 8
Area = tuple[int, int, int, int]  # height, width, top, left
LEFT, RIGHT = (HEIGHT, WIDTH // 2, 0, 0), (HEIGHT, WIDTH // 2, 0, WIDTH // 2)


def left_half(frames: int = 1, pixels: int = CELL) -> Tensor:
    mask = torch.zeros(frames, HEIGHT * pixels, WIDTH * pixels)
    mask[:, :, : WIDTH * pixels // 2] = 1.0
    return mask


def noisy(frames: int = 1) -> Tensor:
    return torch.rand(frames, HEIGHT * CELL, WIDTH * CELL, generator=torch.Generator().manual_seed(3))


def cut(tensor: Tensor, part: Area, cell: int = 1) -> Tensor:
    height, width, top, left = (cell * number for number in part)
    return tensor[..., top : top + height, left : left + width]


# ------------------------------------------------------------------ areas


@pytest.mark.parametrize(
    ("prompt", "pixels"),
    [
        (area(*RIGHT), CELL),
        (area(*RIGHT), 1),
        (area(*RIGHT), 5),
        (share(1.0, 0.5, 0.0, 0.5), 2),
        (bounds(0, WIDTH // 2, HEIGHT, WIDTH // 2), CELL),
    ],
)
def test_an_area_beside_the_mask_is_as_without_a_picture(prompt: dict[str, Any], pixels: int) -> None:
    """The left half has the picture, and the prompts are about the right one: bit by bit what the unpatched model makes."""
    masked = model_of(mask=left_half(pixels=pixels))
    found = sample(masked, text(1, **prompt), text(2, **prompt))
    assert torch.equal(found, sample(bare_model(), text(1, **prompt), text(2, **prompt)))


def test_an_area_in_the_mask_is_as_without_one() -> None:
    masked, left = model_of(mask=left_half()), (text(1, **area(*LEFT)), text(2, **area(*LEFT)))
    found = sample(masked, *left)
    assert distance(found, sample(model_of(), *left)) < ROUNDING
    assert distance(found, sample(bare_model(), *left)) > DIFFERENT


@pytest.mark.parametrize("part", [(4, 8, 2, 4), (5, 7, 1, 3), (8, 16, 0, 0)])
def test_an_area_is_as_a_picture_of_its_own(part: Area) -> None:
    mask, latents = noisy(2), make_latents(2).float()
    positive, negative = (text(seed, 2, **area(*part)) for seed in (1, 2))
    found = cut(sample(model_of(mask=mask), positive, negative), part)
    own = model_of(mask=cut(mask, part, CELL))
    assert distance(found, sample(own, text(1, 2), text(2, 2), noise=cut(latents, part))) < ROUNDING
    squeezed = sample(model_of(mask=mask), text(1, 2), text(2, 2), noise=cut(latents, part))
    assert (distance(found, squeezed) > DIFFERENT) == (part[:2] != (HEIGHT, WIDTH))


def test_pictures_in_masks_of_their_own_share_each_area() -> None:
    """Two pictures whose masks are normalized, as Apply Characters has them, and one picture for each frame."""
    masks = [left_half(), noisy()]
    tokens = [make_tokens(UNET, 2, seed=seed) for seed in (0, 1)]

    def see(pick: Callable[[Tensor], Tensor]) -> Any:
        conditions = [
            make_condition(UNET, tokens=seen, per_frame=True, mask=pick(mask))
            for seen, mask in zip(tokens, masks, strict=True)
        ]
        return apply_image_conditions(bare_model(), conditions, normalize_masks=True)

    part = (8, 8, 0, 4)
    positive, negative = (text(seed, 2, **area(*part)) for seed in (1, 2))
    found = cut(sample(see(lambda mask: mask), positive, negative), part)
    own = see(lambda mask: cut(mask, part, CELL))
    assert distance(found, sample(own, text(1, 2), text(2, 2), noise=cut(make_latents(2).float(), part))) < ROUNDING


def test_areas_of_one_size_are_predicted_together_and_cut_apart() -> None:
    masked = model_of(mask=noisy())
    both = (text(1, **area(*LEFT)) + text(1, **area(*RIGHT)), text(2, **area(*LEFT)) + text(2, **area(*RIGHT)))
    found = sample(masked, *both, steps=1)
    for part in (LEFT, RIGHT):
        one = sample(masked, text(1, **area(*part)), text(2, **area(*part)), steps=1)
        assert distance(cut(found, part), cut(one, part)) < ROUNDING


# ------------------------------------------------------------------ tiles of other packs

Tiles = list[Area]
HALVES: Tiles = [LEFT, RIGHT]
QUARTERS: Tiles = [(4, 8, top, left) for top in (0, 4) for left in (0, 8)]


def tile(model: Any, tiles: Tiles, together: int, *, move: int = 0) -> Any:
    """As Tiled Diffusion samples: the model is called for some tiles at a time, one after another along the rows, with all
    prompts of each; whoever is told the prompts is told those of one tile."""

    def wrap(apply: Callable[..., Tensor], args: dict[str, Any]) -> Tensor:
        latents, timestep, given = args["input"].roll(move, -1), args["timestep"], args["c"]
        out = torch.zeros_like(latents)
        for first in range(0, len(tiles), together):
            some = tiles[first : first + together]
            inputs = {
                name: torch.cat([value] * len(some)) if isinstance(value, Tensor) else value
                for name, value in given.items()
            }
            joined = torch.cat([cut(latents, part) for part in some]) if together > 1 else cut(latents, some[0])
            done = apply(joined, torch.cat([timestep] * len(some)), **inputs)
            for part, result in zip(some, done.chunk(len(some)), strict=True):
                cut(out, part)[:] = result
        return out.roll(-move, -1)

    tiled = model.clone()
    tiled.set_model_unet_function_wrapper(wrap)
    return tiled


def by_areas(tiles: Tiles, frames: int) -> tuple[Prompt, Prompt]:
    positive, negative = ([text(seed, frames, **area(*part))[0] for part in tiles] for seed in (1, 2))
    return positive, negative


@pytest.mark.parametrize(
    ("tiles", "together", "masked"),
    [(HALVES, 1, True), (HALVES, 2, True), (QUARTERS, 4, True), (QUARTERS, 1, True), (QUARTERS, 2, False)],
)
def test_tiles_are_as_areas(tiles: Tiles, together: int, masked: bool) -> None:
    frames = 2
    changes: dict[str, Any] = {"mask": noisy(frames)} if masked else {}
    model = model_of(**changes, tokens=make_tokens(UNET, frames), per_frame=True)
    found = sample(tile(model, tiles, together), text(1, frames), text(2, frames), steps=1)
    assert distance(found, sample(model, *by_areas(tiles, frames), steps=1)) < ROUNDING


def test_tiles_of_an_area() -> None:
    """A prompt with an area, which another node samples in tiles."""
    model, part = model_of(mask=noisy()), (8, 12, 0, 4)
    tiles = [(8, 6, 0, 0), (8, 6, 0, 6)]
    found = sample(tile(model, tiles, 2), text(1, **area(*part)), text(2, **area(*part)), steps=1)
    placed = [(height, width, top, left + 4) for height, width, top, left in tiles]
    assert distance(cut(found, part), cut(sample(model, *by_areas(placed, 1), steps=1), part)) < ROUNDING


def test_tiles_that_cannot_be_found_are_told_where_there_is_a_mask() -> None:
    """As SpotDiffusion moves them round the edge of the picture."""
    moved = tile(model_of(mask=noisy()), HALVES, 1, move=3)
    with pytest.raises(VideoGenError, match=r"8×8 latent cells of 16×8") as caught:
        sample(moved, text(1), text(2), steps=1)
    assert caught.value.code == "patch-conflict"
    sample(tile(model_of(), HALVES, 1, move=3), text(1), text(2), steps=1)


def test_a_node_that_asks_for_parts_by_itself() -> None:
    """Not the model's call but ComfyUI's prediction of all prompts is made for each half."""

    def ask(args: dict[str, Any]) -> list[Tensor]:
        out = [torch.zeros_like(args["input"]) for _ in args["conds"]]
        for part in HALVES:
            inputs = (cut(args["input"], part), args["sigma"], args["model_options"])
            for whole, found in zip(
                out, comfy.samplers.calc_cond_batch(args["model"], args["conds"], *inputs), strict=True
            ):
                cut(whole, part)[:] = found
        return out

    model = model_of(mask=noisy())
    halved = model.clone()
    halved.set_model_sampler_calc_cond_batch_function(ask)
    found = sample(halved, text(1), text(2), steps=1)
    assert distance(found, sample(model, *by_areas(HALVES, 1), steps=1)) < ROUNDING


# ------------------------------------------------------------------ context windows


def windowed(model: Any, dim: int, length: int) -> Any:
    """As Context Windows (Manual) with this dimension: 2 is the height of a picture's latents and 3 the width."""
    kind = comfy.context_windows.IndexListContextHandler
    # Newer versions put the cell before a window in front of it; here each window is to be as a picture of its own.
    plain = {"causal_window_fix": False} if "causal_window_fix" in inspect.signature(kind).parameters else {}
    clone = model.clone()
    clone.model_options["context_handler"] = kind(
        comfy.context_windows.get_matching_context_schedule("standard_static"),
        comfy.context_windows.get_matching_fuse_method("flat"),
        context_length=length,
        dim=dim,
        **plain,
    )
    return clone


@pytest.mark.parametrize(("dim", "parts"), [(3, HALVES), (2, [(4, WIDTH, 0, 0), (4, WIDTH, 4, 0)])])
def test_windows_over_the_picture_are_as_areas(dim: int, parts: Tiles) -> None:
    model = model_of(mask=noisy())
    found = sample(windowed(model, dim, parts[0][dim - 2]), text(1), text(2), steps=1)
    assert distance(found, sample(model, *by_areas(parts, 1), steps=1)) < ROUNDING


@pytest.mark.parametrize(
    ("cells", "anchor", "expected"),
    [
        ([4, 5, 6], None, range(4, 7)),
        ([4, 5, 6], 3, range(3, 7)),
        ([6, 7, 0, 1], None, (6, 7, 0, 1)),
        ([0, 2, 4], -1, (0, 2, 4)),
    ],
)
def test_where_a_window_is(cells: list[int], anchor: int | None, expected: Any) -> None:
    kind = comfy.context_windows.IndexListContextWindow
    total = {"total_frames": 8} if "total_frames" in inspect.signature(kind).parameters else {}
    window = kind(cells, dim=3, **total)
    if anchor is not None:
        window.causal_anchor_index = anchor
    options = {PROMPTS_KEY: StepPrompts({}, torch.zeros(1, 4, 6, 8)), "context_window": window}
    shown = PromptRows([], torch.zeros(1, 4, 6, len(expected)), options).place
    assert shown == Crop(range(6), expected, (6, 8))
