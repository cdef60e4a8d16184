"""Anchor Attention in batches of frames, and through ComfyUI's samplers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.sample
import comfy.samplers
import comfy.supported_models
import torch
from comfy.model_sampling import EPS, ModelSamplingDiscrete
from comfy.patcher_extension import WrapperExecutor, WrappersMP
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.comfyui.attention.image_condition import ImageCondition
from custom_nodes.videogen.comfyui.frames.frame_batches import FRAMES_KEY, split_evenly
from custom_nodes.videogen.nodes.frames.anchor_attention import anchor_frames
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.predictions import relative_difference
from runner.bench.models.random_weights.unets import TINY_SD15, UNet
from runner.bench.models.tiny_adapters import draw_adapter, draw_embeds
from tests.nodes.frames.anchored_models import EXACT, FRAMES, HEIGHT, ROUNDING, WIDTH, WRONG

# ------------------------------------------------------------------ in batches of frames


def call_in_passes(model: Any, x: Tensor, **inputs: Any) -> Tensor:
    """`apply_model` of a patched model, in double precision up to the end: its own rounds to float32."""
    network = model.model.diffusion_model

    def innermost(x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **others):
        copied = {name: [None if x is None else x.clone() for x in part] for name, part in (control or {}).items()}
        return network(x, t, context=c_crossattn, control=copied, transformer_options=transformer_options, **others)

    options = {**model.model_options["transformer_options"], **inputs.pop("transformer_options")}
    t = torch.full((len(x),), 500.0, dtype=x.dtype)
    wrappers = model.get_all_wrappers(WrappersMP.APPLY_MODEL)
    with torch.no_grad():
        return WrapperExecutor.new_executor(innermost, wrappers).execute(
            x, t, None, inputs.pop("context"), inputs.pop("control", None), options, **inputs
        )


def make_call(unet: UNet, chunks: int = 2, frames: int = FRAMES) -> tuple[Tensor, dict[str, Any]]:
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = chunks * frames
    inputs: dict[str, Any] = {
        "context": draw(rows, 7, unet.context_width),
        "transformer_options": {"cond_or_uncond": [1, 0][:chunks], "sigmas": torch.full((frames,), 5.0)},
    }
    if unet.vector_width:
        inputs["y"] = draw(rows, unet.vector_width)
    return draw(rows, 4, HEIGHT, WIDTH), inputs


@pytest.mark.parametrize("previous", [False, True])
@pytest.mark.parametrize("strength", [0.0, 0.3, 0.5, 1.0])
def test_passes_equal_the_whole(unet: UNet, model: Any, strength: float, previous: bool) -> None:
    x, inputs = make_call(unet)
    whole = call_in_passes(anchor_frames(model, strength=strength, previous=previous), x, **inputs)
    for per_pass in (1, 2, 3):
        patched = anchor_frames(model, strength=strength, previous=previous, frames_per_pass=per_pass)
        assert relative_difference(call_in_passes(patched, x, **inputs), whole) < EXACT


def test_passes_take_the_control_of_their_frames(sd15: Any) -> None:
    x, inputs = make_call(TINY_SD15)
    shape = sd15.model.diffusion_model.middle_block[0].out_channels
    control = {
        "middle": [torch.randn(len(x), shape, HEIGHT // 8, WIDTH // 8, dtype=torch.float64)],
        "output": [None, torch.randn(1, shape, HEIGHT // 8, WIDTH // 8, dtype=torch.float64)],
    }
    results = [
        call_in_passes(anchor_frames(sd15, frames_per_pass=per_pass), x, **inputs, control=control)
        for per_pass in (0, 2)
    ]
    assert relative_difference(results[1], results[0]) < EXACT
    without = call_in_passes(anchor_frames(sd15, frames_per_pass=2), x, **inputs)
    assert relative_difference(without, results[0]) > WRONG


def test_passes_say_which_frames_they_have(sd15: Any) -> None:
    x, inputs = make_call(TINY_SD15)
    seen = []

    def look(q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        seen.append((options.get(FRAMES_KEY), options.get("ad_params")))
        return q, k, v

    patched = anchor_frames(sd15, frames_per_pass=2)
    patched.set_model_attn2_patch(look)
    call_in_passes(patched, x, **inputs)
    names = [frames for frames, _ in seen]
    assert names[::16] == [[0], [1, 2], [3, 4]]
    assert seen[-1][1] == {"full_length": 5, "sub_idxs": [3, 4]}


def test_a_step_keeps_nothing_for_the_next_one(sd15: Any) -> None:
    x, inputs = make_call(TINY_SD15)
    patched = anchor_frames(sd15, previous=True, frames_per_pass=2)
    first = call_in_passes(patched, x, **inputs)
    call_in_passes(patched, x.flip(0), **inputs)
    assert torch.equal(call_in_passes(patched, x, **inputs), first)


def test_animatediff_sees_all_frames_at_once(sd15: Any) -> None:
    x, inputs = make_call(TINY_SD15)
    rows = []
    patched = anchor_frames(sd15, frames_per_pass=2)
    patched.set_model_attn2_patch(lambda q, k, v, options: (rows.append(len(q)), (q, k, v))[1])
    inputs["transformer_options"]["ad_params"] = {"full_length": FRAMES, "sub_idxs": None}
    call_in_passes(patched, x, **inputs)
    assert set(rows) == {len(x)}


def test_24_frames_by_10_are_three_passes_of_8() -> None:
    assert [len(part) for part in split_evenly(24, 10)] == [8, 8, 8]
    assert [list(part) for part in split_evenly(5, 2)] == [[0], [1, 2], [3, 4]]
    assert split_evenly(3, 7) == [range(3)]


def test_room_is_made_for_a_pass_and_not_for_all_frames(sd15: Any) -> None:
    def ask(conds: dict[str, list[dict[str, Any]]], **options: Any) -> Any:
        wrappers = anchor_frames(sd15, **options).get_all_wrappers(WrappersMP.PREPARE_SAMPLING)
        executor = WrapperExecutor.new_executor(lambda model, shape, conds, model_options=None: shape, wrappers)
        return list(executor.execute(sd15, torch.Size([24, 4, 16, 16]), conds, model_options={}))

    prompts = {"positive": [{}], "negative": [{}]}
    assert ask(prompts, frames_per_pass=8) == [10, 4, 16, 16]
    assert ask(prompts, frames_per_pass=8, previous=True) == [12, 4, 16, 16]
    assert ask(prompts, frames_per_pass=0) == [24, 4, 16, 16]
    # It runs over all frames before anybody can cut the batch.
    assert ask({"positive": [{"control": object()}]}, frames_per_pass=8) == [24, 4, 16, 16]


# ------------------------------------------------------------------ through ComfyUI's samplers


def sample(model: Any, frames: int = FRAMES, steps: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    noise = torch.randn(frames, 4, HEIGHT, WIDTH, generator=generator)
    prompts = [[[torch.randn(1, 7, TINY_SD15.context_width, generator=generator), {}]] for _ in range(2)]
    return comfy.sample.sample(
        model, noise, steps, 3.0, "euler", "normal", *prompts, torch.zeros_like(noise), seed=1, disable_pbar=True
    )


@pytest.mark.parametrize("previous", [False, True])
def test_a_whole_sampling_in_passes(sd15_single: Any, previous: bool) -> None:
    whole = sample(anchor_frames(sd15_single, previous=previous))
    assert relative_difference(sample(sd15_single), whole) > WRONG
    for per_pass in (1, 2, 4):
        passes = sample(anchor_frames(sd15_single, previous=previous, frames_per_pass=per_pass))
        assert relative_difference(passes, whole) < ROUNDING


def test_start_and_end(sd15_single: Any) -> None:
    plain, full = sample(sd15_single), sample(anchor_frames(sd15_single))
    assert anchor_frames(sd15_single, start=0.5, end=0.5) is sd15_single
    # Three steps begin at 0, 1/2 and 1 of the way.
    assert torch.equal(sample(anchor_frames(sd15_single, start=0.6, end=0.9)), plain)
    early, late = (sample(anchor_frames(sd15_single, start=start, end=start + 0.5)) for start in (0.0, 0.5))
    for one, other in ((early, plain), (early, full), (late, plain), (late, full), (early, late)):
        assert relative_difference(one, other) > 1e-5


class Steeper(ModelSamplingDiscrete, EPS):
    """Half of the sampling is at another noise level than in the model's own schedule."""


