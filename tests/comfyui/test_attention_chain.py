"""Images together with others: several of them, other packs' patches before and after, and what they cannot go with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import torch
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.attention_patch import ImagePatch, apply_image_conditions
from custom_nodes.videogen.core.errors import VideoGenError
from runner.bench.models.random_weights.unets import TINY_SD15, TINY_SDXL, UNet
from tests.support.models.seeing_models import (
    HEIGHT,
    WIDTH,
    distance,
    draw_model,
    make_condition,
    make_latents,
    predict,
)

EXACT, DIFFERENT = 1e-12, 1e-4
UNETS = pytest.mark.parametrize("unet", [TINY_SD15, TINY_SDXL], ids=["sd15", "sdxl"])
SD15 = TINY_SD15


def replaced(model: Any) -> dict[Any, Any]:
    return model.model_options["transformer_options"].get("patches_replace", {}).get("attn2", {})


# ------------------------------------------------------------------ several at once


@UNETS
def test_conditions_of_one_call_and_of_several_add_up_alike(unet: UNet) -> None:
    model, latents = draw_model(unet), make_latents(2)
    mask = torch.rand(1, 8, 12, generator=torch.Generator().manual_seed(5))
    one, two = make_condition(unet, weight=0.7), make_condition(unet, seed=1, name="b", mask=mask)
    together = predict(apply_image_conditions(model, [one, two]), unet, latents, chunks=(1, 0))
    apart = apply_image_conditions(apply_image_conditions(model, [one]), [two])
    assert distance(predict(apart, unet, latents, chunks=(1, 0)), together) < EXACT
    turned = apply_image_conditions(apply_image_conditions(model, [two]), [one])
    assert distance(predict(turned, unet, latents, chunks=(1, 0)), together) < EXACT
    assert distance(predict(apply_image_conditions(model, [one]), unet, latents, chunks=(1, 0)), together) > DIFFERENT


def test_masks_can_be_kept_from_adding_up_above_one() -> None:
    model, latents = draw_model(SD15), make_latents(1)
    full = torch.ones(1, HEIGHT, WIDTH)

    def seen(first: Tensor | None, second: Tensor | None, *, normalize: bool) -> Tensor:
        conditions = [make_condition(SD15, mask=first), make_condition(SD15, seed=1, mask=second)]
        return predict(apply_image_conditions(model, conditions, normalize_masks=normalize), SD15, latents)

    half = seen(full / 2, full / 2, normalize=False)
    assert distance(seen(full, full, normalize=True), half) < EXACT
    assert distance(seen(None, None, normalize=True), half) < EXACT
    assert distance(seen(full / 2, full / 2, normalize=True), half) < EXACT
    assert distance(seen(full, full, normalize=False), half) > DIFFERENT


def test_spans_of_several_are_kept_apart() -> None:
    model, latents = draw_model(SD15), make_latents(1)
    early, late = make_condition(SD15, end=0.5), make_condition(SD15, seed=1, start=0.5)
    both = apply_image_conditions(model, [early, late])
    sigma = model.get_model_object("model_sampling").percent_to_sigma
    for percent, alone in ((0.3, make_condition(SD15)), (0.7, make_condition(SD15, seed=1))):
        expected = predict(apply_image_conditions(model, [alone]), SD15, latents)
        assert distance(predict(both, SD15, latents, sigma=float(sigma(percent))), expected) < EXACT


# ------------------------------------------------------------------ other people's patches


class Other:
    """Another pack's patch in place of a cross-attention, which keeps what it has returned."""

    def __init__(self) -> None:
        self.given: list[tuple[Tensor, Tensor]] = []

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        out = optimized_attention(q, k, v, extra_options["n_heads"]) * 0.5
        self.given.append((out, out.clone()))
        return out

    def __deepcopy__(self, memo: object) -> Other:
        return self


