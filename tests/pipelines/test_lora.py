"""A LoRA on a pipeline, at its strength, for one clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.pipelines import packages
from custom_nodes.videogen.pipelines.cogvideox import render_cogvideox
from custom_nodes.videogen.pipelines.loading import PipelineBox
from custom_nodes.videogen.pipelines.lora import Lora
from tests.pipelines.clips import CPU, PROMPT, SEED, are_alike, cog_request, no_hooks, picture
from tests.pipelines.conftest import MakeBox
from tests.support.models.tiny_pipelines import COG_SIZE, save_lora

RANK = 8


@pytest.fixture(scope="module")
def lora(pipelines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("peft")
    return save_lora(tmp_path_factory.mktemp("lora"), pipelines["cogvideox"], RANK)


def render(box: PipelineBox, lora: Lora | None) -> torch.Tensor:
    return render_cogvideox(box, picture(COG_SIZE), cog_request(lora=lora), CPU, no_hooks)


def call_directly(folder: Path, lora: Path, *, strength: float = 1.0, fused: float | None = None) -> torch.Tensor:
    import diffusers

    pipeline = diffusers.CogVideoXImageToVideoPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name, adapter_name="theirs")
    if fused is None:
        pipeline.set_adapters(["theirs"], [strength])
    else:
        pipeline.fuse_lora(lora_scale=fused)
    frames = pipeline(
        image=picture(COG_SIZE),
        prompt=PROMPT,
        negative_prompt="",
        width=COG_SIZE,
        height=COG_SIZE,
        num_frames=9,
        num_inference_steps=2,
        max_sequence_length=16,
        generator=torch.Generator().manual_seed(SEED),
        output_type="np",
    ).frames
    return torch.from_numpy(np.asarray(frames)[0])


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_it_is_diffusers(make_box: MakeBox, lora: Path, strength: float) -> None:
    box = make_box("cogvideox")
    direct = call_directly(box.request.folder, lora, strength=strength)
    assert are_alike(render(box, Lora(lora, strength)), direct)


def test_the_strength_is_not_divided_by_the_rank(make_box: MakeBox, lora: Path) -> None:
    """What examples of CogVideoX do, `fuse_lora(lora_scale=1 / rank)`, leaves hardly anything of it."""
    box = make_box("cogvideox")
    plain = render(box, None)
    change = (render(box, Lora(lora, 1.0)) - plain).abs().mean()
    fused = (call_directly(box.request.folder, lora, fused=1 / RANK) - plain).abs().mean()
    assert change > 4 * fused
    assert are_alike(render(box, Lora(lora, 0.0)), plain)


@pytest.mark.parametrize("offload", ["none", "model", "group"])
def test_the_next_clip_is_without_it(make_box: MakeBox, lora: Path, offload: str) -> None:
    plain = render(make_box("cogvideox"), None)
    box = make_box("cogvideox", offload=offload)
    with_it = render(box, Lora(lora, 1.0))
    assert not are_alike(with_it, plain)
    assert are_alike(render(box, None), plain)


def test_torchs_generator_is_as_it_was(make_box: MakeBox, lora: Path) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    render(make_box("cogvideox"), Lora(lora, 1.0))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_lora_of_another_model(make_box: MakeBox, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file(
        {
            "transformer.elsewhere.lora_A.weight": torch.ones(2, 4),
            "transformer.elsewhere.lora_B.weight": torch.ones(4, 2),
        },
        path,
    )
    box = make_box("cogvideox")
    with pytest.raises(VideoGenError, match=r"the LoRA other\.safetensors does not fit this model") as caught:
        render(box, Lora(path, 1.0))
    assert caught.value.code == "model-unsupported"
    render(box, None)


@pytest.mark.parametrize(
    ("name", "message"), [("a.pt", "not a .safetensors file"), ("a.safetensors", "cannot be read")]
)
def test_a_file_that_is_none(make_box: MakeBox, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(VideoGenError, match=message) as caught:
        render(make_box("cogvideox"), Lora(tmp_path / name, 1.0))
    assert caught.value.code == "model-unreadable"


def test_without_peft(make_box: MakeBox, lora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = packages.importlib.import_module

    def import_module(name: str) -> object:
        if name == "peft":
            raise ModuleNotFoundError("No module named 'peft'", name="peft")
        return there(name)

    monkeypatch.setattr(packages.importlib, "import_module", import_module)
    with pytest.raises(VideoGenError) as caught:
        render(make_box("cogvideox"), Lora(lora, 1.0))
    assert caught.value.code == "package-missing"
    assert str(caught.value).startswith("LoRAs on diffusers pipelines need the package peft, which is not installed")
    assert "install.py --with diffusers" in caught.value.hint
