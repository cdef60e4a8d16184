"""Ours in what workflows are made of beside model patches: prompts with more in them, other models, several samplings."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.hooks
import comfy.utils
import torch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from comfy_extras.nodes_custom_sampler import Guider_DualCFG
from comfy_extras.nodes_perpneg import Guider_PerpNeg
from nodes import ControlNetApplyAdvanced, GLIGENTextBoxApply
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.nodes.frames.anchor_attention import anchor_frames
from custom_nodes.videogen.nodes.frames.frame_noise import FrameNoise, add_noise
from custom_nodes.videogen.nodes.guards.thermal_guard import guard_model
from tests.comfyui.chains.chained_sampling import (
    ACTS,
    FRAMES,
    HEIGHT,
    OURS,
    ROUNDING,
    UNET,
    WIDTH,
    Patch,
    anchor,
    distance,
    plain_model,
    sample,
    see_images,
    text,
)
from tests.comfyui.chains.patches_of_others import CONTEXT_WINDOWS, HYPERTILE, SKIP_LAYERS, nag_in_the_network
from tests.support.models.other_networks import draw_control_net, draw_gligen, draw_inpainting_model
from tests.support.models.seeing_models import make_condition, make_tokens

KEY = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn{}.to_k"
BOTH = pytest.mark.parametrize("ours", ["images", "anchors"])


def check_both_act(ours: Patch, given: dict[str, Any], model: Any = None) -> Tensor:
    """A sampling with ours and with what `given` adds to it, which differs from either alone."""
    model = model or plain_model()
    both = sample(ours(model), **given)
    assert both.isfinite().all()
    assert distance(both, sample(model, **given)) > ACTS, "ours have no effect"
    assert distance(both, sample(ours(model))) > ACTS, "theirs have no effect"
    return both


# ------------------------------------------------------------------ what prompts carry


@cache
def with_control() -> dict[str, Any]:
    hints = torch.rand(FRAMES, 8 * HEIGHT, 8 * WIDTH, 3, generator=torch.Generator().manual_seed(4))
    net = draw_control_net(UNET)
    prompts = ControlNetApplyAdvanced().apply_controlnet(text(1), text(2), net, hints, 0.3, 0.0, 1.0)
    return dict(zip(("positive", "negative"), prompts, strict=True))


class BoxText:
    """The part of a CLIP that GLIGENTextBoxApply needs."""

    def tokenize(self, words: str) -> str:
        return words

    def encode_from_tokens(self, words: str, return_pooled: Any = False) -> tuple[None, Tensor]:
        return None, torch.randn(1, 12, generator=torch.Generator().manual_seed(len(words)))


@cache
def with_boxes() -> dict[str, Any]:
    (positive,) = GLIGENTextBoxApply().append(text(1), BoxText(), draw_gligen(UNET), "a tree", 64, 64, 8, 16)
    return {"positive": positive, "negative": text(2)}


@BOTH
def test_a_control_net(ours: str) -> None:
    check_both_act(OURS[ours], with_control())


@pytest.mark.parametrize("ours", [see_images, partial(anchor, frames_per_pass=0)], ids=["images", "anchors"])
def test_boxes_of_gligen(ours: Patch) -> None:
    check_both_act(ours, with_boxes())


def test_boxes_of_gligen_are_refused_in_batches_of_frames() -> None:
    with pytest.raises(VideoGenError, match=r"GLIGEN's boxes are for all 3 frames .* `frames_per_pass` 2") as caught:
        sample(anchor(plain_model()), **with_boxes())
    assert caught.value.code == "patch-conflict"
    assert "Set `frames_per_pass` to 0" in caught.value.hint


def lora_weights(attention: int) -> tuple[Tensor, Tensor]:
    width = 32 if attention == 1 else UNET.context_width
    down, up = (torch.randn(shape, generator=torch.Generator().manual_seed(2)) for shape in ((4, width), (32, 4)))
    return down, up * 0.3


@pytest.mark.parametrize(("ours", "attention"), [("images", 2), ("anchors", 1)])
def test_a_lora_in_the_layers_of_ours(ours: str, attention: int) -> None:
    down, up = lora_weights(attention)
    model = plain_model().clone()
    model.add_patches({f"{KEY.format(attention)}.weight": (up @ down,)}, 1.0)
    both = sample(OURS[ours](model))
    assert distance(both, sample(model)) > ACTS
    assert distance(both, sample(OURS[ours](plain_model()))) > ACTS


@BOTH
def test_a_lora_of_one_prompt(ours: str) -> None:
    """A hook: the prompts run one after the other, with other weights."""
    down, up = lora_weights(2)
    name = "lora_unet_" + KEY.format(2).removeprefix("diffusion_model.").replace(".", "_")
    lora = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    hooks = comfy.hooks.create_hook_lora(lora=lora, strength_model=1.0, strength_clip=0.0)
    positive = comfy.hooks.set_hooks_for_conditioning(text(1), hooks)
    check_both_act(OURS[ours], {"positive": positive})


def guide_apart(model: Any) -> Guider_PerpNeg:
    guider = Guider_PerpNeg(model)
    guider.set_conds(text(1), text(2), text(3))
    guider.set_cfg(3.0, 1.0)
    return guider


def guide_by_two(model: Any) -> Guider_DualCFG:
    guider = Guider_DualCFG(model)
    guider.set_conds(text(1), text(3), text(2))
    guider.set_cfg(3.0, 2.0)
    return guider


@pytest.mark.parametrize("guide", [guide_apart, guide_by_two])
@BOTH
def test_guiders_with_three_prompts(ours: str, guide: Any) -> None:
    check_both_act(OURS[ours], {"guider": guide})


@BOTH
def test_a_prompt_for_a_part_of_the_picture(ours: str) -> None:
    all_of_it = (HEIGHT, WIDTH, 0, 0)
    part = {"positive": text(1) + text(7, area=(HEIGHT, WIDTH // 2, 0, 0))}
    found = check_both_act(OURS[ours], part)
    if ours == "anchors":
        assert distance(sample(anchor(plain_model(), 0), **part), found) < ROUNDING
    everywhere, plain = (
        sample(OURS[ours](plain_model()), positive=text(1, **area)) for area in ({"area": all_of_it}, {})
    )
    # The anchors' joint keys are computed for other numbers of rows.
    assert torch.equal(everywhere, plain) if ours == "images" else distance(everywhere, plain) < ROUNDING


# ------------------------------------------------------------------ other models


def test_an_inpainting_model() -> None:
    """Nine channels: the picture and its mask are given to the network with the latents, a row a frame."""
    model = draw_inpainting_model(UNET)
    generator = torch.Generator().manual_seed(6)
    given = {
        "concat_latent_image": torch.randn(FRAMES, 4, HEIGHT, WIDTH, generator=generator),
        "concat_mask": (torch.rand(FRAMES, 1, 8 * HEIGHT, 8 * WIDTH, generator=generator) > 0.5).float(),
    }
    prompts = {"positive": text(1, **given), "negative": text(2, **given)}
    for ours in OURS.values():
        check_both_act(ours, prompts, model)
    whole = sample(anchor(model, 0), **prompts)
    assert distance(sample(anchor(model), **prompts), whole) < ROUNDING


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_compiled_model_is_the_same(ours_first: bool) -> None:
    """One layer: it is compiled with our patches in them, and PyTorch takes a minute for a whole model."""

    def compiled(model: Any) -> Any:
        clone = model.clone()
        set_torch_compile_wrapper(clone, "eager", keys=["diffusion_model.middle_block.1.transformer_blocks.0"])
        return clone

    torch._dynamo.reset()
    ours = OURS["images and anchors"]
    model = compiled(ours(plain_model())) if ours_first else ours(compiled(plain_model()))
    assert distance(sample(model), sample(ours(plain_model()))) < ROUNDING
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0, "nothing was compiled"


# ------------------------------------------------------------------ several samplings


@BOTH
def test_windows_of_frames(ours: str) -> None:
    """Without overlap they are samplings of their own: each with its first frame as the anchor, and its frames' images."""
    condition = make_condition(UNET, tokens=make_tokens(UNET, 4), per_frame=True)
    windows = CONTEXT_WINDOWS

    def patch(model: Any) -> Any:
        return apply_image_conditions(model, [condition]) if ours == "images" else anchor(model)

    four = {"frames": 4, "steps": 3}
    windowed = sample(windows(patch(plain_model())), **four)
    assert distance(sample(patch(windows(plain_model())), **four), windowed) < ROUNDING
    whole = sample(patch(plain_model()), **four)
    if ours == "images":
        assert distance(windowed, whole) < ROUNDING
    else:
        assert distance(windowed[:2], sample(patch(plain_model()), frames=2, steps=3)) < ROUNDING
        assert distance(windowed, whole) > ACTS