@pytest.mark.parametrize("key", [("middle", 0), ("middle", 0, 0)], ids=["block", "layer"])
def test_a_patch_that_is_there_stays_below(key: tuple[Any, ...]) -> None:
    model, latents, other = draw_model(SD15), make_latents(1), Other()
    theirs = model.clone()
    theirs.set_model_attn2_replace(other, *key)
    condition = make_condition(SD15, weights=(0.0,) * 15 + (1.0,))
    both = apply_image_conditions(theirs, [condition])
    found = predict(both, SD15, latents)
    assert len(other.given) == 1
    assert torch.equal(*other.given[0]), "what somebody else keeps was written to"
    assert distance(found, predict(theirs, SD15, latents)) > 1e-6
    assert distance(found, predict(apply_image_conditions(model, [condition]), SD15, latents)) > 1e-6

    def by_hand(q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        plain = optimized_attention(q, k, v, extra_options["n_heads"])
        ours = replaced(apply_image_conditions(model, [condition]))["middle", 0, 0](q, k, v, extra_options)
        return 0.5 * plain + (ours - plain)

    expected = model.clone()
    expected.set_model_attn2_replace(by_hand, "middle", 0, 0)
    assert distance(found, predict(expected, SD15, latents)) < EXACT


def test_attention_that_somebody_overrides_is_not_written_to() -> None:
    model, latents, kept = draw_model(SD15), make_latents(1), []

    def override(function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        out = function(*args, **kwargs)
        kept.append((out, out.clone()))
        return out

    patched = apply_image_conditions(model, [make_condition(SD15)])
    predict(patched, SD15, latents, options={"optimized_attention_override": override})
    assert kept
    assert all(torch.equal(*pair) for pair in kept)


def test_what_another_pack_adds_later_is_added() -> None:
    """ComfyUI_IPAdapter_plus calls `.add` on whatever patch it finds, on a clone of the model."""
    model, latents = draw_model(SD15), make_latents(1)
    patched = apply_image_conditions(model, [make_condition(SD15)])
    before = predict(patched, SD15, latents)
    clone = patched.clone()
    asked: list[dict[str, Any]] = []

    def callback(out: Tensor, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any], **kwargs: Any) -> Tensor:
        asked.append({**kwargs, "shapes": {out.shape, q.shape}, "block": extra_options["block"]})
        return torch.full_like(out, kwargs["amount"])

    patch = replaced(clone)["middle", 0, 0]
    patch.add(callback, sigma_start=10.0, sigma_end=1.0, amount=0.25)
    patch.add(callback, sigma_start=4.0, sigma_end=0.0, amount=100.0)
    found = predict(clone, SD15, latents, sigma=5.0)
    assert [entry["amount"] for entry in asked] == [0.25]
    assert asked[0]["block"] == ("middle", 0)
    assert len(asked[0]["shapes"]) == 1
    assert distance(found, before) > 1e-6
    assert torch.equal(predict(patched, SD15, latents), before), "the model of before was changed"
    assert distance(predict(clone.clone(), SD15, latents, sigma=5.0), found) == 0, "a clone has lost it"


@pytest.mark.parametrize("kind", ["attn1_patch", "attn2_patch", "attn2_output_patch", "middle_patch"])
def test_patches_of_other_kinds_go_on(kind: str) -> None:
    model, latents, calls = draw_model(SD15), make_latents(1), []

    def patch(n: Tensor, *rest: Any) -> Any:
        calls.append(n.shape)
        return (n * 1.5, *rest[:-1]) if len(rest) > 1 else n * 1.5

    theirs = model.clone()
    theirs.set_model_patch(patch, kind)
    before = predict(theirs, SD15, latents)
    count = len(calls)
    assert count
    both = predict(apply_image_conditions(theirs, [make_condition(SD15)]), SD15, latents)
    assert len(calls) == 2 * count
    assert distance(both, before) > DIFFERENT
    assert distance(both, predict(apply_image_conditions(model, [make_condition(SD15)]), SD15, latents)) > DIFFERENT


def test_clones_share_what_they_show() -> None:
    condition = make_condition(SD15)
    patched = apply_image_conditions(draw_model(SD15), [condition])
    clone = patched.clone().clone()
    ours, theirs = replaced(patched), replaced(clone)
    assert ours.keys() == theirs.keys()
    for key, patch in ours.items():
        assert isinstance(patch, ImagePatch)
        assert theirs[key] is not patch
        assert theirs[key].state is patch.state
    assert next(iter(theirs.values())).state.conditions[0].tokens is condition.tokens
    assert copy.deepcopy(patched.model_options["transformer_options"]).keys()


# ------------------------------------------------------------------ what images cannot go with


@pytest.mark.parametrize(("rows", "chunks"), [(4, (1, 0)), (3, (1, 0))])
def test_rows_that_somebody_multiplies_are_told(rows: int, chunks: tuple[int, ...]) -> None:
    patch = replaced(apply_image_conditions(draw_model(SD15), [make_condition(SD15)]))["middle", 0, 0]
    q = torch.zeros(rows, 6, SD15.attention_widths[-1], dtype=torch.float64)
    options = {"n_heads": 2, "cond_or_uncond": list(chunks), "activations_shape": [2, 64, 2, 3]}
    with pytest.raises(VideoGenError, match=f"got {rows} rows for a batch of 2") as caught:
        patch(q, q, q, options)
    assert caught.value.code == "patch-conflict"


def test_queries_that_are_no_image_are_told_where_there_is_a_mask() -> None:
    q = torch.zeros(1, 5, SD15.attention_widths[-1], dtype=torch.float64)
    options = {
        "n_heads": 2,
        "cond_or_uncond": [0],
        "activations_shape": [1, 64, 2, 3],
        "original_shape": [1, 4, 16, 24],
    }
    for mask in (None, torch.ones(1, 8, 12)):
        condition = make_condition(SD15, mask=mask)
        patch = replaced(apply_image_conditions(draw_model(SD15), [condition]))["middle", 0, 0]
        if mask is None:
            assert patch(q, q, q, options).shape == q.shape
        else:
            with pytest.raises(VideoGenError, match="5 queries"):
                patch(q, q, q, options)


def test_a_sampler_that_does_not_tell_the_prompts_apart() -> None:
    patch = replaced(apply_image_conditions(draw_model(SD15), [make_condition(SD15)]))["middle", 0, 0]
    q = torch.zeros(1, 6, SD15.attention_widths[-1], dtype=torch.float64)
    with pytest.raises(VideoGenError, match="which rows") as caught:
        patch(q, q, q, {"n_heads": 2})
    assert caught.value.code == "core-unsupported"


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": torch.zeros(2, 3, SD15.context_width)},
        {"tokens": torch.zeros(1, 3, SD15.context_width + 1)},
        {"negative_tokens": torch.zeros(2, 3, SD15.context_width)},
        {"weights": (1.0,) * 15},
        {"mask": torch.ones(4, 4)},
    ],
)
def test_a_callers_mistake_is_told_at_once(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected|weights for"):
        apply_image_conditions(draw_model(SD15), [make_condition(SD15, **changes)])
