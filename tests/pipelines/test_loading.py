"""Which models may be loaded, from where, and what is left in memory."""

from __future__ import annotations

import gc
import json
import shutil
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.pipelines import model_source, packages
from custom_nodes.videogen.pipelines.cogvideox import render_cogvideox
from custom_nodes.videogen.pipelines.families import FRAMEPACK
from custom_nodes.videogen.pipelines.framepack import render_framepack
from custom_nodes.videogen.pipelines.loading import LoadRequest, PipelineBox, check_parts, release_all
from custom_nodes.videogen.pipelines.model_index import read_family
from custom_nodes.videogen.pipelines.model_source import ANY_DOWNLOAD, ModelFolders
from tests.pipelines.clips import CPU, are_alike, cog_request, copy_with, no_hooks, pack_request, picture
from tests.pipelines.conftest import MakeBox
from tests.support.models.tiny_pipelines import COG_SIZE, PACK_SIZE

HUB_ID = "zai-org/CogVideoX-5b-I2V"


# ------------------------------------------------------------------ what an index may name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transformer": ["os", "system"]}, r"names os\.system as its `transformer`"),
        ({"vae": ["diffusers", "StableDiffusionPipeline"]}, r"names diffusers\.StableDiffusionPipeline as its `vae`"),
        ({"vae": ["transformers", "AutoencoderKLCogVideoX"]}, "expected for CogVideoX image to video"),
        ({"extra": ["subprocess", "Popen"]}, r"names subprocess\.Popen as its `extra`.* no such component"),
        ({"_class_name": "StableDiffusionPipeline"}, "is a StableDiffusionPipeline, which these nodes do not use"),
        ({"_class_name": ["custom", "CogVideoXImageToVideoPipeline"]}, "is a pipeline without a class"),
        ({"_class_name": None}, "is a pipeline without a class"),
    ],
)
def test_classes_of_an_index_are_those_of_its_family(
    pipelines: dict[str, Path], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = copy_with(pipelines["cogvideox"], tmp_path / "model", "model_index.json", **changes)
    with pytest.raises(VideoGenError, match=message) as caught:
        read_family(folder)
    assert caught.value.code == "model-unsupported"


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_an_index_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "model_index.json").write_text(text, encoding="utf-8")
    with pytest.raises(VideoGenError, match=r"model_index\.json cannot be read") as caught:
        read_family(tmp_path)
    assert caught.value.code == "model-unreadable"


