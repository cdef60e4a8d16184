"""VideoGenUpscale and VideoGenRenderSize in ComfyUI's own Python, with a real upscale model of random weights."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.needs import require_comfy

require_comfy()

import comfy.model_management
import comfy.utils
import folder_paths
import torch
from PIL import Image
from safetensors.torch import save_file

from custom_nodes.videogen.comfyui import out_of_memory
from custom_nodes.videogen.comfyui.frames.resizing import resize_lanczos
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.nodes.frames import upscale
from custom_nodes.videogen.nodes.frames.render_size import VideoGenRenderSize
from custom_nodes.videogen.nodes.frames.upscale import VideoGenUpscale
from tests.support.stories import small_story


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models/upscale_models."""
    kinds = folder_paths.folder_names_and_paths[upscale.FOLDER][1]
    monkeypatch.setitem(folder_paths.folder_names_and_paths, upscale.FOLDER, ([str(tmp_path)], kinds))
    folder_paths.filename_list_cache.pop(upscale.FOLDER, None)
    yield tmp_path
    folder_paths.filename_list_cache.pop(upscale.FOLDER, None)
    upscale._load.cache_clear()


@pytest.fixture
def esrgan(models: Path) -> Path:
    """A tiny ESRGAN (4×) under a name that `auto` takes."""
    width, grow = 8, 32  # ESRGAN always grows by 32
    shapes = {"conv_first": (3, width), "conv_last": (width, 3)}
    shapes |= dict.fromkeys(("conv_body", "conv_up1", "conv_up2", "conv_hr"), (width, width))
    for dense in (1, 2, 3):
        for conv in (1, 2, 3, 4, 5):
            shapes[f"body.0.rdb{dense}.conv{conv}"] = (width + (conv - 1) * grow, grow if conv < 5 else width)
    generator = torch.Generator().manual_seed(7)
    state = {}
    for name, (inputs, outputs) in shapes.items():
        state[f"{name}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) / (3 * inputs**0.5)
        state[f"{name}.bias"] = torch.zeros(outputs) + (0.5 if name == "conv_last" else 0.0)
    path = models / "RealESRGAN_x4plus.safetensors"
    save_file(state, path)
    return path


def make_plan(width: int, height: int) -> SegmentPlan:
    return plan_segment(parse_story(small_story("Size", size=(width, height)), "test"), 1)


def draw_frames(count: int, width: int, height: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    return smooth.clamp(0, 1).movedim(1, -1).contiguous()


def run(images: torch.Tensor, model: str = "auto", **inputs: Any) -> torch.Tensor:
    return VideoGenUpscale.execute(images, model, **inputs).args[0]


# ------------------------------------------------------------------ the filter


@pytest.mark.usefixtures("models")
def test_lanczos_brings_frames_to_the_film_s_size() -> None:
    frames = draw_frames(3, 48, 32)
    larger = run(frames, segment=make_plan(96, 64))
    assert larger.shape == (3, 64, 96, 3)
    assert larger.dtype == torch.float32
    # Back again it is the same image: smooth frames lose next to nothing.
    back = torch.stack([resize_lanczos(frame, (48, 32)) for frame in larger])
    assert (back - frames).abs().max() < 0.02


@pytest.mark.usefixtures("models")
def test_what_has_another_shape_is_cropped_in_the_middle_and_not_distorted() -> None:
    wide = torch.zeros(1, 32, 96, 3)
    wide[:, :, 32:64] = 1.0  # a square in the middle
    square = run(wide, segment=make_plan(64, 64))
    assert square.shape == (1, 64, 64, 3)
    # Only its very edge mixes with what was cut off next to it.
    assert square[:, :, 3:-3].min() > 0.95


@pytest.mark.usefixtures("models")
def test_frames_of_the_right_size_are_handed_on_as_they_are() -> None:
    frames = draw_frames(2, 64, 48)
    assert run(frames, segment=make_plan(64, 48)) is frames


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("wanted", "size"), [({"width": 96}, (96, 64)), ({"height": 16}, (24, 16)), ({"width": 30, "height": 50}, (30, 50))]
)
def test_a_size_of_its_own(wanted: dict[str, int], size: tuple[int, int]) -> None:
    frames = draw_frames(1, 48, 32)
    assert run(frames, segment=make_plan(200, 100), **wanted).shape == (1, size[1], size[0], 3)


@pytest.mark.usefixtures("models")
def test_gray_and_alpha() -> None:
    assert run(torch.rand(1, 8, 8, 1), width=16).shape == (1, 16, 16, 3)
    frames = torch.rand(1, 8, 8, 4)
    assert torch.equal(run(frames, width=16), run(frames[..., :3], width=16))


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_frames_are_of_one_kind_at_any_size(channels: int) -> None:
    """RGB in 0…1, also where the size does not change; what is RGB in 0…1 already is handed on, not copied."""
    frames = torch.rand(2, 8, 8, channels)
    same = run(frames, width=8)
    assert same.shape == (2, 8, 8, 3)
    assert torch.equal(same, frames[..., :3].expand(-1, -1, -1, 3))
    assert (same is frames) == (channels == 3)
    bright = frames * 4 - 0.5
    for width in (8, 16):
        result = run(bright, width=width)
        assert (float(result.min()), float(result.max())) == (0, 1)
    assert torch.equal(run(bright, width=16), run(bright.clamp(0, 1), width=16))


@pytest.mark.usefixtures("models")
def test_frames_that_are_not_numbers_are_refused_at_any_size() -> None:
    frames = torch.rand(2, 8, 8, 3)
    frames[1, 2, 2, 0] = torch.nan
    for width in (8, 16):
        with pytest.raises(VideoGenError, match="frame 2 has values that are not numbers"):
            run(frames, width=width)


def test_the_filter_is_pillow_s_without_rounding() -> None:
    frame = draw_frames(1, 40, 24)[0]
    eight_bits = Image.fromarray((frame * 255).round().byte().numpy())
    theirs = torch.frombuffer(
        bytearray(eight_bits.resize((60, 36), Image.Resampling.LANCZOS).tobytes()), dtype=torch.uint8
    )
    ours = resize_lanczos(frame, (60, 36))
    assert (ours * 255 - theirs.reshape(36, 60, 3)).abs().max() <= 1.5
    assert len(ours.unique()) > 5000  # more than 8 bits hold


# ------------------------------------------------------------------ an upscale model


def test_auto_takes_a_model_that_is_there_and_only_to_enlarge(esrgan: Path) -> None:
    frames = draw_frames(2, 24, 16)
    with_model = run(frames, segment=make_plan(96, 64))
    assert with_model.shape == (2, 64, 96, 3)
    assert not torch.allclose(with_model, run(frames, "none", segment=make_plan(96, 64)), atol=0.01)
    assert torch.equal(run(frames, "auto", width=12), run(frames, "none", width=12))


def test_auto_is_what_the_runner_has_chosen(esrgan: Path) -> None:
    frames = draw_frames(1, 24, 16)
    found = run(frames, segment=make_plan(96, 64))
    assert torch.equal(
        run(frames, segment=make_plan(96, 64), auto_model="none"), run(frames, "none", segment=make_plan(96, 64))
    )
    assert torch.equal(run(frames, segment=make_plan(96, 64), auto_model=esrgan.name), found)
    assert not torch.equal(found, run(frames, "none", segment=make_plan(96, 64)))
    with pytest.raises(VideoGenError, match="is not in models/upscale_models"):
        run(frames, segment=make_plan(96, 64), auto_model="4x-UltraSharp.pth")
    # It stands for auto only, which leaves frames alone that need no enlarging.
    assert run(frames, segment=make_plan(24, 16), auto_model=esrgan.name) is frames


def test_the_editor_renders_again_when_auto_means_something_else(esrgan: Path) -> None:
    before = VideoGenUpscale.fingerprint_inputs("auto", width=0)
    assert before == VideoGenUpscale.fingerprint_inputs("auto", width=0)
    assert before == VideoGenUpscale.fingerprint_inputs(esrgan.name)
    os.utime(esrgan, ns=(1, 1))
    assert VideoGenUpscale.fingerprint_inputs("auto") not in (before, "none")
    esrgan.rename(esrgan.with_name("other.pth"))
    assert VideoGenUpscale.fingerprint_inputs("auto") == "none" == VideoGenUpscale.fingerprint_inputs("none")


def test_a_frame_is_what_the_model_makes_of_it_alone(esrgan: Path) -> None:
    frames = draw_frames(2, 24, 16)
    result = run(frames, segment=make_plan(96, 64))
    model = upscale.load_model(esrgan.name)
    with torch.no_grad():
        expected = model(frames[1:].movedim(-1, 1))[0].movedim(0, -1).clamp(0, 1)
    assert torch.allclose(result[1], expected, atol=1e-4)


def test_other_models_are_taken_by_name_only(esrgan: Path) -> None:
    other = esrgan.rename(esrgan.with_name("drawings.safetensors"))
    folder_paths.filename_list_cache.clear()
    frames = draw_frames(1, 24, 16)
    plan = make_plan(96, 64)
    assert torch.equal(run(frames, "auto", segment=plan), run(frames, "none", segment=plan))
    assert not torch.equal(run(frames, other.name, segment=plan), run(frames, "none", segment=plan))


class AcceleratorError(RuntimeError):
    """As newer versions of PyTorch have it."""


#: What may be raised when a card's memory is full.
FULL = {
    "out of memory": lambda: comfy.model_management.OOM_EXCEPTION("Allocation on device"),
    "device": lambda: AcceleratorError("CUDA error: out of memory"),
}


@pytest.fixture
def device_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's type for errors of a device, in ComfyUI too where it knows it; this PyTorch may not have it."""
    monkeypatch.setattr(out_of_memory, "_DEVICE_ERROR", AcceleratorError)
    if hasattr(comfy.model_management, "is_oom"):
        monkeypatch.setattr(comfy.model_management, "ACCELERATOR_ERROR", AcceleratorError)
        monkeypatch.setattr(comfy.model_management, "discard_cuda_async_error", lambda: None)


@pytest.mark.parametrize("full", FULL)
@pytest.mark.usefixtures("device_errors")
def test_short_memory_makes_the_tiles_smaller(full: str, esrgan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = upscale.load_model(esrgan.name)

    class Greedy:
        model, scale = real.model, real.scale

        def to(self, device: Any) -> None:
            real.to(device)

        def __call__(self, part: torch.Tensor) -> Any:
            seen.append(max(part.shape[-2:]))
            if seen[-1] > 70:
                raise FULL[full]()
            return real(part)

    frames = draw_frames(2, 100, 90)
    expected = run(frames, segment=make_plan(400, 360))
    monkeypatch.setattr(upscale, "load_model", lambda _: Greedy())
    result = run(frames, segment=make_plan(400, 360))
    assert seen[0] == 100
    assert [side for side in seen if side > 70] == [100, 100, 100]  # 512, 256, 128; the second frame begins with 64
    assert (result - expected).abs().mean() < 0.02


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_named(value: float) -> None:
    frames = draw_frames(2, 24, 16)
    frames[1, 3, 4, 0] = value
    with pytest.raises(VideoGenError, match=r"frame 2 has values that are not numbers .*\n.*--fp32-vae"):
        run(frames, segment=make_plan(96, 64))


def test_a_model_that_is_not_there(esrgan: Path) -> None:
    with pytest.raises(
        VideoGenError, match=r"'x.pth' is not in models/upscale_models \(there are: 'RealESRGAN_x4plus"
    ) as e:
        run(draw_frames(1, 24, 16), "x.pth", width=48)
    assert e.value.code == "model-missing"


def test_a_file_that_is_no_model(models: Path) -> None:
    save_file({"some.weight": torch.zeros(3)}, models / "odd.safetensors")
    (models / "broken.pth").write_bytes(b"PK nothing")
    folder_paths.filename_list_cache.clear()
    for name in ("odd.safetensors", "broken.pth"):
        with pytest.raises(VideoGenError, match="cannot be read as an upscale model") as caught:
            run(draw_frames(1, 24, 16), name, width=48)
        assert caught.value.code == "model-unreadable"


@pytest.mark.usefixtures("models")
def test_no_size_at_all() -> None:
    with pytest.raises(VideoGenError, match="no size is set"):
        run(draw_frames(1, 24, 16))


@pytest.mark.usefixtures("models")
def test_an_interruption_is_heard() -> None:
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(draw_frames(1, 24, 16), width=48)


@pytest.mark.usefixtures("device_errors")
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AcceleratorError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("out of memory"), False),
        (ValueError("no"), False),
        (comfy.model_management.InterruptProcessingException(), False),
        *((make(), True) for make in FULL.values()),
    ],
)
def test_what_counts_as_full_memory(error: BaseException, expected: bool) -> None:
    assert out_of_memory.is_out_of_memory(error) == expected


