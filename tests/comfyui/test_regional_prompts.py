"""Prompts with areas: ComfyUI gives the other prompts copies of their entries, and splits and reorders the rows.

What is right is computed by models in which all rows see the same tokens, so that it does not matter whose they are.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.samplers
import torch
from comfy_extras.nodes_custom_sampler import Guider_DualCFG
from comfy_extras.nodes_perpneg import Guider_PerpNeg, PerpNeg
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.comfyui.attention.prompt_rows import (
    PROMPTS_KEY,
    ROWS_KEY,
    PromptRows,
    StepPrompts,
    read_row_parts,
)
from tests.support.models.guided_sampling import (
    UNET,
    Prompt,
    area,
    bare_model,
    bounds,
    model_of,
    run,
    sample,
    share,
    text,
)
from tests.support.models.seeing_models import HEIGHT, WIDTH, distance, make_condition

ROUNDING, DIFFERENT = 1e-5, 1e-3

WHOLE = {
    "area": area(HEIGHT, WIDTH),
    "larger area": area(HEIGHT + 8, WIDTH + 8),
    "percentage": share(1.0, 1.0),
    "mask bounds": bounds(0, 0, HEIGHT, WIDTH),
}
#: The positive and the negative prompt.
REGIONS: dict[str, tuple[Prompt, Prompt]] = {
    "one area": (text(1, **area(8, 8, 0, 8)), text(2)),
    "an area over a background": (text(1) + text(3, **area(4, 8, 2, 4)), text(2)),
    "two areas": (text(1, **area(8, 8)) + text(3, **area(8, 8, 0, 8)), text(2)),
    "two areas of different sizes": (text(1, **area(8, 4)) + text(3, **area(8, 12, 0, 4)), text(2)),
    "a percentage": (text(1, **share(1.0, 0.5)) + text(3), text(2)),
    "mask bounds": (text(1, **bounds(0, 0, 8, 8)) + text(3, **bounds(0, 8, 8, 8)), text(2)),
    "an area of the negative prompt": (text(1), text(2, **area(8, 8, 0, 8)) + text(4)),
    "the negative prompt everywhere": (text(1), text(2, **area(HEIGHT, WIDTH))),
    "areas of both": (text(1, **area(4, 4, 2, 2)) + text(3), text(2, **area(8, 8)) + text(4)),
    "the same area in both": (text(1, **area(8, 8)) + text(3), text(2, **area(8, 8)) + text(4)),
    "a text for each frame": (text(1, 2, **area(8, 8)) + text(3, 2), text(2, 2)),
    "a schedule of texts": (
        text(1, **area(8, 8), start_percent=0.0, end_percent=0.5) + text(3),
        text(2) + text(4, **area(8, 16), start_percent=0.5, end_percent=1.0),
    ),
}


#: Predict each prompt by itself, as ComfyUI does when memory is short.
ONE_BY_ONE = "one by one"


@pytest.fixture
def together(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predicts the prompts together or one by one."""
    if request.param == ONE_BY_ONE:
        monkeypatch.setattr(comfy.samplers, "can_concat_cond", lambda one, other: one is other)


def in_batches(name: str, all_of_them: Any, *one_by_one: str) -> Any:
    """Each case with its prompts together, and some with each prompt by itself."""
    cases = [(case, "together") for case in all_of_them] + [(case, ONE_BY_ONE) for case in one_by_one]
    return pytest.mark.parametrize((name, "together"), cases, indirect=["together"])


def all_rows(*, positive: bool) -> Any:
    """A model all of whose rows see the same tokens."""
    condition = make_condition(UNET)
    tokens = condition.tokens if positive else condition.negative_tokens
    return model_of(tokens=tokens, negative_tokens=tokens)


# ------------------------------------------------------------------ an area over everything


@in_batches("whole", WHOLE, "area", "mask bounds")
def test_an_area_over_everything_is_as_no_area_bit_by_bit(whole: str, together: None) -> None:
    picture = model_of()
    expected = sample(picture, text(1), text(2))
    assert torch.equal(sample(picture, text(1, **WHOLE[whole]), text(2)), expected)
    assert torch.equal(sample(picture, text(1), text(2, **WHOLE[whole])), expected)


