"""Clones of models that see images, and threads that share one: as ComfyUI copies them, of any version."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.model_patcher
import torch
from torch import Tensor

from custom_nodes.videogen.comfyui.attention import image_attention
from custom_nodes.videogen.comfyui.attention.attention_patch import ImagePatch, apply_image_conditions
from custom_nodes.videogen.nodes.frames.anchor_attention import anchor_frames
from runner.bench.models.random_weights.unets import TINY_SD15
from runner.bench.models.tiny_models import build_comfy_model, draw_unet
from tests.support.models.guided_sampling import UNET, area, bare_model, model_of, sample, text
from tests.support.models.seeing_models import (
    HEIGHT,
    WIDTH,
    distance,
    draw_model,
    make_condition,
    make_latents,
    predict,
)


def copy_lists(value: Any) -> Any:
    """As ComfyUI 0.33 copies a model's options: dictionaries and lists, and nothing in them."""
    if isinstance(value, dict):
        return {key: copy_lists(item) for key, item in value.items()}
    return [copy_lists(item) for item in value] if isinstance(value, list) else value


class Copy:
    deepcopy = staticmethod(copy_lists)


@pytest.fixture(params=["as here", "as of 0.33"])
def copying(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How options are copied with a model: as this ComfyUI does it, and as a new one does it."""
    if request.param == "as of 0.33" and hasattr(comfy.model_patcher, "copy"):
        monkeypatch.setattr(comfy.model_patcher, "copy", Copy)


def patches(model: Any, kind: str = "attn2") -> dict[Any, Any]:
    return model.model_options["transformer_options"]["patches_replace"][kind]


def add_one(out: Tensor, *_: Any, **__: Any) -> Tensor:
    return torch.ones_like(out)


MODELS: dict[str, Callable[[], Any]] = {
    "one node": lambda: model_of(),
    "two nodes": lambda: apply_image_conditions(model_of(), [make_condition(UNET, seed=3)]),
    "Anchor Attention behind": lambda: anchor_frames(model_of()),
    "a clone of a clone": lambda: model_of().clone().clone(),
}


@pytest.mark.parametrize("made", MODELS)
def test_what_is_added_to_a_clone_leaves_the_original_alone(made: str, copying: None) -> None:
    original, latents = MODELS[made](), make_latents(2)
    before = predict(original, UNET, latents, chunks=(0, 1))
    clone = original.clone()
    for patch in patches(clone).values():
        patch.add(add_one)
    assert torch.equal(predict(original, UNET, latents, chunks=(0, 1)), before)
    changed = predict(clone, UNET, latents, chunks=(0, 1))
    assert distance(changed, before) > 1e-3
    later = clone.clone()
    for patch in patches(later).values():
        patch.add(add_one)
    assert torch.equal(predict(clone, UNET, latents, chunks=(0, 1)), changed)
    assert torch.equal(predict(original, UNET, latents, chunks=(0, 1)), before)


def test_the_nodes_next_in_line_are_clones_too(copying: None) -> None:
    """Two branches of one model, each with another pack's addition: neither sees the other's."""
    original, latents = model_of(), make_latents(1)
    branches = [original.clone(), apply_image_conditions(original, [make_condition(UNET, seed=3)])]
    before = [predict(branch, UNET, latents) for branch in branches]
    patches(branches[0])["middle", 0, 0].add(add_one)
    assert distance(predict(branches[0], UNET, latents), before[0]) > 1e-6
    assert torch.equal(predict(branches[1], UNET, latents), before[1])


def test_copies_share_the_pictures_and_clones_do_not_pile_up_callbacks(copying: None) -> None:
    original = model_of()
    clone = original
    for _ in range(5):
        clone = apply_image_conditions(clone.clone(), [make_condition(UNET, seed=3)])
    for key, patch in patches(original).items():
        found = patches(clone)[key]
        while isinstance(found.previous, ImagePatch):
            found = found.previous
        assert found.state is patch.state
    kinds = comfy.patcher_extension.CallbacksMP
    assert len(clone.get_all_callbacks(kinds.ON_CLONE)) == 1
    assert len(clone.get_all_callbacks(kinds.ON_PRE_RUN)) == 6


# ------------------------------------------------------------------ threads


@contextlib.contextmanager
def quick_switches() -> Iterator[None]:
    """Threads change places as often as Python can do it, not every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def test_threads_that_share_a_model_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread has batches of its own shape, prompts and noise level; room for the layouts of one of them at a time."""
    monkeypatch.setattr(image_attention, "MAX_LAYOUTS", 2)
    mask = torch.rand(1, 8 * HEIGHT, 8 * WIDTH, generator=torch.Generator().manual_seed(3))
    conditions = [make_condition(UNET, end=0.5, mask=mask), make_condition(UNET, seed=3, start=0.2)]
    model = anchor_frames(apply_image_conditions(bare_model(), conditions), frames_per_pass=1)
    patches(model)["middle", 0, 0].add(add_one, sigma_start=5.0, sigma_end=1.0)
    work = [
        (frames, chunks, sigma) for frames, chunks in ((1, (0, 1)), (2, (1,)), (3, (0,))) for sigma in (0.5, 4.0, 9.0)
    ]
    start = threading.Barrier(len(work))

    def run(number: int, *, wait: bool) -> list[Tensor]:
        frames, chunks, sigma = work[number]
        if wait:
            start.wait()
        return [predict(model, UNET, make_latents(frames, seed=seed), chunks=chunks, sigma=sigma) for seed in range(2)]

    expected = [run(number, wait=False) for number in range(len(work))]
    patches(model)["middle", 0, 0].state.forget()
    image_attention._key_values.clear()
    with quick_switches(), ThreadPoolExecutor(len(work)) as pool:
        running = [pool.submit(run, number, wait=True) for number in range(len(work))]
        found = [future.result() for future in running]
    for one, other in zip(found, expected, strict=True):
        assert all(map(torch.equal, one, other))


class MeetingPlace(dict[Any, Any]):
    """The first two threads that ask for the oldest entry get the answer at the same time, or one of them after a while."""

    def __init__(self) -> None:
        super().__init__(first={})
        self._barrier, self._turns = threading.Barrier(2), iter(range(2))

    def __iter__(self) -> Iterator[Any]:
        keys = list(super().__iter__())
        if next(self._turns, None) is not None:
            with contextlib.suppress(threading.BrokenBarrierError):
                self._barrier.wait(2.0)
        return iter(keys)


def test_two_threads_that_make_room_for_a_layout_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_attention, "MAX_LAYOUTS", 1)
    model, latents = model_of(), make_latents(3)
    expected = [predict(model, UNET, latents[: frames + 1]) for frames in range(2)]
    patches(model)["middle", 0, 0].state._plans = MeetingPlace()
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(predict, model, UNET, latents[: frames + 1]) for frames in range(2)]
        found = [future.result() for future in running]
    assert all(map(torch.equal, found, expected))


def with_two_devices(model: Any) -> Any:
    """A model whose prompts ComfyUI divides between two devices, each with its copy of the weights: two names of this
    processor."""
    copied = build_comfy_model(UNET, draw_unet(UNET), dtype=torch.float64)
    second = model.clone(model_override=(copied.model, ({}, {}, {}, set())))
    second.load_device, second.is_multigpu_base_clone = torch.device("cpu:1"), True
    both = model.clone()
    both.set_additional_models("multigpu", [second])
    return both


REGIONS = {
    "whole": (text(1), text(2)),
    "areas": (text(1, **area(8, 8)) + text(3, **area(8, 8, 0, 8)), text(2)),
    "areas of both": (text(1, **area(4, 4, 2, 2)) + text(3), text(2, **area(8, 8)) + text(4)),
}


@pytest.mark.parametrize("regions", REGIONS)
def test_a_step_divided_between_devices(regions: str) -> None:
    """ComfyUI's own threads, one for each device, where it has them."""
    pytest.importorskip("comfy.multigpu", reason="this ComfyUI uses one device a step")
    positive, negative = REGIONS[regions]
    mask = torch.rand(1, 8 * HEIGHT, 8 * WIDTH, generator=torch.Generator().manual_seed(3))
    model = anchor_frames(model_of(mask=mask, end=0.9), frames_per_pass=1)
    threads: set[int] = set()
    real = image_attention.ImageAttentionState.add_images

    def watch(*args: Any, **kwargs: Any) -> Tensor:
        threads.add(threading.get_ident())
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch, quick_switches():
        patch.setattr(image_attention.ImageAttentionState, "add_images", watch)
        found = sample(with_two_devices(model), positive, negative, steps=3)
    assert len(threads) == 2
    assert threading.get_ident() not in threads
    assert distance(found, sample(model, positive, negative, steps=3)) < 1e-5
    assert distance(found, sample(draw_model(TINY_SD15), positive, negative, steps=3)) > 1e-3
