"""Images in ComfyUI's own samplers: which prompt sees them, in which steps, and what is computed how often."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.context_windows
import comfy.sample
import comfy.samplers
import torch
from comfy.model_sampling import EPS, ModelSamplingDiscrete
from comfy_extras.nodes_custom_sampler import Guider_DualCFG
from torch import Tensor

from custom_nodes.videogen.comfyui.attention import image_attention
from custom_nodes.videogen.comfyui.attention.attention_patch import apply_image_conditions
from custom_nodes.videogen.comfyui.attention.image_attention import ImageAttentionState
from custom_nodes.videogen.comfyui.attention.prompt_rows import read_row_parts
from custom_nodes.videogen.comfyui.frames.batch_frame_indices import frame_indices
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.random_weights.unets import TINY_SD15
from runner.bench.models.tiny_models import make_context
from tests.support.models.seeing_models import distance, draw_model, make_condition, make_latents, make_tokens, predict

UNET = TINY_SD15
LAYERS = 16


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    image_attention._key_values.clear()


def model_of(dtype: torch.dtype = torch.float32) -> Any:
    return draw_model(UNET, dtype)


def text(seed: int) -> list[Any]:
    return [[make_context(UNET, 1, seed=seed, dtype=torch.float32), {}]]


def sample(model: Any, *, steps: int = 2, cfg: float = 4.0, frames: int = 1, guider: Any = None) -> Tensor:
    """Latents out of ComfyUI's own sampler."""
    latents = torch.zeros(frames, 4, 8, 16)
    noise = make_latents(frames)[:, :, :8, :16].float()
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", steps)
    if guider is None:
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(text(1), text(2))
        guider.set_cfg(cfg)
    return guider.sample(noise, latents, comfy.samplers.sampler_object("euler"), sigmas, disable_pbar=True, seed=1)