@pytest.mark.parametrize("whole", ["area", "mask bounds"])
def test_another_picture_makes_another_result(whole: str) -> None:
    """With a negative prompt that has an area too, and as much as without any."""
    pictures = [model_of(), model_of(seed=9)]
    plain = [sample(picture, text(1), text(2)) for picture in pictures]
    found = [sample(picture, text(1, **WHOLE[whole]), text(2, **WHOLE["area"])) for picture in pictures]
    assert distance(found[1], found[0]) == distance(plain[1], plain[0])
    assert distance(plain[1], plain[0]) > DIFFERENT


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_sde", "ddim", "uni_pc"])
def test_with_any_sampler(sampler: str) -> None:
    picture = model_of()
    expected = sample(picture, text(1), text(2), sampler=sampler)
    assert torch.equal(sample(picture, text(1, **WHOLE["area"]), text(2), sampler=sampler), expected)


# ------------------------------------------------------------------ several areas


@in_batches("regions", REGIONS, "two areas", "areas of both")
def test_each_prompt_sees_its_own_in_all_its_regions(regions: str, together: None) -> None:
    """With a guidance of 1 the result is the positive prompt's alone, and with 0 the negative one's."""
    positive, negative = REGIONS[regions]
    steps = 2 if "schedule" in regions else 1
    sees, blind = all_rows(positive=True), all_rows(positive=False)
    for cfg, right, wrong in ((1.0, sees, blind), (0.0, blind, sees)):
        found = sample(model_of(), positive, negative, cfg=cfg, steps=steps)
        assert distance(found, sample(right, positive, negative, cfg=cfg, steps=steps)) < ROUNDING
        if regions == "two areas":
            assert distance(found, sample(wrong, positive, negative, cfg=cfg, steps=steps)) > DIFFERENT


@pytest.mark.parametrize("regions", ["two areas", "areas of both"])
def test_two_pictures_in_two_calls_and_two_samplers_of_one_model(regions: str) -> None:
    """Each call has its own state; a second sampling, with other prompts, tells them anew."""
    positive, negative = REGIONS[regions]
    both = apply_image_conditions(model_of(), [make_condition(UNET, seed=5)])
    tokens = [make_condition(UNET, seed=seed).tokens for seed in (0, 5)]
    sees = bare_model()
    for seen in tokens:
        sees = apply_image_conditions(sees, [make_condition(UNET, tokens=seen, negative_tokens=seen)])
    for one, other in ((positive, negative), (negative, positive)):
        found = sample(both, one, other, cfg=1.0, steps=1)
        assert distance(found, sample(sees, one, other, cfg=1.0, steps=1)) < ROUNDING


@in_batches("regions", ["one area", "areas of both"], "two areas")
def test_guiders_with_more_prompts(regions: str, together: None) -> None:
    positive, negative = REGIONS[regions]
    third = text(5, **area(8, 8, 0, 4)) + text(6)

    def dual(model: Any, first: float, second: float) -> Tensor:
        guider = Guider_DualCFG(model)
        guider.set_conds(positive, third, negative)
        guider.set_cfg(first, second)
        return run(guider, steps=1)

    def perp(model: Any, cfg: float) -> Tensor:
        guider = Guider_PerpNeg(model)
        guider.set_conds(positive, negative, third)
        guider.set_cfg(cfg, 0.0)
        return run(guider, steps=1)

    ours, sees, blind = model_of(), all_rows(positive=True), all_rows(positive=False)
    assert distance(dual(ours, 1.0, 1.0), dual(sees, 1.0, 1.0)) < ROUNDING
    assert distance(dual(ours, 0.0, 0.0), dual(blind, 0.0, 0.0)) < ROUNDING
    assert distance(perp(ours, 1.0), perp(sees, 1.0)) < ROUNDING
    assert distance(perp(ours, 0.0), perp(blind, 0.0)) < ROUNDING