@BOTH
def test_two_samplers_of_one_model(ours: str) -> None:
    model = OURS[ours](plain_model())
    alone = [sample(OURS[ours](plain_model())), sample(OURS[ours](plain_model()), frames=2, positive=text(7))]
    for _ in range(2):
        assert torch.equal(sample(model), alone[0])
        assert torch.equal(sample(model, frames=2, positive=text(7)), alone[1])


@BOTH
def test_a_second_pass_at_another_size(ours: str) -> None:
    model = OURS[ours](plain_model())
    first = sample(model)
    larger = comfy.utils.common_upscale(first, WIDTH * 3 // 2, HEIGHT * 3 // 2, "bilinear", "disabled")
    given = {"latent": larger, "steps": 4, "denoise": 0.5}
    second = sample(model, **given)
    assert second.shape[-2:] == (HEIGHT * 3 // 2, WIDTH * 3 // 2)
    assert second.isfinite().all()
    assert torch.equal(second, sample(OURS[ours](plain_model()), **given)), "the first pass shows"
    assert distance(second, sample(plain_model(), **given)) > ACTS


# ------------------------------------------------------------------ Guard Model and Frame Noise


class Cool:
    """A guard that never waits, and counts."""

    def __init__(self) -> None:
        self.looks = 0

    def wait(self) -> None:
        self.looks += 1


def test_guard_model_and_frame_noise_change_nothing_of_either() -> None:
    ours = OURS["images and anchors"]
    expected = sample(ours(plain_model()))
    for build in (
        lambda model, guard: guard_model(ours(model), guard),
        lambda model, guard: ours(guard_model(model, guard)),
    ):
        guard = Cool()
        assert torch.equal(sample(build(plain_model(), guard)), expected)
        assert guard.looks == 2
    noise = FrameNoise(seed=1, anchor=2, drift=0.4)
    latent = {"samples": torch.zeros(FRAMES, 4, HEIGHT, WIDTH)}
    plain, patched = (add_noise(model, latent, noise)["samples"] for model in (plain_model(), ours(plain_model())))
    assert torch.equal(plain, patched)


# ------------------------------------------------------------------ what is refused, and what does nothing to these models


@pytest.mark.parametrize("ours_first", [True, False])
def test_tiles_of_hypertile(ours_first: bool) -> None:
    def both(ours: Patch) -> Any:
        return HYPERTILE(ours(plain_model())) if ours_first else ours(HYPERTILE(plain_model()))

    found = sample(both(see_images))
    assert distance(found, sample(HYPERTILE(plain_model()))) > ACTS
    assert distance(found, sample(see_images(plain_model()))) > ACTS
    with pytest.raises(VideoGenError, match="another node, such as HyperTile, cuts the pictures into tiles") as caught:
        sample(both(anchor))
    assert caught.value.hint == "Remove that node, or Anchor Attention."


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_prompt_that_a_network_adds_by_itself(ours_first: bool) -> None:
    def both(ours: Patch) -> Any:
        return nag_in_the_network(ours(plain_model())) if ours_first else ours(nag_in_the_network(plain_model()))

    anchored = sample(both(anchor))
    assert distance(anchored, sample(nag_in_the_network(plain_model()))) > ACTS
    assert distance(anchored, sample(anchor(plain_model()))) > ACTS
    with pytest.raises(
        VideoGenError, match=r"got 12 rows of text for 6 rows of pictures: another node, such as NAG"
    ) as caught:
        sample(both(see_images))
    assert caught.value.code == "patch-conflict"


def test_windows_in_all_of_queries_keys_and_values_are_refused() -> None:
    """As attention in shifted windows does: rows multiply, and the first is a corner of the first frame."""
    model = anchor_frames(plain_model())

    def split(q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> tuple[Tensor, ...]:
        return tuple(x.reshape(2 * len(x), -1, x.shape[-1]) for x in (q, k, v))

    model.set_model_attn1_patch(split)
    model.set_model_attn1_output_patch(lambda out, options: out.reshape(len(out) // 2, -1, out.shape[-1]))
    with pytest.raises(VideoGenError, match="got 12 rows of queries and 12 rows of keys for a batch of 6"):
        sample(model)


@BOTH
def test_skipped_layers_of_transformers_do_nothing_to_a_unet(ours: str) -> None:
    expected = sample(OURS[ours](plain_model()))
    assert distance(sample(SKIP_LAYERS(plain_model())), sample(plain_model())) < ROUNDING
    assert distance(sample(SKIP_LAYERS(OURS[ours](plain_model()))), expected) < ROUNDING
    assert distance(sample(OURS[ours](SKIP_LAYERS(plain_model()))), expected) < ROUNDING
