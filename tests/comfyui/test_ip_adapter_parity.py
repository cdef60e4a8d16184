"""IP-Adapter in ComfyUI's UNet against diffusers' own, on the same random weights, in float64.

The bounds are a thousand times apart: rounding is below 1e-12, and the smallest of the mistakes that such code can have,
which are made here on purpose, is above 1e-4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.support.needs import require_comfy, require_diffusers

require_comfy()
require_diffusers()

import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.comfyui.attention.image_condition import ImageCondition
from custom_nodes.videogen.comfyui.attention.unet_blocks import cross_attention_keys
from custom_nodes.videogen.core.conditioning.layer_weights import weigh_layers
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.predictions import (
    NEGATIVE,
    POSITIVE,
    AdapterInput,
    DiffusersPipeline,
    Step,
    make_step,
    predict_with_comfy,
    relative_difference,
)
from runner.bench.models.random_weights.unets import TINY_SD15, TINY_SDXL, UNet
from runner.bench.models.tiny_adapters import draw_adapter, draw_embeds
from runner.bench.models.tiny_models import build_comfy_model, build_diffusers_unet, draw_unet

EXACT = 1e-12
WRONG = 1e-4
KINDS = ["plain", "plus", "full-face"]
#: Of the latents: not square, and three halvings keep whole numbers.
HEIGHT, WIDTH = 8, 16


@dataclass(frozen=True)
class Pair:
    """The same UNet in ComfyUI and in diffusers."""

    unet: UNet
    model: Any
    pipeline: DiffusersPipeline

    def compare(self, step: Step, inputs: Sequence[AdapterInput], **ours: Any) -> float:
        """Relative L2 between both predictions; `ours` is what `predict_with_comfy` or `see` take."""
        passes = {"passes": ours.pop("passes")} if "passes" in ours else {}
        found = predict_with_comfy(self.see(inputs, **ours), step, **passes)
        self.pipeline.load(inputs)
        return relative_difference(found, self.pipeline.predict(step, inputs))

    def see(
        self, inputs: Sequence[AdapterInput], change: Callable[[ImageCondition], ImageCondition] | None = None
    ) -> Any:
        """Our model that sees these images."""
        conditions = [condition for given in inputs for condition in make_conditions(given)]
        if change is not None:
            conditions = [change(condition) for condition in conditions]
        return apply_image_conditions(self.model, conditions)


@pytest.fixture(scope="module", params=[TINY_SD15, TINY_SDXL], ids=["sd15", "sdxl"])
def pair(request: pytest.FixtureRequest) -> Pair:
    unet: UNet = request.param
    weights = draw_unet(unet)
    return Pair(unet, build_comfy_model(unet, weights), DiffusersPipeline(unet, build_diffusers_unet(unet, weights)))


@pytest.fixture
def step(pair: Pair) -> Step:
    return make_step(pair.unet, 2, HEIGHT, WIDTH)


def make_input(
    unet: UNet, kind: str, *, name: str = "", images: int = 1, weight: float = 1.0, masks: Tensor | None = None
) -> AdapterInput:
    embeds, negative = draw_embeds(kind, images, seed=len(name))
    return AdapterInput(draw_adapter(kind, unet, name=name), embeds, negative, weight, masks)


def make_conditions(given: AdapterInput) -> list[ImageCondition]:
    """As our nodes make them: images of one adapter are seen together, or each in its own mask."""
    adapter = IPAdapter.from_state(given.state, "tiny").to(torch.float64)
    tokens, negative = adapter.project(given.embeds), adapter.project(given.negative_embeds)
    weights = (given.scale if isinstance(given.scale, float) else 1.0,) * len(adapter.info.layer_widths)
    if given.masks is None:
        return [ImageCondition(adapter, tokens.flatten(0, 1)[None], negative, weights)]
    return [
        ImageCondition(adapter, image[None], negative, weights, mask=mask[None])
        for image, mask in zip(tokens, given.masks, strict=True)
    ]


def half_mask(side: str = "left") -> Tensor:
    """(height, width) of the image: 1 on one half."""
    mask = torch.zeros(8 * HEIGHT, 8 * WIDTH)
    columns = slice(0, 4 * WIDTH) if side == "left" else slice(4 * WIDTH, None)
    mask[:, columns] = 1.0
    return mask


def box_mask() -> Tensor:
    """A box whose edges are on no latent's edge."""
    mask = torch.zeros(8 * HEIGHT, 8 * WIDTH)
    mask[13:45, 21:83] = 1.0
    return mask


# ------------------------------------------------------------------ the same numbers