class Seen:
    """What `ImageAttentionState.add_images` was asked: (noise level, chunks that see the images) in the first layer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[float, tuple[bool, ...], bool]] = []
        real = ImageAttentionState.add_images

        def add_images(
            state: ImageAttentionState,
            out: Tensor,
            query: Tensor,
            layer: int,
            options: dict[str, Any],
            *,
            in_place: bool,
        ) -> Tensor:
            before = out.clone()
            result = real(state, out, query, layer, options, in_place=in_place)
            if layer == 0:
                acted = not torch.equal(result, before)
                parts, _ = read_row_parts(options, len(query), placed=False)
                self.steps.append((float(options["sigmas"][0]), tuple(part.positive for part in parts), acted))
            return result

        monkeypatch.setattr(ImageAttentionState, "add_images", add_images)


# ------------------------------------------------------------------ which prompt


def guide(model: Any, cfg1: float, cfg2: float, *, nested: bool = False) -> Guider_DualCFG:
    guider = Guider_DualCFG(model)
    guider.set_conds(text(1), text(3), text(2))
    guider.set_cfg(cfg1, cfg2, nested=nested)
    return guider


def test_the_positive_prompt_of_every_guider_sees_the_images() -> None:
    """DualCFGGuider has the negative prompt where others have the positive one. With these weights its result is that of one
    prompt alone: the positive one's, and the negative one's."""
    patched = apply_image_conditions(model_of(), [make_condition(UNET)])
    positive = sample(patched, cfg=1.0)
    negative = sample(patched, cfg=0.0)
    assert distance(sample(patched, guider=guide(patched, 1.0, 1.0)), positive) < 1e-5
    assert distance(sample(patched, guider=guide(patched, 0.0, 0.0)), negative) < 1e-5
    assert distance(sample(patched, guider=guide(patched, 0.0, 0.0, nested=True)), negative) < 1e-5
    assert distance(positive, negative) > 1e-3
    blind = apply_image_conditions(model_of(), [make_condition(UNET, tokens=make_tokens(UNET, seed=9))])
    assert distance(sample(blind, cfg=1.0), positive) > 1e-3
    assert distance(sample(blind, cfg=0.0), negative) < 1e-6


def test_a_node_that_asks_for_the_negative_prompt_by_itself() -> None:
    """As SelfAttentionGuidance does it: the negative prompt alone is number 0 there."""
    patched = apply_image_conditions(model_of(), [make_condition(UNET)])
    asked: list[Tensor] = []

    def ask_again(args: dict[str, Any]) -> Tensor:
        (again,) = comfy.samplers.calc_cond_batch(
            args["model"], [args["uncond"]], args["input"], args["sigma"], args["model_options"]
        )
        asked.append(torch.stack([again, args["uncond_denoised"], args["cond_denoised"]]))
        return args["denoised"]

    patched.set_model_sampler_post_cfg_function(ask_again)
    sample(patched, steps=1)
    again, uncond, cond = asked[0]
    assert distance(again, uncond) < 1e-5
    assert distance(cond, uncond) > 1e-3


# ------------------------------------------------------------------ which steps


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.5), (0.3, 0.7), (0.5, 1.0), (0.0, 1.0)])
def test_the_span_is_that_of_comfyuis_prompts(start: float, end: float, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen(monkeypatch)
    sample(apply_image_conditions(model_of(), [make_condition(UNET, start=start, end=end)]), steps=8)
    assert len(seen.steps) == 8
    entry = {"start_percent": start, "end_percent": end}
    conditions = [entry]
    comfy.samplers.calculate_start_end_timesteps(model_of().model, conditions)
    for sigma, _, acted in seen.steps:
        assert acted == (conditions[0]["timestep_end"] <= sigma <= conditions[0]["timestep_start"])
    assert any(acted for _, _, acted in seen.steps)


def test_a_schedule_that_is_changed_behind_us_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """ModelSamplingDiscrete and its like come after our node as well as before it."""

    class Steeper(ModelSamplingDiscrete, EPS):
        pass

    other = Steeper()
    other.set_sigmas(model_of().get_model_object("model_sampling").sigmas ** 2)
    patched = apply_image_conditions(model_of(), [make_condition(UNET, end=0.5)])
    patched.add_object_patch("model_sampling", other)
    seen = Seen(monkeypatch)
    sample(patched, steps=8)
    assert [acted for _, _, acted in seen.steps] == [sigma >= other.percent_to_sigma(0.5) for sigma, _, _ in seen.steps]
    plain = model_of().get_model_object("model_sampling").percent_to_sigma(0.5)
    assert any((sigma >= plain) != acted for sigma, _, acted in seen.steps), "the test could not have failed"


def test_a_step_waits_for_the_device_once() -> None:
    """`sigmas` is on the GPU: to look at it is to wait for all that was asked of it."""

    class Sigmas:
        looks = 0

        def max(self) -> float:
            Sigmas.looks += 1
            return 5.0

    latents = make_latents(1)
    conditions = [make_condition(UNET, end=0.9), make_condition(UNET, start=0.1, seed=1)]
    patched = apply_image_conditions(model_of(torch.float64), conditions)
    patch = next(iter(patched.model_options["transformer_options"]["patches_replace"]["attn2"].values()))
    patch.add(lambda out, *_, **__: out, sigma_start=9.0, sigma_end=0.0)
    sigmas = Sigmas()
    for chunks in ((1,), (0,)):
        predict(patched, UNET, latents, chunks=chunks, options={"sigmas": sigmas})
    assert Sigmas.looks == 1
    predict(patched, UNET, latents, options={"sigmas": Sigmas()})
    assert Sigmas.looks == 2
    predict(
        apply_image_conditions(model_of(torch.float64), [make_condition(UNET)]),
        UNET,
        latents,
        options={"sigmas": Sigmas()},
    )
    assert Sigmas.looks == 2, "what always acts need not look"


# ------------------------------------------------------------------ how often


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, int, int]]:
    """How often keys and values were computed: (adapter, layer, rows of tokens) → times."""
    counted: Counter[tuple[str, int, int]] = Counter()
    real = IPAdapter.key_value

    def key_value(adapter: IPAdapter, layer: int, tokens: Tensor) -> tuple[Tensor, Tensor]:
        counted[adapter.name, layer, len(tokens)] += 1
        return real(adapter, layer, tokens)

    monkeypatch.setattr(IPAdapter, "key_value", key_value)
    return counted


def test_keys_and_values_are_computed_once_for_all_samplings(products: Counter[Any]) -> None:
    condition = make_condition(UNET)
    for _ in range(2):
        sample(apply_image_conditions(model_of(), [condition]), steps=3, frames=2)
    assert set(products.values()) == {2}, "the image's and the negative ones, once each"
    assert len(products) == LAYERS
    sample(apply_image_conditions(model_of(), [make_condition(UNET, weight=0.3, mask=torch.rand(1, 8, 16))]), steps=1)
    assert set(products.values()) == {2}, "weights and masks change nothing about them"
    sample(apply_image_conditions(model_of(), [make_condition(UNET, seed=4)]), steps=1)
    assert set(products.values()) == {3}, "another image, and the same negative ones"


def test_a_memory_too_small_costs_nothing_within_a_sampling(
    products: Counter[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_attention._key_values, "limit", 100)
    sample(apply_image_conditions(model_of(), [make_condition(UNET)]), steps=5)
    assert set(products.values()) == {2}


def test_frames_of_their_own_are_computed_together(products: Counter[Any]) -> None:
    condition = make_condition(UNET, tokens=make_tokens(UNET, 5), per_frame=True)
    sample(apply_image_conditions(model_of(), [condition]), frames=5)
    assert products == {("plain.safetensors", layer, rows): 1 for layer in range(LAYERS) for rows in (1, 5)}


def test_nothing_is_computed_for_layers_without_weight_and_steps_outside(products: Counter[Any]) -> None:
    weights = (0.0,) * 14 + (1.0, 0.0)
    sample(apply_image_conditions(model_of(), [make_condition(UNET, weights=weights)]), steps=1)
    assert {layer for _, layer, _ in products} == {14}
    products.clear()
    never = make_condition(UNET, start=0.5, end=0.6, seed=8)  # between the two steps
    sample(apply_image_conditions(model_of(), [never]), steps=2)
    assert not products


def test_what_was_kept_for_a_sampling_goes_with_it() -> None:
    patched = apply_image_conditions(model_of(), [make_condition(UNET, mask=torch.rand(1, 8, 16))])
    state = patched.model_options["transformer_options"]["patches_replace"]["attn2"]["middle", 0, 0].state
    sizes = []
    real = state.add_images

    def add_images(*args: Any, **kwargs: Any) -> Tensor:
        result = real(*args, **kwargs)
        sizes.append((len(state._tokens), len(state._plans), len(state._masks._kept)))
        return result

    state.add_images = add_images
    sample(patched)
    assert max(sizes) == (2 * LAYERS, 4, 4)  # positive and negative, four resolutions
    assert (len(state._tokens), len(state._plans), len(state._masks._kept)) == (0, 0, 0)
    assert 0 < image_attention._key_values.bytes <= image_attention.CACHE_BYTES


def test_layouts_of_rows_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_attention, "MAX_LAYOUTS", 2)
    patched = apply_image_conditions(model_of(torch.float64), [make_condition(UNET)])
    state = patched.model_options["transformer_options"]["patches_replace"]["attn2"]["middle", 0, 0].state
    for frames in range(1, 6):
        predict(patched, UNET, make_latents(frames))
    assert len(state._plans) == 2


# ------------------------------------------------------------------ which frames


def window(frames: list[int], dim: int = 0, anchor: int | None = None) -> Any:
    known = inspect.signature(comfy.context_windows.IndexListContextWindow).parameters
    total = {"total_frames": 10} if "total_frames" in known else {}
    made = comfy.context_windows.IndexListContextWindow(frames, dim=dim, **total)
    if anchor is not None:
        made.causal_anchor_index = anchor
    return made


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 2]),
        ({"videogen_frames": [4, 5, 6]}, [4, 5, 6]),
        ({"videogen_frames": torch.tensor([4, 5, 6])}, [4, 5, 6]),
        ({"context_window": window([7, 8, 9])}, [7, 8, 9]),
        ({"context_window": window([7, 8, 9], dim=2)}, [0, 1, 2]),
        # Newer versions of ComfyUI predict one frame more, and drop it.
        ({"context_window": window([8, 9], anchor=7)}, [7, 8, 9]),
        ({"context_window": window([7, 8, 9], anchor=-1)}, [7, 8, 9]),
        ({"ad_params": {"sub_idxs": [9, 0, 1], "full_length": 10}}, [9, 0, 1]),
        ({"ad_params": {"sub_idxs": None, "full_length": 3}}, [0, 1, 2]),
        ({"ad_params": None}, [0, 1, 2]),
        # Our own passes cut up what the others have chosen.
        ({"videogen_frames": [8, 9, 7], "context_window": window([7, 8, 9])}, [8, 9, 7]),
        # What has another number of frames is about another batch.
        ({"videogen_frames": [1, 2], "context_window": window([7, 8, 9])}, [7, 8, 9]),
    ],
)
def test_frames_of_a_part_of_the_batch(options: dict[str, Any], expected: list[int]) -> None:
    assert list(frame_indices(options, 3)) == expected


def test_context_windows_of_comfyui_see_their_own_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 2 over 4 frames, each frame with an image of its own; without overlap they are the whole batch."""
    condition = make_condition(UNET, tokens=make_tokens(UNET, 4), per_frame=True)
    patched = apply_image_conditions(model_of(), [condition])
    whole = sample(patched, frames=4, steps=3)  # ComfyUI 0.3.75 compares 4 noise levels with 4 frames
    windowed = patched.clone()
    windowed.model_options["context_handler"] = comfy.context_windows.IndexListContextHandler(
        comfy.context_windows.get_matching_context_schedule("standard_static"),
        comfy.context_windows.get_matching_fuse_method("flat"),
        context_length=2,
    )
    assert distance(sample(windowed, frames=4, steps=3), whole) < 1e-5
    wrong = apply_image_conditions(
        model_of(), [make_condition(UNET, tokens=make_tokens(UNET, 4)[[0, 1, 0, 1]], per_frame=True)]
    )
    assert distance(sample(wrong, frames=4, steps=3), whole) > 1e-3
