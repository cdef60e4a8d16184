"""What comes out of ours and others' together, where it is known by other means."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.ldm.modules.attention
import comfy.model_patcher
import comfy.samplers
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.attention_patch import ImagePatch, apply_image_conditions
from custom_nodes.videogen.comfyui.attention.patch_chain import PatchChain
from custom_nodes.videogen.nodes.frames.anchor_attention import anchor_frames
from tests.comfyui.chains.chained_sampling import ACTS, ROUNDING, UNET, anchor, distance, plain_model, sample
from tests.comfyui.chains.patches_of_others import THEIRS, cache_inner_blocks, halve_blocks, halve_layers, sample_halves
from tests.support.models.seeing_models import make_condition

PAG, SAG = THEIRS["PerturbedAttentionGuidance"], THEIRS["SelfAttentionGuidance"]
MIDDLE = ("middle", 0, 0)


def attn1(model: Any) -> dict[Any, Any]:
    return model.model_options["transformer_options"].get("patches_replace", {}).get("attn1", {})


def anchor_by_hand(q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
    """The formula of Anchor Attention at strength 1: all frames attend to the first."""
    chunks = len(extra_options["cond_or_uncond"])
    frames = len(q) // chunks
    first = torch.arange(chunks).repeat_interleave(frames) * frames
    return comfy.ldm.modules.attention.optimized_attention(q, k[first], v[first], extra_options["n_heads"])


def anchored_by_hand(model: Any, **middle: Any) -> Any:
    """The formula in all layers; in the middle, `patch` if given."""
    patched = model.clone()
    for key in attn1(anchor_frames(plain_model())):
        patched.set_model_attn1_replace(middle["patch"] if middle and key == MIDDLE else anchor_by_hand, *key)
    return patched


def test_perturbed_attention_guidance_perturbs_the_anchored_model() -> None:
    def perturb(args: dict[str, Any]) -> Tensor:
        options = comfy.model_patcher.set_model_options_patch_replace(
            args["model_options"].copy(), lambda q, k, v, options: v, "attn1", *MIDDLE
        )
        (without,) = comfy.samplers.calc_cond_batch(
            args["model"], [args["cond"]], args["input"], args["sigma"], options
        )
        return args["denoised"] + (args["cond_denoised"] - without) * 3.0

    by_hand = anchored_by_hand(plain_model())
    unguided = sample(by_hand)
    by_hand.set_model_sampler_post_cfg_function(perturb)
    expected = sample(by_hand)
    assert distance(expected, unguided) > ACTS
    for frames_per_pass in (0, 2):
        found = sample(PAG(anchor_frames(plain_model(), strength=1.0, frames_per_pass=frames_per_pass)))
        assert distance(found, expected) < ROUNDING


@pytest.mark.parametrize("blocks", ["all", "output"])
def test_self_attention_guidance_sees_the_frames_own_attention(blocks: str) -> None:
    """In the anchored model, by the map of the frames alone; in batches of frames as without."""
    guided = SAG(plain_model())
    theirs = attn1(guided)[MIDDLE]
    if blocks == "all":

        def seen_and_anchored(q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
            theirs(q, k, v, extra_options)
            return anchor_by_hand(q, k, v, extra_options)

        expected = sample(anchored_by_hand(guided, patch=seen_and_anchored))
    else:
        expected = sample(anchor_frames(SAG(plain_model()), strength=1.0, blocks=blocks))
    for frames_per_pass in (0, 2):
        ours = anchor_frames(plain_model(), strength=1.0, blocks=blocks, frames_per_pass=frames_per_pass)
        assert distance(sample(SAG(ours)), expected) < ROUNDING


@pytest.mark.parametrize("theirs", ["PerturbedAttentionGuidance", "SelfAttentionGuidance"])
def test_a_single_frame_is_as_without_anchors(theirs: str) -> None:
    alone = sample(THEIRS[theirs](plain_model()), frames=1)
    assert torch.equal(sample(THEIRS[theirs](anchor(plain_model())), frames=1), alone)
    assert torch.equal(sample(anchor(THEIRS[theirs](plain_model())), frames=1), alone)


@pytest.mark.parametrize("theirs", ["EasyCache", "LazyCache", "cache of outputs"])
def test_caches_are_given_all_frames_of_a_step(theirs: str) -> None:
    """Otherwise one batch of frames would be shown what was kept of another."""
    whole = sample(anchor(THEIRS[theirs](plain_model()), 0), steps=4)
    assert distance(whole, sample(anchor(plain_model(), 0), steps=4)) > ACTS
    assert distance(sample(anchor(THEIRS[theirs](plain_model())), steps=4), whole) < ROUNDING


def test_a_cache_that_calls_the_blocks_itself_keeps_start_and_end() -> None:
    """It does not pass through what divides a step, where `start` and `end` were read."""
    never = cache_inner_blocks(anchor_frames(plain_model(), start=0.4, end=0.45))
    assert torch.equal(sample(never), sample(cache_inner_blocks(plain_model())))
    always = cache_inner_blocks(anchor_frames(plain_model()))
    assert distance(sample(always), sample(never)) > ACTS


@pytest.mark.parametrize("frames_per_pass", [0, 2])
def test_tiles_that_are_joined_are_as_one_at_a_time(frames_per_pass: int) -> None:
    """Each tile's frames are anchored to its own first."""
    one_by_one = sample(sample_halves(anchor(plain_model(), 0), False), steps=1)
    joined = sample_halves(anchor(plain_model(), frames_per_pass), True)
    assert distance(sample(joined, steps=1), one_by_one) < ROUNDING
    assert distance(one_by_one, sample(sample_halves(plain_model(), False), steps=1)) > ACTS


