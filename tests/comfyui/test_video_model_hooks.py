"""Diffusers pipelines and ComfyUI's own hooks: memory, canceling, guards, progress, previews."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.model_management
import comfy.utils
import torch
from comfy.cli_args import LatentPreviewMethod, args

from custom_nodes.videogen.comfyui.video_models import step_hooks
from custom_nodes.videogen.comfyui.video_models.render import render_on_device
from custom_nodes.videogen.comfyui.video_models.sockets import VideoModel
from custom_nodes.videogen.comfyui.video_models.step_hooks import make_preview
from custom_nodes.videogen.pipelines.families import SKYREELS_TEXT
from custom_nodes.videogen.pipelines.loading import LoadRequest, PipelineBox


@pytest.fixture
def model() -> VideoModel:
    return VideoModel(PipelineBox(LoadRequest(Path("nowhere"), SKYREELS_TEXT)))


@pytest.fixture
def progress() -> Iterator[list[tuple[int, int]]]:
    """What ComfyUI is told of the progress."""
    told: list[tuple[int, int]] = []
    before = comfy.utils.PROGRESS_BAR_HOOK
    comfy.utils.set_progress_bar_global_hook(lambda value, total, preview, **_: told.append((value, total)))
    yield told
    comfy.utils.set_progress_bar_global_hook(before)


def steps(count: int, after: Callable[[int], None] = lambda step: None) -> Any:
    """A rendering of some steps, and what happens after each."""

    def render(device: torch.device, on_step: Any) -> torch.Tensor:
        for step in range(1, count + 1):
            after(step)
            on_step(step, count, torch.zeros(1, 16, 3, 4, 6))
        return torch.zeros(1)

    return render


def test_comfyuis_models_leave_the_device_before_and_caches_after(
    model: VideoModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(comfy.model_management, "unload_all_models", lambda: done.append("models"))
    monkeypatch.setattr(comfy.model_management, "soft_empty_cache", lambda: done.append("caches"))
    with torch.inference_mode():
        render_on_device(model, steps(1, lambda _: done.append(f"step, {torch.is_inference_mode_enabled()}")))
    assert done == ["models", "caches", "step, False", "caches"]
    with pytest.raises(ZeroDivisionError):
        render_on_device(model, steps(1, lambda _: 1 // 0))
    assert done[-2:] == ["caches", "caches"]


def test_it_is_canceled_after_the_step_that_runs(model: VideoModel, progress: list[tuple[int, int]]) -> None:
    def interrupt(step: int) -> None:
        if step == 3:
            comfy.model_management.interrupt_current_processing()

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        render_on_device(model, steps(10, interrupt))
    assert progress == [(1, 10), (2, 10), (3, 10)]
    render_on_device(model, steps(2))
    assert progress[3:] == [(1, 2), (2, 2)]


def test_guards_are_asked_before_each_step(model: VideoModel) -> None:
    asked = SimpleNamespace(first=0, second=0)

    def count(name: str) -> Callable[[], None]:
        return lambda: setattr(asked, name, getattr(asked, name) + 1)

    guarded = model.guarded_by(count("first")).guarded_by(count("second"))
    render_on_device(guarded, steps(4))
    assert (asked.first, asked.second) == (5, 5)
    assert model.waits == (), "the pipeline without guards is as it was"


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(args, "preview_method", LatentPreviewMethod.Latent2RGB)


def test_nothing_unless_the_user_wants_previews() -> None:
    assert make_preview(torch.zeros(1, 16, 3, 4, 6), step_hooks._find_previewer("Wan21")) is None


@pytest.mark.usefixtures("wanted")
def test_known_latents_have_colors() -> None:
    latents = torch.randn(1, 16, 3, 4, 6, generator=torch.Generator().manual_seed(1))
    kind, picture, size = make_preview(latents, step_hooks._find_previewer("Wan21")) or ("", None, 0)
    assert (kind, picture.mode, picture.size, size) == ("JPEG", "RGB", (6, 4), args.preview_size)
    middle = latents.clone()
    middle[:, :, 1] = 0
    _, other, _ = make_preview(middle, step_hooks._find_previewer("Wan21")) or ("", None, 0)
    assert other.tobytes() != picture.tobytes(), "it shows the frame in the middle"


@pytest.mark.usefixtures("wanted")
@pytest.mark.parametrize(
    ("shape", "latent_format"),
    [
        ((1, 3, 16, 4, 6), ""),  # CogVideoX: frames before channels, and no colors in ComfyUI
        ((1, 4, 3, 4, 6), "HunyuanVideo"),  # not the channels that ComfyUI knows
        ((1, 16, 3, 4, 6), "NoSuchFormat"),  # a format that this ComfyUI lacks
    ],
)
def test_other_latents_are_gray(shape: tuple[int, ...], latent_format: str) -> None:
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    _, picture, _ = make_preview(latents, step_hooks._find_previewer(latent_format)) or ("", None, 0)
    assert (picture.mode, picture.size) == ("L", (6, 4))
    assert picture.getextrema() == (0, 255)