def with_schedule(model: Any, power: float) -> Any:
    """As ModelSamplingDiscrete, ModelSamplingSD3 and the shifts do it: an object patch on a clone."""
    schedule = Steeper()
    schedule.set_sigmas(model.get_model_object("model_sampling").sigmas ** power)
    patched = model.clone()
    patched.add_object_patch("model_sampling", schedule)
    return patched


@pytest.mark.parametrize(("power", "start", "end"), [(2.0, 0.0, 0.4), (0.5, 0.3, 1.0), (2.0, 0.2, 0.7)])
def test_a_schedule_set_by_a_later_node_counts(sd15_single: Any, power: float, start: float, end: float) -> None:
    """The result is that of the nodes in the other order, and another one than with the first schedule's noise levels."""
    after = with_schedule(anchor_frames(sd15_single, start=start, end=end), power)
    before = anchor_frames(with_schedule(sd15_single, power), start=start, end=end)
    expected = sample(before, frames=2, steps=8)
    assert torch.equal(sample(after, frames=2, steps=8), expected)
    for other in (sd15_single, anchor_frames(sd15_single)):
        assert relative_difference(sample(with_schedule(other, power), frames=2, steps=8), expected) > 1e-5


def test_one_model_with_two_schedules_keeps_them_apart(sd15_single: Any) -> None:
    """Two samplers from one Anchor Attention, one of them behind a node that changes the schedule, sampled in turns."""
    anchored = anchor_frames(sd15_single, end=0.4)
    steep = with_schedule(anchored, 2.0)
    plain, changed = (sample(model, frames=2, steps=8) for model in (anchored, steep))
    assert torch.equal(sample(anchored, frames=2, steps=8), plain)
    assert torch.equal(sample(anchor_frames(with_schedule(sd15_single, 2.0), end=0.4), frames=2, steps=8), changed)