def test_a_node_that_predicts_a_prompt_of_its_own() -> None:
    """The old Perp-Neg node predicts an empty prompt by itself, as number 0: it is none of the guider's, and sees no picture."""
    results = {}
    for name, model in (("ours", model_of()), ("blind", all_rows(positive=False))):
        patched = PerpNeg.execute(model, text(7), 1.0).result[0]
        real, predicted = patched.model_options["sampler_cfg_function"], []

        def watch(args: dict[str, Any], real: Any = real, predicted: list[Tensor] = predicted) -> Tensor:
            before = comfy.samplers.calc_cond_batch

            def calc(*inputs: Any) -> Any:
                predicted.extend(found := before(*inputs))
                return found

            comfy.samplers.calc_cond_batch = calc
            try:
                return real(args)
            finally:
                comfy.samplers.calc_cond_batch = before

        patched.model_options["sampler_cfg_function"] = watch
        sample(patched, text(1), text(2), steps=1)
        results[name] = predicted[0]
    assert distance(results["ours"], results["blind"]) < ROUNDING


# ------------------------------------------------------------------ what the rows are told by


def entries(*uuids: str, texts: str = "") -> list[dict[str, Any]]:
    return [
        {"uuid": uuid, "model_conds": {"c_crossattn": text} if (text := TEXTS.get(name)) else {}}
        for uuid, name in zip(uuids, texts.ljust(len(uuids)), strict=True)
    ]


TEXTS = {name: SimpleNamespace(name=name) for name in "PQN"}


def roles(conds: Any, asked: list[Any], **options: Any) -> list[bool]:
    """Whether each entry that is asked for is positive, as a patch is told."""
    latents = torch.zeros(1, 4, 8, 8)
    if conds is not None:
        options[PROMPTS_KEY] = StepPrompts(conds, latents)
    options[ROWS_KEY] = PromptRows(asked, latents, options)
    pairs = [(number, entry["uuid"]) for number, part in enumerate(asked) for entry in part or ()]
    options.update(cond_or_uncond=[number for number, _ in pairs], uuids=[uuid for _, uuid in pairs])
    return [part.positive for part in read_row_parts(options, len(pairs), placed=False)[0]]


def test_a_copy_of_an_entry_is_its_lists_and_not_its_uuids() -> None:
    conds = {"positive": entries("a", "b", texts="PQ"), "negative": entries("n", "a", texts="NN")}
    assert roles(conds, [conds["positive"], conds["negative"]]) == [True, True, False, False]
    assert roles(conds, [conds["negative"], conds["positive"]]) == [False, False, True, True]
    assert roles(conds, [conds["negative"][1:]]) == [False]
    assert roles(conds, [None, conds["positive"][:1]]) == [True]


def test_lists_tell_where_the_texts_were_replaced() -> None:
    """As context windows do it that cut a text for each frame."""
    conds = {"positive": entries("a", texts="P"), "negative": entries("n", "a", texts="NN")}
    assert roles(conds, [entries("a"), entries("n", "a")]) == [True, False, False]
    assert roles(conds, [entries("n", "a"), entries("a")]) == [False, False, True]


def test_numbers_tell_where_nothing_else_does() -> None:
    asked = [entries("x"), entries("y"), entries("z")]
    for conds in (None, {}, {"other": entries("x")}, {"positive": None}, [1]):
        assert roles(conds, asked) == [True, False, False]
    # Beside prompts that are known, those of a node's own are not the positive one.
    known = {"positive": entries("a", texts="P"), "negative": entries("n", texts="N")}
    assert roles(known, [entries("x")]) == [False]
    assert roles(known, [entries("x"), known["negative"]]) == [True, False]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"cond_or_uncond": [1, 0, 2]}, [False, True, False]),
        ({"cond_or_uncond": [1, 0], "uuids": ["?", "?"]}, [False, True]),
        ({"cond_or_uncond": [0, 1], "uuids": ["n", "a"]}, [False, True]),
    ],
)
def test_a_sampling_of_another_pack_that_does_not_ask_comfyui(options: dict[str, Any], expected: list[bool]) -> None:
    if "a" in options.get("uuids", ()):
        conds = {"positive": entries("a", texts="P"), "negative": entries("n", texts="N")}
        options = {**options, PROMPTS_KEY: StepPrompts(conds, torch.zeros(1, 4, 8, 8))}
    parts, rows = read_row_parts(options, 2 * len(expected), placed=False)
    assert [part.positive for part in parts] == expected
    assert rows == 2