@pytest.mark.parametrize("kind", [Exception, BaseException])
def test_an_interruption_is_no_lack_of_memory(
    kind: type[BaseException], esrgan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an `Exception` in older versions of ComfyUI; and without a card, PyTorch may have no type for full memory."""
    tries: list[int] = []
    interruption = type("InterruptProcessingException", (kind,), {})
    monkeypatch.setattr(comfy.model_management, "InterruptProcessingException", interruption)
    monkeypatch.setattr(comfy.model_management, "OOM_EXCEPTION", Exception)

    def interrupt(*_: Any, **__: Any) -> None:
        tries.append(1)
        raise interruption

    monkeypatch.setattr(comfy.utils, "tiled_scale", interrupt)
    with pytest.raises(interruption):
        run(draw_frames(1, 24, 16), segment=make_plan(48, 32))
    assert len(tries) == 1


# ------------------------------------------------------------------ Render Size


def make_model(config: Any) -> Any:
    return SimpleNamespace(model=SimpleNamespace(model_config=config))


@pytest.mark.parametrize(
    ("name", "size"), [("SD15", (896, 512)), ("SD20", (1024, 576)), ("SDXL", (1344, 768)), ("SSD1B", (1344, 768))]
)
def test_the_model_says_its_own_size(name: str, size: tuple[int, int]) -> None:
    import comfy.supported_models

    model = make_model(getattr(comfy.supported_models, name)({**getattr(comfy.supported_models, name).unet_config}))
    assert VideoGenRenderSize.execute(0.0, "64", 1.0, make_plan(1920, 1080), model).args == size


def test_a_model_of_another_kind_needs_a_number() -> None:
    import comfy.supported_models

    flux = make_model(comfy.supported_models.Flux({**comfy.supported_models.Flux.unet_config}))
    with pytest.raises(VideoGenError, match="the native size of Flux is not known"):
        VideoGenRenderSize.execute(0.0, "64", 1.0, make_plan(1920, 1080), flux)
    assert VideoGenRenderSize.execute(1.03, "64", 1.0, make_plan(1920, 1080), flux).args == (1344, 768)


def test_no_model_and_no_number() -> None:
    with pytest.raises(VideoGenError, match="no model is connected"):
        VideoGenRenderSize.execute(0.0, "64", 1.0, make_plan(1920, 1080))


def test_without_a_segment_it_is_a_square() -> None:
    assert VideoGenRenderSize.execute(0.2622, "64", 1.0).args == (512, 512)


def test_a_scale_of_a_half_takes_half_of_both_sides() -> None:
    assert VideoGenRenderSize.execute(1.03, "64", 0.5, make_plan(1920, 1080)).args == (704, 384)
    assert VideoGenRenderSize.execute(1.03, "8", 0.5, make_plan(1920, 1080)).args == (680, 384)
