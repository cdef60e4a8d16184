"""VideoGenIPAdapterLoader: the folder, the files in it, and what it says of those that are none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.needs import require_comfy

require_comfy()

import folder_paths
import torch
from safetensors.torch import save_file

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.nodes.characters import ip_adapter
from custom_nodes.videogen.nodes.characters.ip_adapter import VideoGenIPAdapterLoader
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.random_weights.unets import TINY_SD15
from runner.bench.models.tiny_adapters import draw_adapter


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`models/ipadapter` of a ComfyUI in which it is not registered yet."""
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path))
    kept = folder_paths.folder_names_and_paths.pop(ip_adapter.FOLDER, None)
    folder_paths.filename_list_cache.pop(ip_adapter.FOLDER, None)
    path = tmp_path / "ipadapter"
    path.mkdir()
    yield path
    folder_paths.filename_list_cache.pop(ip_adapter.FOLDER, None)
    folder_paths.folder_names_and_paths.pop(ip_adapter.FOLDER, None)
    if kept is not None:
        folder_paths.folder_names_and_paths[ip_adapter.FOLDER] = kept


def test_the_folder_is_registered(folder: Path) -> None:
    ip_adapter.register_folder()
    paths, suffixes = folder_paths.folder_names_and_paths["ipadapter"]
    assert paths == [str(folder)]
    assert {".safetensors", ".bin"} <= set(suffixes)


def test_folders_of_users_and_other_packs_stay_first(folder: Path, tmp_path: Path) -> None:
    """As extra_model_paths.yaml registers a folder: without a word about endings."""
    other = tmp_path / "elsewhere"
    (other / "sdxl").mkdir(parents=True)
    for name in ("mine.safetensors", "sdxl/mine.bin", "README.md"):
        (other / name).write_bytes(b"")
    (folder / "default.safetensors").write_bytes(b"")
    folder_paths.add_model_folder_path("ipadapter", str(other))
    registered = folder_paths.folder_names_and_paths["ipadapter"]
    ip_adapter.register_folder()
    ip_adapter.register_folder()
    assert folder_paths.folder_names_and_paths["ipadapter"] is registered
    assert registered[0] == [str(other), str(folder)]
    assert ip_adapter.list_adapters() == ["default.safetensors", "mine.safetensors", os.path.join("sdxl", "mine.bin")]
    assert ip_adapter.find_adapter("sdxl/mine.bin") == other / "sdxl" / "mine.bin"


@pytest.mark.parametrize("name", ["", "plus.safetensors"])
def test_an_empty_folder_is_named_with_where_to_get_files(folder: Path, name: str) -> None:
    ip_adapter.register_folder()
    said = VideoGenIPAdapterLoader.validate_inputs(name)
    assert isinstance(said, str)
    assert said.startswith(f"there is no IP-Adapter in {folder}\n")
    for word in ("ip-adapter-plus_sd15.safetensors", "ip-adapter-plus_sdxl_vit-h.safetensors", "h94/IP-Adapter"):
        assert word in said
    with pytest.raises(VideoGenError, match="there is no IP-Adapter in") as caught:
        VideoGenIPAdapterLoader.execute(name)
    assert caught.value.code == "path-invalid"


def test_a_file_that_is_not_there(folder: Path) -> None:
    ip_adapter.register_folder()
    (folder / "other.safetensors").write_bytes(b"")
    assert str(VideoGenIPAdapterLoader.validate_inputs("plus.safetensors")).startswith(
        f"the IP-Adapter 'plus.safetensors' is not in {folder}"
    )
    assert "no IP-Adapter is chosen" in str(VideoGenIPAdapterLoader.validate_inputs())
    assert VideoGenIPAdapterLoader.validate_inputs(None) is True  # linked
    assert "is not in" in str(VideoGenIPAdapterLoader.validate_inputs("../outside.safetensors"))


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_a_file_is_loaded_for_what_it_is(folder: Path, suffix: str) -> None:
    ip_adapter.register_folder()
    name = f"ip-adapter-sdxl{suffix}"  # a wrong name
    state = draw_adapter("plus", TINY_SD15)
    if suffix == ".bin":
        torch.save(state, folder / name)
    else:
        save_file(state, folder / name)
    assert VideoGenIPAdapterLoader.validate_inputs(name) is True
    adapter = VideoGenIPAdapterLoader.execute(name).result[0]
    assert isinstance(adapter, IPAdapter)
    assert (adapter.name, adapter.info.projection, adapter.info.family) == (name, "plus", "SD 1.5")
    assert adapter.digest == IPAdapter.from_state(state, "the same").digest


def test_a_changed_file_is_noticed(folder: Path) -> None:
    ip_adapter.register_folder()
    path = folder / "mine.safetensors"
    path.write_bytes(b"1")
    os.utime(path, ns=(10**18, 10**18))
    first = VideoGenIPAdapterLoader.fingerprint_inputs("mine.safetensors")
    assert VideoGenIPAdapterLoader.fingerprint_inputs("mine.safetensors") == first
    path.write_bytes(b"12")
    os.utime(path, ns=(10**18, 10**18))
    by_size = VideoGenIPAdapterLoader.fingerprint_inputs("mine.safetensors")
    os.utime(path, ns=(10**18, 10**18 + 1000))
    assert len({first, by_size, VideoGenIPAdapterLoader.fingerprint_inputs("mine.safetensors")}) == 3
    for nothing in (None, ""):
        unknown = VideoGenIPAdapterLoader.fingerprint_inputs(nothing)
        assert unknown != unknown  # NaN


def test_files_that_are_no_adapter(folder: Path) -> None:
    ip_adapter.register_folder()
    save_file({"lora_unet_down.lora_up.weight": torch.zeros(2, 2)}, folder / "lora.safetensors")
    (folder / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    torch.save({"image_proj": {}, "ip_adapter": {}, "opener": os.system}, folder / "code.bin")
    codes = {}
    for name in ("lora.safetensors", "cut.safetensors", "code.bin"):
        with pytest.raises(VideoGenError, match=name) as caught:
            VideoGenIPAdapterLoader.execute(name)
        codes[name] = caught.value.code
        assert "\n" not in caught.value.message
    assert codes == {
        "lora.safetensors": "adapter-invalid",
        "cut.safetensors": "adapter-unreadable",
        "code.bin": "adapter-unreadable",
    }