def test_without_images_both_unets_are_the_same(pair: Pair, step: Step) -> None:
    found = predict_with_comfy(pair.model, step)
    assert found.dtype == torch.float64
    assert relative_difference(found, DiffusersPipeline.predict(plain_pipeline(pair), step)) < EXACT


def plain_pipeline(pair: Pair) -> DiffusersPipeline:
    """diffusers' UNet as it is before it has loaded any adapter."""
    return DiffusersPipeline(pair.unet, build_diffusers_unet(pair.unet, draw_unet(pair.unet)))


@pytest.mark.parametrize("weight", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_one_image(pair: Pair, step: Step, kind: str, weight: float) -> None:
    assert pair.compare(step, [make_input(pair.unet, kind, weight=weight)]) < EXACT


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_changes_the_image(pair: Pair, step: Step, kind: str) -> None:
    """So that the tests above compare something."""
    without = predict_with_comfy(pair.model, step)
    model = pair.see([make_input(pair.unet, kind)])
    assert model is not pair.model
    assert relative_difference(predict_with_comfy(model, step), without) > 0.01
    assert torch.equal(predict_with_comfy(pair.model, step), without)  # a clone was patched


@pytest.mark.parametrize("kind", KINDS)
def test_weight_zero_is_no_adapter(pair: Pair, step: Step, kind: str) -> None:
    model = pair.see([make_input(pair.unet, kind, weight=0.0)])
    assert torch.equal(predict_with_comfy(model, step), predict_with_comfy(pair.model, step))


@pytest.mark.parametrize("kind", KINDS)
def test_two_images(pair: Pair, step: Step, kind: str) -> None:
    assert pair.compare(step, [make_input(pair.unet, kind, images=2, weight=0.7)]) < EXACT


def test_two_adapters(pair: Pair, step: Step) -> None:
    inputs = [make_input(pair.unet, "plain", weight=0.8), make_input(pair.unet, "plus", name="b", images=2, weight=0.5)]
    assert pair.compare(step, inputs) < EXACT


@pytest.mark.parametrize("mask", [half_mask(), box_mask(), 0.3 + 0.4 * half_mask()], ids=["half", "box", "soft"])
@pytest.mark.parametrize("kind", KINDS)
def test_mask(pair: Pair, step: Step, kind: str, mask: Tensor) -> None:
    assert pair.compare(step, [make_input(pair.unet, kind, weight=0.9, masks=mask[None])]) < EXACT


def test_a_mask_changes_the_image(pair: Pair, step: Step) -> None:
    found = [
        predict_with_comfy(pair.see([make_input(pair.unet, "plain", masks=masks)]), step)
        for masks in (None, half_mask()[None], box_mask()[None])
    ]
    assert relative_difference(found[1], found[0]) > 0.01
    assert relative_difference(found[2], found[1]) > 0.01


def test_two_images_in_two_masks(pair: Pair, step: Step) -> None:
    masks = torch.stack([half_mask("left"), half_mask("right")])
    assert pair.compare(step, [make_input(pair.unet, "plus", images=2, masks=masks)]) < EXACT


def test_two_adapters_one_of_them_in_a_mask(pair: Pair, step: Step) -> None:
    inputs = [
        make_input(pair.unet, "plus", weight=0.8, masks=box_mask()[None]),
        make_input(pair.unet, "plain", name="b", weight=0.5),
    ]
    assert pair.compare(step, inputs) < EXACT


@pytest.mark.parametrize(
    "passes",
    [((NEGATIVE, POSITIVE),), ((POSITIVE, NEGATIVE),), ((POSITIVE,), (NEGATIVE,)), ((NEGATIVE,), (POSITIVE,))],
    ids=["negative-first", "positive-first", "positive-alone", "negative-alone"],
)
def test_prompts_in_any_order_and_split(pair: Pair, step: Step, passes: tuple[tuple[int, ...], ...]) -> None:
    inputs = [
        make_input(pair.unet, "plus", images=2, weight=0.8, masks=torch.stack([half_mask(), box_mask()])),
        make_input(pair.unet, "plain", name="b", weight=0.5),
    ]
    assert pair.compare(step, inputs, passes=passes) < EXACT


@pytest.mark.parametrize("timestep", [999, 250, 0])
def test_steps_of_a_sampling(pair: Pair, timestep: int) -> None:
    step = make_step(pair.unet, 1, HEIGHT, WIDTH, timestep=timestep, seed=timestep)
    assert pair.compare(step, [make_input(pair.unet, "plus")]) < EXACT


def test_a_batch_of_frames(pair: Pair) -> None:
    assert pair.compare(make_step(pair.unet, 5, 8, 8), [make_input(pair.unet, "plus", images=2, weight=0.7)]) < EXACT


#: family → weight type → the same as diffusers writes it. SDXL's are in diffusers' documentation (InstantStyle).
STYLES: dict[str, dict[str, dict[str, Any]]] = {
    "SD 1.5": {
        "style transfer": {"up": {"block_1": [0.8, 0.8, 0.8]}},
        "composition": {"down": {"block_2": [0.8, 0.8]}, "mid": 0.8},
        "style and composition": {"down": {"block_2": [0.8, 0.8]}, "mid": 0.8, "up": {"block_1": [0.8, 0.8, 0.8]}},
    },
    "SDXL": {
        "style transfer": {"up": {"block_0": [0.0, 0.8, 0.0]}},
        "composition": {"down": {"block_2": [0.0, 0.8]}},
        "style and composition": {"down": {"block_2": [0.0, 0.8]}, "up": {"block_0": [0.0, 0.8, 0.0]}},
    },
}


@pytest.mark.parametrize("weight_type", ["style transfer", "composition", "style and composition"])
def test_weight_by_layer(pair: Pair, step: Step, weight_type: str) -> None:
    scale = STYLES[pair.unet.family][weight_type]
    weights = weigh_layers(weight_type, 0.8, cross_attention_keys(pair.model.model.diffusion_model))
    inputs = [replace(make_input(pair.unet, "plus"), scale=scale)]
    assert 0 < sum(weight > 0 for weight in weights) < len(weights)
    assert pair.compare(step, inputs, change=lambda given: replace(given, weights=weights)) < EXACT
    assert pair.compare(step, inputs) > WRONG  # linear is another image


# ------------------------------------------------------------------ the tests can fail


def rename_layers(state: dict[str, Tensor], rename: Callable[[str, str], str]) -> dict[str, Tensor]:
    """A state whose to_k_ip and to_v_ip are taken from other places.

    Args:
        rename: (layer number, "k" or "v") → the key to take it from.
    """
    return {
        key: state[rename(*key.removeprefix("ip_adapter.").removesuffix("_ip.weight").split(".to_"))]
        if key.startswith("ip_adapter.")
        else tensor
        for key, tensor in state.items()
    }


def first_keys_swapped(number: str, part: str) -> str:
    """The first two layers have each other's keys; they are of the same width."""
    swapped = {"1": "3", "3": "1"} if part == "k" else {}
    return f"ip_adapter.{swapped.get(number, number)}.to_{part}_ip.weight"


def keys_for_values(number: str, part: str) -> str:
    return f"ip_adapter.{number}.to_{'v' if part == 'k' else 'k'}_ip.weight"


def without_middle(condition: ImageCondition, unet: UNet) -> ImageCondition:
    weights = list(condition.weights)
    weights[-unet.middle_depth :] = [0.0] * unet.middle_depth
    return replace(condition, weights=tuple(weights))


MISTAKES: dict[str, Callable[[ImageCondition, UNet], ImageCondition]] = {
    "middle block left out": without_middle,
    "weight 0.99": lambda condition, _: replace(condition, weights=(0.99,) * len(condition.weights)),
    "negative rows see the image": lambda condition, _: replace(condition, negative_tokens=condition.tokens),
    "positive rows see nothing": lambda condition, _: replace(condition, tokens=condition.negative_tokens),
}
MIXED_UP = {"a neighbor's keys": first_keys_swapped, "keys for values": keys_for_values}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_in_the_conditions_shows(pair: Pair, step: Step, kind: str, mistake: str) -> None:
    make = MISTAKES[mistake]
    assert pair.compare(step, [make_input(pair.unet, kind)], change=lambda given: make(given, pair.unet)) > WRONG


@pytest.mark.parametrize("mistake", MIXED_UP)
@pytest.mark.parametrize("kind", KINDS)
def test_mixed_up_layers_show(pair: Pair, step: Step, kind: str, mistake: str) -> None:
    given = make_input(pair.unet, kind)
    mixed_up = replace(given, state=rename_layers(dict(given.state), MIXED_UP[mistake]))
    found = predict_with_comfy(pair.see([mixed_up]), step)
    pair.pipeline.load([given])
    assert relative_difference(found, pair.pipeline.predict(step, [given])) > WRONG


def test_a_mask_that_is_resized_otherwise_shows(pair: Pair, step: Step) -> None:
    """diffusers resizes bicubically; this mask is what bilinear resizing would make of it on the latents' grid."""
    bilinear = torch.nn.functional.interpolate(box_mask()[None, None], (HEIGHT, WIDTH), mode="bilinear")[0, 0]
    given = make_input(pair.unet, "plain", masks=box_mask()[None])
    found = predict_with_comfy(pair.see([replace(given, masks=bilinear[None])]), step)
    pair.pipeline.load([given])
    assert relative_difference(found, pair.pipeline.predict(step, [given])) > WRONG