def test_a_later_anchor_attention_replaces_the_span_of_an_earlier_one(sd15_single: Any) -> None:
    twice = anchor_frames(anchor_frames(sd15_single, start=0.8), end=0.4)
    once = anchor_frames(sd15_single, end=0.4)
    assert torch.equal(sample(twice, frames=2, steps=6), sample(once, frames=2, steps=6))


def test_one_frame_is_as_without(sd15_single: Any) -> None:
    assert torch.equal(sample(anchor_frames(sd15_single, strength=1.0), frames=1), sample(sd15_single, frames=1))


def test_a_lora_works_under_it(sd15_single: Any) -> None:
    key = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_k.weight"
    down, up = (torch.randn(shape, generator=torch.Generator().manual_seed(2)) for shape in ((4, 32), (32, 4)))
    with_lora = sd15_single.clone()
    with_lora.add_patches({key: (up @ down * 0.2,)}, 1.0)
    whole, passes = (sample(anchor_frames(with_lora, frames_per_pass=per_pass)) for per_pass in (0, 2))
    assert relative_difference(passes, whole) < ROUNDING
    assert relative_difference(whole, sample(anchor_frames(sd15_single))) > WRONG


def see_images(model: Any) -> Any:
    """Another image for every frame, each in a mask of its own."""
    adapter = IPAdapter.from_state(draw_adapter("plus", TINY_SD15), "tiny")
    embeds, negative = draw_embeds("plus", FRAMES)
    masks = torch.zeros(FRAMES, 8 * HEIGHT, 8 * WIDTH)
    for frame in range(FRAMES):
        masks[frame, :, 20 * frame : 20 * frame + 40] = 1
    condition = ImageCondition(
        adapter,
        adapter.project(embeds.float()),
        adapter.project(negative.float()),
        (1.0,) * 16,
        per_frame=True,
        mask=masks,
    )
    return apply_image_conditions(model, [condition])


@pytest.mark.parametrize("images_first", [True, False])
def test_every_frame_keeps_its_own_image_and_mask(sd15_single: Any, images_first: bool) -> None:
    def build(per_pass: int) -> Any:
        if images_first:
            return anchor_frames(see_images(sd15_single), frames_per_pass=per_pass)
        return see_images(anchor_frames(sd15_single, frames_per_pass=per_pass))

    whole = sample(build(0))
    assert relative_difference(whole, sample(anchor_frames(sd15_single))) > WRONG
    for per_pass in (1, 2):
        assert relative_difference(sample(build(per_pass)), whole) < ROUNDING