def test_weights_that_are_pickles_are_not_read(pipelines: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(pipelines["cogvideox"], folder)
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    box = PipelineBox(LoadRequest(folder, read_family(folder)))
    with pytest.raises(VideoGenError, match="cannot be loaded") as caught:
        box.load()
    assert caught.value.code == "model-unreadable"
    assert "safetensors" in str(caught.value)


def test_a_program_beside_a_model_is_not_run(pipelines: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(pipelines["cogvideox"], folder)
    for place in (folder / "pipeline.py", folder / "transformer" / "CogVideoXTransformer3DModel.py"):
        place.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")
    PipelineBox(LoadRequest(folder, read_family(folder))).load()
    assert not (tmp_path / "ran").exists()


# ------------------------------------------------------------------ where a model is


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A hub whose downloads are written down, and an empty cache of it."""
    import huggingface_hub

    asked: list[str] = []

    def snapshot(name: str, *, local_files_only: bool = False, local_dir: str = "", **options: Any) -> str:
        if local_files_only:
            raise OSError("not in the cache")
        assert options.pop("allow_patterns") == ["*.safetensors", "*.json", "*.txt", "*.model"]
        left_out = " ".join(f"without {part}" for part in options.pop("ignore_patterns"))
        assert options == {}
        asked.append(f"{name} > {Path(local_dir).name} {left_out}".strip())
        return local_dir

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.delenv(ANY_DOWNLOAD, raising=False)
    return asked


def make_models(root: Path, *names: str) -> ModelFolders:
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "model_index.json").write_text("{}", encoding="utf-8")
    return ModelFolders((root,))


def test_models_of_the_folder_are_found(tmp_path: Path, offline: list[str]) -> None:
    folders = make_models(tmp_path, "mine", "zai-org/CogVideoX-5b-I2V", "other--name", "short")
    (tmp_path / "no model").mkdir()
    assert folders.list_models() == ["mine", "other--name", "short", "zai-org/CogVideoX-5b-I2V"]
    for name, folder in [("mine", "mine"), (HUB_ID, HUB_ID), ("other/name", "other--name"), ("who/short", "short")]:
        assert folders.resolve(name, "`hub_id`") == tmp_path / folder
    assert offline == []


@pytest.mark.parametrize(
    "name", ["../secret", "/etc", "a/b/c", "a/../b", "C:\\x", "owner/na me", "owner/", "-o/n", "a--b/c", ""]
)
def test_a_name_leads_nowhere_else(tmp_path: Path, offline: list[str], name: str) -> None:
    make_models(tmp_path, "secret", "models/mine")
    folders = ModelFolders((tmp_path / "models",), download=True)
    with pytest.raises(VideoGenError, match="neither a folder in models/diffusers") as caught:
        folders.resolve(name, "`hub_id`")
    assert caught.value.code == "model-missing"
    with pytest.raises(VideoGenError):
        folders.resolve_listed(name, "`model`")
    assert offline == []


def test_a_missing_model_says_how_to_get_it(tmp_path: Path, offline: list[str]) -> None:
    folders = make_models(tmp_path, "mine")
    with pytest.raises(VideoGenError) as caught:
        folders.resolve(HUB_ID, "`hub_id`")
    assert caught.value.code == "model-missing"
    assert str(caught.value).startswith(
        f"`hub_id` names {HUB_ID}, which is neither in models/diffusers nor in the cache"
    )
    assert f"`hf download {HUB_ID} --local-dir {tmp_path / 'zai-org--CogVideoX-5b-I2V'}`" in caught.value.hint
    with pytest.raises(VideoGenError, match="did you mean 'mine'"):
        folders.resolve("mime", "`hub_id`")
    assert offline == []


def test_the_switch_downloads_what_the_nodes_are_made_for(
    tmp_path: Path, offline: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = ModelFolders((tmp_path,), download=True)
    assert folders.resolve(HUB_ID, "`hub_id`") == tmp_path / "zai-org--CogVideoX-5b-I2V"
    with pytest.raises(VideoGenError, match="none of the models that a workflow may download") as caught:
        folders.resolve("somebody/anything", "`hub_id`")
    assert f"{ANY_DOWNLOAD}=any" in caught.value.hint
    monkeypatch.setenv(ANY_DOWNLOAD, "any")
    folders.resolve("somebody/anything", "`hub_id`")
    assert offline == [f"{HUB_ID} > zai-org--CogVideoX-5b-I2V", "somebody/anything > somebody--anything"]


def test_a_part_that_comes_from_elsewhere_is_not_downloaded(tmp_path: Path, offline: list[str]) -> None:
    """HunyuanVideo's own transformer has 26 GB, and FramePack replaces it."""
    with pytest.raises(VideoGenError) as caught:
        ModelFolders((tmp_path,)).resolve("hunyuanvideo-community/HunyuanVideo", "`hub_id`", "transformer")
    assert '--exclude "transformer/*"` gets it; or switch' in caught.value.hint
    ModelFolders((tmp_path,), download=True).resolve("hunyuanvideo-community/HunyuanVideo", "`hub_id`", "transformer")
    name = "hunyuanvideo-community/HunyuanVideo"
    assert offline == [f"{name} > hunyuanvideo-community--HunyuanVideo without transformer/*"]


def test_a_snapshot_with_nothing_of_a_model_is_none(
    tmp_path: Path, offline: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path / "cache"))
    with pytest.raises(VideoGenError, match="neither in models/diffusers nor in the cache"):
        ModelFolders((tmp_path,)).resolve(HUB_ID, "`hub_id`")
    (tmp_path / "cache" / "model_index.json").write_text("{}", encoding="utf-8")
    assert ModelFolders((tmp_path / "models",)).resolve(HUB_ID, "`hub_id`") == tmp_path / "cache"


def test_a_download_that_fails_is_a_sentence(
    tmp_path: Path, offline: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_source, "need_package", lambda _: Broken())
    with pytest.raises(VideoGenError, match=f"{HUB_ID} could not be downloaded: no route to host") as caught:
        ModelFolders((tmp_path,), download=True).resolve(HUB_ID, "`hub_id`")
    assert caught.value.code == "download-failed"


class Broken:
    def snapshot_download(self, *_: Any, **__: Any) -> str:
        raise OSError("no route to host\nand more")


# ------------------------------------------------------------------ without the packages


def test_without_diffusers_it_is_one_sentence(make_box: MakeBox, monkeypatch: pytest.MonkeyPatch) -> None:
    box = make_box("cogvideox")
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(VideoGenError) as caught:
        box.load()
    assert caught.value.code == "package-missing"
    assert caught.value.message == "the diffusers nodes need the package diffusers, which is not installed"
    assert caught.value.hint.startswith("Install them with `python3 install.py --with diffusers`")


@pytest.mark.parametrize("version", ["0.35.2", "0.9", "0.30.0.dev0"])
def test_an_old_diffusers_is_named(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    import diffusers

    monkeypatch.setattr(diffusers, "__version__", version)
    with pytest.raises(VideoGenError, match=f"need diffusers 0.36 or newer, and {version} is installed") as caught:
        packages.need_diffusers()
    assert caught.value.code == "package-missing"


@pytest.mark.parametrize("version", ["0.36.0", "0.36.0.dev0", "1.0"])
def test_newer_ones_are_not_refused(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    import diffusers

    monkeypatch.setattr(diffusers, "__version__", version)
    assert packages.need_diffusers() is diffusers


def test_our_modules_import_neither_torch_nor_diffusers() -> None:
    import subprocess

    names = ("cogvideox", "skyreels", "framepack", "lora", "loading", "model_source")
    lines = [f"import custom_nodes.videogen.pipelines.{name}" for name in names]
    script = "; ".join([*lines, "import sys; print(sorted({'torch', 'diffusers', 'comfy'} & set(sys.modules)))"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_hint_has_the_ranges_of_the_extra() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert '"diffusers>=0.36,<0.43"' in text
    assert '"diffusers>=0.36,<0.43"' in packages.INSTALL_HINT


def test_quantization_without_a_card_is_refused(make_box: MakeBox) -> None:
    with pytest.raises(
        VideoGenError, match="`quantization` is 4-bit, and bitsandbytes quantizes on NVIDIA's cards only"
    ):
        make_box("cogvideox", quantization="4-bit").load()


# ------------------------------------------------------------------ memory


def watch(box: PipelineBox) -> list[weakref.ref[Any]]:
    pipeline = box.load()
    return [weakref.ref(pipeline.transformer), weakref.ref(pipeline.vae), weakref.ref(pipeline.text_encoder)]


def test_what_is_freed_is_gone(make_box: MakeBox) -> None:
    box = make_box("cogvideox", afterwards="free")
    weights = watch(box)
    render_cogvideox(box, picture(COG_SIZE), cog_request(), CPU, no_hooks)
    gc.collect()
    assert [weight() for weight in weights] == [None] * 3
    assert not box.is_loaded


def test_a_box_that_is_dropped_is_gone(make_box: MakeBox) -> None:
    """As when ComfyUI forgets the loader's result."""
    box = make_box("cogvideox")
    weights = watch(box)
    render_cogvideox(box, picture(COG_SIZE), cog_request(), CPU, no_hooks)
    assert weights[0]() is not None, "kept for the next clip"
    del box
    gc.collect()
    assert [weight() for weight in weights] == [None] * 3


def test_all_can_be_released(make_box: MakeBox) -> None:
    release_all()
    box, other = make_box("cogvideox"), make_box("skyreels_text")
    weights = watch(box) + watch(other)
    assert release_all() == 2
    gc.collect()
    assert [weight() for weight in weights] == [None] * 6
    assert release_all() == 0


# ------------------------------------------------------------------ parts of other models


def test_framepack_is_put_together(pipelines: dict[str, Path], tmp_path: Path, make_box: MakeBox) -> None:
    """As on the hub: HunyuanVideo with other weights for its transformer and an image encoder."""
    whole = pipelines["framepack"]
    base = copy_with(whole, tmp_path / "base", "model_index.json", _class_name="HunyuanVideoPipeline")
    index = json.loads((base / "model_index.json").read_text(encoding="utf-8"))
    for part in ("transformer", "image_encoder", "feature_extractor"):
        shutil.rmtree(base / part)
        del index[part]
    index["transformer"] = ["diffusers", "HunyuanVideoTransformer3DModel"]
    (base / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    (base / "transformer").mkdir()
    (base / "transformer" / "config.json").write_text('{"_class_name": "HunyuanVideoTransformer3DModel"}')
    shutil.copytree(whole / "transformer", tmp_path / "weights")
    for part in ("image_encoder", "feature_extractor"):
        shutil.copytree(whole / part, tmp_path / "redux" / part)

    alone = LoadRequest(base, read_family(base))
    assert alone.family is FRAMEPACK
    with pytest.raises(
        VideoGenError, match="the transformer of FramePack is a HunyuanVideoTransformer3DModel"
    ) as caught:
        check_parts(alone)
    assert "lllyasviel/FramePackI2V_HY" in caught.value.hint
    blind = replace(alone, transformer=tmp_path / "weights")
    with pytest.raises(VideoGenError, match="has no folder image_encoder"):
        check_parts(blind)
    request = replace(blind, image_encoder=tmp_path / "redux")
    check_parts(request)
    found = render_framepack(PipelineBox(request), picture(PACK_SIZE), None, pack_request(), CPU, no_hooks)
    plain = render_framepack(make_box("framepack"), picture(PACK_SIZE), None, pack_request(), CPU, no_hooks)
    assert are_alike(found, plain)
