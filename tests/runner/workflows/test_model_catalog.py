"""Model files: what is published, and which input takes which folder's."""

from __future__ import annotations

import re

import pytest

from runner.workflows.model_catalog import (
    MODELS,
    find_folder,
    find_published,
    format_size,
    looks_like_model,
    same_folder,
)

#: Folders of a ComfyUI, and the one that the pack adds.
FOLDERS = {"checkpoints", "clip_vision", "upscale_models", "ipadapter"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_everything_about_a_published_model_is_plausible(model: object) -> None:
    found = find_published(model.name)  # type: ignore[attr-defined]
    assert found is model
    assert found.folder in FOLDERS
    assert re.fullmatch(r"https://huggingface\.co/[\w.-]+/[\w.-]+/resolve/main/\S+\.safetensors", found.url)
    assert re.fullmatch("[0-9a-f]{64}", found.sha256)
    assert found.size > 10_000_000


def test_names_and_checksums_are_each_model_s_own() -> None:
    assert len({model.name for model in MODELS}) == len({model.sha256 for model in MODELS}) == len(MODELS)


def test_one_file_is_published_under_another_name() -> None:
    renamed = [model.name for model in MODELS if model.url.rpartition("/")[2] != model.name]
    assert renamed == ["CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors"]


def test_a_folder_in_front_of_the_name_does_not_matter() -> None:
    assert find_published("SDXL\\sd_xl_base_1.0.safetensors") is find_published("sd_xl_base_1.0.safetensors")
    assert find_published("unknown.safetensors") is None


@pytest.mark.parametrize(
    ("kind", "name", "folder"),
    [
        ("CheckpointLoaderSimple", "ckpt_name", "checkpoints"),
        ("CLIPLoader", "clip_name", "text_encoders"),
        ("CLIPVisionLoader", "clip_name", "clip_vision"),
        ("UpscaleModelLoader", "model_name", "upscale_models"),
        ("LatentUpscaleModelLoader", "model_name", "latent_upscale_models"),
        ("SomebodysLoader", "model_name", ""),
        ("VideoGenIPAdapterLoader", "ipadapter_file", "ipadapter"),
        ("VideoGenUpscale", "model", "upscale_models"),
        ("KSampler", "sampler_name", ""),
    ],
)
def test_which_folder_an_input_takes_files_from(kind: str, name: str, folder: str) -> None:
    assert find_folder(kind, name) == folder


def test_a_folder_that_has_two_names_is_one_folder() -> None:
    assert same_folder("clip") == same_folder("text_encoders")
    assert same_folder("unet") == same_folder("diffusion_models")
    assert same_folder("vae") == "vae"


@pytest.mark.parametrize(("value", "is_one"), [("a.safetensors", True), ("b.GGUF", True), ("euler", False), (5, False)])
def test_what_looks_like_a_model(value: object, is_one: bool) -> None:
    assert looks_like_model(value) is is_one


@pytest.mark.parametrize(
    ("size", "text"), [(2_132_696_762, "2.13 GB"), (98_183_288, "98.2 MB"), (1e9, "1.00 GB"), (25_260, "25.3 kB")]
)
def test_sizes_as_hubs_show_them(size: int, text: str) -> None:
    assert format_size(size) == text