# ------------------------------------------------------------------ the chain


def test_a_later_anchor_attention_leaves_nothing_of_an_earlier_one() -> None:
    twice = anchor_frames(anchor_frames(halve_layers(plain_model()), strength=0.2), strength=0.7, blocks="middle")
    once = anchor_frames(halve_layers(plain_model()), strength=0.7, blocks="middle")
    assert attn1(twice).keys() == attn1(once).keys()
    assert torch.equal(sample(twice, steps=1), sample(once, steps=1))


def test_two_adapters_stay_on_top_of_what_comes_later() -> None:
    def both(model: Any) -> Any:
        for seed in (0, 1):
            model = apply_image_conditions(model, [make_condition(UNET, weight=0.7, seed=seed)])
        return model

    for theirs in (halve_blocks, halve_layers):
        before = sample(both(theirs(plain_model())), steps=1)
        assert distance(sample(theirs(both(plain_model())), steps=1), before) < ROUNDING
    one = apply_image_conditions(plain_model(), [make_condition(UNET, weight=0.7)])
    assert distance(sample(halve_layers(one), steps=1), before) > ACTS


def halve_what_is_there(model: Any, kind: str) -> Any:
    """A later node whose patches call the ones before."""
    patched = model.clone()
    replaced = model.model_options["transformer_options"].get("patches_replace", {}).get(kind, {})

    def attend(q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        return comfy.ldm.modules.attention.optimized_attention(q, k, v, extra_options["n_heads"])

    for key in attn1(anchor_frames(plain_model())):
        before = replaced.get(key, attend)
        patched.set_model_patch_replace(lambda *given, before=before: before(*given) / 2, kind, *key)
    return patched


def test_what_calls_ours_is_left_alone() -> None:
    """Images are not added twice, and keys of anchors not joined twice."""
    images = halve_what_is_there(apply_image_conditions(plain_model(), [make_condition(UNET)]), "attn2")
    found = sample(images, steps=1)
    images.remove_wrappers_with_key(WrappersMP.APPLY_MODEL, "videogen.images")
    assert torch.equal(found, sample(images, steps=1))
    before = sample(anchor(halve_what_is_there(plain_model(), "attn1")), steps=1)
    assert distance(sample(halve_what_is_there(anchor(plain_model()), "attn1"), steps=1), before) < ROUNDING
    assert distance(before, sample(anchor(plain_model()), steps=1)) > ACTS


def chain_of(model: Any) -> tuple[PatchChain[ImagePatch], dict[str, Any]]:
    patched = apply_image_conditions(model, [make_condition(UNET)])
    options = patched.model_options["transformer_options"]
    table = options["patches_replace"]["attn2"]
    ours = {key: patch.over(None) for key, patch in table.items() if isinstance(patch, ImagePatch)}
    return PatchChain("attn2", ours, ImagePatch), options


def test_a_model_without_others_keeps_its_options() -> None:
    chain, options = chain_of(plain_model())
    assert chain.settle(options) is options
    chain, options = chain_of(halve_blocks(plain_model()))
    assert chain.settle(options) is options


def test_patches_are_the_same_objects_in_each_call() -> None:
    """A compiled model is compiled again for others."""
    chain, _ = chain_of(plain_model())
    theirs = halve_layers(plain_model()).model_options["transformer_options"]
    first, second = (chain.settle({**theirs, "sigmas": number})["patches_replace"]["attn2"] for number in range(2))
    assert first.keys() == second.keys()
    assert all(isinstance(first[key], ImagePatch) and first[key] is second[key] for key in first)
    assert theirs["patches_replace"]["attn2"][MIDDLE] is first[MIDDLE].below, "the given options were changed"
